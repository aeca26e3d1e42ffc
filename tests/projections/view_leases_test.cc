// Leases in the view: states, both intervals, histories, and what is late.
#include "tests/projections/view_fixture.h"

namespace counterfoil::views {
namespace {

class ViewLeases : public ViewFixture {
 protected:
  static constexpr std::int64_t kNever = -1;
  void grant(const std::string& lease, Common common, std::int64_t expires, bool commanded = true, const std::string& secret = {}) {
    ledger.add(kOne, Kind::leaseGranted, common, [&](Arena& arena, StructValue& body) {
      body.setText(arena, Field::leaseId, lease);
      setPrincipal(arena, body, Field::grantee, {PrincipalKind::agent, "fixer"});
      body.setNumber(Field::credential, 1);
      const std::vector<std::string_view> scope{"contents:read"}, resources{"github.com/acme/shop"};
      body.setTexts(arena, Field::scope, scope);
      body.setTexts(arena, Field::resources, resources);
      body.setTime(Field::issuedAt, ledger.time(common.occurred >= 0 ? common.occurred : common.at));
      if (expires != kNever) body.setTime(Field::expiresAt, ledger.time(expires));
      if (!secret.empty()) body.setText(arena, Field::secret, secret);
      if (commanded) {
        StructValue policy = makeStruct(arena, *body.table->find(Field::policy)->structure);
        policy.setText(arena, Field::name, "production");
        body.setStructure(arena, Field::policy, policy);
      }
    });
  }
  void issued(const std::string& lease, std::int64_t at, Outcome outcome = Outcome::issued) {
    ledger.add(kOne, Kind::leaseIssued, {.at = at}, [&](Arena& arena, StructValue& body) {
      body.setText(arena, Field::leaseId, lease);
      body.setNumber(Field::outcome, static_cast<std::uint64_t>(outcome));
      body.setFlag(Field::terminal, outcome == Outcome::failed);
    });
  }
  void consumed(const std::string& lease, Common common, std::uint64_t uses, bool terminal = false, bool late = false) {
    ledger.add(kOne, Kind::leaseConsumed, common, [&](Arena& arena, StructValue& body) {
      body.setText(arena, lease.starts_with("fp2:") ? Field::fingerprint : Field::leaseId, lease);
      body.setText(arena, Field::operation, "git-upload-pack");
      body.setNumber(Field::uses, uses);
      body.setFlag(Field::terminal, terminal);
      body.setFlag(Field::late, late);
    });
  }
  void renewed(const std::string& lease, std::int64_t at, std::int64_t expires) {
    ledger.add(kOne, Kind::leaseRenewed, {.at = at}, [&](Arena& arena, StructValue& body) {
      body.setText(arena, Field::leaseId, lease);
      body.setTime(Field::expiresAt, ledger.time(expires));
    });
  }
  void ended(Kind kind, const std::string& lease, Common common, const std::string& cascade = {}) {
    ledger.add(kOne, kind, common, [&](Arena& arena, StructValue& body) {
      body.setText(arena, Field::leaseId, lease);
      body.setNumber(Field::reasonCode, static_cast<std::uint64_t>(kind == Kind::leaseExpired ? ReasonCode::ttl : ReasonCode::compromise));
      body.setFlag(Field::terminal, true);
      if (!cascade.empty()) body.setText(arena, Field::cascadeOf, cascade);
    });
  }
  std::string lease(const std::string& id, const std::string& columns) { return one("SELECT " + columns + " FROM leases WHERE lease = '" + id + "'"); }
  // Leases valid at a time, by the interval alone, and by the narrowing that span offers.
  std::vector<std::string> validAt(std::int64_t seconds) {
    const std::string at = std::to_string(ledger.time(seconds).nanoseconds);
    const std::string valid = "valid_from <= " + at + " AND (valid_to IS NULL OR valid_to > " + at + ")";
    const auto plain = rows("SELECT text FROM lease JOIN name ON id = lease WHERE " + valid + " ORDER BY 1");
    std::string classes;
    for (int span = 0; span <= 40; ++span) {
      const std::string from = std::to_string(ledger.time(seconds).nanoseconds - (std::int64_t{1} << std::min(span, 33)) * 1'000'000'000);
      classes += (span == 0 ? "" : " OR ") + std::string("(span = ") + std::to_string(span) + " AND valid_from > " + from + ")";
    }
    EXPECT_EQ(rows("SELECT text FROM lease JOIN name ON id = lease WHERE (span = 63 OR " + classes + ") AND " + valid + " ORDER BY 1"), plain);
    return plain;
  }
  // State, uses and end as of a seq, from the lease's history.
  std::string asOf(const std::string& id, std::uint64_t seq) {
    return one("SELECT state, uses, coalesce(expiresAt, '') FROM lease_changes WHERE lease = '" + id + "' AND seq <= " + std::to_string(seq) +
               " ORDER BY seq DESC LIMIT 1");
  }
};

std::string at(std::int64_t seconds) { return toRfc3339(test::LedgerFixture::time(seconds)); }

TEST_F(ViewLeases, ACommandedLeaseLivesFromGrantToItsLastUse) {
  grant("lease-a", {.at = 100, .run = "run-7", .host = "host-3"}, 1000);
  issued("lease-a", 101);
  consumed("lease-a", {.at = 110}, 1);
  consumed("lease-a", {.at = 120}, 2, true);
  project();
  EXPECT_EQ(lease("lease-a", "state, uses, grantee, run, host, scope, resources"),
            "consumed_out|2|fixer|run-7|host-3|contents:read|github.com/acme/shop");
  EXPECT_EQ(lease("lease-a", "issuedAt, expiresAt, endedAt, grantedSeq, endedSeq, reported"), at(100) + "|" + at(1000) + "|" + at(120) + "|0|3|0");
  EXPECT_EQ(asOf("lease-a", 0), "granted|0|" + at(1000));
  EXPECT_EQ(asOf("lease-a", 1), "active|0|" + at(1000));
  EXPECT_EQ(asOf("lease-a", 2), "active|1|" + at(1000));
  EXPECT_EQ(asOf("lease-a", 3), "consumed_out|2|" + at(1000));
  EXPECT_EQ(one("SELECT group_concat(what || '=' || value, ' ') FROM (SELECT * FROM counters WHERE what LIKE 'leases %' ORDER BY what)"),
            "leases active=0 leases consumed_out=1 leases granted=0");
  EXPECT_EQ(one("SELECT grants, live FROM principals WHERE id = 'fixer'"), "1|0");
}

TEST_F(ViewLeases, ValidTimeFollowsRenewalAndRevocation) {
  grant("short", {.at = 100}, 200);
  grant("renewed", {.at = 100}, 200);
  issued("renewed", 101);
  renewed("renewed", 150, 400);
  grant("revoked", {.at = 100}, 1000);
  ended(Kind::leaseRevoked, "revoked", {.at = 180});
  grant("endless", {.at = 100}, kNever);
  project();
  using List = std::vector<std::string>;
  EXPECT_EQ(validAt(99), List{});
  EXPECT_EQ(validAt(100), (List{"endless", "renewed", "revoked", "short"}));
  EXPECT_EQ(validAt(179), (List{"endless", "renewed", "revoked", "short"}));
  EXPECT_EQ(validAt(180), (List{"endless", "renewed", "short"}));
  EXPECT_EQ(validAt(200), (List{"endless", "renewed"}));
  EXPECT_EQ(validAt(400), List{"endless"});
  EXPECT_EQ(lease("renewed", "renewals, expiresAt"), "1|" + at(400));
  EXPECT_EQ(asOf("renewed", 2), "active|0|" + at(200));
  EXPECT_EQ(asOf("renewed", 3), "active|0|" + at(400));
  // As of before its revocation it was believed valid until 1000: the span must still lead there.
  EXPECT_EQ(one("SELECT (reach_to - valid_from) / 1000000000, span FROM lease JOIN name ON id = lease WHERE text = 'revoked'"), "900|10");
  EXPECT_EQ(lease("revoked", "state, endReason, endedAt, endedSeq"), "revoked|compromise|" + at(180) + "|5");
}

// Recorded an hour after it happened: valid time is the producer's, recorded time ours.
TEST_F(ViewLeases, AReportedLeaseEndsInEventTime) {
  grant("old", {.at = 5000, .occurred = 1000, .source = "import/vault", .producer = "bao"}, 1900, false);
  ended(Kind::leaseRevoked, "old", {.at = 5001, .occurred = 1500, .source = "import/vault", .producer = "bao"});
  project();
  EXPECT_EQ(lease("old", "state, reported, issuedAt, endedAt, grantedRecordedAt, endedRecordedAt"),
            "revoked|1|" + at(1000) + "|" + at(1500) + "|" + at(5000) + "|" + at(5001));
  EXPECT_EQ(validAt(1499), std::vector<std::string>{"old"});
  EXPECT_EQ(validAt(1500), std::vector<std::string>{});
  EXPECT_EQ(asOf("old", 0), "active|0|" + at(1900));
}

TEST_F(ViewLeases, ALateFactCountsButNeverReopens) {
  grant("late", {.at = 100, .occurred = 100, .source = "import/vault", .producer = "bao"}, 200, false);
  ended(Kind::leaseExpired, "late", {.at = 300, .occurred = 200, .source = "import/vault", .producer = "bao"});
  consumed("late", {.at = 400, .occurred = 150, .source = "import/vault", .producer = "bao"}, 1, false, true);
  renewed("late", 401, 9000);
  ended(Kind::leaseRevoked, "late", {.at = 402});
  project();
  EXPECT_EQ(lease("late", "state, uses, expiresAt, endedAt, endedSeq, renewals, lastSeq"), "expired|1|" + at(200) + "|" + at(200) + "|1|0|4");
  EXPECT_EQ(one("SELECT late, uses FROM uses"), "1|1");
}

TEST_F(ViewLeases, AUseThatNamesTheSecretFindsItsReportedLease) {
  const std::string secret = "fp2:1:AAAAAAAAAAAAAAAAAAAAAA";
  grant("a", {.at = 100}, 1000, false, secret);
  grant("b", {.at = 110}, 1000, false, secret);
  consumed(secret, {.at = 120}, 1);
  project();
  EXPECT_EQ(lease("a", "uses"), "0");
  EXPECT_EQ(lease("b", "uses"), "1");
  EXPECT_EQ(one("SELECT lease, fingerprint FROM uses"), "b|" + secret);
  EXPECT_EQ(one("SELECT count(DISTINCT seq) FROM fingerprints WHERE fingerprint = '" + secret + "'"), "3");
}

TEST_F(ViewLeases, ADoubleGrantCountsOnceUntilTheFirstIsForgotten) {
  grant("twice", {.at = 100}, 200, false);
  grant("twice", {.at = 101}, 9000, false);
  project();
  EXPECT_EQ(lease("twice", "grantedSeq, expiresAt"), "0|" + at(200));
  grant("again", {.at = 200}, 300);
  ended(Kind::leaseExpired, "again", {.at = 300});
  grant("again", {.at = 400}, 500);  // within a day of its end: the id still means the first
  grant("again", {.at = 300 + 86'400}, 90'000);
  project();
  EXPECT_EQ(rows("SELECT grantedSeq, state FROM leases WHERE lease = 'again' ORDER BY 1"), (std::vector<std::string>{"2|expired", "5|granted"}));
}

TEST_F(ViewLeases, AFailedIssueEndsIt) {
  grant("failed", {.at = 100}, 1000);
  issued("failed", 101, Outcome::failed);
  project();
  EXPECT_EQ(lease("failed", "state, endedSeq"), "failed|1");
}

TEST_F(ViewLeases, ABulkRevocationCountsWhatItEnded) {
  grant("x", {.at = 100, .run = "run-1"}, 1000);
  grant("y", {.at = 100, .run = "run-1"}, 1000);
  ledger.add(kOne, Kind::revocationOrdered, {.at = 110}, [&](Arena& arena, StructValue& body) {
    body.setText(arena, Field::revocationId, "rev-1");
    body.setNumber(Field::selector, static_cast<std::uint64_t>(RevocationSelector::run));
    body.setText(arena, Field::value, "run-1");
    body.setNumber(Field::matched, 2);
  });
  ended(Kind::leaseRevoked, "x", {.at = 111}, "rev-1");
  ended(Kind::leaseRevoked, "y", {.at = 111}, "rev-1");
  project();
  EXPECT_EQ(one("SELECT revocation, selector, value, matched, ended FROM revocations"), "rev-1|run|run-1|2|2");
  EXPECT_EQ(lease("y", "cascadeOf"), "rev-1");
}

// A producer may claim any time; nothing may overflow.
TEST_F(ViewLeases, ImpossibleTimesAreKeptAsClaimed) {
  ledger.add(kOne, Kind::leaseGranted, {.at = 10}, [&](Arena& arena, StructValue& body) {
    body.setText(arena, Field::leaseId, "wild");
    body.setTime(Field::issuedAt, {INT64_MAX});
    body.setTime(Field::expiresAt, {INT64_MIN});
  });
  ledger.add(kOne, Kind::leaseGranted, {.at = 11}, [&](Arena& arena, StructValue& body) {
    body.setText(arena, Field::leaseId, "wide");
    body.setTime(Field::issuedAt, {INT64_MIN});
    body.setTime(Field::expiresAt, {INT64_MAX});
  });
  project();
  EXPECT_EQ(rows("SELECT span FROM lease ORDER BY granted_seq"), (std::vector<std::string>{"0", "34"}));
  EXPECT_TRUE(problems().empty());
  EXPECT_EQ(one("SELECT count(*) FROM leases WHERE issuedAt IS NOT NULL"), "2");
}

}  // namespace
}  // namespace counterfoil::views

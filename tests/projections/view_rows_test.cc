// The other rows of a view: entries, text, runs, hosts, producers, bundles, vault, approvals.
#include <map>

#include "projections/views/sql/indexes.h"
#include "projections/views/sql/tables.h"
#include "tests/projections/view_fixture.h"

namespace counterfoil::views {
namespace {

using List = std::vector<std::string>;

class ViewRows : public ViewFixture {
 protected:
  void used(const Common& common, const std::string& operation, const List& resources, const std::string& agent = "git/2.39") {
    ledger.add(kOne, Kind::credentialUsed, common, [&](Arena& arena, StructValue& body) {
      body.setText(arena, Field::operation, operation);
      body.setText(arena, Field::userAgent, agent);
      const std::vector<std::string_view> texts(resources.begin(), resources.end());
      body.setTexts(arena, Field::resources, texts);
    });
  }
  List found(const std::string& words) {
    return rows("SELECT rowid FROM entry_text WHERE entry_text MATCH '" + words + "' ORDER BY rowid");
  }
};

TEST_F(ViewRows, EverySchemaPartFitsTogether) {
  Database database = Database::inMemory();
  database.execute(kTables);
  database.execute(kNameIndex);
  database.execute(kWorkingIndexes);
  database.execute(kReadingIndexes);
  database.execute(friendlyViews());
  for (const std::string& view : friendlyViewNames()) EXPECT_NO_THROW(database.execute("SELECT * FROM " + view)) << view;
  EXPECT_GE(friendlyViewNames().size(), 25u);
  const Table& lease = viewTable("lease");
  EXPECT_EQ(lease.columns[lease.key[0]].name, "granted_seq");
  EXPECT_EQ(lease.columns[lease.key[0]].type, ColumnType::sequence);
  EXPECT_EQ(viewTable("run_reach").key.size(), 3u);
}

TEST_F(ViewRows, AnEntryKeepsItsBytesAndItsFields) {
  used({.at = 5, .occurred = 3, .actor = "builder", .run = "run-1", .host = "host-1", .sandbox = "box-1", .source = "import/vault", .producer = "p", .producerSeq = 9},
       "s3:GetObject", {"bucket/a", "bucket/b", "bucket/a"});
  project();
  EXPECT_EQ(one("SELECT kind, occurredAt, recordedAt, actorKind, actor, run, host, sandbox, source, producer, producerSeq, operation FROM entries"),
            "credential.used|" + toRfc3339(ledger.time(3)) + "|" + toRfc3339(ledger.time(5)) +
                "|agent|builder|run-1|host-1|box-1|import/vault|p|9|s3:GetObject");
  EXPECT_EQ(rows("SELECT resource FROM resources ORDER BY 1"), (List{"bucket/a", "bucket/b"}));
  EXPECT_EQ(one("SELECT hex(bytes) = upper('" + toHex(ledger.entries(kOne)[0]) + "') FROM content"), "1");
  EXPECT_EQ(one("SELECT leafHash FROM entries"), toHex(ledger.leaf(kOne).bytes));
}

TEST_F(ViewRows, AnEntryKnowsThePlaceOfItsRecordInTheLog) {
  for (const WorkspaceNumber workspace : {kTwo, kOne, kTwo, kThree, kOne}) ledger.addSamples(workspace, 3);
  project();
  ledger.addSamples(kOne, 2);
  project();
  std::map<std::uint64_t, List> expected;
  const auto reader = ledger.log().read(PartitionId{0}, {});
  log::ValidRecord record;
  while (reader->next(record)) {
    if (record.kind != log::RecordKind::entry) continue;
    expected[record.workspace.value].push_back(std::to_string(record.seq.value) + '|' + std::to_string(record.position.value));
  }
  const auto places = [&](WorkspaceNumber workspace) { return rows("SELECT seq, log_position FROM content ORDER BY seq", workspace); };
  for (const WorkspaceNumber workspace : {kOne, kTwo, kThree}) EXPECT_EQ(places(workspace), expected[workspace.value]);
  rebuildAll();
  for (const WorkspaceNumber workspace : {kOne, kTwo, kThree}) EXPECT_EQ(places(workspace), expected[workspace.value]);
  ASSERT_EQ(expected[1].size(), 8U);
}

TEST_F(ViewRows, TextIsFoundByWordsPathsAndPrefixes) {
  used({.at = 1}, "git clone", {"github.com/acme/shop"});
  used({.at = 2}, "contents:read", {"github.com/acme/billing-api"}, "Mozilla/5.0 (Überprüfung)");
  used({.at = 3}, "acme clone shop", {"gitlab.com/other"});
  project();
  EXPECT_EQ(found("clone"), (List{"0", "2"}));
  EXPECT_EQ(found("\"github.com/acme/shop\""), List{"0"});
  EXPECT_EQ(found("\"contents:read\""), List{"1"});
  EXPECT_EQ(found("\"read:contents\""), List{});
  EXPECT_EQ(found("\"github.com/acme/bill\" *"), List{"1"});
  EXPECT_EQ(found("\"überprüfung\""), List{"1"});
  EXPECT_EQ(found("clone AND \"gitlab.com\""), List{"2"});
  // The end of one field and the beginning of the next are no phrase.
  EXPECT_EQ(found("\"clone github\""), List{});
  rebuildAll();
  EXPECT_EQ(found("\"github.com/acme/shop\""), List{"0"});
}

TEST_F(ViewRows, ARunShowsWhatItReachedAndWhatItWasRefused) {
  ledger.add(kOne, Kind::runStarted, {.at = 1, .run = "run-1"}, [&](Arena& arena, StructValue& body) { body.setText(arena, Field::agent, "fixer"); });
  used({.at = 2, .run = "run-1", .host = "host-1"}, "clone", {"github.com/acme/shop"});
  used({.at = 3, .run = "run-1"}, "push", {"github.com/acme/shop"});
  ledger.add(kOne, Kind::vaultRead, {.at = 4, .run = "run-1"}, [&](Arena& arena, StructValue& body) {
    body.setText(arena, Field::secretName, "prod/db");
    body.setNumber(Field::outcome, static_cast<std::uint64_t>(Outcome::error));
  });
  for (const bool allowed : {true, false}) {
    ledger.add(kOne, Kind::egressObserved, {.at = 5, .run = "run-1"}, [&](Arena& arena, StructValue& body) {
      body.setText(arena, Field::destination, "evil.example:443");
      body.setFlag(Field::allowed, allowed);
    });
  }
  ledger.add(kOne, Kind::runFinished, {.at = 9, .run = "run-1"},
             [&](Arena&, StructValue& body) { body.setNumber(Field::outcome, static_cast<std::uint64_t>(Outcome::ok)); });
  project();
  EXPECT_EQ(one("SELECT run, agent, outcome, entries, startedAt, finishedAt FROM runs"),
            "run-1|fixer|ok|7|" + toRfc3339(ledger.time(1)) + "|" + toRfc3339(ledger.time(9)));
  EXPECT_EQ(rows("SELECT what, value, count, refused, firstSeq, lastSeq FROM run_reached ORDER BY 1, 2"),
            (List{"destination|evil.example:443|2|1|4|5", "host|host-1|1|0|1|1", "resource|github.com/acme/shop|2|0|1|2", "secret|prod/db|1|1|3|3"}));
}

TEST_F(ViewRows, AHostIsConnectedUntilItsOwnConnectionEnds) {
  const auto host = [&](Kind kind, std::int64_t time, const std::string& connection) {
    ledger.add(kOne, kind, {.at = time, .host = "host-1"}, [&](Arena& arena, StructValue& body) { body.setText(arena, Field::connectionId, connection); });
  };
  host(Kind::hostConnected, 1, "c-1");
  host(Kind::hostConnected, 2, "c-2");
  host(Kind::hostDisconnected, 3, "c-1");
  project();
  EXPECT_EQ(one("SELECT state, connection FROM hosts"), "connected|c-2");
  host(Kind::hostDisconnected, 4, "c-2");
  project();
  EXPECT_EQ(one("SELECT state FROM hosts"), "disconnected");
  EXPECT_EQ(rows("SELECT connection, disconnectedSeq FROM connections ORDER BY connectedSeq"), (List{"c-1|", "c-2|3"}));
}

TEST_F(ViewRows, GapsOfAProducerOpenSplitAndClose) {
  const auto fact = [&](std::uint64_t number) {
    used({.at = 1, .source = "import/vault", .producer = "bao", .producerSeq = number}, "read", {});
  };
  const auto gaps = [&] { return rows("SELECT lowest, highest FROM producer_gaps ORDER BY 1"); };
  fact(1);
  fact(2);
  fact(10);
  project();
  EXPECT_EQ(gaps(), List{"3|9"});
  EXPECT_EQ(one("SELECT contiguous, greatest, facts FROM producers"), "2|10|3");
  fact(5);
  fact(5);
  fact(3);
  project();
  EXPECT_EQ(gaps(), (List{"4|4", "6|9"}));
  EXPECT_EQ(one("SELECT contiguous, greatest FROM producers"), "3|10");
  for (const std::uint64_t number : {9, 4, 8, 6, 7}) fact(number);
  fact(11);
  project();
  EXPECT_EQ(gaps(), List{});
  EXPECT_EQ(one("SELECT contiguous, greatest FROM producers"), "11|11");
  EXPECT_TRUE(problems().empty());
}

TEST_F(ViewRows, ANewBundleRetiresTheKeyItNames) {
  const auto issue = [&](const std::string& bundle, const std::string& key, const std::string& retires) {
    ledger.add(kOne, Kind::bundleIssued, {.at = 1, .host = "host-1"}, [&](Arena& arena, StructValue& body) {
      body.setText(arena, Field::bundleId, bundle);
      body.setText(arena, Field::installKey, key);
      if (!retires.empty()) body.setText(arena, Field::retires, retires);
    });
  };
  issue("b-1", "fp2:1:AAAA", "");
  ledger.add(kOne, Kind::bundleRedeemed, {.at = 2}, [&](Arena& arena, StructValue& body) { body.setText(arena, Field::fingerprint, "fp2:1:AAAA"); });
  issue("b-2", "fp2:1:BBBB", "fp2:1:AAAA");
  project();
  EXPECT_EQ(rows("SELECT bundle, state, redemptions, retiredAt IS NOT NULL FROM bundles ORDER BY 1"), (List{"b-1|retired|1|1", "b-2|issued|0|0"}));
}

TEST_F(ViewRows, AVaultSecretFollowsItsOperations) {
  const auto write = [&](VaultOperation operation, const std::string& version, Outcome outcome = Outcome::ok) {
    ledger.add(kOne, Kind::vaultWritten, {.at = 1}, [&](Arena& arena, StructValue& body) {
      body.setText(arena, Field::secretName, "prod/db");
      body.setText(arena, Field::version, version);
      body.setNumber(Field::operation, static_cast<std::uint64_t>(operation));
      body.setNumber(Field::outcome, static_cast<std::uint64_t>(outcome));
    });
  };
  write(VaultOperation::set, "1");
  write(VaultOperation::rotate, "2");
  write(VaultOperation::purge, "2", Outcome::error);
  project();
  EXPECT_EQ(one("SELECT state, version, writes, failures FROM vault_secrets"), "active|2|3|1");
  write(VaultOperation::softDelete, "");
  project();
  EXPECT_EQ(one("SELECT state, version FROM vault_secrets"), "soft_deleted|2");
  EXPECT_EQ(rows("SELECT operation, outcome FROM vault_versions ORDER BY seq"), (List{"set|ok", "rotate|ok", "purge|error", "soft_delete|ok"}));
}

TEST_F(ViewRows, TimesBefore1970ReadAsTheyAre) {
  RedactedEvent event = RedactedEvent::ofLedger(Kind::runStarted, EntryId{{1}});
  event.common().setTime(Field::occurredAt, {-500'000'000});
  ledger.add(kOne, std::move(event), ledger.time(1));
  project();
  EXPECT_EQ(one("SELECT occurredAt FROM entries"), "1969-12-31T23:59:59.5Z");
}

TEST_F(ViewRows, SamplesOfEveryKindAgreeWithTheirDigest) {
  ledger.addSamples(kOne, 600);
  project();
  EXPECT_EQ(one("SELECT count(DISTINCT kind) FROM entries"), std::to_string(kKindCount - 1));
  EXPECT_TRUE(problems().empty());
  for (const std::string& view : friendlyViewNames()) {
    EXPECT_NE(one("SELECT count(*) FROM " + view), "0") << view;
  }
}

}  // namespace
}  // namespace counterfoil::views

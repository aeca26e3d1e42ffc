// Random walks of commands, facts and time over the real state and a naive model: equal after every step, whatever is rolled back, restored
// or folded again in between.
#include "tests/ledger/core/lease_model.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/lease_expectations.h"

namespace counterfoil {
namespace {

using test::Ask;
using test::Desk;
using test::kHour;
using test::kMinute;
using test::kSecond;
using test::LeaseModel;
using test::ModelLease;
using test::ModelPolicy;
using test::operator+;

constexpr int kSeeds = 200;
constexpr int kSteps = 300;

class Walk {
 public:
  explicit Walk(std::uint64_t seed) : dice_(seed) {}

  void run() {
    for (step_ = 0; step_ < kSteps && !::testing::Test::HasFatalFailure() && !::testing::Test::HasNonfatalFailure(); ++step_) {
      if (oneIn(25)) {
        speculate();
      } else {
        step();
      }
      if (oneIn(40)) desk_.restart();
      if (oneIn(60)) {
        ASSERT_EQ(desk_.saved(), desk_.refolded());
      }
      check();
    }
    settle(static_cast<std::size_t>(-1));
    check();
    ASSERT_EQ(desk_.saved(), desk_.refolded());
  }
  int stepsDone() const { return step_; }
  std::size_t entries() const { return desk_.size(); }

 private:
  // ---- dice ----
  std::uint64_t below(std::uint64_t bound) { return dice_() % bound; }
  bool oneIn(std::uint64_t count) { return below(count) == 0; }
  std::string any(std::initializer_list<const char*> of) { return *(of.begin() + below(of.size())); }
  std::int64_t now() const { return desk_.now.nanoseconds; }

  // A lease the writer must still know, or no lease at all.
  std::string someLease(bool reported) {
    std::vector<std::string> ids;
    for (const auto& [id, lease] : model_.leases) {
      // The youngest are what happens is about; the others now and then.
      if (lease.reported == reported && !LeaseModel::isOld(lease, now()) && (!lease.end || oneIn(4))) ids.push_back(id);
    }
    return ids.empty() || oneIn(30) ? "nobody" : ids[below(ids.size())];
  }

  // ---- steps ----
  void step() {
    advance();
    switch (below(20)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return request();
      case 4:
      case 5:
        return issue();
      case 6:
      case 7:
      case 8:
        return consume();
      case 9:
        return renew();
      case 10:
        return revoke();
      case 11:
        return oneIn(3) ? revokeAll() : settle(1 + below(4));
      case 12:
        return approval();
      case 13:
        return settings();
      case 14:
      case 15:
      case 16:
        return fact();
      case 17:
        return importFinished();
      default:
        return settle(static_cast<std::size_t>(-1));
    }
  }

  void advance() {
    const std::uint64_t kind = below(100);
    std::int64_t by = 0;
    if (kind < 40) by = static_cast<std::int64_t>(below(20 * kSecond));
    if (kind >= 90) by = static_cast<std::int64_t>(below(10 * kMinute));
    if (kind >= 96) by = static_cast<std::int64_t>(below(2 * kHour));
    if (kind == 99) by = static_cast<std::int64_t>(20 * kHour + below(10 * kHour));
    desk_.now = desk_.now + by;
  }

  Ask randomAsk() {
    Ask ask;
    if (oneIn(3)) ask.id = "l" + std::to_string(++names_);
    ask.grantee = oneIn(20) ? "banned" : any({"fixer", "mole", "owl"});
    if (oneIn(2)) ask.run = any({"r1", "r2", "r3"});
    if (oneIn(2)) ask.host = any({"h1", "h2"});
    if (oneIn(3)) ask.bundle = any({"b1", "b2"});
    if (oneIn(2)) ask.secret = test::secretText(static_cast<std::uint8_t>(1 + below(6)));
    if (oneIn(2)) ask.parent = someLease(false);
    if (oneIn(40)) ask.parent = someLease(true);
    ask.scope = {"repo:read"};
    if (ask.parent.empty() || oneIn(8)) ask.scope.emplace_back("repo:write");
    if (oneIn(4)) ask.resources = {"acme/a"};
    if (oneIn(6)) ask.resources = {"acme/a", "acme/b"};
    if (oneIn(12)) ask.scope = {"danger:x"};
    ask.ttl = oneIn(40) ? 86'401 : 1 + below(oneIn(3) ? 60 : ask.parent.empty() ? 7'200 : 1'200);
    if (ask.scope.front() != "danger:x" && oneIn(3)) ask.renewable = 1 + below(7'200);
    if (oneIn(3)) ask.maxUses = 1 + below(4);
    if (!model_.approvals.empty() && oneIn(6)) {
      const std::string approval = std::next(model_.approvals.begin(), static_cast<std::ptrdiff_t>(below(model_.approvals.size())))->first;
      // Approvals long over may be forgotten.
      if (now() < model_.approvals.at(approval).expiresAt + 20 * kHour) {
        if (!oneIn(4)) ask = model_.approvals.at(approval).ask;
        ask.approval = approval;
      }
    }
    return ask;
  }

  void request() {
    const Ask ask = randomAsk();
    const auto expected = model_.refusalOfGrant(ask, now());
    const Ruling ruling = desk_.request(ask);
    compare(ruling, expected, "request");
    if (!ruling.denied) model_.grant(ruling.leaseId, ask, now());
  }

  void issue() {
    const std::string id = someLease(false);
    const bool fails = oneIn(5);
    auto expected = model_.refusal(id, now());
    const ModelLease* lease = model_.find(id);
    if (!expected) {
      expected = ReasonCode::notActive;  // issued before
    } else if (lease != nullptr && *expected == ReasonCode::notActive && !lease->end) {
      expected.reset();
    }
    const Ruling ruling = desk_.issue(id, fails ? Outcome::failed : Outcome::issued, oneIn(2) ? test::secretText(7) : "");
    compare(ruling, expected, "issue");
    if (ruling.denied) return;
    if (const std::string secret = desk_.last().text(Field::secret); !secret.empty()) model_.find(id)->secret = secret;
    if (fails) {
      model_.end(id, LeaseState::failed, now());
    } else {
      model_.find(id)->issued = true;
    }
  }

  void consume() {
    const std::string id = someLease(false);
    const auto expected = model_.refusalOfUse(id, now());
    const Ruling ruling = desk_.consume(id);
    compare(ruling, expected, "consume");
    if (ruling.denied) return;
    ModelLease* lease = model_.find(id);
    if (++lease->uses == lease->ask.maxUses) model_.end(id, LeaseState::consumedOut, now());
  }

  void renew() {
    const std::string id = someLease(false);
    const std::uint64_t ttl = 1 + below(3'600);
    const auto expected = model_.refusalOfRenewal(id, ttl, now());
    const Ruling ruling = desk_.renew(id, ttl);
    compare(ruling, expected, "renew");
    if (ruling.denied) return;
    ModelLease* lease = model_.find(id);
    lease->expiresAt = std::max(lease->expiresAt, now() + static_cast<std::int64_t>(ttl) * kSecond);
  }

  void revoke() {
    const std::string id = someLease(false);
    const auto over = model_.refusal(id, now());
    if (over == ReasonCode::unknownLease) {
      test::expectFault(ErrorCode::noSuchItem, [&] { desk_.revoke(id); });
      return;
    }
    const bool open = !over || (*over == ReasonCode::notActive && !model_.find(id)->end);
    ASSERT_EQ(desk_.revoke(id).entries.size(), open ? 1U : 0U) << "revoke";
    if (open) model_.end(id, LeaseState::revoked, now());
  }

  void revokeAll() {
    const std::string lease = someLease(false);
    const auto check = [&](const Ruling& ruling, auto&& matches) {
      ASSERT_EQ(ruling.matched, model_.order(ruling.revocationId, matches)) << "revoke all";
    };
    switch (below(6)) {
      case 0:
        return check(desk_.revokeAll(RevocationSelector::run, "r1"),
                     [](const auto&, const ModelLease& each) { return each.ask.run == "r1"; });
      case 1:
        return check(desk_.revokeAll(RevocationSelector::host, "h2"),
                     [](const auto&, const ModelLease& each) { return each.ask.host == "h2"; });
      case 2:
        return check(desk_.revokeAll(RevocationSelector::bundle, "b1"),
                     [](const auto&, const ModelLease& each) { return each.ask.bundle == "b1"; });
      case 3:
        return check(desk_.revokeAll(RevocationSelector::principal, "owl"),
                     [](const auto&, const ModelLease& each) { return each.ask.grantee == "owl"; });
      case 4: {
        const std::string secret = test::secretText(3);
        return check(desk_.revokeAll(RevocationSelector::credential, secret),
                     [&](const auto&, const ModelLease& each) { return each.secret == secret; });
      }
      default:
        return check(desk_.revokeAll(RevocationSelector::parent, lease),
                     [&](const std::string& id, const ModelLease&) { return id == lease; });
    }
  }

  void approval() {
    std::vector<std::string> open;
    for (const auto& [id, each] : model_.approvals) {
      if (each.decision == Decision::unspecified && now() < each.expiresAt) open.push_back(id);
    }
    if (open.empty() || oneIn(2)) {
      Ask ask = randomAsk();
      ask.scope = {"danger:x"};
      ask.renewable = 0;
      ask.id.clear();
      ask.approval.clear();
      ask.parent.clear();
      const std::string id = "a" + std::to_string(++names_);
      if (model_.closed) return test::expectFault(ErrorCode::workspaceClosed, [&] { desk_.askApproval(ask, id, "asker"); });
      const std::uint64_t seconds = 60 + below(3'600);
      desk_.askApproval(ask, id, "asker", seconds);
      model_.approvals[id] = {ask, "asker", now() + static_cast<std::int64_t>(seconds) * kSecond, Decision::unspecified, false};
      return;
    }
    const std::string id = open[below(open.size())];
    const Decision decision = oneIn(3) ? Decision::rejected : Decision::approved;
    if (model_.closed) return test::expectFault(ErrorCode::workspaceClosed, [&] { desk_.decideApproval(id, decision, "boss"); });
    if (oneIn(4)) test::expectFault(ErrorCode::notAllowed, [&] { desk_.decideApproval(id, Decision::approved, "asker"); });
    desk_.decideApproval(id, decision, "boss");
    model_.approvals.at(id).decision = decision;
  }

  void settings() {
    if (oneIn(60)) {
      if (!model_.closed) desk_.close();
      model_.closed = true;
      return;
    }
    const bool strict = model_.policy == ModelPolicy::ordinary && oneIn(8);
    const std::string_view document = strict ? "name = \"strict\"\n" : test::kTestPolicy;
    if (model_.closed) return test::expectFault(ErrorCode::workspaceClosed, [&] { desk_.setPolicy(document); });
    ASSERT_EQ(desk_.setPolicy(document).policyVersion, ++model_.policyVersion);
    model_.policy = strict ? ModelPolicy::strict : ModelPolicy::ordinary;
  }

  // ---- facts ----
  struct Producer {
    std::string source, name;
    std::string key() const { return source + "/" + name; }
  };
  Producer someProducer() {
    switch (below(3)) {
      case 0:
        return {"openbao", "p1"};
      case 1:
        return {"openbao", "p2"};
      default:
        return {"api", ""};
    }
  }

  void fact() {
    static constexpr Kind kKinds[] = {Kind::leaseGranted, Kind::leaseGranted, Kind::leaseGranted, Kind::leaseConsumed, Kind::leaseConsumed,
                                      Kind::leaseRenewed, Kind::leaseRevoked, Kind::leaseExpired, Kind::runStarted,    Kind::leaseDenied};
    const Kind kind = kKinds[below(std::size(kKinds))];
    const Producer producer = someProducer();
    const std::int64_t at = now() - static_cast<std::int64_t>(below(40 * kMinute)) + (oneIn(10) ? 5 * kMinute : 0);
    std::string id = someLease(!oneIn(20));
    if (kind == Kind::leaseGranted && (id == "nobody" || !oneIn(10))) id = "f" + std::to_string(++names_);
    ModelLease* lease = model_.find(id);
    const std::int64_t expiresAt = oneIn(8) ? 0 : at + static_cast<std::int64_t>(1 + below(kHour));
    const std::string secret = kind == Kind::leaseGranted && oneIn(2) ? test::secretText(static_cast<std::uint8_t>(10 + below(200))) : "";
    const bool byFingerprint = kind == Kind::leaseConsumed && lease != nullptr && lease->reported && isNewestOf(id, lease->secret);
    const auto tell = [&] {
      desk_.fact({.kind = kind, .occurredAt = {at}, .source = producer.source, .producer = producer.name},
                 [&](Arena& arena, StructValue& body) {
                   if (body.has(Field::leaseId) && !byFingerprint) body.setText(arena, Field::leaseId, id);
                   if (byFingerprint) body.setText(arena, Field::fingerprint, lease->secret);
                   if (kind == Kind::leaseGranted) setPrincipal(arena, body, Field::grantee, {PrincipalKind::agent, "owl"});
                   if (kind == Kind::leaseGranted) body.setText(arena, Field::secret, secret);
                   if (kind == Kind::leaseGranted || kind == Kind::leaseRenewed) body.setTime(Field::expiresAt, {expiresAt});
                   if (kind == Kind::leaseDenied)
                     body.setNumber(Field::reasonCode, static_cast<std::uint64_t>(ReasonCode::upstreamRefused));
                 });
    };
    if (model_.closed) return test::expectFault(ErrorCode::workspaceClosed, tell);
    if (kind != Kind::runStarted && lease != nullptr && !lease->reported) return test::expectFault(ErrorCode::commandedLease, tell);
    tell();
    model_.tell(producer.key(), at);
    applyFact(kind, id, lease, producer.key(), at, expiresAt, secret);
  }

  void applyFact(Kind kind, const std::string& id, ModelLease* lease, const std::string& producer, std::int64_t at, std::int64_t expiresAt,
                 const std::string& secret) {
    const auto entry = desk_.last();
    const bool known = lease != nullptr && kind != Kind::runStarted;
    const bool ended = known && lease->end.has_value();
    if (entry.body().has(Field::late) && known) {
      EXPECT_EQ(entry.body().flag(Field::late), ended) << kindName(kind);
    }
    const bool ends = known && !ended && (kind == Kind::leaseRevoked || kind == Kind::leaseExpired);
    EXPECT_EQ(entry.terminal(), ends) << kindName(kind);
    if (kind == Kind::leaseGranted && !known) {
      ModelLease added;
      added.reported = added.issued = true;
      added.ask.grantee = "owl";
      added.secret = secret;
      added.producer = producer;
      added.expiresAt = expiresAt;
      model_.leases[id] = added;
      newestOf_[secret] = id;
      return;
    }
    if (!known) return;
    if (kind == Kind::leaseConsumed) {
      EXPECT_EQ(entry.body().number(Field::uses), ++lease->uses);
      EXPECT_EQ(entry.text(Field::leaseId), id);
    }
    if (kind == Kind::leaseRenewed && !ended) lease->expiresAt = expiresAt;
    if (ends) model_.end(id, kind == Kind::leaseRevoked ? LeaseState::revoked : LeaseState::expired, std::min(at, now()));
  }

  bool isNewestOf(const std::string& id, const std::string& secret) { return !secret.empty() && newestOf_[secret] == id && oneIn(2); }

  void importFinished() {
    if (!oneIn(3)) return;
    const Producer producer = someProducer();
    desk_.importFinished(producer.source, producer.name);
    model_.producers[producer.key()].finished = true;
  }

  // ---- ends ----
  void settle(std::size_t most) {
    const std::size_t from = desk_.size();
    const std::size_t written = desk_.settle(most);
    ASSERT_EQ(desk_.size(), from + written);
    for (std::size_t seq = from; seq < desk_.size(); ++seq) expectRightEnd(desk_.at(seq));
    if (written >= most) return;
    for (const auto& [id, lease] : model_.leases) {
      EXPECT_FALSE(lease.owed) << id << " still waits for its owed end";
      EXPECT_FALSE(model_.isOpen(lease) && now() >= LeaseModel::dueAt(lease)) << id << " is due and was not ended";
      EXPECT_FALSE(model_.isReportedDue(lease, now())) << id << " is passed by its watermark";
    }
    EXPECT_FALSE(desk_.state().hasOwed());
  }

  void expectRightEnd(const test::ReadBack& entry) {
    const std::string id = entry.text(Field::leaseId);
    ModelLease* lease = model_.find(id);
    ASSERT_NE(lease, nullptr);
    ASSERT_FALSE(lease->end) << id << " ends twice";
    ASSERT_TRUE(entry.terminal());
    const bool revoked = entry.view.kind() == Kind::leaseRevoked;
    ASSERT_TRUE(revoked || entry.view.kind() == Kind::leaseExpired);
    const LeaseState how = revoked ? LeaseState::revoked : LeaseState::expired;
    if (!revoked) {
      EXPECT_EQ(entry.body().number(Field::uses), lease->uses);
      EXPECT_EQ(entry.body().time(Field::expiresAt).nanoseconds, lease->expiresAt);
    }
    if (lease->reported) {
      EXPECT_TRUE(model_.isReportedDue(*lease, now())) << id;
      EXPECT_EQ(entry.reason(), ReasonCode::ttl);
      EXPECT_EQ(entry.view.occurredAt.nanoseconds, lease->expiresAt);
      return model_.end(id, how, std::min(lease->expiresAt, now()));
    }
    if (lease->owed) {
      EXPECT_EQ(*lease->owed, how) << id;
      EXPECT_EQ(entry.text(Field::cascadeOf), lease->owedBecause) << id;
      EXPECT_EQ(entry.reason(), revoked ? ReasonCode::cascade : ReasonCode::parent) << id;
    } else {
      EXPECT_FALSE(revoked) << id;
      EXPECT_GE(now(), LeaseModel::dueAt(*lease)) << id << " ends before its time";
      const bool unissued = !lease->issued && LeaseModel::issueBy(*lease) < lease->expiresAt;
      EXPECT_EQ(entry.reason(), unissued ? ReasonCode::notIssued : ReasonCode::ttl) << id;
      EXPECT_EQ(entry.body().number(Field::lateByMs), static_cast<std::uint64_t>(now() - LeaseModel::dueAt(*lease)) / 1'000'000);
    }
    model_.end(id, how, now());
  }

  // ---- speculation ----
  void speculate() {
    WorkspaceState& state = desk_.state();
    state.commitTo(state.mark());
    struct Place {
      std::vector<std::uint8_t> bytes;
      LeaseModel model;
      std::size_t size;
      std::map<std::string, std::string> newestOf;
    };
    const auto here = [&] { return Place{desk_.saved(), model_, desk_.size(), newestOf_}; };
    const auto steps = [&] {
      for (std::uint64_t left = 1 + below(12); left > 0; --left) {
        step();
        if (oneIn(4)) check();
      }
    };
    const Place start = here();
    steps();
    const std::uint64_t mark = state.mark();
    const Place middle = here();
    steps();
    if (oneIn(4)) {
      state.commitTo(state.mark());
      return;
    }
    const bool half = oneIn(2);
    const Place& back = half ? middle : start;
    if (half) state.commitTo(mark);
    state.rollback();
    model_ = back.model;
    newestOf_ = back.newestOf;
    desk_.forgetFrom(back.size);
    terminals_.clear();
    entryIds_.clear();
    counted_ = 0;
    ASSERT_TRUE(desk_.saved() == back.bytes) << (half ? "the second of two batches rolled back" : "both batches rolled back");
    state.commitTo(mark);  // of a batch that is gone: means nothing
    check();
  }

  // ---- what must always hold ----
  static void compare(const Ruling& ruling, std::optional<ReasonCode> expected, const char* what) {
    ASSERT_EQ(ruling.denied, expected.has_value())
        << what << ", expected reason " << static_cast<int>(expected.value_or(ReasonCode::unspecified)) << ", got "
        << static_cast<int>(ruling.reasonCode);
    if (expected) {
      ASSERT_EQ(ruling.reasonCode, *expected) << what;
    }
    ASSERT_FALSE(ruling.entries.empty()) << what;
  }

  void countEntries() {
    for (; counted_ < desk_.size(); ++counted_) {
      const auto entry = desk_.at(counted_);
      EXPECT_TRUE(entryIds_.insert(entry.view.id).second) << "two entries of one id";
      if (entry.terminal()) ++terminals_[entry.text(Field::leaseId)];
    }
  }

  void check() {
    countEntries();
    std::uint64_t live = 0;
    for (const auto& [id, lease] : model_.leases) {
      live += lease.end ? 0 : 1;
      ASSERT_EQ(terminals_[id], lease.end ? 1 : 0) << id << ": terminal entries";
      const LeaseSlot slot = desk_.state().slotOf(id);
      if (slot == kNoLease && LeaseModel::isOld(lease, now())) continue;
      ASSERT_NE(slot, kNoLease) << id;
      checkLease(id, lease, slot);
    }
    EXPECT_EQ(desk_.state().liveLeases(), live);
    for (const char* grantee : {"fixer", "mole", "owl", "banned"}) {
      EXPECT_EQ(desk_.state().outstanding(test::agent(grantee)), model_.outstanding(grantee)) << grantee;
    }
    EXPECT_EQ(desk_.state().policyVersion(), model_.policyVersion);
    EXPECT_EQ(desk_.state().closed(), model_.closed);
    for (const auto& [id, approval] : model_.approvals) {
      const Approval* real = desk_.state().findApproval(id);
      if (real == nullptr && approval.expiresAt + test::kForever < now()) continue;
      ASSERT_NE(real, nullptr) << id;
      EXPECT_EQ(static_cast<Decision>(real->decision), approval.decision) << id;
      EXPECT_EQ(real->usedUp, approval.used) << id;
    }
  }

  void checkLease(const std::string& id, const ModelLease& lease, LeaseSlot slot) {
    const Lease& real = desk_.state().lease(slot);
    const LeaseState state = lease.end ? *lease.end : lease.issued ? LeaseState::active : LeaseState::granted;
    ASSERT_EQ(real.state, state) << id;
    ASSERT_EQ(real.uses, lease.uses) << id;
    ASSERT_EQ(real.expiresAt.nanoseconds, lease.expiresAt) << id;
    ASSERT_EQ(real.cause != 0, lease.owed.has_value()) << id;
    if (lease.owed) {
      const OwedCause& cause = desk_.state().causeOf(real);
      ASSERT_EQ(cause.revoked, *lease.owed == LeaseState::revoked) << id;
      ASSERT_EQ(cause.cascadeOf, lease.owedBecause) << id;
    }
    if (lease.end || lease.owed || lease.expiresAt == 0) return;
    ASSERT_TRUE(desk_.timers().isArmed(desk_.state(), slot, {lease.reported ? lease.expiresAt : LeaseModel::dueAt(lease)}))
        << id << ": no timer that counts";
  }

  std::mt19937_64 dice_;
  Desk desk_{false};
  LeaseModel model_;
  int step_ = 0;
  std::uint64_t names_ = 0;
  std::map<std::string, std::string> newestOf_;
  std::map<std::string, int> terminals_;
  std::set<EntryId> entryIds_;
  std::size_t counted_ = 0;
};

TEST(LeaseModel, agreesWithTheStateOnRandomWalks) {
  std::size_t entries = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Walk walk(seed);
    walk.run();
    entries += walk.entries();
    ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed << ", step " << walk.stepsDone();
  }
  EXPECT_GT(entries, std::size_t{kSeeds} * kSteps / 2);
}

}  // namespace
}  // namespace counterfoil

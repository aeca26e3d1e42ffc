// Bundles, hosts, vault, runs, principals, approvals, denials, stats.
#include <set>

#include "tests/projections/query_fixture.h"

namespace counterfoil::test {
namespace {

using query::ListKind;

void bundle(QueryDesk& desk, Kind kind, const std::string& id, const std::string& host) {
  desk.event(kind, {PrincipalKind::agent, "boss", {}, host, {}, {}},
             [&](Arena& arena, StructValue& body) { body.setText(arena, Field::bundleId, id); });
}

void vault(QueryDesk& desk, const std::string& secret, VaultOperation operation) {
  desk.event(Kind::vaultWritten, {PrincipalKind::agent, "boss", {}, {}, {}, {}}, [&](Arena& arena, StructValue& body) {
    body.setText(arena, Field::secretName, secret);
    body.setNumber(Field::operation, static_cast<std::uint64_t>(operation));
    body.setNumber(Field::outcome, static_cast<std::uint64_t>(Outcome::ok));
  });
}

class QueryTables : public testing::Test {
 protected:
  void SetUp() override {
    bundle(desk_, Kind::bundleIssued, "b1", "h1");
    issuedSeq_ = desk_.size() - 1;
    bundle(desk_, Kind::bundleIssued, "b2", "h2");
    bundle(desk_, Kind::bundleRedeemed, "b1", "h1");
    redeemedSeq_ = desk_.size() - 1;
    bundle(desk_, Kind::bundleRetired, "b1", {});
    desk_.event(Kind::hostConnected, {PrincipalKind::agent, "op", {}, "h1", {}, {}}, [](Arena&, StructValue&) {});
    desk_.event(Kind::hostConnected, {PrincipalKind::agent, "op", {}, "h2", {}, {}}, [](Arena&, StructValue&) {});
    desk_.event(Kind::hostDisconnected, {PrincipalKind::agent, "op", {}, "h2", {}, {}}, [](Arena&, StructValue&) {});
    vault(desk_, "kv/a", VaultOperation::set);
    vault(desk_, "kv/b", VaultOperation::set);
    vault(desk_, "kv/b", VaultOperation::purge);
    for (const char* run : {"r1", "r2", "r3"})
      desk_.used({PrincipalKind::agent, "fixer", run, "h1", {}, {}}, {std::string("repo/") + run, "repo/all"});
    Ask ask;
    ask.id = "gated";
    ask.scope = {"danger:everything"};
    desk_.request(ask);  // denied: no approval
    desk_.askApproval(ask, "ap1", "fixer");
    requestedSeq_ = desk_.size() - 1;
    desk_.decideApproval("ap1", Decision::approved, "boss");
    decidedSeq_ = desk_.size() - 1;
    ask.approval = "ap1";
    EXPECT_FALSE(desk_.request(ask).denied);
    desk_.askApproval(ask, "ap2", "fixer");
    ask.id = "refused";
    ask.grantee = "banned";
    ask.approval.clear();
    desk_.request(ask);  // denied: policy
    desk_.project();
  }
  std::vector<std::string> names(ListKind list, const char* member, const Parameters& parameters) {
    return ask(reader_, list, parameters).texts(member);
  }
  using Names = std::vector<std::string>;

  QueryDesk desk_;
  std::size_t issuedSeq_ = 0, redeemedSeq_ = 0, requestedSeq_ = 0, decidedSeq_ = 0;
  query::ViewReader reader_{desk_.views(), kQueryWorkspace};
};

TEST_F(QueryTables, BundlesByStateAndHostNowAndThen) {
  EXPECT_EQ(names(ListKind::bundles, "bundle", {{"order", "asc"}}), (Names{"b1", "b2"}));
  EXPECT_EQ(names(ListKind::bundles, "state", {{"order", "asc"}}), (Names{"retired", "issued"}));
  EXPECT_EQ(names(ListKind::bundles, "bundle", {{"state", "retired"}}), Names{"b1"});
  EXPECT_EQ(names(ListKind::bundles, "bundle", {{"host", "h2"}}), Names{"b2"});
  EXPECT_EQ(names(ListKind::bundles, "bundle", {{"bundle", "b1"}, {"host", "h2"}}), Names{});
  EXPECT_EQ(names(ListKind::bundles, "bundle", {{"asOf", std::to_string(issuedSeq_)}}), Names{"b1"});
  const auto then = std::to_string(redeemedSeq_);
  EXPECT_EQ(names(ListKind::bundles, "bundle", {{"asOf", then}, {"state", "redeemed"}}), Names{"b1"});
  EXPECT_EQ(names(ListKind::bundles, "bundle", {{"asOf", then}, {"state", "retired"}}), Names{});
  const Answered answered = ask(reader_, ListKind::bundles, {{"asOf", then}, {"bundle", "b1"}});
  EXPECT_TRUE(answered.items().at(0).as_object().contains("redeemedAt"));
  EXPECT_FALSE(answered.items().at(0).as_object().contains("retiredAt")) << "nobody knew";
}

TEST_F(QueryTables, Hosts) {
  EXPECT_EQ(names(ListKind::hosts, "host", {{"state", "connected"}}), Names{"h1"});
  EXPECT_EQ(names(ListKind::hosts, "host", {{"state", "disconnected"}}), Names{"h2"});
  EXPECT_EQ(ask(reader_, ListKind::hosts, {{"host", "h1"}}).items().at(0).as_object().at("entries").to_number<int>(), 6);
}

TEST_F(QueryTables, Vault) {
  EXPECT_EQ(names(ListKind::vault, "secret", {{"state", "active"}}), Names{"kv/a"});
  EXPECT_EQ(names(ListKind::vault, "state", {{"resource", "kv/b"}}), Names{"purged"});
}

TEST_F(QueryTables, ARunBringsWhatItReached) {
  EXPECT_EQ(names(ListKind::runs, "run", {{"order", "asc"}}), (Names{"r1", "r2", "r3"}));
  const auto item = ask(reader_, ListKind::runs, {{"run", "r2"}}).items().at(0).as_object();
  std::set<std::string> reached;
  for (const auto& one : item.at("reached").as_array()) reached.insert(std::string(one.as_object().at("value").as_string()));
  EXPECT_TRUE(reached.contains("repo/r2"));
  EXPECT_TRUE(reached.contains("repo/all"));
  EXPECT_FALSE(reached.contains("repo/r1")) << "of another run";
}

TEST_F(QueryTables, PagesOfTablesHoldEveryRowOnce) {
  for (const char* order : {"asc", "desc"}) {
    Names all;
    std::string after;
    do {
      Parameters parameters = {{"limit", "2"}, {"order", order}};
      if (!after.empty()) parameters.emplace_back("after", after);
      const Answered page = ask(reader_, ListKind::runs, parameters);
      for (const std::string& run : page.texts("run")) all.push_back(run);
      after = page.next();
    } while (!after.empty());
    EXPECT_EQ(all, order == std::string_view("asc") ? (Names{"r1", "r2", "r3"}) : (Names{"r3", "r2", "r1"}));
  }
}

TEST_F(QueryTables, ACursorOfARebuiltViewIsRefusedWhenItsNamesHaveOtherNumbers) {
  const std::string after = ask(reader_, ListKind::runs, {{"limit", "2"}}).next();
  ASSERT_FALSE(after.empty());
  EXPECT_EQ(ask(reader_, ListKind::runs, {{"limit", "2"}, {"after", after}}).items().size(), 1U);
  {
    Database database = Database::open(desk_.viewFile());
    database.execute("UPDATE name SET id = id + 100000 WHERE text IN ('r1', 'r2', 'r3')");
  }
  EXPECT_EQ(faultOf([&] { ask(reader_, ListKind::runs, {{"limit", "2"}, {"after", after}}); }).code(), ErrorCode::badCursor);
}

TEST_F(QueryTables, ApprovalsByStateAndPersonNowAndThen) {
  EXPECT_EQ(names(ListKind::approvals, "approval", {{"order", "asc"}}), (Names{"ap1", "ap2"}));
  EXPECT_EQ(names(ListKind::approvals, "approval", {{"state", "used"}}), Names{"ap1"});
  EXPECT_EQ(names(ListKind::approvals, "approval", {{"actor", "agent:boss"}}), Names{"ap1"}) << "who decided";
  EXPECT_EQ(names(ListKind::approvals, "approval", {{"actor", "agent:fixer"}, {"state", "requested"}}), Names{"ap2"}) << "who asked";
  EXPECT_EQ(names(ListKind::approvals, "state", {{"asOf", std::to_string(requestedSeq_)}}), Names{"requested"});
  EXPECT_EQ(names(ListKind::approvals, "state", {{"asOf", std::to_string(decidedSeq_)}}), Names{"approved"});
  const auto then = ask(reader_, ListKind::approvals, {{"asOf", std::to_string(requestedSeq_)}}).items().at(0).as_object();
  EXPECT_FALSE(then.contains("decidedBy"));
  EXPECT_FALSE(then.contains("lease"));
  EXPECT_EQ(ask(reader_, ListKind::approvals, {{"lease", "gated"}}).items().size(), 1U);
}

TEST_F(QueryTables, DenialsByReason) {
  EXPECT_EQ(names(ListKind::denials, "reasonCode", {{"order", "asc"}}), (Names{"approval_missing", "policy"}));
  EXPECT_EQ(names(ListKind::denials, "reasonCode", {{"reason", "policy"}}), Names{"policy"});
  EXPECT_EQ(names(ListKind::denials, "kind", {{"scope", "danger:everything"}}), (Names{"lease.denied", "lease.denied"}));
  EXPECT_TRUE(ask(reader_, ListKind::denials, {{"reason", "expired"}}).items().empty());
}

TEST_F(QueryTables, PrincipalsAndStats) {
  const auto principal = ask(reader_, ListKind::principals, {{"actor", "agent:fixer"}}).items().at(0).as_object();
  EXPECT_EQ(principal.at("principal").as_object().at("kind").as_string(), "agent");
  EXPECT_EQ(principal.at("principal").as_object().at("id").as_string(), "fixer");
  EXPECT_EQ(principal.at("grants").to_number<int>(), 1);
  const auto stats = boost::json::parse(reader_.stats()).as_object();
  EXPECT_EQ(stats.at("entries").to_number<std::size_t>(), desk_.size());
  EXPECT_EQ(stats.at("kinds").as_object().at("bundle.issued").to_number<int>(), 2);
  EXPECT_EQ(stats.at("denials").as_object().at("policy").to_number<int>(), 1);
  EXPECT_EQ(stats.at("digest").as_string().size(), 64U);
}

}  // namespace
}  // namespace counterfoil::test

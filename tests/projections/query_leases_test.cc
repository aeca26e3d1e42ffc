// Leases now, at a time, and as of a seq, against the writer's own fold of the same entries.
#include <algorithm>
#include <map>

#include "tests/ledger/core/fill_values.h"
#include "tests/projections/query_fixture.h"

namespace counterfoil::test {
namespace {

using query::ListKind;

std::string id(std::size_t number) {
  return "lease-" + std::to_string(number);
}

// An hour of grants, issues, uses, renewals, revocations and expiries.
std::size_t play(QueryDesk& desk, std::uint64_t seed, std::size_t steps) {
  Dice dice(seed);
  std::size_t leases = 0;
  for (std::size_t step = 0; step < steps; ++step) {
    desk.now = desk.now + static_cast<std::int64_t>(dice.below(8)) * kSecond;
    desk.settle();
    const auto recent = [&] { return id(leases - 1 - dice.below(std::min<std::size_t>(leases, 12))); };
    const std::string some = leases == 0 ? std::string() : recent();
    switch (leases == 0 ? 0 : dice.below(6)) {
      case 0: {
        Ask ask;
        ask.id = id(leases++);
        ask.grantee = "g" + std::to_string(dice.below(3));
        ask.run = "r" + std::to_string(dice.below(3));
        if (dice.oneIn(2)) ask.host = "h" + std::to_string(dice.below(2));
        ask.resources = {"repo/" + std::to_string((leases - 1) % 3)};
        ask.ttl = 30 + dice.below(600);
        ask.maxUses = dice.oneIn(3) ? 2 : 0;
        ask.renewable = 3'600;
        if (!some.empty() && dice.oneIn(3)) {
          ask.parent = some;
          ask.ttl = 20;
          ask.renewable = 0;
          ask.resources = {"repo/" + std::to_string(std::stoul(some.substr(6)) % 3)};
        }
        if (desk.request(ask).denied) {
          --leases;  // its parent had ended
        } else if (!dice.oneIn(3)) {
          desk.issue(ask.id);
        }
        break;
      }
      case 1:
        desk.issue(some);
        break;
      case 2:
      case 3:
        desk.consume(some);
        break;
      case 4:
        desk.renew(some, 600);
        break;
      default:
        if (dice.oneIn(3)) desk.revoke(some);
    }
  }
  return leases;
}

struct Folded {
  std::string state;
  std::uint64_t uses = 0;
  std::int64_t expiresAt = 0;
};

// Every lease as the writer knew it after the entries before `size`.
std::map<std::string, Folded> foldedAt(const QueryDesk& desk, std::size_t size, std::size_t leases) {
  Timers timers;
  WorkspaceState state(kQueryWorkspace, timers);
  for (std::size_t seq = 0; seq < size; ++seq) desk.fold(state, desk.bytesOf(seq));
  std::map<std::string, Folded> result;
  for (std::size_t number = 0; number < leases; ++number) {
    if (const Lease* lease = state.findLease(id(number))) {
      result[id(number)] = {std::string(leaseStateName(lease->state)), lease->uses, lease->expiresAt.nanoseconds};
    }
  }
  return result;
}

std::map<std::string, Folded> listed(query::ViewReader& reader, Parameters parameters) {
  std::map<std::string, Folded> result;
  parameters.emplace_back("limit", "40");
  std::string after;
  do {
    Parameters with = parameters;
    if (!after.empty()) with.emplace_back("after", after);
    const Answered page = ask(reader, ListKind::leases, with);
    for (const auto& item : page.items()) {
      const auto& object = item.as_object();
      const auto* expires = object.if_contains("expiresAt");
      result[std::string(object.at("id").as_string())] = {
          std::string(object.at("state").as_string()), object.at("uses").to_number<std::uint64_t>(),
          expires == nullptr ? 0 : fromRfc3339(std::string_view(expires->as_string()))->nanoseconds};
    }
    after = page.next();
  } while (!after.empty());
  return result;
}

void expectSame(const std::map<std::string, Folded>& found, const std::map<std::string, Folded>& expected, const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (const auto& [lease, folded] : expected) {
    ASSERT_TRUE(found.contains(lease)) << what << " " << lease;
    EXPECT_EQ(found.at(lease).state, folded.state) << what << " " << lease;
    EXPECT_EQ(found.at(lease).uses, folded.uses) << what << " " << lease;
    EXPECT_EQ(found.at(lease).expiresAt, folded.expiresAt) << what << " " << lease;
  }
}

class QueryLeases : public testing::Test {
 protected:
  void SetUp() override {
    leases_ = play(desk_, 11, 1'300);
    desk_.project();
    ASSERT_GT(leases_, 100U);
  }
  QueryDesk desk_;
  std::size_t leases_ = 0;
  query::ViewReader reader_{desk_.views(), kQueryWorkspace};
};

TEST_F(QueryLeases, NowAndAsOfEverySeqTheyAreWhatTheWriterKnew) {
  expectSame(listed(reader_, {}), foldedAt(desk_, desk_.size(), leases_), "now");
  for (std::size_t seq = 0; seq < desk_.size(); seq += 37) {
    const auto expected = foldedAt(desk_, seq + 1, leases_);
    const std::string asOf = std::to_string(seq);
    expectSame(listed(reader_, {{"asOf", asOf}}), expected, "as of " + asOf);
    for (const char* state : {"active", "expired", "live", "ended"}) {
      std::map<std::string, Folded> some;
      for (const auto& [lease, folded] : expected) {
        const bool live = folded.state == "granted" || folded.state == "active";
        if (folded.state == state || (live ? "live" : "ended") == std::string_view(state)) some[lease] = folded;
      }
      expectSame(listed(reader_, {{"asOf", asOf}, {"state", state}}), some, std::string(state) + " as of " + asOf);
    }
  }
}

TEST_F(QueryLeases, AtATimeThoseThatWereValidThen) {
  std::size_t seen = 0;
  for (std::size_t seq = 5; seq < desk_.size(); seq += 29) {
    const std::int64_t at = desk_.at(seq).view.recordedAt.nanoseconds;
    std::size_t size = seq + 1;
    while (size < desk_.size() && desk_.at(size).view.recordedAt.nanoseconds <= at) ++size;
    auto expected = foldedAt(desk_, size, leases_);
    std::erase_if(expected, [at](const auto& one) {
      return (one.second.state != "granted" && one.second.state != "active") || one.second.expiresAt <= at;
    });
    expectSame(listed(reader_, {{"at", toRfc3339({at})}}), expected, "at seq " + std::to_string(seq));
    seen += expected.size();
  }
  EXPECT_GT(seen, 200U);
}

TEST_F(QueryLeases, StatesOfNowComeFromTheirIndex) {
  const auto now = foldedAt(desk_, desk_.size(), leases_);
  std::size_t ended = 0;
  for (const char* state : {"granted", "active", "consumed_out", "revoked", "expired"}) {
    std::map<std::string, Folded> some;
    for (const auto& [lease, folded] : now) {
      if (folded.state == state) some[lease] = folded;
    }
    if (state != std::string_view("granted") && state != std::string_view("active")) ended += some.size();
    expectSame(listed(reader_, {{"state", state}}), some, state);
  }
  EXPECT_EQ(listed(reader_, {{"state", "ended"}}).size(), ended);
  EXPECT_EQ(listed(reader_, {{"state", "live"}}).size(), now.size() - ended);
}

TEST_F(QueryLeases, FiltersAreTheGrantsOwnFields) {
  std::map<std::string, std::size_t> expected;
  std::size_t both = 0;
  for (std::size_t seq = 0; seq < desk_.size(); ++seq) {
    const ReadBack entry = desk_.at(seq);
    if (entry.view.kind() != Kind::leaseGranted) continue;
    const std::string resource(entry.body().texts(Field::resources)[0]);
    const std::string host(entry.view.entry.text(Field::host));
    ++expected["resource=" + resource];
    ++expected["host=" + host];
    ++expected["actor=agent:" + std::string(principalOf(entry.body(), Field::grantee).id)];
    if (resource == "repo/1" && host == "h1") ++both;
  }
  for (const char* filter : {"resource=repo/0", "resource=repo/2", "host=h0", "host=h1", "actor=agent:g0", "actor=agent:g2"}) {
    const std::string text(filter);
    const std::size_t equals = text.find('=');
    EXPECT_EQ(listed(reader_, {{text.substr(0, equals), text.substr(equals + 1)}}).size(), expected[text]) << filter;
    EXPECT_GT(expected[text], 0U) << filter;
  }
  EXPECT_EQ(listed(reader_, {{"resource", "repo/1"}, {"host", "h1"}}).size(), both);
  EXPECT_TRUE(listed(reader_, {{"resource", "repo/9"}}).empty());
}

TEST_F(QueryLeases, OneLeaseComesWithItsHistoryAndItsChildren) {
  std::string parent;
  for (std::size_t seq = 0; seq < desk_.size() && parent.empty(); ++seq) {
    const ReadBack entry = desk_.at(seq);
    if (entry.view.kind() == Kind::leaseGranted && !entry.text(Field::parentLease).empty()) parent = entry.text(Field::parentLease);
  }
  ASSERT_FALSE(parent.empty());
  std::vector<std::uint64_t> touched;
  std::vector<std::string> children;
  for (std::size_t seq = 0; seq < desk_.size(); ++seq) {
    const ReadBack entry = desk_.at(seq);
    if (entry.text(Field::leaseId) == parent && entry.view.kind() != Kind::none) touched.push_back(seq);
    if (entry.view.kind() == Kind::leaseGranted && entry.text(Field::parentLease) == parent) children.push_back(entry.text(Field::leaseId));
  }
  const auto shown = boost::json::parse(reader_.lease(parent, {})).as_object();
  std::vector<std::uint64_t> history;
  for (const auto& one : shown.at("history").as_array()) history.push_back(one.as_object().at("seq").to_number<std::uint64_t>());
  std::erase_if(touched, [&](std::uint64_t seq) { return seq > shown.at("lastSeq").to_number<std::uint64_t>(); });
  EXPECT_EQ(history, touched);
  std::vector<std::string> named;
  for (const auto& child : shown.at("children").as_array()) named.emplace_back(child.as_string());
  EXPECT_EQ(named, children);
  EXPECT_EQ(faultOf([&] { reader_.lease("no-such-lease", {}); }).code(), ErrorCode::noSuchItem);
  query::Filters before;
  before.asOfSeq = Sequence{touched.front() - 1};
  EXPECT_EQ(faultOf([&] { reader_.lease(parent, before); }).code(), ErrorCode::noSuchItem) << "not granted yet";
}

TEST(QueryReportedLeases, LateFactsAreValidThenButKnownOnlyNow) {
  QueryDesk desk;
  const Timestamp start = desk.now;
  desk.used({PrincipalKind::agent, "a", {}, {}, {}, {}}, {});
  desk.now = desk.now + 5 * kHour;
  desk.used({PrincipalKind::agent, "a", {}, {}, {}, {}}, {});
  const std::size_t before = desk.size() - 1;
  desk.reportGrant("imported", start + kHour, start + 3 * kHour);
  desk.project();
  query::ViewReader reader(desk.views(), kQueryWorkspace);
  const auto at = [&](std::int64_t hours) { return toRfc3339(start + hours * kHour); };
  EXPECT_EQ(listed(reader, {{"at", at(2)}}).size(), 1U);
  EXPECT_EQ(listed(reader, {{"at", at(1)}}).size(), 1U) << "valid from its first instant";
  EXPECT_TRUE(listed(reader, {{"at", at(0)}}).empty());
  EXPECT_TRUE(listed(reader, {{"at", at(3)}}).empty()) << "not at the instant of its end";
  EXPECT_TRUE(listed(reader, {{"at", at(2)}, {"asOf", std::to_string(before)}}).empty()) << "nobody knew";
  EXPECT_EQ(listed(reader, {{"at", at(2)}, {"asOf", std::to_string(before + 1)}}).size(), 1U);
  EXPECT_EQ(listed(reader, {{"at", at(2)}, {"state", "active"}}).size(), 1U);
  EXPECT_EQ(listed(reader, {{"at", at(2)}, {"state", "live"}}).size(), 1U);
  EXPECT_TRUE(listed(reader, {{"at", at(2)}, {"state", "ended"}}).empty());
  EXPECT_EQ(listed(reader, {{"from", at(1)}, {"to", at(2)}}).size(), 1U) << "issued in this hour";
  EXPECT_TRUE(listed(reader, {{"from", at(2)}, {"to", at(9)}}).empty());
}

TEST(QueryReportedLeases, WithoutAKnownEndTheyStayValid) {
  QueryDesk desk;
  const Timestamp start = desk.now;
  desk.reportGrant("open", start, {});
  desk.now = desk.now + 10 * kHour;
  desk.used({PrincipalKind::agent, "a", {}, {}, {}, {}}, {});
  desk.project();
  query::ViewReader reader(desk.views(), kQueryWorkspace);
  EXPECT_EQ(listed(reader, {{"at", "2100-01-01T00:00:00Z"}}).size(), 1U);
  const Answered answered = ask(reader, ListKind::leases, {});
  EXPECT_FALSE(answered.items().at(0).as_object().contains("expiresAt")) << "none is invented";
}

}  // namespace
}  // namespace counterfoil::test

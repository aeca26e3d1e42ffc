// Every filter of entries against a plain walk over what was recorded.
#include <algorithm>

#include "ledger/core/json.h"
#include "tests/ledger/core/fill_values.h"
#include "tests/projections/query_fixture.h"

namespace counterfoil::test {
namespace {

using query::ListKind;

// What the test remembers of an entry it made.
struct Known {
  std::string kind, actor, run, host, sandbox;
  std::vector<std::string> resources;
  std::string text;
  std::int64_t occurredAt = 0;
  std::int64_t recordedAt = 0;
};

class RandomDay {
 public:
  RandomDay(QueryDesk& desk, std::uint64_t seed, std::size_t entries) : desk_(desk), dice_(seed) {
    for (std::size_t index = 0; index < entries; ++index) add();
    desk.project();
  }

  Parameters randomFilters() {
    Parameters parameters;
    const auto maybe = [&](std::size_t oneIn) { return dice_.oneIn(oneIn); };
    if (maybe(3)) parameters.emplace_back("kind", pick({"tool.invoked", "run.*", "run.started", "egress.observed", "lease.*"}));
    if (maybe(6)) parameters.emplace_back("kind", "egress.*");
    if (maybe(3)) parameters.emplace_back("actor", pick({"agent:a0", "agent:a1", "agent:a2", "agent:nobody"}));
    if (maybe(4)) parameters.emplace_back("run", pick({"r0", "r1", "r2"}));
    if (maybe(4)) parameters.emplace_back("host", pick({"h0", "h1"}));
    if (maybe(8)) parameters.emplace_back("sandbox", pick({"s0", "s1"}));
    if (maybe(4)) parameters.emplace_back("resource", pick({"repo/0", "repo/1", "dest/1"}));
    if (maybe(5)) parameters.emplace_back("text", pick({"fetch", "push repo", "\"repo 1\"", "pus*"}));
    if (maybe(3)) parameters.emplace_back("from", time());
    if (maybe(3)) parameters.emplace_back("to", time());
    if (maybe(6)) parameters.emplace_back("at", time());
    if (maybe(4)) parameters.emplace_back("asOf", maybe(2) ? std::to_string(dice_.below(desk_.size())) : time());
    if (maybe(2)) parameters.emplace_back("order", "asc");
    parameters.emplace_back("limit", std::to_string(15 + dice_.below(200)));
    return parameters;
  }

  // Seqs that match, by looking at everything.
  std::vector<std::uint64_t> expected(const Parameters& parameters) const {
    std::vector<std::uint64_t> result;
    for (std::size_t seq = 0; seq < known_.size(); ++seq) {
      if (matches(seq, parameters)) result.push_back(seq);
    }
    const bool ascending = std::any_of(parameters.begin(), parameters.end(), [](const auto& one) { return one.second == "asc"; });
    if (!ascending) std::reverse(result.begin(), result.end());
    return result;
  }

 private:
  std::string pick(std::initializer_list<const char*> choices) { return *(choices.begin() + dice_.below(choices.size())); }
  std::string time() { return toRfc3339({start_.nanoseconds + static_cast<std::int64_t>(dice_.below(8'000)) * kSecond}); }

  void add() {
    Known known;
    EntryCommon common;
    known.actor = pick({"a0", "a1", "a2", "a3"});
    if (!dice_.oneIn(4)) known.run = pick({"r0", "r1", "r2", "r3"});
    if (!dice_.oneIn(3)) known.host = pick({"h0", "h1"});
    if (dice_.oneIn(3)) known.sandbox = pick({"s0", "s1"});
    desk_.now = desk_.now + static_cast<std::int64_t>(dice_.below(3)) * kSecond;
    // One in four happened long before it is recorded, in no order.
    known.recordedAt = desk_.now.nanoseconds;
    known.occurredAt = dice_.oneIn(4) ? start_.nanoseconds + static_cast<std::int64_t>(dice_.below(8'000)) * kSecond : known.recordedAt;
    common = {PrincipalKind::agent, known.actor, known.run, known.host, known.sandbox, {known.occurredAt}};
    known.actor = "agent:" + known.actor;
    const std::size_t kind = dice_.below(3);
    if (kind == 0) {
      known.kind = "tool.invoked";
      for (const char* resource : {"repo/0", "repo/1", "repo/2"}) {
        if (dice_.oneIn(2)) known.resources.emplace_back(resource);
      }
      const std::string operation = pick({"fetch", "push"});
      known.text = operation;
      for (const std::string& resource : known.resources) known.text += " " + resource;
      desk_.used(common, known.resources, operation);
    } else if (kind == 1) {
      known.kind = "egress.observed";
      known.resources = {pick({"dest/0", "dest/1"})};
      known.text = known.resources[0];
      desk_.event(Kind::egressObserved, common,
                  [&](Arena& arena, StructValue& body) { body.setText(arena, Field::destination, known.resources[0]); });
    } else {
      known.kind = common.run.empty() ? "sandbox.started" : "run.started";
      if (known.kind == "sandbox.started" && common.sandbox.empty()) common.sandbox = known.sandbox = "s0";
      desk_.event(known.kind == "run.started" ? Kind::runStarted : Kind::sandboxStarted, common, [](Arena&, StructValue&) {});
    }
    known_.push_back(known);
  }

  bool matches(std::size_t seq, const Parameters& parameters) const {
    const Known& known = known_[seq];
    bool kindAsked = false;
    bool kindMatches = false;
    for (const auto& [name, value] : parameters) {
      const auto holds = [&]() -> bool {
        if (name == "actor") return known.actor == value;
        if (name == "run") return known.run == value;
        if (name == "host") return known.host == value;
        if (name == "sandbox") return known.sandbox == value;
        if (name == "resource") return std::find(known.resources.begin(), known.resources.end(), value) != known.resources.end();
        if (name == "text") return textMatches(known.text, value);
        if (name == "from") return known.occurredAt >= fromRfc3339(value)->nanoseconds;
        if (name == "to") return known.occurredAt < fromRfc3339(value)->nanoseconds;
        if (name == "at") return known.occurredAt <= fromRfc3339(value)->nanoseconds;
        if (name == "asOf") {
          const auto asOf = fromRfc3339(value);
          return asOf ? known.recordedAt <= asOf->nanoseconds : seq <= std::stoull(value);
        }
        return true;
      };
      if (name == "kind") {
        kindAsked = true;
        const bool pattern = value.ends_with(".*");
        kindMatches = kindMatches || (pattern ? known.kind.starts_with(value.substr(0, value.size() - 1)) : known.kind == value);
      } else if (!holds()) {
        return false;
      }
    }
    return !kindAsked || kindMatches;
  }
  static bool textMatches(const std::string& text, const std::string& value) {
    if (value == "fetch") return text.starts_with("fetch");
    if (value == "push repo") return text.starts_with("push repo");
    if (value == "\"repo 1\"") return text.find("repo/1") != std::string::npos;
    return text.starts_with("push");
  }

  QueryDesk& desk_;
  Dice dice_;
  const Timestamp start_ = desk_.now;
  std::vector<Known> known_;
};

bool ordered(const Parameters& parameters) {
  std::string from, to;
  for (const auto& [name, value] : parameters) {
    if (name == "from") from = value;
    if (name == "to") to = value;
  }
  return from.empty() || to.empty() || fromRfc3339(from)->nanoseconds < fromRfc3339(to)->nanoseconds;
}

std::string describe(const Parameters& parameters) {
  std::string text;
  for (const auto& [name, value] : parameters) text += name + "=" + value + " ";
  return text;
}

TEST(QueryEntries, EveryCombinationOfFiltersFindsWhatAPlainWalkFinds) {
  QueryDesk desk(false);
  RandomDay day(desk, 20'260'301, 2'000);
  query::ViewReader reader(desk.views(), kQueryWorkspace);
  std::size_t found = 0;
  for (int round = 0; round < 400; ++round) {
    const Parameters parameters = day.randomFilters();
    if (!ordered(parameters)) continue;
    const auto expected = day.expected(parameters);
    ASSERT_EQ(askAll(reader, ListKind::entries, parameters), expected) << describe(parameters);
    found += expected.size();
  }
  EXPECT_GT(found, 10'000U) << "the filters must match something";
}

// Ranges with many entries take another way (a map of blocks) than small ones.
TEST(QueryEntries, LargeTimeRangesFindWhatAPlainWalkFinds) {
  QueryDesk desk(false);
  RandomDay day(desk, 7, 20'000);
  query::ViewReader reader(desk.views(), kQueryWorkspace);
  const auto second = [&](std::int64_t seconds) { return toRfc3339({1'772'000'000 * kSecond + seconds * kSecond}); };
  for (const char* order : {"asc", "desc"}) {
    for (const auto& [from, to] : {std::pair{1'000, 17'000}, {0, 100'000}, {4'000, 19'000}}) {
      Parameters parameters = {{"from", second(from)}, {"to", second(to)}, {"order", order}, {"limit", "1000"}};
      const auto all = day.expected(parameters);
      EXPECT_GT(all.size(), 8'192U) << "too few for the other way";
      EXPECT_EQ(askAll(reader, ListKind::entries, parameters), all) << describe(parameters);
      parameters.emplace_back("run", "r1");
      parameters.emplace_back("kind", "tool.*");
      EXPECT_EQ(askAll(reader, ListKind::entries, parameters), day.expected(parameters)) << describe(parameters);
    }
  }
}

TEST(QueryEntries, ItemsAreTheEntriesOfTheRecord) {
  QueryDesk desk(false);
  desk.used({PrincipalKind::agent, "a", "r", "h", "s", {}}, {"repo/1"});
  desk.used({PrincipalKind::agent, "a", {}, {}, {}, {}}, {"repo/2"});
  desk.withheld = 1;
  desk.project();
  query::ViewReader reader(desk.views(), kQueryWorkspace);
  std::string present;
  {
    const ReadBack entry = desk.at(0);
    writeEntryJson(entry.view, leafHash(desk.bytesOf(0)), {}, present);
  }
  std::string withheld;
  writeWithheldJson(Sequence{1}, leafHash(desk.bytesOf(1)), withheld);
  const Answered answered = ask(reader, ListKind::entries, {{"order", "asc"}});
  EXPECT_EQ(answered.items().at(0), boost::json::parse(present));
  EXPECT_EQ(answered.items().at(1), boost::json::parse(withheld));
  EXPECT_EQ(boost::json::parse(reader.entry(Sequence{0})), boost::json::parse(present));
  EXPECT_EQ(faultOf([&] { reader.entry(Sequence{2}); }).code(), ErrorCode::noSuchItem);
  const auto& asOf = answered.body.at("asOf").as_object();
  EXPECT_EQ(asOf.at("seq").to_number<int>(), 1);
  EXPECT_EQ(asOf.at("viewSeq").to_number<int>(), 1);
  EXPECT_EQ(asOf.at("leafHash").as_string(), toHex(leafHash(desk.bytesOf(1)).bytes));
  const Answered before = ask(reader, ListKind::entries, {{"asOf", "0"}});
  EXPECT_EQ(before.body.at("asOf").as_object().at("recordedAt").as_string(), toRfc3339(desk.at(0).view.recordedAt));
  EXPECT_EQ(before.numbers("seq"), std::vector<std::uint64_t>{0});
}

TEST(QueryEntries, LaterPagesSeeTheRecordOfTheFirst) {
  QueryDesk desk(false);
  for (int index = 0; index < 10; ++index) desk.used({PrincipalKind::agent, "a", "r", {}, {}, {}}, {});
  desk.project();
  query::ViewReader reader(desk.views(), kQueryWorkspace);
  const Answered first = ask(reader, ListKind::entries, {{"run", "r"}, {"order", "asc"}, {"limit", "6"}});
  EXPECT_EQ(first.numbers("seq"), (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5}));
  for (int index = 0; index < 10; ++index) desk.used({PrincipalKind::agent, "a", "r", {}, {}, {}}, {});
  desk.project();
  const Answered second = ask(reader, ListKind::entries, {{"run", "r"}, {"order", "asc"}, {"limit", "6"}, {"after", first.next()}});
  EXPECT_EQ(second.numbers("seq"), (std::vector<std::uint64_t>{6, 7, 8, 9}));
  EXPECT_TRUE(second.next().empty());
  EXPECT_EQ(second.body.at("asOf").as_object().at("seq").to_number<int>(), 9);
  EXPECT_EQ(second.body.at("asOf").as_object().at("viewSeq").to_number<int>(), 19);
}

TEST(QueryEntries, AViewThatWasTamperedWithIsNotShownAsTheRecord) {
  QueryDesk desk(false);
  desk.used({PrincipalKind::agent, "a", {}, {}, {}, {}}, {"repo/1"});
  desk.project();
  std::vector<std::uint8_t> bytes = desk.bytesOf(0);
  bytes.back() ^= 1;
  {
    Database database = Database::open(desk.viewFile());
    Statement change = database.prepare("UPDATE content SET bytes = ? WHERE seq = 0");
    change.bindBlob(1, bytes);
    change.run();
  }
  query::ViewReader reader(desk.views(), kQueryWorkspace);
  EXPECT_EQ(faultOf([&] { ask(reader, ListKind::entries, {}); }).code(), ErrorCode::viewDamaged);
  EXPECT_EQ(faultOf([&] { reader.entry(Sequence{0}); }).code(), ErrorCode::viewDamaged);
}

TEST(QueryEntries, AViewThatIsNotThereOrNotOursIsAFault) {
  QueryDesk desk(false);
  query::ViewReader none(desk.views(), kQueryWorkspace);
  EXPECT_EQ(faultOf([&] { ask(none, ListKind::entries, {}); }).code(), ErrorCode::notReady);
  desk.used({PrincipalKind::agent, "a", {}, {}, {}, {}}, {});
  desk.project();
  EXPECT_EQ(ask(none, ListKind::entries, {}).items().size(), 1U) << "made meanwhile";
  std::filesystem::copy_file(desk.viewFile(), desk.views() / "8.db");
  query::ViewReader other(desk.views(), WorkspaceNumber{8});
  EXPECT_EQ(faultOf([&] { ask(other, ListKind::entries, {}); }).code(), ErrorCode::viewDamaged) << "the view of another workspace";
}

TEST(QueryEntries, ARebuiltViewIsOpenedAnew) {
  QueryDesk desk(false);
  desk.used({PrincipalKind::agent, "a", {}, {}, {}, {}}, {});
  desk.project();
  query::ViewReader reader(desk.views(), kQueryWorkspace);
  EXPECT_EQ(ask(reader, ListKind::entries, {}).items().size(), 1U);
  views::removeView(desk.views(), kQueryWorkspace);
  desk.used({PrincipalKind::agent, "a", {}, {}, {}, {}}, {});
  desk.project();
  EXPECT_EQ(ask(reader, ListKind::entries, {}).items().size(), 2U);
}

TEST(QueryEntries, PersonsAreSearchedUnderTheirPseudonyms) {
  QueryDesk desk(false);
  desk.used({PrincipalKind::human, "p2:AAAAAAAAAAAAAAAAAAAAAA", {}, {}, {}, {}}, {});
  desk.used({PrincipalKind::agent, "a", {}, {}, {}, {}}, {});
  desk.project();
  query::ViewReader reader(desk.views(), kQueryWorkspace);
  const query::PrincipalResolver resolver = [](const std::string& person) {
    return person == "human:alice" ? std::string("human:p2:AAAAAAAAAAAAAAAAAAAAAA") : person == "human:erased" ? std::string() : person;
  };
  EXPECT_EQ(ask(reader, ListKind::entries, {{"actor", "human:alice"}}, resolver).numbers("seq"), std::vector<std::uint64_t>{0});
  EXPECT_TRUE(ask(reader, ListKind::entries, {{"actor", "human:erased"}}, resolver).items().empty());
  EXPECT_EQ(ask(reader, ListKind::entries, {{"actor", "agent:a"}}, resolver).numbers("seq"), std::vector<std::uint64_t>{1});
}

TEST(QueryEntries, PrefixesFindAllTheirWordsFewOrMany) {
  QueryDesk desk(false);
  std::vector<std::uint64_t> ones;
  std::vector<std::uint64_t> all;
  std::vector<std::uint64_t> even;
  for (std::uint64_t index = 0; index < 400; ++index) {
    const std::uint64_t word = index % 40;
    desk.used({PrincipalKind::agent, "a", index % 2 == 0 ? "even" : "odd", {}, {}, {}}, {}, "Word" + std::to_string(word));
    desk.used({PrincipalKind::agent, "a", {}, {}, {}, {}}, {}, "wore");
    if (word == 1 || (word >= 10 && word < 20)) ones.push_back(index * 2);
    all.push_back(index * 2);
    if (index % 2 == 0) even.push_back(index * 2);
  }
  desk.project();
  query::ViewReader reader(desk.views(), kQueryWorkspace);
  const auto found = [&](const char* text, Parameters more = {}) {
    more.insert(more.end(), {{"text", text}, {"order", "asc"}, {"limit", "1000"}});
    return ask(reader, ListKind::entries, more).numbers("seq");
  };
  EXPECT_EQ(found("word1*"), ones);
  EXPECT_EQ(found("WORD*"), all) << "more words than are searched one by one";
  EXPECT_EQ(found("wor*").size(), 800U);
  EXPECT_EQ(found("word*", {{"run", "even"}}), even);
  EXPECT_EQ(found("word*", {{"run", "even"}, {"from", "1970-01-01T00:00:00Z"}}), even);
  EXPECT_TRUE(found("words*").empty());
  Parameters backwards = {{"text", "word*"}, {"run", "even"}, {"limit", "1000"}};
  std::vector<std::uint64_t> newest = ask(reader, ListKind::entries, backwards).numbers("seq");
  std::reverse(newest.begin(), newest.end());
  EXPECT_EQ(newest, even);
}

TEST(QueryEntries, HostileValuesAreOnlyValues) {
  QueryDesk desk(false);
  desk.used({PrincipalKind::agent, "a", "r", {}, {}, {}}, {"repo/1"});
  desk.project();
  query::ViewReader reader(desk.views(), kQueryWorkspace);
  for (const char* filter : {"run", "host", "lease", "bundle", "resource", "scope", "text", "sandbox", "fingerprint"}) {
    for (const char* value :
         {"' OR 1=1 --", "r\" OR \"\"=\"", "%", "*)", "x'; DROP TABLE entry; --", "NEAR(a b)", "text:a", "\\", "r) UNION SELECT 1"}) {
      try {
        EXPECT_TRUE(ask(reader, ListKind::entries, {{filter, value}}).items().empty()) << filter << " " << value;
      } catch (const Fault& fault) {
        EXPECT_EQ(fault.code(), ErrorCode::invalidValue) << filter << " " << value;
      }
    }
  }
  EXPECT_EQ(ask(reader, ListKind::entries, {{"run", "r"}}).items().size(), 1U) << "everything is still there";
}

}  // namespace
}  // namespace counterfoil::test

#include <gtest/gtest.h>

#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"
#include "projections/query/filters.h"

namespace counterfoil::query {
namespace {

using Parameters = std::vector<Parameter>;

ErrorCode codeOf(ListKind list, const Parameters& parameters) {
  try {
    parseFilters(list, parameters);
  } catch (const Fault& fault) {
    for (const auto& [name, value] : parameters) {
      if (value.size() <= 5) continue;
      EXPECT_EQ((fault.detail() + fault.hint() + fault.field()).find(value), std::string::npos) << "a value was repeated";
    }
    return fault.code();
  }
  return ErrorCode::internal;
}

TEST(QueryFilters, TakesEveryDocumentedFilterOfEntries) {
  const Filters filters = parseFilters(ListKind::entries, Parameters{{"kind", "lease.*"},
                                                                     {"kind", "run.started"},
                                                                     {"actor", "agent:fixer"},
                                                                     {"run", "r"},
                                                                     {"host", "h"},
                                                                     {"lease", "l"},
                                                                     {"bundle", "b"},
                                                                     {"resource", "x/y"},
                                                                     {"scope", "repo:read"},
                                                                     {"state", "active"},
                                                                     {"text", "hello"},
                                                                     {"from", "2026-03-01T00:00:00Z"},
                                                                     {"to", "2026-03-02T00:00:00Z"},
                                                                     {"asOf", "17"},
                                                                     {"order", "asc"},
                                                                     {"limit", "1000"}});
  EXPECT_EQ(filters[Match::resource], "x/y");
  EXPECT_EQ(filters.asOfSeq->value, 17U);
  EXPECT_FALSE(filters.asOfTime);
  EXPECT_EQ(filters.limit, 1000U);
  EXPECT_EQ(filters.order, Order::ascending);
  EXPECT_EQ(filters.to->nanoseconds - filters.from->nanoseconds, 86'400 * kNanosecondsPerSecond);
  EXPECT_TRUE(parseFilters(ListKind::entries, Parameters{{"asOf", "2026-03-01T00:00:00Z"}}).asOfTime);
  EXPECT_EQ(parseFilters(ListKind::entries, {}).limit, 100U);
}

TEST(QueryFilters, RefusesWhatItDoesNotUnderstand) {
  const auto entries = [](const char* name, const std::string& value) { return codeOf(ListKind::entries, {{name, value}}); };
  EXPECT_EQ(entries("limit", "0"), ErrorCode::invalidValue);
  EXPECT_EQ(entries("limit", "1001"), ErrorCode::invalidValue);
  EXPECT_EQ(entries("limit", "1e2"), ErrorCode::invalidValue);
  EXPECT_EQ(entries("limit", "99999999999999999999"), ErrorCode::invalidValue);
  EXPECT_EQ(entries("order", "sideways"), ErrorCode::invalidValue);
  EXPECT_EQ(entries("kind", "lease.nonsense"), ErrorCode::invalidValue);
  EXPECT_EQ(entries("kind", "nonsense.*"), ErrorCode::invalidValue);
  EXPECT_EQ(entries("kind", ""), ErrorCode::invalidValue);
  EXPECT_EQ(entries("actor", "fixer-without-kind"), ErrorCode::invalidValue);
  EXPECT_EQ(entries("actor", "alien:fixer"), ErrorCode::invalidValue);
  EXPECT_EQ(entries("state", "sleeping"), ErrorCode::invalidValue);
  EXPECT_EQ(entries("from", "yesterday"), ErrorCode::invalidValue);
  EXPECT_EQ(entries("asOf", "-100000"), ErrorCode::invalidValue);
  EXPECT_EQ(entries("asOf", "99999999999999999999"), ErrorCode::invalidValue);
  EXPECT_EQ(entries("text", "*-+/()"), ErrorCode::invalidValue);
  EXPECT_EQ(entries("run", std::string("a\0b", 3)), ErrorCode::invalidValue);
  EXPECT_EQ(entries("run", "\xff\xfe-broken"), ErrorCode::invalidValue);
  EXPECT_EQ(entries("run", std::string(513, 'x')), ErrorCode::invalidValue);
  EXPECT_EQ(entries("reason", "policy"), ErrorCode::unknownField) << "a filter of another list";
  EXPECT_EQ(entries("1=1; DROP TABLE entry", "whatever"), ErrorCode::unknownField);
  EXPECT_EQ(codeOf(ListKind::entries, {{"run", "a"}, {"run", "b"}}), ErrorCode::duplicateField);
  EXPECT_EQ(codeOf(ListKind::entries, {{"from", "2026-03-02T00:00:00Z"}, {"to", "2026-03-02T00:00:00Z"}}), ErrorCode::invalidValue);
  EXPECT_EQ(codeOf(ListKind::hosts, {{"asOf", "1"}}), ErrorCode::unknownField) << "a list that knows only now must not pretend";
  EXPECT_EQ(codeOf(ListKind::leases, {{"kind", "lease.granted"}}), ErrorCode::unknownField);
}

TEST(QueryFilters, KindPatternsExpandToKindsOfTheCatalogue) {
  const auto expanded = [](const char* kind) { return expandKinds(parseFilters(ListKind::entries, Parameters{{"kind", kind}})); };
  EXPECT_EQ(expanded("host.*"), (std::vector<std::string>{"host.connected", "host.disconnected", "host.reconciled"}));
  EXPECT_EQ(expanded("lease.granted"), std::vector<std::string>{"lease.granted"});
  EXPECT_EQ(expanded("unknown (900)"), std::vector<std::string>{"unknown (900)"});
  EXPECT_TRUE(expanded("*").empty()) << "everything";
  for (const std::string& kind : expanded("lease.*")) EXPECT_TRUE(kind.starts_with("lease.")) << kind;
}

TEST(QueryFilters, SearchTextCannotBecomeAnExpression) {
  EXPECT_EQ(fullTextExpression("alpha beta"), "\"alpha\" AND \"beta\"");
  EXPECT_EQ(fullTextExpression("\"alpha beta\" gam*"), "\"alpha beta\" AND \"gam\" *");
  EXPECT_EQ(fullTextExpression("\"alpha beta\"*"), "\"alpha beta\" *");
  EXPECT_EQ(fullTextExpression("a OR b NOT c NEAR(d e)"), "\"a\" AND \"OR\" AND \"b\" AND \"NOT\" AND \"c\" AND \"NEAR(d\" AND \"e)\"");
  EXPECT_EQ(fullTextExpression("text:x ^y {z}"), "\"text:x\" AND \"^y\" AND \"{z}\"");
  EXPECT_EQ(fullTextExpression("unclosed \"quote x"), "\"unclosed\" AND \"quote x\"");
  EXPECT_EQ(fullTextExpression("a\"b\"c"), "\"a\" AND \"b\" AND \"c\"");
  EXPECT_EQ(fullTextExpression("x - ** \"\" \"-\" y"), "\"x\" AND \"y\"");
  EXPECT_THROW(fullTextExpression("  \"\" ** "), Fault);
  std::string many;
  for (int word = 0; word < 17; ++word) many += "w" + std::to_string(word) + " ";
  EXPECT_THROW(fullTextExpression(many), Fault);
}

TEST(QueryFilters, APrefixBecomesItsWords) {
  std::vector<std::string> asked;
  const auto words = [&](const std::string& prefix) {
    asked.push_back(prefix);
    return prefix == "many" ? std::vector<std::string>() : std::vector<std::string>{prefix + "a", prefix + "b"};
  };
  EXPECT_EQ(fullTextExpression("Gam* x", words), "(\"gama\" OR \"gamb\") AND \"x\"");
  EXPECT_EQ(fullTextExpression("x many*", words), "\"x\" AND \"many\" *") << "too many to name";
  EXPECT_EQ(fullTextExpression("\"two words\"* a.b* \u00e9* \"one\"", words), "\"two words\" * AND \"a.b\" * AND \"\u00e9\" * AND \"one\"");
  EXPECT_EQ(asked, (std::vector<std::string>{"gam", "many"})) << "only single words of plain letters are looked up";
}

TEST(QueryCursor, ComesBackAsItWas) {
  const Filters filters = parseFilters(ListKind::entries, Parameters{{"run", "r"}});
  Filters next = filters;
  next.after = encodeCursor(ListKind::entries, filters, {-5, 99, "name"});
  const Cursor cursor = decodeCursor(ListKind::entries, next);
  EXPECT_EQ(cursor.key, -5);
  EXPECT_EQ(cursor.pinned, 99);
  EXPECT_EQ(cursor.name, "name");
}

TEST(QueryCursor, EveryChangedCharacterIsRefused) {
  const Filters filters = parseFilters(ListKind::entries, Parameters{{"run", "r"}});
  const std::string cursor = encodeCursor(ListKind::entries, filters, {123'456, 200'000, {}});
  const auto code = [&](const std::string& text) {
    Filters changed = filters;
    changed.after = text;
    try {
      decodeCursor(ListKind::entries, changed);
    } catch (const Fault& fault) {
      return fault.code();
    }
    return ErrorCode::internal;
  };
  EXPECT_EQ(code(cursor), ErrorCode::internal);
  for (std::size_t at = 0; at < cursor.size(); ++at) {
    std::string changed = cursor;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    EXPECT_EQ(code(changed), ErrorCode::badCursor) << at;
    EXPECT_EQ(code(cursor.substr(0, at)), ErrorCode::badCursor) << at;
  }
  EXPECT_EQ(code(cursor + "A"), ErrorCode::badCursor);
  EXPECT_EQ(code("'; DROP TABLE entry; --"), ErrorCode::badCursor);
}

TEST(QueryCursor, IsBoundToListFiltersAndOrder) {
  const Filters filters = parseFilters(ListKind::entries, Parameters{{"run", "r"}, {"limit", "5"}});
  const std::string cursor = encodeCursor(ListKind::entries, filters, {5, 9, {}});
  const auto accepted = [&](ListKind list, Parameters parameters) {
    parameters.emplace_back("after", cursor);
    const Filters other = parseFilters(list, parameters);
    try {
      decodeCursor(list, other);
      return true;
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.code(), ErrorCode::badCursor);
      return false;
    }
  };
  EXPECT_TRUE(accepted(ListKind::entries, {{"run", "r"}, {"limit", "5"}}));
  EXPECT_TRUE(accepted(ListKind::entries, {{"run", "r"}, {"limit", "50"}})) << "a page may be larger than the one before";
  EXPECT_FALSE(accepted(ListKind::entries, {{"run", "s"}}));
  EXPECT_FALSE(accepted(ListKind::entries, {{"host", "r"}})) << "the same value in another filter";
  EXPECT_FALSE(accepted(ListKind::entries, {{"run", "r"}, {"kind", "lease.*"}}));
  EXPECT_FALSE(accepted(ListKind::entries, {{"run", "r"}, {"order", "asc"}}));
  EXPECT_FALSE(accepted(ListKind::entries, {{"run", "r"}, {"asOf", "0"}}));
  EXPECT_FALSE(accepted(ListKind::entries, {{"run", "r"}, {"from", "1970-01-01T00:00:00Z"}})) << "a time of zero is not no time";
  EXPECT_FALSE(accepted(ListKind::leases, {{"run", "r"}}));
}

TEST(QueryFilters, AnUnknownPersonMatchesNothingInsteadOfEverything) {
  const Filters filters = parseFilters(ListKind::entries, Parameters{{"actor", "human:alice"}, {"run", "r"}});
  const Filters known =
      resolvePersons(filters, [](const std::string& person) { return person == "human:alice" ? "human:p2:abc" : person; });
  EXPECT_EQ(known[Match::actor], "human:p2:abc");
  EXPECT_EQ(known[Match::run], "r");
  const Filters unknown = resolvePersons(filters, [](const std::string&) { return std::string(); });
  EXPECT_FALSE(unknown[Match::actor].empty());
  EXPECT_NE(unknown[Match::actor], "human:alice");
}

}  // namespace
}  // namespace counterfoil::query

// No list may walk a whole table of entries or leases, whatever it is asked: read from SQLite's own plans of every statement that was used.
#include <set>

#include "projections/query/lists.h"
#include "tests/projections/query_fixture.h"

namespace counterfoil::test {
namespace {

using query::ListKind;

std::vector<std::string> planOf(Database& database, const std::string& sql) {
  std::vector<std::string> lines;
  Statement plan = database.prepare("EXPLAIN QUERY PLAN " + sql);
  while (plan.step()) lines.emplace_back(plan.text(3));
  return lines;
}

const std::vector<query::Parameter> kFilters = {{"kind", "tool.*"},
                                                {"actor", "agent:fixer"},
                                                {"principal", "agent:fixer"},
                                                {"run", "r1"},
                                                {"host", "h1"},
                                                {"sandbox", "s1"},
                                                {"lease", "l1"},
                                                {"bundle", "b1"},
                                                {"resource", "repo/1"},
                                                {"scope", "repo:read"},
                                                {"state", "active"},
                                                {"text", "fetch"},
                                                {"reason", "policy"},
                                                {"credential", "git_token"},
                                                {"fingerprint", "fp2:1:AAAAAAAAAAAAAAAAAAAAAA"},
                                                {"from", "2020-01-01T00:00:00Z"},
                                                {"to", "2030-01-01T00:00:00Z"},
                                                {"at", "2026-03-01T00:00:00Z"},
                                                {"asOf", "2030-01-01T00:00:00Z"}};

class QueryPlan : public testing::Test {
 protected:
  void SetUp() override {
    // Every filter's value is on the record: a list that finds nothing to look for makes no plan.
    Ask ask;
    ask.id = "l1";
    ask.run = "r1";
    ask.host = "h1";
    ask.bundle = "b1";
    ask.resources = {"repo/1"};
    ask.secret = kFilters[14].second;
    desk_.request(ask);
    ask.id = "l2";
    ask.grantee = "banned";
    desk_.request(ask);
    desk_.event(Kind::bundleIssued, {PrincipalKind::agent, "boss", "r1", "h1", "s1", {}},
                [](Arena& arena, StructValue& body) { body.setText(arena, Field::bundleId, "b1"); });
    // More entries than a time range is read whole for.
    for (int index = 0; index < 8'300; ++index) desk_.used({PrincipalKind::agent, "fixer", "r1", "h1", "s1", {}}, {"repo/1"}, "fetch");
    desk_.project();
  }

  void ask(ListKind list, const Parameters& parameters) {
    query::ViewConnection view(desk_.views(), kQueryWorkspace);
    view.begin();
    const query::Filters filters = query::parseFilters(list, parameters);
    if (list == ListKind::leases) {
      query::listLeases(view, filters);
    } else {
      query::listEntries(view, list, filters, nullptr);
    }
    for (const std::string& sql : view.preparedSql()) statements_.insert(sql);
    view.end();
  }

  QueryDesk desk_;
  std::set<std::string> statements_;
};

TEST_F(QueryPlan, NoFilterAndNoTimeWithTwoFiltersScansEntriesOrLeases) {
  for (const ListKind list : {ListKind::entries, ListKind::denials, ListKind::leases}) {
    std::vector<query::Parameter> accepted;
    for (const auto& filter : kFilters) {
      try {
        query::parseFilters(list, Parameters{filter});
        accepted.push_back(filter);
      } catch (const Fault& fault) {
        EXPECT_EQ(fault.code(), ErrorCode::unknownField) << filter.first;
      }
    }
    EXPECT_GE(accepted.size(), 14U);
    for (const char* order : {"asc", "desc"}) {
      ask(list, {{"order", order}});
      for (std::size_t one = 0; one < accepted.size(); ++one) {
        ask(list, {{"order", order}, accepted[one]});
        for (std::size_t two = one + 1; two < accepted.size(); ++two) {
          Parameters parameters = {{"order", order}, accepted[one], accepted[two]};
          if (accepted[one].first != "from" && accepted[two].first != "from") parameters.push_back({"from", "2020-01-01T00:00:00Z"});
          ask(list, parameters);
        }
      }
    }
  }
  EXPECT_GT(statements_.size(), 30U) << "too few: the filters were not asked";
  Database database = Database::openReadOnly(desk_.viewFile());
  for (const std::string& sql : statements_) {
    for (const std::string& line : planOf(database, sql)) {
      const bool whole = line.starts_with("SCAN ") && line.find("VIRTUAL TABLE INDEX") == std::string::npos && line != "SCAN position";
      EXPECT_FALSE(whole) << line << "\n  in " << sql;
      EXPECT_EQ(line.find("TEMP B-TREE FOR ORDER BY"), std::string::npos) << line << "\n  in " << sql;
    }
  }
}

TEST_F(QueryPlan, WhatImportsAskScansNothing) {
  query::ViewConnection view(desk_.views(), kQueryWorkspace);
  view.begin();
  const query::ImportedFact fact{desk_.at(1).view.id, desk_.at(1).view.occurredAt};
  EXPECT_EQ(query::findRecorded(view, std::span(&fact, 1)).found.size(), 1U);
  // Any source will do: what is asked is the same.
  EXPECT_TRUE(query::countCaused(view, "ledger", {0}).empty());
  for (const std::string& sql : view.preparedSql()) statements_.insert(sql);
  view.end();
  EXPECT_GE(statements_.size(), 3U);
  Database database = Database::openReadOnly(desk_.viewFile());
  for (const std::string& sql : statements_) {
    for (const std::string& line : planOf(database, sql)) {
      EXPECT_FALSE(line.starts_with("SCAN ") && line != "SCAN position") << line << "\n  in " << sql;
    }
  }
}

TEST_F(QueryPlan, AScanWouldBeNoticed) {
  Database database = Database::openReadOnly(desk_.viewFile());
  bool noticed = false;
  for (const std::string& line : planOf(database, "SELECT seq FROM entry WHERE flags = 1"))
    noticed = noticed || line.starts_with("SCAN entry");
  EXPECT_TRUE(noticed);
}

}  // namespace
}  // namespace counterfoil::test

// SQL of people, friendly and hostile.
#include <atomic>

#include "tests/projections/query_fixture.h"

namespace counterfoil::test {
namespace {

// Time passes at every look at it: no test waits for a limit.
class RunningClock final : public Clock {
 public:
  explicit RunningClock(std::int64_t stepNanoseconds) : step_(stepNanoseconds) {}
  Timestamp wall() const override { return {}; }
  std::int64_t monotonicNanoseconds() const override { return now_ += step_; }
  bool synchronised() const override { return true; }

 private:
  const std::int64_t step_;
  mutable std::atomic<std::int64_t> now_{0};
};

class QuerySql : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    desk_ = new QueryDesk();
    Ask ask;
    for (int index = 0; index < 200; ++index) {
      ask.run = "r" + std::to_string(index % 7);
      ask.host = "h" + std::to_string(index % 3);
      ask.grantee = index % 20 == 0 ? "banned" : "fixer";
      if (!desk_->request(ask).denied) desk_->used({PrincipalKind::agent, "fixer", ask.run, ask.host, {}, {}}, {"repo/" + ask.run});
    }
    desk_->project();
  }
  static void TearDownTestSuite() {
    delete desk_;
    desk_ = nullptr;
  }
  query::SqlAnswer run(std::string_view sql, const query::SqlLimits& limits = {}) { return reader_.query(sql, limits, clock_); }
  // What is wrong with it; fails the test if nothing is, or if the answer repeats a word of the SQL.
  std::string wrong(std::string_view sql, const query::SqlLimits& limits = {}, std::string_view secret = "swordfish") {
    const Fault fault = faultOf([&] { run(sql, limits); });
    EXPECT_EQ(fault.code(), ErrorCode::badQuery) << sql.substr(0, 200) << " -> " << fault.detail();
    EXPECT_EQ((fault.detail() + fault.hint()).find(secret), std::string::npos) << fault.detail();
    return fault.detail();
  }
  static QueryDesk* desk_;
  ManualClock clock_;
  query::ViewReader reader_{desk_->views(), kQueryWorkspace};
};
QueryDesk* QuerySql::desk_ = nullptr;

TEST_F(QuerySql, AnswersWithColumnsRowsAndWhereTheyStand) {
  const auto answer =
      run("SELECT count(*) AS n, 'a\"b' AS text, NULL AS none, 1.5 AS half, x'00ff' AS bytes, 1772000000000000000 AS big FROM entries");
  const auto json = boost::json::parse(answer.json()).as_object();
  EXPECT_EQ(json.at("columns"), (boost::json::array{"n", "text", "none", "half", "bytes", "big"}));
  const auto& row = json.at("rows").as_array().at(0).as_array();
  EXPECT_EQ(row.at(0).to_number<std::size_t>(), desk_->size());
  EXPECT_EQ(row.at(1).as_string(), "a\"b");
  EXPECT_TRUE(row.at(2).is_null());
  EXPECT_EQ(row.at(3).as_double(), 1.5);
  EXPECT_EQ(row.at(4).as_string(), "00ff");
  EXPECT_EQ(row.at(5).as_string(), "1772000000000000000") << "not rounded by a reader of JSON";
  EXPECT_EQ(json.at("asOf").as_object().at("viewSeq").to_number<std::size_t>(), desk_->size() - 1);
  EXPECT_EQ(json.at("viewDigest").as_string(), boost::json::parse(reader_.stats()).as_object().at("digest").as_string());
  EXPECT_FALSE(json.contains("truncated"));
}

TEST_F(QuerySql, EveryDocumentedViewCanBeRead) {
  for (const std::string& view : views::friendlyViewNames()) EXPECT_NO_THROW(run("SELECT * FROM " + view + " LIMIT 3")) << view;
  for (const views::Table& table : views::viewTables()) EXPECT_NO_THROW(run("SELECT * FROM " + table.name + " LIMIT 1")) << table.name;
}

TEST_F(QuerySql, OrdinarySqlWorks) {
  const char* const kQueries[] = {
      "SELECT run, count(*) FROM uses GROUP BY run HAVING count(*) >= 0 ORDER BY 2 DESC",
      "WITH busy AS (SELECT host, count(*) AS n FROM leases GROUP BY host) SELECT * FROM busy WHERE n > 1",
      "WITH busy AS (SELECT host FROM leases) SELECT count(*) FROM busy",
      "SELECT * FROM (SELECT seq FROM entries LIMIT 2) UNION ALL SELECT 1",
      "SELECT lease, row_number() OVER (PARTITION BY run ORDER BY issuedAt) FROM leases LIMIT 5",
      "SELECT a.lease FROM leases AS a LEFT JOIN denials AS b ON a.lease = b.lease WHERE a.run LIKE 'r%' LIMIT 5;",
      "SELECT occurredAt FROM denials WHERE recordedAt > strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-1 hour') -- the last hour",
      "  /* leading */ SELECT json_group_array(reasonCode) FROM denials ;;; -- done\n ; ",
      "VALUES (1), (2)",
      "SELECT CASE WHEN EXISTS (SELECT 1 FROM leases WHERE state = 'granted') THEN 'yes' ELSE 'no' END",
  };
  for (const char* sql : kQueries) EXPECT_NO_THROW(run(sql)) << sql;
}

TEST_F(QuerySql, WritingInAnyFormIsRefused) {
  const char* const kHostile[] = {
      "DELETE FROM entry",
      "UPDATE entry SET kind = 1",
      "INSERT INTO name VALUES(1, 'swordfish')",
      "REPLACE INTO name VALUES(1, 'swordfish')",
      "DROP TABLE entry",
      "DROP VIEW entries",
      "CREATE TABLE swordfish(x)",
      "CREATE TEMP TABLE swordfish(x)",
      "CREATE TEMP VIEW swordfish AS SELECT 1",
      "CREATE VIEW swordfish AS SELECT 1",
      "CREATE INDEX swordfish ON entry(flags)",
      "CREATE VIRTUAL TABLE swordfish USING fts5(x)",
      "CREATE TRIGGER swordfish AFTER INSERT ON entry BEGIN SELECT 1; END",
      "ALTER TABLE entry RENAME TO swordfish",
      "ANALYZE",
      "REINDEX",
      "VACUUM",
      "VACUUM INTO '/tmp/swordfish.db'",
      "ATTACH '/tmp/swordfish.db' AS x",
      "ATTACH ':memory:' AS x",
      "DETACH main",
      "BEGIN",
      "COMMIT",
      "ROLLBACK",
      "SAVEPOINT swordfish",
      "RELEASE swordfish",
      "PRAGMA writable_schema = ON",
      "PRAGMA query_only = OFF",
      "PRAGMA user_version = 5",
      "PRAGMA table_info(entry)",
      "PRAGMA journal_mode = DELETE",
      "PRAGMA trusted_schema = ON",
      "EXPLAIN SELECT 1",
      "EXPLAIN QUERY PLAN SELECT * FROM entries",
      "WITH x AS (SELECT 1) DELETE FROM entry",
      "WITH x AS (SELECT 1) INSERT INTO name SELECT 1, 'swordfish'",
      "DELETE FROM entry RETURNING seq",
  };
  for (const char* sql : kHostile) wrong(sql);
  EXPECT_FALSE(std::filesystem::exists("/tmp/swordfish.db"));
  EXPECT_EQ(run("SELECT count(*) FROM entries").rows[0][0], std::to_string(desk_->size()));
}

TEST_F(QuerySql, WhatIsNotDocumentedCannotBeRead) {
  const char* const kHostile[] = {
      "SELECT * FROM sqlite_master",
      "SELECT sql FROM sqlite_schema",
      "SELECT count(*) FROM sqlite_master",
      "SELECT * FROM sqlite_temp_master",
      "SELECT * FROM main.sqlite_master",
      "SELECT bytes FROM content",
      "SELECT count(*) FROM content",
      "SELECT sums FROM position",
      "SELECT 1 FROM position",
      "SELECT * FROM entry_text_data",
      "SELECT * FROM entry_text_config",
      "SELECT count(*) FROM entry_text",
      "SELECT rowid FROM entry_text WHERE entry_text MATCH 'a'",
      "SELECT * FROM pragma_table_info('entry')",
      "SELECT count(*) FROM pragma_database_list",
      "SELECT * FROM pragma_writable_schema",
      "SELECT * FROM json_each('[1]')",
      "SELECT count(*) FROM json_tree('[1]')",
      "SELECT * FROM dbstat",
      "SELECT * FROM sqlite_dbpage",
      "SELECT * FROM sqlite_stmt",
      "SELECT * FROM bytecode('SELECT 1')",
      "SELECT * FROM generate_series(1, 10)",
      "SELECT * FROM fts5vocab",
      "SELECT entries.seq FROM entries WHERE EXISTS (SELECT 1 FROM content WHERE content.seq = entries.seq)",
      // A query's own name for a table must not lend its rights to what it reads.
      "WITH entries AS (SELECT bytes FROM content) SELECT * FROM entries",
      "WITH leases AS (SELECT sql AS x FROM sqlite_master) SELECT x FROM leases",
      "SELECT * FROM (SELECT bytes FROM content) AS entries",
  };
  for (const char* sql : kHostile) wrong(sql);
}

TEST_F(QuerySql, DangerousFunctionsAreRefused) {
  const char* const kHostile[] = {
      "SELECT load_extension('/tmp/swordfish.so')",
      "SELECT writefile('/tmp/swordfish', 'x')",
      "SELECT readfile('/etc/passwd')",
      "SELECT randomblob(1000000000)",
      "SELECT zeroblob(1000000000)",
      "SELECT hex(zeroblob(250000000))",
      "SELECT random()",
      "SELECT edit('x')",
      "SELECT sqlite_version()",
      "SELECT sqlite_source_id()",
      "SELECT sqlite_compileoption_get(1)",
      "SELECT fts5(1)",
      "SELECT fts3_tokenizer('simple')",
      "SELECT likelihood(1, 0.5)",
      "SELECT last_insert_rowid()",
      "SELECT changes()",
      "SELECT sqlite_offset(seq) FROM entry",
      "SELECT sqlite_log(1, 'swordfish')",
      "SELECT bm25(entry_text) FROM entry_text",
      "SELECT snippet(entry_text, 0, '', '', '', 1) FROM entry_text",
  };
  for (const char* sql : kHostile) wrong(sql);
}

TEST_F(QuerySql, ValuesStaySmall) {
  // SQLite's printf() gives NULL for what would be too large, everything else stops the query.
  for (const char* sql : {"SELECT printf('%1000000d', 1)", "SELECT printf('%.*c', 100000000, 'x')", "SELECT format('%2147483647d', 1)"}) {
    EXPECT_EQ(run(sql).rows[0][0], "null") << sql;
  }
  for (const char* sql : {"SELECT group_concat(s, '') FROM (SELECT printf('%200000d', seq) AS s FROM entry)",
                          "SELECT replace(printf('%10000d', 0), ' ', printf('%1000d', 0))", "SELECT hex(printf('%200000d', 1))"}) {
    EXPECT_EQ(wrong(sql), "string or blob too big") << sql;
  }
  std::string doubled = "'" + std::string(1'000, 'x') + "'";
  std::string with = "WITH t0 AS (SELECT " + doubled + " AS s)";
  for (int level = 1; level <= 12; ++level) {
    with += ", t" + std::to_string(level) + " AS (SELECT s || s AS s FROM t" + std::to_string(level - 1) + ")";
  }
  wrong(with + " SELECT length(s) FROM t12");
}

TEST_F(QuerySql, TimeIsLimited) {
  const RunningClock fast(50 * kNanosecondsPerMillisecond);
  const char* const kBombs[] = {
      "SELECT count(*) FROM entry AS a, entry AS b, entry AS c, entry AS d",
      "SELECT max(a.seq * b.seq * c.seq) FROM entry AS a, entry AS b, entry AS c",
      "SELECT a.seq FROM entry AS a, entry AS b, entry AS c WHERE a.seq + b.seq + c.seq < 0",
  };
  for (const char* sql : kBombs) {
    const Fault fault = faultOf([&] { reader_.query(sql, {}, fast); });
    EXPECT_EQ(fault.code(), ErrorCode::badQuery) << sql;
    EXPECT_NE(fault.detail().find("longer than 2000 ms"), std::string::npos) << fault.detail();
  }
  EXPECT_NE(wrong("WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t").find("recursive"),
            std::string::npos);
  wrong("WITH RECURSIVE t(x) AS (VALUES(1) UNION SELECT x * 2 FROM t) SELECT x FROM t LIMIT 5");
}

TEST_F(QuerySql, PatternsDoNotBlowUp) {
  // Without a bound for patterns this takes longer than the universe lasts.
  std::string pattern = "%";
  for (int index = 0; index < 100; ++index) pattern += "a%";
  EXPECT_EQ(run("SELECT '" + std::string(5'000, 'a') + "' LIKE '" + pattern + "b'").rows[0][0], "0");
  wrong("SELECT 'x' LIKE '" + std::string(1'000, '%') + "b'");
  wrong("SELECT 'x' GLOB '" + std::string(1'000, '*') + "b'");
}

TEST_F(QuerySql, MemoryIsLimited) {
  query::SqlLimits limits;
  limits.memoryBytes = 8 * 1024 * 1024;
  const std::string detail =
      wrong("SELECT a.seq FROM entry AS a, entry AS b ORDER BY printf('%2000d', a.seq * b.seq) LIMIT 1 OFFSET 50000", limits);
  EXPECT_NE(detail.find("8 MiB of memory"), std::string::npos) << detail;
}

TEST_F(QuerySql, AnswersAreCutAtTheirLimits) {
  query::SqlLimits limits;
  limits.rows = 10;
  auto answer = run("SELECT seq FROM entry", limits);
  EXPECT_EQ(answer.rows.size(), 10U);
  EXPECT_TRUE(answer.truncated);
  EXPECT_NE(answer.json().find("\"truncated\":true"), std::string::npos);
  EXPECT_FALSE(run("SELECT seq FROM entry LIMIT 10", limits).truncated);
  limits = {};
  limits.answerBytes = 100'000;
  answer = run("SELECT printf('%10000d', seq) FROM entry", limits);
  EXPECT_TRUE(answer.truncated);
  EXPECT_EQ(answer.rows.size(), 9U);
  EXPECT_EQ(run("SELECT a.seq FROM entry AS a, entry AS b").rows.size(), 10'000U);
}

TEST_F(QuerySql, OneStatementOnly) {
  EXPECT_EQ(wrong("SELECT 1; SELECT 2"), "only one statement is allowed");
  EXPECT_EQ(wrong("SELECT 1; DELETE FROM entry"), "only SELECT is allowed");
  EXPECT_EQ(wrong("SELECT 1; /* x */ ; SELECT 2"), "only one statement is allowed");
  EXPECT_EQ(wrong(""), "there is no statement");
  EXPECT_EQ(wrong("-- nothing\n;"), "there is no statement");
  wrong(std::string("SELECT 1\0; DROP TABLE entry", 27));
  wrong("SELECT '\xff'");
}

TEST_F(QuerySql, HugeOrDeepTextIsRefused) {
  EXPECT_NE(wrong("SELECT '" + std::string(1'000'000, 'x') + "'").find("longer than"), std::string::npos);
  wrong("SELECT " + std::string(5'000, '(') + "1" + std::string(5'000, ')'));
  std::string deep = "1";
  for (int level = 0; level < 3'000; ++level) deep += "+1";
  wrong("SELECT " + deep);
  std::string many = "SELECT 1";
  for (int column = 0; column < 3'000; ++column) many += ",1";
  wrong(many);
  std::string compound = "SELECT 1";
  for (int term = 0; term < 200; ++term) compound += " UNION SELECT 1";
  wrong(compound);
  std::string nested = "SELECT 1";
  for (int level = 0; level < 400; ++level) nested = "SELECT * FROM (" + nested + ")";
  wrong(nested);
  wrong("SELECT ?1");
  wrong("SELECT :swordfish");
}

TEST_F(QuerySql, SaysWhereItIsWrongButNotWhatWasWritten) {
  EXPECT_EQ(wrong("SELECT swordfish FROM entries"), "no such column, at byte 8 of the SQL");
  EXPECT_EQ(wrong("SELECT \"swordfish\" FROM entries"), "no such column, at byte 8 of the SQL") << "not taken for a text";
  EXPECT_EQ(wrong("SELECT * FROM swordfish").substr(0, 13), "no such table");
  EXPECT_EQ(wrong("SELECT swordfish(1)").substr(0, 16), "no such function");
  EXPECT_EQ(wrong("SELECT 1 FRM 'swordfish' x y").substr(0, 12), "syntax error");
  EXPECT_EQ(wrong("SELECT 'swordfish"), "unrecognized token, at byte 8 of the SQL");
  EXPECT_EQ(wrong("SELECT json('swordfish')"), "malformed JSON");
  EXPECT_EQ(wrong("SELECT abs(-9223372036854775808)"), "integer overflow");
}

}  // namespace
}  // namespace counterfoil::test

// What an import asks of a view: which facts it holds, found by id and time.
#include <gtest/gtest.h>

#include "tests/projections/query_fixture.h"

namespace counterfoil {
namespace {

using query::ImportedFact;
using test::kQueryWorkspace;

constexpr Timestamp kTime{1'688'990'400LL * kNanosecondsPerSecond};

class QueryImport : public testing::Test {
 protected:
  // The seq of a new entry that happened then.
  std::size_t record(Timestamp occurredAt) {
    desk_.used({PrincipalKind::agent, "fixer", {}, {}, {}, occurredAt}, {"repo/1"});
    return desk_.size() - 1;
  }
  ImportedFact factAt(std::size_t seq) const {
    const test::ReadBack entry = desk_.at(seq);
    return {entry.view.id, entry.view.occurredAt};
  }
  query::RecordedFacts find(const std::vector<ImportedFact>& facts) {
    query::ViewReader reader(desk_.views(), kQueryWorkspace);
    return reader.findRecorded(facts);
  }

  test::QueryDesk desk_{false};
};

TEST_F(QueryImport, FindsThoseThatAreThereAndNoOthers) {
  const std::size_t first = record(kTime);
  const std::size_t second = record(kTime);
  const std::size_t later = record({kTime.nanoseconds + 1});
  desk_.project();
  ImportedFact unknown = factAt(second);
  unknown.id.bytes[0] ^= 1;
  ImportedFact elsewhen = factAt(first);
  elsewhen.occurredAt = factAt(later).occurredAt;
  const query::RecordedFacts recorded = find({factAt(later), unknown, factAt(second), elsewhen, factAt(second)});
  EXPECT_EQ(recorded.size, desk_.size());
  std::vector<std::uint64_t> seqs;
  for (const query::RecordedFact& fact : recorded.found) {
    seqs.push_back(fact.seq.value);
    EXPECT_EQ(fact.id, factAt(fact.seq.value).id);
    EXPECT_EQ(fact.leaf, leafHash(desk_.bytesOf(fact.seq.value)));
    EXPECT_EQ(fact.recordedAt, desk_.at(fact.seq.value).view.recordedAt);
  }
  std::sort(seqs.begin(), seqs.end());
  EXPECT_EQ(seqs, (std::vector<std::uint64_t>{second, later}));
  EXPECT_TRUE(std::is_sorted(recorded.found.begin(), recorded.found.end(),
                             [](const query::RecordedFact& left, const query::RecordedFact& right) { return left.id < right.id; }));
}

TEST_F(QueryImport, ToldUpToWhereItLooked) {
  record(kTime);
  desk_.project();
  const std::size_t size = desk_.size();
  const std::size_t behind = record(kTime);
  const query::RecordedFacts recorded = find({factAt(behind)});
  EXPECT_EQ(recorded.size, size);
  EXPECT_TRUE(recorded.found.empty());
  EXPECT_TRUE(find({}).found.empty());
}

TEST_F(QueryImport, CountsWhatTheLedgerRecordedBecauseOfASource) {
  const auto finish = [&](const char* source, const char* producer) {
    desk_.event(Kind::importFinished, {}, [&](Arena& arena, StructValue& body) {
      body.setText(arena, Field::source, source);
      body.setText(arena, Field::producer, producer);
    });
    return Sequence{desk_.size() - 1};
  };
  finish("import/cloudtrail", "aws:1");
  const Sequence second = finish("import/cloudtrail", "aws:2");
  finish("import/vault", "vault:1");
  desk_.project();
  query::ViewReader reader(desk_.views(), kQueryWorkspace);
  using Counts = std::map<std::string, std::uint64_t>;
  EXPECT_EQ(reader.countCaused("import/cloudtrail", {0}), (Counts{{"import.finished", 2}}));
  EXPECT_EQ(reader.countCaused("import/cloudtrail", second), (Counts{{"import.finished", 1}}));
  EXPECT_EQ(reader.countCaused("import/cloudtrail", {second.value + 1}), Counts{});
  EXPECT_EQ(reader.countCaused("import/none", {0}), Counts{});
}

}  // namespace
}  // namespace counterfoil

#include "ledger/importers/cloudtrail_splitter.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace counterfoil::importers {
namespace {

using Problem = CloudTrailSplitter::Problem;

struct Split {
  std::vector<std::pair<std::uint64_t, std::string>> records;
  std::vector<std::uint64_t> sizes;
  Problem problem{};
  std::uint64_t offset = 0;
};

// Fed in pieces of `pieceBytes`.
Split split(std::string_view text, std::size_t pieceBytes) {
  Split result;
  CloudTrailSplitter splitter([&](const CloudTrailSplitter::Record& record) {
    result.records.emplace_back(record.offset, std::string(record.text));
    result.sizes.push_back(record.bytes);
  });
  for (std::size_t begin = 0; begin < text.size(); begin += pieceBytes) {
    const std::string piece(text.substr(begin, pieceBytes));  // a copy of its own: reading past it is seen
    splitter.feed({reinterpret_cast<const std::uint8_t*>(piece.data()), piece.size()});
  }
  splitter.finish();
  result.problem = splitter.problem();
  result.offset = splitter.problemOffset();
  return result;
}

TEST(CloudTrailSplitter, FindsRecordsHoweverTheTextIsCut) {
  const std::string text =
      "\xef\xbb\xbf { \"a\" : {\"Records\":[1]} , \"n\":-1.5e3,\"Records\": [ {\"x\":\"}]\\\"\\\\\"} ,\n{\"y\":[[{}],\"{\"]}], "
      "\"z\":null}\n";
  for (std::size_t bytes = 1; bytes <= text.size(); ++bytes) {
    const Split found = split(text, bytes);
    EXPECT_EQ(found.problem, Problem::none) << bytes;
    ASSERT_EQ(found.records.size(), 2U) << bytes;
    EXPECT_EQ(found.records[0].second, "{\"x\":\"}]\\\"\\\\\"}") << bytes;
    EXPECT_EQ(found.records[1].second, "{\"y\":[[{}],\"{\"]}") << bytes;
    for (const auto& [offset, record] : found.records) EXPECT_EQ(text.substr(offset, record.size()), record);
  }
}

TEST(CloudTrailSplitter, TakesAnEmptyList) {
  EXPECT_EQ(split("{\"Records\":[]}", 100).problem, Problem::none);
  EXPECT_TRUE(split("{\"Records\":[ ]}", 1).records.empty());
}

TEST(CloudTrailSplitter, GivesValuesThatAreNoObjectsToTheRecordParser) {
  const Split found = split("{\"Records\":[1,\"a\",null,[2]]}", 3);
  EXPECT_EQ(found.problem, Problem::none);
  ASSERT_EQ(found.records.size(), 4U);
  EXPECT_EQ(found.records[0].second, "1");
  EXPECT_EQ(found.records[2].second, "null");
}

TEST(CloudTrailSplitter, RefusesWhatIsNoLogFile) {
  EXPECT_EQ(split("", 1).problem, Problem::notJson);
  EXPECT_EQ(split("\x89PNG\r\n", 9).problem, Problem::notJson);
  EXPECT_EQ(split("[{}]", 9).problem, Problem::notJson);
  EXPECT_EQ(split("{}", 9).problem, Problem::noRecords);
  EXPECT_EQ(split("{\"records\":[{}]}", 9).problem, Problem::noRecords);
  EXPECT_EQ(split("{\"x\":{\"Records\":[{}]}}", 9).problem, Problem::noRecords);
  EXPECT_EQ(split("{\"Records\":{}}", 9).problem, Problem::notJson);
  EXPECT_EQ(split("{\"Records\":null}", 9).problem, Problem::notJson);
  EXPECT_EQ(split("{\"digestStartTime\":\"x\",\"logFiles\":[]}", 9).problem, Problem::digestFile);
  EXPECT_EQ(split("{\"a\":1}\n{\"a\":2}", 9).problem, Problem::notJson);
}

TEST(CloudTrailSplitter, IsStrictAboutWhatLiesBetweenRecords) {
  for (const char* const text :
       {"{\"Records\":[{},]}", "{\"Records\":[,{}]}", "{\"Records\":[{}{}]}", "{\"Records\":[{};{}]}", "{\"Records\":[{}]}x",
        "{\"Records\":[{}],}", "{\"Records\" [{}]}", "{,\"Records\":[{}]}", "{\"Records\":[{}],\"Records\":[{}]}",
        "{\"a\":1 2,\"Records\":[{}]}", "{\"a\":,\"Records\":[{}]}", "{\"Records\":[{\"a\":]}]}", "{\"Records\":[{}}"}) {
    EXPECT_EQ(split(text, 4).problem, Problem::notJson) << text;
  }
}

TEST(CloudTrailSplitter, KeepsTheRecordsBeforeAFaultAndSaysWhereItIs) {
  const std::string text = "{\"Records\":[{\"a\":1},{\"b\":2},{\"c\":]}]}";
  const Split found = split(text, 5);
  EXPECT_EQ(found.problem, Problem::notJson);
  EXPECT_EQ(found.records.size(), 2U);
  EXPECT_EQ(found.offset, text.find("]}]"));
}

TEST(CloudTrailSplitter, EveryBeginningOfAFileIsCutOff) {
  const std::string text = "{\"Records\":[{\"a\":1},{\"b\":\"2\"}],\"n\":12}";
  for (std::size_t bytes = 1; bytes < text.size(); ++bytes) EXPECT_EQ(split(text.substr(0, bytes), 3).problem, Problem::cutOff) << bytes;
  EXPECT_EQ(split(text, 3).problem, Problem::none);
}

TEST(CloudTrailSplitter, PassesOverARecordThatIsTooLong) {
  const std::string longText(CloudTrailSplitter::kRecordBytesMax, 'x');
  for (const std::size_t piece : {std::size_t{1} << 30, std::size_t{100'000}}) {
    const Split found = split("{\"Records\":[{\"a\":\"" + longText + "\"},{\"b\":2}]}", piece);
    EXPECT_EQ(found.problem, Problem::none);
    ASSERT_EQ(found.records.size(), 2U);
    EXPECT_TRUE(found.records[0].second.empty());
    EXPECT_EQ(found.sizes[0], longText.size() + 8);
    EXPECT_EQ(found.records[1].second, "{\"b\":2}");
  }
  const std::string most(CloudTrailSplitter::kRecordBytesMax - 2, 'y');
  EXPECT_EQ(split("{\"Records\":[\"" + most + "\"]}", 4096).records[0].second.size(), CloudTrailSplitter::kRecordBytesMax);
}

TEST(CloudTrailSplitter, StopsAtTooManyLevels) {
  const std::string open(CloudTrailSplitter::kDepthMax, '[');
  const std::string close(CloudTrailSplitter::kDepthMax, ']');
  EXPECT_EQ(split("{\"Records\":[" + open + close + "]}", 50).problem, Problem::none);
  EXPECT_EQ(split("{\"Records\":[[" + open + close + "]]}", 50).problem, Problem::tooDeep);
  EXPECT_EQ(split("{\"Records\":[" + std::string(100'000, '{'), 5000).problem, Problem::tooDeep);
}

}  // namespace
}  // namespace counterfoil::importers

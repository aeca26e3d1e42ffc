#include "ledger/importers/cloudtrail.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "tests/ledger/crypto/memory_scan.h"
#include "tests/ledger/importers/cloudtrail_fixture.h"

namespace counterfoil::importers::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

constexpr const char* kKeyA = "ASIAEXAMPLEEXAMPLE0A";
constexpr const char* kKeyB = "ASIAEXAMPLEEXAMPLE0B";

class CloudTrailImport : public testing::Test {
 protected:
  fs::path put(const std::string& name, std::string_view content) {
    write(folder.path() / name, content);
    return folder.path() / name;
  }
  Imported importAll() { return import({folder.path()}, options); }
  // "<second of the hour> <last digits of the event id> <kind>"
  static std::vector<std::string> order(const Imported& imported) {
    std::vector<std::string> result;
    for (const ImportedEvent& event : imported.events) {
      const std::string id(event.event.common.text(Field::correlation));
      result.push_back(toRfc3339(event.event.common.time(Field::occurredAt)).substr(17, 2) + " " + id.substr(id.size() - 2) + " " +
                       std::string(kindName(event.event.kind)));
    }
    return result;
  }
  static std::string use(int id, int second, const char* key) {
    return record({.id = id, .second = second, .key = key, .type = "AssumedRole"});
  }

  TemporaryFolder folder;
  CloudTrailOptions options;
};

TEST_F(CloudTrailImport, OrdersByTimeThenGrantThenId) {
  put("a.json", logFile({use(9, 30, kKeyA), use(5, 10, kKeyA), use(4, 10, kKeyA)}));
  put("b.json.gz", gzip(logFile({use(1, 20, kKeyA), grant(8, 10, kKeyA), use(7, 40, kKeyA)})));
  const Imported imported = importAll();
  EXPECT_THAT(order(imported), ElementsAre("10 08 lease.granted", "10 04 lease.consumed", "10 05 lease.consumed", "20 01 lease.consumed",
                                           "30 09 lease.consumed", "40 07 lease.consumed"));
}

// One call may use a lease and grant another one: all grants of a second come before all uses of it.
TEST_F(CloudTrailImport, ChainedRolesOfOneSecond) {
  const std::string chained = record({1, 10, "sts.amazonaws.com", "AssumeRole", kKeyA, "AssumedRole",
                                      std::string(R"("responseElements":{"credentials":{"accessKeyId":")") + kKeyB + "\"}}"});
  put("a.json", logFile({use(3, 10, kKeyB), chained, grant(2, 10, kKeyA)}));
  EXPECT_THAT(order(importAll()),
              ElementsAre("10 01 lease.granted", "10 02 lease.granted", "10 01 lease.consumed", "10 03 lease.consumed"));
}

TEST_F(CloudTrailImport, TheOrderDoesNotDependOnTheWindow) {
  std::vector<std::string> first;
  std::vector<std::string> second;
  for (int index = 0; index < 400; ++index) (index % 3 == 0 ? first : second).push_back(use(index, (index * 7919) % 60, kKeyA));
  put("a.json", logFile(first));
  put("b.json.gz", gzip(logFile(second)));
  const auto whole = order(importAll());
  ASSERT_EQ(whole.size(), 400U);
  const Imported ordered = importAll();
  EXPECT_TRUE(std::is_sorted(ordered.events.begin(), ordered.events.end(), [](const ImportedEvent& left, const ImportedEvent& right) {
    const auto place = [](const Event& event) {
      return std::pair(event.common.time(Field::occurredAt), event.common.text(Field::correlation));
    };
    return place(left.event) < place(right.event);
  }));
  for (const std::size_t bytes : {1UL, 3'000UL, 50'000UL}) {
    options.windowBytes = bytes;
    EXPECT_EQ(order(importAll()), whole) << bytes;
  }
}

TEST_F(CloudTrailImport, TheSameInputGivesTheSameIds) {
  put("a.json", logFile({grant(2, 10, kKeyA), use(3, 11, kKeyA)}));
  const Imported first = importAll();
  put("moved/c.json.gz", gzip(logFile({use(3, 11, kKeyA), grant(2, 10, kKeyA)})));
  fs::remove(folder.path() / "a.json");
  const Imported again = importAll();
  ASSERT_EQ(first.events.size(), 2U);
  ASSERT_EQ(again.events.size(), 2U);
  for (std::size_t index = 0; index < 2; ++index) EXPECT_EQ(first.events[index].event.id, again.events[index].event.id);
  EXPECT_NE(first.events[0].event.id, first.events[1].event.id);
}

TEST_F(CloudTrailImport, CountsARecordOnceHoweverOftenItLies) {
  put("a.json", logFile({grant(2, 10, kKeyA), use(3, 11, kKeyA), use(3, 11, kKeyA)}));
  put("b.json.gz", gzip(logFile({grant(2, 10, kKeyA)})));
  put("c.json", logFile({grant(4, 10, kKeyA)}));  // the same issue, seen by another account
  const Imported imported = importAll();
  EXPECT_EQ(imported.events.size(), 2U);
  EXPECT_EQ(imported.summary.read, 5U);
  EXPECT_EQ(imported.summary.duplicates, 3U);
  EXPECT_EQ(imported.summary.failed, 0U);
}

TEST_F(CloudTrailImport, ABrokenRecordCostsItselfOnly) {
  std::string bad = use(5, 12, kKeyA);
  bad.insert(bad.find("\"eventTime\""), "hush ");
  const fs::path file = put("a.json", logFile({grant(2, 10, kKeyA), bad, use(3, 11, kKeyA)}));
  const Imported imported = importAll();
  EXPECT_EQ(imported.events.size(), 2U);
  EXPECT_EQ(imported.summary.read, 3U);
  EXPECT_EQ(imported.summary.failed, 1U);
  ASSERT_EQ(imported.summary.problems.size(), 1U);
  const ImportProblem& problem = imported.summary.problems[0];
  EXPECT_EQ(problem.file, fs::canonical(file).string());
  EXPECT_EQ(problem.offset, logFile({grant(2, 10, kKeyA)}).size() - 1) << "where the record begins";
  EXPECT_EQ(problem.code, ErrorCode::malformedJson);
  EXPECT_EQ(problem.detail.find("hush"), std::string::npos);
}

TEST_F(CloudTrailImport, ABrokenFileCostsWhatFollowsTheFault) {
  const std::string whole = logFile({grant(2, 10, kKeyA), use(3, 11, kKeyA)});
  put("a.json", whole.substr(0, whole.size() - 20));
  put("b.json", logFile({use(4, 12, kKeyA)}));
  const Imported imported = importAll();
  EXPECT_THAT(order(imported), ElementsAre("10 02 lease.granted", "12 04 lease.consumed"));
  EXPECT_EQ(imported.summary.filesRead, 1U);
  EXPECT_EQ(imported.summary.filesFailed, 1U);
}

TEST_F(CloudTrailImport, ACompressedFileThatIsNotWholeGivesNothing) {
  const std::string whole = gzip(logFile({grant(2, 10, kKeyA), use(3, 11, kKeyA)}));
  std::string damaged = whole;
  damaged[damaged.size() - 6] ^= 1;  // the checksum
  put("a.json.gz", whole.substr(0, whole.size() - 1));
  put("b.json.gz", damaged);
  put("c.json.gz", gzip(R"({"Records":[)" + use(7, 3, kKeyB) + "," + std::string(64'000'000, ' ') + "]}"));
  put("d.json", logFile({use(4, 12, kKeyA)}));
  const Imported imported = importAll();
  EXPECT_THAT(order(imported), ElementsAre("12 04 credential.used"));
  EXPECT_EQ(imported.summary.read, 1U);
  EXPECT_EQ(imported.summary.filesFailed, 3U);
  EXPECT_EQ(imported.summary.failed, 3U);
}

TEST_F(CloudTrailImport, SaysWhichFilesAreNoLogFiles) {
  put("a.json", R"({"hello":"world"})");
  put("b.json", R"({"digestStartTime":"2024-05-01T10:00:00Z","logFiles":[]})");
  put("c.txt", "notes");
  put("d.json", "");
  const Imported imported = importAll();
  EXPECT_TRUE(imported.events.empty());
  EXPECT_EQ(imported.summary.filesFailed, 2U);
  EXPECT_EQ(imported.summary.filesSkipped, 2U);
  ASSERT_EQ(imported.summary.problems.size(), 2U);
  EXPECT_THAT(imported.summary.problems[0].detail, testing::HasSubstr("Records"));
  EXPECT_EQ(imported.summary.reasons.at("digest_file"), 1U);
  EXPECT_EQ(imported.summary.reasons.at("other_name"), 1U);
}

TEST_F(CloudTrailImport, RemembersTheFirstProblemsAndCountsAll) {
  std::vector<std::string> records(500, "{}");
  put("a.json", logFile(records));
  const Imported imported = importAll();
  EXPECT_EQ(imported.summary.failed, 500U);
  EXPECT_EQ(imported.summary.problems.size(), ImportSummary::kProblemsMax);
}

TEST_F(CloudTrailImport, NoticesThatAFileChangedBetweenItsTwoReadings) {
  options.windowBytes = 1;
  const fs::path file = put("a.json", logFile({use(1, 10, kKeyA), use(2, 11, kKeyA), use(3, 12, kKeyA)}));
  CloudTrailImporter importer({file}, nullptr, nullptr, options);
  ImportedEvent event;
  ASSERT_TRUE(importer.next(event));
  write(file, logFile({use(1, 10, kKeyA), use(9, 11, kKeyA)}));
  EXPECT_FALSE(importer.next(event));
  EXPECT_EQ(importer.summary().events, 1U);
  EXPECT_EQ(importer.summary().failed, 2U) << "another record in its place; shorter than it was";
}

TEST_F(CloudTrailImport, BoundsTheNumberOfRecords) {
  options.recordsMax = 2;
  put("a.json.gz", gzip(logFile({use(1, 10, kKeyA), use(2, 11, kKeyA)})));
  EXPECT_EQ(importAll().events.size(), 2U);
  put("b.json", logFile({use(3, 12, kKeyA)}));
  EXPECT_THROW(importAll(), Fault);
}

TEST_F(CloudTrailImport, CountsByProducer) {
  std::string other = use(3, 12, kKeyA);
  other.replace(other.rfind("123456789012"), 12, "999999999999");
  put("a.json", logFile({use(1, 10, kKeyA), use(2, 11, kKeyA), other}));
  const Imported imported = importAll();
  ASSERT_EQ(imported.summary.producers.size(), 2U);
  EXPECT_EQ(imported.summary.producers.at("aws:123456789012").events, 2U);
  EXPECT_EQ(toRfc3339(imported.summary.producers.at("aws:999999999999").lastOccurredAt), at(12));
}

TEST_F(CloudTrailImport, ProgressCanEndTheImport) {
  put("a.json", logFile({use(1, 10, kKeyA)}));
  struct Stop {};
  int calls = 0;
  CloudTrailImporter importer({folder.path()}, nullptr, [&](const ImportProgress& progress) {
    ++calls;
    if (progress.phase == ImportProgress::Phase::importing) throw Stop{};
  });
  ImportedEvent event;
  EXPECT_THROW(importer.next(event), Stop);
  EXPECT_EQ(calls, 3);
}

// A token of this test alone, in memory that is wiped.
crypto::WipingVector token(std::uint8_t seed) {
  crypto::WipingVector result;
  for (std::size_t index = 0; index < 64; ++index) result.push_back(static_cast<std::uint8_t>('A' + (index * seed + index / 7) % 23));
  return result;
}

// A log file with `secret` as a session token, once plain and once with an escape in it, and beside it as a member nobody reads.
void writeWithToken(const fs::path& file, const crypto::WipingVector& secret, bool compress) {
  crypto::WipingVector text;
  const auto add = [&](std::string_view part) { text.insert(text.end(), part.begin(), part.end()); };
  const auto addSecret = [&] { text.insert(text.end(), secret.begin(), secret.end()); };
  const std::string before = grant(compress ? 2 : 1, 10, compress ? kKeyA : kKeyB);
  const std::string marker = "not-for-anyone";
  const std::size_t place = before.find(marker);
  add("{\"Records\":[");
  add(before.substr(0, place));
  addSecret();
  add(before.substr(place + marker.size(), before.size() - place - marker.size() - 1));
  add(",\"requestParameters2\":{\"x-amz-security-token\":\"\\u0041");
  addSecret();
  add("\"},\"additionalEventData\":{\"secretAccessKey\":\"");
  addSecret();
  add("\"}}]}");
  if (!compress) {
    const int out = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQ(::write(out, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::close(out);
    return;
  }
  // Stored blocks: deflate would break the token up, and leave it in zlib's own memory here.
  std::string head("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x01", 11);
  const auto size = static_cast<std::uint16_t>(text.size());
  for (const std::uint16_t number : {size, static_cast<std::uint16_t>(~size)}) {
    head += static_cast<char>(number & 0xff);
    head += static_cast<char>(number >> 8);
  }
  std::string tail;
  const auto checksum = static_cast<std::uint32_t>(crc32(crc32(0, nullptr, 0), text.data(), static_cast<unsigned>(text.size())));
  for (const std::uint32_t number : {checksum, static_cast<std::uint32_t>(size)}) {
    for (int shift = 0; shift < 32; shift += 8) tail += static_cast<char>(number >> shift & 0xff);
  }
  const int out = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::write(out, head.data(), head.size()), static_cast<ssize_t>(head.size()));
  ASSERT_EQ(::write(out, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ASSERT_EQ(::write(out, tail.data(), tail.size()), static_cast<ssize_t>(tail.size()));
  ::close(out);
}

TEST_F(CloudTrailImport, SessionTokensAreNowhereOnceTheyWereRead) {
  if (!crypto::test::kCanScanMemory) GTEST_SKIP() << "sanitizers keep freed memory";
  for (const bool compress : {false, true}) {
    crypto::WipingVector secret = token(compress ? 5 : 11);
    const crypto::test::Needle needle(secret);
    const fs::path file = folder.path() / (compress ? "b.json.gz" : "a.json");
    writeWithToken(file, secret, compress);
    EXPECT_EQ(needle.occurrences(), 1U) << "the test's own copy";
    crypto::WipingVector().swap(secret);
    Imported imported;
    {
      // No window of two records: the importer keeps the text of the current window only.
      CloudTrailImporter importer({file}, nullptr, nullptr, options);
      ImportedEvent event;
      ASSERT_TRUE(importer.next(event));
      imported.events.push_back(std::move(event));
      EXPECT_EQ(needle.occurrences(), 3U) << "the control: the record's text is in the window still, and only there";
      ASSERT_FALSE(importer.next(event));
      EXPECT_EQ(needle.occurrences(), 0U) << "the end of the import wipes the window";
    }
    EXPECT_EQ(imported.events.size(), 1U);
    EXPECT_EQ(imported.events[0].event.kind, Kind::leaseGranted);
    EXPECT_EQ(needle.occurrences(), 0U);
  }
}

}  // namespace
}  // namespace counterfoil::importers::test

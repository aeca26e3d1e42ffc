// The test broker's own rules, against what Apache Kafka 4.3 does (ProducerStateManager, ProducerAppendInfo): what the other tests rest on.
#include "tests/support/kafka_test_partition.h"

#include <gtest/gtest.h>

#include <limits>

namespace counterfoil::test {
namespace {

constexpr std::int32_t kLastSequence = std::numeric_limits<std::int32_t>::max();

// A batch of one record, as an idempotent producer numbers it.
wire::Buffer batchOf(std::int64_t producer, std::int16_t epoch, std::int32_t sequence) {
  constexpr std::size_t kProducerAt = 43;
  constexpr std::size_t kChecksumAt = 17;
  constexpr std::size_t kChecksummedFrom = 21;
  wire::PlainRecord record;
  record.value = {'x'};
  wire::Buffer batch = wire::makeBatch(record);
  const wire::Buffer numbers = wire::Writer().int64(producer).int16(epoch).int32(sequence).out();
  std::copy(numbers.begin(), numbers.end(), batch.begin() + kProducerAt);
  const wire::Buffer checksum = wire::Writer().int32(wire::crc32c(wire::View(batch).subspan(kChecksummedFrom))).out();
  std::copy(checksum.begin(), checksum.end(), batch.begin() + kChecksumAt);
  return batch;
}

class KafkaTestPartitionRules : public ::testing::Test {
 protected:
  // The error, or the offset.
  std::int64_t append(std::int32_t sequence, std::int16_t epoch = 0, std::int64_t producer = 7) {
    const auto verdict = partition_.append(batchOf(producer, epoch, sequence));
    return verdict.error != 0 ? -verdict.error : verdict.baseOffset;
  }
  KafkaTestPartition partition_;
};

TEST_F(KafkaTestPartitionRules, AnUnknownProducerMayBeginWithAnySequence) {
  EXPECT_EQ(append(41), 0);
  EXPECT_EQ(append(42), 1);
  EXPECT_EQ(append(44), -kafka_error::kOutOfOrderSequence);
  EXPECT_EQ(append(0, 0, 8), 2) << "each producer has its own";
  partition_.forgetProducers();
  EXPECT_EQ(append(44), 3);
  EXPECT_EQ(partition_.end(), 4);
}

TEST_F(KafkaTestPartitionRules, TheLastFiveAreKnownByTheirPlaceAndOlderOnesAreOutOfOrder) {
  for (std::int32_t sequence = 0; sequence < 7; ++sequence) EXPECT_EQ(append(sequence), sequence);
  for (std::int32_t sequence = 2; sequence < 7; ++sequence) EXPECT_EQ(append(sequence), sequence) << "its true offset";
  EXPECT_EQ(append(1), -kafka_error::kOutOfOrderSequence);
  EXPECT_EQ(partition_.end(), 7) << "nothing twice";
  const auto verdict = partition_.append(batchOf(7, 0, 6), true);
  EXPECT_EQ(verdict.error, kafka_error::kDuplicateSequence);
  EXPECT_EQ(verdict.baseOffset, -1);
}

TEST_F(KafkaTestPartitionRules, ANewEpochBeginsAtNothingAndEndsTheOldOne) {
  EXPECT_EQ(append(0), 0);
  EXPECT_EQ(append(1, 1), -kafka_error::kOutOfOrderSequence);
  EXPECT_EQ(append(0, 1), 1) << "the same sequence of another epoch is another record";
  EXPECT_EQ(append(1, 0), -kafka_error::kInvalidProducerEpoch);
  EXPECT_EQ(append(1, 1), 2);
}

TEST_F(KafkaTestPartitionRules, SequencesBeginAgainBehindTheGreatest) {
  EXPECT_EQ(append(kLastSequence), 0);
  EXPECT_EQ(append(1), -kafka_error::kOutOfOrderSequence);
  EXPECT_EQ(append(0), 1);
}

TEST_F(KafkaTestPartitionRules, ANewLeaderKnowsOfProducersWhatItsOwnLogSays) {
  for (std::int32_t sequence = 0; sequence < 4; ++sequence) append(sequence);
  partition_.truncate(2);
  EXPECT_EQ(partition_.end(), 2);
  EXPECT_EQ(partition_.leaderEpoch(), 1);
  EXPECT_EQ(append(4), -kafka_error::kOutOfOrderSequence);
  EXPECT_EQ(append(1), 1) << "known";
  EXPECT_EQ(append(2), 2) << "not any more";
}

TEST_F(KafkaTestPartitionRules, DeletedRecordsAreGoneAndTheRestKeepsItsPlace) {
  for (std::int32_t sequence = 0; sequence < 4; ++sequence) append(sequence);
  partition_.deleteBefore(3);
  EXPECT_EQ(partition_.begin(), 3);
  EXPECT_EQ(partition_.records().size(), 1U);
  EXPECT_EQ(partition_.records().front().offset, 3);
  EXPECT_FALSE(partition_.holds(2));
  EXPECT_TRUE(partition_.holds(4)) << "the end is a place to wait at";
}

TEST_F(KafkaTestPartitionRules, DamagedBatchesAreRefused) {
  wire::Buffer batch = batchOf(7, 0, 0);
  batch.back() ^= 1U;
  EXPECT_EQ(partition_.append(batch).error, kafka_error::kCorruptMessage);
  EXPECT_EQ(partition_.append({}).error, kafka_error::kCorruptMessage);
  EXPECT_EQ(partition_.end(), 0);
}

TEST(KafkaWire, ChecksumsAreThoseOfCastagnoli) {
  const std::string check = "123456789";
  EXPECT_EQ(wire::crc32c(wire::Buffer(check.begin(), check.end())), 0xE3069283U);
}

TEST(KafkaWire, ARecordComesBackAsItWasWritten) {
  wire::PlainRecord record;
  record.key = "key";
  record.value.assign(300, 7);
  record.headers.emplace_back("cf", wire::Buffer{1, 2, 3});
  wire::Buffer batch = wire::makeBatch(record);
  wire::place(batch, 5'000'000'000, 3);
  EXPECT_EQ(wire::readHead(batch).leaderEpoch, 3);
  const auto records = wire::readRecords(batch);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].offset, 5'000'000'000);
  EXPECT_EQ(records[0].key, record.key);
  EXPECT_EQ(records[0].value, record.value);
  EXPECT_EQ(records[0].headers, record.headers);
  for (std::size_t size = 0; size < batch.size(); ++size) {
    EXPECT_THROW(wire::readRecords(wire::View(batch).first(size)), wire::Malformed);
  }
}

}  // namespace
}  // namespace counterfoil::test

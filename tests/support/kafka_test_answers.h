// The answers of the test broker that need no waiting. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/support/kafka_test_partition.h"
#include "tests/support/kafka_wire.h"

namespace counterfoil::test::wire {

enum Api : std::int16_t {
  kProduce = 0,
  kFetch = 1,
  kListOffsets = 2,
  kMetadata = 3,
  kApiVersions = 18,
  kInitProducerId = 22,
  kDescribeConfigs = 32,
};

// A request's head; the rest is its body.
struct RequestHead {
  std::int16_t api = -1;
  std::int16_t version = -1;
  std::int32_t correlation = 0;
};
// Throws Malformed, also for a request that this broker does not know in that version.
RequestHead readRequestHead(Reader& reader);
// An answer's head; what is behind it follows.
Writer beginAnswer(const RequestHead& head);

struct Cluster {
  std::string topic;
  std::uint16_t port = 0;
  std::vector<KafkaTestPartition> partitions;
  std::map<std::string, std::string> settings;  // of the topic
  std::int64_t nextProducer = 1'000;
  std::int16_t producerIdError = 0;
  std::size_t producerIdsRefused = 0;

  // Null: there is no such partition.
  KafkaTestPartition* partition(const std::string& name, std::int32_t number);
};

// For every API but Produce and Fetch. Throws Malformed.
Buffer answer(const RequestHead& head, Reader& body, Cluster& cluster);

}  // namespace counterfoil::test::wire

// A real Kafka cluster for tests: the one that COUNTERFOIL_TEST_KAFKA names (bootstrap servers, in clear), or one broker that
// ops/kafka/cluster starts for this process and that ends with it. Topics of a test are fresh, so that tests may run beside each other.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ledger/log/kafka/kafka_settings.h"
#include "ledger/log/record.h"

namespace counterfoil::test {

class KafkaCluster {
 public:
  // The cluster of this process. Null: none can be had here; `why` then says so, for GTEST_SKIP.
  static KafkaCluster* get(std::string& why);

  const std::string& brokers() const { return brokers_; }
  // A new topic with the settings of a ledger's, one replica a broker at most. Its name.
  std::string makeTopic(std::uint32_t partitions, const std::map<std::string, std::string>& settings = {});
  // A topic of that name where one was deleted, as soon as the cluster lets it be made.
  void makeTopicAgain(const std::string& topic, std::uint32_t partitions, const std::map<std::string, std::string>& settings = {});
  // A topic's settings as makeTopic() would give them.
  void configure(const std::string& topic, const std::map<std::string, std::string>& settings);
  // From now on it has so many.
  void addPartitions(const std::string& topic, std::uint32_t partitions);
  void deleteTopic(const std::string& topic);
  // What only somebody who may delete can do: drops everything before `offset`.
  void deleteRecords(const std::string& topic, std::uint32_t partition, std::int64_t offset);
  log::KafkaSettings settings(const std::string& topic) const;
  // One record as it is, by another producer; where it landed.
  std::int64_t inject(const std::string& topic, std::uint32_t partition, const std::optional<log::RecordHeader>& header,
                      const std::vector<std::uint8_t>& value);

 private:
  explicit KafkaCluster(std::string brokers) : brokers_(std::move(brokers)) {}
  std::string brokers_;
};

}  // namespace counterfoil::test

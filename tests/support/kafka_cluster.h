// A real Kafka cluster for tests: the one that COUNTERFOIL_TEST_KAFKA names (bootstrap servers, in clear; COUNTERFOIL_TEST_KAFKA_FOLDER:
// the folder that ops/kafka/cluster has it in, if a test may pause it), or one broker that
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
  // From now on it has so many.
  void addPartitions(const std::string& topic, std::uint32_t partitions);
  void deleteTopic(const std::string& topic);
  // What only somebody who may delete can do: drops everything before `offset`.
  void deleteRecords(const std::string& topic, std::uint32_t partition, std::int64_t offset);
  // Stops its one broker's processor time: what is asked of it waits. False: it is not ours to stop.
  bool pause();
  void resume();
  log::KafkaSettings settings(const std::string& topic) const;
  // One record as it is, by another producer; where it landed.
  std::int64_t inject(const std::string& topic, std::uint32_t partition, const std::optional<log::RecordHeader>& header,
                      const std::vector<std::uint8_t>& value);

 private:
  KafkaCluster(std::string brokers, std::string folder) : brokers_(std::move(brokers)), folder_(std::move(folder)) {}
  std::string brokers_;
  std::string folder_;  // of ops/kafka/cluster; empty: not known
};

}  // namespace counterfoil::test

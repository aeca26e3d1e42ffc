// The requests that making and checking a ledger's topic takes, over librdkafka: what Kafka's own tools do, without starting a Java machine
// for each. One client, one thread; every call waits for its answer, at most the client's time limit.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace counterfoil::kafka_admin {

using Settings = std::map<std::string, std::string>;

// A request that the brokers refused or did not answer in time. what(): the error's name as Kafka's protocol has it, then its explanation.
class Refusal : public std::runtime_error {
 public:
  Refusal(rd_kafka_resp_err_t error, const std::string& detail);
  rd_kafka_resp_err_t error() const { return error_; }

 private:
  rd_kafka_resp_err_t error_;
};

struct PartitionPlace {
  std::int32_t partition = 0;
  std::int32_t replicas = 0;
  std::int32_t inSync = 0;
};

struct ConfigValue {
  std::string value;      // empty too where the broker keeps it to itself
  bool ownValue = false;  // set on this very topic or broker at run time, not inherited
};

// One ACL. Resources: RD_KAFKA_RESOURCE_TOPIC, _GROUP, and _BROKER, which in ACLs means the cluster (its name is `kafka-cluster`).
struct Grant {
  rd_kafka_ResourceType_t resource = RD_KAFKA_RESOURCE_TOPIC;
  std::string name;
  std::string principal;  // "User:CN=writer"
  rd_kafka_AclOperation_t operation = RD_KAFKA_ACL_OPERATION_ANY;
  bool allows = true;
};

class BrokerClient {
 public:
  // `settings` are librdkafka's. Throws std::invalid_argument if it does not know one of them; asks no broker yet.
  BrokerClient(const Settings& settings, int timeoutMs);

  // Waits `ms` and serves the client's own work meanwhile.
  void serve(int ms) const { rd_kafka_poll(client_.get(), ms); }

  // Ids of the brokers that are registered, ascending. Throws Refusal.
  std::vector<std::int32_t> brokers() const;
  // The partitions of a topic, ascending. Throws Refusal, also when there is no such topic.
  std::vector<PartitionPlace> partitions(const std::string& topic) const;
  // The first offset that is still there.
  std::int64_t firstOffset(const std::string& topic, std::int32_t partition) const;

  void createTopic(const std::string& topic, int partitionCount, int replicationFactor, const Settings& config) const;
  void deleteTopic(const std::string& topic) const;
  // Deletes what lies below `offset`.
  void deleteRecords(const std::string& topic, std::int32_t partition, std::int64_t offset) const;

  std::map<std::string, ConfigValue> topicConfig(const std::string& topic) const;
  std::map<std::string, ConfigValue> brokerConfig(std::int32_t broker) const;
  // Sets these, keeps what else was set on the topic: the request replaces all, so the others are read first (and a change made by
  // somebody between the two is undone).
  void setTopicConfig(const std::string& topic, const Settings& config) const;

  void allow(const Grant& grant) const;
  // Every ACL that concerns the resource: by its name, by a prefix of it, or by `*`.
  std::vector<Grant> grants(rd_kafka_ResourceType_t resource, const std::string& name) const;

  // One record, acknowledged by all replicas in sync; its offset.
  std::int64_t append(const std::string& topic, std::int32_t partition, const std::string& value) const;

 private:
  template <auto destroy>
  struct Destroyer {
    template <class T>
    void operator()(T* one) const {
      destroy(one);
    }
  };
  using Event = std::unique_ptr<rd_kafka_event_t, Destroyer<rd_kafka_event_destroy>>;

  template <class Request>
  Event answer(rd_kafka_admin_op_t operation, const Request& request) const;
  // Asks again for a while if a broker does not know the topic yet.
  template <class Ask>
  auto settled(const Ask& ask) const;
  std::vector<PartitionPlace> partitionsNow(const std::string& topic) const;
  std::map<std::string, ConfigValue> config(rd_kafka_ResourceType_t resource, const std::string& name) const;
  std::map<std::string, ConfigValue> configNow(rd_kafka_ResourceType_t resource, const std::string& name) const;

  int timeoutMs_;
  std::unique_ptr<rd_kafka_t, Destroyer<rd_kafka_destroy>> client_;
};

}  // namespace counterfoil::kafka_admin

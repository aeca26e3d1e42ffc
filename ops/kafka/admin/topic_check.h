// Holds a topic, its ACLs and its brokers against what a ledger's log must be.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ops/kafka/admin/broker_client.h"

namespace counterfoil::kafka_admin {

struct People {
  std::string writer;   // the ledger's nodes, "User:CN=writer"
  std::string auditor;  // who reads only
  std::string group;    // the consumer group by which nodes share the partitions
};

struct Wanted {
  std::string topic;
  int partitionCount = 0;     // 0: any
  int replicationFactor = 0;  // 0: any
  Settings config;
  std::optional<People> people;  // without: ACLs are not looked at
};

// READ, WRITE or DESCRIBE: the only rights that anybody but the brokers' owners may have on a ledger's topic.
std::optional<rd_kafka_AclOperation_t> grantableOperation(std::string_view name);

// What is otherwise than wanted, a line each that names the thing, how it is and how it must be. Empty: nothing. Throws Refusal.
std::vector<std::string> differences(const BrokerClient& client, const Wanted& wanted);

}  // namespace counterfoil::kafka_admin

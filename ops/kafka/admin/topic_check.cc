#include "ops/kafka/admin/topic_check.h"

#include <algorithm>
#include <array>

namespace counterfoil::kafka_admin {
namespace {

using Lines = std::vector<std::string>;

// A ledger's topic must not come into being by accident, nor go away.
struct BrokerRule {
  const char* key;
  const char* value;
  const char* why;
};
constexpr std::array<BrokerRule, 3> kBrokerRules = {{
    {"auto.create.topics.enable", "false", "a mistyped name would make a topic with other settings"},
    {"delete.topic.enable", "false", "the topic could be deleted"},
    {"unclean.leader.election.enable", "false", "acknowledged records could be lost in an election"},
}};

const char* const kCluster = "kafka-cluster";

bool changesOrDeletes(rd_kafka_AclOperation_t operation) {
  switch (operation) {
    case RD_KAFKA_ACL_OPERATION_READ:
    case RD_KAFKA_ACL_OPERATION_WRITE:
    case RD_KAFKA_ACL_OPERATION_DESCRIBE:
    case RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS:
      return false;
    default:
      return true;
  }
}

void compareShape(const BrokerClient& client, const Wanted& wanted, Lines& found) {
  const std::vector<PartitionPlace> places = client.partitions(wanted.topic);
  if (wanted.partitionCount != 0 && static_cast<int>(places.size()) != wanted.partitionCount)
    found.push_back("partitions: " + std::to_string(places.size()) + ", must be " + std::to_string(wanted.partitionCount));
  for (const PartitionPlace& place : places) {
    const std::string name = "partition " + std::to_string(place.partition);
    if (wanted.replicationFactor != 0 && place.replicas != wanted.replicationFactor)
      found.push_back(name + ": " + std::to_string(place.replicas) + " replicas, must be " + std::to_string(wanted.replicationFactor));
    if (place.inSync < place.replicas)
      found.push_back(name + ": " + std::to_string(place.inSync) + " of " + std::to_string(place.replicas) + " replicas are in sync");
    const std::int64_t first = client.firstOffset(wanted.topic, place.partition);
    if (first != 0) found.push_back(name + ": begins at offset " + std::to_string(first) + ", must be 0: records were deleted");
  }
}

void compareConfig(const std::string& whose, const std::map<std::string, ConfigValue>& config, const std::string& key,
                   const std::string& value, const std::string& why, Lines& found) {
  const auto entry = config.find(key);
  const std::string is = entry == config.end() ? "not known to the broker" : entry->second.value;
  if (is != value) found.push_back(whose + key + " is " + is + ", must be " + value + (why.empty() ? "" : ": " + why));
}

void compareBrokers(const BrokerClient& client, const Wanted& wanted, Lines& found) {
  for (const std::int32_t id : client.brokers()) {
    const auto config = client.brokerConfig(id);
    const std::string whose = "broker " + std::to_string(id) + ": ";
    for (const BrokerRule& rule : kBrokerRules) compareConfig(whose, config, rule.key, rule.value, rule.why, found);
    if (!wanted.people) continue;
    // What the authorizer itself is told (allow.everyone.if.no.acl.found, super.users) brokers keep to themselves.
    const auto authorizer = config.find("authorizer.class.name");
    if (authorizer == config.end() || authorizer->second.value.empty())
      found.push_back(whose + "authorizer.class.name is not set: nobody's rights are looked at");
  }
}

std::string nameOf(rd_kafka_ResourceType_t resource, const std::string& name) {
  switch (resource) {
    case RD_KAFKA_RESOURCE_TOPIC:
      return "topic " + name;
    case RD_KAFKA_RESOURCE_GROUP:
      return "group " + name;
    default:
      return "the cluster";
  }
}

std::string grantText(const Grant& grant) {
  return grant.principal + " may " + rd_kafka_AclOperation_name(grant.operation) + " " + nameOf(grant.resource, grant.name);
}

void need(const std::vector<Grant>& grants, const std::string& principal, rd_kafka_ResourceType_t resource, const std::string& name,
          std::initializer_list<rd_kafka_AclOperation_t> operations, Lines& found) {
  for (const auto operation : operations) {
    const auto is = [&](bool allows) {
      return std::any_of(grants.begin(), grants.end(), [&](const Grant& grant) {
        const bool meant = grant.operation == operation || grant.operation == RD_KAFKA_ACL_OPERATION_ALL;
        return grant.principal == principal && meant && grant.allows == allows;
      });
    };
    if (is(true) && !is(false)) continue;
    found.push_back(principal + " may not " + rd_kafka_AclOperation_name(operation) + " " + nameOf(resource, name) + ", must be allowed");
  }
}

void compareRights(const BrokerClient& client, const std::string& topic, const People& people, Lines& found) {
  const std::vector<Grant> onTopic = client.grants(RD_KAFKA_RESOURCE_TOPIC, topic);
  for (const Grant& grant : onTopic) {
    const bool foreignWrite = grant.operation == RD_KAFKA_ACL_OPERATION_WRITE && grant.principal != people.writer;
    if (grant.allows && (changesOrDeletes(grant.operation) || foreignWrite))
      found.push_back(grantText(grant) + ", must not: " + (foreignWrite ? "the writer alone writes" : "nobody may change or delete it"));
  }
  for (const Grant& grant : client.grants(RD_KAFKA_RESOURCE_BROKER, kCluster)) {
    if (grant.allows && changesOrDeletes(grant.operation) && grant.operation != RD_KAFKA_ACL_OPERATION_IDEMPOTENT_WRITE)
      found.push_back(grantText(grant) + ", must not: it leads to the topic's rights and settings");
  }
  const auto topicType = RD_KAFKA_RESOURCE_TOPIC;
  need(onTopic, people.writer, topicType, topic,
       {RD_KAFKA_ACL_OPERATION_WRITE, RD_KAFKA_ACL_OPERATION_READ, RD_KAFKA_ACL_OPERATION_DESCRIBE}, found);
  need(onTopic, people.auditor, topicType, topic, {RD_KAFKA_ACL_OPERATION_READ, RD_KAFKA_ACL_OPERATION_DESCRIBE}, found);
  need(client.grants(RD_KAFKA_RESOURCE_GROUP, people.group), people.writer, RD_KAFKA_RESOURCE_GROUP, people.group,
       {RD_KAFKA_ACL_OPERATION_READ, RD_KAFKA_ACL_OPERATION_DESCRIBE}, found);
}

}  // namespace

std::optional<rd_kafka_AclOperation_t> grantableOperation(std::string_view name) {
  if (name == "READ") return RD_KAFKA_ACL_OPERATION_READ;
  if (name == "WRITE") return RD_KAFKA_ACL_OPERATION_WRITE;
  if (name == "DESCRIBE") return RD_KAFKA_ACL_OPERATION_DESCRIBE;
  return std::nullopt;
}

std::vector<std::string> differences(const BrokerClient& client, const Wanted& wanted) {
  Lines found;
  compareShape(client, wanted, found);
  const auto config = client.topicConfig(wanted.topic);
  for (const auto& [key, value] : wanted.config) compareConfig("", config, key, value, "", found);
  compareBrokers(client, wanted, found);
  if (wanted.people) compareRights(client, wanted.topic, *wanted.people, found);
  return found;
}

}  // namespace counterfoil::kafka_admin

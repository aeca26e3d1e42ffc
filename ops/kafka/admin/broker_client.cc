#include "ops/kafka/admin/broker_client.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace counterfoil::kafka_admin {
namespace {

constexpr std::size_t kErrorBytes = 512;
// What an append may lack before its delivery report came: librdkafka tells failures of a record by negative offsets as well.
constexpr std::int64_t kNoOffset = -1;

struct Delivery {
  bool reported = false;
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::int64_t offset = kNoOffset;
};

void onDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void*) {
  *static_cast<Delivery*>(message->_private) = {true, message->err, message->offset};
}

// Failures reach the caller as Refusal; the library's own lines about them would only stand beside it.
void keepQuiet(const rd_kafka_t*, int, const char*, const char*) {}

void check(rd_kafka_resp_err_t error, const char* detail) {
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) throw Refusal(error, detail == nullptr ? "" : detail);
}

void checkTopics(const rd_kafka_topic_result_t* const* topics, std::size_t count) {
  for (std::size_t at = 0; at < count; ++at) check(rd_kafka_topic_result_error(topics[at]), rd_kafka_topic_result_error_string(topics[at]));
}

std::string textOf(const char* text) {
  return text == nullptr ? std::string() : std::string(text);
}

}  // namespace

Refusal::Refusal(rd_kafka_resp_err_t error, const std::string& detail)
    : std::runtime_error(std::string(rd_kafka_err2name(error)) + ": " + (detail.empty() ? rd_kafka_err2str(error) : detail)),
      error_(error) {}

BrokerClient::BrokerClient(const Settings& settings, int timeoutMs) : timeoutMs_(timeoutMs) {
  std::array<char, kErrorBytes> why{};
  std::unique_ptr<rd_kafka_conf_t, Destroyer<rd_kafka_conf_destroy>> conf(rd_kafka_conf_new());
  Settings all = {{"client.id", "counterfoil-kafka-admin"}, {"reconnect.backoff.ms", "50"}, {"reconnect.backoff.max.ms", "500"}};
  for (const auto& [key, value] : settings) all[key] = value;
  for (const auto& [key, value] : all) {
    if (rd_kafka_conf_set(conf.get(), key.c_str(), value.c_str(), why.data(), why.size()) != RD_KAFKA_CONF_OK)
      throw std::invalid_argument(why.data());
  }
  rd_kafka_conf_set_dr_msg_cb(conf.get(), onDelivery);
  rd_kafka_conf_set_log_cb(conf.get(), keepQuiet);
  client_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), why.data(), why.size()));
  if (!client_) throw std::invalid_argument(why.data());
  static_cast<void>(conf.release());  // the client's, since it exists
}

template <class Request>
BrokerClient::Event BrokerClient::answer(rd_kafka_admin_op_t operation, const Request& request) const {
  std::array<char, kErrorBytes> why{};
  const std::unique_ptr<rd_kafka_queue_t, Destroyer<rd_kafka_queue_destroy>> queue(rd_kafka_queue_new(client_.get()));
  const std::unique_ptr<rd_kafka_AdminOptions_t, Destroyer<rd_kafka_AdminOptions_destroy>> options(
      rd_kafka_AdminOptions_new(client_.get(), operation));
  check(rd_kafka_AdminOptions_set_request_timeout(options.get(), timeoutMs_, why.data(), why.size()), why.data());
  request(options.get(), queue.get());
  // The request's own time limit ends it; the queue's is later, so that the answer is never left behind.
  Event event(rd_kafka_queue_poll(queue.get(), timeoutMs_ + 5'000));
  if (!event) throw Refusal(RD_KAFKA_RESP_ERR__TIMED_OUT, "");
  check(rd_kafka_event_error(event.get()), rd_kafka_event_error_string(event.get()));
  return event;
}

std::vector<std::int32_t> BrokerClient::brokers() const {
  const rd_kafka_metadata_t* metadata = nullptr;
  check(rd_kafka_metadata(client_.get(), 0, nullptr, &metadata, timeoutMs_), nullptr);
  std::vector<std::int32_t> ids;
  for (int at = 0; at < metadata->broker_cnt; ++at) ids.push_back(metadata->brokers[at].id);
  rd_kafka_metadata_destroy(metadata);
  std::sort(ids.begin(), ids.end());
  return ids;
}

// A broker hears of a new topic a moment later than the controller that made it, and any of them may be asked.
template <class Ask>
auto BrokerClient::settled(const Ask& ask) const {
  constexpr int kPauseMs = 50;
  constexpr int kWaitMs = 3'000;
  for (int waited = 0;; waited += kPauseMs) {
    try {
      return ask();
    } catch (const Refusal& refusal) {
      if (refusal.error() != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || waited >= kWaitMs) throw;
    }
    serve(kPauseMs);
  }
}

std::vector<PartitionPlace> BrokerClient::partitions(const std::string& topic) const {
  return settled([&] { return partitionsNow(topic); });
}

std::vector<PartitionPlace> BrokerClient::partitionsNow(const std::string& topic) const {
  const std::unique_ptr<rd_kafka_topic_t, Destroyer<rd_kafka_topic_destroy>> handle(
      rd_kafka_topic_new(client_.get(), topic.c_str(), nullptr));
  if (!handle) throw Refusal(rd_kafka_last_error(), "");
  const rd_kafka_metadata_t* metadata = nullptr;
  check(rd_kafka_metadata(client_.get(), 0, handle.get(), &metadata, timeoutMs_), nullptr);
  const std::unique_ptr<const rd_kafka_metadata_t, Destroyer<rd_kafka_metadata_destroy>> owner(metadata);
  if (metadata->topic_cnt != 1) throw Refusal(RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, "");
  const rd_kafka_metadata_topic_t& found = metadata->topics[0];
  check(found.err, nullptr);
  std::vector<PartitionPlace> places;
  for (int at = 0; at < found.partition_cnt; ++at) {
    const rd_kafka_metadata_partition_t& one = found.partitions[at];
    places.push_back({one.id, one.replica_cnt, one.isr_cnt});
  }
  std::sort(places.begin(), places.end(), [](const auto& a, const auto& b) { return a.partition < b.partition; });
  return places;
}

std::int64_t BrokerClient::firstOffset(const std::string& topic, std::int32_t partition) const {
  std::int64_t low = kNoOffset;
  std::int64_t high = kNoOffset;
  // A broker hears a moment later than the controller that it leads a partition: of a new topic, or after another broker went.
  constexpr int kPauseMs = 50;
  for (int waited = 0;; waited += kPauseMs) {
    const auto error = rd_kafka_query_watermark_offsets(client_.get(), topic.c_str(), partition, &low, &high, timeoutMs_);
    const bool settling = error == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || error == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
                          error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (!settling || waited >= timeoutMs_) {
      check(error, nullptr);
      return low;
    }
    serve(kPauseMs);
  }
}

void BrokerClient::createTopic(const std::string& topic, int partitionCount, int replicationFactor, const Settings& config) const {
  std::array<char, kErrorBytes> why{};
  const std::unique_ptr<rd_kafka_NewTopic_t, Destroyer<rd_kafka_NewTopic_destroy>> wanted(
      rd_kafka_NewTopic_new(topic.c_str(), partitionCount, replicationFactor, why.data(), why.size()));
  if (!wanted) throw Refusal(RD_KAFKA_RESP_ERR__INVALID_ARG, why.data());
  for (const auto& [key, value] : config) check(rd_kafka_NewTopic_set_config(wanted.get(), key.c_str(), value.c_str()), nullptr);
  std::array<rd_kafka_NewTopic_t*, 1> topics = {wanted.get()};
  const Event event = answer(RD_KAFKA_ADMIN_OP_CREATETOPICS, [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
    rd_kafka_CreateTopics(client_.get(), topics.data(), topics.size(), options, queue);
  });
  std::size_t count = 0;
  const auto* const results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  checkTopics(results, count);
}

void BrokerClient::deleteTopic(const std::string& topic) const {
  const std::unique_ptr<rd_kafka_DeleteTopic_t, Destroyer<rd_kafka_DeleteTopic_destroy>> doomed(rd_kafka_DeleteTopic_new(topic.c_str()));
  std::array<rd_kafka_DeleteTopic_t*, 1> topics = {doomed.get()};
  const Event event = answer(RD_KAFKA_ADMIN_OP_DELETETOPICS, [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
    rd_kafka_DeleteTopics(client_.get(), topics.data(), topics.size(), options, queue);
  });
  std::size_t count = 0;
  const auto* const results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event.get()), &count);
  checkTopics(results, count);
}

void BrokerClient::deleteRecords(const std::string& topic, std::int32_t partition, std::int64_t offset) const {
  using Offsets = std::unique_ptr<rd_kafka_topic_partition_list_t, Destroyer<rd_kafka_topic_partition_list_destroy>>;
  const Offsets before(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(before.get(), topic.c_str(), partition)->offset = offset;
  const std::unique_ptr<rd_kafka_DeleteRecords_t, Destroyer<rd_kafka_DeleteRecords_destroy>> doomed(
      rd_kafka_DeleteRecords_new(before.get()));
  std::array<rd_kafka_DeleteRecords_t*, 1> requests = {doomed.get()};
  const Event event = answer(RD_KAFKA_ADMIN_OP_DELETERECORDS, [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
    rd_kafka_DeleteRecords(client_.get(), requests.data(), requests.size(), options, queue);
  });
  const auto* const offsets = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event.get()));
  for (int at = 0; at < offsets->cnt; ++at) check(offsets->elems[at].err, nullptr);
}

std::map<std::string, ConfigValue> BrokerClient::config(rd_kafka_ResourceType_t resource, const std::string& name) const {
  return settled([&] { return configNow(resource, name); });
}

std::map<std::string, ConfigValue> BrokerClient::configNow(rd_kafka_ResourceType_t resource, const std::string& name) const {
  const std::unique_ptr<rd_kafka_ConfigResource_t, Destroyer<rd_kafka_ConfigResource_destroy>> asked(
      rd_kafka_ConfigResource_new(resource, name.c_str()));
  std::array<rd_kafka_ConfigResource_t*, 1> resources = {asked.get()};
  const Event event = answer(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
    rd_kafka_DescribeConfigs(client_.get(), resources.data(), resources.size(), options, queue);
  });
  std::map<std::string, ConfigValue> values;
  std::size_t count = 0;
  const auto* const results = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  for (std::size_t at = 0; at < count; ++at) {
    check(rd_kafka_ConfigResource_error(results[at]), rd_kafka_ConfigResource_error_string(results[at]));
    std::size_t entryCount = 0;
    const auto* const entries = rd_kafka_ConfigResource_configs(results[at], &entryCount);
    for (std::size_t entry = 0; entry < entryCount; ++entry) {
      const auto source = rd_kafka_ConfigEntry_source(entries[entry]);
      values[rd_kafka_ConfigEntry_name(entries[entry])] = {
          textOf(rd_kafka_ConfigEntry_value(entries[entry])),
          source == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG || source == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_BROKER_CONFIG};
    }
  }
  return values;
}

std::map<std::string, ConfigValue> BrokerClient::topicConfig(const std::string& topic) const {
  return config(RD_KAFKA_RESOURCE_TOPIC, topic);
}

std::map<std::string, ConfigValue> BrokerClient::brokerConfig(std::int32_t broker) const {
  return config(RD_KAFKA_RESOURCE_BROKER, std::to_string(broker));
}

void BrokerClient::setTopicConfig(const std::string& topic, const Settings& config) const {
  Settings all;
  for (const auto& [key, entry] : topicConfig(topic)) {
    if (entry.ownValue) all[key] = entry.value;
  }
  for (const auto& [key, value] : config) all[key] = value;
  const std::unique_ptr<rd_kafka_ConfigResource_t, Destroyer<rd_kafka_ConfigResource_destroy>> wanted(
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
  for (const auto& [key, value] : all) check(rd_kafka_ConfigResource_set_config(wanted.get(), key.c_str(), value.c_str()), nullptr);
  std::array<rd_kafka_ConfigResource_t*, 1> resources = {wanted.get()};
  const Event event = answer(RD_KAFKA_ADMIN_OP_ALTERCONFIGS, [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
    rd_kafka_AlterConfigs(client_.get(), resources.data(), resources.size(), options, queue);
  });
  std::size_t count = 0;
  const auto* const results = rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event.get()), &count);
  for (std::size_t at = 0; at < count; ++at)
    check(rd_kafka_ConfigResource_error(results[at]), rd_kafka_ConfigResource_error_string(results[at]));
}

void BrokerClient::allow(const Grant& grant) const {
  std::array<char, kErrorBytes> why{};
  const std::unique_ptr<rd_kafka_AclBinding_t, Destroyer<rd_kafka_AclBinding_destroy>> wanted(rd_kafka_AclBinding_new(
      grant.resource, grant.name.c_str(), RD_KAFKA_RESOURCE_PATTERN_LITERAL, grant.principal.c_str(), "*", grant.operation,
      grant.allows ? RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW : RD_KAFKA_ACL_PERMISSION_TYPE_DENY, why.data(), why.size()));
  if (!wanted) throw Refusal(RD_KAFKA_RESP_ERR__INVALID_ARG, why.data());
  std::array<rd_kafka_AclBinding_t*, 1> bindings = {wanted.get()};
  const Event event = answer(RD_KAFKA_ADMIN_OP_CREATEACLS, [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
    rd_kafka_CreateAcls(client_.get(), bindings.data(), bindings.size(), options, queue);
  });
  std::size_t count = 0;
  const auto* const results = rd_kafka_CreateAcls_result_acls(rd_kafka_event_CreateAcls_result(event.get()), &count);
  for (std::size_t at = 0; at < count; ++at) {
    const rd_kafka_error_t* const error = rd_kafka_acl_result_error(results[at]);
    if (error != nullptr) throw Refusal(rd_kafka_error_code(error), rd_kafka_error_string(error));
  }
}

std::vector<Grant> BrokerClient::grants(rd_kafka_ResourceType_t resource, const std::string& name) const {
  std::array<char, kErrorBytes> why{};
  const std::unique_ptr<rd_kafka_AclBindingFilter_t, Destroyer<rd_kafka_AclBinding_destroy>> filter(
      rd_kafka_AclBindingFilter_new(resource, name.c_str(), RD_KAFKA_RESOURCE_PATTERN_MATCH, nullptr, nullptr, RD_KAFKA_ACL_OPERATION_ANY,
                                    RD_KAFKA_ACL_PERMISSION_TYPE_ANY, why.data(), why.size()));
  if (!filter) throw Refusal(RD_KAFKA_RESP_ERR__INVALID_ARG, why.data());
  const Event event = answer(RD_KAFKA_ADMIN_OP_DESCRIBEACLS, [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
    rd_kafka_DescribeAcls(client_.get(), filter.get(), options, queue);
  });
  std::size_t count = 0;
  const auto* const results = rd_kafka_DescribeAcls_result_acls(rd_kafka_event_DescribeAcls_result(event.get()), &count);
  std::vector<Grant> found;
  for (std::size_t at = 0; at < count; ++at) {
    found.push_back({rd_kafka_AclBinding_restype(results[at]), rd_kafka_AclBinding_name(results[at]),
                     rd_kafka_AclBinding_principal(results[at]), rd_kafka_AclBinding_operation(results[at]),
                     rd_kafka_AclBinding_permission_type(results[at]) == RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW});
  }
  return found;
}

std::int64_t BrokerClient::append(const std::string& topic, std::int32_t partition, const std::string& value) const {
  const std::unique_ptr<rd_kafka_topic_t, Destroyer<rd_kafka_topic_destroy>> handle(
      rd_kafka_topic_new(client_.get(), topic.c_str(), nullptr));
  if (!handle) throw Refusal(rd_kafka_last_error(), "");
  auto delivery = std::make_unique<Delivery>();
  std::string copy = value;
  if (rd_kafka_produce(handle.get(), partition, RD_KAFKA_MSG_F_COPY, copy.data(), copy.size(), nullptr, 0, delivery.get()) != 0)
    throw Refusal(rd_kafka_last_error(), "");
  rd_kafka_flush(client_.get(), timeoutMs_);
  if (!delivery->reported) {
    rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(client_.get(), timeoutMs_);
  }
  if (!delivery->reported) {
    static_cast<void>(delivery.release());  // the client still holds the record, and writes its report there when it is destroyed
    throw Refusal(RD_KAFKA_RESP_ERR__TIMED_OUT, "");
  }
  check(delivery->error, nullptr);
  if (delivery->offset < 0) throw Refusal(RD_KAFKA_RESP_ERR__FAIL, "acknowledged without an offset");
  return delivery->offset;
}

}  // namespace counterfoil::kafka_admin

#include "ledger/log/kafka/kafka_client.h"

#include <algorithm>
#include <array>

namespace counterfoil::log::kafka {
namespace {

using Property = std::pair<const char*, const char*>;

// Reasons in docs/kafka.md, Settings of the client.
constexpr std::array kBoth = {
    Property{"socket.nagle.disable", "true"},
    Property{"socket.keepalive.enable", "true"},
    Property{"socket.timeout.ms", "10000"},
    Property{"reconnect.backoff.ms", "50"},
    Property{"reconnect.backoff.max.ms", "1000"},
    Property{"topic.metadata.refresh.interval.ms", "10000"},
    Property{"topic.metadata.refresh.fast.interval.ms", "50"},
    Property{"allow.auto.create.topics", "false"},
    Property{"log.connection.close", "false"},
};
constexpr std::array kProducer = {
    Property{"enable.idempotence", "true"}, Property{"acks", "all"}, Property{"max.in.flight.requests.per.connection", "5"},
    // Shorter ones were seen to put records into the log twice: a message that times out in flight is sent again under another producer
    // epoch. How long a caller waits is the caller's business.
    Property{"message.timeout.ms", "300000"}, Property{"request.timeout.ms", "5000"}, Property{"retry.backoff.ms", "20"},
    Property{"linger.ms", "0"}, Property{"batch.num.messages", "1000"}, Property{"batch.size", "262144"},
    Property{"message.max.bytes", "1000000"}, Property{"queue.buffering.max.messages", "100000"},
    Property{"queue.buffering.max.kbytes", "131072"}, Property{"compression.codec", "none"},  // ciphertext does not shrink
};
constexpr std::array kReader = {
    Property{"enable.auto.commit", "false"},
    Property{"enable.auto.offset.store", "false"},
    // A missing offset is an alarm in an audit ledger, never a reason to go on elsewhere.
    Property{"auto.offset.reset", "error"},
    Property{"enable.partition.eof", "true"},
    Property{"check.crcs", "true"},
    Property{"isolation.level", "read_uncommitted"},
    Property{"fetch.wait.max.ms", "100"},
    Property{"fetch.error.backoff.ms", "50"},
    Property{"fetch.message.max.bytes", "4194304"},
    Property{"queued.min.messages", "20000"},
    Property{"queued.max.messages.kbytes", "32768"},
};
constexpr std::array kOwnNames = {"bootstrap.servers",
                                  "metadata.broker.list",
                                  "client.id",
                                  "security.protocol",
                                  "ssl.ca.location",
                                  "ssl.certificate.location",
                                  "ssl.key.location",
                                  "transactional.id",
                                  "group.id",
                                  "request.required.acks",
                                  "max.in.flight",
                                  "enable.gapless.guarantee",
                                  "dr_cb",
                                  "delivery.report.only.error"};
// Of those above, what an operator may still choose: they change speed, not meaning.
constexpr std::array kTunable = {"linger.ms",
                                 "batch.num.messages",
                                 "batch.size",
                                 "fetch.wait.max.ms",
                                 "socket.timeout.ms",
                                 "reconnect.backoff.ms",
                                 "reconnect.backoff.max.ms"};

template <class List>
bool names(const List& list, const std::string& name) {
  return std::any_of(list.begin(), list.end(), [&](const char* each) { return name == each; });
}

template <class List>
bool sets(const List& list, const std::string& name) {
  return std::any_of(list.begin(), list.end(), [&](const Property& each) { return name == each.first; });
}

void set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  std::array<char, 512> reason{};
  if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), reason.data(), reason.size()) == RD_KAFKA_CONF_OK) return;
  // The reason may repeat the value, which may be a password.
  throw Fault(ErrorCode::invalidValue, "librdkafka does not take the property " + name + " as it is given",
              "see its name and its values in librdkafka's CONFIGURATION.md");
}

Conf baseConf(const KafkaSettings& settings) {
  Conf conf(rd_kafka_conf_new());
  set(conf.get(), "bootstrap.servers", settings.brokers);
  set(conf.get(), "client.id", settings.clientId);
  for (const auto& [name, value] : kBoth) set(conf.get(), name, value);
  const bool tls = !settings.certificateAuthority.empty() || !settings.certificate.empty();
  const bool sasl = std::any_of(settings.properties.begin(), settings.properties.end(),
                                [](const auto& property) { return property.first.starts_with("sasl."); });
  if (tls || sasl) set(conf.get(), "security.protocol", tls ? (sasl ? "sasl_ssl" : "ssl") : "sasl_plaintext");
  if (!settings.certificateAuthority.empty()) set(conf.get(), "ssl.ca.location", settings.certificateAuthority);
  if (!settings.certificate.empty()) {
    set(conf.get(), "ssl.certificate.location", settings.certificate);
    set(conf.get(), "ssl.key.location", settings.certificateKey);
  }
  for (const auto& [name, value] : settings.properties) {
    const bool decided = names(kOwnNames, name) || sets(kBoth, name) || sets(kProducer, name) || sets(kReader, name);
    if (decided && !names(kTunable, name)) {
      throw Fault(ErrorCode::invalidValue, "the property " + name + " of librdkafka is decided by the ledger",
                  "leave it out: the order and the durability of the record rest on it");
    }
  }
  return conf;
}

// After the ledger's own, so that the few that may be chosen win.
void setOthers(rd_kafka_conf_t* conf, const KafkaSettings& settings) {
  for (const auto& [name, value] : settings.properties) set(conf, name, value);
}

// Messages of the library say where a connection failed, never what was sent; they come back as error events and faults, which the
// ledger reports itself.
void ignoreLog(const rd_kafka_t*, int, const char*, const char*) {}

// What an election, or a topic just made, looks like for a moment.
bool passes(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
         code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE;
}

// What the cluster knows of the topic now.
void askAgain(rd_kafka_t* client, const std::string& name, std::chrono::milliseconds patience) {
  const Topic topic(rd_kafka_topic_new(client, name.c_str(), nullptr));
  const struct rd_kafka_metadata* found = nullptr;
  if (topic != nullptr &&
      rd_kafka_metadata(client, 0, topic.get(), &found, static_cast<int>(patience.count())) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const Metadata told(found);
  }
}

Client makeClient(rd_kafka_type_t type, Conf conf) {
  rd_kafka_conf_set_log_cb(conf.get(), ignoreLog);
  std::array<char, 512> reason{};
  Client client(rd_kafka_new(type, conf.get(), reason.data(), reason.size()));
  if (client == nullptr) throw faultOf(reason.data(), "making a client");
  static_cast<void>(conf.release());
  return client;
}

}  // namespace

Fault faultOf(const std::string& reason, const std::string& doing) {
  return {ErrorCode::logUnavailable, "Kafka, " + doing + ": " + reason, "`counterfoil doctor` says what is wrong with the cluster"};
}

Fault faultOf(int code, const std::string& doing) {
  // Others have no name, and are no value of the enumeration.
  constexpr int kGreatest = 255;
  if (code < RD_KAFKA_RESP_ERR__BEGIN || code > kGreatest) return faultOf("error " + std::to_string(code), doing);
  return faultOf(rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(code)), doing);
}

Client makeProducer(const KafkaSettings& settings) {
  Conf conf = baseConf(settings);
  for (const auto& [name, value] : kProducer) set(conf.get(), name, value);
  setOthers(conf.get(), settings);
  rd_kafka_conf_set_events(conf.get(), RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
  return makeClient(RD_KAFKA_PRODUCER, std::move(conf));
}

namespace {

Conf readerConf(const KafkaSettings& settings) {
  Conf conf = baseConf(settings);
  for (const auto& [name, value] : kReader) set(conf.get(), name, value);
  setOthers(conf.get(), settings);
  return conf;
}

}  // namespace

Client makeReader(const KafkaSettings& settings) {
  return makeClient(RD_KAFKA_CONSUMER, readerConf(settings));
}

Client makeGlancer(const KafkaSettings& settings) {
  Conf conf = readerConf(settings);
  set(conf.get(), "fetch.message.max.bytes", "65536");
  set(conf.get(), "queued.min.messages", "1");
  return makeClient(RD_KAFKA_CONSUMER, std::move(conf));
}

Client makeInspector(const KafkaSettings& settings) {
  Conf conf = readerConf(settings);
  rd_kafka_conf_set_events(conf.get(), RD_KAFKA_EVENT_ERROR);
  return makeClient(RD_KAFKA_CONSUMER, std::move(conf));
}

Client makeGroupMember(const KafkaSettings& settings, const GroupMember& member) {
  Conf conf = baseConf(settings);
  set(conf.get(), "group.id", member.group);
  set(conf.get(), "session.timeout.ms", std::to_string(member.sessionTimeout.count()));
  set(conf.get(), "heartbeat.interval.ms", std::to_string(std::max<std::int64_t>(member.sessionTimeout.count() / 6, 100)));
  // The other strategies have open bugs in librdkafka 2.0.2 (docs/kafka.md).
  set(conf.get(), "partition.assignment.strategy", "range");
  set(conf.get(), "enable.auto.commit", "false");
  set(conf.get(), "enable.auto.offset.store", "false");
  set(conf.get(), "auto.offset.reset", "latest");  // nothing is read
  setOthers(conf.get(), settings);
  rd_kafka_conf_set_rebalance_cb(conf.get(), member.rebalance);
  rd_kafka_conf_set_opaque(conf.get(), member.opaque);
  Client client = makeClient(RD_KAFKA_CONSUMER, std::move(conf));
  rd_kafka_poll_set_consumer(client.get());
  return client;
}

Topic openTopic(rd_kafka_t* client, const KafkaSettings& settings) {
  Topic topic(rd_kafka_topic_new(client, settings.topic.c_str(), nullptr));
  if (topic == nullptr) throw faultOf(rd_kafka_last_error(), "naming the topic");
  return topic;
}

TopicFacts topicFacts(rd_kafka_t* client, rd_kafka_topic_t* topic, const KafkaSettings& settings) {
  const struct rd_kafka_metadata* found = nullptr;
  const auto code = rd_kafka_metadata(client, 0, topic, &found, static_cast<int>(settings.answerWithin.count()));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) throw faultOf(code, "asking for the cluster");
  const Metadata metadata(found);
  TopicFacts facts;
  facts.brokers = static_cast<std::uint32_t>(metadata->broker_cnt);
  if (metadata->topic_cnt != 1) throw faultOf("the answer does not name the topic", "asking for the cluster");
  const struct rd_kafka_metadata_topic& own = metadata->topics[0];
  if (own.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
    throw Fault(ErrorCode::noLedger, "the cluster has no such topic, or this principal may not see it",
                "make it with `ops/kafka/topics`, or with the commands of docs/kafka.md");
  }
  if (own.err != RD_KAFKA_RESP_ERR_NO_ERROR) throw faultOf(own.err, "asking for the topic");
  facts.partitions = static_cast<std::uint32_t>(own.partition_cnt);
  for (int index = 0; index < own.partition_cnt; ++index) {
    if (own.partitions[index].leader < 0) facts.withoutLeader.push_back(static_cast<std::uint32_t>(own.partitions[index].id));
  }
  return facts;
}

// Not rd_kafka_query_watermark_offsets, which asks for both ends at once: of a broker that is stopped it waits until its requests have
// failed, whatever time it is given.
rd_kafka_resp_err_t askOffset(rd_kafka_t* client, const KafkaSettings& settings, PartitionId partition, std::int64_t which,
                              std::chrono::milliseconds limit, std::int64_t& offset) {
  const PartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), settings.topic.c_str(), static_cast<std::int32_t>(partition.value))->offset = which;
  const auto code = rd_kafka_offsets_for_times(client, list.get(), static_cast<int>(limit.count()));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return code;
  const rd_kafka_topic_partition_t& told = list->elems[0];
  if (told.err != RD_KAFKA_RESP_ERR_NO_ERROR) return told.err;
  if (told.offset < 0) return RD_KAFKA_RESP_ERR__TIMED_OUT;
  offset = told.offset;
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

Watermarks watermarks(rd_kafka_t* client, const KafkaSettings& settings, PartitionId partition) {
  constexpr std::chrono::milliseconds kBetweenTries{50};
  // Of a partition without a leader, or a topic that is gone, a query says nothing until its time is over.
  const std::chrono::milliseconds oneQuery = std::min<std::chrono::milliseconds>(settings.answerWithin, std::chrono::seconds(1));
  Watermarks result;
  for (std::chrono::milliseconds waited{0};; waited += kBetweenTries) {
    auto code = askOffset(client, settings, partition, RD_KAFKA_OFFSET_BEGINNING, oneQuery, result.low);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = askOffset(client, settings, partition, RD_KAFKA_OFFSET_END, oneQuery, result.high);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return result;
    // The library says the second one instead if no broker was connected when the time was over.
    const bool timedOut = code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    if (timedOut) waited += oneQuery;
    // Says the client by itself, of a topic that a broker did not know yet when it was asked last; it does not ask again for that.
    const bool unasked = code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
    if (unasked) askAgain(client, settings.topic, oneQuery);
    if ((!timedOut && !unasked && !passes(code)) || waited >= settings.answerWithin) throw faultOf(code, "asking for the log's end");
    rd_kafka_poll(client, static_cast<int>(kBetweenTries.count()));
  }
}

}  // namespace counterfoil::log::kafka

#include "tests/support/kafka_cluster.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "ledger/log/kafka/kafka_handles.h"

namespace counterfoil::test {
namespace {

namespace fs = std::filesystem;
namespace kafka = log::kafka;

constexpr int kAnswerMilliseconds = 20'000;

struct Output {
  int status = -1;
  std::string text;
};

// Standard output; what goes to standard error stays visible in the test's own.
Output run(const std::string& command) {
  Output output;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return output;
  std::array<char, 4096> buffer{};
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe)) output.text.append(buffer.data(), count);
  const int status = ::pclose(pipe);
  output.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return output;
}

// Ends the broker with the program.
class OwnBroker : public ::testing::Environment {
 public:
  explicit OwnBroker(fs::path folder) : folder_(std::move(folder)) {}
  void TearDown() override { run(script() + " stop --remove --folder " + folder_.string() + " 2>/dev/null"); }
  static std::string script() { return std::string(COUNTERFOIL_SOURCE_DIR) + "/ops/kafka/cluster"; }

 private:
  fs::path folder_;
};

kafka::Client makeClient(const std::string& brokers, rd_kafka_type_t type = RD_KAFKA_PRODUCER) {
  kafka::Conf conf(rd_kafka_conf_new());
  std::array<char, 256> reason{};
  rd_kafka_conf_set(conf.get(), "bootstrap.servers", brokers.c_str(), reason.data(), reason.size());
  rd_kafka_conf_set(conf.get(), "acks", "all", reason.data(), reason.size());
  rd_kafka_conf_set(conf.get(), "log_level", "0", reason.data(), reason.size());
  rd_kafka_conf_set_events(conf.get(), RD_KAFKA_EVENT_DR);
  kafka::Client client(rd_kafka_new(type, conf.get(), reason.data(), reason.size()));
  if (client == nullptr) throw std::runtime_error(reason.data());
  static_cast<void>(conf.release());
  return client;
}

kafka::Event answerOf(rd_kafka_queue_t* queue, const char* doing) {
  kafka::Event event(rd_kafka_queue_poll(queue, kAnswerMilliseconds));
  if (event == nullptr) throw std::runtime_error(std::string(doing) + ": no answer");
  if (rd_kafka_event_error(event.get()) != 0)
    throw std::runtime_error(std::string(doing) + ": " + rd_kafka_event_error_string(event.get()));
  return event;
}

rd_kafka_resp_err_t createTopic(rd_kafka_t* client, const std::string& topic, std::uint32_t partitions, int replicas,
                                const std::map<std::string, std::string>& settings) {
  const kafka::Queue queue(rd_kafka_queue_new(client));
  std::array<char, 256> reason{};
  rd_kafka_NewTopic_t* fresh = rd_kafka_NewTopic_new(topic.c_str(), static_cast<int>(partitions), replicas, reason.data(), reason.size());
  if (fresh == nullptr) throw std::runtime_error(reason.data());
  for (const auto& [name, value] : settings) rd_kafka_NewTopic_set_config(fresh, name.c_str(), value.c_str());
  rd_kafka_CreateTopics(client, &fresh, 1, nullptr, queue.get());
  rd_kafka_NewTopic_destroy(fresh);
  const kafka::Event event = answerOf(queue.get(), "CreateTopics");
  std::size_t count = 0;
  const auto results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  return rd_kafka_topic_result_error(results[0]);
}

// Made is not yet led: whoever goes on needs every partition to have a leader.
void awaitLeaders(rd_kafka_t* client, const std::string& topic, std::uint32_t partitions) {
  const kafka::Topic handle(rd_kafka_topic_new(client, topic.c_str(), nullptr));
  for (int attempt = 0; attempt < 200; ++attempt) {
    const struct rd_kafka_metadata* found = nullptr;
    if (rd_kafka_metadata(client, 0, handle.get(), &found, kAnswerMilliseconds) == 0) {
      const kafka::Metadata metadata(found);
      bool led = metadata->topic_cnt == 1 && metadata->topics[0].partition_cnt == static_cast<int>(partitions);
      for (int index = 0; led && index < metadata->topics[0].partition_cnt; ++index)
        led = metadata->topics[0].partitions[index].leader >= 0;
      if (led) return;
    }
    rd_kafka_poll(client, 50);
  }
  throw std::runtime_error("the topic got no leaders");
}

}  // namespace

KafkaCluster* KafkaCluster::get(std::string& why) {
  static std::string reason;
  static const std::unique_ptr<KafkaCluster> cluster = []() -> std::unique_ptr<KafkaCluster> {
    if (const char* given = std::getenv("COUNTERFOIL_TEST_KAFKA"); given != nullptr && *given != 0) {
      const char* folder = std::getenv("COUNTERFOIL_TEST_KAFKA_FOLDER");
      return std::unique_ptr<KafkaCluster>(new KafkaCluster(given, folder == nullptr ? "" : folder));
    }
    const fs::path folder = fs::temp_directory_path() / ("counterfoil-kafka-" + std::to_string(::getpid()));
    const std::string script = OwnBroker::script();
    const Output started = run(script + " start --brokers 1 --port auto --folder " + folder.string());
    if (started.status == 3) {
      reason = "no Kafka can be had on this machine: Java, Maven or the jars are missing (ops/kafka/cluster)";
      return nullptr;
    }
    if (started.status != 0) throw std::runtime_error("ops/kafka/cluster start ended with " + std::to_string(started.status));
    ::testing::AddGlobalTestEnvironment(new OwnBroker(folder));
    const Output addresses = run(script + " addresses --folder " + folder.string());
    return std::unique_ptr<KafkaCluster>(
        new KafkaCluster(addresses.text.substr(0, addresses.text.find_last_not_of(" \n") + 1), folder.string()));
  }();
  why = reason;
  return cluster.get();
}

std::string KafkaCluster::makeTopic(std::uint32_t partitions, const std::map<std::string, std::string>& settings) {
  static std::atomic<int> number = 0;
  const std::string topic = "test-" + std::to_string(::getpid()) + "-" + std::to_string(++number) + "-" + std::to_string(::rand());
  makeTopicAgain(topic, partitions, settings);
  return topic;
}

void KafkaCluster::makeTopicAgain(const std::string& topic, std::uint32_t partitions, const std::map<std::string, std::string>& settings) {
  const kafka::Client client = makeClient(brokers_);
  const auto replicas = static_cast<int>(std::count(brokers_.begin(), brokers_.end(), ',') + 1);
  std::map<std::string, std::string> all = {
      {"retention.ms", "-1"}, {"message.timestamp.type", "LogAppendTime"}, {"min.insync.replicas", replicas > 2 ? "2" : "1"}};
  for (const auto& [name, value] : settings) all[name] = value;
  for (int attempt = 0;; ++attempt) {
    const rd_kafka_resp_err_t code = createTopic(client.get(), topic, partitions, replicas, all);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) break;
    // A topic of that name is still being deleted.
    if (code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS || attempt == 200) throw std::runtime_error(rd_kafka_err2str(code));
    rd_kafka_poll(client.get(), 50);
  }
  awaitLeaders(client.get(), topic, partitions);
}

bool KafkaCluster::pause() {
  return !folder_.empty() && run(OwnBroker::script() + " pause 1 --folder " + folder_).status == 0;
}

void KafkaCluster::resume() {
  if (run(OwnBroker::script() + " resume 1 --folder " + folder_).status != 0) throw std::runtime_error("the broker stays paused");
}

void KafkaCluster::addPartitions(const std::string& topic, std::uint32_t partitions) {
  const kafka::Client client = makeClient(brokers_);
  const kafka::Queue queue(rd_kafka_queue_new(client.get()));
  std::array<char, 256> reason{};
  rd_kafka_NewPartitions_t* more = rd_kafka_NewPartitions_new(topic.c_str(), partitions, reason.data(), reason.size());
  if (more == nullptr) throw std::runtime_error(reason.data());
  rd_kafka_CreatePartitions(client.get(), &more, 1, nullptr, queue.get());
  rd_kafka_NewPartitions_destroy(more);
  const kafka::Event event = answerOf(queue.get(), "CreatePartitions");
  std::size_t count = 0;
  const auto results = rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event.get()), &count);
  if (rd_kafka_topic_result_error(results[0]) != 0) throw std::runtime_error(rd_kafka_topic_result_error_string(results[0]));
  awaitLeaders(client.get(), topic, partitions);
}

void KafkaCluster::deleteTopic(const std::string& topic) {
  const kafka::Client client = makeClient(brokers_);
  const kafka::Queue queue(rd_kafka_queue_new(client.get()));
  rd_kafka_DeleteTopic_t* old = rd_kafka_DeleteTopic_new(topic.c_str());
  rd_kafka_DeleteTopics(client.get(), &old, 1, nullptr, queue.get());
  rd_kafka_DeleteTopic_destroy(old);
  answerOf(queue.get(), "DeleteTopics");
}

void KafkaCluster::deleteRecords(const std::string& topic, std::uint32_t partition, std::int64_t offset) {
  constexpr int kOnceMilliseconds = 10'000;
  const kafka::PartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), static_cast<std::int32_t>(partition))->offset = offset;
  // Behind a pause the partition has no leader until the broker is let in again, which a request does not wait for, or waits for all of
  // its time: each is asked by a client that knows nothing yet, and is brief.
  for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(120);;) {
    const kafka::Client client = makeClient(brokers_);
    const kafka::Queue queue(rd_kafka_queue_new(client.get()));
    const kafka::AdminOptions options(rd_kafka_AdminOptions_new(client.get(), RD_KAFKA_ADMIN_OP_DELETERECORDS));
    std::array<char, 256> reason{};
    if (rd_kafka_AdminOptions_set_request_timeout(options.get(), kOnceMilliseconds, reason.data(), reason.size()) != 0) {
      throw std::runtime_error(reason.data());
    }
    rd_kafka_DeleteRecords_t* deletion = rd_kafka_DeleteRecords_new(list.get());
    rd_kafka_DeleteRecords(client.get(), &deletion, 1, options.get(), queue.get());
    rd_kafka_DeleteRecords_destroy(deletion);
    try {
      answerOf(queue.get(), "DeleteRecords");
      return;
    } catch (const std::runtime_error&) {
      if (std::chrono::steady_clock::now() > end) throw;
    }
  }
}

log::KafkaSettings KafkaCluster::settings(const std::string& topic) const {
  log::KafkaSettings settings;
  settings.brokers = brokers_;
  settings.topic = topic;
  return settings;
}

std::int64_t KafkaCluster::inject(const std::string& topic, std::uint32_t partition, const std::optional<log::RecordHeader>& header,
                                  const std::vector<std::uint8_t>& value) {
  const kafka::Client client = makeClient(brokers_);
  const kafka::Queue queue(rd_kafka_queue_get_main(client.get()));
  rd_kafka_headers_t* headers = rd_kafka_headers_new(1);
  if (header) {
    const auto bytes = log::encodeHeader(*header);
    rd_kafka_header_add(headers, "cf", 2, bytes.data(), static_cast<ssize_t>(bytes.size()));
  }
  std::vector<std::uint8_t> copy = value;
  const auto code = rd_kafka_producev(client.get(), RD_KAFKA_V_TOPIC(topic.c_str()),
                                      RD_KAFKA_V_PARTITION(static_cast<std::int32_t>(partition)), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                      RD_KAFKA_V_VALUE(copy.data(), copy.size()), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
  if (code != 0) throw std::runtime_error(rd_kafka_err2str(code));
  const kafka::Event event = answerOf(queue.get(), "Produce");
  const rd_kafka_message_t* message = rd_kafka_event_message_next(event.get());
  if (message == nullptr || message->err != 0) throw std::runtime_error("the record was not taken");
  return message->offset;
}

}  // namespace counterfoil::test

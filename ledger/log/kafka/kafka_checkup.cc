#include "ledger/log/kafka/kafka_checkup.h"

#include <array>
#include <map>
#include <utility>

#include "ledger/log/kafka/kafka_client.h"
#include "ledger/log/kafka/kafka_reader.h"
#include "ledger/log/partition_content.h"

namespace counterfoil::log {
namespace {

using State = KafkaFinding::State;

struct Rule {
  const char* key;
  const char* value;
  State otherwise;
  const char* why;
};
// Reasons in docs/kafka.md, The topic.
constexpr std::array kRules = {
    Rule{"cleanup.policy", "delete", State::problem, "compaction removes records, and every chain behind them is cut"},
    Rule{"retention.ms", "-1", State::problem, "the cluster deletes the record after that time"},
    Rule{"retention.bytes", "-1", State::problem, "the cluster deletes the record beyond that size"},
    Rule{"unclean.leader.election.enable", "false", State::problem, "acknowledged records can be lost in an election"},
    Rule{"message.timestamp.type", "LogAppendTime", State::warning, "the brokers' own time is a second witness"},
};

class Checkup {
 public:
  Checkup(KafkaSettings settings, std::chrono::milliseconds patience) : settings_(std::move(settings)) {
    settings_.answerWithin = patience;
  }

  std::vector<KafkaFinding> run() {
    try {
      client_ = kafka::makeInspector(settings_);
      topic_ = kafka::openTopic(client_.get(), settings_);
    } catch (const Fault& fault) {
      add("Kafka settings", State::problem, fault.detail(), fault.hint());
      return std::move(found_);
    }
    if (!reach()) return std::move(found_);
    configuration();
    partitions();
    producer();
    return std::move(found_);
  }

 private:
  void add(std::string check, State state, std::string detail, std::string hint = {}) {
    found_.push_back({std::move(check), state, std::move(detail), std::move(hint)});
  }

  bool reach() {
    try {
      facts_ = kafka::topicFacts(client_.get(), topic_.get(), settings_);
    } catch (const Fault& fault) {
      const bool absent = fault.code() == ErrorCode::noLedger;
      const std::string reason = absent ? std::string() : lastError();
      add(absent ? "Kafka topic" : "Kafka brokers", State::problem, fault.detail() + (reason.empty() ? "" : "; " + reason),
          absent ? fault.hint() : "check the addresses of setting log, that the brokers run, and kafka_ca, kafka_cert and kafka_key");
      return false;
    }
    const bool tls = !settings_.certificateAuthority.empty();
    add("Kafka brokers", State::ok, std::to_string(facts_.brokers) + " answer" + (tls ? ", over TLS" : ", in clear"),
        tls ? "" : "set kafka_ca, kafka_cert and kafka_key unless the brokers are on this very machine");
    if (facts_.withoutLeader.empty()) {
      add("Kafka topic", State::ok, settings_.topic + ", " + std::to_string(facts_.partitions) + " partitions");
    } else {
      add("Kafka topic", State::problem, std::to_string(facts_.withoutLeader.size()) + " partitions have no leader",
          "start the brokers that hold them; nothing is lost by waiting");
    }
    return true;
  }

  // The reason that lies behind "no answer": refused TLS, refused authentication.
  std::string lastError() {
    const kafka::Queue queue(rd_kafka_queue_get_main(client_.get()));
    std::string reason;
    for (int look = 0; look < 20; ++look) {
      const kafka::Event event(rd_kafka_queue_poll(queue.get(), 10));
      if (event == nullptr) continue;
      if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_ERROR) reason = rd_kafka_event_error_string(event.get());
    }
    return reason;
  }

  void configuration() {
    const kafka::Queue queue(rd_kafka_queue_new(client_.get()));
    rd_kafka_ConfigResource_t* resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, settings_.topic.c_str());
    rd_kafka_DescribeConfigs(client_.get(), &resource, 1, nullptr, queue.get());
    rd_kafka_ConfigResource_destroy(resource);
    const kafka::Event event(rd_kafka_queue_poll(queue.get(), static_cast<int>(settings_.answerWithin.count())));
    std::size_t count = 0;
    const rd_kafka_DescribeConfigs_result_t* result = event == nullptr ? nullptr : rd_kafka_event_DescribeConfigs_result(event.get());
    const rd_kafka_ConfigResource_t** resources = result == nullptr ? nullptr : rd_kafka_DescribeConfigs_result_resources(result, &count);
    if (count != 1 || rd_kafka_ConfigResource_error(resources[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      add("Kafka topic settings", State::warning, "not looked at: this principal may not describe them",
          "grant DESCRIBE_CONFIGS on the topic, or run `ops/kafka/topics --check` as one who may");
      return;
    }
    std::size_t entries = 0;
    const rd_kafka_ConfigEntry_t** entry = rd_kafka_ConfigResource_configs(resources[0], &entries);
    std::map<std::string, std::string> values;
    for (std::size_t index = 0; index < entries; ++index) {
      const char* value = rd_kafka_ConfigEntry_value(entry[index]);
      values[rd_kafka_ConfigEntry_name(entry[index])] = value == nullptr ? "" : value;
    }
    const std::size_t before = found_.size();
    for (const Rule& rule : kRules) {
      const std::string& value = values[rule.key];
      if (value == rule.value) continue;
      add("Kafka topic settings", rule.otherwise, std::string(rule.key) + " is " + (value.empty() ? "not known" : value) + ": " + rule.why,
          "set it to " + std::string(rule.value));
    }
    const bool several = facts_.brokers > 1;
    if (several && values["min.insync.replicas"] == "1") {
      add("Kafka topic settings", State::problem, "min.insync.replicas is 1: a record on one broker alone counts as durable",
          "set it to 2, with three replicas");
    }
    if (found_.size() == before) add("Kafka topic settings", State::ok, "as docs/kafka.md wants them");
  }

  void partitions() {
    std::optional<Genesis> first;
    std::uint64_t voids = 0;
    for (std::uint32_t partition = 0; partition < facts_.partitions; ++partition) {
      const std::string name = "Kafka partition " + std::to_string(partition);
      try {
        const auto shared = std::make_shared<kafka::Shared>(facts_.partitions);
        kafka::Reader reader(settings_, PartitionId{partition}, {}, shared);
        ValidRecord record;
        if (!reader.next(record)) {
          add(name, State::problem, "it is empty: it does not belong to the ledger",
              partition == 0 ? "make the ledger with `init`" : "partitions were added; the ledger goes on with those it was made with");
          continue;
        }
        const auto genesis = readGenesis(record.value);
        if (!first) first = genesis;
        if (!genesis || genesis->ledger.ledgerId != first->ledger.ledgerId || genesis->partitions != facts_.partitions) {
          add(name, State::problem, "its first record is not that of this ledger with " + std::to_string(facts_.partitions) + " partitions",
              "use the topic as it was when the ledger was made");
          continue;
        }
        std::uint64_t records = 1;
        std::optional<Claimant> writer;
        while (reader.next(record)) {
          ++records;
          if (auto claimant = claimantOf(record)) writer = std::move(claimant);
        }
        voids += reader.state().voids;
        add(name, State::ok,
            std::to_string(records) + " records, term " + std::to_string(reader.state().term) + ", writer " +
                (writer ? writer->node + (writer->url.empty() ? "" : " at " + writer->url) : "none yet"));
      } catch (const Fault& fault) {
        add(name, State::problem, fault.detail(), fault.hint());
      }
    }
    if (voids != 0) {
      add("Kafka void records", State::warning, std::to_string(voids) + " records do not count",
          "after a node or a broker failed that is as it should be; many, or more every day, mean that somebody else writes here");
    }
  }

  // Whether the brokers give out producer ids, without which nothing can be written once and in order.
  void producer() {
    try {
      const kafka::Client client = kafka::makeProducer(settings_);
      const kafka::Queue queue(rd_kafka_queue_get_main(client.get()));
      const kafka::Topic topic = kafka::openTopic(client.get(), settings_);
      static_cast<void>(kafka::topicFacts(client.get(), topic.get(), settings_));
      for (int look = 0; look < 10; ++look) {
        const kafka::Event event(rd_kafka_queue_poll(queue.get(), 100));
        if (event == nullptr || rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_ERROR) continue;
        if (rd_kafka_event_error(event.get()) == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) continue;
        add("Kafka producer", State::problem, rd_kafka_event_error_string(event.get()),
            "the brokers must take InitProducerId from this principal: it needs WRITE on the topic, and brokers of Kafka 2.0 or later");
        return;
      }
      add("Kafka producer", State::ok, "idempotent writing is not refused");
    } catch (const Fault& fault) {
      add("Kafka producer", State::problem, fault.detail(), fault.hint());
    }
  }

  KafkaSettings settings_;
  kafka::Client client_;
  kafka::Topic topic_;
  kafka::TopicFacts facts_;
  std::vector<KafkaFinding> found_;
};

}  // namespace

std::vector<KafkaFinding> examineKafka(KafkaSettings settings, std::chrono::milliseconds patience) {
  return Checkup(std::move(settings), patience).run();
}

}  // namespace counterfoil::log

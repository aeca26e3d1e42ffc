// The row of the table for Kafka: the ledger's writer beside a plain idempotent producer, both with 64 records outstanding, in turns.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <numeric>
#include <thread>

#include "cmd/bench/rows.h"
#include "ledger/core/outcome.h"
#include "ledger/log/kafka/kafka_client.h"
#include "ledger/log/kafka_log.h"

namespace counterfoil::cmd::bench {
namespace {

namespace kafka = log::kafka;

constexpr std::size_t kRecordsOutstanding = 64;
constexpr std::size_t kValueBytes = 400;
constexpr int kTurns = 5;
constexpr int kAnswerMilliseconds = 20'000;

struct Turn {
  double rate = 0;
  double p50 = 0;  // milliseconds
  double p99 = 0;
};

// Lets at most kRecordsOutstanding records out at once, and times each.
class Gate {
 public:
  // The number of a free place.
  std::size_t enter() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [&] { return !free_.empty(); });
    const std::size_t place = free_.back();
    free_.pop_back();
    started_[place] = Stopwatch();
    return place;
  }
  void leave(std::size_t place, bool done) {
    const std::lock_guard guard(mutex_);
    if (done) samples_.add(started_[place].microseconds() / 1'000);
    failed_ = failed_ || !done;
    free_.push_back(place);
    changed_.notify_all();
  }
  Turn finish(const Stopwatch& watch) {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [&] { return free_.size() == kRecordsOutstanding; });
    if (failed_) throw Fault(ErrorCode::logUnavailable, "a record was not acknowledged in mid-run", "look at the brokers' logs");
    return {static_cast<double>(samples_.size()) / watch.seconds(), samples_.percentile(0.5), samples_.percentile(0.99)};
  }
  bool failed() {
    const std::lock_guard guard(mutex_);
    return failed_;
  }

 private:
  static std::vector<std::size_t> allPlaces() {
    std::vector<std::size_t> places(kRecordsOutstanding);
    std::iota(places.begin(), places.end(), 0U);
    return places;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::size_t> free_ = allPlaces();
  std::array<Stopwatch, kRecordsOutstanding> started_;
  Samples samples_;
  bool failed_ = false;
};

// A topic of one partition with as many replicas as there are brokers, three at most.
class ScratchTopic {
 public:
  explicit ScratchTopic(const std::string& brokers) {
    settings_.brokers = brokers;
    settings_.topic = "counterfoil-bench-" + std::to_string(::getpid()) + "-" + std::to_string(Stopwatch::now());
    client_ = kafka::makeReader(settings_);
    const kafka::Queue queue(rd_kafka_queue_new(client_.get()));
    const struct rd_kafka_metadata* found = nullptr;
    const auto code = rd_kafka_metadata(client_.get(), 0, nullptr, &found, kAnswerMilliseconds);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) throw kafka::faultOf(code, "asking for the brokers");
    const kafka::Metadata metadata(found);
    brokers_ = metadata->broker_cnt;
    const int replicas = std::min(3, brokers_);
    std::array<char, 256> reason{};
    rd_kafka_NewTopic_t* fresh = rd_kafka_NewTopic_new(settings_.topic.c_str(), 1, replicas, reason.data(), reason.size());
    rd_kafka_NewTopic_set_config(fresh, "min.insync.replicas", replicas == 3 ? "2" : "1");
    rd_kafka_NewTopic_set_config(fresh, "message.timestamp.type", "LogAppendTime");
    rd_kafka_CreateTopics(client_.get(), &fresh, 1, nullptr, queue.get());
    rd_kafka_NewTopic_destroy(fresh);
    const kafka::Event event(rd_kafka_queue_poll(queue.get(), kAnswerMilliseconds));
    if (event == nullptr || rd_kafka_event_error(event.get()) != 0) throw kafka::faultOf("no topic could be made", "making a topic");
    static_cast<void>(kafka::watermarks(client_.get(), settings_, PartitionId{0}));  // waits for its leader
  }
  ~ScratchTopic() {
    const kafka::Queue queue(rd_kafka_queue_new(client_.get()));
    rd_kafka_DeleteTopic_t* old = rd_kafka_DeleteTopic_new(settings_.topic.c_str());
    rd_kafka_DeleteTopics(client_.get(), &old, 1, nullptr, queue.get());
    rd_kafka_DeleteTopic_destroy(old);
    const kafka::Event event(rd_kafka_queue_poll(queue.get(), kAnswerMilliseconds));
  }
  const log::KafkaSettings& settings() const { return settings_; }
  int brokers() const { return brokers_; }

 private:
  log::KafkaSettings settings_;
  kafka::Client client_;
  int brokers_ = 0;
};

// Records that follow one another in `workspaces` chains.
class Chains {
 public:
  explicit Chains(std::size_t workspaces) : ends_(workspaces) {}
  log::NewRecord next() {
    const std::size_t which = turn_++ % ends_.size();
    log::NewRecord record;
    record.workspace = {which + 1};
    record.seq = {ends_[which].size++};
    record.previous = ends_[which].last;
    for (std::uint8_t& byte : record.leaf.bytes) byte = static_cast<std::uint8_t>(dice_.next());
    ends_[which].last = record.leaf;
    record.value.resize(kValueBytes);
    for (std::uint8_t& byte : record.value) byte = static_cast<std::uint8_t>(dice_.next());
    return record;
  }

 private:
  std::vector<log::ChainEnd> ends_;
  std::size_t turn_ = 0;
  Dice dice_{7};
};

Turn ledgerTurn(log::PartitionWriter& writer, Chains& chains, double seconds) {
  Gate gate;
  const Stopwatch watch;
  while (watch.seconds() < seconds && !gate.failed()) {
    const std::size_t place = gate.enter();
    std::vector<log::NewRecord> batch;
    batch.push_back(chains.next());
    const auto done = [&gate, place](const log::AppendResult& result) {
      gate.leave(place, result.outcome == log::AppendOutcome::appended);
    };
    writer.append(std::move(batch), done);
  }
  return gate.finish(watch);
}

Turn plainTurn(const log::KafkaSettings& settings, double seconds) {
  const kafka::Client client = kafka::makeProducer(settings);
  const kafka::Topic topic = kafka::openTopic(client.get(), settings);
  static_cast<void>(kafka::topicFacts(client.get(), topic.get(), settings));
  Gate gate;
  std::atomic<bool> ended = false;
  std::thread reports([&] {
    const kafka::Queue queue(rd_kafka_queue_get_main(client.get()));
    while (!ended) {
      const kafka::Event event(rd_kafka_queue_poll(queue.get(), 50));
      if (event == nullptr || rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_DR) continue;
      while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event.get())) {
        gate.leave(reinterpret_cast<std::uintptr_t>(message->_private), message->err == RD_KAFKA_RESP_ERR_NO_ERROR);
      }
    }
  });
  std::vector<std::uint8_t> value(kValueBytes);
  Dice dice(7);
  const Stopwatch watch;
  while (watch.seconds() < seconds && !gate.failed()) {
    const std::size_t place = gate.enter();
    for (std::uint8_t& byte : value) byte = static_cast<std::uint8_t>(dice.next());
    if (rd_kafka_produce(topic.get(), 0, RD_KAFKA_MSG_F_COPY, value.data(), value.size(), nullptr, 0, reinterpret_cast<void*>(place)) !=
        0) {
      gate.leave(place, false);
    }
  }
  std::optional<Fault> problem;
  Turn turn;
  try {
    turn = gate.finish(watch);
  } catch (const Fault& fault) {
    problem = fault;
  }
  ended = true;
  reports.join();
  if (problem) throw Fault(*problem);
  return turn;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Result measured(const BenchOptions& options, std::size_t workspaces) {
  const ScratchTopic ours(options.kafka);
  const ScratchTopic theirs(options.kafka);
  log::WriterIdentity identity;
  identity.name = "bench";
  log::KafkaLog::create(ours.settings(), identity, {"bench", "bench", {1}});
  const auto eventLog = log::KafkaLog::open(ours.settings(), identity);
  log::FoldState state;
  const auto writer = eventLog->takeOver(PartitionId{0}, state, [](log::ValidRecord&) {});
  Chains chains(workspaces);
  // The brokers' own warming up belongs to neither.
  static_cast<void>(ledgerTurn(*writer, chains, options.seconds / 2));
  static_cast<void>(plainTurn(theirs.settings(), options.seconds / 2));
  std::vector<double> rates, plainRates, p99s, plainP99s, ratios, p99Ratios, p50s, plainP50s;
  for (int turn = 0; turn < kTurns; ++turn) {
    // Whoever comes second finds warmer brokers: they take turns in that, too.
    Turn mine, plain;
    if (turn % 2 == 0) {
      mine = ledgerTurn(*writer, chains, options.seconds);
      plain = plainTurn(theirs.settings(), options.seconds);
    } else {
      plain = plainTurn(theirs.settings(), options.seconds);
      mine = ledgerTurn(*writer, chains, options.seconds);
    }
    rates.push_back(mine.rate);
    p50s.push_back(mine.p50);
    p99s.push_back(mine.p99);
    plainRates.push_back(plain.rate);
    plainP50s.push_back(plain.p50);
    plainP99s.push_back(plain.p99);
    ratios.push_back(mine.rate / plain.rate);
    p99Ratios.push_back(mine.p99 / plain.p99);
  }
  const double ratio = median(ratios);
  const double slower = median(p99Ratios);
  return {"kafka-append-" + std::to_string(workspaces),
          "records of 400 B, 64 outstanding, " + std::to_string(workspaces) + " workspaces, " + std::to_string(ours.brokers()) +
              " brokers, median of five alternating turns",
          {{"rate", median(rates), "/s"},
           {"p50", median(p50s), "ms"},
           {"p99", median(p99s), "ms"},
           {"rate beside plain", ratio, "x"},
           {"lowest", *std::min_element(ratios.begin(), ratios.end()), "x"},
           {"highest", *std::max_element(ratios.begin(), ratios.end()), "x"},
           {"p99 beside plain", slower, "x"}},
          ">= 0.8x a plain idempotent producer, p99 <= 2x",
          "0.95x, 1.2x",
          {{"plain rate", median(plainRates), "/s"}, {"p50", median(plainP50s), "ms"}, {"p99", median(plainP99s), "ms"}},
          ratio >= 0.8 && slower <= 2};
}

}  // namespace

std::vector<Result> kafkaAppend(const BenchOptions& options) {
  if (options.kafka.empty()) {
    throw Fault(ErrorCode::usage, "this row needs brokers",
                "name them with --kafka HOST:PORT,...; `ops/kafka/cluster start --fast` starts some");
  }
  std::vector<Result> results;
  for (const std::size_t workspaces : {1U, 8U, 64U}) results.push_back(measured(options, workspaces));
  return results;
}

}  // namespace counterfoil::cmd::bench

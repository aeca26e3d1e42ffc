// Looks after a log that is in use: whether it is still the one it was, and whether its brokers answer. Without it, a node that has
// nothing to read would not learn that records were deleted below it, or that the topic is another one by now.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "ledger/core/clock.h"
#include "ledger/log/kafka/kafka_settings.h"
#include "ledger/log/kafka_log.h"

namespace counterfoil::log {

struct KafkaWatchOptions {
  std::chrono::milliseconds every{10'000};     // between looks
  std::chrono::milliseconds again{1'000};      // the same, while something is wrong
  std::chrono::milliseconds patience{10'000};  // an append without an answer for longer is trouble
  // What was found, once, on the watch's thread. From then on the log's readers and writers throw and refuse with this fault, until the
  // process ends.
  std::function<void(const Fault&)> broken;
  // How long each append of records took to be acknowledged, in seconds; on a thread of the log. Cheap, and calls nothing of the log.
  std::function<void(double)> acknowledged;
};

class KafkaWatch {
 public:
  // The first look begins at once. `log` outlives the watch, `clock` the log.
  KafkaWatch(KafkaLog& log, const Clock& clock, KafkaWatchOptions options);
  // Waits for a look under way: for the brokers' answer, at most KafkaSettings::answerWithin for each of a few questions. After it
  // nothing is told any more.
  ~KafkaWatch();

  // ---- any thread ----
  // Why the log is not the one it was; it stays. logTruncated: its beginning was deleted, or the topic was made anew. logDamaged: it has
  // another number of partitions. Said after two looks only, each by a client of its own; brokers that do not answer are no such reason.
  std::optional<Fault> broken() const;
  // broken(), or why nothing can be read or written for now; nullopt as soon as it can. logUnavailable: the leader of a partition did not
  // answer the last look or lacks what was acknowledged, or an append waits for longer than `patience`. noLedger: the cluster has no such
  // topic at the moment.
  std::optional<Fault> trouble() const;

 private:
  struct Look {
    std::optional<Fault> broken;
    std::optional<Fault> unreached;
  };
  void run();
  Look look() const;
  // False: it ends.
  bool wait(std::chrono::milliseconds most);

  const KafkaWatchOptions options_;
  const KafkaSettings settings_;
  const Genesis genesis_;
  const std::shared_ptr<kafka::Shared> shared_;
  mutable std::mutex mutex_;  // of the two below
  std::condition_variable changed_;
  bool ending_ = false;
  std::optional<Fault> unreached_;
  std::thread thread_;  // last: it uses the members above
};

}  // namespace counterfoil::log

#include "ledger/log/kafka/kafka_committer.h"

#include <algorithm>
#include <utility>

namespace counterfoil::log::kafka {
namespace {

Fault refusedFault() {
  return {ErrorCode::notReady, "an append before this one was refused"};
}
Fault endedFault() {
  return {ErrorCode::notReady, "this writer no longer owns the partition"};
}

}  // namespace

Committer::Committer(Lane& lane, PartitionId partition, WriterStamp stamp, std::shared_ptr<Shared> shared, const KafkaSettings& settings)
    : lane_(lane),
      partition_(partition),
      shared_(std::move(shared)),
      aloneAfter_(settings.aloneAfter),
      patience_(settings.answerWithin),
      stamp_(std::move(stamp)),
      nextAck_(stamp_.next().value),
      end_(nextAck_) {}

void Committer::append(std::vector<NewRecord> batch, std::function<void(const AppendResult&)> done) {
  Request request;
  request.first = stamp_.next();
  request.count = batch.size();
  request.at = shared_->now();
  request.done = std::move(done);
  std::vector<RecordHeader> headers;
  if (refusing_) {
    request.refused = refusedFault();
  } else {
    try {
      headers = stamp_.stamp(batch);
    } catch (const Fault& fault) {
      refusing_ = true;
      request.refused = fault;
    }
  }
  const std::lock_guard guard(mutex_);
  if (!request.refused && broken_) request.refused = *broken_;
  if (!request.refused) request.refused = shared_->broken.get();
  if (!request.refused) {
    for (std::size_t index = 0; index < batch.size(); ++index) {
      waiting_.push_back({headers[index], std::move(batch[index].value), request.first.value + index});
    }
    end_ = request.first.value + request.count;
  }
  // What needs no report (an empty batch, a refused one) is answered by the lane's thread too, at its next turn.
  requests_.push_back(std::move(request));
  tellOldest();
  if (enough_ != 0 && requests_.size() >= enough_) {
    enough_ = 0;
    gathered_.notify_one();
  }
  sendMore();
}

void Committer::sendMore() {
  if (waiting_.empty() || broken_ || enough_ != 0 || outstanding_ >= (crowded_ ? 1 : kInFlight)) return;
  const auto self = shared_from_this();
  std::optional<Lane::Together> together;
  if (!alone_ && waiting_.size() > kInFlight) together.emplace(lane_, partition_);
  std::size_t bytes = 0;
  while (!waiting_.empty() && (!alone_ || outstanding_ == 0) && (outstanding_ < kInFlight || bytes < kTogetherBytes)) {
    const Waiting& record = waiting_.front();
    const Lane::Taken taken = lane_.send(partition_, record.header, record.value, record.position, self);
    // Condemned: reports of what is outstanding end this writer; without any, pump() does.
    if (taken != Lane::Taken::yes) return;
    bytes += kHeaderSize + record.value.size();
    ++outstanding_;
    waiting_.pop_front();
  }
}

void Committer::breakOff(const Fault& fault, Answers& answers) {
  if (broken_) return;
  broken_ = Fault(ErrorCode::notReady, "an append before this one did not succeed");
  const std::uint64_t firstUnsent = waiting_.empty() ? end_ : waiting_.front().position;
  waiting_.clear();
  bool first = true;
  while (!requests_.empty()) {
    Request& request = requests_.front();
    AppendResult result{AppendOutcome::indeterminate, request.first, first ? fault : *broken_};
    // What no lane was given cannot be in the log.
    if (request.refused || request.first.value >= firstUnsent) result.outcome = AppendOutcome::rejected;
    if (request.refused) result.fault = request.refused;
    answers.emplace_back(std::move(request.done), std::move(result));
    requests_.pop_front();
    first = false;
  }
  tellOldest();
}

void Committer::collect(Answers& answers) {
  while (!requests_.empty()) {
    Request& request = requests_.front();
    if (request.refused) {
      answers.emplace_back(std::move(request.done), AppendResult{AppendOutcome::rejected, request.first, request.refused});
    } else if (request.first.value + request.count <= nextAck_) {
      if (request.at != 0 && request.count != 0) shared_->ackTimes.tell(static_cast<double>(shared_->now() - request.at) * 1e-9);
      answers.emplace_back(std::move(request.done), AppendResult{AppendOutcome::appended, request.first, std::nullopt});
    } else {
      break;
    }
    requests_.pop_front();
  }
  tellOldest();
}

const Delivery* Committer::acknowledge(std::span<const Delivery> deliveries) {
  const std::uint64_t before = nextAck_;
  const Delivery* unexpected = nullptr;
  for (const Delivery& delivery : deliveries) {
    const bool asExpected =
        !delivery.fault && delivery.tag == nextAck_ && delivery.offset >= 0 && static_cast<std::uint64_t>(delivery.offset) == delivery.tag;
    if (!asExpected) {
      unexpected = &delivery;
      break;
    }
    ++nextAck_;
  }
  if (nextAck_ != before) {
    alone_ = false;
    shared_->acknowledged += nextAck_ - before;
    shared_->know(partition_, nextAck_);
  }
  return unexpected;
}

void Committer::delivered(std::span<const Delivery> deliveries) {
  Answers answers;
  bool condemned = false;
  bool gathering = false;
  std::size_t acknowledged = 0;
  const std::lock_guard order(answering_);
  {
    const std::lock_guard guard(mutex_);
    outstanding_ -= deliveries.size();
    if (!broken_) {
      const Delivery* const unexpected = acknowledge(deliveries);
      const std::size_t inPlay = requests_.size();
      answers.reserve(std::min(inPlay, deliveries.size()));
      collect(answers);
      acknowledged = answers.size();
      if (unexpected == nullptr) {
        crowded_ = deliveries.size() > kInFlight;
        gathering = outstanding_ == 0 && acknowledged > kInFlight;
        enough_ = gathering ? inPlay : 0;
        sendMore();  // before the answers are told: the cluster is at work meanwhile
      } else {
        condemned = true;
        ++shared_->poisoned;
        breakOff(unexpected->fault ? *unexpected->fault
                                   : Fault(ErrorCode::logUnavailable, "Kafka put a record elsewhere than right behind the one before",
                                           "another writer was at work; this node reads the log again"),
                 answers);
      }
    }
    changed_.notify_all();
  }
  if (condemned) lane_.condemn();
  for (auto& [tell, result] : answers) tell(result);
  if (acknowledged != 0) shared_->notice.raise();
  if (gathering) gather();
}

void Committer::gather() {
  std::unique_lock guard(mutex_);
  gathered_.wait_for(guard, kTurnaround, [&] { return enough_ == 0; });
  enough_ = 0;
  sendMore();
}

void Committer::pump() {
  Answers answers;
  const std::lock_guard order(answering_);
  {
    const std::lock_guard guard(mutex_);
    sendMore();
    collect(answers);
    changed_.notify_all();
    if (lane_.condemned() && outstanding_ == 0 && !broken_) {
      breakOff({ErrorCode::logUnavailable, "the producer of this node failed", "it is made anew"}, answers);
    }
  }
  for (auto& [tell, result] : answers) tell(result);
}

void Committer::silentFor(std::chrono::milliseconds time) {
  const std::lock_guard guard(mutex_);
  if (outstanding_ == 0 && time >= aloneAfter_) alone_ = true;
}

void Committer::finish() {
  std::unique_lock guard(mutex_);
  const auto done = [&] { return requests_.empty() && outstanding_ == 0; };
  if (!changed_.wait_for(guard, patience_, done)) {
    guard.unlock();
    lane_.condemn();
    guard.lock();
    changed_.wait(guard, done);
  }
  if (!broken_) broken_ = endedFault();
  guard.unlock();
  // A callback may still be on its way out of the lane's thread.
  const std::lock_guard order(answering_);
}

}  // namespace counterfoil::log::kafka

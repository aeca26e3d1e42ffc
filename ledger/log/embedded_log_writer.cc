#include "ledger/log/embedded_log_writer.h"

#include <utility>

#include "ledger/core/current_thread.h"

namespace counterfoil::log {
namespace {

// One commit of this size takes a few tens of milliseconds; a longer one would make its first record wait for its last.
constexpr std::size_t kGroupBytesMax = 8 * 1024 * 1024;

Fault deposedFault() {
  return Fault(ErrorCode::notReady, "this writer no longer owns the partition");
}
Fault refusedFault() {
  return Fault(ErrorCode::notReady, "an append before this one was refused");
}
Fault brokenFault() {
  return Fault(ErrorCode::notReady, "an append before this one did not succeed");
}

}  // namespace

void AppendNotice::set(std::function<void()> notify) {
  const std::lock_guard guard(mutex_);
  notify_ = std::move(notify);
}

void AppendNotice::raise() {
  const std::lock_guard guard(mutex_);
  if (notify_) notify_();
}

void CommitMeter::set(const Clock& clock, std::function<void(double seconds)> tell) {
  const std::lock_guard guard(mutex_);
  clock_ = &clock;
  tell_ = std::move(tell);
}

AppendResult CommitMeter::timed(const std::function<AppendResult()>& commit) {
  const Clock* clock = nullptr;
  {
    const std::lock_guard guard(mutex_);
    if (tell_) clock = clock_;
  }
  if (clock == nullptr) return commit();
  const std::int64_t begun = clock->monotonicNanoseconds();
  const AppendResult result = commit();
  const std::int64_t taken = clock->monotonicNanoseconds() - begun;
  const std::lock_guard guard(mutex_);
  if (tell_ && result.outcome == AppendOutcome::appended) tell_(static_cast<double>(taken) / kNanosecondsPerSecond);
  return result;
}

EmbeddedCommitter::EmbeddedCommitter(std::unique_ptr<EmbeddedAppender> appender, WriterStamp stamp, std::shared_ptr<EmbeddedShared> shared)
    : appender_(std::move(appender)), stamp_(std::move(stamp)), shared_(std::move(shared)), thread_([this] { run(); }) {}

EmbeddedCommitter::~EmbeddedCommitter() {
  finish();
}

void EmbeddedCommitter::append(std::vector<NewRecord> batch, std::function<void(const AppendResult&)> done) {
  Request request;
  request.first = stamp_.next();
  request.done = std::move(done);
  if (refusing_) {
    request.refused = refusedFault();
  } else {
    try {
      request.headers = stamp_.stamp(batch);
    } catch (const Fault& fault) {
      refusing_ = true;
      request.refused = fault;
    }
  }
  for (const NewRecord& record : batch) request.bytes += kHeaderSize + record.value.size();
  request.batch = std::move(batch);
  {
    const std::lock_guard guard(mutex_);
    queue_.push_back(std::move(request));
  }
  changed_.notify_one();  // only the thread can be waiting: depose() and append() are called by one thread
}

void EmbeddedCommitter::depose() {
  std::unique_lock guard(mutex_);
  deposed_ = true;
  changed_.notify_all();
  changed_.wait(guard, [&] { return released_; });
}

void EmbeddedCommitter::finish() {
  {
    const std::lock_guard guard(mutex_);
    finishing_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool EmbeddedCommitter::takeGroup(std::vector<Request>& group) {
  group.clear();
  std::unique_lock guard(mutex_);
  if (deposed_ && !released_ && queue_.empty()) {
    appender_.reset();
    released_ = true;
    changed_.notify_all();
  }
  changed_.wait(guard, [&] { return !queue_.empty() || finishing_ || (deposed_ && !released_); });
  if (deposed_ && !ended_) ended_ = AppendResult{AppendOutcome::rejected, {}, deposedFault()};
  std::size_t bytes = 0;
  while (!queue_.empty() && (group.empty() || bytes + queue_.front().bytes <= kGroupBytesMax)) {
    bytes += queue_.front().bytes;
    // A refused append ends its writer, so it is the last of a group.
    const bool refused = queue_.front().refused.has_value();
    group.push_back(std::move(queue_.front()));
    queue_.pop_front();
    if (refused) break;
  }
  return !group.empty() || !finishing_ || (deposed_ && !released_);
}

AppendResult EmbeddedCommitter::commitGroup(const std::vector<Request>& group) {
  placed_.clear();
  for (const Request& request : group) {
    if (request.refused) break;
    for (std::size_t index = 0; index < request.batch.size(); ++index) {
      placed_.push_back({Position{request.first.value + index}, &request.headers[index], &request.batch[index].value});
    }
  }
  if (placed_.empty()) return {AppendOutcome::appended, {}, std::nullopt};
  return appender_->commit(placed_);
}

void EmbeddedCommitter::answer(std::vector<Request>& group, const AppendResult& result) {
  for (Request& request : group) {
    AppendResult own = result;
    own.first = request.first;
    if (request.refused) {
      own = {AppendOutcome::rejected, request.first, request.refused};
      if (!ended_) ended_ = AppendResult{AppendOutcome::rejected, {}, refusedFault()};
    }
    request.done(own);
  }
}

void EmbeddedCommitter::run() {
  nameCurrentThread("log-committer");
  std::vector<Request> group;
  while (takeGroup(group)) {
    if (group.empty()) continue;
    if (ended_) {
      answer(group, *ended_);
      continue;
    }
    const AppendResult result = shared_->meter.timed([&] { return commitGroup(group); });
    if (result.outcome == AppendOutcome::appended) {
      answer(group, result);
      if (!placed_.empty()) shared_->notice.raise();
      appender_->checkpointIfDue();
      continue;
    }
    if (result.outcome == AppendOutcome::indeterminate) shared_->uncertain = true;
    // What comes behind was never written.
    ended_ = AppendResult{AppendOutcome::rejected, {}, brokenFault()};
    answer(group, result);
  }
  // Closing the connection may write, so it belongs to this thread.
  const std::lock_guard guard(mutex_);
  appender_.reset();
  released_ = true;
  changed_.notify_all();
}

}  // namespace counterfoil::log

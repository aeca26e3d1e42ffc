// The writer of the embedded log: appends are handed to a thread that commits whatever has gathered while the last commit synced.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "ledger/core/clock.h"
#include "ledger/log/embedded_log_appender.h"
#include "ledger/log/event_log.h"

namespace counterfoil::log {

// Whom to tell about new records. Thread safe; once set() has returned the function before is not called any more.
class AppendNotice {
 public:
  void set(std::function<void()> notify);
  void raise();

 private:
  std::mutex mutex_;
  std::function<void()> notify_;
};

// How long commits take, and whom to tell. Thread safe; once set() has returned the function before is not called any more.
class CommitMeter {
 public:
  // `clock` outlives the meter; a null function: nobody.
  void set(const Clock& clock, std::function<void(double seconds)> tell);
  // Tells of those that succeeded.
  AppendResult timed(const std::function<AppendResult()>& commit);

 private:
  std::mutex mutex_;
  const Clock* clock_ = nullptr;
  std::function<void(double)> tell_;
};

// What a log and the writers it made have in common; it lives as long as any of them.
struct EmbeddedShared {
  explicit EmbeddedShared(std::unique_ptr<LockFile> held) : lock(std::move(held)) {}
  const std::unique_ptr<LockFile> lock;  // null: reading only
  AppendNotice notice;
  CommitMeter meter;
  std::atomic<bool> uncertain = false;  // a commit failed without telling whether it landed
};

// Shared by the PartitionWriter, which appends, and the log, which takes the partition away from it.
class EmbeddedCommitter {
 public:
  EmbeddedCommitter(std::unique_ptr<EmbeddedAppender> appender, WriterStamp stamp, std::shared_ptr<EmbeddedShared> shared);
  ~EmbeddedCommitter();

  void append(std::vector<NewRecord> batch, std::function<void(const AppendResult&)> done);
  // Ends this writer: what is not being committed yet is rejected. Returns when every callback has been called and the connection is
  // closed.
  void depose();
  // Commits what is outstanding, calls every callback and ends the thread.
  void finish();

 private:
  struct Request {
    std::vector<NewRecord> batch;
    std::vector<RecordHeader> headers;
    Position first;
    std::size_t bytes = 0;
    std::optional<Fault> refused;
    std::function<void(const AppendResult&)> done;
  };
  void run();
  // What is to be committed next, at most kGroupBytesMax; waits for it. False when there is nothing more to come.
  bool takeGroup(std::vector<Request>& group);
  AppendResult commitGroup(const std::vector<Request>& group);
  // In order of the appends.
  void answer(std::vector<Request>& group, const AppendResult& result);

  std::unique_ptr<EmbeddedAppender> appender_;  // of the thread
  std::optional<AppendResult> ended_;           // of the thread: why nothing is committed any more
  std::vector<PlacedRecord> placed_;            // of the thread
  WriterStamp stamp_;                           // of the appending thread
  bool refusing_ = false;                       // of the appending thread
  std::shared_ptr<EmbeddedShared> shared_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Request> queue_;
  bool deposed_ = false;
  bool released_ = false;  // deposed, everything answered, connection closed
  bool finishing_ = false;
  std::thread thread_;  // last: it uses the members above
};

class EmbeddedWriter final : public PartitionWriter {
 public:
  explicit EmbeddedWriter(std::shared_ptr<EmbeddedCommitter> committer) : committer_(std::move(committer)) {}
  ~EmbeddedWriter() override { committer_->finish(); }
  void append(std::vector<NewRecord> batch, std::function<void(const AppendResult&)> done) override {
    committer_->append(std::move(batch), std::move(done));
  }
  std::size_t depth() const override { return kDepth; }

 private:
  // Enough that a group is being prepared while the last one syncs, even with one record an append.
  static constexpr std::size_t kDepth = 256;
  std::shared_ptr<EmbeddedCommitter> committer_;
};

}  // namespace counterfoil::log

// Verifying one workspace's chain in the background: hash, place, form and tree of every entry in the log, one job a workspace at a time.
#pragma once

#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "ledger/core/clock.h"
#include "ledger/keys/key_ring.h"
#include "ledger/log/event_log.h"

namespace counterfoil::server {

// Thread safe. All must outlive the jobs, and the pool must be joined before this goes. The pool is theirs alone: a job reads the whole
// log, and what others wait for must not stand behind it.
class VerifyJobs {
 public:
  VerifyJobs(log::EventLog& eventLog, keys::KeyRing& ring, const Clock& clock, boost::asio::thread_pool& pool)
      : log_(eventLog), ring_(ring), clock_(clock), pool_(pool) {}
  // How the latest job stands, as JSON: {"state":"running"|"done"|"failed","entries","root"?,"ok"?,"notChecked"?,"problems"?,...}. Starts
  // one if none ran in the last minute. Why one failed is in the log; the answer has the code and no places of the server.
  std::string look(WorkspaceNumber workspace);
  // Jobs under way end at their next entry, as failed.
  void stop() { stopping_ = true; }

 private:
  struct Job {
    std::mutex mutex;
    bool running = true;
    std::uint64_t entries = 0;
    Timestamp startedAt;
    Timestamp finishedAt;
    std::int64_t finishedMonotonic = 0;  // nanoseconds; how old the result is, whatever the wall clock was set to
    std::string result;                  // members of the answer, when it is done
  };
  void run(WorkspaceNumber workspace, Job& job) const;

  log::EventLog& log_;
  keys::KeyRing& ring_;
  const Clock& clock_;
  boost::asio::thread_pool& pool_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::map<WorkspaceNumber, std::shared_ptr<Job>> jobs_;
};

}  // namespace counterfoil::server

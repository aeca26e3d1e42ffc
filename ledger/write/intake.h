// The bounded, fair queue in front of the sequencer (DESIGN decision 17): one workspace cannot starve another, and revocations always
// find room.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "ledger/write/request.h"

namespace counterfoil::write {

// What was refused while the intake was full, to be recorded when it has drained.
struct Overload {
  WorkspaceNumber workspace;
  Timestamp from;
  Timestamp to;
  std::map<std::string, std::uint64_t> refused;  // by Request::name()
};

// Thread safe.
class Intake {
 public:
  // A tenth of the room is kept for urgent requests.
  explicit Intake(std::size_t bytesMax) : bytesMax_(bytesMax) {}

  // Takes the request over, or leaves it untouched and returns false: full. `now` is for the overload summary.
  bool push(Request& request, Timestamp now);
  // Urgent requests first, then one of each workspace in turn, up to `count` requests and `bytes`.
  std::vector<Request> take(std::size_t count, std::size_t bytes);
  bool empty() const;
  std::size_t queued() const;
  // What the requests in it count for.
  std::size_t bytes() const;
  // What was refused since the last call, once less than a quarter of the room is in use; else nothing.
  std::vector<Overload> takeOverloads();
  // Called, without locks held, after every push, with the number of requests in the queue then.
  void onPush(std::function<void(std::size_t queued)> notify) { notify_ = std::move(notify); }

 private:
  bool hasRoom(const Request& request) const;

  std::size_t bytesMax_;
  std::function<void(std::size_t)> notify_;
  mutable std::mutex mutex_;
  std::deque<Request> urgent_;
  struct Queue {
    std::deque<Request> requests;
    std::size_t bytes = 0;
  };
  std::unordered_map<WorkspaceNumber, Queue, WorkspaceNumberHash> queues_;
  std::deque<WorkspaceNumber> turn_;  // workspaces with a queue, next one first
  std::size_t bytes_ = 0;
  std::size_t queued_ = 0;
  std::map<std::uint64_t, Overload> overloads_;
};

}  // namespace counterfoil::write

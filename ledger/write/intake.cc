#include "ledger/write/intake.h"

#include <algorithm>

namespace counterfoil::write {

bool Intake::push(Request& request, Timestamp now) {
  std::size_t queued = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!hasRoom(request)) {
      Overload& overload = overloads_[request.workspace.value];
      overload.workspace = request.workspace;
      if (overload.refused.empty()) overload.from = now;
      overload.to = now;
      ++overload.refused[std::string(request.name())];
      return false;
    }
    bytes_ += request.bytes;
    queued = ++queued_;
    if (request.urgent()) {
      urgent_.push_back(std::move(request));
    } else {
      Queue& queue = queues_[request.workspace];
      if (queue.requests.empty()) turn_.push_back(request.workspace);
      queue.bytes += request.bytes;
      queue.requests.push_back(std::move(request));
    }
  }
  if (notify_) notify_(queued);
  return true;
}

// A workspace may have as much waiting as there is room left: one that floods takes half of it, and whoever comes next finds the other half
// (dynamic queue thresholds: Choudhury and Hahne, IEEE/ACM Transactions on Networking 6, 1998).
bool Intake::hasRoom(const Request& request) const {
  if (request.urgent()) return bytes_ + request.bytes <= bytesMax_;
  const std::size_t room = bytesMax_ - bytesMax_ / 10;
  if (bytes_ + request.bytes > room) return false;
  const auto queue = queues_.find(request.workspace);
  return queue == queues_.end() || queue->second.bytes + request.bytes <= room - bytes_;
}

std::vector<Request> Intake::take(std::size_t count, std::size_t bytes) {
  std::vector<Request> taken;
  std::size_t takenBytes = 0;
  const std::lock_guard lock(mutex_);
  taken.reserve(std::min(count, queued_));  // a request is large to move
  const auto pull = [&](std::deque<Request>& queue) {
    takenBytes += queue.front().bytes;
    bytes_ -= queue.front().bytes;
    --queued_;
    taken.push_back(std::move(queue.front()));
    queue.pop_front();
  };
  const auto more = [&] { return taken.size() < count && (taken.empty() || takenBytes < bytes); };
  while (!urgent_.empty() && more()) pull(urgent_);
  while (!turn_.empty() && more()) {
    const WorkspaceNumber workspace = turn_.front();
    turn_.pop_front();
    const auto found = queues_.find(workspace);
    found->second.bytes -= found->second.requests.front().bytes;
    pull(found->second.requests);
    if (found->second.requests.empty()) {
      queues_.erase(found);
    } else {
      turn_.push_back(workspace);
    }
  }
  return taken;
}

bool Intake::empty() const {
  const std::lock_guard lock(mutex_);
  return urgent_.empty() && turn_.empty();
}

std::size_t Intake::queued() const {
  const std::lock_guard lock(mutex_);
  return queued_;
}

std::size_t Intake::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

std::vector<Overload> Intake::takeOverloads() {
  std::vector<Overload> result;
  const std::lock_guard lock(mutex_);
  if (overloads_.empty() || bytes_ > bytesMax_ / 4) return result;
  for (auto& [number, overload] : overloads_) result.push_back(std::move(overload));
  overloads_.clear();
  return result;
}

}  // namespace counterfoil::write

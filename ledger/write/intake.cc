#include "ledger/write/intake.h"

#include <algorithm>

namespace counterfoil::write {

bool Intake::push(Request& request, Timestamp now) {
  {
    const std::lock_guard lock(mutex_);
    const std::size_t room = request.urgent() ? bytesMax_ : bytesMax_ - bytesMax_ / 10;
    if (bytes_ + request.bytes > room) {
      Overload& overload = overloads_[request.workspace.value];
      overload.workspace = request.workspace;
      if (overload.refused.empty()) overload.from = now;
      overload.to = now;
      ++overload.refused[std::string(request.name())];
      return false;
    }
    bytes_ += request.bytes;
    if (request.urgent()) {
      urgent_.push_back(std::move(request));
    } else {
      auto& queue = queues_[request.workspace];
      if (queue.empty()) turn_.push_back(request.workspace);
      queue.push_back(std::move(request));
    }
  }
  if (notify_) notify_();
  return true;
}

std::vector<Request> Intake::take(std::size_t count, std::size_t bytes) {
  std::vector<Request> taken;
  std::size_t takenBytes = 0;
  const std::lock_guard lock(mutex_);
  const auto pull = [&](std::deque<Request>& queue) {
    takenBytes += queue.front().bytes;
    bytes_ -= queue.front().bytes;
    taken.push_back(std::move(queue.front()));
    queue.pop_front();
  };
  const auto more = [&] { return taken.size() < count && (taken.empty() || takenBytes < bytes); };
  while (!urgent_.empty() && more()) pull(urgent_);
  while (!turn_.empty() && more()) {
    const WorkspaceNumber workspace = turn_.front();
    turn_.pop_front();
    const auto found = queues_.find(workspace);
    pull(found->second);
    if (found->second.empty()) {
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

std::size_t Intake::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

std::vector<Overload> Intake::takeOverloads() {
  std::vector<Overload> result;
  const std::lock_guard lock(mutex_);
  if (overloads_.empty() || bytes_ > bytesMax_ / 2) return result;
  for (auto& [number, overload] : overloads_) result.push_back(std::move(overload));
  overloads_.clear();
  return result;
}

}  // namespace counterfoil::write

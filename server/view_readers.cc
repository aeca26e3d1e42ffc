#include "server/view_readers.h"

#include <list>
#include <unordered_map>
#include <utility>

namespace counterfoil::server {

struct ViewReaders::State {
  struct Open {
    WorkspaceNumber workspace;
    std::shared_ptr<query::ViewReader> reader;
  };
  std::filesystem::path folder;
  std::size_t openMax;
  mutable std::mutex mutex;
  std::list<Open> recent;  // the one used last in front
  std::unordered_map<WorkspaceNumber, std::list<Open>::iterator, WorkspaceNumberHash> byWorkspace;
};

ViewReaders::ViewReaders(std::filesystem::path folder, std::size_t openMax) : state_(std::make_unique<State>()) {
  state_->folder = std::move(folder);
  state_->openMax = openMax == 0 ? 1 : openMax;
}

ViewReaders::~ViewReaders() = default;

std::shared_ptr<query::ViewReader> ViewReaders::of(WorkspaceNumber workspace) {
  // Closing files takes longer than the lock should be held: what is given up goes after it.
  std::shared_ptr<query::ViewReader> evicted;
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->byWorkspace.find(workspace);
  if (found != state_->byWorkspace.end()) {
    state_->recent.splice(state_->recent.begin(), state_->recent, found->second);
    return found->second->reader;
  }
  state_->recent.push_front({workspace, std::make_shared<query::ViewReader>(state_->folder, workspace)});
  state_->byWorkspace[workspace] = state_->recent.begin();
  if (state_->recent.size() > state_->openMax) {
    evicted = std::move(state_->recent.back().reader);
    state_->byWorkspace.erase(state_->recent.back().workspace);
    state_->recent.pop_back();
  }
  return state_->recent.front().reader;
}

std::size_t ViewReaders::open() const {
  const std::lock_guard lock(state_->mutex);
  return state_->recent.size();
}

const std::filesystem::path& ViewReaders::folder() const {
  return state_->folder;
}

}  // namespace counterfoil::server

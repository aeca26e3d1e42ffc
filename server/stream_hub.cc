#include "server/stream_hub.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace counterfoil::server {
namespace {

// Between two looks: the short one for a while after something moved, so that a busy workspace's listeners are hardly behind its view.
constexpr std::chrono::milliseconds kLookOften{5};
constexpr std::chrono::milliseconds kLookSeldom{25};
constexpr int kQuietLooks = 40;

}  // namespace

struct StreamHub::State : std::enable_shared_from_this<StreamHub::State> {
  struct Waiter {
    Waiter(const asio::any_io_executor& executor, std::uint64_t wanted) : timer(executor), size(wanted) {}
    asio::steady_timer timer;  // touched on its own executor only
    const std::uint64_t size;
    bool reached = false;  // under the hub's mutex
    bool listed = true;    // likewise
  };
  using Waiters = std::vector<std::shared_ptr<Waiter>>;

  State(views::ViewSet& runner, asio::any_io_executor executor) : views(runner), ticker(std::move(executor)) {}

  views::ViewSet& views;
  mutable std::mutex mutex;  // of everything below
  asio::steady_timer ticker;
  std::unordered_map<WorkspaceNumber, Waiters, WorkspaceNumberHash> waiters;
  std::size_t waiting = 0;
  bool ticking = false;
  bool stopped = false;
  int quiet = 0;  // looks since something moved

  // Whether the wait has begun by the time this runs or not, a time in the past ends it.
  static void wake(const std::shared_ptr<Waiter>& waiter) {
    asio::post(waiter->timer.get_executor(), [waiter] { waiter->timer.expires_at(asio::steady_timer::time_point::min()); });
  }

  // Expects the lock to be held.
  void arm() {
    if (ticking || stopped || waiting == 0) return;
    ticking = true;
    ticker.expires_after(quiet < kQuietLooks ? kLookOften : kLookSeldom);
    ticker.async_wait([self = shared_from_this()](const boost::system::error_code&) { self->look(); });
  }

  void look() {
    std::vector<WorkspaceNumber> wanted;
    {
      const std::lock_guard lock(mutex);
      ticking = false;
      if (stopped) return;
      for (const auto& [workspace, list] : waiters) wanted.push_back(workspace);
    }
    std::vector<std::pair<WorkspaceNumber, std::uint64_t>> sizes;
    for (const WorkspaceNumber workspace : wanted) {
      views.want(workspace);
      sizes.emplace_back(workspace, views.status(workspace).size);
    }
    const std::lock_guard lock(mutex);
    quiet = std::min(quiet + 1, kQuietLooks);
    for (const auto& [workspace, size] : sizes) release(workspace, size);
    arm();
  }

  // Expects the lock to be held.
  void release(WorkspaceNumber workspace, std::uint64_t size) {
    const auto found = waiters.find(workspace);
    if (found == waiters.end()) return;
    Waiters& list = found->second;
    const auto stay = std::partition(list.begin(), list.end(), [size](const auto& waiter) { return waiter->size > size; });
    for (auto waiter = stay; waiter != list.end(); ++waiter) {
      (*waiter)->reached = true;
      (*waiter)->listed = false;
      wake(*waiter);
      --waiting;
      quiet = 0;
    }
    list.erase(stay, list.end());
    if (list.empty()) waiters.erase(found);
  }

  // The outcome of a wait that is over for whatever reason.
  bool leave(WorkspaceNumber workspace, const std::shared_ptr<Waiter>& waiter) {
    const std::lock_guard lock(mutex);
    if (!waiter->listed) return waiter->reached;
    const auto found = waiters.find(workspace);
    Waiters& list = found->second;
    const auto place = std::find(list.begin(), list.end(), waiter);
    std::swap(*place, list.back());
    list.pop_back();
    if (list.empty()) waiters.erase(found);
    waiter->listed = false;
    --waiting;
    return false;
  }
};

StreamHub::StreamHub(views::ViewSet& views, asio::any_io_executor executor)
    : state_(std::make_shared<State>(views, std::move(executor))) {}

StreamHub::~StreamHub() {
  stop();
}

asio::awaitable<bool> StreamHub::waitFor(WorkspaceNumber workspace, std::uint64_t size, std::int64_t milliseconds) {
  const std::shared_ptr<State> state = state_;
  const auto executor = co_await asio::this_coro::executor;
  auto waiter = std::make_shared<State::Waiter>(executor, size);
  waiter->timer.expires_after(std::chrono::milliseconds(std::max<std::int64_t>(milliseconds, 0)));
  {
    const std::lock_guard lock(state->mutex);
    if (state->stopped) co_return false;
    state->waiters[workspace].push_back(waiter);
    ++state->waiting;
  }
  // After it is listed: what moves from now on is either seen here or by the next look.
  if (state->views.status(workspace).size >= size) {
    state->leave(workspace, waiter);
    co_return true;
  }
  state->views.want(workspace);
  {
    const std::lock_guard lock(state->mutex);
    state->arm();
  }
  // A coroutine that is destroyed while it waits must leave the list as well.
  struct Leaving {
    State& state;
    WorkspaceNumber workspace;
    const std::shared_ptr<State::Waiter>& waiter;
    ~Leaving() { state.leave(workspace, waiter); }
  };
  const Leaving leaving{*state, workspace, waiter};
  boost::system::error_code ignored;
  co_await waiter->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  co_return state->leave(workspace, waiter);
}

void StreamHub::stop() {
  const std::lock_guard lock(state_->mutex);
  if (state_->stopped) return;
  state_->stopped = true;
  for (const auto& [workspace, list] : state_->waiters) {
    for (const auto& waiter : list) {
      waiter->listed = false;
      State::wake(waiter);
    }
  }
  state_->waiters.clear();
  state_->waiting = 0;
  state_->ticker.cancel();
}

std::size_t StreamHub::waiting() const {
  const std::lock_guard lock(state_->mutex);
  return state_->waiting;
}

}  // namespace counterfoil::server

// Wakes those who wait for a workspace's view to move: streams and long polls. A waiter costs some hundred bytes, no thread and no open
// file; what it reads, it reads itself.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>

#include "ledger/core/ids.h"
#include "projections/view_set.h"

namespace counterfoil::server {

namespace asio = boost::asio;

// Thread safe. Asks the runner in a thread-free way: a timer on `executor` looks at the views that somebody waits for, often while they
// move. A look takes a lock and, the first time at a workspace, opens its view: `executor` is best that of the threads that may block.
class StreamHub {
 public:
  // `views` outlives the hub and every wait.
  StreamHub(views::ViewSet& views, asio::any_io_executor executor);
  // stop().
  ~StreamHub();
  // Returns when the view of `workspace` holds at least `size` entries (true), or after `milliseconds` (false), or when stop() was called
  // (false). Resumes on the calling coroutine's executor, which must be a strand or run in one thread. A view that stands still is only
  // seen not to move.
  asio::awaitable<bool> waitFor(WorkspaceNumber workspace, std::uint64_t size, std::int64_t milliseconds);
  // Wakes everybody; later waits return at once.
  void stop();
  std::size_t waiting() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace counterfoil::server

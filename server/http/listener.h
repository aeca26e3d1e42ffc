// A listening socket and its connections on a few threads, each with an event loop of its own.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/http/connection.h"

namespace counterfoil::server {

// Threads with an event loop each. Connections stay on the loop they began on, so nothing of theirs needs a lock.
class EventLoops {
 public:
  explicit EventLoops(std::size_t threads);
  // stop().
  ~EventLoops();
  struct Loop {
    asio::io_context context{1};
    // Shared with the connections: what is left of them when the loop ends goes with the context, after this.
    std::shared_ptr<Deadlines> deadlines = std::make_shared<Deadlines>(context);
  };
  Loop& next();
  const std::vector<std::unique_ptr<Loop>>& all() const { return loops_; }
  asio::io_context& first() { return loops_.front()->context; }
  // Runs `what` on every loop's own thread, soon.
  void each(const std::function<void(asio::io_context&)>& what);
  // Waits until the loops have nothing left to do: listeners aborted, timers cancelled. Nothing may be begun on them after this.
  void stop();

 private:
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> work_;
  std::vector<std::thread> threads_;
  std::atomic<std::size_t> turn_{0};
};

class Listener {
 public:
  // Binds at once. Throws Fault(usage | dataInUse): not an address, or one in use. "127.0.0.1:0" takes a free port. At most
  // `connectionsMax` connections are open at once, fewer if the limit of descriptors is low: half of it, up to 8,192, stays for the
  // ledger's files. More wait in the kernel, and ConnectionContext::warn is told.
  Listener(EventLoops& loops, ConnectionContext& context, const std::string& address, std::size_t connectionsMax);
  // A socket that listens already (systemd).
  Listener(EventLoops& loops, ConnectionContext& context, int descriptor, std::size_t connectionsMax);
  ~Listener();
  // "127.0.0.1:8780".
  std::string address() const;
  // New connections speak TLS with it; those that are open keep theirs. Null: plain.
  void setTls(std::shared_ptr<asio::ssl::context> tls);
  void start();
  // No new connections; idle ones end, busy ones after their answer.
  void drain();
  // Ends what is left.
  void abort();
  std::size_t connections() const;
  // False if some are still there after `most`.
  bool waitUntilNone(std::chrono::milliseconds most);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace counterfoil::server

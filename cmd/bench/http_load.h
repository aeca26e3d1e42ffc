// A lean generator of load: many connections with TLS 1.3 on one thread, each with one request under way. No coroutines and no HTTP
// library: requests come rendered, of an answer only the status and the length are read.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "cmd/bench/measure.h"

namespace counterfoil::cmd::bench {

// When a client's next request goes out.
struct Turn {
  bool more = false;       // false: this client is done
  std::int64_t dueAt = 0;  // as Stopwatch::now(); the past: at once. The latency counts from here, so that what waits is not left out
};

// One connection's user. Called on the thread of HttpLoad::run() only.
class LoadClient {
 public:
  virtual ~LoadClient() = default;
  // Asked when the answer before is there.
  virtual Turn turn() = 0;
  // The next request, whole, appended to `wire` (which is empty). Rendered as it is sent: a client of a fixed rate may be late.
  virtual void render(std::string& wire) = 0;
  // Status 0: the connection was lost (nothing more is asked of this client).
  virtual void answered(int status, std::string_view body, double microseconds) = 0;
};

// "POST /v1/... HTTP/1.1" with its headers and body, appended to `wire`.
void appendRequest(std::string_view method, std::string_view target, std::string_view token, std::string_view mediaType,
                   std::string_view body, std::string& wire);

// Owned by one thread.
class HttpLoad {
 public:
  // To 127.0.0.1:`port`, whose certificate is that of the PEM file and no other.
  HttpLoad(std::uint16_t port, const std::string& certificate);
  ~HttpLoad();
  HttpLoad(const HttpLoad&) = delete;
  HttpLoad& operator=(const HttpLoad&) = delete;

  // Connects, with the handshake; blocks. The client must outlive the load. Throws Fault(notReady).
  void add(LoadClient& client);
  // Lets every client that was added send until it is done. May be called again: connections stay open.
  void run();
  // Requests answered since construction.
  std::uint64_t answers() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::cmd::bench

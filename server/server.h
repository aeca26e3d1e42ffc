// The running server: listeners, API, what happens every second and every minute, and the orderly end.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/forwarder.h"
#include "server/http/connection.h"
#include "server/metrics.h"
#include "server/node_role.h"
#include "server/rate_limits.h"
#include "server/service.h"

namespace counterfoil::server {

struct ServerOptions {
  std::string listen = "127.0.0.1:8780";
  std::string adminListen = "127.0.0.1:8781";  // health and metrics; empty: none
  int listenDescriptor = -1;                   // a listening socket that was passed in (systemd), instead of `listen`
  std::string certificate, certificateKey;     // both or none: TLS 1.3, or plain HTTP
  std::string clientAuthorities;               // whose client certificates are believed
  std::size_t threads = 2;
  std::size_t connectionsMax = 20'000;
  // Several nodes on one log. Null: a single node, and the rest means nothing.
  RoleOf role;
  ForwardOptions forward;                 // its `authorities` are also asked for client certificates of nodes
  std::vector<std::string> nodeSubjects;  // RFC 2253 names in certificates of nodes that may pass requests on
  std::int64_t drainSeconds = 15;         // at the end, for requests under way
  // Fills in what only the caller knows, at every scrape; any thread. Null: nothing.
  std::function<void(Gauges&)> moreGauges;
  ConnectionLimits limits;
};

class Server {
 public:
  // Binds and loads certificates; takes no connection yet. `service` outlives the server. Throws Fault: usage, dataInUse, keyMissing, ...
  Server(Service& service, ServerOptions options);
  ~Server();
  void start();
  // The certificate files again, for new connections. Throws Fault and keeps the old ones.
  void reloadCertificates();
  // No new connections, answers to what is under way, then the rest is cut. Returns when all are gone.
  void stop();
  // "https://127.0.0.1:8780"
  std::string url() const;
  std::string adminUrl() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::server

// What the rows through HTTP share: a server with its workspaces, a token, and how a run is told.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cmd/bench/http_clients.h"
#include "cmd/bench/http_server.h"
#include "cmd/bench/scratch.h"

namespace counterfoil::cmd::bench {

inline constexpr std::size_t kHttpClients = 64;

// One measured stretch of time.
struct Stretch {
  double seconds = 0;
  double serverCpu = 0;  // seconds
  double loadCpu = 0;    // of this thread
};

// Owned by one thread. Members throw the Faults of HttpServer and HttpLoad.
class HttpRun {
 public:
  // A server with options.workspaces workspaces, named as workspaceId() does, and their policies; `settings` as HttpServer takes them.
  explicit HttpRun(const BenchOptions& options, std::vector<std::string> settings = {});

  HttpServer& server() { return server_; }
  const std::string& token() const { return token_; }
  void renewToken() { token_ = server_.token(); }
  // A generator without connections.
  std::unique_ptr<HttpLoad> load() const;
  // `count` clients of a mix on a load of their own. They, the tally and this must outlive the load.
  std::vector<std::unique_ptr<MixClient>> mixClients(MixKind kind, std::size_t count, Tally& tally, HttpLoad& load, MixLimits limits = {},
                                                     bool leasesMayHaveEnded = false) const;
  // So many requests of the mix that every workspace has met its keys, from 64 connections; then waits for the views, so
  // that none is made while a row is measured. Throws Fault(internal) if a request fails.
  void warmUp(MixLimits limits = {});
  // Runs the load and tells what it took.
  Stretch measure(HttpLoad& load);
  // Waits until every view shows what the log holds. Throws Fault(internal) after `seconds`.
  void awaitViews(double seconds) const;
  // Ends the server properly; true if the ledger verifies.
  bool finish();

 private:
  void makeWorkspaces();

  const BenchOptions& options_;
  HttpServer server_;
  std::string token_;
};

// Rate, latencies, errors and processor time, for a row.
std::vector<Figure> figuresOf(Tally& tally, const Stretch& stretch);

}  // namespace counterfoil::cmd::bench

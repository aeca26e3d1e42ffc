// What the routes work with: one running ledger and everything around it. Made by cmd/verb_serve.cc; all of it outlives the server.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "ledger/core/clock.h"
#include "ledger/crypto/random.h"
#include "ledger/write/ledger.h"
#include "projections/view_set.h"
#include "server/auth/authenticator.h"
#include "server/auth/token_keys.h"

namespace counterfoil::server {

class AccessRecorder;  // auth/access_recorder.h: access.* entries
class AuditRecorder;   // audit_recorder.h: audit.* entries
class FaultLog;        // fault_log.h
class Imports;         // imports.h: those under way
class Metrics;         // metrics.h
class RateLimits;      // rate_limits.h
class StreamHub;       // stream_hub.h: who waits for new entries of a workspace
class TokenDesk;       // auth/token_desk.h
class VerifyJobs;      // verify_jobs.h
class ViewReaders;     // view_readers.h

struct Service {
  write::Ledger& ledger;
  log::EventLog& eventLog;
  views::ViewSet& views;
  ViewReaders& readers;
  StreamHub& streams;
  Authenticator& authenticator;
  TokenKeys& tokenKeys;
  AccessRecorder& access;
  AuditRecorder& audit;
  RateLimits& limits;
  Metrics& metrics;
  FaultLog& faults;
  VerifyJobs& verifyJobs;
  Imports& imports;
  const Clock& clock;
  crypto::RandomSource& random;
  asio::thread_pool& blocking;  // for SQLite, files and everything that waits
  std::string origin;
  std::string version;                                    // of the program
  std::function<std::optional<Fault>()> keyTrouble = {};  // KeyProvider::trouble(); may be empty
  // Why the log takes or gives nothing at the moment, or for good, before a request has found out; may be empty.
  std::function<std::optional<Fault>()> logTrouble = {};
  TokenDesk* desk = nullptr;  // takes orders that came in at other nodes; null: no such route
};

}  // namespace counterfoil::server

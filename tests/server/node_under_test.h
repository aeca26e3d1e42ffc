// A whole node in this process: a ledger in memory with its views, keys and recorders, behind the real server.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "ledger/core/encoding.h"
#include "ledger/log/memory_log.h"
#include "server/audit_recorder.h"
#include "server/auth/access_recorder.h"
#include "server/auth/authenticator.h"
#include "server/auth/token_desk.h"
#include "server/auth/token_keys.h"
#include "server/fault_log.h"
#include "server/imports.h"
#include "server/metrics.h"
#include "server/rate_limits.h"
#include "server/server.h"
#include "server/stream_hub.h"
#include "server/verify_jobs.h"
#include "server/view_readers.h"
#include "tests/support/memory_key_provider.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::test {

class RealClock final : public Clock {
 public:
  Timestamp wall() const override {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()};
  }
  std::int64_t monotonicNanoseconds() const override {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  }
  bool synchronised() const override { return true; }
};

class NodeUnderTest {
 public:
  explicit NodeUnderTest(server::ServerOptions options) {
    options.listen = "127.0.0.1:0";
    options.adminListen = "127.0.0.1:0";
    options.drainSeconds = 10;
    ledger_.start([](const std::string&) {});
    views_.follow();
    service_.desk = &desk_;
    server_ = std::make_unique<server::Server>(service_, std::move(options));
    server_->start();
  }
  ~NodeUnderTest() { stop(); }
  void stop() {
    if (!server_) return;
    server_->stop();
    streams_.stop();
    verifyJobs_.stop();
    verifying_.join();
    blocking_.join();
    server_.reset();
    views_.stop();
    ledger_.stop();
  }

  std::string url() const { return server_->url(); }
  std::string address() const { return url().substr(url().find("://") + 3); }
  std::string adminAddress() const { return server_->adminUrl().substr(7); }
  server::Server& server() { return *server_; }
  write::Ledger& ledger() { return ledger_; }
  const server::TokenKeys& tokenKeys() const { return tokenKeys_; }
  server::Authenticator& authenticator() { return authenticator_; }

  // Signed by this node: no other one knows the key. `certificate`: the token is bound to this SHA-256.
  std::string token(const std::string& role, const std::string& certificate = {}) {
    server::TokenClaims claims;
    const std::int64_t now = clock_.wall().nanoseconds / kNanosecondsPerSecond;
    claims.issuer = claims.audience = kOrigin;
    claims.subject = "human:alice";
    claims.role = role;
    claims.workspace = "*";
    claims.tokenId = toUuid(makeUuidV7(clock_.wall(), random_.bytes<10>()));
    claims.issuedAt = claims.notBefore = now;
    claims.expiresAt = now + 600;
    claims.certificate = certificate;
    return tokenKeys_.sign(claims);
  }

  static constexpr const char* kOrigin = "ledger.example/prod";

 private:
  static log::WriterIdentity identity() {
    log::WriterIdentity result;
    result.incarnation = 1;
    result.name = "node";
    return result;
  }
  views::ViewRunnerOptions viewOptions() const {
    views::ViewRunnerOptions options;
    options.files.folder = folder_.path() / "views";
    options.keysComplete = true;
    options.workers = 1;
    return options;
  }
  server::AuthenticatorOptions authentication() const {
    server::AuthenticatorOptions options;
    options.audience = kOrigin;
    return options;
  }

  TemporaryFolder folder_;
  RealClock clock_;
  crypto::SystemRandom random_;
  MemoryKeyProvider provider_{random_};
  std::shared_ptr<log::MemoryPartitions> partitions_ =
      std::make_shared<log::MemoryPartitions>(log::LedgerFacts{"ledger", kOrigin, {1'772'000'000LL * kNanosecondsPerSecond}});
  log::MemoryLog log_{partitions_, identity()};
  write::Ledger ledger_{log_, provider_, clock_, random_, write::LedgerOptions{}};
  views::ViewSet views_{log_, ledger_.keyRing(), viewOptions()};
  server::ViewReaders readers_{folder_.path() / "views", 64};
  boost::asio::thread_pool blocking_{2};
  boost::asio::thread_pool verifying_{1};
  server::StreamHub streams_{views_, blocking_.get_executor()};
  server::TokenKeys tokenKeys_{folder_.path() / "keys", random_};
  server::Authenticator authenticator_{tokenKeys_, clock_, authentication()};
  server::AccessRecorder access_{ledger_, clock_};
  server::AuditRecorder audit_{ledger_, clock_};
  server::TokenDesk desk_{{tokenKeys_, authenticator_, access_, clock_, random_, kOrigin,
                           [this](std::string_view id) { return ledger_.findWorkspace(id).has_value(); }},
                          {}};
  server::RateLimits limits_{clock_, server::RateLimitOptions{}};
  server::Metrics metrics_;
  server::FaultLog faults_{clock_};
  server::VerifyJobs verifyJobs_{log_, ledger_.keyRing(), clock_, verifying_};
  server::Imports imports_{clock_, random_};
  server::Service service_{ledger_,  log_,    views_,      readers_, streams_, authenticator_, tokenKeys_, access_, audit_, limits_,
                           metrics_, faults_, verifyJobs_, imports_, clock_,   random_,        blocking_,  kOrigin, "1.2.3"};
  std::unique_ptr<server::Server> server_;
};

}  // namespace counterfoil::test

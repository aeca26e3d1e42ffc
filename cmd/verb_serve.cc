// `serve`: the ledger behind HTTP until a signal ends it.
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

#include "cmd/json_log.h"
#include "cmd/node_duty.h"
#include "cmd/output.h"
#include "cmd/service_manager.h"
#include "cmd/session.h"
#include "cmd/version.h"
#include "ledger/core/json.h"
#include "ledger/log/lock_file.h"
#include "projections/view_set.h"
#include "server/audit_recorder.h"
#include "server/auth/access_recorder.h"
#include "server/auth/revocations.h"
#include "server/auth/token_desk.h"
#include "server/fault_log.h"
#include "server/http/listener.h"
#include "server/imports.h"
#include "server/metrics.h"
#include "server/server.h"
#include "server/stream_hub.h"
#include "server/token_relay.h"
#include "server/token_socket.h"
#include "server/verify_jobs.h"
#include "server/view_readers.h"
#include "server/waiting_room.h"

namespace counterfoil::cmd {
namespace {

struct ServeOptions {
  std::string listen, adminListen, certificate, key, clientAuthorities;
  bool acceptClock = false;
};

constexpr rlim_t kDescriptorsWanted = 65'536;
constexpr std::size_t kBlockingThreads = 4;
// A reader's connection holds up to 2 MiB of pages and what it prepared; opening one costs about a millisecond.
constexpr std::size_t kOpenReadersMax = 128;
// Of views for writing: each about half a megabyte and three descriptors, and four of readers that were closed since: a POSIX lock ends
// with any descriptor of its file, so SQLite keeps a reader's until the view itself is closed.
constexpr std::size_t kOpenViewsMax = 2'048;
constexpr std::size_t kDescriptorsOfAView = 7;
constexpr std::size_t kDescriptorsOfAReader = 12;  // up to four connections stay open
constexpr std::chrono::seconds kLongestPause{1};
constexpr std::chrono::milliseconds kLongestKeyPause{10'000};
// A reading verb on the folder keeps the views while it brings them up to the log and reads them: most for less than a second.
constexpr timespec kViewsPause{0, 50'000'000};
constexpr int kViewsTries = 600;

// As many descriptors as the hard limit gives: each connection is one, each open view up to seven.
void raiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::max(limit.rlim_cur, std::min(limit.rlim_max, kDescriptorsWanted));
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// As many as there are places for in `part` of the descriptors, with `each` descriptors a place, but `most` at most: the rest of them is
// for connections.
std::size_t placesFor(std::size_t part, std::size_t each, std::size_t most) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return most;
  return std::clamp<std::size_t>(static_cast<std::size_t>(limit.rlim_cur) / part / each, 1, most);
}

// Taken by sigtimedwait() on the main thread; every other thread is started after this and has them blocked.
sigset_t blockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// Where other verbs find the server. There while it serves.
class ServerFile {
 public:
  ServerFile(std::filesystem::path path, const server::Server& running, const std::filesystem::path& tokenSocket,
             const std::string& certificate)
      : path_(std::move(path)) {
    std::string text;
    JsonObject object(text);
    object.text("url", running.url()).text("adminUrl", running.adminUrl()).number("pid", static_cast<std::uint64_t>(::getpid()));
    object.text("tokenSocket", std::filesystem::absolute(tokenSocket).lexically_normal().string()).text("version", kVersion);
    // Verbs that find the server here know it by this certificate, whatever name it has.
    if (!certificate.empty()) object.text("certificate", std::filesystem::absolute(certificate).lexically_normal().string());
    object.end();
    const std::filesystem::path fresh = path_.string() + ".new";
    std::ofstream file(fresh, std::ios::trunc);
    file << text << '\n';
    file.close();
    if (!file) throw Fault(ErrorCode::diskFull, "cannot write " + path_.string(), "free space");
    std::filesystem::rename(fresh, path_);
  }
  ~ServerFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

 private:
  std::filesystem::path path_;
};

server::ServerOptions serverOptionsOf(const Config& config, const ServeOptions& flags) {
  const auto either = [](const std::string& flag, const std::string& configured) { return flag.empty() ? configured : flag; };
  server::ServerOptions options;
  options.listen = either(flags.listen, config.listen);
  options.adminListen = either(flags.adminListen, config.adminListen);
  if (options.adminListen == "none") options.adminListen.clear();
  options.certificate = either(flags.certificate, config.certificate);
  options.certificateKey = either(flags.key, config.certificateKey);
  options.clientAuthorities = either(flags.clientAuthorities, config.clientAuthorities);
  options.forward.nodeName = config.nodeName;
  options.forward.certificate = config.peerCertificate;
  options.forward.certificateKey = config.peerKey;
  options.forward.authorities = config.peerAuthorities;
  options.nodeSubjects = config.peerSubjects;
  options.threads = config.serverThreads;
  options.connectionsMax = config.connectionsMax;
  options.listenDescriptor = passedSocket();
  if (options.certificate.empty() != options.certificateKey.empty()) {
    throw Fault(ErrorCode::usage, "a certificate and its key belong together", "give both --tls-cert and --tls-key, or neither");
  }
  if (options.certificate.empty() && !options.clientAuthorities.empty()) {
    throw Fault(ErrorCode::usage, "client certificates need TLS",
                "give --tls-cert and --tls-key beside --tls-client-ca, or no --tls-client-ca");
  }
  return options;
}

// Where other nodes reach this one, unless it is told another place: as it listens.
std::string urlOf(const server::ServerOptions& options) {
  return (options.certificate.empty() ? "http://" : "https://") + options.listen;
}

// Looks after a key service that is in trouble: tells the operator once, and asks it again so that it is seen when it is back.
class KeyServiceWatch {
 public:
  KeyServiceWatch(keys::KeyProvider& provider, boost::asio::thread_pool& pool) : provider_(provider), pool_(pool) {}
  void look() {
    const auto trouble = provider_.trouble();
    if (trouble && !told_) spdlog::error("new keys cannot be had, what needs none goes on: {}", trouble->what());
    if (!trouble && told_) spdlog::info("the key service answers again");
    told_ = trouble.has_value();
    if (!trouble || asking_.exchange(true)) return;
    boost::asio::post(pool_, [this] {
      try {
        provider_.probe();
      } catch (const Fault&) {
        // trouble() says so.
      }
      asking_ = false;
    });
  }

 private:
  keys::KeyProvider& provider_;
  boost::asio::thread_pool& pool_;
  bool told_ = false;
  std::atomic<bool> asking_{false};
};

// The ledger; null if a signal came first. While its key service does not answer, the server's addresses say so. A service that refuses the
// token ends the program: only the operator can mend that.
std::unique_ptr<Session> openWhenKeysAnswer(const CommonOptions& common, bool acceptClock, const server::ServerOptions& options,
                                            const sigset_t& signals) {
  const SystemClock clock;
  crypto::SystemRandom random;
  std::unique_ptr<server::WaitingRoom> room;
  for (std::chrono::milliseconds pause{500};; pause = std::min(2 * pause, kLongestKeyPause)) {
    try {
      return std::make_unique<Session>(common, Access::follow, acceptClock, urlOf(options));
    } catch (const Fault& fault) {
      if (!readConfig(common).hasKeyService() || fault.code() != ErrorCode::notReady) throw;
      if (room) {
        room->tell(fault);
      } else {
        room = std::make_unique<server::WaitingRoom>(options, clock, random, fault);
        spdlog::error("the ledger does not start yet, {} answers 503: {}", room->url(), fault.what());
      }
    }
    notifyServiceManager("STATUS=waiting for the key service\nEXTEND_TIMEOUT_USEC=60000000\nWATCHDOG=1");
    const timespec wait{pause.count() / 1'000, static_cast<long>(pause.count() % 1'000) * 1'000'000};
    const int signal = ::sigtimedwait(&signals, nullptr, &wait);
    if (signal == SIGTERM || signal == SIGINT) return nullptr;
  }
}

// Makes this process the one that keeps the views; null if a signal came first. Throws Fault(dataInUse) if another one does not let go.
std::unique_ptr<log::LockFile> lockViews(const std::filesystem::path& folder, const sigset_t& signals) {
  for (int tries = 1;; ++tries) {
    try {
      return std::make_unique<log::LockFile>(folder / "lock");
    } catch (const Fault& fault) {
      if (fault.code() != ErrorCode::dataInUse || tries == kViewsTries) throw;
      if (tries == 1) spdlog::info("waiting for who reads the views: {}", fault.what());
    }
    const int signal = ::sigtimedwait(&signals, nullptr, &kViewsPause);
    if (signal == SIGTERM || signal == SIGINT) return nullptr;
  }
}

void waitForEnd(const sigset_t& signals, server::Server& running, KeyServiceWatch& keyService) {
  const auto watchdog = watchdogInterval();
  const auto pause = watchdog ? std::min<std::chrono::microseconds>(*watchdog, kLongestPause) : kLongestPause;
  const timespec wait{pause.count() / 1'000'000, static_cast<long>(pause.count() % 1'000'000) * 1'000};
  for (;;) {
    const int signal = ::sigtimedwait(&signals, nullptr, &wait);
    if (watchdog) notifyServiceManager("WATCHDOG=1");
    keyService.look();
    if (signal == SIGHUP) {
      notifyReloading();
      try {
        running.reloadCertificates();
        spdlog::info("certificates read again");
      } catch (const Fault& fault) {
        spdlog::error("certificates not read again, the old ones stay: {}", fault.what());
      }
      notifyServiceManager("READY=1");
    }
    if (signal == SIGTERM || signal == SIGINT) return;
  }
}

// The view of `_system` with everything the log holds of it: revocations of before this start are in force before the first token is read.
void waitForSystemView(Session& session, views::ViewSet& runner) {
  Sequence last{0};
  session.ledger().inspect(kSystemWorkspace, [&](const write::PartitionState& state) {
    if (const WorkspaceState* system = state.findWorkspace(kSystemWorkspace)) last = Sequence{system->head().size() - 1};
  });
  while (!runner.waitFor(kSystemWorkspace, last, 1'000)) {
    if (const auto fault = runner.status(kSystemWorkspace).fault) {
      if (fault->code() != ErrorCode::viewDamaged) throw Fault(*fault);
      spdlog::warn("the view of _system is damaged and is made anew");
      runner.requestRebuild(kSystemWorkspace);
      runner.wake();
    }
    if (const auto fault = runner.fault()) throw Fault(*fault);
  }
}

server::RateLimitOptions ratesOf(const Config& config) {
  server::RateLimitOptions rates;
  rates.workspacePerSecond = static_cast<double>(config.workspacePerSecond);
  rates.workspaceBurst = 2 * rates.workspacePerSecond;
  rates.principalPerSecond = static_cast<double>(config.principalPerSecond);
  rates.principalBurst = 2 * rates.principalPerSecond;
  return rates;
}

std::function<void(double)> acknowledgementsOf(server::Metrics& metrics) {
  return [&metrics](double seconds) { metrics.acknowledged(seconds); };
}

// Of several nodes on one log: who writes, and how the log does. Both outlive the server.
void joinNodes(server::ServerOptions& options, Session& session, const NodeDuty& duty) {
  if (session.kafka() == nullptr) return;
  options.role = [&duty](PartitionId partition) {
    const NodeDuty::Now now = duty.now(partition);
    return server::NodeRole{now.writer, now.writerUrl, now.writerName, partition};
  };
  options.moreGauges = [&session, &duty](server::Gauges& gauges) {
    gauges.writer = static_cast<double>(duty.written());
    const log::KafkaCounts counts = session.kafka()->counts();
    gauges.logTerm = static_cast<double>(counts.term);
    gauges.logAcknowledged = static_cast<double>(counts.acknowledged);
    gauges.logClaimsLost = static_cast<double>(counts.claimsLost);
    gauges.logPoisoned = static_cast<double>(counts.poisoned);
    gauges.logProducersRebuilt = static_cast<double>(counts.producersRebuilt);
    for (std::uint64_t index = 0; index < session.ledger().partitions(); ++index) {
      const write::SequencerStatus status = session.ledger().status(PartitionId{index});
      const std::uint64_t end = session.kafka()->knownEnd(PartitionId{index});
      if (!status.leading && end > status.recordsRead) gauges.logLag += static_cast<double>(end - status.recordsRead);
      gauges.logVoids += static_cast<double>(status.recordsVoid);
    }
    gauges.logBroken = duty.logBroken() ? 1 : 0;
    gauges.logTroubled = duty.logTrouble() && !duty.logBroken() ? 1 : 0;
  };
}

// The embedded log's commits in the metrics, as long as this lives.
class CommitTimes {
 public:
  CommitTimes(Session& session, server::Metrics& metrics) : session_(session) {
    if (log::EmbeddedLog* const log = session.embedded()) {
      log->onCommitted(session.clock(), [&metrics](double seconds) { metrics.committed(seconds); });
    }
  }
  ~CommitTimes() {
    if (log::EmbeddedLog* const log = session_.embedded()) log->onCommitted(session_.clock(), {});
  }
  CommitTimes(const CommitTimes&) = delete;
  CommitTimes& operator=(const CommitTimes&) = delete;

 private:
  Session& session_;
};

// What other nodes record of tokens counts here as soon as it is read, as long as this lives: no view is waited for.
class TokensOfOthers {
 public:
  TokensOfOthers(Session& session, server::Authenticator& authenticator, server::TokenDesk& desk) : session_(session) {
    session.systemFeed().set([&](const EntryView& entry) {
      if (auto issued = server::takeRecorded(entry, session.clock().wall(), authenticator)) desk.know(std::move(*issued));
    });
  }
  ~TokensOfOthers() { session_.systemFeed().set({}); }
  TokensOfOthers(const TokensOfOthers&) = delete;
  TokensOfOthers& operator=(const TokensOfOthers&) = delete;

 private:
  Session& session_;
};

// Tokens are recorded in `_system`: while another node writes that, it is asked. All outlive the token socket.
server::PassOn passOnOf(Session& session, const NodeDuty& duty, server::TokenRelay& relay) {
  if (session.kafka() == nullptr) return {};
  return [&, system = session.ledger().home(kSystemWorkspace)](std::string_view request,
                                                               std::string_view by) -> std::optional<boost::asio::awaitable<std::string>> {
    const NodeDuty::Now now = duty.now(system);
    if (now.writer || now.writerUrl.empty()) return std::nullopt;
    return relay.ask({false, now.writerUrl, now.writerName, system}, request, by);
  };
}

int serve(const CommonOptions& common, const ServeOptions& flags) {
  const sigset_t signals = blockSignals();
  raiseDescriptorLimit();
  startJsonLog();
  server::ServerOptions options = serverOptionsOf(readConfig(common), flags);
  const std::unique_ptr<Session> opened = openWhenKeysAnswer(common, flags.acceptClock, options, signals);
  if (opened == nullptr) return 0;
  Session& session = *opened;
  const Config& config = session.config();

  views::makeViewFolder(config.viewsFolder());
  const std::unique_ptr<log::LockFile> viewLock = lockViews(config.viewsFolder(), signals);
  if (viewLock == nullptr) return 0;
  views::ViewRunnerOptions viewOptions;
  viewOptions.files.folder = config.viewsFolder();
  viewOptions.workers = config.viewWorkers;
  viewOptions.keysComplete = true;
  viewOptions.clock = &session.clock();
  viewOptions.openMax = placesFor(4, kDescriptorsOfAView, kOpenViewsMax);
  viewOptions.background = true;  // a late view delays its readers; a late append delays who asks for a credential
  views::ViewSet runner(session.log(), session.keyRing(), viewOptions);
  runner.follow();

  server::TokenKeys tokenKeys(config.keys, session.random());
  server::AuthenticatorOptions authentication;
  authentication.audience = config.origin;
  authentication.recordedName = [&session](const std::string& subject) { return server::recordedSubject(session.keyRing(), subject); };
  server::Authenticator authenticator(tokenKeys, session.clock(), authentication);
  server::ViewReaders readers(config.viewsFolder(), placesFor(8, kDescriptorsOfAReader, kOpenReadersMax));
  server::AccessRecorder access(session.ledger(), session.clock());
  server::AuditRecorder audit(session.ledger(), session.clock());
  server::RateLimits limits(session.clock(), ratesOf(config));
  server::Metrics metrics;
  const CommitTimes commitTimes(session, metrics);
  server::FaultLog faults(session.clock());
  boost::asio::thread_pool blocking(kBlockingThreads);
  boost::asio::thread_pool verifying(1);
  server::TokenDesk desk({tokenKeys, authenticator, access, session.clock(), session.random(), config.origin,
                          [&session](std::string_view id) { return session.ledger().findWorkspace(id).has_value(); }},
                         {});
  const TokensOfOthers tokensOfOthers(session, authenticator, desk);  // from here on; the view has what was before
  waitForSystemView(session, runner);
  desk.restore(server::restoreTokens(*readers.of(kSystemWorkspace), session.clock().wall(), authenticator));
  auto duty = std::make_unique<NodeDuty>(session, acknowledgementsOf(metrics), [&tokenKeys] { tokenKeys.reload(); });
  joinNodes(options, session, *duty);
  server::EventLoops tokenLoop(1);
  server::TokenRelay relay(*tokenLoop.all().front(), options.forward, tokenKeys, session.clock(), session.random(), config.origin);
  server::TokenSocket tokenSocket(config.data, tokenLoop.first().get_executor(), blocking, desk, passOnOf(session, *duty, relay));
  server::StreamHub streams(runner, blocking.get_executor());
  server::VerifyJobs verifyJobs(session.log(), session.keyRing(), session.clock(), verifying);
  server::Imports imports(session.clock(), session.random());
  server::Service service{session.ledger(),
                          session.log(),
                          runner,
                          readers,
                          streams,
                          authenticator,
                          tokenKeys,
                          access,
                          audit,
                          limits,
                          metrics,
                          faults,
                          verifyJobs,
                          imports,
                          session.clock(),
                          session.random(),
                          blocking,
                          config.origin,
                          std::string(kVersion)};
  service.desk = &desk;
  service.keyTrouble = [&session] { return session.provider().trouble(); };
  service.logTrouble = [&duty] { return duty->logTrouble(); };
  KeyServiceWatch keyService(session.provider(), blocking);
  server::Server running(service, options);
  // Its addresses are taken: who sees that it is ready finds it here as well.
  const ServerFile file(config.serverFile(), running, config.tokenSocket(), options.certificate);
  running.start();
  print("counterfoil serves " + running.url() + (running.adminUrl().empty() ? "" : ", health and metrics at " + running.adminUrl()));
  std::cout.flush();
  notifyServiceManager("READY=1");
  waitForEnd(signals, running, keyService);
  notifyServiceManager("STOPPING=1");
  spdlog::info("stopping: requests under way are answered first");
  tokenSocket.stop();
  running.stop();
  streams.stop();
  tokenLoop.stop();
  verifyJobs.stop();
  verifying.stop();
  verifying.join();
  blocking.join();
  duty.reset();  // its thread uses the ledger and the views, which end next
  runner.stop();
  session.close();
  spdlog::info("stopped");
  return 0;
}

}  // namespace

void addServe(Verb app, Program& program) {
  Verb verb = app.verb("serve", "Serve the ledger over HTTP");
  addCommonFlags(verb, program.common, false);
  auto options = std::make_shared<ServeOptions>();
  verb.option("--listen", options->listen, "ADDRESS:PORT of the API (default 127.0.0.1:8780)");
  verb.option("--admin-listen", options->adminListen, "ADDRESS:PORT of health and metrics (default 127.0.0.1:8781); none to have none");
  verb.option("--tls-cert", options->certificate, "PEM certificate chain: the API speaks TLS 1.3");
  verb.option("--tls-key", options->key, "PEM key of the certificate");
  verb.option("--tls-client-ca", options->clientAuthorities, "PEM authorities of client certificates");
  verb.flag("--accept-clock", options->acceptClock, "The clock is right although it is far ahead of the last entry");
  verb.whenGiven([&program, options] { program.run = [&program, options] { return serve(program.common, *options); }; });
}

}  // namespace counterfoil::cmd

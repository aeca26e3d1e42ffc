#include "server/server.h"

#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>

#include "ledger/core/encoding.h"
#include "server/admin.h"
#include "server/api.h"
#include "server/audit_recorder.h"
#include "server/auth/access_recorder.h"
#include "server/http/listener.h"
#include "server/http/tls.h"
#include "server/metrics.h"
#include "server/problem.h"
#include "server/stream_hub.h"
#include "server/view_readers.h"

namespace counterfoil::server {
namespace {

std::string schemeOf(const ServerOptions& options) {
  return options.certificate.empty() ? "http://" : "https://";
}

}  // namespace

struct Server::State {
  State(Service& given, ServerOptions wanted)
      : service(given),
        options(std::move(wanted)),
        loops(options.threads),
        forwarder(forwarderOf()),
        api(service, forwarder.get(), options.nodeSubjects),
        admin(service, context.stopping),
        minute(loops.first()) {
    const auto newRequestId = [this] { return toUuid(makeUuidV7(service.clock.wall(), service.random.bytes<10>())); };
    context.limits = options.limits;
    context.newRequestId = newRequestId;
    context.dispatch = [this](Exchange& exchange) { return api.dispatch(exchange); };
    context.refuse = [this](const Fault& fault, const std::string& id) { return api.refuse(fault, id); };
    if (options.role) context.headers.emplace_back("X-Counterfoil-Node", options.forward.nodeName);
    context.warn = [](const std::string& what) { spdlog::warn("{}", what); };
    adminContext.warn = context.warn;
    adminContext.limits = options.limits;
    adminContext.newRequestId = newRequestId;
    adminContext.dispatch = [this](Exchange& exchange) { return admin.dispatch(exchange); };
    adminContext.refuse = [](const Fault& fault, const std::string& id) { return problem(fault, id); };
    if (options.listenDescriptor >= 0) {
      listener = std::make_unique<Listener>(loops, context, options.listenDescriptor, options.connectionsMax);
    } else {
      listener = std::make_unique<Listener>(loops, context, options.listen, options.connectionsMax);
    }
    if (!options.adminListen.empty()) adminListener = std::make_unique<Listener>(loops, adminContext, options.adminListen, 256);
    service.metrics.onScrape([this] { return gauges(); });
  }

  ~State() { service.metrics.onScrape({}); }

  std::unique_ptr<Forwarder> forwarderOf() {
    if (!options.role) return nullptr;
    return std::make_unique<Forwarder>(loops, options.role, options.forward, service.metrics, service.clock);
  }

  Gauges gauges() {
    Gauges result;
    const write::SequencerStatus status = service.ledger.status();
    const bool logStands = service.logTrouble && service.logTrouble();
    result.ready = status.ready && !status.fault && !logStands ? 1 : 0;
    result.clockPaused = status.clockPaused ? 1 : 0;
    result.liveLeases = static_cast<double>(status.liveLeases);
    result.rememberedLeases = static_cast<double>(status.rememberedLeases);
    result.owedTerminals = static_cast<double>(status.owedTerminals);
    result.owedRenewals = static_cast<double>(status.owedRenewals);
    result.intakeBytes = static_cast<double>(service.ledger.intakeBytes());
    result.viewLagEntries = static_cast<double>(service.views.lag());
    for (const auto& [workspace, view] : service.views.troubled()) result.viewsTroubled += view.fault ? 1 : 0;
    result.openViews = static_cast<double>(service.readers.open());
    result.connections = static_cast<double>(listener->connections());
    result.forwards = forwarder ? static_cast<double>(forwarder->open()) : 0;
    result.streams = static_cast<double>(service.streams.waiting());
    result.writer = status.leading ? 1 : 0;
    if (options.moreGauges) options.moreGauges(result);
    return result;
  }

  asio::awaitable<void> everyMinute() {
    for (;;) {
      minute.expires_after(std::chrono::seconds(60));
      boost::system::error_code error;
      co_await minute.async_wait(asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
      service.access.flush();
      service.audit.flush(false);
    }
  }

  Service& service;
  const ServerOptions options;
  ConnectionContext context;
  ConnectionContext adminContext;
  EventLoops loops;
  std::unique_ptr<Forwarder> forwarder;
  Api api;
  Admin admin;
  asio::steady_timer minute;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Listener> adminListener;
  bool started = false;
};

Server::Server(Service& service, ServerOptions options) : state_(std::make_unique<State>(service, std::move(options))) {
  if (!state_->options.certificate.empty()) reloadCertificates();
}

Server::~Server() {
  stop();
}

void Server::start() {
  state_->started = true;
  state_->listener->start();
  if (state_->adminListener) state_->adminListener->start();
  const auto run = [](State* state) -> asio::awaitable<void> { co_await state->everyMinute(); };
  asio::co_spawn(state_->loops.first(), run(state_.get()), asio::detached);
}

void Server::reloadCertificates() {
  const ServerOptions& options = state_->options;
  if (state_->forwarder) state_->forwarder->reloadCertificates();
  if (options.certificate.empty()) return;
  const std::string nodes = options.role ? options.forward.authorities : std::string();
  state_->listener->setTls(makeTls(options.certificate, options.certificateKey, options.clientAuthorities, nodes));
}

void Server::stop() {
  if (!state_->started) return;
  state_->started = false;
  state_->context.stopping = true;
  state_->service.streams.stop();
  state_->listener->drain();
  state_->listener->waitUntilNone(std::chrono::seconds(state_->options.drainSeconds));
  state_->listener->abort();
  if (state_->forwarder) state_->forwarder->stop();
  // Health and metrics stay until the end: whoever watches sees the drain.
  state_->adminContext.stopping = true;
  if (state_->adminListener) state_->adminListener->abort();
  asio::post(state_->loops.first(), [state = state_.get()] { state->minute.cancel(); });
  state_->service.access.flush();
  state_->service.audit.flush(true);
  state_->loops.stop();
}

std::string Server::url() const {
  return schemeOf(state_->options) + state_->listener->address();
}

std::string Server::adminUrl() const {
  return state_->adminListener ? "http://" + state_->adminListener->address() : std::string();
}

}  // namespace counterfoil::server

#include "server/waiting_room.h"

#include <unistd.h>

#include <mutex>

#include "ledger/core/encoding.h"
#include "server/admin.h"
#include "server/http/listener.h"
#include "server/http/tls.h"
#include "server/problem.h"

namespace counterfoil::server {
namespace {

constexpr std::size_t kWaitingMax = 256;

}  // namespace

struct WaitingRoom::State {
  State(const ServerOptions& options, const Clock& ownClock, crypto::RandomSource& ownRandom, const Fault& why)
      : clock(ownClock), random(ownRandom), reason(why), loops(1), secure(!options.certificate.empty()) {
    const auto newRequestId = [this] { return toUuid(makeUuidV7(clock.wall(), random.bytes<10>())); };
    const auto refuse = [](const Fault& fault, const std::string& id) { return problem(fault, id); };
    for (ConnectionContext* each : {&context, &adminContext}) {
      each->limits = options.limits;
      each->newRequestId = newRequestId;
      each->refuse = refuse;
    }
    context.dispatch = [this](Exchange& exchange) { return answer(exchange); };
    adminContext.dispatch = [this](Exchange& exchange) { return answerAdmin(exchange); };
    if (options.listenDescriptor >= 0) {
      listener = std::make_unique<Listener>(loops, context, ::dup(options.listenDescriptor), kWaitingMax);
    } else {
      listener = std::make_unique<Listener>(loops, context, options.listen, kWaitingMax);
    }
    if (secure) listener->setTls(makeTls(options.certificate, options.certificateKey, options.clientAuthorities));
    if (!options.adminListen.empty()) adminListener = std::make_unique<Listener>(loops, adminContext, options.adminListen, kWaitingMax);
    listener->start();
    if (adminListener) adminListener->start();
  }

  ~State() {
    context.stopping = true;
    adminContext.stopping = true;
    listener->abort();
    if (adminListener) adminListener->abort();
    loops.stop();
  }

  Fault why() const {
    const std::scoped_lock lock(mutex);
    return reason;
  }

  asio::awaitable<Response> answer(Exchange& exchange) { co_return problem(why(), exchange.head().requestId); }

  asio::awaitable<Response> answerAdmin(Exchange& exchange) {
    const Fault fault = why();
    const auto& segments = exchange.head().segments;
    if (segments.size() == 1 && segments[0] == "healthz") co_return healthAnswer(200, "ok", nullptr);
    if (segments.size() == 1 && segments[0] == "readyz") co_return healthAnswer(503, "not ready", &fault);
    co_return problem(fault, exchange.head().requestId);
  }

  const Clock& clock;
  crypto::RandomSource& random;
  mutable std::mutex mutex;  // guards `reason`
  Fault reason;
  ConnectionContext context;
  ConnectionContext adminContext;
  EventLoops loops;
  const bool secure;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Listener> adminListener;
};

WaitingRoom::WaitingRoom(const ServerOptions& options, const Clock& clock, crypto::RandomSource& random, const Fault& why)
    : state_(std::make_unique<State>(options, clock, random, why)) {}

WaitingRoom::~WaitingRoom() = default;

void WaitingRoom::tell(const Fault& why) {
  const std::scoped_lock lock(state_->mutex);
  state_->reason = why;
}

std::string WaitingRoom::url() const {
  return (state_->secure ? "https://" : "http://") + state_->listener->address();
}

}  // namespace counterfoil::server

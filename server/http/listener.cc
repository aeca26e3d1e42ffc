#include "server/http/listener.h"

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <condition_variable>
#include <list>

#include "ledger/core/current_thread.h"

namespace counterfoil::server {

using asio::ip::tcp;
using boost::system::error_code;

// ---- EventLoops ----

EventLoops::EventLoops(std::size_t threads) {
  for (std::size_t index = 0; index < threads; ++index) {
    loops_.push_back(std::make_unique<Loop>());
    work_.push_back(asio::make_work_guard(loops_.back()->context));
  }
  for (auto& loop : loops_) {
    threads_.emplace_back([&loop] {
      nameCurrentThread("event-loop");
      loop->context.run();
    });
  }
}

EventLoops::~EventLoops() {
  stop();
}

EventLoops::Loop& EventLoops::next() {
  return *loops_[turn_.fetch_add(1) % loops_.size()];
}

void EventLoops::each(const std::function<void(asio::io_context&)>& what) {
  for (auto& loop : loops_) {
    asio::post(loop->context, [what, &context = loop->context] { what(context); });
  }
}

// Nothing is torn down under anybody's feet: the loops end when the last thing on them has.
void EventLoops::stop() {
  work_.clear();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

namespace {

std::uint16_t portOf(const std::string& address, std::string& host) {
  const std::size_t colon = address.rfind(':');
  const auto bad = [] { return Fault(ErrorCode::usage, "--listen takes ADDRESS:PORT", "such as 127.0.0.1:8780 or [::1]:8780"); };
  if (colon == std::string::npos) throw bad();
  host = address.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  std::uint16_t port = 0;
  const char* const end = address.data() + address.size();
  const auto [stop, error] = std::from_chars(address.data() + colon + 1, end, port);
  if (error != std::errc() || stop != end) throw bad();
  return port;
}

// Descriptors that connections leave to the ledger: its log, its keys, three for each open view. Without them a crowd that only connects
// would shut the views of everybody.
constexpr std::size_t kDescriptorsKept = 8'192;

// As many connections as asked for, or as the limit of descriptors leaves room for (at least half of it).
std::size_t boundedConnections(std::size_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return wanted;
  const auto all = static_cast<std::size_t>(limit.rlim_cur);
  return std::min(wanted, all - std::min(all / 2, kDescriptorsKept));
}

// A crowd at the door is told once a minute, not once a connection.
constexpr std::chrono::minutes kTellAgain{1};

}  // namespace

// ---- Listener ----

struct Listener::State : std::enable_shared_from_this<Listener::State> {
  State(EventLoops& allLoops, ConnectionContext& shared, std::size_t most)
      : loops(allLoops),
        context(shared),
        acceptor(allLoops.first()),
        resume(allLoops.first()),
        connectionsMax(boundedConnections(most)),
        connectionsWanted(most) {}

  struct Known {
    asio::io_context* loop;
    std::weak_ptr<ConnectionHandle> handle;
  };

  void bind(const std::string& address) {
    std::string host;
    const std::uint16_t port = portOf(address, host);
    error_code error;
    const auto ip = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
    if (error) throw Fault(ErrorCode::usage, "--listen takes the number of an address", "such as 127.0.0.1:8780 or [::1]:8780");
    const tcp::endpoint endpoint(ip, port);
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(4096, error);
    if (error) {
      throw Fault(error == asio::error::address_in_use ? ErrorCode::dataInUse : ErrorCode::usage,
                  "cannot listen on " + address + ": " + error.message(), "choose another address with --listen");
    }
  }

  asio::awaitable<void> accept() {
    while (acceptor.is_open()) {
      if (open >= connectionsMax) {
        full = true;
        // Only now: whoever ended before it read `full` as false, and wakes nobody.
        if (open < connectionsMax) {
          full = false;
          continue;
        }
        tell("connections_full: all " + std::to_string(connectionsMax) + " connections are in use, more wait until some end" +
             (connectionsMax < connectionsWanted ? "; fewer than connections_max, for the limit of descriptors (LimitNOFILE)" : ""));
        resume.expires_at(std::chrono::steady_clock::time_point::max());
        error_code ignored;
        co_await resume.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        full = false;
        continue;
      }
      EventLoops::Loop& loop = loops.next();
      tcp::socket socket(loop.context);
      error_code error;
      co_await acceptor.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
      if (error) {
        if (!acceptor.is_open()) co_return;
        // What waits in the backlog goes on waiting while others end.
        if (error == asio::error::no_descriptors || error == std::errc::too_many_files_open_in_system) {
          tell("descriptors_exhausted: no descriptor is left for another connection (LimitNOFILE)");
        }
        resume.expires_after(std::chrono::milliseconds(100));
        error_code ignored;
        co_await resume.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        continue;
      }
      spawn(std::move(socket), loop);
    }
  }

  void tell(const std::string& what) {
    const auto now = std::chrono::steady_clock::now();
    if (!context.warn || now < tellAgain) return;
    tellAgain = now + kTellAgain;
    context.warn(what);
  }

  void spawn(tcp::socket socket, EventLoops::Loop& loop) {
    ++open;
    std::shared_ptr<asio::ssl::context> tlsNow;
    std::list<Known>::iterator place;
    {
      const std::lock_guard lock(mutex);
      tlsNow = tls;
      place = known.insert(known.end(), {&loop.context, {}});
    }
    auto self = shared_from_this();
    const auto serve = [](std::shared_ptr<State> state, std::shared_ptr<Deadlines> deadlines, tcp::socket one,
                          std::shared_ptr<asio::ssl::context> secure, std::list<Known>::iterator at) -> asio::awaitable<void> {
      const std::function<void(std::weak_ptr<ConnectionHandle>)> started = [&](std::weak_ptr<ConnectionHandle> handle) {
        const std::lock_guard lock(state->mutex);
        at->handle = std::move(handle);
      };
      co_await serveConnection(std::move(one), std::move(secure), state->context, deadlines, started);
      {
        const std::lock_guard lock(state->mutex);
        state->known.erase(at);
      }
      {
        const std::lock_guard lock(state->mutex);
        --state->open;
      }
      state->ended.notify_all();
      if (state->full) asio::post(state->acceptor.get_executor(), [state] { state->resume.cancel(); });
    };
    asio::co_spawn(loop.context, serve(std::move(self), loop.deadlines, std::move(socket), std::move(tlsNow), place), asio::detached);
  }

  // No new connections, then `what` to each that is there, on its own loop. On the first loop, behind which nothing is accepted any more.
  void finish(void (ConnectionHandle::*what)()) {
    error_code ignored;
    acceptor.close(ignored);
    resume.cancel();
    loops.each([self = shared_from_this(), what](asio::io_context& loop) {
      std::vector<std::shared_ptr<ConnectionHandle>> here;
      {
        const std::lock_guard lock(self->mutex);
        for (const Known& one : self->known) {
          if (one.loop != &loop) continue;
          if (auto connection = one.handle.lock()) here.push_back(std::move(connection));
        }
      }
      for (const auto& connection : here) ((*connection).*what)();
    });
  }

  EventLoops& loops;
  ConnectionContext& context;
  tcp::acceptor acceptor;
  asio::steady_timer resume;
  const std::size_t connectionsMax;
  const std::size_t connectionsWanted;
  std::chrono::steady_clock::time_point tellAgain{};  // of accept()
  std::atomic<std::size_t> open{0};
  std::atomic<bool> full{false};
  mutable std::mutex mutex;  // of what follows
  std::condition_variable ended;
  std::shared_ptr<asio::ssl::context> tls;
  std::list<Known> known;
};

Listener::Listener(EventLoops& loops, ConnectionContext& context, const std::string& address, std::size_t connectionsMax)
    : state_(std::make_shared<State>(loops, context, connectionsMax)) {
  state_->bind(address);
}

Listener::Listener(EventLoops& loops, ConnectionContext& context, int descriptor, std::size_t connectionsMax)
    : state_(std::make_shared<State>(loops, context, connectionsMax)) {
  error_code error;
  sockaddr_storage name{};
  socklen_t size = sizeof(name);
  const bool six = ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&name), &size) == 0 && name.ss_family == AF_INET6;
  state_->acceptor.assign(six ? tcp::v6() : tcp::v4(), descriptor, error);
  if (error) throw Fault(ErrorCode::usage, "the socket that was passed does not listen", "see counterfoil.socket");
}

Listener::~Listener() {
  abort();
}

std::string Listener::address() const {
  error_code error;
  const tcp::endpoint endpoint = state_->acceptor.local_endpoint(error);
  if (error) return {};
  const std::string host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
}

void Listener::setTls(std::shared_ptr<asio::ssl::context> tls) {
  const std::lock_guard lock(state_->mutex);
  state_->tls = std::move(tls);
}

void Listener::start() {
  const auto run = [](std::shared_ptr<State> state) -> asio::awaitable<void> { co_await state->accept(); };
  asio::co_spawn(state_->loops.first(), run(state_), asio::detached);
}

void Listener::drain() {
  asio::post(state_->loops.first(), [state = state_] { state->finish(&ConnectionHandle::finish); });
}

void Listener::abort() {
  asio::post(state_->loops.first(), [state = state_] { state->finish(&ConnectionHandle::abort); });
}

bool Listener::waitUntilNone(std::chrono::milliseconds most) {
  std::unique_lock lock(state_->mutex);
  return state_->ended.wait_for(lock, most, [this] { return state_->open == 0; });
}

std::size_t Listener::connections() const {
  return state_->open;
}

}  // namespace counterfoil::server

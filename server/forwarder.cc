#include "server/forwarder.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/this_coro.hpp>
#include <charconv>
#include <mutex>
#include <unordered_set>

#include "ledger/core/outcome.h"
#include "server/forwarded.h"
#include "server/http/head.h"
#include "server/http/tls.h"
#include "server/metrics.h"

namespace counterfoil::server {
namespace {

constexpr std::size_t kBodyMax = 64 * 1024 * 1024;  // the widest route's; each has its own, at the node that writes
constexpr std::size_t kWholeMax = 64 * 1024;        // an answer up to this is sent when it is whole: cut, it is a 503 and not a broken one
constexpr std::int64_t kTellAgainNanoseconds = 60'000'000'000;

// What can stand in a header and in a log line without a second thought.
bool isName(std::string_view text) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
  return !text.empty() && text.size() <= 128 && text.find_first_not_of(kLetters) == std::string_view::npos;
}

Fault nobodyWrites() {
  return Fault(ErrorCode::notReady, "no node is known to write at the moment", "ask again");
}

Fault notReached() {
  return Fault(ErrorCode::notReady, "the node that writes is not reached", "ask again");
}

Fault notBelieved() {
  return Fault(ErrorCode::notReady, "the node that writes does not believe this node's certificate",
               "nothing was recorded; ask another node, and tell the operator: peer_cert here, peer_ca there");
}

Fault mayBeRecorded() {
  return Fault(ErrorCode::indeterminate, "the node that writes was sent the request and gave no answer: it may be recorded",
               "ask again with the same id");
}

Fault tooMany() {
  return Fault(ErrorCode::intakeFull, "too many requests are being passed on to the node that writes", "ask again");
}

void append(crypto::WipingVector& out, std::string_view text) {
  out.insert(out.end(), text.begin(), text.end());
}

void appendHeader(crypto::WipingVector& out, std::string_view name, std::string_view value) {
  append(out, name);
  append(out, ": ");
  append(out, value);
  append(out, "\r\n");
}

// Of this connection alone (RFC 9110 7.6.1), or made anew for the next one.
bool staysHere(std::string_view name, const RequestHead& head) {
  constexpr std::array<std::string_view, 11> kNames = {
      "connection", "keep-alive", "transfer-encoding", "content-length",     "trailer", "te", "upgrade",
      "expect",     "host",       "proxy-connection",  "proxy-authorization"};
  if (std::find(kNames.begin(), kNames.end(), name) != kNames.end()) return true;
  if (name == kForwardedBy || name == kForwardedCertificate || name == kRedirect) return true;
  for (const auto& [other, value] : head.headers) {
    if (other != "connection") continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      std::string_view named = rest.substr(0, comma);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
      while (!named.empty() && named.front() == ' ') named.remove_prefix(1);
      while (!named.empty() && named.back() == ' ') named.remove_suffix(1);
      if (lowerCase(named) == name) return true;
    }
  }
  return false;
}

// The connections of one loop to the node that writes. On the loop's own thread.
struct Pool {
  EventLoops::Loop* loop = nullptr;
  std::size_t idleMax = 0;
  std::string url;  // of those that rest
  std::vector<std::shared_ptr<PeerConnection>> resting;
  std::unordered_set<PeerConnection*> working;
  bool stopped = false;

  // One that rests, or null.
  std::shared_ptr<PeerConnection> take(const std::string& wanted) {
    if (url != wanted) {
      for (const auto& one : resting) one->close();
      resting.clear();
      url = wanted;
    }
    while (!resting.empty()) {
      const std::shared_ptr<PeerConnection> last = std::move(resting.back());
      resting.pop_back();
      if (last->resume()) return last;
    }
    return nullptr;
  }
  void giveBack(std::shared_ptr<PeerConnection> one, const std::string& from) {
    working.erase(one.get());
    std::erase_if(resting, [](const auto& other) { return other->failed(); });
    if (!stopped && from == url && resting.size() < idleMax && one->keep()) {
      resting.push_back(std::move(one));
    } else {
      one->close();
    }
  }
  void stop() {
    stopped = true;
    for (const auto& one : resting) one->close();
    resting.clear();
    for (PeerConnection* const one : working) one->close();
  }
};

}  // namespace

struct Forwarder::State {
  State(EventLoops& allLoops, RoleOf asked, ForwardOptions wanted, Metrics& counted, const Clock& time)
      : loops(allLoops), role(std::move(asked)), options(std::move(wanted)), metrics(counted), clock(time) {
    for (const auto& loop : loops.all()) {
      pools.push_back(std::make_unique<Pool>());
      pools.back()->loop = loop.get();
      pools.back()->idleMax = options.idleMax;
    }
  }

  Pool& poolOf(const asio::any_io_executor& executor) {
    const asio::execution_context* const context = &asio::query(executor, asio::execution::context);
    const auto found = std::find_if(pools.begin(), pools.end(), [&](const auto& pool) { return &pool->loop->context == context; });
    return **found;
  }
  std::shared_ptr<asio::ssl::context> tlsNow() {
    const std::lock_guard lock(mutex);
    return tls;
  }

  // Once a minute, not once a request.
  void tell(const char* why) {
    const std::int64_t now = clock.monotonicNanoseconds();
    std::int64_t next = tellAgain;
    if (now < next || !tellAgain.compare_exchange_strong(next, now + kTellAgainNanoseconds)) return;
    spdlog::warn("writer_unreached: the node that writes is not reached: {}", why);
  }

  EventLoops& loops;
  const RoleOf role;
  const ForwardOptions options;
  Metrics& metrics;
  const Clock& clock;
  std::vector<std::unique_ptr<Pool>> pools;
  std::atomic<std::size_t> requests{0};
  std::atomic<std::size_t> streams{0};
  std::atomic<std::int64_t> tellAgain{0};
  std::mutex mutex;
  std::shared_ptr<asio::ssl::context> tls;
};

namespace {

// One request on its way. Everything of the exchange is done by the one coroutine that runs this; the connection goes on beside it.
class Relay {
 public:
  Relay(Pool& pool, Exchange& exchange, NodeRole role, RoleOf roleOf, const ForwardOptions& options,
        std::shared_ptr<asio::ssl::context> tls, std::function<void(const char*)> tell, bool isStream)
      : pool_(pool),
        exchange_(exchange),
        role_(std::move(role)),
        roleOf_(std::move(roleOf)),
        options_(options),
        tls_(std::move(tls)),
        tell_(std::move(tell)),
        isStream_(isStream),
        isHead_(exchange.head().method == "HEAD"),
        isRead_(isHead_ || exchange.head().method == "GET"),
        isMany_(exchange.mediaType() == "application/x-ndjson") {}
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay() { letGo(); }

  asio::awaitable<Response> run() {
    co_await readFirst();
    co_await deliver();
    for (;;) {
      if (connection_->headArrived() && !isWhole_ && !begun_) co_await beginAnswer();
      if (begun_ && connection_->available() > 0) {
        co_await passBack();
        continue;
      }
      if (connection_->answerDone()) break;
      if (connection_->failed()) throw broken();
      if (takesMore()) {
        co_await passOn();
        continue;
      }
      co_await connection_->change(options_.look);
      if (isStream_ && begun_ && isOver()) co_return Response{};
    }
    if (!isWhole_) co_return Response{};
    Response answer = connection_->head();
    const crypto::WipingVector body = connection_->take();
    answer.body.assign(body.begin(), body.end());
    co_return answer;
  }

 private:
  // The first piece goes out with the head: a small request is one write, and can be sent once more if nothing of it arrived.
  asio::awaitable<void> readFirst() {
    const RequestHead& head = exchange_.head();
    isChunked_ = !head.header("transfer-encoding").empty();
    const std::string_view length = head.header("content-length");
    std::from_chars(length.data(), length.data() + length.size(), bodyLeft_);
    hasLength_ = !length.empty();
    bodyEnded_ = !isChunked_ && bodyLeft_ == 0;
    if (!bodyEnded_) co_await readPiece();
  }

  // The next piece, as it goes on, into piece_.
  asio::awaitable<void> readPiece() {
    const std::string_view piece = co_await exchange_.piece(kBodyMax);
    piece_.clear();
    piece_.reserve(piece.size() + 32);
    if (!isChunked_) {
      append(piece_, piece);
      bodyLeft_ -= std::min<std::uint64_t>(bodyLeft_, piece.size());
      bodyEnded_ = bodyLeft_ == 0;
      co_return;
    }
    std::array<char, 16> size;
    const auto [end, ignored] = std::to_chars(size.data(), size.data() + size.size(), piece.size(), 16);
    append(piece_, {size.data(), static_cast<std::size_t>(end - size.data())});
    append(piece_, "\r\n");
    append(piece_, piece);
    append(piece_, "\r\n");
    bodyEnded_ = piece.empty();
  }

  crypto::WipingVector requestHead(const PeerAddress& address) const {
    const RequestHead& head = exchange_.head();
    crypto::WipingVector out;
    out.reserve(head.target.size() + exchange_.bearerToken().size() + piece_.size() + 4096);
    append(out, head.method);
    append(out, " ");
    append(out, head.target);
    append(out, " HTTP/1.1\r\n");
    appendHeader(out, "Host", address.authority);
    if (!exchange_.bearerToken().empty()) {
      append(out, "Authorization: Bearer ");
      append(out, exchange_.bearerToken());
      append(out, "\r\n");
    }
    for (const auto& [name, value] : head.headers) {
      if (!staysHere(name, head)) appendHeader(out, name, value);
    }
    appendHeader(out, kForwardedBy, options_.nodeName);
    // Over mTLS only: there alone the other node can believe it.
    if (address.tls && !head.peerCertificate.empty()) appendHeader(out, kForwardedCertificate, head.peerCertificate);
    if (isChunked_) appendHeader(out, "Transfer-Encoding", "chunked");
    if (hasLength_) appendHeader(out, "Content-Length", head.header("content-length"));
    append(out, "\r\n");
    return out;
  }

  // Until the head and the first piece are on their way. Sent once more, over another connection, only if the first one failed before all
  // of it was taken, so that the other side cannot have had a whole request; of many facts, whose lines count one by one, only if nothing
  // was.
  asio::awaitable<void> deliver() {
    for (bool again = false;; again = true) {
      const auto address = peerAddressOf(role_.ownerUrl);
      if (!address) throw unreached("its URL is none, or is plain HTTP to another machine");
      if (address->tls && !tls_) throw unreached("this node has no certificate to show (peer_cert, peer_key, peer_ca)");
      connection_ = again ? nullptr : pool_.take(role_.ownerUrl);
      const bool isFresh = connection_ == nullptr;
      if (isFresh) {
        connection_ =
            PeerConnection::make(pool_.loop->context, pool_.loop->deadlines, address->tls ? tls_ : nullptr, *address, options_.limits);
        connection_->open();
      }
      if (pool_.stopped) throw notReached();
      pool_.working.insert(connection_.get());
      while (isFresh && !connection_->opened() && !connection_->failed()) co_await connection_->change(options_.look);
      if (connection_->failed()) {
        if (connection_->refusedCertificate()) throw broken();
        if (again || !ownerChanged()) throw unreached("no connection: refused, too slow, or its certificate is not believed");
        letGo();
        role_ = roleOf_(role_.partition);
        continue;
      }
      crypto::WipingVector bytes = requestHead(*address);
      bytes.insert(bytes.end(), piece_.begin(), piece_.end());
      connection_->begin(std::move(bytes), bodyEnded_, isHead_);
      while (connection_->sending()) co_await connection_->change(options_.look);
      while (connection_->refusesMore() && !connection_->headArrived() && !connection_->failed())
        co_await connection_->change(options_.look);
      if (!connection_->failed() || connection_->headArrived()) break;
      const bool cannotBeRecorded = !connection_->sentAll() && (!isMany_ || connection_->sentBytes() == 0);
      if (again || isFresh || !cannotBeRecorded) throw broken();
      letGo();
    }
    crypto::WipingVector().swap(piece_);
  }

  bool isRefused() const { return connection_->headArrived() && connection_->head().status >= 400; }
  bool takesMore() const { return !bodyEnded_ && !isRefused() && !connection_->sending() && !connection_->refusesMore(); }

  asio::awaitable<void> passOn() {
    try {
      co_await readPiece();
    } catch (const Fault&) {
      // Whoever was refused meanwhile is told that, not that more of the body should have come.
      if (!isRefused()) throw;
      co_return;
    }
    if (connection_->failed() || connection_->refusesMore()) {
      bodyEnded_ = false;
      co_return;
    }
    connection_->send(std::move(piece_), bodyEnded_);
    piece_ = crypto::WipingVector();
  }

  asio::awaitable<void> beginAnswer() {
    const auto length = connection_->contentLength();
    isWhole_ = !isHead_ && (length ? *length <= kWholeMax : connection_->answerDone());
    if (isWhole_) co_return;
    begun_ = true;
    Response head = connection_->head();
    co_await exchange_.beginStream(std::move(head));
  }

  asio::awaitable<void> passBack() {
    const crypto::WipingVector bytes = connection_->take();
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::chrono::milliseconds limit = isStream_ ? options_.sendToListener : options_.send;
    co_await exchange_.send(text, limit.count());
  }

  bool ownerChanged() const {
    const NodeRole now = roleOf_(role_.partition);
    return !now.owner && !now.ownerUrl.empty() && now.ownerUrl != role_.ownerUrl;
  }
  // Whoever listens comes back with the last id it saw, to the node that writes then.
  bool isOver() const {
    const NodeRole now = roleOf_(role_.partition);
    return exchange_.ending() || now.owner || now.ownerUrl != role_.ownerUrl;
  }

  // For the operator, whose settings it may be.
  Fault unreached(const char* why) const {
    tell_(why);
    return notReached();
  }

  // No answer, or not the whole of it.
  Fault broken() const {
    if (connection_->refusedCertificate()) {
      tell_("it does not believe this node's certificate (peer_cert here, peer_ca there)");
      return notBelieved();
    }
    const bool wholeSent = connection_->sentAll();
    const bool mayHaveLines = isMany_ && connection_->sentBytes() > 0;
    return !isRead_ && (wholeSent || mayHaveLines) ? mayBeRecorded() : notReached();
  }

  void letGo() {
    if (connection_) pool_.giveBack(std::move(connection_), role_.ownerUrl);
    connection_.reset();
  }

  Pool& pool_;
  Exchange& exchange_;
  NodeRole role_;
  const RoleOf roleOf_;
  const ForwardOptions& options_;
  const std::shared_ptr<asio::ssl::context> tls_;
  const std::function<void(const char*)> tell_;
  std::shared_ptr<PeerConnection> connection_;
  crypto::WipingVector piece_;
  std::uint64_t bodyLeft_ = 0;  // with a length
  const bool isStream_;
  const bool isHead_;
  const bool isRead_;  // nothing is recorded but the reading itself
  const bool isMany_;
  bool isChunked_ = false;
  bool hasLength_ = false;
  bool bodyEnded_ = false;  // read to its end
  bool isWhole_ = false;    // the answer is sent at once
  bool begun_ = false;      // the answer is being sent
};

// One of those under way at once.
class Turn {
 public:
  Turn(std::atomic<std::size_t>& count, std::size_t most) : count_(count) { taken_ = count_.fetch_add(1) < most; }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { --count_; }
  bool taken() const { return taken_; }

 private:
  std::atomic<std::size_t>& count_;
  bool taken_ = false;
};

Response redirection(const RequestHead& head, const NodeRole& role) {
  Response response;
  response.status = 307;
  response.contentType.clear();
  std::string_view url = role.ownerUrl;
  if (url.ends_with('/')) url.remove_suffix(1);
  response.headers.emplace_back("Location", std::string(url) + head.target);
  return response;
}

}  // namespace

Forwarder::Forwarder(EventLoops& loops, RoleOf role, ForwardOptions options, Metrics& metrics, const Clock& clock)
    : state_(std::make_unique<State>(loops, std::move(role), std::move(options), metrics, clock)) {
  const ForwardOptions& given = state_->options;
  if (!isName(given.nodeName)) {
    throw Fault(ErrorCode::usage, "the name of this node is none", "set node_name: letters, digits, dots, - and _, at most 128");
  }
  const bool some = !given.certificate.empty() || !given.certificateKey.empty() || !given.authorities.empty();
  const bool all = !given.certificate.empty() && !given.certificateKey.empty() && !given.authorities.empty();
  if (some && !all) {
    throw Fault(ErrorCode::usage, "a node needs a certificate, its key and the authorities of nodes, or none of them",
                "set peer_cert, peer_key and peer_ca");
  }
  reloadCertificates();
}

Forwarder::~Forwarder() = default;

std::optional<NodeRole> Forwarder::elsewhere(PartitionId partition) const {
  NodeRole role = state_->role(partition);
  if (role.owner) return std::nullopt;
  return role;
}

asio::awaitable<Response> Forwarder::forward(Exchange& exchange, NodeRole role, bool isStream) {
  State& state = *state_;
  const std::int64_t started = state.clock.monotonicNanoseconds();
  const auto count = [&](std::string_view outcome) {
    state.metrics.forwarded(outcome, isStream ? -1 : static_cast<double>(state.clock.monotonicNanoseconds() - started) * 1e-9);
  };
  if (role.ownerUrl.empty()) {
    count("no_owner");
    throw nobodyWrites();
  }
  if (lowerCase(exchange.head().header(kRedirect)) == "yes") {
    count("redirected");
    co_return redirection(exchange.head(), role);
  }
  const Turn turn(isStream ? state.streams : state.requests, isStream ? state.options.streamsMax : state.options.requestsMax);
  if (!turn.taken()) {
    count("full");
    throw tooMany();
  }
  const auto executor = co_await asio::this_coro::executor;
  const auto tell = [&state](const char* why) { state.tell(why); };
  Relay relay(state.poolOf(executor), exchange, std::move(role), state.role, state.options, state.tlsNow(), tell, isStream);
  try {
    Response answer = co_await relay.run();
    count("answered");
    co_return answer;
  } catch (const Fault& fault) {
    const bool evicted = isStream && fault.code() == ErrorCode::tooSlow;
    if (evicted) state.metrics.streamEvicted();
    count(factsOf(fault.code()).text);
    throw;
  } catch (const boost::system::system_error&) {
    count("caller_gone");
    throw;
  }
}

void Forwarder::reloadCertificates() {
  const ForwardOptions& options = state_->options;
  if (options.certificate.empty()) return;
  auto fresh = makePeerTls(options.certificate, options.certificateKey, options.authorities);
  const std::lock_guard lock(state_->mutex);
  state_->tls = std::move(fresh);
}

std::size_t Forwarder::open() const {
  return state_->requests + state_->streams;
}

void Forwarder::stop() {
  for (const auto& pool : state_->pools) {
    asio::post(pool->loop->context, [one = pool.get()] { one->stop(); });
  }
}

}  // namespace counterfoil::server

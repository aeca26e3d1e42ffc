#include "server/http/connection.h"

#include <algorithm>
#include <bitset>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <charconv>
#include <optional>

#include "ledger/core/encoding.h"
#include "server/http/connection_streams.h"
#include "server/http/head.h"
#include "server/http/reason.h"

namespace counterfoil::server {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Buffer = beast::basic_flat_buffer<crypto::WipingAllocator<char>>;
using Parser = http::request_parser<http::buffer_body, crypto::WipingAllocator<char>>;

constexpr std::size_t kReadAhead = 64 * 1024;  // unread input held at most
constexpr std::size_t kBodyPiece = 16 * 1024;
constexpr std::size_t kRateUnit = 4 * 1024;
constexpr std::size_t kFarewellMax = 4 * 1024 * 1024;  // of what the peer still sends when it has its last answer
constexpr std::size_t kDrainMax = 256 * 1024;  // of a body nobody wanted, before the connection is closed instead
constexpr std::chrono::seconds kRestAfter{1};  // without a read or write begun

template <class Stream>
class Connection final : public Exchange, public ConnectionHandle, private Deadlines::Entry {
 public:
  template <class... Arguments>
  Connection(ConnectionContext& context, std::shared_ptr<Deadlines> deadlines, std::shared_ptr<asio::ssl::context> tls,
             Arguments&&... arguments)
      : context_(context),
        deadlines_(std::move(deadlines)),
        tls_(std::move(tls)),
        stream_(std::forward<Arguments>(arguments)...),
        buffer_(kReadAhead) {
    deadlines_->add(*this);
    error_code ignored;
    socket().set_option(asio::ip::tcp::no_delay(true), ignored);
    const auto remote = socket().remote_endpoint(ignored);
    remoteAddress_ = ignored ? std::string() : remote.address().to_string();
  }

  ~Connection() override { deadlines_->remove(*this); }

  asio::awaitable<void> serve() {
    within(context_.limits.handshake);
    waiting_ = true;  // whoever stops half-way in its handshake does not hold up the server's end
    co_await greet(stream_, peerCertificate_, nodeSubject_);
    waiting_ = false;
    done();
    for (;;) {
      const bool more = co_await serveOne();
      if (!more || context_.stopping) break;
    }
    co_await close();
  }

  // ---- ConnectionHandle ----
  void finish() override {
    finishing_ = last_ = true;
    if (waiting_) abort();
  }
  void abort() override {
    error_code ignored;
    // Without chunks an orderly end is how a whole answer ends; only a reset tells that this one is cut.
    if (streaming_ && !chunked_) socket().set_option(asio::socket_base::linger(true, 0), ignored);
    socket().close(ignored);
  }

  // ---- Exchange ----
  const RequestHead& head() const override { return head_; }
  std::string_view bearerToken() const override { return {token_.data(), token_.size()}; }
  std::string_view mediaType() const override { return mediaType_; }
  bool ending() const override { return context_.stopping || finishing_; }

  asio::awaitable<std::string_view> body(std::size_t bytesMax) override {
    co_await welcomeBody(bytesMax);
    body_.clear();
    for (;;) {
      const bool more = co_await readPiece();
      if (!more) break;
      if (body_.size() + piece_.size() > bytesMax) throw tooLarge(bytesMax);
      body_.insert(body_.end(), piece_.begin(), piece_.end());
    }
    co_return std::string_view(reinterpret_cast<const char*>(body_.data()), body_.size());
  }

  asio::awaitable<std::optional<Line>> line(std::size_t lineMax, std::size_t bytesMax) override {
    if (!lining_) {
      lining_ = true;
      co_await welcomeBody(bytesMax);
    }
    dropLastLine();
    bool skipping = false;
    std::size_t searched = 0;
    for (;;) {
      const auto from = body_.begin() + static_cast<std::ptrdiff_t>(searched);
      const auto found = std::find(from, body_.end(), static_cast<std::uint8_t>('\n'));
      if (found != body_.end()) {
        const auto length = static_cast<std::size_t>(found - body_.begin());
        lineEnd_ = length + 1;
        co_return lineOf(length, skipping || length > lineMax);
      }
      searched = body_.size();
      if (searched > lineMax) {
        skipping = true;
        crypto::wipe(body_.data(), body_.size());
        body_.clear();
        searched = 0;
      }
      const bool more = co_await readPiece();
      if (!more) {
        if (body_.empty() && !skipping) co_return std::nullopt;
        lineEnd_ = body_.size();
        co_return lineOf(lineEnd_, skipping || lineEnd_ > lineMax);
      }
      if (bodyBytes_ > bytesMax) throw tooLarge(bytesMax);
      body_.insert(body_.end(), piece_.begin(), piece_.end());
    }
  }

  asio::awaitable<std::string_view> piece(std::size_t bytesMax) override {
    lining_ = true;
    co_await welcomeBody(bytesMax);
    const bool more = co_await readPiece();
    if (!more) co_return std::string_view();
    if (bodyBytes_ > bytesMax) throw tooLarge(bytesMax);
    co_return std::string_view(reinterpret_cast<const char*>(piece_.data()), piece_.size());
  }

  asio::awaitable<void> beginStream(Response response) override {
    streaming_ = true;
    chunked_ = parser_->get().version() == 11;  // what was there before does not know the coding: the end of the connection is the end
    // Only a handler that reads lines reads on behind this; what nobody reads would pass for the next request.
    if (!chunked_ || (!parser_->is_done() && !lining_)) last_ = true;
    std::string text = headText(response, true);
    if (!response.body.empty() && method() != http::verb::head) appendPiece(response.body, text);
    co_await write(text, context_.limits.write);
  }

  asio::awaitable<void> send(std::string_view chunk, std::int64_t milliseconds) override {
    if (chunk.empty() || method() == http::verb::head) co_return;
    std::string text;
    text.reserve(chunk.size() + 16);
    appendPiece(chunk, text);
    co_await write(text, std::chrono::milliseconds(milliseconds));
  }

 private:
  asio::ip::tcp::socket& socket() { return lowestLayer(stream_); }
  // ---- Deadlines::Entry ----
  // Again until done(): what was finished when the time was up and had not gone on yet is not cancelled, and what follows it would have no
  // limit (the next piece of a long answer, the look after a TLS farewell).
  void expire() override {
    timedOut_ = true;
    at = std::chrono::steady_clock::now();
    error_code ignored;
    socket().cancel(ignored);
  }
  void rest() override { server::rest(stream_); }
  // Until done(): what is read or written now must be over by then.
  void within(std::chrono::milliseconds limit) {
    const auto now = std::chrono::steady_clock::now();
    restAt = now + kRestAfter;
    within(now + limit);
  }
  void within(Deadlines::Time time) {
    timedOut_ = false;
    at = time;
  }
  // True if the time was up first.
  bool done() {
    at = Deadlines::kNever;
    return timedOut_;
  }
  http::verb method() const { return parser_->get().method(); }

  static Fault headerTooLarge() {
    return Fault(ErrorCode::headerTooLarge, "the request's head is over the limit of 16 KiB", "send fewer or shorter headers");
  }
  static Fault tooLarge(std::size_t bytesMax) {
    return Fault(ErrorCode::tooLarge, "the body is over the limit of " + std::to_string(bytesMax) + " bytes", "send less at once");
  }

  std::optional<Line> lineOf(std::size_t length, bool tooLong) {
    Line result;
    result.tooLong = tooLong;
    std::string_view text(reinterpret_cast<const char*>(body_.data()), length);
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
    if (!tooLong) result.text = text;
    return result;
  }

  // One request and its answer. False: the connection is at its end.
  asio::awaitable<bool> serveOne() {
    reset();
    const bool arrived = co_await waitForRequest();
    if (!arrived) co_return false;
    std::optional<Fault> fault;
    bool over = false;
    try {
      const bool whole = co_await readHead();
      over = !whole;
    } catch (const Fault& refused) {
      fault = refused;
    }
    if (over) co_return false;
    if (fault) {
      last_ = true;
      Response response = context_.refuse(*fault, head_.requestId);
      co_await answer(response);
      co_return false;
    }
    Response response = co_await context_.dispatch(*this);
    if (streaming_) {
      co_await endStream(response.status < 400);
    } else {
      if (!parser_->is_done()) co_await drain();
      co_await answer(response);
    }
    co_return !last_;
  }

  asio::awaitable<void> endStream(bool whole) {
    if (!whole || !parser_->is_done()) last_ = true;
    // Cut, it has no last chunk: its reader sees that something is missing, and has what was sent before.
    if (!whole && !chunked_) abort();
    if (!whole) co_return;
    if (chunked_ && method() != http::verb::head) co_await write("0\r\n\r\n", context_.limits.write);
    streaming_ = false;
  }

  // What line() gave last goes. Behind the end of body_ nothing is left of it: reset() wipes no further than that.
  void dropLastLine() {
    const std::size_t left = body_.size() - lineEnd_;
    std::copy(body_.begin() + static_cast<std::ptrdiff_t>(lineEnd_), body_.end(), body_.begin());
    crypto::wipe(body_.data() + left, lineEnd_);
    body_.resize(left);
    lineEnd_ = 0;
  }

  void reset() {
    if (buffer_.size() == 0) {
      // What passed through here may have held a secret. (Pipelined bytes are wiped with their own request.)
      if (const std::size_t capacity = buffer_.capacity(); capacity > 0) {
        crypto::wipe(buffer_.prepare(capacity).data(), std::min(touched_, capacity));
        buffer_.clear();
        touched_ = 0;
      }
    } else {
      Buffer fresh(kReadAhead);
      asio::buffer_copy(fresh.prepare(buffer_.size()), buffer_.data());
      fresh.commit(buffer_.size());
      buffer_ = std::move(fresh);
      touched_ = kAll;
    }
    parser_.reset();
    head_ = RequestHead();
    head_.requestId = context_.newRequestId();
    head_.remoteAddress = remoteAddress_;
    head_.peerCertificate = peerCertificate_;
    head_.nodeSubject = nodeSubject_;
    crypto::wipe(token_.data(), token_.size());
    token_.clear();
    mediaType_.clear();
    crypto::wipe(body_.data(), body_.size());
    body_.clear();
    if (body_.capacity() > 4 * kBodyPiece) body_.shrink_to_fit();
    crypto::wipe(chunk_.data(), chunkUsed_);
    chunkUsed_ = 0;
    lineEnd_ = 0;
    bodyBytes_ = 0;
    rateUnits_ = 0;
    streaming_ = chunked_ = lining_ = welcomed_ = false;
  }

  asio::awaitable<bool> waitForRequest() {
    if (buffer_.size() > 0) co_return true;
    if (last_ || context_.stopping) co_return false;
    within(context_.limits.idle);
    waiting_ = true;
    error_code error;
    const std::size_t got = co_await stream_.async_read_some(buffer_.prepare(kFirstRead), asio::redirect_error(asio::use_awaitable, error));
    waiting_ = false;
    done();
    if (error) co_return false;  // closed, idle for too long, or stopping: nobody waits for an answer
    buffer_.commit(got);
    touched_ = std::max(touched_, got);
    co_return true;
  }

  // Parses what has arrived already, which is mostly the whole request: Beast's operations take another turn through the loop even if there
  // is nothing to read. False if more must be read first.
  bool parseBuffered(error_code& error) {
    if (buffer_.size() == 0) {
      touched_ = kAll;
      return false;
    }
    parser_->eager(false);  // head and body one after the other, as Beast's operations do
    buffer_.consume(parser_->put(buffer_.data(), error));
    if (error != http::error::need_more) return true;
    error = {};
    touched_ = kAll;
    return false;
  }

  // False: the peer left in the middle. Throws Fault for what is no request that can be served.
  asio::awaitable<bool> readHead() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(context_.limits.headerBytesMax));
    parser_->body_limit(boost::none);
    within(context_.limits.header);
    error_code error;
    const bool parsed = parseBuffered(error);
    if (!parsed) co_await http::async_read_header(stream_, buffer_, *parser_, asio::redirect_error(asio::use_awaitable, error));
    if (done()) throw Fault(ErrorCode::tooSlow, "the request's head did not arrive in time", "send it at once");
    if (error == http::error::header_limit || error == http::error::buffer_overflow) throw headerTooLarge();
    if (error && error.category() == http::make_error_code(http::error::bad_method).category() && error != http::error::end_of_stream &&
        error != http::error::partial_message) {
      throw Fault(ErrorCode::invalidValue, "this is not a valid HTTP/1.1 request", "see RFC 9112");
    }
    if (error) co_return false;
    checkHead();
    co_return true;
  }

  void checkHead() {
    const auto& message = parser_->get();
    if (!message.keep_alive()) last_ = true;
    const auto invalid = [](const char* what, const char* hint) { return Fault(ErrorCode::invalidValue, what, hint); };
    if (message.target().size() > context_.limits.targetBytesMax) {
      throw Fault(ErrorCode::headerTooLarge, "the URL is over the limit of 8 KiB", "send what is long in a body");
    }
    std::size_t headerBytes = 0;
    bool host = false;
    bool length = false;
    std::bitset<kOnceHeaders.size()> seen;
    std::string_view coding;
    head_.headers.reserve(kHeadersUsual);
    for (const auto& field : message) {
      std::string name = lowerCase({field.name_string().data(), field.name_string().size()});
      const std::string_view value(field.value().data(), field.value().size());
      headerBytes += name.size() + value.size() + 4;
      // Beast bounds what it has to look through for an end, not what it kept.
      if (headerBytes > context_.limits.headerBytesMax) throw headerTooLarge();
      if (const auto once = std::find(kOnceHeaders.begin(), kOnceHeaders.end(), name); once != kOnceHeaders.end()) {
        const auto place = static_cast<std::size_t>(once - kOnceHeaders.begin());
        if (seen[place]) throw invalid("a header came twice that may come once", "send Host, Content-Length and the like once");
        seen.set(place);
      }
      if (name == "authorization") {
        const std::string_view token = bearerOf(value);
        token_.assign(token.begin(), token.end());
        continue;
      }
      if (!isUtf8(value)) throw Fault(ErrorCode::invalidUtf8, "a header is not valid UTF-8", "send UTF-8");
      host = host || name == "host";
      if (name == "content-length") {
        length = true;
        if (value.find_first_not_of("0123456789") != std::string_view::npos)
          throw invalid("the Content-Length is no number", "send digits");
      }
      if (name == "transfer-encoding") coding = value;
      if (name == "content-type") mediaType_ = mediaTypeOf(value);
      if (name == "traceparent") head_.traceparent = traceparentOf(value);
      head_.headers.emplace_back(std::move(name), std::string(value));
    }
    if (message.version() != 11 && message.version() != 10) throw invalid("the HTTP version is not 1.1", "speak HTTP/1.1");
    if (message.version() == 11 && !host) throw invalid("the Host header is missing", "send it, as RFC 9112 3.2 asks");
    if (length && !coding.empty()) throw invalid("both Content-Length and Transfer-Encoding were sent", "send one of them");
    if (!coding.empty() && lowerCase(coding) != "chunked")
      throw invalid("the Transfer-Encoding is not chunked", "send chunked, or a length");
    if (!coding.empty() && message.version() == 10) throw invalid("HTTP/1.0 has no Transfer-Encoding", "send Content-Length");
    head_.method = std::string(message.method_string());
    head_.target = {message.target().data(), message.target().size()};
    if (!readTarget(head_.target, head_)) {
      throw invalid("the URL cannot be read", "percent-encode UTF-8, without control characters");
    }
  }

  // Before the first byte of a body is read: its announced size, and `Expect: 100-continue`.
  asio::awaitable<void> welcomeBody(std::size_t bytesMax) {
    if (welcomed_) co_return;
    welcomed_ = true;
    if (const auto length = parser_->content_length(); length && *length > bytesMax) throw tooLarge(bytesMax);
    if (lowerCase(head_.header("expect")) == "100-continue" && !parser_->is_done()) {
      co_await write("HTTP/1.1 100 Continue\r\n\r\n", context_.limits.write);
    }
    bodyDeadline_ = std::chrono::steady_clock::now() + context_.limits.bodyPiece;
  }

  // Reads some of the body into piece_. False at its end.
  asio::awaitable<bool> readPiece() {
    if (chunk_.empty()) chunk_.resize(kBodyPiece);
    while (!parser_->is_done()) {
      auto& body = parser_->get().body();
      body.data = chunk_.data();
      body.size = chunk_.size();
      const auto now = std::chrono::steady_clock::now();
      within(std::min(bodyDeadline_, now + context_.limits.bodyPiece));
      error_code error;
      const bool parsed = parseBuffered(error);
      if (!parsed) co_await http::async_read_some(stream_, buffer_, *parser_, asio::redirect_error(asio::use_awaitable, error));
      const bool late = done();
      const std::size_t got = chunk_.size() - body.size;
      chunkUsed_ = std::max(chunkUsed_, got);  // also of a piece that ends in an error
      if (error == http::error::need_buffer) error = {};
      if (error && late) {
        last_ = true;
        throw Fault(ErrorCode::tooSlow, "the body did not arrive in time", "send it at once, or in smaller requests");
      }
      if (error == http::error::end_of_stream || error == http::error::partial_message) gone(error);
      if (error && error.category() == http::make_error_code(http::error::bad_chunk).category()) {
        last_ = true;
        throw Fault(ErrorCode::invalidValue, "the body is not valid chunked coding", "see RFC 9112 7.1");
      }
      if (error) gone(error);
      bodyBytes_ += got;
      if (got == 0) continue;
      // By what arrived in all: a byte now and then buys no time.
      if (bodyBytes_ / kRateUnit > rateUnits_) {
        bodyDeadline_ += context_.limits.bodyRate * static_cast<std::int64_t>(bodyBytes_ / kRateUnit - rateUnits_);
        rateUnits_ = bodyBytes_ / kRateUnit;
      }
      piece_ = {chunk_.data(), got};
      co_return true;
    }
    co_return false;
  }

  // Reads over what is left of a body nobody wanted, if it is little; otherwise the connection ends after the answer.
  asio::awaitable<void> drain() {
    const auto left = parser_->content_length_remaining();
    const bool promised = !welcomed_ && !head_.header("expect").empty();  // the peer waits for a word that does not come
    if (last_ || promised || !left || *left > kDrainMax) {
      last_ = true;
      co_return;
    }
    bodyDeadline_ = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    try {
      for (;;) {
        const bool more = co_await readPiece();
        if (!more) co_return;
      }
    } catch (const Fault&) {
      // Too slow or broken: the answer goes out all the same.
    }
    last_ = true;
  }

  std::string headText(const Response& response, bool stream) {
    std::string text;
    text.reserve(kHeadUsual + (stream ? 0 : response.body.size()));
    text.append("HTTP/1.1 ").append(std::to_string(response.status)).append(1, ' ').append(reasonPhrase(response.status)).append("\r\n");
    const auto add = [&](std::string_view name, std::string_view value) { text.append(name).append(": ").append(value).append("\r\n"); };
    if (response.status != 204) {
      if (!response.contentType.empty()) add("Content-Type", response.contentType);
      if (!stream) add("Content-Length", std::to_string(response.body.size()));
      if (stream && chunked_) add("Transfer-Encoding", "chunked");
    }
    if (!response.relayed) {
      add("X-Request-Id", head_.requestId);
      add("Cache-Control", "no-store");
      add("X-Content-Type-Options", "nosniff");
      for (const auto& [name, value] : context_.headers) add(name, value);
    }
    for (const auto& [name, value] : response.headers) add(name, value);
    if (last_ || context_.stopping) add("Connection", "close");
    text += "\r\n";
    return text;
  }

  asio::awaitable<void> answer(Response& response) {
    if (context_.stopping) last_ = true;
    std::string text = headText(response, false);
    if (!parser_ || !parser_->is_header_done() || method() != http::verb::head) text += response.body;
    crypto::wipe(response.body.data(), response.body.size());
    co_await write(text, context_.limits.write);
    crypto::wipe(text.data(), text.size());
  }

  // Of a stream: as a chunk, or as it is.
  void appendPiece(std::string_view piece, std::string& text) const {
    if (!chunked_) {
      text.append(piece);
      return;
    }
    std::array<char, 16> size;
    const auto [end, ignored] = std::to_chars(size.data(), size.data() + size.size(), piece.size(), 16);
    text.append(size.data(), end).append("\r\n").append(piece).append("\r\n");
  }

  asio::awaitable<void> write(std::string_view text, std::chrono::milliseconds limit) {
    within(limit);
    error_code error;
    co_await asio::async_write(stream_, asio::buffer(text), asio::redirect_error(asio::use_awaitable, error));
    const bool late = done();
    if (!error) co_return;
    last_ = true;
    if (late) throw Fault(ErrorCode::tooSlow, "the peer does not take the answer", "read faster");
    gone(error);
  }

  // A close while unread input lies in the kernel would take the answer back from the peer (RST): first an end, then a short look.
  asio::awaitable<void> close() {
    error_code ignored;
    within(std::chrono::seconds(1));
    co_await farewell(stream_);
    socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    if (chunk_.empty()) chunk_.resize(kBodyPiece);
    for (std::size_t read = 0; read < kFarewellMax;) {
      error_code error;
      const std::size_t got =
          co_await socket().async_read_some(asio::buffer(chunk_.data(), chunk_.size()), asio::redirect_error(asio::use_awaitable, error));
      if (error) break;
      read += got;
    }
    done();
    socket().close(ignored);
  }

  static constexpr std::size_t kFirstRead = 4096;
  static constexpr std::size_t kAll = ~std::size_t{0};  // Beast reads where it likes
  static constexpr std::size_t kHeadersUsual = 12;
  static constexpr std::size_t kHeadUsual = 512;  // bytes of an answer's head

  ConnectionContext& context_;
  std::shared_ptr<Deadlines> deadlines_;
  std::shared_ptr<asio::ssl::context> tls_;
  Stream stream_;
  Buffer buffer_;
  std::size_t touched_ = 0;  // bytes from its beginning that may hold something of a request
  std::optional<Parser> parser_;
  RequestHead head_;
  std::string remoteAddress_;
  std::string peerCertificate_;
  std::string nodeSubject_;
  std::vector<char, crypto::WipingAllocator<char>> token_;
  std::string mediaType_;
  crypto::WipingVector body_;
  crypto::WipingVector chunk_;
  std::size_t chunkUsed_ = 0;
  std::span<const std::uint8_t> piece_;  // of chunk_
  std::size_t lineEnd_ = 0;              // bytes of body_ that the last line took
  std::size_t bodyBytes_ = 0;
  std::size_t rateUnits_ = 0;  // of bodyBytes_ that bought time
  std::chrono::steady_clock::time_point bodyDeadline_;
  bool timedOut_ = false;
  bool waiting_ = false;    // for a request's first byte, or the end of the handshake
  bool last_ = false;       // this request is the connection's last
  bool finishing_ = false;  // finish() was called
  bool streaming_ = false;
  bool chunked_ = false;  // the stream is
  bool lining_ = false;
  bool welcomed_ = false;
};

template <class Stream, class... Arguments>
asio::awaitable<void> run(ConnectionContext& context, std::shared_ptr<Deadlines> deadlines, std::shared_ptr<asio::ssl::context> tls,
                          const std::function<void(std::weak_ptr<ConnectionHandle>)>& started, Arguments&&... arguments) {
  auto connection = std::make_shared<Connection<Stream>>(context, deadlines, std::move(tls), std::forward<Arguments>(arguments)...);
  started(connection);
  try {
    co_await connection->serve();
  } catch (const boost::system::system_error& error) {
    // The peer is gone, or never spoke TLS: nobody is left to tell but the operator.
    if (isUnbelieved(error.code())) tellUnbelieved(context);
  } catch (const Fault&) {
    // Too slow to take its answer.
  }
  connection->abort();
}

}  // namespace

asio::awaitable<void> serveConnection(asio::ip::tcp::socket socket, std::shared_ptr<asio::ssl::context> tls, ConnectionContext& context,
                                      std::shared_ptr<Deadlines> deadlines,
                                      const std::function<void(std::weak_ptr<ConnectionHandle>)>& started) {
  if (tls) {
    asio::ssl::context& sslContext = *tls;
    co_await run<TlsStream>(context, deadlines, tls, started, std::move(socket), sslContext);
  } else {
    co_await run<PlainStream>(context, deadlines, tls, started, std::move(socket));
  }
}

}  // namespace counterfoil::server

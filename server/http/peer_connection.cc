#include "server/http/peer_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include "server/http/head.h"
#include "server/http/tls.h"

namespace counterfoil::server {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using PeerBuffer = beast::basic_flat_buffer<crypto::WipingAllocator<char>>;
using PeerParser = http::response_parser<http::buffer_body, crypto::WipingAllocator<char>>;
using PlainStream = tcp::socket;
using TlsStream = asio::ssl::stream<tcp::socket>;
using Time = Deadlines::Time;

constexpr std::size_t kPiece = 16 * 1024;
constexpr std::size_t kPeerReadAhead = 64 * 1024;
constexpr std::uint32_t kHeadMax = 16 * 1024;

// Of one connection, not of the answer; the Content-Type has a place of its own, lengths and codings are made anew.
bool concernsTheConnection(std::string_view lowerName) {
  constexpr std::array<std::string_view, 9> kNames = {
      "connection", "keep-alive", "transfer-encoding", "content-length", "trailer", "upgrade", "proxy-connection", "content-type", "te"};
  return std::find(kNames.begin(), kNames.end(), lowerName) != kNames.end();
}

tcp::socket& peerLowestLayer(PlainStream& stream) {
  return stream;
}

tcp::socket& peerLowestLayer(TlsStream& stream) {
  return stream.next_layer();
}

template <class Stream>
class Peer final : public PeerConnection, public std::enable_shared_from_this<Peer<Stream>>, private Deadlines::Entry {
 public:
  template <class... Arguments>
  Peer(asio::io_context& loop, std::shared_ptr<Deadlines> deadlines, std::shared_ptr<asio::ssl::context> tls, PeerAddress address,
       const PeerLimits& limits, Arguments&&... arguments)
      : deadlines_(std::move(deadlines)),
        tls_(std::move(tls)),
        address_(std::move(address)),
        limits_(limits),
        stream_(std::forward<Arguments>(arguments)...),
        resolver_(loop),
        wake_(loop),
        buffer_(kPeerReadAhead) {
    deadlines_->add(*this);
  }
  ~Peer() override { deadlines_->remove(*this); }

  void open() override {
    at = std::chrono::steady_clock::now() + limits_.connect;
    error_code none;
    const auto number = asio::ip::make_address(address_.host, none);
    if (!none) {
      const auto port = static_cast<std::uint16_t>(std::stoul(address_.port));
      return connect(tcp::resolver::results_type::create(tcp::endpoint(number, port), address_.host, address_.port));
    }
    resolver_.async_resolve(address_.host, address_.port,
                            [self = this->shared_from_this()](const error_code& error, const tcp::resolver::results_type& found) {
                              if (error || self->failed_) return self->close();
                              self->connect(found);
                            });
  }
  bool opened() const override { return opened_; }
  bool failed() const override { return failed_; }
  bool refusedCertificate() const override { return refusedCertificate_; }

  void close() override {
    at = Deadlines::kNever;
    if (failed_) return;
    failed_ = true;
    error_code ignored;
    socket().close(ignored);
    wake_.cancel();
  }

  asio::awaitable<void> change(std::chrono::milliseconds most) override {
    wake_.expires_after(most);
    error_code ignored;
    co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }

  // ---- the request ----
  void begin(crypto::WipingVector bytes, bool last, bool head) override {
    parser_.emplace();
    parser_->header_limit(kHeadMax);
    parser_->body_limit(boost::none);
    parser_->skip(head);
    headArrived_ = done_ = sentAll_ = broken_ = false;
    sentBytes_ = 0;
    send(std::move(bytes), last);
    read();
  }

  void send(crypto::WipingVector bytes, bool last) override {
    out_ = std::move(bytes);
    sending_ = true;
    writeBy_ = std::chrono::steady_clock::now() + limits_.write;
    setLimit();
    // One buffer: of several Asio's TLS stream makes a copy on the stack, which nobody wipes.
    const auto sent = [self = this->shared_from_this(), last](const error_code& error, std::size_t count) {
      self->sent(error, count, last);
    };
    asio::async_write(stream_, asio::buffer(out_.data(), out_.size()), sent);
  }
  bool sending() const override { return sending_; }
  bool refusesMore() const override { return broken_; }
  bool sentAll() const override { return sentAll_; }
  std::size_t sentBytes() const override { return sentBytes_; }
  crypto::WipingVector takeBack() override { return sending_ ? crypto::WipingVector() : std::move(out_); }

  // ---- the answer ----
  bool headArrived() const override { return headArrived_; }
  const Response& head() const override { return head_; }
  std::optional<std::uint64_t> contentLength() const override {
    const auto length = parser_->content_length();
    return length ? std::optional<std::uint64_t>(*length) : std::nullopt;
  }
  std::size_t available() const override { return answer_.size(); }
  crypto::WipingVector take() override {
    crypto::WipingVector taken;
    taken.swap(answer_);
    if (!failed_) read();
    return taken;
  }
  // Not the parser's word: it is through as soon as the bytes are, and they come with got().
  bool answerDone() const override { return done_; }

  // ---- between requests ----
  bool keep() override {
    if (failed_ || sending_ || reading_ || !sentAll_ || !done_ || !answer_.empty()) return false;
    if (!parser_->keep_alive() || buffer_.size() != 0) return false;
    forget();
    at = std::chrono::steady_clock::now() + limits_.idle;
    const std::uint64_t turn = ++turn_;
    const auto spoke = [self = this->shared_from_this(), turn](const error_code&) {
      if (self->turn_ == turn) self->close();  // its end, or a word that nobody asked for
    };
    socket().async_wait(tcp::socket::wait_read, spoke);
    return true;
  }

  bool resume() override {
    ++turn_;
    if (failed_) return false;
    at = Deadlines::kNever;
    error_code ignored;
    socket().cancel(ignored);
    // The end may have come after the last look.
    char byte = 0;
    const ssize_t got = ::recv(socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    close();
    return false;
  }

 private:
  tcp::socket& socket() { return peerLowestLayer(stream_); }

  // ---- Deadlines::Entry ----
  void expire() override { close(); }
  void rest() override {}

  void connect(const tcp::resolver::results_type& found) {
    asio::async_connect(socket(), found, [self = this->shared_from_this()](const error_code& error, const tcp::endpoint&) {
      if (error || self->failed_) return self->close();
      error_code ignored;
      self->socket().set_option(tcp::no_delay(true), ignored);
      self->greet(self->stream_);
    });
  }
  void greet(PlainStream&) { ready(); }
  void greet(TlsStream& stream) {
    expectHost(stream, address_.host);
    stream.async_handshake(asio::ssl::stream_base::client, [self = this->shared_from_this()](const error_code& error) {
      self->heed(error);
      if (error || self->failed_) return self->close();
      self->ready();
    });
  }
  void heed(const error_code& error) { refusedCertificate_ = refusedCertificate_ || refusesCertificate(error); }
  void ready() {
    opened_ = true;
    at = Deadlines::kNever;
    wake_.cancel();
  }

  void sent(const error_code& error, std::size_t count, bool last) {
    sending_ = false;
    sentBytes_ += count;
    wake_.cancel();
    if (failed_) return;
    heed(error);
    if (error) {
      broken_ = true;
      readBy_ = std::chrono::steady_clock::now() + limits_.connect;
    } else {
      crypto::WipingVector().swap(out_);
      sentAll_ = last;
      if (last) readBy_ = std::chrono::steady_clock::now() + limits_.answer;
    }
    setLimit();
  }

  // The next deadline. Before the request is whole, its sender's own limits hold; while nobody takes the answer, those of who does not.
  void setLimit() {
    Time next = Deadlines::kNever;
    if (sending_) next = writeBy_;
    if ((sentAll_ || broken_) && reading_) next = std::min(next, readBy_);
    at = failed_ ? Deadlines::kNever : next;
  }

  void read() {
    const std::size_t room = sentAll_ ? limits_.answerAhead : limits_.answerAheadSending;
    if (reading_ || failed_ || done_ || answer_.size() >= room) return;
    reading_ = true;
    const auto done = [self = this->shared_from_this()](const error_code& error, std::size_t) { self->got(error); };
    if (!headArrived_) {
      buffer_.reserve(kPiece);
      http::async_read_header(stream_, buffer_, *parser_, done);
    } else {
      if (chunk_.empty()) chunk_.resize(kPiece);
      auto& body = parser_->get().body();
      body.data = chunk_.data();
      body.size = chunk_.size();
      readBy_ = std::chrono::steady_clock::now() + (isStream_ ? limits_.silence : limits_.answer);
      http::async_read_some(stream_, buffer_, *parser_, done);
    }
    setLimit();
  }

  void got(error_code error) {
    reading_ = false;
    heed(error);
    if (failed_) return;
    if (headArrived_) {
      const std::size_t count = chunk_.size() - parser_->get().body().size;
      answer_.insert(answer_.end(), chunk_.begin(), chunk_.begin() + static_cast<std::ptrdiff_t>(count));
      if (error == http::error::need_buffer) error = {};
    } else if (!error) {
      readAnswerHead();
    }
    if (error || failed_) return close();
    done_ = parser_->is_done();
    read();
    setLimit();
    wake_.cancel();
  }

  void readAnswerHead() {
    const auto& message = parser_->get();
    head_ = Response();
    head_.relayed = true;
    head_.status = static_cast<int>(message.result_int());
    head_.contentType.clear();
    for (const auto& field : message) {
      const std::string_view name(field.name_string().data(), field.name_string().size());
      const std::string_view value(field.value().data(), field.value().size());
      const std::string lower = lowerCase(name);
      if (lower == "content-type") head_.contentType = value;
      if (!concernsTheConnection(lower)) head_.headers.emplace_back(std::string(name), std::string(value));
    }
    isStream_ = mediaTypeOf(head_.contentType) == "text/event-stream";
    // An answer that ends with its connection cannot be told from one that was cut.
    if (head_.status < 200 || (!parser_->is_done() && !parser_->chunked() && !parser_->content_length())) return close();
    headArrived_ = true;
  }

  // What passed through here is not kept for the next request.
  void forget() {
    if (const std::size_t capacity = buffer_.capacity(); capacity > 0) {
      crypto::wipe(buffer_.prepare(capacity).data(), capacity);
      buffer_.clear();
    }
    crypto::wipe(chunk_.data(), chunk_.size());
    crypto::WipingVector().swap(answer_);
    crypto::WipingVector().swap(out_);
    head_ = Response();
    parser_.reset();
    headArrived_ = done_ = sentAll_ = false;
  }

  std::shared_ptr<Deadlines> deadlines_;
  std::shared_ptr<asio::ssl::context> tls_;
  const PeerAddress address_;
  const PeerLimits limits_;
  Stream stream_;
  tcp::resolver resolver_;
  asio::steady_timer wake_;
  PeerBuffer buffer_;
  std::optional<PeerParser> parser_;
  Response head_;
  crypto::WipingVector out_;     // being sent
  crypto::WipingVector chunk_;   // being read
  crypto::WipingVector answer_;  // read, not taken
  Time writeBy_ = Deadlines::kNever;
  Time readBy_ = Deadlines::kNever;
  std::size_t sentBytes_ = 0;
  std::uint64_t turn_ = 0;  // of keep() and resume(): a watch of an earlier rest says nothing
  bool opened_ = false;
  bool refusedCertificate_ = false;
  bool failed_ = false;
  bool sending_ = false;
  bool sentAll_ = false;
  bool broken_ = false;  // towards the peer
  bool reading_ = false;
  bool headArrived_ = false;
  bool done_ = false;  // the answer is whole
  bool isStream_ = false;
};

bool isThisMachine(const std::string& host) {
  if (host == "localhost") return true;
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  return !error && address.is_loopback();
}

}  // namespace

std::optional<PeerAddress> peerAddressOf(std::string_view url) {
  PeerAddress result;
  if (url.starts_with("https://")) {
    result.tls = true;
    url.remove_prefix(8);
  } else if (url.starts_with("http://")) {
    url.remove_prefix(7);
  } else {
    return std::nullopt;
  }
  if (url.ends_with('/')) url.remove_suffix(1);
  constexpr std::string_view kHostLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";
  if (url.empty() || url.find_first_not_of(kHostLetters) != std::string_view::npos) return std::nullopt;
  result.authority = url;
  const std::size_t bracket = url.rfind(']');
  const std::size_t colon = url.rfind(':');
  const bool hasPort = colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  std::string_view host = hasPort ? url.substr(0, colon) : url;
  const std::string_view port = hasPort ? url.substr(colon + 1) : (result.tls ? "443" : "80");
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty() || port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string_view::npos)
    return std::nullopt;
  result.host = host;
  result.port = port;
  if (!result.tls && !isThisMachine(result.host)) return std::nullopt;
  return result;
}

std::shared_ptr<PeerConnection> PeerConnection::make(asio::io_context& loop, std::shared_ptr<Deadlines> deadlines,
                                                     std::shared_ptr<asio::ssl::context> tls, PeerAddress address,
                                                     const PeerLimits& limits) {
  if (tls) {
    asio::ssl::context& context = *tls;
    return std::make_shared<Peer<TlsStream>>(loop, std::move(deadlines), std::move(tls), std::move(address), limits, loop, context);
  }
  return std::make_shared<Peer<PlainStream>>(loop, std::move(deadlines), std::move(tls), std::move(address), limits, loop);
}

}  // namespace counterfoil::server

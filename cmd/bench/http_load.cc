#include "cmd/bench/http_load.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <chrono>
#include <vector>

#include "ledger/core/outcome.h"

namespace counterfoil::cmd::bench {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t kReadAhead = 16 * 1024;

// Of an answer's head (without the empty line). nullopt-like: size npos if it says none.
std::size_t contentLength(std::string_view head) {
  constexpr std::string_view kName = "\r\nContent-Length: ";
  const std::size_t at = head.find(kName);
  if (at == std::string_view::npos) return std::string_view::npos;
  std::size_t size = 0;
  std::from_chars(head.data() + at + kName.size(), head.data() + head.size(), size);
  return size;
}

int statusOf(std::string_view head) {
  int status = 0;
  if (head.size() >= 12 && head.starts_with("HTTP/1.1 ")) std::from_chars(head.data() + 9, head.data() + 12, status);
  return status;
}

}  // namespace

void appendRequest(std::string_view method, std::string_view target, std::string_view token, std::string_view mediaType,
                   std::string_view body, std::string& wire) {
  wire.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ").append(token);
  if (!mediaType.empty()) {
    wire.append("\r\nContent-Type: ").append(mediaType).append("\r\nContent-Length: ").append(std::to_string(body.size()));
  }
  wire.append("\r\n\r\n").append(body);
}

// One thread runs the loop, so that Asio needs no locks.
struct HttpLoad::State {
  class Connection;

  asio::io_context loop{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE};
  asio::ssl::context tls{asio::ssl::context::tlsv13_client};
  std::uint16_t port = 0;
  std::vector<std::unique_ptr<Connection>> connections;
  std::uint64_t answers = 0;
};

class HttpLoad::State::Connection {
 public:
  Connection(State& state, LoadClient& client) : state_(state), client_(client), stream_(state.loop, state.tls), timer_(state.loop) {
    error_code error;
    stream_.next_layer().connect({asio::ip::address_v4::loopback(), state.port}, error);
    if (!error) stream_.next_layer().set_option(asio::ip::tcp::no_delay(true), error);
    if (!error) stream_.handshake(asio::ssl::stream_base::client, error);
    if (error) throw Fault(ErrorCode::notReady, "the server takes no TLS connection");
    input_.resize(kReadAhead);
  }

  // Sends until the client is done.
  void next() {
    if (lost_) return;
    const Turn turn = client_.turn();
    if (!turn.more) return;
    const std::int64_t wait = turn.dueAt - Stopwatch::now();
    if (wait <= 0) {
      send(turn.dueAt);
      return;
    }
    timer_.expires_after(std::chrono::nanoseconds(wait));
    timer_.async_wait([this, dueAt = turn.dueAt](const error_code&) { send(dueAt); });
  }

 private:
  void send(std::int64_t dueAt) {
    wire_.clear();
    client_.render(wire_);
    sentAt_ = dueAt > 0 ? dueAt : Stopwatch::now();
    filled_ = 0;
    asio::async_write(stream_, asio::buffer(wire_), [this](const error_code& error, std::size_t) {
      if (error) return lose();
      read();
    });
  }

  void read() {
    if (filled_ == input_.size()) input_.resize(2 * input_.size());
    stream_.async_read_some(asio::buffer(input_.data() + filled_, input_.size() - filled_),
                            [this](const error_code& error, std::size_t got) {
                              if (error) return lose();
                              filled_ += got;
                              look();
                            });
  }

  void look() {
    const std::string_view text(input_.data(), filled_);
    const std::size_t end = text.find("\r\n\r\n");
    if (end == std::string_view::npos) return read();
    const std::size_t size = contentLength(text.substr(0, end));
    // Chunked answers are streams, which this generator does not ask for.
    if (size == std::string_view::npos) return lose();
    if (filled_ < end + 4 + size) return read();
    ++state_.answers;
    client_.answered(statusOf(text), text.substr(end + 4, size), static_cast<double>(Stopwatch::now() - sentAt_) * 1e-3);
    next();
  }

  void lose() {
    lost_ = true;
    client_.answered(0, {}, static_cast<double>(Stopwatch::now() - sentAt_) * 1e-3);
  }

  State& state_;
  LoadClient& client_;
  asio::ssl::stream<asio::ip::tcp::socket> stream_;
  asio::steady_timer timer_;
  std::string wire_;
  std::vector<char> input_;
  std::size_t filled_ = 0;
  std::int64_t sentAt_ = 0;
  bool lost_ = false;
};

HttpLoad::HttpLoad(std::uint16_t port, const std::string& certificate) : state_(std::make_unique<State>()) {
  state_->port = port;
  error_code error;
  state_->tls.load_verify_file(certificate, error);
  if (error) throw Fault(ErrorCode::unreadableInput, "the benchmark's certificate cannot be read");
  state_->tls.set_verify_mode(asio::ssl::verify_peer);
}

HttpLoad::~HttpLoad() = default;

void HttpLoad::add(LoadClient& client) {
  state_->connections.push_back(std::make_unique<State::Connection>(*state_, client));
}

void HttpLoad::run() {
  state_->loop.restart();
  for (const auto& connection : state_->connections) connection->next();
  state_->loop.run();
}

std::uint64_t HttpLoad::answers() const {
  return state_->answers;
}

}  // namespace counterfoil::cmd::bench

// A blocking socket for tests that say exactly what goes over the wire.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace counterfoil::test {

class RawClient {
 public:
  explicit RawClient(const std::string& address) {  // "127.0.0.1:8780"
    const std::size_t colon = address.rfind(':');
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
    ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &name.sin_addr);
    descriptor_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(descriptor_, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) != 0) throw std::runtime_error("cannot connect");
    const int on = 1;
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  int descriptor() const { return descriptor_; }
  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }
  void finishSending() { ::shutdown(descriptor_, SHUT_WR); }

  // False if the peer does not take it any more.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  // Everything until `until` was read, the peer closed, or the time is over.
  std::string read(std::string_view until = {}, int milliseconds = 10'000) {
    return readWhile(milliseconds, [&](const std::string& text) { return until.empty() || text.find(until) == std::string::npos; });
  }
  // At least so many, unless the peer closes or the time is over.
  std::string readBytes(std::size_t count, int milliseconds) {
    return readWhile(milliseconds, [&](const std::string& text) { return text.size() < count; });
  }
  // Returns when the peer closed, or after the time; reads nothing.
  void waitForClose(int milliseconds) {
    pollfd waiting{descriptor_, POLLRDHUP, 0};
    static_cast<void>(::poll(&waiting, 1, milliseconds));
  }
  bool closed() const { return closed_; }  // by the peer, as the last read() saw
  bool timedOut() const { return timedOut_; }

 private:
  template <class More>
  std::string readWhile(int milliseconds, const More& more) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
    std::string text;
    while (more(text)) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
      pollfd waiting{descriptor_, POLLIN, 0};
      if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) <= 0) {
        timedOut_ = true;
        break;
      }
      char piece[16384];
      const ssize_t got = ::recv(descriptor_, piece, sizeof(piece), 0);
      if (got <= 0) {
        closed_ = true;
        break;
      }
      text.append(piece, static_cast<std::size_t>(got));
    }
    return text;
  }

  int descriptor_ = -1;
  bool closed_ = false;
  bool timedOut_ = false;
};

}  // namespace counterfoil::test

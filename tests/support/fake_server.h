// A server that answers a script: one HTTP answer for each request, in order, on one thread.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace counterfoil::test {

// What is sent word for word; empty: the connection is closed without an answer.
using FakeAnswer = std::string;

inline FakeAnswer fakeAnswer(int status, std::string_view contentType, std::string_view body, std::string_view headers = {}) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: " + std::string(contentType) + "\r\n" + std::string(headers) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

inline FakeAnswer fakeProblem(int status, std::string_view code, std::string_view headers = {}) {
  const std::string body = "{\"status\":" + std::to_string(status) + ",\"code\":\"" + std::string(code) +
                           "\",\"detail\":\"d\",\"hint\":\"h\",\"requestId\":\"r-1\"}";
  return fakeAnswer(status, "application/problem+json", body, headers);
}

class FakeServer {
 public:
  explicit FakeServer(std::vector<FakeAnswer> script) : script_(std::move(script)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof name;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 || ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&name), &length) != 0) {
      throw std::runtime_error("no socket for a fake server");
    }
    port_ = ntohs(name.sin_port);
    if (::pipe(wake_) != 0) throw std::runtime_error("no pipe for a fake server");
    thread_ = std::thread([this] { run(); });
  }
  ~FakeServer() {
    ::close(wake_[1]);
    thread_.join();
    ::close(wake_[0]);
    ::close(listener_);
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // Heads and bodies of the requests so far.
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  // False when the server is to end, or somebody else knocks on `door` (none: -1) while nothing comes here.
  bool waitFor(int descriptor, int door = -1) const {
    pollfd polled[3] = {{descriptor, POLLIN, 0}, {wake_[0], POLLIN, 0}, {door, POLLIN, 0}};
    while (::poll(polled, 3, -1) < 0) {
    }
    return polled[1].revents == 0 && (polled[0].revents != 0 || polled[2].revents == 0);
  }

  void run() {
    std::size_t next = 0;
    while (waitFor(listener_)) {
      const int peer = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      while (peer >= 0 && answerOne(peer, next)) {
      }
      if (peer >= 0) ::close(peer);
    }
  }

  bool answerOne(int peer, std::size_t& next) {
    std::string text;
    std::size_t whole = std::string::npos;
    while (text.size() < whole) {
      char piece[4096];
      if (!waitFor(peer, text.empty() ? listener_ : -1)) return false;
      const ssize_t got = ::recv(peer, piece, sizeof piece, 0);
      if (got <= 0) return false;
      text.append(piece, static_cast<std::size_t>(got));
      const std::size_t end = text.find("\r\n\r\n");
      if (end == std::string::npos || whole != std::string::npos) continue;
      const std::size_t at = text.find("Content-Length: ");
      whole = end + 4 + (at < end ? std::stoul(text.substr(at + 16)) : 0);
    }
    const FakeAnswer answer = script_.at(std::min(next, script_.size() - 1));
    ++next;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(text);
    }
    if (answer.empty()) return false;
    static_cast<void>(::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL));
    return answer.find("Content-Length") != std::string::npos;
  }

  std::vector<FakeAnswer> script_;
  int listener_ = -1;
  int wake_[2] = {-1, -1};
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

}  // namespace counterfoil::test

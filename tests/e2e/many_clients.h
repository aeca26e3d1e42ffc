// Thousands of connections at once, and what a process takes of the machine meanwhile.
#pragma once

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <fstream>

#include "tests/e2e/running_server.h"

namespace counterfoil::test {

// Raises this process's own limit of descriptors, as far as the machine allows. What it is then.
inline std::size_t raiseDescriptors(std::size_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur < wanted) limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, wanted);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

// As many as this process's children may ever have.
inline std::size_t descriptorsAtMost() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : 0;
}

inline std::size_t residentBytes(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoull(line.substr(6)) * 1'024;
  }
  return 0;
}

// User and system time it has used until now.
inline double cpuSeconds(pid_t pid) {
  const std::string text = readBytes("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string field;
  for (int skipped = 0; skipped < 11; ++skipped) fields >> field;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

inline std::size_t descriptorsOf(pid_t pid) {
  std::size_t count = 0;
  DIR* const folder = ::opendir(("/proc/" + std::to_string(pid) + "/fd").c_str());
  if (folder == nullptr) return 0;
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count - 2;
}

// Waits for a condition and keeps reading what the process writes. False if it is not met within the time.
template <class Condition>
bool until(Process& process, int milliseconds, const Condition& met) {
  const std::int64_t deadline = nowMicroseconds() + std::int64_t{milliseconds} * 1'000;
  while (!met()) {
    if (nowMicroseconds() > deadline) return false;
    process.pump(20);
  }
  return true;
}

// The view of a workspace that was made before the server is made by it, after its start.
inline bool viewIsThere(RunningServer& server, HttpClient& reader, const std::string& workspace) {
  return until(server.process(), 30'000, [&] { return reader.get("/v1/workspaces/" + workspace + "/stats").status == 200; });
}

// Sockets that connect from several loopback addresses (each has its own ports) and mostly keep silent.
class ManyClients {
 public:
  explicit ManyClients(const std::string& address) : port_(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)))) {}
  ~ManyClients() { closeAll(); }
  ManyClients(const ManyClients&) = delete;
  ManyClients& operator=(const ManyClients&) = delete;

  // False if the kernel or the peer refuses.
  bool add(std::size_t count) {
    for (std::size_t index = 0; index < count; ++index) {
      const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (descriptor < 0) return false;
      sockets_.push_back(descriptor);
      const int on = 1;
      ::setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
      sockaddr_in own = name(static_cast<std::uint32_t>(2 + sockets_.size() / kPerAddress), 0);
      if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&own), sizeof(own)) != 0) return false;
      const sockaddr_in peer = name(1, port_);
      if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&peer), sizeof(peer)) != 0) return false;
    }
    return true;
  }
  void sendAll(std::string_view text) {
    for (const int descriptor : sockets_) static_cast<void>(::send(descriptor, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
  }
  // How many the peer has closed by now; what it said before is kept of one of them.
  std::size_t closedByPeer() {
    std::size_t closed = 0;
    for (const int descriptor : sockets_) {
      char piece[2'048];
      for (;;) {
        const ssize_t got = ::recv(descriptor, piece, sizeof(piece), MSG_DONTWAIT);
        if (got > 0) {
          said_.assign(piece, static_cast<std::size_t>(got));
          continue;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) ++closed;
        break;
      }
    }
    return closed;
  }
  const std::string& said() const { return said_; }
  std::size_t size() const { return sockets_.size(); }
  void closeFirst() {
    ::close(sockets_.front());
    sockets_.erase(sockets_.begin());
  }
  void closeAll() {
    for (const int descriptor : sockets_) ::close(descriptor);
    sockets_.clear();
  }

 private:
  static constexpr std::size_t kPerAddress = 4'000;

  static sockaddr_in name(std::uint32_t host, std::uint16_t port) {
    sockaddr_in result{};
    result.sin_family = AF_INET;
    result.sin_port = htons(port);
    result.sin_addr.s_addr = htonl(0x7f00'0000U + host);
    return result;
  }

  const std::uint16_t port_;
  std::vector<int> sockets_;
  std::string said_;
};

// While it lives, processes of these tests start with so many descriptors at most.
class FewDescriptors {
 public:
  FewDescriptors(const std::filesystem::path& folder, std::size_t count) {
    const char* before = std::getenv("COUNTERFOIL_BIN");
    if (before != nullptr) before_ = before;
    const std::filesystem::path script = folder / "limited";
    writeBytes(script, "#!/bin/sh\nulimit -n " + std::to_string(count) + "\nexec '" + binaryPath() + "' \"$@\"\n");
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    ::setenv("COUNTERFOIL_BIN", script.c_str(), 1);
  }
  ~FewDescriptors() {
    if (before_.empty()) {
      ::unsetenv("COUNTERFOIL_BIN");
    } else {
      ::setenv("COUNTERFOIL_BIN", before_.c_str(), 1);
    }
  }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  std::string before_;
};

// Times of one kind of request.
class Latencies {
 public:
  void add(std::int64_t microseconds) { all_.push_back(microseconds); }
  std::size_t size() const { return all_.size(); }
  std::int64_t worstMs() const { return at(1.0); }
  // 0.99: of a hundred, one may be slower.
  std::int64_t at(double share) const {
    if (all_.empty()) return 0;
    std::vector<std::int64_t> sorted = all_;
    std::sort(sorted.begin(), sorted.end());
    const auto index = static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1));
    return sorted[index] / 1'000;
  }

 private:
  std::vector<std::int64_t> all_;
};

}  // namespace counterfoil::test

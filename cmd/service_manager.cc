#include "cmd/service_manager.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

#include "ledger/core/outcome.h"

namespace counterfoil::cmd {
namespace {

constexpr int kFirstPassed = 3;

long variableNumber(const char* variable) {
  const char* text = std::getenv(variable);
  return text == nullptr ? 0 : std::strtol(text, nullptr, 10);
}

int optionOf(int descriptor, int option) {
  int value = 0;
  socklen_t size = sizeof(value);
  return ::getsockopt(descriptor, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

}  // namespace

void notifyServiceManager(const std::string& state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(path);
  if (length == 0 || length >= sizeof(address.sun_path)) return;
  std::memcpy(address.sun_path, path, length);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // an abstract one
  const int descriptor = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  static_cast<void>(::sendto(descriptor, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size));
  ::close(descriptor);
}

void notifyReloading() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  // The time tells this reload's READY=1 from one of before (systemd 253 and later).
  notifyServiceManager("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(now).count()));
}

std::optional<std::chrono::microseconds> watchdogInterval() {
  const long microseconds = variableNumber("WATCHDOG_USEC");
  const long watched = variableNumber("WATCHDOG_PID");
  if (microseconds <= 0 || (watched != 0 && watched != static_cast<long>(::getpid()))) return std::nullopt;
  return std::chrono::microseconds(microseconds / 2);
}

int passedSocket() {
  const bool ours = variableNumber("LISTEN_PID") == static_cast<long>(::getpid());
  const long count = variableNumber("LISTEN_FDS");
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  if (!ours || count < 1) return -1;
  if (count > 1) throw Fault(ErrorCode::usage, "more than one socket was passed", "pass the API's alone; admin_listen is bound here");
  const int domain = optionOf(kFirstPassed, SO_DOMAIN);
  // accept() on anything else would fail for ever, and nobody would be told.
  if (optionOf(kFirstPassed, SO_ACCEPTCONN) != 1 || (domain != AF_INET && domain != AF_INET6)) {
    throw Fault(ErrorCode::usage, "the socket that was passed does not listen on a TCP port", "see ops/systemd/counterfoil.socket");
  }
  ::fcntl(kFirstPassed, F_SETFD, FD_CLOEXEC);
  return kFirstPassed;
}

}  // namespace counterfoil::cmd

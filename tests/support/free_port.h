// A port for a server that is started later, or started anew at the same place.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <random>
#include <stdexcept>

namespace counterfoil::test {

// A port of 127.0.0.1 that nobody uses now. Below those that the kernel gives to clients: none of the many connections of tests that run
// at the same time can take it before its server does.
inline std::uint16_t freePort() {
  constexpr std::uint16_t kFirst = 20'000, kLast = 31'999;
  std::random_device random;
  std::uniform_int_distribution<std::uint16_t> draw(kFirst, kLast);
  for (int tries = 0; tries < 1'000; ++tries) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const std::uint16_t port = draw(random);
    address.sin_port = htons(port);
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool free = ::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    ::close(descriptor);
    if (free) return port;
  }
  throw std::runtime_error("no free port was found");
}

}  // namespace counterfoil::test

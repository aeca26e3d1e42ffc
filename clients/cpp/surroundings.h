// Time, waiting and randomness, which the library takes from outside: tests give their own.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

namespace counterfoil::client {

struct Surroundings {
  std::function<std::chrono::milliseconds()> wall;    // since 1970, UTC
  std::function<std::chrono::milliseconds()> steady;  // never goes back
  // Blocks for so long, or until the token says stop.
  std::function<void(std::chrono::milliseconds, const std::stop_token&)> pause;
  std::function<std::array<std::uint8_t, 10>()> random;

  // The machine's own. Callable from any thread.
  static Surroundings real();
};

// A new UUIDv7 (RFC 9562), as text: what makes a command the same one however often it is sent.
std::string makeCommandId(const Surroundings& surroundings);

}  // namespace counterfoil::client

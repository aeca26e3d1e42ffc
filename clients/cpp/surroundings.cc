#include "clients/cpp/surroundings.h"

#include <condition_variable>
#include <mutex>

#include "ledger/crypto/random.h"

namespace counterfoil::client {
namespace {

std::chrono::milliseconds wallNow() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
}

std::chrono::milliseconds steadyNow() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch());
}

void waitFor(std::chrono::milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait_for(lock, stop, time, [] { return false; });
}

std::array<std::uint8_t, 10> randomBytes() {
  crypto::SystemRandom random;
  return random.bytes<10>();
}

}  // namespace

Surroundings Surroundings::real() {
  return {wallNow, steadyNow, waitFor, randomBytes};
}

std::string makeCommandId(const Surroundings& surroundings) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<std::uint8_t, 16> bytes{};
  const auto time = static_cast<std::uint64_t>(surroundings.wall().count());
  for (std::size_t index = 0; index < 6; ++index) bytes[index] = static_cast<std::uint8_t>(time >> (40 - 8 * index));
  const std::array<std::uint8_t, 10> random = surroundings.random();
  std::copy(random.begin(), random.end(), bytes.begin() + 6);
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x70);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string text;
  for (std::size_t index = 0; index < bytes.size(); ++index) {
    if (index == 4 || index == 6 || index == 8 || index == 10) text += '-';
    text += kDigits[bytes[index] >> 4];
    text += kDigits[bytes[index] & 15];
  }
  return text;
}

}  // namespace counterfoil::client

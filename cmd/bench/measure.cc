#include "cmd/bench/measure.h"

#include <malloc.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace counterfoil::cmd::bench {

std::uint64_t Dice::next() {
  state_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t mixed = state_;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
  return mixed ^ (mixed >> 31);
}

std::string Dice::letters(std::size_t size) {
  constexpr std::string_view kLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string text(size, ' ');
  for (char& each : text) each = kLetters[below(kLetters.size())];
  return text;
}

std::int64_t Stopwatch::now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::int64_t CpuWatch::now(Of of) {
  timespec time{};
  ::clock_gettime(of == Of::thread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

double Samples::percentile(double part) {
  if (values_.empty()) return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(values_.size())));
  const std::size_t index = std::min(values_.size() - 1, rank == 0 ? 0 : rank - 1);
  std::nth_element(values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(index), values_.end());
  return values_[index];
}

std::uint64_t residentBytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

void trimMemory() {
  ::malloc_trim(0);
}

std::string loadAverage() {
  std::array<double, 3> loads{};
  if (::getloadavg(loads.data(), 3) != 3) return "unknown";
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.2f %.2f %.2f", loads[0], loads[1], loads[2]);
  return text.data();
}

bool hasShaInstructions() {
  // "sha_ni" of x86-64, "sha2" of arm64, each a word of its own.
  std::ifstream file("/proc/cpuinfo");
  std::string word;
  while (file >> word) {
    if (word == "sha_ni" || word == "sha2") return true;
  }
  return false;
}

}  // namespace counterfoil::cmd::bench

// Stopwatches, percentiles, and what one row of the benchmark says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace counterfoil::cmd::bench {

// Numbers that only have to look irregular, the same in every run (splitmix64).
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  // 0 .. bound-1; `bound` is not zero.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  // `size` characters of [0-9A-Za-z].
  std::string letters(std::size_t size);

 private:
  std::uint64_t state_;
};

// Seconds of real time since construction.
class Stopwatch {
 public:
  Stopwatch() : start_(now()) {}
  double seconds() const { return static_cast<double>(now() - start_) * 1e-9; }
  double microseconds() const { return static_cast<double>(now() - start_) * 1e-3; }
  static std::int64_t now();

 private:
  std::int64_t start_;
};

// Seconds of processor time since construction: of the calling thread, or of the whole process.
class CpuWatch {
 public:
  enum class Of : std::uint8_t { thread, process };
  explicit CpuWatch(Of of) : of_(of), start_(now(of)) {}
  double seconds() const { return static_cast<double>(now(of_) - start_) * 1e-9; }

 private:
  static std::int64_t now(Of of);
  Of of_;
  std::int64_t start_;
};

// Latencies of one row, in any unit.
class Samples {
 public:
  void add(double value) { values_.push_back(value); }
  void add(const Samples& other) { values_.insert(values_.end(), other.values_.begin(), other.values_.end()); }
  std::size_t size() const { return values_.size(); }
  // `part` of 1, such as 0.99; zero without samples.
  double percentile(double part);

 private:
  std::vector<double> values_;
};

// Memory of this process that is in use now, in bytes.
std::uint64_t residentBytes();
// Gives freed memory back first, so that residentBytes() tells what is held.
void trimMemory();
// Of one, five and fifteen minutes: "1.20 0.80 0.70".
std::string loadAverage();
// Whether the processor has instructions for SHA-256 (x86-64: SHA-NI): without them it is four times slower, and some 50 blocks of it go
// into an entry.
bool hasShaInstructions();

struct Figure {
  std::string name;
  double value = 0;
  std::string unit;
};

// One line of the table of targets.
struct Result {
  std::string row;
  std::string what;
  std::vector<Figure> measured;
  std::string must;  // empty: not in the table
  std::string aim;
  std::vector<Figure> beside;  // the bare limit, measured in the same run
  std::optional<bool> met;     // the must; nullopt: there is none, or this machine cannot tell
};

}  // namespace counterfoil::cmd::bench

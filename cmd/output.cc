#include "cmd/output.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>

#include "ledger/write/answer_json.h"

namespace counterfoil::cmd {
namespace {

std::int64_t nowNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool isInvisible(std::uint32_t point) {
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0xad || (point >= 0x200b && point <= 0x200f) ||
         (point >= 0x2028 && point <= 0x202e) || (point >= 0x2060 && point <= 0x206f) || point == 0xfeff ||
         (point >= 0xfff9 && point <= 0xfffb) || (point >= 0xe0000 && point <= 0xe0fff);
}

std::size_t sequenceLength(unsigned char lead) {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

std::uint32_t codePoint(std::string_view sequence) {
  const auto lead = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return lead;
  std::uint32_t point = lead & (0xffU >> (sequence.size() + 1));
  for (std::size_t index = 1; index < sequence.size(); ++index)
    point = (point << 6) | (static_cast<unsigned char>(sequence[index]) & 0x3fU);
  return point;
}

// Columns on a terminal, near enough: one per code point.
std::size_t widthOf(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string visible(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = std::min(sequenceLength(static_cast<unsigned char>(text[at])), text.size() - at);
    const std::uint32_t point = codePoint(text.substr(at, length));
    if (isInvisible(point)) {
      char escaped[16];
      std::snprintf(escaped, sizeof(escaped), point < 0x100 ? "\\x%02x" : "\\u%04x", point);
      out += escaped;
    } else {
      out += text.substr(at, length);
    }
    at += length;
  }
  return out;
}

void Table::print(const CommonOptions& common) const {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  if (!terminal) {
    for (const auto& row : rows_) {
      for (std::size_t column = 0; column < row.size(); ++column) std::cout << (column == 0 ? "" : "\t") << visible(row[column]);
      std::cout << '\n';
    }
    std::cout.flush();
    return;
  }
  std::vector<std::size_t> widths;
  for (const auto& heading : headings_) widths.push_back(widthOf(heading));
  for (const auto& row : rows_) {
    for (std::size_t column = 0; column < row.size(); ++column) widths[column] = std::max(widths[column], widthOf(visible(row[column])));
  }
  const auto line = [&](const std::vector<std::string>& cells, bool bold) {
    if (bold && !common.noColor) std::cout << "\033[1m";
    for (std::size_t column = 0; column < cells.size(); ++column) {
      const std::string cell = visible(cells[column]);
      std::cout << cell;
      if (column + 1 < cells.size()) std::cout << std::string(widths[column] - widthOf(cell) + 2, ' ');
    }
    if (bold && !common.noColor) std::cout << "\033[0m";
    std::cout << '\n';
  };
  line(headings_, true);
  for (const auto& row : rows_) line(row, false);
  std::cout.flush();
}

Progress::Progress(const CommonOptions& common, std::string what, std::uint64_t total)
    : what_(std::move(what)),
      total_(total),
      quiet_(common.quiet),
      terminal_(::isatty(STDERR_FILENO) == 1),
      startedAt_(nowNanoseconds()),
      printedAt_(startedAt_) {}

Progress::~Progress() {
  if (printed_) print(true);
}

void Progress::update(std::uint64_t done) {
  done_ = done;
  if (quiet_) return;
  const std::int64_t now = nowNanoseconds();
  const std::int64_t every = terminal_ ? 100'000'000 : 10'000'000'000;
  if (now - printedAt_ < every) return;
  printedAt_ = now;
  print(false);
}

void Progress::print(bool last) {
  printed_ = true;
  const double seconds = static_cast<double>(nowNanoseconds() - startedAt_) / 1e9;
  const auto rate = static_cast<std::uint64_t>(seconds > 0 ? static_cast<double>(done_) / seconds : 0);
  std::string line = what_ + ": " + grouped(done_);
  if (total_ > 0) {
    const auto percent = std::min<std::uint64_t>(100, done_ * 100 / total_);
    line += " of " + grouped(total_) + " (" + std::to_string(percent) + " %)";
    if (terminal_) {
      const auto filled = static_cast<std::size_t>(percent / 4);
      line += " [" + std::string(filled, '#') + std::string(25 - filled, '.') + "]";
    }
  }
  line += ", " + grouped(rate) + "/s";
  if (terminal_) {
    std::cerr << '\r' << line << "\033[K" << (last ? "\n" : "");
  } else {
    std::cerr << line << '\n';
  }
  std::cerr.flush();
}

void printFault(const Fault& fault, const CommonOptions& common) {
  if (common.json) {
    std::cerr << write::problemJson(fault, {}) << '\n';
    return;
  }
  std::cerr << "error: " << factsOf(fault.code()).text << ": " << visible(fault.detail());
  if (!fault.field().empty()) std::cerr << " (" << visible(fault.field()) << ")";
  std::cerr << '\n';
  if (!fault.hint().empty()) std::cerr << "hint: " << visible(fault.hint()) << '\n';
}

void note(const CommonOptions& common, std::string_view line) {
  if (!common.quiet) std::cerr << visible(line) << '\n';
}

void print(std::string_view line) {
  std::cout << line << '\n' << std::flush;
}

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

}  // namespace counterfoil::cmd

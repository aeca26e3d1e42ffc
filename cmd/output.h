// What people see: tables on a terminal, plain lines in a pipe, progress on standard error. Nothing from the record reaches a terminal
// unescaped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/options.h"
#include "ledger/core/outcome.h"

namespace counterfoil::cmd {

// Control, bidirectional and other invisible characters as visible escapes (\x1b, \u202e); everything else as it is.
std::string visible(std::string_view text);

// Rows under headings: aligned columns on a terminal, tab-separated lines without headings in a pipe.
class Table {
 public:
  explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void print(const CommonOptions& common) const;

 private:
  std::vector<std::string> headings_;
  std::vector<std::vector<std::string>> rows_;
};

// A bar on a terminal, one line every ten seconds elsewhere; nothing with --quiet. Not thread safe.
class Progress {
 public:
  Progress(const CommonOptions& common, std::string what, std::uint64_t total);
  ~Progress();
  void update(std::uint64_t done);

 private:
  void print(bool last);

  std::string what_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  bool quiet_;
  bool terminal_;
  bool printed_ = false;
  std::int64_t startedAt_;
  std::int64_t printedAt_;
};

// `error: <code>: <detail>` and `hint: ...` on standard error; with --json the problem object instead.
void printFault(const Fault& fault, const CommonOptions& common);
// One line on standard error, unless --quiet.
void note(const CommonOptions& common, std::string_view line);
// One line on standard output.
void print(std::string_view line);
// "1,234,567".
std::string grouped(std::uint64_t number);

}  // namespace counterfoil::cmd

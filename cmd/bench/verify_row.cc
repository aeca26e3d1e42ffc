// What a verifier reads in a second, on one core.
#include <algorithm>
#include <unordered_map>

#include "cmd/bench/bare_limits.h"
#include "cmd/bench/rows.h"
#include "cmd/log_source.h"
#include "ledger/core/merkle.h"
#include "ledger/core/outcome.h"
#include "ledger/core/verify.h"

namespace counterfoil::cmd::bench {
namespace {

// The opened entries of one log, in memory, with what their headers said.
struct Opened {
  std::vector<VerifyItem> items;
  std::vector<std::vector<std::uint8_t>> entries;
};

class MemorySource final : public VerifySource {
 public:
  explicit MemorySource(const Opened& opened) : opened_(opened) {}
  bool next(VerifyItem& item) override {
    if (at_ == opened_.items.size()) return false;
    item = opened_.items[at_];
    item.bytes = opened_.entries[at_];
    ++at_;
    return true;
  }

 private:
  const Opened& opened_;
  std::size_t at_ = 0;
};

Opened openAll(Scratch& scratch) {
  Opened opened;
  LogSource source(scratch.log(), &scratch.ring());
  VerifyItem item;
  while (source.next(item)) {
    if (item.content != VerifyItem::Content::present) throw Fault(ErrorCode::logDamaged, "a record of the scratch ledger does not open");
    opened.items.push_back(item);
    opened.entries.emplace_back(item.bytes.begin(), item.bytes.end());
  }
  return opened;
}

// Hash, seq, previous and tree alone. Returns the entries that were right.
std::uint64_t checkChains(const Opened& opened) {
  struct Chain {
    TreeFrontier tree;
    LeafHash last;
  };
  std::unordered_map<WorkspaceNumber, Chain, WorkspaceNumberHash> chains;
  std::uint64_t right = 0;
  for (std::size_t index = 0; index < opened.items.size(); ++index) {
    const VerifyItem& item = opened.items[index];
    Chain& chain = chains[item.workspace];
    const LeafHash leaf = leafHash(opened.entries[index]);
    if (leaf == item.leaf && item.seq.value == chain.tree.size() && item.previous == chain.last) ++right;
    chain.tree.append(leaf);
    chain.last = leaf;
  }
  return right;
}

void mustBeWhole(bool whole) {
  if (!whole) throw Fault(ErrorCode::logDamaged, "the scratch ledger does not verify");
}

// Entries a second of processor time, the best of three runs.
template <class Run>
double rateOf(double entries, Run&& run) {
  double best = 0;
  for (unsigned again = 0; again < 3; ++again) {
    const CpuWatch watch(CpuWatch::Of::thread);
    run();
    best = std::max(best, entries / watch.seconds());
  }
  return best;
}

}  // namespace

std::vector<Result> verifyRate(const BenchOptions& options) {
  Scratch scratch(options.folder, options.workspaces);
  Mix mix(MixKind::bare, 1, options.workspaces, 0);
  scratch.fill(mix, options.entries, 1'000);
  const LogSizes sizes = sizesOf(scratch);
  const Opened opened = openAll(scratch);
  const auto count = static_cast<double>(opened.items.size());
  const double chains = rateOf(count, [&] { mustBeWhole(checkChains(opened) == opened.items.size()); });
  const double formed = rateOf(count, [&] {
    MemorySource source(opened);
    mustBeWhole(verify(source, Strictness::lenient, nullptr).ok());
  });
  const double live = rateOf(count, [&] {
    LogSource source(scratch.log(), &scratch.ring());
    mustBeWhole(verify(source, Strictness::lenient, nullptr).ok());
  });
  const double hashes = sha256PerSecond(static_cast<std::size_t>(sizes.entryBytes));
  return {{"verify-export",
           "opened entries in memory: hash, seq, previous, tree; one core",
           {{"rate", chains, "/s"}, {"with form, limits, UTF-8", formed, "/s"}, {"entry", sizes.entryBytes, "B"}},
           ">= 2 M/s",
           "3 M/s",
           {{"SHA-256 of an entry", hashes, "/s"}},
           chains >= 2e6},
          {"verify-log",
           "live log: read, decrypt, hash, chain, tree, form; one core",
           {{"rate", live, "/s"}},
           ">= 0.6 M/s",
           "1.2 M/s",
           {{"SHA-256 of an entry", hashes, "/s"}},
           live >= 0.6e6}};
}

}  // namespace counterfoil::cmd::bench

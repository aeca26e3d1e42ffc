// The verifier: does a sequence of entries form the chains it claims to be? Pure; asks for entries through one method. Server start,
// `verify`, replay and tests call this one function.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ledger/core/entry.h"

namespace counterfoil {

// One entry as a copy of the ledger holds it: what its header claims, and its bytes if they can be read.
struct VerifyItem {
  WorkspaceNumber workspace;
  Sequence seq;
  LeafHash previous;
  LeafHash leaf;
  enum class Content : std::uint8_t {
    present,
    withheld,    // the key of its month, `key`, is not there: whether it was destroyed on the record is found out
    notChecked,  // no key at hand
    damaged,     // there, but it does not open
  };
  Content content = Content::present;
  KeyId key;                 // of `withheld`
  bool keyExpected = false;  // of `withheld`: what would open the key is at hand, so that only its destruction explains that it is not
  crypto::Bytes bytes;  // valid until the next call
};

class VerifySource {
 public:
  virtual ~VerifySource() = default;
  // The next entry in the order of the copy; false at its end. Entries of one workspace come in ascending order.
  virtual bool next(VerifyItem& item) = 0;
};

struct VerifyProblem {
  WorkspaceNumber workspace;
  std::uint64_t seq = 0;
  std::string what;      // a static sentence
  std::string expected;  // hashes or numbers, never content
  std::string found;
};

struct VerifiedWorkspace {
  TreeFrontier tree;
  LeafHash last;
  Timestamp lastRecordedAt;
  std::uint64_t erased = 0;  // content that was destroyed, and the record says so
  std::uint64_t notChecked = 0;
  std::uint64_t unknownKinds = 0;
};

struct VerifyReport {
  std::uint64_t entries = 0;
  std::map<std::uint64_t, VerifiedWorkspace> workspaces;  // by number
  std::vector<VerifyProblem> problems;                    // at most kVerifyProblemsMax
  std::uint64_t problemCount = 0;
  bool ok() const { return problemCount == 0; }
};

inline constexpr std::size_t kVerifyProblemsMax = 1'000;

// Checks of every entry: its hash, its place (seq without gap, previous = the last leaf), its form by the reader's rules, its own claims
// against the header, recordedAt never decreasing; and builds each workspace's tree. Goes on after a problem, from what was found.
// `progress` may be null; it is called every few thousand entries with their number.
VerifyReport verify(VerifySource& source, Strictness strictness, const std::function<void(std::uint64_t)>& progress);

}  // namespace counterfoil

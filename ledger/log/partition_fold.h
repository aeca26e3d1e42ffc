// Which records of a partition count: the same decision for every reader, from headers alone, in order of position.
// Source: the ledger's own rule (docs/formats.md, Validity): a claim opens the next term; anything else must carry the current term and
// the next pseq; an entry must also follow its workspace's head. Pure; no thread of its own.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "ledger/log/record.h"

namespace counterfoil::log {

// The end of one workspace's chain: its number of entries and the last one's leaf.
struct ChainEnd {
  std::uint64_t size = 0;
  LeafHash last;
  friend bool operator==(const ChainEnd&, const ChainEnd&) = default;
};

// Where a reader stands. A value: copied into snapshots and projections.
struct FoldState {
  Position next;            // position of the next record to look at
  std::uint64_t term = 0;   // 0: no claim yet
  std::uint64_t pseq = 0;   // of the next valid record; it continues across terms
  std::uint16_t level = 0;  // of the partition: a node below it may not claim
  std::uint64_t voids = 0;  // records that did not count
  bool genesis = false;
  // Of the record at next - 1, void ones included: by it a log finds out that it is not the one this state was read from.
  RecordHeader last;
  std::unordered_map<WorkspaceNumber, ChainEnd, WorkspaceNumberHash> heads;

  // Replaces `out`; equal states give equal bytes.
  void save(std::vector<std::uint8_t>& out) const;
  // False, and `state` unchanged, if the bytes are not what save() writes.
  static bool load(crypto::Bytes bytes, FoldState& state);
  friend bool operator==(const FoldState&, const FoldState&) = default;
};

enum class FoldVerdict : std::uint8_t {
  valid,
  isVoid,   // a stale, repeated or displaced record: as if it were not there
  damaged,  // no reader may pass: the first record is no genesis, or a kind this software does not know is in turn
};

// What the record at state.next is.
FoldVerdict judge(const FoldState& state, const RecordHeader& header);

// judge(), and advances `state` past the record. A void record changes nothing but `next`, `voids` and `last`; damage changes nothing.
FoldVerdict fold(FoldState& state, const RecordHeader& header);

}  // namespace counterfoil::log

#include "ledger/log/partition_fold.h"

#include <algorithm>
#include <array>
#include <utility>

#include "ledger/log/little_endian.h"

namespace counterfoil::log {
namespace {

constexpr std::array<std::uint8_t, 8> kSavedMark = {'c', 'f', 'f', 'o', 'l', 'd', '1', 0};
constexpr std::size_t kFixedBytes =
    kSavedMark.size() + 4 * sizeof(std::uint64_t) + sizeof(std::uint16_t) + 1 + kHeaderSize + sizeof(std::uint64_t);
constexpr std::size_t kHeadBytes = 2 * sizeof(std::uint64_t) + crypto::kDigestSize;

bool isUnchained(const RecordHeader& header) {
  return header.seq.value == 0 && header.previous == LeafHash{} && header.leaf == LeafHash{};
}

bool followsHead(const FoldState& state, const RecordHeader& header) {
  const auto head = state.heads.find(header.workspace);
  if (head == state.heads.end()) return header.seq.value == 0 && header.previous == LeafHash{};
  return header.seq.value == head->second.size && header.previous == head->second.last;
}

FoldVerdict verdict(bool counts) {
  return counts ? FoldVerdict::valid : FoldVerdict::isVoid;
}

}  // namespace

FoldVerdict judge(const FoldState& state, const RecordHeader& header) {
  if (!state.genesis) {
    const bool begins = header.kind == RecordKind::genesis && state.next.value == 0 && header.term == 0 && header.pseq == 0;
    return begins && isUnchained(header) ? FoldVerdict::valid : FoldVerdict::damaged;
  }
  // Before the first claim nobody is the writer, so nothing but a claim is in turn.
  const bool inTurn = state.term > 0 && header.term == state.term && header.pseq == state.pseq;
  switch (header.kind) {
    case RecordKind::genesis:
      return FoldVerdict::isVoid;
    case RecordKind::claim:
      return verdict(header.term == state.term + 1 && header.pseq == state.pseq && header.level >= state.level && isUnchained(header));
    case RecordKind::entry:
      return verdict(inTurn && followsHead(state, header));
    case RecordKind::tick:
    case RecordKind::keys:
    case RecordKind::epoch:
      return verdict(inTurn && isUnchained(header));
    case RecordKind::reserved:
      break;
  }
  // A newer writer holds it for valid; passing it over would fork this reader from newer ones.
  return inTurn ? FoldVerdict::damaged : FoldVerdict::isVoid;
}

FoldVerdict fold(FoldState& state, const RecordHeader& header) {
  const FoldVerdict result = judge(state, header);
  if (result == FoldVerdict::damaged) return result;
  ++state.next.value;
  state.last = header;
  if (result == FoldVerdict::isVoid) {
    ++state.voids;
    return result;
  }
  ++state.pseq;
  if (header.kind == RecordKind::genesis) {
    state.genesis = true;
  } else if (header.kind == RecordKind::claim) {
    state.term = header.term;
    state.level = header.level;
  } else if (header.kind == RecordKind::entry) {
    state.heads[header.workspace] = {header.seq.value + 1, header.leaf};
  }
  return result;
}

void FoldState::save(std::vector<std::uint8_t>& out) const {
  std::vector<std::pair<WorkspaceNumber, ChainEnd>> sorted(heads.begin(), heads.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& left, const auto& right) { return left.first < right.first; });
  out.resize(kFixedBytes + sorted.size() * kHeadBytes);
  std::uint8_t* at = std::copy(kSavedMark.begin(), kSavedMark.end(), out.data());
  for (const std::uint64_t number : {next.value, term, pseq, voids}) at = putLittleEndian(at, number);
  at = putLittleEndian(at, level);
  *at++ = genesis ? 1 : 0;
  const auto header = encodeHeader(last);
  at = std::copy(header.begin(), header.end(), at);
  at = putLittleEndian(at, std::uint64_t{sorted.size()});
  for (const auto& [workspace, end] : sorted) {
    at = putLittleEndian(at, workspace.value);
    at = putLittleEndian(at, end.size);
    at = std::copy(end.last.bytes.begin(), end.last.bytes.end(), at);
  }
}

bool FoldState::load(crypto::Bytes bytes, FoldState& state) {
  if (bytes.size() < kFixedBytes || !std::equal(kSavedMark.begin(), kSavedMark.end(), bytes.begin())) return false;
  FoldState result;
  const std::uint8_t* at = bytes.data() + kSavedMark.size();
  for (std::uint64_t* number : {&result.next.value, &result.term, &result.pseq, &result.voids}) at = getLittleEndian(at, *number);
  at = getLittleEndian(at, result.level);
  if (*at > 1) return false;
  result.genesis = *at++ == 1;
  if (!decodeHeader({at, kHeaderSize}, result.last)) return false;
  at += kHeaderSize;
  std::uint64_t count = 0;
  at = getLittleEndian(at, count);
  const std::size_t rest = bytes.size() - kFixedBytes;
  if (rest % kHeadBytes != 0 || count != rest / kHeadBytes) return false;
  result.heads.reserve(count);
  for (std::uint64_t index = 0; index < count; ++index) {
    WorkspaceNumber workspace;
    ChainEnd end;
    const std::uint8_t* const number = at;
    at = getLittleEndian(at, workspace.value);
    at = getLittleEndian(at, end.size);
    std::copy_n(at, end.last.bytes.size(), end.last.bytes.begin());
    at += end.last.bytes.size();
    std::uint64_t before = 0;
    if (index > 0) getLittleEndian(number - kHeadBytes, before);
    // Ascending, and no chain without entries.
    if (end.size == 0 || (index > 0 && workspace.value <= before)) return false;
    result.heads.emplace(workspace, end);
  }
  // Every record is valid or void, and the first valid one is the genesis.
  if (result.next.value != result.pseq + result.voids || result.genesis != (result.next.value > 0)) return false;
  state = std::move(result);
  return true;
}

}  // namespace counterfoil::log

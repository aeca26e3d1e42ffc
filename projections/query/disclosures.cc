#include "projections/query/disclosures.h"

#include <algorithm>
#include <string>
#include <utility>

#include "ledger/core/outcome.h"

namespace counterfoil::query {
namespace {

Fault damaged(ErrorCode code, Sequence seq, const char* what) {
  return {code, "entry " + std::to_string(seq.value) + ": " + what, "run `counterfoil verify`, then `counterfoil rebuild`"};
}

}  // namespace

Disclosures::Disclosures(log::EventLog& log, std::shared_ptr<keys::WorkspaceKeys> keys, OpenDisclosure open, const Clock& clock,
                         DisclosureLimits limits)
    : log_(log), keys_(std::move(keys)), open_(std::move(open)), clock_(clock), limits_(limits), startedAt_(clock.monotonicNanoseconds()) {}

bool Disclosures::late() const {
  return clock_.monotonicNanoseconds() - startedAt_ > limits_.milliseconds * kNanosecondsPerMillisecond;
}

std::optional<std::vector<std::vector<DisclosedValue>>> Disclosures::of(std::span<const EntryPlace> places) {
  std::vector<std::vector<DisclosedValue>> result(places.size());
  // The log is read forwards, whatever the order of the page.
  const bool backwards = places.size() > 1 && places.back().log < places.front().log;
  for (std::size_t count = 0; count < places.size(); ++count) {
    if (late()) return std::nullopt;
    const std::size_t index = backwards ? places.size() - 1 - count : count;
    read(places[index], result[index]);
  }
  return result;
}

void Disclosures::read(const EntryPlace& place, std::vector<DisclosedValue>& values) {
  const WorkspaceNumber workspace = keys_->workspace();
  if (finder_ == nullptr) finder_ = log_.finder(log_.partitionOf(workspace));
  const log::RecordHeader& header = record_.header;
  if (!finder_->find(place.log, record_) || header.kind != log::RecordKind::entry || header.workspace != workspace ||
      header.seq != place.seq || header.leaf != place.leaf) {
    throw damaged(ErrorCode::viewDamaged, place.seq, "its view names a place in the log where its record is not");
  }
  const keys::OpenOutcome outcome = keys::reopenRecord(*keys_, place.seq, place.leaf, record_.value, opened_);
  if (outcome == keys::OpenOutcome::withheld) return;
  EntryView entry;
  arena_.reset();
  if (outcome != keys::OpenOutcome::opened || readEntry(opened_.entry, Strictness::lenient, arena_, entry) != nullptr) {
    throw damaged(ErrorCode::logDamaged, place.seq, "its record does not hold what its header names");
  }
  openAll(entry, values);
}

void Disclosures::openAll(const EntryView& entry, std::vector<DisclosedValue>& values) {
  const std::span<const StructValue> commitments = entry.entry.structures(Field::commitments);
  for (const SealedDisclosure& disclosure : opened_.disclosures) {
    const auto key = keys_->findSubjectById(disclosure.keyId);
    if (key == nullptr) continue;
    const auto commitment = std::find_if(commitments.begin(), commitments.end(),
                                         [&](const StructValue& one) { return one.text(Field::path) == disclosure.path; });
    std::optional<crypto::SecretBytes> value;
    if (commitment != commitments.end()) {
      const std::string_view stored = commitment->text(Field::digest);
      crypto::Digest digest{};
      if (stored.size() == digest.size()) std::copy(stored.begin(), stored.end(), digest.begin());
      value = open_(*key, entry.workspace, entry.id, disclosure, digest);
    }
    if (!value) throw damaged(ErrorCode::logDamaged, entry.seq, "a personal value in its record is not the one it commits to");
    values.push_back({disclosure.path, std::string(value->text())});
    bytes_ += value->size();
  }
}

}  // namespace counterfoil::query

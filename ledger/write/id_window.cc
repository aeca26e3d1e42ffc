#include "ledger/write/id_window.h"

#include <algorithm>
#include <utility>

#include "ledger/core/bytes.h"
#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"

namespace counterfoil::write {
namespace {

constexpr std::size_t kReservedMax = 1'000'000;

void saveAnswer(ByteWriter& writer, const Answer& answer) {
  writer.number(static_cast<std::uint64_t>(answer.kind));
  writer.number(answer.denied ? 1 : 0);
  writer.number(static_cast<std::uint64_t>(answer.reasonCode));
  writer.number(answer.receipt->seq.value);
  writer.fixed(answer.receipt->leafHash.bytes);
  writer.integer(answer.receipt->recordedAt.nanoseconds);
  writer.number(answer.lease ? 1 : 0);
  if (answer.lease) {
    writer.text(answer.lease->id);
    writer.number(static_cast<std::uint64_t>(answer.lease->state));
    for (const Timestamp time : {answer.lease->issuedAt, answer.lease->expiresAt, answer.lease->renewableUntil})
      writer.integer(time.nanoseconds);
    writer.number(answer.lease->uses);
    writer.number(answer.lease->maxUses);
  }
  writer.text(answer.approvalId);
  writer.text(answer.revocationId);
  writer.text(answer.holdId);
  for (const std::uint64_t number : {answer.matched, answer.policyVersion, answer.workspaceNumber}) writer.number(number);
}

void loadAnswer(ByteReader& reader, Answer& answer) {
  answer.kind = static_cast<Kind>(reader.number());
  answer.denied = reader.number() != 0;
  answer.reasonCode = static_cast<ReasonCode>(reader.number());
  answer.receipt.emplace();
  answer.receipt->seq.value = reader.number();
  reader.fixed(answer.receipt->leafHash.bytes);
  answer.receipt->recordedAt.nanoseconds = reader.integer();
  if (reader.number() != 0) {
    LeaseSummary& lease = answer.lease.emplace();
    lease.id = reader.text();
    lease.state = static_cast<LeaseState>(reader.number());
    for (Timestamp* time : {&lease.issuedAt, &lease.expiresAt, &lease.renewableUntil}) time->nanoseconds = reader.integer();
    lease.uses = reader.number();
    lease.maxUses = reader.number();
  }
  answer.approvalId = reader.text();
  answer.revocationId = reader.text();
  answer.holdId = reader.text();
  for (std::uint64_t* number : {&answer.matched, &answer.policyVersion, &answer.workspaceNumber}) *number = reader.number();
}

}  // namespace

// All its buckets at once: while a table of a million entries grows, nobody gets an answer.
IdWindow::IdWindow(std::size_t entriesMax) : entriesMax_(entriesMax) {
  entries_.reserve(std::min(entriesMax, kReservedMax));
}

std::string IdWindow::packed(const Answer& answer) {
  work_.clear();
  ByteWriter writer(work_);
  saveAnswer(writer, answer);
  return {reinterpret_cast<const char*>(work_.data()), work_.size()};
}

std::optional<WindowEntry> IdWindow::find(const EntryId& id) const {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return std::nullopt;
  WindowEntry entry{found->second.workspace, found->second.requestDigest, {}};
  ByteReader reader(crypto::bytesOf(found->second.answer));
  loadAnswer(reader, entry.answer);
  entry.answer.receipt->number = entry.workspace;
  entry.answer.receipt->id = id;
  return entry;
}

Timestamp IdWindow::floor(Timestamp now) const {
  return std::max(Timestamp{now.nanoseconds - limits::kIdWindowSeconds * kNanosecondsPerSecond}, evicted_);
}

void IdWindow::add(const EntryId& id, const WindowEntry& entry) {
  const auto [place, added] = entries_.try_emplace(id, Kept{entry.workspace, entry.requestDigest, {}});
  if (!added) return;
  place->second.answer = packed(entry.answer);
  byTime_.emplace_hint(byTime_.end(), id);  // ids come nearly in order
  journal_.push_back({id, std::nullopt});
}

void IdWindow::forget(WorkspaceNumber workspace) {
  for (auto next = entries_.begin(); next != entries_.end();) {
    if (next->second.workspace != workspace) {
      ++next;
      continue;
    }
    byTime_.erase(next->first);
    next = entries_.erase(next);
  }
}

void IdWindow::amend(const EntryId& id, const Answer& answer) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  journal_.push_back({id, std::exchange(found->second.answer, packed(answer))});
}

void IdWindow::commitTo(std::uint64_t mark) {
  while (journalStart_ < mark && !journal_.empty()) {
    journal_.pop_front();
    ++journalStart_;
  }
  evict();
}

void IdWindow::evict() {
  while (entries_.size() > entriesMax_) {
    const EntryId oldest = *byTime_.begin();
    evicted_ = std::max(evicted_, uuidV7Time(oldest));
    byTime_.erase(byTime_.begin());
    entries_.erase(oldest);
  }
}

void IdWindow::rollback() {
  while (!journal_.empty()) {
    Change& change = journal_.back();
    const auto found = entries_.find(change.id);
    if (found != entries_.end()) {
      if (change.before) {
        found->second.answer = std::move(*change.before);
      } else {
        entries_.erase(found);
        byTime_.erase(change.id);
      }
    }
    journal_.pop_back();
  }
}

void IdWindow::save(std::vector<std::uint8_t>& out) const {
  ByteWriter writer(out);
  writer.integer(evicted_.nanoseconds);
  writer.number(byTime_.size());
  for (const EntryId& id : byTime_) {
    const Kept& kept = entries_.at(id);
    writer.fixed(id.bytes);
    writer.number(kept.workspace.value);
    writer.fixed(kept.requestDigest);
    writer.fixed(crypto::bytesOf(kept.answer));
  }
}

bool IdWindow::load(crypto::Bytes bytes) {
  ByteReader reader(bytes);
  evicted_.nanoseconds = reader.integer();
  for (std::uint64_t left = reader.count(90); left > 0; --left) {
    EntryId id;
    reader.fixed(id.bytes);
    Kept kept{};
    kept.workspace.value = reader.number();
    reader.fixed(kept.requestDigest);
    Answer answer;
    loadAnswer(reader, answer);
    if (reader.failed()) return false;
    kept.answer = packed(answer);
    entries_.emplace(id, std::move(kept));
    byTime_.emplace_hint(byTime_.end(), id);
  }
  return reader.complete();
}

}  // namespace counterfoil::write

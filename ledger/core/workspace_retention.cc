// How long content is kept, and the state that outlives it: what a dying key held is recorded once more, whole, under a living one.
//
// Who reads from the beginning meets entries that nobody can open any more, folds what is left, and gets at `state.carried` exactly the
// state of who could read them all. Who has that state already changes nothing but what is to be destroyed.
#include <algorithm>
#include <chrono>

#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/core/month_keys.h"
#include "ledger/core/workspace_state.h"

namespace counterfoil {
namespace {

constexpr std::uint64_t kCarriedFormat = 1;
constexpr std::size_t kMonthBytes = 3;

crypto::Bytes contentOf(const EntryView& view) {
  return crypto::bytesOf(view.body.text(Field::content));
}

}  // namespace

void saveMonths(ByteWriter& writer, const MonthKeys& months) {
  writer.number(months.size());
  for (const auto& [id, month] : months) {
    writer.text(id);
    writer.number(month);
  }
}

bool loadMonths(ByteReader& reader, MonthKeys& months) {
  for (std::uint64_t left = reader.count(kMonthBytes); left > 0; --left) {
    std::string id(reader.text());
    if (reader.failed() || (!months.empty() && !(months.rbegin()->first < id))) return false;
    months[std::move(id)] = reader.number();
  }
  return !reader.failed();
}

Timestamp endOfMonth(std::uint64_t month) {
  const std::uint64_t next = month + 1;
  const std::chrono::year_month_day first{std::chrono::year(static_cast<int>(next / 12)),
                                          std::chrono::month(static_cast<unsigned>(next % 12) + 1), std::chrono::day(1)};
  return {std::chrono::sys_time<std::chrono::nanoseconds>{std::chrono::sys_days{first}}.time_since_epoch().count()};
}

std::vector<KeyId> keyIdsOf(const MonthKeys& months) {
  std::vector<std::string_view> texts;
  for (const auto& [id, month] : months) texts.push_back(id);
  return keyIdsIn(texts);
}

bool WorkspaceState::isWhole() const {
  if (withheldUnder_.empty()) return true;
  return !lacksState_ && std::all_of(withheldUnder_.begin(), withheldUnder_.end(), [&](const KeyId& key) {
    const std::string id = toHex(key.bytes);
    return retention_.doomed.contains(id) || retention_.destroyed.contains(id);
  });
}

std::vector<std::uint8_t> WorkspaceState::carriedState(const MonthKeys& doomed, Timestamp recordedAt) const {
  std::vector<std::uint8_t> saved;
  save(saved);
  // Without what is forgotten after 24 hours anyway, as whoever has the state forgets it with the last part.
  NobodyElse nobody;
  WorkspaceState kept(number_, nobody);
  COUNTERFOIL_CHECK(kept.load(saved));
  kept.forgetAllEnded(recordedAt);
  std::vector<std::uint8_t> result;
  ByteWriter writer(result);
  writer.number(kCarriedFormat);
  saveMonths(writer, doomed);
  kept.save(result);
  return result;
}

void WorkspaceState::applyRetention(const EntryView& view) {
  Retention& retention = changeValue(retention_);
  const std::uint64_t days = view.body.number(Field::days);
  const bool shorter = days != 0 && (retention.days == 0 || days < retention.days);
  if (shorter) retention.inForceFrom = {view.recordedAt.nanoseconds + limits::kRetentionNoticeSeconds * kNanosecondsPerSecond};
  retention.days = days;
}

void WorkspaceState::applyCarried(const EntryView& view) {
  const std::uint64_t part = view.body.number(Field::part);
  const crypto::Bytes content = contentOf(view);
  Carrying& carrying = changeValue(carrying_);
  if (part == 1) {
    carrying = {view.body.number(Field::parts), 1, view.seq.value, {}};
    carriedBytes_.clear();
    ByteReader reader(content);
    // Nothing is destroyed for what this version does not understand.
    if (reader.number() != kCarriedFormat || !loadMonths(reader, carrying.doomed)) carrying = {};
  }
  // One after another, with nothing in between: otherwise they are not one state.
  if (carrying.parts == 0 || part != carrying.next || view.body.number(Field::parts) != carrying.parts ||
      view.seq.value != carrying.seq + part - 1) {
    carrying = {};
    return;
  }
  ++carrying.next;
  if (lacksState_) carriedBytes_.insert(carriedBytes_.end(), content.begin(), content.end());
  if (part < carrying.parts) return;
  const MonthKeys doomed = carrying.doomed;
  if (lacksState_ && !restoreCarried()) return;
  forgetAllEnded(view.recordedAt);
  Retention& retention = changeValue(retention_);
  retention.doomed.insert(doomed.begin(), doomed.end());
  changeValue(carrying_) = {};
}

// Entries that are read are never undone: the journal has nothing to say of the state before.
bool WorkspaceState::restoreCarried() {
  const std::vector<std::uint8_t> bytes = std::move(carriedBytes_);
  carriedBytes_.clear();
  ByteReader reader(bytes);
  MonthKeys doomed;
  reader.number();
  if (!loadMonths(reader, doomed)) return false;
  const std::uint64_t seq = carrying_.seq;
  const ChainHead head = head_;
  clear();
  const bool loaded = load(reader.rest()) && head_.size() == seq;
  if (!loaded) clear();
  head_ = head;
  lacksState_ = !loaded;
  return loaded;
}

void WorkspaceState::clear() {
  journalStart_ += journal_.size();
  journal_.clear();
  id_.clear();
  region_.clear();
  closed_ = false;
  erased_ = false;
  head_ = {};
  policy_.reset();
  policyName_.clear();
  policyDocument_.clear();
  policyVersion_ = 0;
  byId_.clear();
  leases_.clear();
  freeSlots_.clear();
  byFingerprint_.clear();
  liveByGrantee_.clear();
  reported_.clear();
  live_ = 0;
  owed_.clear();
  causes_.clear();
  nextCause_ = 1;
  ended_.clear();
  approvals_.clear();
  approvalsByAge_.clear();
  producers_.clear();
  allocated_.clear();
  nextNumber_ = 1;
  erasing_.clear();
  holds_.clear();
  doomedKeys_.clear();
  renewalAsked_ = false;
  retention_ = {};
  carrying_ = {};
}

}  // namespace counterfoil

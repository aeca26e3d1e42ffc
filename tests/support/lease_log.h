// A workspace's state with its clock, its timers and the log of what was recorded. Does what the sequencer does, one entry at a time.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ledger/core/encoding.h"
#include "ledger/core/ruling.h"

namespace counterfoil::test {

inline constexpr std::int64_t kSecond = kNanosecondsPerSecond;
inline constexpr std::int64_t kMinute = 60 * kSecond;
inline constexpr std::int64_t kHour = 60 * kMinute;

inline Timestamp operator+(Timestamp time, std::int64_t nanoseconds) {
  return {time.nanoseconds + nanoseconds};
}

// Remembers what was armed; due() gives out timers as a queue would.
class Timers final : public StateObserver {
 public:
  struct Timer {
    LeaseSlot slot;
    std::uint32_t stamp;
  };
  void armTimer(WorkspaceNumber, LeaseSlot slot, std::uint32_t stamp, Timestamp time) override {
    queue_.emplace(time, Timer{slot, stamp});
    latest_[slot] = {stamp, time};
  }
  void secretSeen(WorkspaceNumber, std::uint32_t generation, const FingerprintTag& tag) override { secrets.emplace(generation, tag); }
  // The slot of the earliest timer at or before `now` that counts; kNoLease if there is none. It is taken out.
  LeaseSlot takeDue(const WorkspaceState& state, Timestamp now) {
    while (!queue_.empty() && queue_.begin()->first <= now) {
      const Timer timer = queue_.begin()->second;
      queue_.erase(queue_.begin());
      if (state.timerCounts(timer.slot, timer.stamp)) return timer.slot;
    }
    return kNoLease;
  }
  // Is the timer that counts for this lease armed for `due`?
  bool isArmed(const WorkspaceState& state, LeaseSlot slot, Timestamp due) const {
    const auto found = latest_.find(slot);
    return found != latest_.end() && found->second.second == due && state.timerCounts(slot, found->second.first);
  }
  std::set<std::pair<std::uint32_t, FingerprintTag>> secrets;

 private:
  std::multimap<Timestamp, Timer> queue_;
  std::unordered_map<LeaseSlot, std::pair<std::uint32_t, Timestamp>> latest_;
};

// An entry read back from its bytes.
struct ReadBack {
  explicit ReadBack(const std::vector<std::uint8_t>& bytes) {
    const char* problem = readEntry(bytes, Strictness::strict, arena, view);
    EXPECT_EQ(problem, nullptr);
  }
  const StructValue& body() const { return view.body; }
  std::string text(Field field) const { return std::string(view.body.text(field)); }
  ReasonCode reason() const { return static_cast<ReasonCode>(view.body.number(Field::reasonCode)); }
  bool terminal() const { return view.body.flag(Field::terminal); }
  Arena arena;
  EntryView view;
};

class LeaseLog {
 public:
  explicit LeaseLog(WorkspaceNumber number) : number_(number), state_(std::make_unique<WorkspaceState>(number, *timers_)) {}

  WorkspaceState& state() { return *state_; }
  const WorkspaceState& state() const { return *state_; }
  Timers& timers() { return *timers_; }
  std::size_t size() const { return log_.size(); }
  const std::vector<std::uint8_t>& bytesAt(std::size_t seq) const { return log_.at(seq); }
  ReadBack at(std::size_t seq) const { return ReadBack(log_.at(seq)); }
  ReadBack last() const { return at(log_.size() - 1); }
  std::vector<std::uint8_t> saved() const {
    std::vector<std::uint8_t> bytes;
    state_->save(bytes);
    return bytes;
  }
  LeaseState stateOf(std::string_view lease) const { return state_->findLease(lease)->state; }

  // ---- what is due ----
  // Owed ends, then what is due, then what is owed because of it; at most `most` entries. How many were written.
  std::size_t settle(std::size_t most = static_cast<std::size_t>(-1)) {
    std::size_t written = 0;
    const auto owed = [&] {
      for (; written < most && state_->hasOwed(); ++written) record(owedEnd(*state_));
    };
    owed();
    while (written < most) {
      const LeaseSlot slot = timers_->takeDue(*state_, now);
      if (slot == kNoLease) break;
      if (state_->lease(slot).reported) continue;
      if (auto event = dueEnd(*state_, slot, now)) {
        record(std::move(*event));
        ++written;
      }
      owed();
    }
    std::vector<LeaseSlot> due;
    state_->collectReportedDue(now, most - written, due);
    for (const LeaseSlot slot : due) {
      auto event = dueEnd(*state_, slot, now);
      if (!event) {
        ADD_FAILURE() << "collected as due, but it is not";
        continue;
      }
      record(std::move(*event));
      ++written;
    }
    return written;
  }

  // ---- the log ----
  void record(RedactedEvent event) {
    ChainHead head = state_->head();
    ++nonce_;
    std::array<std::uint8_t, 16> nonce{};
    std::memcpy(nonce.data(), &nonce_, sizeof nonce_);
    const Entry entry = chain(std::move(event), number_, now, nonce, head);
    fold(*state_, entry.bytes());
    if (keepLog) log_.emplace_back(entry.bytes().begin(), entry.bytes().end());
  }
  void fold(WorkspaceState& state, crypto::Bytes bytes) const {
    arena_.reset();
    EntryView view;
    ASSERT_EQ(readEntry(bytes, Strictness::strict, arena_, view), nullptr);
    ASSERT_EQ(view.seq.value, state.head().size());
    ASSERT_EQ(view.previous, state.head().last);
    state.apply(view, leafHash(bytes));
  }
  void forgetFrom(std::size_t seq) { log_.resize(seq); }
  // save() of a state folded from zero.
  std::vector<std::uint8_t> refolded() const {
    Timers timers;
    WorkspaceState state(number_, timers);
    for (const auto& bytes : log_) fold(state, bytes);
    std::vector<std::uint8_t> bytes;
    state.save(bytes);
    return bytes;
  }
  // The same of who cannot open the entries before `readable`, which lie under the key; nothing if that state is not whole.
  std::vector<std::uint8_t> refoldedFrom(std::size_t readable, const KeyId& key) const {
    Timers timers;
    WorkspaceState state(number_, timers);
    for (std::size_t seq = 0; seq < log_.size(); ++seq) {
      if (seq < readable) {
        state.applyWithheld({seq}, leafHash(log_[seq]), key);
      } else {
        fold(state, log_[seq]);
      }
    }
    std::vector<std::uint8_t> bytes;
    if (state.isWhole()) state.save(bytes);
    return bytes;
  }
  // Goes on with a state restored from save()'s bytes, and with its timers alone.
  void restart() {
    const std::vector<std::uint8_t> before = saved();
    auto timers = std::make_unique<Timers>();
    auto state = std::make_unique<WorkspaceState>(number_, *timers);
    ASSERT_TRUE(state->load(before));
    state_ = std::move(state);
    timers_ = std::move(timers);
    ASSERT_EQ(saved(), before);
  }

  Timestamp now{1'772'000'000 * kSecond};
  bool keepLog = true;

 protected:
  EntryId freshId() {
    ++ids_;
    std::array<std::uint8_t, 10> random{};
    std::memcpy(random.data() + 3, &ids_, 7);  // behind the bits that say what kind of id it is
    return makeUuidV7(now, random);
  }

 private:
  WorkspaceNumber number_;
  std::unique_ptr<Timers> timers_ = std::make_unique<Timers>();
  std::unique_ptr<WorkspaceState> state_;
  std::vector<std::vector<std::uint8_t>> log_;
  mutable Arena arena_;
  std::uint64_t ids_ = 0;
  std::uint64_t nonce_ = 0;
};

}  // namespace counterfoil::test

// What a caller learns of its command or fact, once the entries are durable.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "ledger/core/entry.h"
#include "ledger/core/lease.h"
#include "ledger/core/outcome.h"
#include "ledger/core/workspace_state.h"

namespace counterfoil::write {

// Proof that the ledger has taken an entry (FORMATS: Receipts; index, path and note come with transparency).
struct Receipt {
  WorkspaceNumber number;
  Sequence seq;
  LeafHash leafHash;
  EntryId id;
  Timestamp recordedAt;
};

// The lease as it is right after the entry.
struct LeaseSummary {
  std::string id;
  LeaseState state = LeaseState::granted;
  Timestamp issuedAt;
  Timestamp expiresAt;
  Timestamp renewableUntil;
  std::uint64_t uses = 0;
  std::uint64_t maxUses = 0;
};

struct Answer {
  Kind kind = Kind::none;  // of the entry; none if nothing was recorded (the first end of an ended lease is the answer)
  bool denied = false;
  ReasonCode reasonCode = ReasonCode::unspecified;
  std::optional<Receipt> receipt;
  std::optional<LeaseSummary> lease;
  std::string approvalId;
  std::string revocationId;
  std::string holdId;
  std::uint64_t matched = 0;
  std::uint64_t policyVersion = 0;
  std::uint64_t workspaceNumber = 0;  // workspace.create
  bool replayed = false;
};

// Called once, from a thread of the ledger, with one of the two. Must not block.
using Completion = std::function<void(const Answer*, const Fault*)>;

LeaseSummary summaryOf(const Lease& lease);

// The answer an entry stands for; `state` has just folded it. The same at the first time and at recovery.
Answer answerOf(const EntryView& view, const LeafHash& leaf, const WorkspaceState& state);

}  // namespace counterfoil::write

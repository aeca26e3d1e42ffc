// Decisions: what entries a command, a fact or the passing of time leads to. Pure functions of the workspace's state; nothing changes until
// the entries are chained and applied.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/event.h"
#include "ledger/core/workspace_state.h"

namespace counterfoil {

// What the decision needs besides state and command.
struct RulingContext {
  Timestamp recordedAt;             // the ledger's clock, as the entries will carry it
  std::string_view granteeId;       // as received, for the policy; a human's becomes a pseudonym in the command
  std::string_view requestBinding;  // hex; binds grantee, scope, resources and ttl of a lease or approval request, or who is to be erased
};

struct Ruling {
  std::vector<RedactedEvent> entries;  // to be chained in this order; empty: the first end of an ended lease is the answer
  bool denied = false;
  ReasonCode reasonCode = ReasonCode::unspecified;
  std::string leaseId;
  std::string approvalId;
  std::string revocationId;
  std::string holdId;
  std::uint64_t matched = 0;
  std::uint64_t policyVersion = 0;
};

// Rules on one command. Throws Fault for what is no decision: noSuchItem, alreadyExists, invalidValue, notAllowed, workspaceClosed,
// holdInForce.
// `command` is consumed.
Ruling rule(const WorkspaceState& state, RedactedCommand command, const RulingContext& context);

// Completes a fact: uses, late, terminal. Throws Fault(commandedLease | workspaceClosed).
RedactedEvent completeFact(const WorkspaceState& state, RedactedEvent fact, Timestamp recordedAt);

// The end that the first owed lease waits for. state.hasOwed().
RedactedEvent owedEnd(const WorkspaceState& state);

// The end of a lease whose time has come (for a reported one: whose producer's watermark has passed it); nullopt if it has not (renewed,
// ended or issued meanwhile).
std::optional<RedactedEvent> dueEnd(const WorkspaceState& state, LeaseSlot slot, Timestamp recordedAt);

// The `state.carried` entries of a content (WorkspaceState::carriedState()), to be recorded together. `first` becomes the first one's id.
// Throws Fault(tooLarge) if there is too much to be carried at once.
std::vector<RedactedEvent> carriedEvents(const std::vector<std::uint8_t>& content, const EntryId& first);

// What is still to be recorded in a workspace that is to be erased, at most `leasesMax` ends of leases at once: that it is closed, the ends
// of what it granted, and, once none of them lives or is owed an end, its last entry. `id` becomes the first one's.
std::vector<RedactedEvent> endOfWorkspace(const WorkspaceState& state, std::size_t leasesMax, const EntryId& id);

// The id of the n-th entry that follows from `cause`: UUIDv8(SHA-256(cause "\n" lease id "\n" n)). From a grant: 1 is `lease.issued` of the
// same request, 2 the expiry. From any other cause: 1 is the owed end.
EntryId derivedId(const EntryId& cause, std::string_view leaseId, unsigned number);

}  // namespace counterfoil

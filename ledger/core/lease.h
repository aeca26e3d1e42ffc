// One lease as the writer of its workspace remembers it, and the words for its states (EVENTS: Leases).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/ids.h"
#include "ledger/core/redaction_keys.h"
#include "ledger/core/value.h"

namespace counterfoil {

enum class LeaseState : std::uint8_t {
  granted,      // commanded: waiting for `lease.issued`
  active,       // may be consumed and renewed
  consumedOut,  // ended by its last allowed use
  revoked,
  expired,
  failed,  // could not be issued
};

inline bool isEnded(LeaseState state) {
  return state >= LeaseState::consumedOut;
}
// "granted", "active", "consumed_out", ... as in JSON.
std::string_view leaseStateName(LeaseState state);

using LeaseSlot = std::uint32_t;
inline constexpr LeaseSlot kNoLease = 0xffffffff;

// What a lease was granted for; never changes. Packed into one string so that two million of them stay small.
struct LeaseTerms {
  PrincipalKind granteeKind = PrincipalKind::unspecified;
  std::string_view grantee;  // a human's is a pseudonym
  std::string_view run, host, bundle, source, producer;
  std::vector<std::string_view> scope, resources;
};
std::string packTerms(const LeaseTerms& terms);
// Views into `packed`.
LeaseTerms unpackTerms(std::string_view packed);
// The same without scope and resources, which stay empty: all that indexes and selectors ask for.
LeaseTerms unpackOwner(std::string_view packed);
// Are these bytes that packTerms() gives?
bool areTerms(std::string_view packed);

// The part of a lease that changes; plain data, so that undoing a change is a copy.
struct LeaseProgress {
  Timestamp expiresAt;  // zero: unknown (reported leases only)
  Timestamp issueBy;    // commanded, state granted: until when `lease.issued` must follow
  Timestamp endedAt;    // recorded time; event time, but no later than the recorded one, for reported leases
  std::uint64_t uses = 0;
  std::uint64_t endSeq = 0;
  std::uint32_t timer = 0;          // stamp of the timer that counts; older ones are void
  std::uint32_t cause = 0;          // number of the cause whose owed end this lease waits for; 0 none
  std::uint32_t tagGeneration = 0;  // of `tag`; 0: no secret known
  FingerprintTag tag{};
  LeaseState state = LeaseState::granted;
};

struct Lease : LeaseProgress {
  std::string id;
  std::string terms;  // packTerms()
  EntryId grantEntry;
  Timestamp issuedAt;
  Timestamp renewableUntil;
  std::uint64_t maxUses = 0;
  std::uint64_t grantSeq = 0;
  LeaseSlot parent = kNoLease;
  LeaseSlot firstChild = kNoLease;  // the newest; each knows its neighbours
  LeaseSlot nextSibling = kNoLease;
  LeaseSlot previousSibling = kNoLease;
  std::uint8_t depth = 1;
  bool reported = false;
  bool occupied = false;  // the slot holds a lease
};

}  // namespace counterfoil

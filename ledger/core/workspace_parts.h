// What the writer's state of a workspace is made of besides its leases: approvals, holds, producers, allocations, what is owed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/entry.h"
#include "ledger/core/ids.h"

namespace counterfoil {

struct Approval {
  std::string requestDigest;
  std::string requestedBy;  // principalKey of the actor, as recorded
  std::string onBehalfOf;   // the same of the person it is for; empty if none
  Timestamp expiresAt;
  std::uint16_t decision = 0;  // 0 pending, else Decision
  PrincipalKind decidedByKind = PrincipalKind::unspecified;
  std::string decidedBy;         // id, as recorded
  bool byAdministrator = false;  // nobody else may decide: it is for an erasure
  bool usedUp = false;
};

// What may not be erased while it stands.
struct Hold {
  std::string scope;  // kWholeWorkspace, or a person's pseudonym
  Timestamp until;    // zero: until it is released
  bool standsAt(Timestamp time) const { return until.nanoseconds == 0 || time < until; }
};
inline constexpr std::string_view kWholeWorkspace = "workspace";
// The operation of approvals that erasures ask for.
inline constexpr std::string_view kEraseOperation = "subject.erase";
inline constexpr std::string_view kEraseWorkspaceOperation = "workspace.erase";
// Purposes of keys as entries name them.
inline constexpr std::string_view kSubjectPurpose = "subject";
inline constexpr std::string_view kFingerprintPurpose = "fingerprint";
inline constexpr std::string_view kKeyEncryptionPurpose = "key_encryption";
inline constexpr std::string_view kLogPurpose = "log";

// Keys of months by their ids in hex, and the months: year * 12 + month - 1.
using MonthKeys = std::map<std::string, std::uint64_t>;

// When such a month is over: the first instant of the next.
Timestamp endOfMonth(std::uint64_t month);

// How long content is kept.
struct Retention {
  std::uint64_t days = 0;  // after the end of a month; 0: for ever
  Timestamp inForceFrom;   // nothing goes before: whoever sees the order may still place a hold
  MonthKeys doomed;        // whose state was carried on, and whose destruction is not on the record yet
  MonthKeys destroyed;
};

// `state.carried` entries as they are read one after another: what a dying key held, in parts.
struct Carrying {
  std::uint64_t parts = 0;  // 0: none is under way
  std::uint64_t next = 0;   // the part that must come
  std::uint64_t seq = 0;    // of the first part
  MonthKeys doomed;
};

// How far a source's producer has come. Commands count for its numbers only, facts for its time as well.
struct ProducerState {
  struct Range {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
  };
  Timestamp greatestOccurredAt;     // of its facts
  std::uint64_t contiguousSeq = 0;  // greatest producerSeq with no gap before it
  std::vector<Range> ahead;         // received beyond a gap, in order, a gap before each; at most 1,024
  bool finished = false;            // import.finished came, and no fact since: its watermark is the ledger's clock
};

// Why leases are owed an end: one revocation, expiry or last use, and how many still wait for their own entry because of it.
struct OwedCause {
  std::string cascadeOf;  // lease id, or id of a bulk revocation
  EntryId entry;
  bool revoked = false;  // else: expired, reason parent
  std::uint64_t remaining = 0;
};

// What `_system` says of a workspace it made.
enum class Erasure : std::uint8_t {
  none,
  ordered,  // it is closed, its leases end, and then its keys go
  done,     // its keys are gone for good; its number and head stay
};
struct Allocation {
  std::uint64_t number = 0;
  std::uint64_t partition = 0;  // of the log, which holds its chain
  std::string region;
  Erasure erasure = Erasure::none;
};

// Is this the last entry of a workspace that is erased? `_system` has one of the kind as well: the order.
bool isLastWord(const EntryView& view);

// How `_system` names all versions of a workspace's key-encryption key.
std::string lastKeyName(WorkspaceNumber number);
// The number in it; nullopt for other names.
std::optional<WorkspaceNumber> workspaceOfLastKey(std::string_view name);

// Ids of keys from their hex; what is none is passed over.
std::vector<KeyId> keyIdsIn(std::span<const std::string_view> texts);
// Those of months.
std::vector<KeyId> keyIdsOf(const MonthKeys& months);
// The keys that an entry of kind subject.erased names.
std::vector<KeyId> erasedKeys(const StructValue& body);

}  // namespace counterfoil

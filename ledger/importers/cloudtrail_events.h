// What a CloudTrail record becomes (docs/import-cloudtrail.md). Pure but for the leases it looks up and adds.
#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "ledger/importers/cloudtrail_leases.h"
#include "ledger/importers/cloudtrail_record.h"
#include "ledger/importers/importer.h"

namespace counterfoil::importers {

inline constexpr std::string_view kCloudTrailSource = "import/cloudtrail";

// What a record will give, known before any of its events is made.
struct CloudTrailParts {
  bool grants = false;  // a lease: given before everything else of its time
  bool rest = false;    // uses, denials, vault events
  bool named = false;   // names the key of its caller
};
CloudTrailParts partsOf(const CloudTrailRecord& record);

// Appends lease.granted and adds the issued key to `leases`. False if the key was issued by another record already, which is how two
// accounts see one call: nothing is appended then. The record must have such a part.
bool appendGrant(const CloudTrailRecord& record, CloudTrailLeases& leases, std::deque<ImportedEvent>& out);

// Appends all others: the use of the caller's key (lease.consumed, lease.denied or credential.used), then what else the call did
// (lease.denied of a refused AssumeRole, vault.written, vault.read).
void appendRest(const CloudTrailRecord& record, CloudTrailLeases& leases, std::deque<ImportedEvent>& out);

// "aws:<account>", the account that received the record; "aws:unknown" if it names none.
std::string producerOf(const CloudTrailRecord& record);

}  // namespace counterfoil::importers

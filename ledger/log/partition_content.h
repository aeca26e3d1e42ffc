// The content of the records that belong to the log itself (genesis, claim), and how a writer's records get their headers. Shared by all
// logs. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ledger/core/ids.h"
#include "ledger/log/partition_fold.h"
#include "ledger/log/record.h"

namespace counterfoil::log {

// Who writes. `node` and `incarnation` are only evidence in the headers (validity never looks at them); the incarnation is drawn anew at
// every start of the process.
struct WriterIdentity {
  std::uint64_t node = 0;
  std::uint64_t incarnation = 0;
  std::string name;         // of the node, for people; at most 512 bytes, as is the URL
  std::string url;          // where other nodes reach it; may be empty
  std::uint16_t level = 1;  // of this software's record format
};

// What a new ledger's genesis says.
struct LedgerFacts {
  std::string ledgerId;
  std::string origin;
  Timestamp createdAt;
};

struct Genesis {
  LedgerFacts ledger;
  std::uint32_t partition = 0;
  std::uint32_t partitions = 0;
};

// Canonical bytes of the values. Thread safe.
std::vector<std::uint8_t> genesisValue(const Genesis& genesis);
std::vector<std::uint8_t> claimValue(const WriterIdentity& identity);
// nullopt if the bytes are damaged.
std::optional<Genesis> readGenesis(crypto::Bytes value);

RecordHeader genesisHeader(const WriterIdentity& identity);
// The claim that would follow `state`.
RecordHeader claimHeader(const WriterIdentity& identity, const FoldState& state);

// False if the content of a valid record of the log's own kinds contradicts its header: damage. Other kinds are for the layers above.
bool contentFits(const RecordHeader& header, crypto::Bytes value);

// Gives a writer's records their headers, and proves beforehand that every reader will count them. One thread.
class WriterStamp {
 public:
  // `state` ends right behind the writer's own claim.
  WriterStamp(WriterIdentity identity, FoldState state);
  // Position of the next record.
  Position next() const { return state_.next; }
  // The headers of `batch`, in order. Throws Fault(internal | tooLarge) if a record would be void, is of the log's own kinds or is over
  // limits::kRecordBytesMax; then the writer is at its end.
  std::vector<RecordHeader> stamp(const std::vector<NewRecord>& batch);

 private:
  WriterIdentity identity_;
  FoldState state_;
};

}  // namespace counterfoil::log

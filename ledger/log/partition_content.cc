#include "ledger/log/partition_content.h"

#include <utility>

#include "ledger/core/codec.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"
#include "ledger/core/schema_tables.h"
#include "ledger/log/event_log.h"

namespace counterfoil::log {

std::vector<std::uint8_t> genesisValue(const Genesis& genesis) {
  Arena arena;
  StructValue value = makeStruct(arena, *schemaTables().genesis);
  value.setText(arena, Field::ledgerId, genesis.ledger.ledgerId);
  value.setText(arena, Field::origin, genesis.ledger.origin);
  value.setNumber(Field::partition, genesis.partition);
  value.setNumber(Field::partitions, genesis.partitions);
  value.setTime(Field::createdAt, genesis.ledger.createdAt);
  return encodeCanonical(value);
}

std::vector<std::uint8_t> claimValue(const WriterIdentity& identity) {
  Arena arena;
  StructValue value = makeStruct(arena, *schemaTables().claim);
  value.setText(arena, Field::node, identity.name);
  value.setText(arena, Field::url, identity.url);
  value.setNumber(Field::level, identity.level);
  return encodeCanonical(value);
}

std::optional<Genesis> readGenesis(crypto::Bytes value) {
  Arena arena;
  const DecodeResult decoded = decodeCanonical(*schemaTables().genesis, value, Strictness::lenient, arena);
  if (!decoded) return std::nullopt;
  Genesis result;
  result.ledger.ledgerId = decoded.value.text(Field::ledgerId);
  result.ledger.origin = decoded.value.text(Field::origin);
  result.ledger.createdAt = decoded.value.time(Field::createdAt);
  result.partition = static_cast<std::uint32_t>(decoded.value.number(Field::partition));
  result.partitions = static_cast<std::uint32_t>(decoded.value.number(Field::partitions));
  return result;
}

std::optional<Claimant> claimantOf(const ValidRecord& record) {
  if (record.kind != RecordKind::claim) return std::nullopt;
  Arena arena;
  const DecodeResult decoded = decodeCanonical(*schemaTables().claim, record.value, Strictness::lenient, arena);
  if (!decoded) return std::nullopt;
  return Claimant{std::string(decoded.value.text(Field::node)), std::string(decoded.value.text(Field::url))};
}

FoldState forEachKeysRecord(EventLog& eventLog, PartitionId partition, const FoldState& from,
                            const std::function<void(const ValidRecord&)>& visit) {
  const auto reader = eventLog.read(partition, from);
  ValidRecord record;
  while (reader->next(record)) {
    if (record.kind == RecordKind::keys) visit(record);
  }
  return reader->state();
}

RecordHeader genesisHeader(const WriterIdentity& identity) {
  RecordHeader header;
  header.kind = RecordKind::genesis;
  header.level = identity.level;
  header.node = identity.node;
  header.incarnation = identity.incarnation;
  return header;
}

RecordHeader claimHeader(const WriterIdentity& identity, const FoldState& state) {
  RecordHeader header = genesisHeader(identity);
  header.kind = RecordKind::claim;
  header.term = state.term + 1;
  header.pseq = state.pseq;
  return header;
}

bool contentFits(const RecordHeader& header, crypto::Bytes value) {
  switch (header.kind) {
    case RecordKind::genesis:
      return readGenesis(value).has_value();
    case RecordKind::claim: {
      Arena arena;
      const DecodeResult decoded = decodeCanonical(*schemaTables().claim, value, Strictness::lenient, arena);
      return decoded && decoded.value.number(Field::level) == header.level;
    }
    case RecordKind::tick:
      return value.empty();
    default:
      return true;
  }
}

WriterStamp::WriterStamp(WriterIdentity identity, FoldState state) : identity_(std::move(identity)), state_(std::move(state)) {}

std::vector<RecordHeader> WriterStamp::stamp(const std::vector<NewRecord>& batch) {
  std::vector<RecordHeader> headers(batch.size());
  for (std::size_t index = 0; index < batch.size(); ++index) {
    const NewRecord& record = batch[index];
    RecordHeader& header = headers[index];
    header.kind = record.kind;
    header.level = identity_.level;
    header.term = state_.term;
    header.pseq = state_.pseq;
    header.node = identity_.node;
    header.incarnation = identity_.incarnation;
    header.workspace = record.workspace;
    header.seq = record.seq;
    header.previous = record.previous;
    header.leaf = record.leaf;
    if (record.value.size() > limits::kRecordBytesMax) throw Fault(ErrorCode::tooLarge, "a record is larger than the log takes");
    if (record.kind == RecordKind::claim || fold(state_, header) != FoldVerdict::valid || !contentFits(header, record.value)) {
      throw Fault(ErrorCode::internal, "a record handed to the log does not follow what the log holds");
    }
  }
  return headers;
}

}  // namespace counterfoil::log

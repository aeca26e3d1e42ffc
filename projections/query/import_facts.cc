#include "projections/query/import_facts.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "ledger/core/schema_tables.h"

namespace counterfoil::query {
namespace {

EntryId idOf(crypto::Bytes bytes) {
  EntryId id;
  if (bytes.size() == id.bytes.size()) std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return id;
}

LeafHash leafOf(crypto::Bytes bytes) {
  LeafHash leaf;
  if (bytes.size() == leaf.bytes.size()) std::copy(bytes.begin(), bytes.end(), leaf.bytes.begin());
  return leaf;
}

}  // namespace

RecordedFacts findRecorded(ViewConnection& view, std::span<const ImportedFact> facts) {
  std::vector<ImportedFact> wanted(facts.begin(), facts.end());
  const auto order = [](const ImportedFact& left, const ImportedFact& right) {
    return std::tie(left.occurredAt, left.id) < std::tie(right.occurredAt, right.id);
  };
  std::sort(wanted.begin(), wanted.end(), order);
  RecordedFacts result;
  result.size = static_cast<std::uint64_t>(view.size());
  LentStatement rows = view.statement("SELECT seq, id, leaf, recorded_at FROM entry WHERE occurred_at = ?1");
  for (auto first = wanted.begin(); first != wanted.end();) {
    const Timestamp time = first->occurredAt;
    const auto last = std::find_if(first, wanted.end(), [&](const ImportedFact& fact) { return fact.occurredAt != time; });
    rows->bindNumber(1, time.nanoseconds);
    while (rows->step()) {
      const EntryId id = idOf(rows->blob(1));
      if (!std::binary_search(first, last, ImportedFact{id, time}, order)) continue;
      result.found.push_back({id, {static_cast<std::uint64_t>(rows->number(0))}, leafOf(rows->blob(2)), {rows->number(3)}});
    }
    first = last;
  }
  std::sort(result.found.begin(), result.found.end(),
            [](const RecordedFact& left, const RecordedFact& right) { return left.id < right.id; });
  return result;
}

std::map<std::string, std::uint64_t> countCaused(ViewConnection& view, std::string_view source, Sequence since) {
  std::map<std::string, std::uint64_t> counts;
  const auto of = view.findName(source);
  const auto ledger = view.findName("ledger");
  if (!of || !ledger) return counts;
  const auto sinceSeq = static_cast<std::int64_t>(since.value);
  LentStatement ends = view.statement(
      "SELECT count(*) FROM entry AS e WHERE e.kind = ?1 AND e.seq >= ?2 AND +e.source = ?3 AND "
      "EXISTS (SELECT 1 FROM lease AS l WHERE l.lease = e.lease AND l.source = ?4)");
  for (const Kind kind : {Kind::leaseExpired, Kind::leaseRevoked}) {
    const auto name = view.findName(kindName(kind));
    if (!name) continue;
    ends->bindNumber(1, *name);
    ends->bindNumber(2, sinceSeq);
    ends->bindNumber(3, *ledger);
    ends->bindNumber(4, *of);
    if (ends->step() && ends->number(0) > 0) counts[std::string(kindName(kind))] = static_cast<std::uint64_t>(ends->number(0));
    ends->reset();
  }
  // What ended a producer's part is the last that was recorded of it.
  LentStatement finished = view.statement("SELECT count(*) FROM producer WHERE source = ?1 AND finished = 1 AND last_seq >= ?2");
  finished->bindNumber(1, *of);
  finished->bindNumber(2, sinceSeq);
  if (finished->step() && finished->number(0) > 0) {
    counts[std::string(kindName(Kind::importFinished))] = static_cast<std::uint64_t>(finished->number(0));
  }
  return counts;
}

}  // namespace counterfoil::query

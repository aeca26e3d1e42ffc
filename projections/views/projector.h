// Folds the entries of one workspace into the rows of its view. One pass an entry, the same code for live views and rebuilds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/entry.h"
#include "projections/views/entry_fields.h"
#include "projections/views/names.h"
#include "projections/views/rows.h"

namespace counterfoil::views {

// What a projector keeps in memory between batches.
struct ProjectorLimits {
  std::size_t nameBytes = 256 * 1024;
  std::size_t rows = 512;     // of each table
  std::size_t leases = 2048;
};

// One thread; lives no longer than `database`, whose tables exist. Faults are databaseFault()'s: the caller rolls the batch back and
// makes another projector. Entries come in order, checked: their leaf, chain and form are the caller's business.
class Projector {
 public:
  Projector(Database& database, const ProjectorLimits& limits);

  // `log`: of the entry's record.
  void apply(const EntryView& view, const LeafHash& leaf, crypto::Bytes bytes, Position log);
  // An entry whose content is gone.
  void applyWithheld(Sequence seq, const LeafHash& leaf);
  // Writes what is still in memory; after it the database holds everything applied, and sums() fits it.
  void flush();
  // After a commit: keeps memory within its bounds.
  void trim();
  // Of all tables, in order of their names.
  std::vector<TableSum> sums();
  // Before the first entry: `sums` as stored with the position (one a table, in order), or none for empty tables.
  void start(const std::vector<RowSum>& sums);
  // Bytes in memory, about.
  std::size_t memory() const;

 private:
  // One entry on its way: its fields, and what several parts need of it.
  struct Step;

  Cell nameCell(std::string_view text);
  void setName(Row& row, std::size_t column, std::string_view text);
  void setTime(Row& row, std::size_t column, std::int64_t nanoseconds);
  void count(std::string_view what, std::uint64_t seq, std::int64_t by = 1);
  void countId(NameId what, std::uint64_t seq, std::int64_t by);

  // projector.cc
  void writeEntry(Step& step, const LeafHash& leaf, crypto::Bytes bytes, Position log);
  void writeValues(Step& step);
  void writeText(Step& step);
  void noteKind(Step& step);
  void noteTime(std::uint64_t seq, std::int64_t time);
  // projector_leases.cc
  void foldLease(Step& step);
  void grant(Step& step);
  void endLease(Step& step, Row& lease, std::string_view state);
  void changeState(Step& step, Row& lease, std::string_view state);
  void setReach(Row& lease);
  void fillGrant(Step& step, Row& lease, bool reported);
  bool forgotten(const Step& step, const Row& lease);
  Row* findLease(std::string_view leaseId);
  Row* findByFingerprint(std::string_view fingerprint);
  void noteState(Step& step, const Row& lease);
  void foldDenial(Step& step);
  void foldRevocation(Step& step);
  Row* latestLease(NameId name, std::unordered_map<NameId, std::int64_t>& known, LazyStatement& statement);
  // projector_actors.cc
  void foldActors(Step& step);
  Row& touchPrincipal(std::string_view principal, std::uint64_t seq);
  void foldRun(Step& step);
  void reach(NameId run, std::string_view what, std::string_view value, bool refused, std::uint64_t seq);
  void foldHost(Step& step);
  void connectHost(Step& step, Row& host);
  void foldSandbox(Step& step);
  void foldProducer(Step& step);
  void fillGap(const RowKey& producer, std::int64_t given);
  // projector_records.cc
  void foldRecords(Step& step);
  void foldBundle(Step& step);
  void retireByKey(Step& step, std::string_view fingerprint, std::string_view except);
  void retire(Step& step, Row& bundle);
  void foldVault(Step& step);
  void foldApproval(Step& step);
  void foldFinding(Step& step);
  void foldWorkspace(Step& step);
  void foldPolicy(Step& step);
  void foldHold(Step& step);
  void foldToken(Step& step);

  Database& database_;
  NameTable names_;
  RowWriter entry_, resource_, scope_, fingerprint_, denial_, vaultVersion_, evidence_, policy_, retention_;
  RowCache lease_, revocation_, run_, runReach_, principal_, host_, connection_, sandbox_, bundle_, vaultSecret_, vault_, approval_, producer_,
      producerGap_, finding_, hold_, workspace_, accessToken_, counter_, block_;
  std::vector<std::pair<const Table*, RowSum*>> sums_;  // of all of the above, by table name
  std::vector<RowCache*> caches_;
  LazyStatement content_, text_, leaseByName_, leaseByFingerprint_, bundleByFingerprint_, gapAround_, lowestGap_;
  std::vector<NameId> kindCounters_;  // `kind <kind>`, by kind number; 0: not met yet
  std::unordered_map<NameId, std::int64_t> leaseByNameCache_;         // newest granted_seq
  std::unordered_map<NameId, std::int64_t> leaseByFingerprintCache_;  // of reported leases: newest granted_seq
  std::size_t leasesMax_;
  bool leasesComplete_ = false;  // the two above know every lease
  std::string scratch_;
  std::vector<Cell> cells_;  // of an entry
  std::vector<Cell> link_;   // of a resource, scope or fingerprint
  std::vector<NameId> seen_;
  std::vector<std::pair<NameId, NameId>> shown_;
};

}  // namespace counterfoil::views

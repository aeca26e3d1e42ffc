// One import: pulls facts from an importer, records those that are new, and tells the ledger where each producer stands.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "cmd/session.h"
#include "ledger/importers/importer.h"
#include "ledger/write/import_support.h"

namespace counterfoil::cmd {

struct ImportResult {
  std::uint64_t recorded = 0;    // facts of the input
  std::uint64_t duplicates = 0;  // recorded by an earlier import, or said twice in the input
  std::uint64_t failed = 0;
  std::map<std::string, std::uint64_t> byKind;    // every entry the import caused, expiries included
  std::map<std::string, std::uint64_t> refusals;  // facts the ledger refused, by error code
};

// Not thread safe. Runs on the caller's thread; at most a few thousand facts are in flight.
class ImportRun {
 public:
  ImportRun(Session& session, std::string source);
  // For the importer: the reported lease of a credential an earlier import saw being issued.
  importers::KnownLease knownLease();
  // Pulls until the end, records, finishes the producers, waits until every lease whose time is over has its end on the record.
  ImportResult run(importers::Importer& importer);

 private:
  void loadRecordedIds();
  void submit(importers::ImportedEvent event);
  void waitUntilBelow(std::size_t outstanding);
  // False: nothing is new since each one's last import.finished.
  bool finishProducers();
  void countEntries(ImportResult& result, std::uint64_t from);

  Session& session_;
  std::string source_;
  WorkspaceNumber workspace_;
  std::set<EntryId> recordedIds_;
  std::map<std::string, write::ImportCounts> producers_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::size_t outstanding_ = 0;
  ImportResult result_;
};

}  // namespace counterfoil::cmd

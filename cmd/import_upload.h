// One import through a server: pulls facts from an importer and sends them in batches, in their order. Whatever breaks off, the same import
// again goes on where it was: the server knows what is recorded.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/import_run.h"
#include "cmd/server_link.h"
#include "ledger/importers/importer.h"

namespace counterfoil::cmd {

// Used by one thread. Holds one batch, however long the import is.
class ImportUpload {
 public:
  // `server` outlives it. Sends nothing yet.
  ImportUpload(const CommonOptions& common, ServerLink& server, std::string source);
  // Tells the server that this import sends no more, should run() not have come to its end.
  ~ImportUpload();
  ImportUpload(const ImportUpload&) = delete;
  ImportUpload& operator=(const ImportUpload&) = delete;

  // For the importer: the reported lease of a credential an earlier import saw being issued.
  importers::KnownLease knownLease();
  // As ImportRun::run(). Throws Fault: importRunning if another import of this source does not end, what the server refuses the import as a
  // whole with, and notReady, intakeFull, rateLimited, ... if it has no room for long.
  ImportResult run(importers::Importer& importer);

 private:
  // Begins the import unless it is begun; waits for another one's end.
  void begin();
  // Sends a request of this import; begins anew, once, if the server does not know it any more.
  HttpAnswer send(std::string_view behind, std::string_view contentType, std::string_view body);
  void add(importers::ImportedEvent imported);
  // Sends the batch until each of its facts has its answer.
  void flush();
  // Takes the answers of the facts from `first` on; the place of the first one that is to be sent again.
  std::size_t take(std::string_view answers, std::size_t first);
  void takeOne(std::string_view result, std::size_t place);
  void finish();

  const CommonOptions& common_;
  ServerLink& server_;
  const std::string source_;
  std::string import_;       // empty: not begun
  std::uint64_t since_ = 0;  // the record's size when this run first began
  bool begunBefore_ = false;
  WipingString batch_;             // lines with their ends
  std::vector<std::size_t> ends_;  // of each line in it
  std::vector<Kind> kinds_;        // of each fact in it
  std::set<std::string> producers_;
  std::string refusal_;  // the last answer that asked to come again
  ImportResult result_;
};

}  // namespace counterfoil::cmd

// CloudTrail log files -> facts about leases, credentials and secrets (docs/import-cloudtrail.md says what becomes what).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ledger/importers/cloudtrail_events.h"
#include "ledger/importers/cloudtrail_record.h"
#include "ledger/importers/cloudtrail_splitter.h"
#include "ledger/importers/importer.h"
#include "ledger/importers/input_files.h"

namespace counterfoil::importers {

struct CloudTrailOptions {
  InputLimits input;
  // An index of 48 bytes a record is held in memory.
  std::size_t recordsMax = 10'000'000;
  // Text of records that is held at once; each file is read once more for each window that has some of its records.
  std::size_t windowBytes = 32 * 1024 * 1024;
};

// Reads everything twice: the first call of next() reads all files to learn the order of their records, later ones read the records
// themselves, a window of them at a time. Memory: the index and one window, however large the input. No temporary files.
class CloudTrailImporter final : public Importer {
 public:
  // `known` and `progress` may be null. Faults as of listInputs().
  CloudTrailImporter(const std::vector<std::filesystem::path>& inputs, KnownLease known, ProgressCallback progress,
                     const CloudTrailOptions& options = {});

  bool next(ImportedEvent& out) override;
  const ImportSummary& summary() const override { return summary_; }

 private:
  // What is to be made of one record at one place in the order.
  struct Item {
    std::array<std::uint8_t, 16> id;  // of the UUID; of a hash of what is none
    std::int64_t time = 0;
    std::uint64_t offset = 0;
    std::uint32_t file = 0;
    std::uint32_t bytes = 0;
    std::uint8_t phase = 0;  // 0: a grant
  };
  static_assert(sizeof(Item) == 48);
  struct Place {
    std::size_t at = 0;  // in window_
    bool read = false;
  };

  void readAll();
  void readFile(std::uint32_t file);
  void index(const CloudTrailSplitter::Record& found, std::uint32_t file);
  void dropDuplicates();
  void loadWindow();
  void loadFrom(std::uint32_t file, const std::vector<std::size_t>& items);
  void makeEvents(std::size_t item);
  void problem(std::uint32_t file, std::uint64_t offset, const Fault& fault);
  void report(ImportProgress::Phase phase, std::uint64_t done, std::uint64_t total);

  CloudTrailOptions options_;
  ProgressCallback progress_;
  CloudTrailLeases leases_;
  InputList inputs_;
  ImportSummary summary_;
  bool indexed_ = false;
  std::vector<Item> items_;
  std::size_t nextItem_ = 0;

  // Items [windowBegin_, windowEnd_) and the text of their records.
  std::size_t windowBegin_ = 0;
  std::size_t windowEnd_ = 0;
  std::vector<Place> places_;
  crypto::WipingVector window_;

  std::deque<ImportedEvent> ready_;
};

}  // namespace counterfoil::importers

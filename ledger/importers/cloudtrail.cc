#include "ledger/importers/cloudtrail.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <span>
#include <utility>

#include "ledger/core/encoding.h"

namespace counterfoil::importers {
namespace {

constexpr std::string_view kSuffixes[] = {".json", ".json.gz"};
constexpr std::uint64_t kReportEvery = 1'000;
// Producers are accounts: more of them than any organisation has means that the account ids were made up.
constexpr std::size_t kProducersMax = 20'000;

std::array<std::uint8_t, 16> orderOf(std::string_view eventId) {
  if (const auto uuid = fromUuid(eventId)) return uuid->bytes;
  return makeUuidV8(eventId).bytes;
}

}  // namespace

CloudTrailImporter::CloudTrailImporter(const std::vector<std::filesystem::path>& inputs, KnownLease known, ProgressCallback progress,
                                       const CloudTrailOptions& options)
    : options_(options), progress_(std::move(progress)), leases_(std::move(known)), inputs_(listInputs(inputs, kSuffixes, options.input)) {
  summary_.filesSkipped = inputs_.otherNames + inputs_.links + inputs_.special;
  if (inputs_.otherNames > 0) summary_.reasons["other_name"] = inputs_.otherNames;
  if (inputs_.links > 0) summary_.reasons["link_in_folder"] = inputs_.links;
  if (inputs_.special > 0) summary_.reasons["no_regular_file"] = inputs_.special;
  for (const InputProblem& found : inputs_.problems) {
    ++summary_.filesFailed;
    summary_.addProblem({found.path.string(), 0, found.code, found.detail});
  }
}

void CloudTrailImporter::problem(std::uint32_t file, std::uint64_t offset, const Fault& fault) {
  summary_.addProblem({inputs_.files[file].string(), offset, fault.code(), fault.detail()});
}

void CloudTrailImporter::report(ImportProgress::Phase phase, std::uint64_t done, std::uint64_t total) {
  if (progress_) progress_({phase, done, total});
}

// ---- First reading: the order ----

void CloudTrailImporter::readAll() {
  for (std::uint32_t file = 0; file < inputs_.files.size(); ++file) {
    report(ImportProgress::Phase::reading, file, inputs_.files.size());
    readFile(file);
  }
  dropDuplicates();
  const auto place = [](const Item& item) { return std::tie(item.time, item.phase, item.id); };
  std::sort(items_.begin(), items_.end(), [&](const Item& left, const Item& right) { return place(left) < place(right); });
  report(ImportProgress::Phase::reading, inputs_.files.size(), inputs_.files.size());
}

// What the records before a fault of the text say stands. A compressed file that does not prove whole gives nothing at all: its text may be
// any text.
void CloudTrailImporter::readFile(std::uint32_t file) {
  const std::size_t before = items_.size();
  const ImportSummary saved = summary_;
  CloudTrailSplitter splitter([&](const CloudTrailSplitter::Record& found) { index(found, file); });
  std::uint64_t offset = 0;
  try {
    InputStream stream(inputs_.files[file], options_.input);
    for (auto piece = stream.next(); !piece.empty(); piece = stream.next()) {
      splitter.feed(piece);
      offset = stream.offset();
    }
  } catch (const Fault& fault) {
    if (items_.size() > options_.recordsMax) throw;
    items_.resize(before);
    summary_ = saved;
    ++summary_.filesFailed;
    problem(file, offset, fault);
    return;
  }
  splitter.finish();
  if (splitter.problem() == CloudTrailSplitter::Problem::none) {
    ++summary_.filesRead;
  } else if (splitter.problem() == CloudTrailSplitter::Problem::digestFile) {
    ++summary_.filesSkipped;
    ++summary_.reasons["digest_file"];
  } else {
    ++summary_.filesFailed;
    problem(file, splitter.problemOffset(), CloudTrailSplitter::faultOf(splitter.problem()));
  }
}

void CloudTrailImporter::index(const CloudTrailSplitter::Record& found, std::uint32_t file) {
  ++summary_.read;
  try {
    if (found.text.empty()) {
      throw Fault(ErrorCode::tooLarge, "the record has more than " + std::to_string(CloudTrailSplitter::kRecordBytesMax) + " bytes");
    }
    const CloudTrailRecord record = readCloudTrailRecord(found.text);
    const CloudTrailParts parts = partsOf(record);
    if (!parts.named) ++summary_.withoutKey;
    if (!parts.grants && !parts.rest) {
      ++summary_.skipped;
      ++summary_.reasons["no_credential"];
      return;
    }
    Item item{orderOf(record.text(RecordText::eventId)),
              record.occurredAt.nanoseconds,
              found.offset,
              file,
              static_cast<std::uint32_t>(found.bytes),
              0};
    if (parts.grants) items_.push_back(item);
    item.phase = 1;
    if (parts.rest) items_.push_back(item);
  } catch (const Fault& fault) {
    problem(file, found.offset, fault);
    return;
  }
  if (items_.size() > options_.recordsMax) {
    throw Fault(ErrorCode::tooLarge, "more than " + std::to_string(options_.recordsMax) + " records in one import",
                "import one folder after the other, in the order of time");
  }
}

// Of records with one id the first counts: the earliest, then the one in the first file.
void CloudTrailImporter::dropDuplicates() {
  const auto place = [](const Item& item) { return std::tie(item.id, item.time, item.file, item.offset, item.phase); };
  std::sort(items_.begin(), items_.end(), [&](const Item& left, const Item& right) { return place(left) < place(right); });
  const auto sameRecord = [](const Item& left, const Item& right) { return left.file == right.file && left.offset == right.offset; };
  std::size_t kept = 0;
  for (std::size_t at = 0; at < items_.size();) {
    const Item first = items_[at];
    for (; at < items_.size() && items_[at].id == first.id; ++at) {
      if (sameRecord(items_[at], first)) {
        items_[kept++] = items_[at];
      } else if (!sameRecord(items_[at], items_[at - 1])) {
        ++summary_.duplicates;
      }
    }
  }
  items_.resize(kept);
}

// ---- Second reading: the events ----

void CloudTrailImporter::loadWindow() {
  windowBegin_ = nextItem_;
  windowEnd_ = nextItem_;
  std::size_t bytes = 0;
  while (windowEnd_ < items_.size() && (windowEnd_ == windowBegin_ || bytes + items_[windowEnd_].bytes <= options_.windowBytes)) {
    bytes += items_[windowEnd_++].bytes;
  }
  crypto::wipe(window_.data(), window_.size());
  window_.clear();
  window_.reserve(bytes);
  places_.assign(windowEnd_ - windowBegin_, {});
  std::map<std::uint32_t, std::vector<std::size_t>> byFile;
  for (std::size_t item = windowBegin_; item < windowEnd_; ++item) byFile[items_[item].file].push_back(item);
  for (auto& [file, items] : byFile) {
    std::sort(items.begin(), items.end(), [&](std::size_t left, std::size_t right) { return items_[left].offset < items_[right].offset; });
    try {
      loadFrom(file, items);
    } catch (const Fault& fault) {
      problem(file, items_[items.front()].offset, fault);
    }
  }
}

void CloudTrailImporter::loadFrom(std::uint32_t file, const std::vector<std::size_t>& items) {
  InputStream stream(inputs_.files[file], options_.input);
  std::span<const std::uint8_t> piece = stream.next();
  std::uint64_t pieceAt = 0;
  for (std::size_t index = 0; index < items.size(); ++index) {
    const Item& item = items_[items[index]];
    Place& place = places_[items[index] - windowBegin_];
    if (index > 0 && items_[items[index - 1]].offset == item.offset) {  // both parts of one record
      place = places_[items[index - 1] - windowBegin_];
      continue;
    }
    place.at = window_.size();
    for (std::uint64_t at = item.offset; at < item.offset + item.bytes;) {
      if (at >= pieceAt + piece.size()) {
        stream.skipTo(at);
        piece = stream.next();
        pieceAt = stream.offset() - piece.size();
        if (piece.empty()) throw Fault(ErrorCode::unreadableInput, "the file became shorter while it was read", "import it again");
      }
      const std::uint64_t end = std::min(item.offset + item.bytes, pieceAt + piece.size());
      const auto part = piece.subspan(static_cast<std::size_t>(at - pieceAt), static_cast<std::size_t>(end - at));
      window_.insert(window_.end(), part.begin(), part.end());
      at = end;
    }
    place.read = true;
  }
}

void CloudTrailImporter::makeEvents(std::size_t index) {
  const Item& item = items_[index];
  const Place& place = places_[index - windowBegin_];
  if (!place.read) return;
  const std::string_view text(reinterpret_cast<const char*>(window_.data()) + place.at, item.bytes);
  try {
    const CloudTrailRecord record = readCloudTrailRecord(text);
    if (record.occurredAt.nanoseconds != item.time || orderOf(record.text(RecordText::eventId)) != item.id) {
      throw Fault(ErrorCode::unreadableInput, "the file changed while it was read", "import it again");
    }
    if (item.phase > 0) {
      appendRest(record, leases_, ready_);
    } else if (!appendGrant(record, leases_, ready_)) {
      ++summary_.duplicates;
      ++summary_.reasons["issued_twice"];
    }
    if (ready_.empty()) return;
    ProducerSummary& counts = summary_.producers[producerOf(record)];
    counts.events += ready_.size();
    counts.lastOccurredAt = std::max(counts.lastOccurredAt, record.occurredAt);
  } catch (const Fault& fault) {
    problem(item.file, item.offset, fault);
  }
  if (summary_.producers.size() > kProducersMax) {
    throw Fault(ErrorCode::tooLarge, "more than " + std::to_string(kProducersMax) + " accounts in one import",
                "look at the account ids; import one account after the other");
  }
}

bool CloudTrailImporter::next(ImportedEvent& out) {
  if (!std::exchange(indexed_, true)) readAll();
  while (ready_.empty()) {
    if (nextItem_ == items_.size()) {
      crypto::WipingVector().swap(window_);
      return false;
    }
    if (nextItem_ == windowEnd_) loadWindow();
    if (nextItem_ % kReportEvery == 0) report(ImportProgress::Phase::importing, nextItem_, items_.size());
    makeEvents(nextItem_++);
  }
  out = std::move(ready_.front());
  ready_.pop_front();
  ++summary_.events;
  ++summary_.byKind[static_cast<std::size_t>(out.event.kind)];
  return true;
}

}  // namespace counterfoil::importers

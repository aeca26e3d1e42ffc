#include "ledger/log/embedded_log.h"

#include <utility>

#include "ledger/core/check.h"
#include "ledger/log/embedded_cursor.h"
#include "ledger/log/embedded_log_writer.h"

namespace counterfoil::log {
namespace {

EmbeddedPlace placeOf(const EmbeddedLogOptions& options) {
  return {options.directory, options.vfs};
}

Genesis readFirst(const EmbeddedPlace& place) {
  EmbeddedCursor cursor(place);
  FoldState state;
  ValidRecord record;
  if (!cursor.next(state, record))
    throw Fault(ErrorCode::logDamaged, place.database() + ": position 0: the record is missing", kDamageHint);
  return readGenesis(record.value).value();
}

}  // namespace

EmbeddedLog::EmbeddedLog(EmbeddedLogOptions options, std::unique_ptr<LockFile> lock)
    : options_(std::move(options)), shared_(std::make_shared<EmbeddedShared>(std::move(lock))) {}

EmbeddedLog::~EmbeddedLog() = default;

void EmbeddedLog::create(const EmbeddedLogOptions& options, const LedgerFacts& ledger) {
  const EmbeddedPlace place = placeOf(options);
  makeLogFolder(place.directory);
  const LockFile lock(place.lock(), options.fileLock);
  createDatabase(place, genesisHeader(options.identity), genesisValue({ledger, 0, 1}));
}

std::unique_ptr<EmbeddedLog> EmbeddedLog::open(const EmbeddedLogOptions& options) {
  const EmbeddedPlace place = placeOf(options);
  std::error_code error;
  if (!std::filesystem::is_directory(place.directory, error)) {
    throw Fault(ErrorCode::noLedger, place.directory.string() + ": there is no log", "make one with `init`, or name another data folder");
  }
  auto lock = std::make_unique<LockFile>(place.lock(), options.fileLock);
  readFirst(place);
  return std::unique_ptr<EmbeddedLog>(new EmbeddedLog(options, std::move(lock)));
}

std::unique_ptr<EmbeddedLog> EmbeddedLog::openReadOnly(const std::filesystem::path& directory, const std::string& vfs) {
  EmbeddedLogOptions options;
  options.directory = directory;
  options.vfs = vfs;
  readFirst(placeOf(options));
  return std::unique_ptr<EmbeddedLog>(new EmbeddedLog(std::move(options), nullptr));
}

Genesis EmbeddedLog::genesis() const {
  return readFirst(placeOf(options_));
}

std::unique_ptr<PartitionReader> EmbeddedLog::read(PartitionId partition, const FoldState& from) {
  COUNTERFOIL_CHECK(partition.value == 0);
  return std::make_unique<EmbeddedReader>(placeOf(options_), from);
}

std::unique_ptr<RecordFinder> EmbeddedLog::finder(PartitionId partition) {
  COUNTERFOIL_CHECK(partition.value == 0);
  return std::make_unique<EmbeddedFinder>(placeOf(options_));
}

std::unique_ptr<PartitionWriter> EmbeddedLog::takeOver(PartitionId partition, FoldState& from,
                                                       const std::function<void(ValidRecord&)>& apply) {
  COUNTERFOIL_CHECK(partition.value == 0);
  if (shared_->lock == nullptr) throw Fault(ErrorCode::notReady, "the log was opened for reading only");
  // 1. Nobody else writes from here on; the former writer's connection, whatever state it is in, is closed.
  if (const auto former = current_.lock()) former->depose();
  const EmbeddedPlace place = placeOf(options_);
  EmbeddedAppender::Settings settings;
  if (options_.checkpointPages > 0) settings.checkpointPages = options_.checkpointPages;
  auto appender = std::make_unique<EmbeddedAppender>(place, settings);
  // 2. What a failed sync may have left only in memory is brought into the database, so that what is read next is durable.
  appender->settle(shared_->uncertain);
  // 3. Everything that landed, whatever its writer was told.
  EmbeddedCursor cursor(place);
  cursor.checkStart(from);
  ValidRecord record;
  while (cursor.next(from, record)) apply(record);
  if (options_.identity.level < from.level) {
    throw Fault(ErrorCode::logUnavailable, "the log was written by a newer version of this program", "run that version, or a newer one");
  }
  // 4. The claim overwrites, durably, whatever an unsynced commit may have left behind the end; only then is what was read final.
  const RecordHeader header = claimHeader(options_.identity, from);
  const std::vector<std::uint8_t> value = claimValue(options_.identity);
  const AppendResult claimed = appender->commit({{from.next, &header, &value}});
  shared_->uncertain =
      claimed.outcome == AppendOutcome::indeterminate || (claimed.outcome == AppendOutcome::rejected && shared_->uncertain);
  if (claimed.outcome != AppendOutcome::appended) throw Fault(*claimed.fault);
  shared_->notice.raise();
  // 5. Up to and past the claim.
  if (!cursor.next(from, record) || from.last != header) {
    throw Fault(ErrorCode::dataInUse, place.database() + ": another process writes without the lock",
                "stop it; never delete the lock file");
  }
  apply(record);
  auto committer = std::make_shared<EmbeddedCommitter>(std::move(appender), WriterStamp(options_.identity, from), shared_);
  current_ = committer;
  return std::make_unique<EmbeddedWriter>(std::move(committer));
}

void EmbeddedLog::onAppended(std::function<void()> notify) {
  shared_->notice.set(std::move(notify));
}

void EmbeddedLog::onCommitted(const Clock& clock, std::function<void(double seconds)> tell) {
  shared_->meter.set(clock, std::move(tell));
}

}  // namespace counterfoil::log

#include "ledger/log/embedded_log_appender.h"

namespace counterfoil::log {
namespace {

// A write-ahead log this many times over its mark has readers that never let it be reset: then the next checkpoint waits for them.
constexpr int kPatience = 4;
constexpr int kReaderWaitMs = 20;

int stepOnce(const Statement& statement) {
  StatementUse use(statement);
  return use.step();
}

AppendResult notAppended(AppendOutcome outcome, Fault fault) {
  return {outcome, {}, std::move(fault)};
}

}  // namespace

EmbeddedAppender::EmbeddedAppender(const EmbeddedPlace& place, Settings settings)
    : settings_(settings),
      connection_(openForWriting(place)),
      begin_(connection_.prepare("BEGIN IMMEDIATE")),
      insert_(connection_.prepare(kInsertRow)),
      commit_(connection_.prepare("COMMIT")),
      checkpointAt_(settings.checkpointPages) {
  // After one growth beyond reason the file shrinks again at its next reset.
  connection_.execute("PRAGMA journal_size_limit = 67108864");
  sqlite3_wal_hook(connection_.get(), &EmbeddedAppender::onCommit, this);
}

int EmbeddedAppender::onCommit(void* self, sqlite3*, const char*, int pages) {
  auto* const appender = static_cast<EmbeddedAppender*>(self);
  // The log was reset and begins anew.
  if (pages < appender->walPages_) appender->checkpointAt_ = appender->settings_.checkpointPages;
  appender->walPages_ = pages;
  return SQLITE_OK;
}

void EmbeddedAppender::settle(bool required) {
  const int mode = required ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE;
  const int code = sqlite3_wal_checkpoint_v2(connection_.get(), nullptr, mode, nullptr, nullptr);
  if (code != SQLITE_OK && required) throw faultOf(code, connection_.file(), "recovering after a failed commit");
}

int EmbeddedAppender::rollBack() {
  if (sqlite3_get_autocommit(connection_.get()) != 0) return SQLITE_OK;
  return sqlite3_exec(connection_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
}

AppendResult EmbeddedAppender::commit(const std::vector<PlacedRecord>& records) {
  int code = stepOnce(begin_);
  if (code != SQLITE_DONE) return notAppended(AppendOutcome::rejected, faultOf(code, connection_.file(), "beginning a commit"));
  for (const PlacedRecord& record : records) {
    StatementUse use(insert_);
    code = bindRow(use.get(), record.position, *record.header, *record.value);
    if (code == SQLITE_OK) code = use.step();
    if (code == SQLITE_DONE) continue;
    // Without a commit frame nothing of this transaction can ever count, whatever the rollback says.
    rollBack();
    if (primaryCode(code) == SQLITE_CONSTRAINT) {
      return notAppended(AppendOutcome::rejected, Fault(ErrorCode::notReady, connection_.file() + ": another writer took the log over"));
    }
    return notAppended(AppendOutcome::rejected, faultOf(code, connection_.file(), "writing records"));
  }
  code = stepOnce(commit_);
  if (code == SQLITE_DONE) return {AppendOutcome::appended, {}, std::nullopt};
  // The commit frame is written last, so a full disk (or a busy database) means it is not whole. Any other error may have come after it.
  const bool certain = primaryCode(code) == SQLITE_FULL || primaryCode(code) == SQLITE_BUSY;
  const bool undone = rollBack() == SQLITE_OK;
  return notAppended(certain && undone ? AppendOutcome::rejected : AppendOutcome::indeterminate,
                     faultOf(code, connection_.file(), "committing records"));
}

void EmbeddedAppender::checkpointIfDue() {
  if (walPages_ < checkpointAt_) return;
  sqlite3* const handle = connection_.get();
  const bool overgrown = walPages_ >= kPatience * settings_.checkpointPages;
  if (overgrown) sqlite3_busy_timeout(handle, kReaderWaitMs);
  sqlite3_wal_checkpoint_v2(handle, nullptr, overgrown ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (overgrown) sqlite3_busy_timeout(handle, kBusyMs);
  // If readers keep it from being reset it goes on growing; trying at every commit would cost two syncs each.
  checkpointAt_ = walPages_ + settings_.checkpointPages;
}

}  // namespace counterfoil::log

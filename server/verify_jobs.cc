#include "server/verify_jobs.h"

#include <spdlog/spdlog.h>

#include <boost/asio/post.hpp>

#include "ledger/core/current_thread.h"
#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "ledger/core/verify.h"
#include "ledger/keys/record_cipher.h"
#include "server/fault_log.h"

namespace counterfoil::server {
namespace {

constexpr std::int64_t kFreshForNanoseconds = 60 * kNanosecondsPerSecond;
constexpr std::size_t kProblemsShown = 100;

// One workspace's entries, as the log holds them.
class WorkspaceSource final : public VerifySource {
 public:
  WorkspaceSource(log::EventLog& eventLog, keys::KeyRing& ring, WorkspaceNumber workspace, const std::atomic<bool>& stopping)
      : stopping_(stopping),
        keys_(ring.workspace(workspace)),
        workspace_(workspace),
        reader_(eventLog.read(eventLog.partitionOf(workspace), log::FoldState{})) {}

  bool next(VerifyItem& item) override {
    while (reader_->next(record_)) {
      if (stopping_) throw Fault(ErrorCode::notReady, "the server stops", "ask again when it is back");
      if (record_.kind != log::RecordKind::entry || record_.workspace != workspace_) continue;
      item.workspace = record_.workspace;
      item.seq = record_.seq;
      item.previous = record_.previous;
      item.leaf = record_.leaf;
      const auto outcome = keys::openRecord(*keys_, record_.seq, record_.leaf, record_.value, opened_, keys::LeafCheck::callerHashes);
      item.content = outcome == keys::OpenOutcome::opened     ? VerifyItem::Content::present
                     : outcome == keys::OpenOutcome::withheld ? VerifyItem::Content::withheld
                                                              : VerifyItem::Content::damaged;
      item.bytes = opened_.entry;
      item.key = opened_.logKey;
      return true;
    }
    return false;
  }

 private:
  const std::atomic<bool>& stopping_;
  std::shared_ptr<keys::WorkspaceKeys> keys_;
  WorkspaceNumber workspace_;
  std::unique_ptr<log::PartitionReader> reader_;
  log::ValidRecord record_;
  keys::OpenedRecord opened_;
};

std::string problemsJson(const VerifyReport& report) {
  std::string out = "[";
  for (const VerifyProblem& problem : report.problems) {
    if (&problem - report.problems.data() == kProblemsShown) break;
    if (out.size() > 1) out += ',';
    JsonObject object(out);
    object.text("copy", "log").number("seq", problem.seq).text("what", problem.what);
    object.text("expected", problem.expected).text("found", problem.found);
    object.end();
  }
  return out + "]";
}

}  // namespace

void VerifyJobs::run(WorkspaceNumber workspace, Job& job) const {
  runInBackground();
  std::string result;
  JsonObject object(result);
  try {
    WorkspaceSource source(log_, ring_, workspace, stopping_);
    const VerifyReport report = verify(source, Strictness::lenient, [&](std::uint64_t entries) {
      const std::lock_guard lock(job.mutex);
      job.entries = entries;
    });
    object.text("state", "done").boolean("ok", report.ok()).number("entries", report.entries);
    const auto found = report.workspaces.find(workspace.value);
    if (found != report.workspaces.end()) {
      // Of an erased workspace `_system` says so, which was not read here.
      const bool gone = ring_.workspace(workspace)->gone();
      object.text("root", toHex(found->second.tree.root()));
      object.number("erased", found->second.erased + (gone ? found->second.notChecked : 0));
      object.number("notChecked", gone ? 0 : found->second.notChecked);
    }
    object.number("problemCount", report.problemCount).raw("problems", problemsJson(report));
    object.text("assurance", "tamper-detecting, not anchored");
  } catch (const Fault& fault) {
    // One line a job: at most one a minute for each workspace.
    spdlog::error("verifying a workspace failed: {}", fault.what());
    const std::string detail = FaultLog::withoutPlaces(fault).detail();
    object.text("state", "failed").boolean("ok", false).text("code", factsOf(fault.code()).text).text("detail", detail);
  } catch (const std::exception& unexpected) {
    // What other libraries throw may quote values: neither the answer nor the log gets the text.
    spdlog::error("verifying a workspace failed: an unexpected exception of type {}", typeid(unexpected).name());
    object.text("state", "failed").boolean("ok", false).text("code", factsOf(ErrorCode::internal).text);
    object.text("detail", "something unexpected failed");
  }
  const std::lock_guard lock(job.mutex);
  job.finishedAt = clock_.wall();
  job.finishedMonotonic = clock_.monotonicNanoseconds();
  object.time("startedAt", job.startedAt).time("finishedAt", job.finishedAt);
  object.end();
  job.result = std::move(result);
  job.running = false;
}

std::string VerifyJobs::look(WorkspaceNumber workspace) {
  std::shared_ptr<Job> job;
  {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Job>& latest = jobs_[workspace];
    bool stale = latest == nullptr;
    if (!stale) {
      const std::lock_guard inner(latest->mutex);
      stale = !latest->running && clock_.monotonicNanoseconds() - latest->finishedMonotonic > kFreshForNanoseconds;
    }
    if (stale) {
      latest = std::make_shared<Job>();
      latest->startedAt = clock_.wall();
      boost::asio::post(pool_, [this, workspace, fresh = latest] { run(workspace, *fresh); });
    }
    job = latest;
  }
  const std::lock_guard lock(job->mutex);
  if (!job->running) return job->result;
  std::string out;
  JsonObject object(out);
  object.text("state", "running").number("entries", job->entries).time("startedAt", job->startedAt);
  object.end();
  return out;
}

}  // namespace counterfoil::server

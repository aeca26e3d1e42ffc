#include "cmd/bench/scratch.h"

#include <sys/stat.h>

#include <condition_variable>
#include <mutex>
#include <optional>

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "ledger/core/outcome.h"

namespace counterfoil::cmd::bench {
namespace {

log::EmbeddedLogOptions logOptions(const std::filesystem::path& folder) {
  log::EmbeddedLogOptions options;
  options.directory = folder / "log";
  options.identity.incarnation = static_cast<std::uint64_t>(Stopwatch::now());
  options.identity.name = "bench";
  return options;
}

// Counts what is outstanding and keeps the first fault.
class Outstanding {
 public:
  // Waits until fewer than `most` are.
  void take(std::size_t most) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count_ < most; });
    ++count_;
  }
  void settle(const Fault* fault) {
    // Notified under the lock: the waiting frame must not go before this one is done with it.
    const std::lock_guard lock(mutex_);
    if (fault != nullptr && !fault_) fault_ = *fault;
    --count_;
    changed_.notify_one();
  }
  void finish() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count_ == 0; });
    if (fault_) throw Fault(*fault_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t count_ = 0;
  std::optional<Fault> fault_;
};

}  // namespace

ScratchFolder::ScratchFolder(const std::filesystem::path& parent) {
  std::string name = (parent / "counterfoil-bench-").string() + std::string(6, 'X');
  if (::mkdtemp(name.data()) == nullptr) {
    throw Fault(ErrorCode::unreadableInput, "cannot make a scratch folder in " + parent.string(), "name another one with --dir", "--dir");
  }
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Scratch::Scratch(const std::filesystem::path& parent, std::size_t workspaces) : folder_(parent) {
  std::filesystem::create_directory(folder_.path() / "keys");
  ::chmod((folder_.path() / "keys").c_str(), 0700);
  log::LedgerFacts facts;
  facts.ledgerId = toUuid(makeUuidV7(clock_.wall(), random_.bytes<10>()));
  facts.origin = "localhost/bench";
  facts.createdAt = clock_.wall();
  log::EmbeddedLog::create(logOptions(folder_.path()), facts);
  reopen();
  std::string policy = "{\"document\":";
  appendJsonString(benchPolicy(), policy);
  policy += '}';
  for (std::size_t index = 0; index < workspaces; ++index) {
    ask({CommandKind::workspaceCreate, index, "{\"id\":\"" + workspaceId(index) + "\",\"region\":\"eu-central\"}"});
    ask({CommandKind::policySet, index, policy});
  }
}

Scratch::~Scratch() = default;

void Scratch::reopen() {
  provider_ = std::make_unique<keys::FileKeyProvider>(folder_.path() / "keys", random_);
  log_ = log::EmbeddedLog::open(logOptions(folder_.path()));
  write::LedgerOptions options;
  options.snapshots = folder_.path();
  ledger_ = std::make_unique<write::Ledger>(*log_, *provider_, clock_, random_, options);
  ledger_->start([](const std::string&) {});
}

void Scratch::close() {
  ledger_->stop();
  ledger_.reset();
  log_.reset();
  provider_.reset();
}

void Scratch::send(const BenchRequest& request, write::Completion done) {
  ParsedRequest parsed = parse(request);
  if (parsed.command) {
    ledger_->execute(workspaceId(request.workspace), std::move(*parsed.command), std::move(done));
  } else {
    ledger_->append(workspaceId(request.workspace), std::move(*parsed.fact), std::move(done));
  }
}

write::Answer Scratch::ask(const BenchRequest& request) {
  ParsedRequest parsed = parse(request);
  return parsed.command ? ledger_->execute(workspaceId(request.workspace), std::move(*parsed.command))
                        : ledger_->append(workspaceId(request.workspace), std::move(*parsed.fact));
}

void Scratch::fill(Mix& mix, std::uint64_t count, std::size_t outstanding) {
  fill([&] { return mix.next(); }, count, outstanding);
}

void Scratch::fill(const std::function<BenchRequest()>& next, std::uint64_t count, std::size_t outstanding) {
  Outstanding open;
  for (std::uint64_t index = 0; index < count; ++index) {
    const BenchRequest request = next();
    open.take(outstanding);
    send(request, [&open](const write::Answer*, const Fault* fault) { open.settle(fault); });
  }
  open.finish();
}

}  // namespace counterfoil::cmd::bench

#include "ledger/log/memory_log.h"

#include <iterator>
#include <string>
#include <utility>

#include "ledger/core/check.h"

namespace counterfoil::log {
namespace {

constexpr std::size_t kDepth = 64;

std::string memoryPlaceOf(PartitionId partition, Position position) {
  return "partition " + std::to_string(partition.value) + ", position " + std::to_string(position.value) + ": ";
}

Fault unavailable() {
  return Fault(ErrorCode::logUnavailable, "the log does not answer");
}

}  // namespace

MemoryPartitions::MemoryPartitions(const LedgerFacts& ledger, std::uint32_t partitions) : partitions_(partitions) {
  COUNTERFOIL_CHECK(partitions > 0);
  for (std::uint32_t index = 0; index < partitions; ++index) {
    partitions_[index].push_back({genesisHeader({}), genesisValue({ledger, index, partitions}), false});
  }
}

Position MemoryPartitions::end(PartitionId partition) const {
  const std::lock_guard guard(mutex_);
  return Position{partitions_.at(partition.value).size()};
}

std::optional<MemoryPartitions::Stored> MemoryPartitions::at(PartitionId partition, Position position) const {
  const std::lock_guard guard(mutex_);
  const auto& records = partitions_.at(partition.value);
  if (position.value >= records.size()) return std::nullopt;
  return records[position.value];
}

Position MemoryPartitions::append(PartitionId partition, std::vector<Stored> records) {
  Position first;
  {
    const std::lock_guard guard(mutex_);
    auto& all = partitions_.at(partition.value);
    first.value = all.size();
    std::move(records.begin(), records.end(), std::back_inserter(all));
  }
  notifyAll();
  return first;
}

Position MemoryPartitions::inject(PartitionId partition, const RecordHeader& header, std::vector<std::uint8_t> value) {
  std::vector<Stored> one;
  one.push_back({header, std::move(value), false});
  return append(partition, std::move(one));
}

RecordHeader MemoryPartitions::claimAs(PartitionId partition, const WriterIdentity& identity) {
  FoldState state;
  {
    const std::lock_guard guard(mutex_);
    for (const Stored& record : partitions_.at(partition.value)) fold(state, record.header);
  }
  const RecordHeader header = claimHeader(identity, state);
  inject(partition, header, claimValue(identity));
  return header;
}

void MemoryPartitions::truncate(PartitionId partition, Position end) {
  const std::lock_guard guard(mutex_);
  auto& records = partitions_.at(partition.value);
  COUNTERFOIL_CHECK(end.value <= records.size());
  records.resize(end.value);
}

void MemoryPartitions::damage(PartitionId partition, Position position) {
  const std::lock_guard guard(mutex_);
  partitions_.at(partition.value).at(position.value).damaged = true;
}

void MemoryPartitions::setFull(bool full) {
  const std::lock_guard guard(mutex_);
  full_ = full;
}

void MemoryPartitions::setUnavailable(bool unavailable) {
  const std::lock_guard guard(mutex_);
  unavailable_ = unavailable;
}

void MemoryPartitions::listen(const MemoryLog* log, std::function<void()> notify) {
  const std::lock_guard guard(listenersMutex_);
  listeners_[log] = std::move(notify);
}

void MemoryPartitions::notifyAll() {
  const std::lock_guard guard(listenersMutex_);
  for (const auto& [log, notify] : listeners_) {
    if (notify) notify();
  }
}

class MemoryReader final : public PartitionReader {
 public:
  MemoryReader(std::shared_ptr<MemoryPartitions> partitions, PartitionId partition, FoldState from)
      : partitions_(std::move(partitions)), partition_(partition), state_(std::move(from)) {
    checkStart();
  }

  bool next(ValidRecord& record) override {
    const std::lock_guard guard(partitions_->mutex_);
    if (partitions_->unavailable_) throw unavailable();
    const auto& records = partitions_->partitions_[partition_.value];
    while (state_.next.value < records.size()) {
      const Position position = state_.next;
      const MemoryPartitions::Stored& stored = records[position.value];
      const FoldVerdict verdict = stored.damaged ? FoldVerdict::damaged : judge(state_, stored.header);
      if (verdict == FoldVerdict::damaged || (verdict == FoldVerdict::valid && !contentFits(stored.header, stored.value))) {
        throw Fault(ErrorCode::logDamaged, memoryPlaceOf(partition_, position) + "the record is damaged");
      }
      fold(state_, stored.header);
      if (verdict == FoldVerdict::isVoid) continue;
      record.position = position;
      record.kind = stored.header.kind;
      record.workspace = stored.header.workspace;
      record.seq = stored.header.seq;
      record.previous = stored.header.previous;
      record.leaf = stored.header.leaf;
      record.incarnation = stored.header.incarnation;
      record.value.assign(stored.value.begin(), stored.value.end());
      return true;
    }
    return false;
  }

  const FoldState& state() const override { return state_; }

 private:
  void checkStart() const {
    const std::lock_guard guard(partitions_->mutex_);
    if (partitions_->unavailable_) throw unavailable();
    const auto& records = partitions_->partitions_.at(partition_.value);
    if (state_.next.value == 0) return;
    if (state_.next.value > records.size() || records[state_.next.value - 1].header != state_.last) {
      throw Fault(ErrorCode::logTruncated, memoryPlaceOf(partition_, state_.next) + "this is not the log that was read before");
    }
  }

  const std::shared_ptr<MemoryPartitions> partitions_;
  const PartitionId partition_;
  FoldState state_;
};

class MemoryFinder final : public RecordFinder {
 public:
  MemoryFinder(std::shared_ptr<MemoryPartitions> partitions, PartitionId partition)
      : partitions_(std::move(partitions)), partition_(partition) {}

  bool find(Position position, StoredRecord& record) override {
    const std::lock_guard guard(partitions_->mutex_);
    if (partitions_->unavailable_) throw unavailable();
    const auto& records = partitions_->partitions_.at(partition_.value);
    if (position.value >= records.size()) return false;
    const MemoryPartitions::Stored& stored = records[position.value];
    if (stored.damaged) throw Fault(ErrorCode::logDamaged, memoryPlaceOf(partition_, position) + "the record is damaged");
    record.position = position;
    record.header = stored.header;
    record.value.assign(stored.value.begin(), stored.value.end());
    return true;
  }

 private:
  const std::shared_ptr<MemoryPartitions> partitions_;
  const PartitionId partition_;
};

class MemoryWriter final : public PartitionWriter {
 public:
  MemoryWriter(MemoryLog& log, std::shared_ptr<MemoryLog::WriterState> state) : log_(log), state_(std::move(state)) {}
  ~MemoryWriter() override { log_.drain(*state_); }
  void append(std::vector<NewRecord> batch, std::function<void(const AppendResult&)> done) override {
    log_.append(state_, std::move(batch), std::move(done));
  }
  std::size_t depth() const override { return kDepth; }

 private:
  MemoryLog& log_;
  const std::shared_ptr<MemoryLog::WriterState> state_;
};

MemoryLog::MemoryLog(std::shared_ptr<MemoryPartitions> partitions, WriterIdentity identity, Delivery delivery)
    : partitions_(std::move(partitions)), identity_(std::move(identity)), delivery_(delivery) {}

MemoryLog::~MemoryLog() {
  partitions_->listen(this, nullptr);
}

void MemoryLog::plan(Fate fate) {
  const std::lock_guard guard(mutex_);
  fates_.push_back(fate);
}

void MemoryLog::planClaim(Fate fate) {
  const std::lock_guard guard(mutex_);
  claimFate_ = fate;
}

void MemoryLog::beforeClaim(std::function<void()> hook) {
  const std::lock_guard guard(mutex_);
  beforeClaim_ = std::move(hook);
}

std::size_t MemoryLog::outstanding() const {
  const std::lock_guard guard(mutex_);
  return pending_.size();
}

void MemoryLog::append(const std::shared_ptr<WriterState>& writer, std::vector<NewRecord> batch,
                       std::function<void(const AppendResult&)> done) {
  Pending pending;
  pending.writer = writer;
  pending.done = std::move(done);
  {
    const std::lock_guard guard(mutex_);
    pending.expected = writer->stamp.next();
    if (writer->health != Health::sound) {
      pending.refused = Fault(ErrorCode::notReady, "an append before this one did not succeed");
    } else {
      if (!fates_.empty()) {
        pending.fate = fates_.front();
        fates_.pop_front();
      }
      try {
        std::vector<RecordHeader> headers = writer->stamp.stamp(batch);
        for (std::size_t index = 0; index < batch.size(); ++index) {
          pending.records.push_back({headers[index], std::move(batch[index].value), false});
        }
      } catch (const Fault& fault) {
        pending.refused = fault;
      }
    }
    ++writer->outstanding;
    pending_.push_back(std::move(pending));
  }
  if (delivery_ == Delivery::immediate) deliver();
}

std::size_t MemoryLog::deliver(std::size_t appends) {
  std::size_t count = 0;
  while (count < appends && deliverOne()) ++count;
  return count;
}

bool MemoryLog::deliverOne() {
  // The writers of several partitions append from several threads: whoever delivers another's append must be done with it before that
  // writer's next one. A callback may append, on the same thread.
  const std::lock_guard delivering(deliveryMutex_);
  Pending pending;
  {
    const std::lock_guard guard(mutex_);
    if (pending_.empty()) return false;
    pending = std::move(pending_.front());
    pending_.pop_front();
  }
  const AppendResult result = carryOut(pending);
  // Without the lock: the callback may append.
  pending.done(result);
  const std::lock_guard guard(mutex_);
  --pending.writer->outstanding;
  return true;
}

void MemoryLog::drain(const WriterState& writer) {
  const auto busy = [&] {
    const std::lock_guard guard(mutex_);
    return writer.outstanding > 0;
  };
  while (busy() && deliverOne()) {
  }
}

AppendResult MemoryLog::carryOut(Pending& pending) {
  WriterState& writer = *pending.writer;
  AppendResult result;
  if (pending.refused || writer.health == Health::rejecting) {
    const Fault behind(ErrorCode::notReady, "an append before this one did not succeed");
    result = {AppendOutcome::rejected, pending.expected, pending.refused ? *pending.refused : behind};
  } else {
    result = land(pending);
  }
  const std::lock_guard guard(mutex_);
  if (writer.health == Health::unknown && result.outcome == AppendOutcome::appended) {
    result.outcome = AppendOutcome::indeterminate;
    result.fault = Fault(ErrorCode::notReady, "an append before this one did not succeed");
  }
  if (writer.health == Health::sound && result.outcome != AppendOutcome::appended) {
    writer.health = result.outcome == AppendOutcome::rejected ? Health::rejecting : Health::unknown;
  }
  return result;
}

AppendResult MemoryLog::land(Pending& pending) {
  const PartitionId partition = pending.writer->partition;
  const auto failed = [&](AppendOutcome outcome, Fault fault) { return AppendResult{outcome, pending.expected, std::move(fault)}; };
  bool full = false;
  Fate fate = pending.fate;
  {
    const std::lock_guard guard(partitions_->mutex_);
    full = partitions_->full_;
    if (partitions_->unavailable_) fate = Fate::lost;
  }
  if (full) return failed(AppendOutcome::rejected, Fault(ErrorCode::diskFull, "the log is full"));
  if (fate == Fate::rejected) return failed(AppendOutcome::rejected, unavailable());
  if (fate == Fate::lost) return failed(AppendOutcome::indeterminate, unavailable());
  if (fate == Fate::landsLate) {
    const std::lock_guard guard(mutex_);
    late_.emplace_back(partition, std::move(pending.records));
    return failed(AppendOutcome::indeterminate, unavailable());
  }
  std::vector<MemoryPartitions::Stored> records = std::move(pending.records);
  if (fate == Fate::landsPartly && records.size() > 1) records.resize(1);
  const bool nothing = records.empty();
  const Position first = nothing ? pending.expected : partitions_->append(partition, records);
  if (fate == Fate::landsTwice) partitions_->append(partition, std::move(records));
  if (fate == Fate::landsUnknown || fate == Fate::landsPartly) return failed(AppendOutcome::indeterminate, unavailable());
  // Contiguity: no foreign record, so no foreign claim, lies between the own claim and this batch.
  if (first != pending.expected) {
    return failed(AppendOutcome::indeterminate, Fault(ErrorCode::notReady, "another writer's record came between"));
  }
  return {AppendOutcome::appended, first, std::nullopt};
}

void MemoryLog::landLate() {
  decltype(late_) late;
  {
    const std::lock_guard guard(mutex_);
    late.swap(late_);
  }
  for (auto& [partition, records] : late) partitions_->append(partition, std::move(records));
}

std::unique_ptr<PartitionReader> MemoryLog::read(PartitionId partition, const FoldState& from) {
  return std::make_unique<MemoryReader>(partitions_, partition, from);
}

std::unique_ptr<RecordFinder> MemoryLog::finder(PartitionId partition) {
  COUNTERFOIL_CHECK(partition.value < partitions());
  return std::make_unique<MemoryFinder>(partitions_, partition);
}

std::unique_ptr<PartitionWriter> MemoryLog::takeOver(PartitionId partition, FoldState& from,
                                                     const std::function<void(ValidRecord&)>& apply) {
  deliver();
  MemoryReader reader(partitions_, partition, from);
  ValidRecord record;
  const auto readAll = [&] {
    try {
      while (reader.next(record)) apply(record);
    } catch (...) {
      from = reader.state();
      throw;
    }
    from = reader.state();
  };
  readAll();
  if (identity_.level < from.level) throw Fault(ErrorCode::logUnavailable, "the log was written by a newer version of this program");
  std::function<void()> hook;
  Fate fate = Fate::lands;
  {
    const std::lock_guard guard(mutex_);
    hook = beforeClaim_;
    fate = std::exchange(claimFate_, std::nullopt).value_or(Fate::lands);
  }
  if (hook) hook();
  {
    const std::lock_guard guard(partitions_->mutex_);
    if (partitions_->full_) throw Fault(ErrorCode::diskFull, "the log is full");
    if (partitions_->unavailable_) fate = Fate::lost;
  }
  const RecordHeader header = claimHeader(identity_, from);
  if (fate == Fate::lands || fate == Fate::landsUnknown) partitions_->inject(partition, header, claimValue(identity_));
  if (fate != Fate::lands) throw unavailable();
  readAll();
  // The own claim may be void (another came first), or valid and followed by somebody else's record.
  const bool owned = from.last == header && record.position.value + 1 == from.next.value;
  if (!owned) throw Fault(ErrorCode::dataInUse, "another node claimed the partition");
  return std::make_unique<MemoryWriter>(
      *this, std::make_shared<WriterState>(WriterState{partition, WriterStamp(identity_, from), Health::sound, 0}));
}

void MemoryLog::onAppended(std::function<void()> notify) {
  partitions_->listen(this, std::move(notify));
}

}  // namespace counterfoil::log

#include "ledger/log/kafka_log.h"

#include <condition_variable>
#include <utility>

#include "ledger/core/check.h"
#include "ledger/log/kafka/kafka_client.h"
#include "ledger/log/kafka/kafka_committer.h"
#include "ledger/log/kafka/kafka_finder.h"
#include "ledger/log/kafka/kafka_lane.h"
#include "ledger/log/kafka/kafka_reader.h"

namespace counterfoil::log {
namespace {

using kafka::Lane;

// Workspaces are dealt out to so many buckets, buckets to partitions: a later map can move a bucket without touching the others
// (docs/formats.md, Partitions).
constexpr std::uint64_t kBuckets = 1'024;

// Sends one record that nothing else is in flight beside, and waits for its report.
class Single final : public kafka::Sender {
 public:
  void delivered(std::span<const kafka::Delivery> deliveries) override {
    const std::lock_guard guard(mutex_);
    delivery_ = deliveries.front();
    changed_.notify_all();
  }
  void pump() override {}
  void silentFor(std::chrono::milliseconds) override {}
  // nullopt: no report in time.
  std::optional<kafka::Delivery> wait(std::chrono::milliseconds patience) {
    std::unique_lock guard(mutex_);
    changed_.wait_for(guard, patience, [&] { return delivery_.has_value(); });
    return delivery_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<kafka::Delivery> delivery_;
};

// The offset of the record. Throws Fault(logUnavailable), and the lane is condemned: the record may be in the log, or come into it.
std::uint64_t sendAlone(Lane& lane, PartitionId partition, const RecordHeader& header, const std::vector<std::uint8_t>& value,
                        std::chrono::milliseconds patience, const std::string& doing) {
  const auto single = std::make_shared<Single>();
  if (lane.send(partition, header, value, 0, single) != Lane::Taken::yes) {
    lane.condemn();
    throw kafka::faultOf("the producer takes no record", doing);
  }
  const auto delivery = single->wait(patience);
  if (delivery && !delivery->fault && delivery->offset >= 0) return static_cast<std::uint64_t>(delivery->offset);
  lane.condemn();
  if (delivery && delivery->fault) throw kafka::faultOf(delivery->fault->detail(), doing);
  throw kafka::faultOf("the cluster does not answer", doing);
}

kafka::TopicFacts soundTopic(const KafkaSettings& settings) {
  const kafka::Client client = kafka::makeReader(settings);
  const kafka::Topic topic = kafka::openTopic(client.get(), settings);
  kafka::TopicFacts facts = kafka::topicFacts(client.get(), topic.get(), settings);
  if (facts.partitions == 0) throw Fault(ErrorCode::noLedger, "the topic has no partitions", "make it with `ops/kafka/topics`");
  return facts;
}

// Of one partition, if it has one.
std::optional<Genesis> genesisOf(const KafkaSettings& settings, std::uint32_t partition, const std::shared_ptr<kafka::Shared>& shared) {
  kafka::Reader reader(settings, PartitionId{partition}, {}, shared);
  ValidRecord record;
  if (!reader.next(record)) return std::nullopt;
  return readGenesis(record.value);
}

[[noreturn]] void changed(const std::string& what) {
  throw Fault(ErrorCode::logDamaged, what, "a topic's partitions must stay as they were when its ledger was made; use the topic as it was");
}

}  // namespace

KafkaLog::KafkaLog(KafkaSettings settings, WriterIdentity identity, Genesis genesis)
    : settings_(std::move(settings)),
      identity_(std::move(identity)),
      genesis_(std::move(genesis)),
      shared_(std::make_shared<kafka::Shared>(genesis_.partitions)),
      lanes_(std::make_unique<kafka::Lanes>(settings_)),
      current_(genesis_.partitions) {}

KafkaLog::~KafkaLog() = default;

std::uint32_t KafkaLog::partitionsOf(const KafkaSettings& settings) {
  return soundTopic(settings).partitions;
}

LedgerFacts KafkaLog::create(const KafkaSettings& settings, const WriterIdentity& identity, const LedgerFacts& ledger) {
  const kafka::TopicFacts topic = soundTopic(settings);
  const auto shared = std::make_shared<kafka::Shared>(topic.partitions);
  LedgerFacts facts = ledger;
  std::vector<std::uint32_t> empty;
  for (std::uint32_t partition = 0; partition < topic.partitions; ++partition) {
    const auto found = genesisOf(settings, partition, shared);
    if (!found) {
      empty.push_back(partition);
      continue;
    }
    if (found->ledger.origin != ledger.origin || found->partitions != topic.partitions) {
      throw Fault(ErrorCode::alreadyExists, "the topic holds another ledger", "use another topic; a ledger's topic is never used again");
    }
    facts = found->ledger;
  }
  if (empty.empty()) throw Fault(ErrorCode::alreadyExists, "the topic holds this ledger already", "join it as another node: `init --join`");
  Lane lane(settings);
  for (const std::uint32_t partition : empty) {
    const auto value = genesisValue({facts, partition, topic.partitions});
    const auto offset = sendAlone(lane, PartitionId{partition}, genesisHeader(identity), value, settings.answerWithin, "making the ledger");
    if (offset != 0)
      throw Fault(ErrorCode::alreadyExists, "somebody else made a ledger in this topic at the same time", "use another topic");
  }
  return facts;
}

std::unique_ptr<KafkaLog> KafkaLog::open(const KafkaSettings& settings, const WriterIdentity& identity) {
  const kafka::TopicFacts topic = soundTopic(settings);
  const auto shared = std::make_shared<kafka::Shared>(topic.partitions);
  std::optional<Genesis> first;
  for (std::uint32_t partition = 0; partition < topic.partitions; ++partition) {
    const auto found = genesisOf(settings, partition, shared);
    if (!found && !first) throw Fault(ErrorCode::noLedger, "the topic holds no ledger", "make one with `init`");
    if (!found) changed("partition " + std::to_string(partition) + " of the topic does not belong to the ledger");
    if (!first) first = found;
    if (found->partition != partition || found->partitions != topic.partitions || found->ledger.ledgerId != first->ledger.ledgerId) {
      changed("the topic has other partitions than its ledger was made with");
    }
  }
  return std::unique_ptr<KafkaLog>(new KafkaLog(settings, identity, *first));
}

KafkaCounts KafkaLog::counts() const {
  KafkaCounts counts;
  counts.term = shared_->term;
  counts.acknowledged = shared_->acknowledged;
  counts.claims = shared_->claims;
  counts.claimsLost = shared_->claimsLost;
  counts.poisoned = shared_->poisoned;
  counts.producersRebuilt = lanes_->rebuilt();
  return counts;
}

std::uint64_t KafkaLog::knownEnd(PartitionId partition) const {
  COUNTERFOIL_CHECK(partition.value < partitions());
  return shared_->ends[partition.value];
}

PartitionId KafkaLog::partitionOf(WorkspaceNumber workspace) const {
  return PartitionId{static_cast<std::uint32_t>(workspace.value % kBuckets % genesis_.partitions)};
}

std::unique_ptr<PartitionReader> KafkaLog::read(PartitionId partition, const FoldState& from) {
  COUNTERFOIL_CHECK(partition.value < partitions());
  shared_->broken.throwIfGiven();
  return std::make_unique<kafka::Reader>(settings_, partition, from, shared_);
}

std::unique_ptr<RecordFinder> KafkaLog::finder(PartitionId partition) {
  COUNTERFOIL_CHECK(partition.value < partitions());
  return std::make_unique<kafka::Finder>(settings_, partition, shared_);
}

std::unique_ptr<PartitionWriter> KafkaLog::takeOver(PartitionId partition, FoldState& from,
                                                    const std::function<void(ValidRecord&)>& apply) {
  COUNTERFOIL_CHECK(partition.value < partitions());
  // 1. What the former writer has outstanding is answered, or given up with its lane.
  std::shared_ptr<kafka::Committer> former;
  {
    const std::lock_guard guard(mutex_);
    former = current_[partition.value].lock();
  }
  if (former != nullptr) former->finish();
  former.reset();
  shared_->broken.throwIfGiven();
  const std::shared_ptr<Lane> lane = lanes_->of(partition);
  // 2. Everything up to the end, as it is now; any staleness is fine.
  kafka::Reader reader(settings_, partition, from, shared_);
  ValidRecord record;
  while (reader.next(record, from)) apply(record);
  if (identity_.level < from.level) {
    throw Fault(ErrorCode::logUnavailable, "the log was written by a newer version of this program", "run that version, or a newer one");
  }
  // 3. The claim, with nothing else in flight: a first record that is refused while others follow it could be taken for written.
  const RecordHeader header = claimHeader(identity_, from);
  const std::uint64_t claimed = sendAlone(*lane, partition, header, claimValue(identity_), settings_.answerWithin, "becoming the writer");
  // 4. Up to and past the claim. Everything before an acknowledged record is committed, so this is all there is.
  shared_->know(partition, claimed + 1);
  bool ours = false;
  while (from.next.value <= claimed && reader.next(record, from)) {
    ours = record.position.value == claimed;
    apply(record);
  }
  if (!ours) {
    ++shared_->claimsLost;
    throw Fault(ErrorCode::dataInUse, "another node became the writer first", "this node follows it");
  }
  ++shared_->claims;
  shared_->term = header.term;
  // 5. From here on each record is expected right behind the one before.
  auto committer = std::make_shared<kafka::Committer>(*lane, partition, WriterStamp(identity_, from), shared_, settings_);
  lane->attend(committer);
  {
    const std::lock_guard guard(mutex_);
    current_[partition.value] = committer;
  }
  shared_->notice.raise();
  return std::make_unique<kafka::Writer>(lane, std::move(committer));
}

void KafkaLog::onAppended(std::function<void()> notify) {
  shared_->notice.set(std::move(notify));
}

}  // namespace counterfoil::log

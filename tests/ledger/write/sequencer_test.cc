// How far the sequencer goes ahead of the log: steps by hand, a log that answers when it is told to.
#include "ledger/write/sequencer.h"

#include <gtest/gtest.h>

#include <chrono>

#include "ledger/core/encoding.h"
#include "ledger/log/memory_log.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_key_provider.h"

namespace counterfoil::write {
namespace {

constexpr std::int64_t kLong = 10 * kNanosecondsPerSecond;

class SequencerTest : public testing::Test {
 protected:
  SequencerTest() {
    log::WriterIdentity identity;
    identity.incarnation = 1;
    identity.name = "node";
    log_ = std::make_unique<log::MemoryLog>(partitions_, identity, log::Delivery::pumped);
    SequencerOptions options;
    options.batchesAhead = 2;
    options.requestsWorthABatch = 4;
    sequencer_ = std::make_unique<Sequencer>(*log_, PartitionId{0}, state_, ring_, clock_, random_, options);
    sequencer_->start();
    step();
  }
  ~SequencerTest() override { log_->deliver(); }

  void step() {
    while (sequencer_->step()) {
    }
  }
  void submit() {
    Request request;
    request.kind = RequestKind::ledgerEvent;
    request.workspace = kSystemWorkspace;
    request.event.emplace(RedactedEvent::ofLedger(Kind::clockJumped, makeUuidV7(clock_.wall(), random_.bytes<10>())));
    request.bytes = 100;
    request.done = [this](const Answer* answer, const Fault*) { recorded_ += answer != nullptr ? 1 : 0; };
    sequencer_->submit(std::move(request));
  }
  void fill() {
    for (int batch = 0; batch < 2; ++batch) {
      submit();
      step();
    }
    ASSERT_EQ(log_->outstanding(), 2U);
  }
  // True if waiting for work ends at once.
  bool wakes() {
    const auto before = std::chrono::steady_clock::now();
    sequencer_->waitForWork(kLong);
    return std::chrono::steady_clock::now() - before < std::chrono::nanoseconds(kLong / 2);
  }

  test::ManualClock clock_;
  crypto::SystemRandom random_;
  test::MemoryKeyProvider provider_{random_};
  std::shared_ptr<log::MemoryPartitions> partitions_ =
      std::make_shared<log::MemoryPartitions>(log::LedgerFacts{"ledger", "test.example", clock_.wall()});
  std::unique_ptr<log::MemoryLog> log_;
  keys::KeyRing ring_{provider_, random_};
  KnownSecretStore known_;
  PartitionState state_{ring_, known_, 1'000};
  std::unique_ptr<Sequencer> sequencer_;
  int recorded_ = 0;
};

TEST_F(SequencerTest, WithEnoughInFlightTheNextBatchWaitsForAResult) {
  fill();
  submit();
  step();
  EXPECT_EQ(log_->outstanding(), 2U);
  EXPECT_GT(sequencer_->untilDue(kLong), 0) << "there is nothing to look for until the log answers";
  log_->deliver(1);
  EXPECT_TRUE(wakes());
  step();
  EXPECT_EQ(log_->outstanding(), 2U);
  log_->deliver();
  step();
  EXPECT_EQ(recorded_, 3);
  EXPECT_TRUE(sequencer_->idle());
}

TEST_F(SequencerTest, EnoughRequestsAreABatchOfTheirOwn) {
  fill();
  while (sequencer_->untilDue(1) == 0) step();
  for (int request = 0; request < 3; ++request) submit();
  step();
  EXPECT_EQ(log_->outstanding(), 2U);
  submit();
  EXPECT_TRUE(wakes());
  step();
  EXPECT_EQ(log_->outstanding(), 3U);
  log_->deliver();
  step();
  EXPECT_EQ(recorded_, 6);
}

TEST_F(SequencerTest, RequestsThatDidNotWakeItAreSeenWhoeverTookTheResults) {
  fill();
  submit();
  step();
  sequencer_->waitForWork(0);  // what woke it until now is seen
  log_->deliver(1);
  EXPECT_FALSE(sequencer_->idle());  // takes the result
  EXPECT_TRUE(wakes());
  step();
  EXPECT_EQ(log_->outstanding(), 2U);
}

}  // namespace
}  // namespace counterfoil::write

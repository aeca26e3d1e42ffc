// A Kafka broker for tests, in this process, that can be told what goes wrong: what a real one does once in a thousand faults happens here
// on request, each time, without waiting. It listens on 127.0.0.1 and speaks what librdkafka 2.0.2 sends for a producer without
// transactions and a consumer without a group: ApiVersions 0 and 3, Metadata 1 to 4, InitProducerId 0 to 4, Produce 3 to 7, Fetch 4 to 11,
// ListOffsets 1 and 2, DescribeConfigs 0 and 1.
//
// As Apache Kafka does it: what it remembers of a producer, and that it takes any first sequence of one it does not know
// (kafka_test_partition.h); a connection's next request is not looked at before the one before it was answered; what was sent is taken
// even if the sender is gone meanwhile; a fetch waits for records.
//
// What it is not: there is one broker and one topic, so no election moves a leader (truncate() is what an unclean one leaves), there are no
// replicas, and what is appended is readable at once; the log is in memory, without segments, retention or size limits; no transactions, no
// groups, no authorization, no TLS; batches keep the times of their producer (no LogAppendTime); compressed batches are kept, not read.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ledger/log/kafka/kafka_settings.h"
#include "ledger/log/record.h"
#include "tests/support/kafka_test_partition.h"

namespace counterfoil::test {

// What becomes of one Produce request.
struct ProduceFate {
  bool held = false;                   // as if it were on its way still: nothing is done with it before letGo()
  bool judged = true;                  // appended or refused as a leader does; false: nothing is done, whatever is answered
  std::optional<std::int16_t> error;   // answered instead of what became of it
  std::optional<std::int64_t> offset;  // base offset that is answered instead of the true one
  bool answerHeld = false;             // the answer waits for letGo()
  std::chrono::milliseconds late{0};   // the answer waits so long
  bool cut = false;                    // the connection is closed instead of an answer

  static ProduceFate asUsual() { return {}; }
  static ProduceFate heldBack() { return asUsual().hold(); }
  static ProduceFate answeredLater() { return asUsual().holdAnswer(); }
  static ProduceFate slow(std::chrono::milliseconds late);
  static ProduceFate refused(std::int16_t error);
  static ProduceFate appendedAndRefused(std::int16_t error);
  // A success that is none: nothing was appended.
  static ProduceFate falseSuccess(std::int64_t offset);
  // A success at another place than the true one.
  static ProduceFate misplaced(std::int64_t offset);
  static ProduceFate cutBefore();
  static ProduceFate cutAfter();
  ProduceFate hold() const;
  ProduceFate holdAnswer() const;
};

// A Produce request that came to its end.
struct Produced {
  std::int64_t producer = -1;
  std::int16_t epoch = -1;
  std::int32_t baseSequence = -1;
  std::int32_t records = 0;
  std::int16_t acks = 0;
  bool appended = false;  // by this request
  bool answered = false;
  std::int16_t error = 0;        // as answered
  std::int64_t baseOffset = -1;  // as answered
};

// Thread safe. Those that wait return false when what they wait for did not come within half a minute.
class KafkaTestBroker {
 public:
  static constexpr const char* kTopic = "ledger";

  // Listens when it returns.
  explicit KafkaTestBroker(std::uint32_t partitions);
  ~KafkaTestBroker();

  std::string address() const;
  // Of a log on this broker.
  log::KafkaSettings settings() const;

  // The next Produce requests of the partition, in the order in which they are looked at, get these fates instead of any planned before;
  // those that come after them get what always() said.
  void plan(std::uint32_t partition, std::vector<ProduceFate> fates);
  void always(std::uint32_t partition, const ProduceFate& fate);
  // A request of the partition (or its answer) is held, and at least `behind` more Produce requests have come behind it on its connection.
  bool awaitHeld(std::uint32_t partition, std::size_t behind = 0);
  // What is held goes on.
  void letGo(std::uint32_t partition);

  // Requests of the partition that came to their end so far, in order.
  std::vector<Produced> produced(std::uint32_t partition) const;
  bool awaitProduced(std::uint32_t partition, std::size_t count);
  // What is in the log, whoever wrote it.
  std::vector<wire::PlainRecord> records(std::uint32_t partition) const;

  // A record of somebody else; where it landed. Without `header` it is none of a ledger.
  std::int64_t inject(std::uint32_t partition, const std::optional<log::RecordHeader>& header, const std::vector<std::uint8_t>& value);
  void truncate(std::uint32_t partition, std::int64_t end);
  void deleteBefore(std::uint32_t partition, std::int64_t begin);
  void forgetProducers();
  // See KafkaTestPartition::append().
  void sayDuplicate(bool says);
  // Answers InitProducerId with that; 0: as usual.
  void refuseProducerIds(std::int16_t error);
  bool awaitProducerIdRefused();
  void cutConnections();
  // The next connections are closed as soon as they are made: a broker that is not there yet.
  void refuseConnections(std::size_t count);
  // What DescribeConfigs says; by default the settings that docs/kafka.md asks for.
  void setTopicSetting(const std::string& name, const std::string& value);

  // Requests that this broker cannot read or does not know, each with the reason. A test that leaves any has not seen what it thinks.
  std::vector<std::string> complaints() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::test

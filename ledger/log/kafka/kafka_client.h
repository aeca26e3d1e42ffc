// Clients of librdkafka as the ledger needs them: the one producer configuration, the one reader configuration. One place, so that no
// client can be made that would acknowledge less, reorder, or skip what is missing.
#pragma once

#include "ledger/core/ids.h"
#include "ledger/log/kafka/kafka_handles.h"
#include "ledger/log/kafka/kafka_settings.h"

namespace counterfoil::log::kafka {

// Idempotent, acks=all, delivery reports as events on the main queue. Throws Fault(invalidValue) for a property that librdkafka or the
// ledger refuses, logUnavailable if the client cannot be made.
Client makeProducer(const KafkaSettings& settings);
// No group, no stored offsets, no jump to another offset when one is missing.
Client makeReader(const KafkaSettings& settings);
// As makeReader(), for a look at single records: it fetches little ahead.
Client makeGlancer(const KafkaSettings& settings);
// As makeReader(), with the library's complaints as events on the main queue, which must be polled.
Client makeInspector(const KafkaSettings& settings);
// A member of a classic group: who is alive, and who is given which partition.
struct GroupMember {
  std::string group;
  std::chrono::milliseconds sessionTimeout{6'000};
  void (*rebalance)(rd_kafka_t*, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t*, void*) = nullptr;
  void* opaque = nullptr;
};
Client makeGroupMember(const KafkaSettings& settings, const GroupMember& member);
// The topic of the settings; never with a configuration of its own (librdkafka would forget the client's).
Topic openTopic(rd_kafka_t* client, const KafkaSettings& settings);

struct TopicFacts {
  std::uint32_t partitions = 0;
  std::vector<std::uint32_t> withoutLeader;
  std::uint32_t brokers = 0;
};
// Throws Fault(logUnavailable) if no broker answers in time, noLedger if there is no such topic.
TopicFacts topicFacts(rd_kafka_t* client, rd_kafka_topic_t* topic, const KafkaSettings& settings);

// Asks the partition's leader for one end of its log: RD_KAFKA_OFFSET_BEGINNING, or RD_KAFKA_OFFSET_END for the place behind the last
// record that is committed. Takes no longer than `limit`. `offset` is set only without an error.
rd_kafka_resp_err_t askOffset(rd_kafka_t* client, const KafkaSettings& settings, PartitionId partition, std::int64_t which,
                              std::chrono::milliseconds limit, std::int64_t& offset);

struct Watermarks {
  std::int64_t low = 0;
  std::int64_t high = 0;  // one more than the last record that is committed
};
// Asks the partition's leader. Throws Fault(logUnavailable) after KafkaSettings::answerWithin, at the very most twice that and two seconds.
Watermarks watermarks(rd_kafka_t* client, const KafkaSettings& settings, PartitionId partition);

}  // namespace counterfoil::log::kafka

#include "tests/support/kafka_test_answers.h"

#include <algorithm>
#include <array>
#include <optional>

namespace counterfoil::test::wire {
namespace {

constexpr std::int32_t kNode = 1;
constexpr std::int64_t kLatest = -1;
constexpr std::int64_t kEarliest = -2;

struct Spoken {
  std::int16_t api;
  std::int16_t from;  // the least that is read
  std::int16_t to;
  std::int16_t flexible;  // from this version on; -1: none that is read
  std::int16_t told;      // the least that ApiVersions names
};
// Brokers of 4.x name Produce 0 on purpose: clients look at it to see which codecs they may use.
constexpr std::array kSpoken = {
    Spoken{kProduce, 3, 7, -1, 0},         Spoken{kFetch, 4, 11, -1, 4},     Spoken{kListOffsets, 1, 2, -1, 1},
    Spoken{kMetadata, 1, 4, -1, 0},        Spoken{kApiVersions, 0, 3, 3, 0}, Spoken{kInitProducerId, 0, 4, 2, 0},
    Spoken{kDescribeConfigs, 0, 1, -1, 0},
};

const Spoken& spokenOf(std::int16_t api) {
  const auto found = std::find_if(kSpoken.begin(), kSpoken.end(), [&](const Spoken& each) { return each.api == api; });
  if (found == kSpoken.end()) throw Malformed("API " + std::to_string(api) + " is not spoken here");
  return *found;
}

bool isFlexible(const RequestHead& head) {
  const std::int16_t from = spokenOf(head.api).flexible;
  return from >= 0 && head.version >= from;
}

Buffer apiVersions(const RequestHead& head) {
  Writer writer = beginAnswer(head);
  const bool known = head.version <= spokenOf(kApiVersions).to;
  writer.int16(known ? 0 : kafka_error::kUnsupportedVersion);
  const bool flexible = known && isFlexible(head);
  if (flexible) {
    writer.varint(kSpoken.size() + 1);
  } else {
    writer.count(kSpoken.size());
  }
  for (const Spoken& each : kSpoken) {
    writer.int16(each.api).int16(each.told).int16(each.to);
    if (flexible) writer.varint(0);
  }
  if (known && head.version >= 1) writer.int32(0);
  if (flexible) writer.varint(0);
  return writer.out();
}

Buffer metadata(const RequestHead& head, Reader& body, const Cluster& cluster) {
  std::vector<std::string> wanted;
  const std::int32_t count = body.int32();
  for (std::int32_t index = 0; index < count; ++index) wanted.push_back(body.text().value_or(""));
  if (count < 0) wanted.push_back(cluster.topic);
  Writer writer = beginAnswer(head);
  if (head.version >= 3) writer.int32(0);
  writer.count(1).int32(kNode).text("127.0.0.1").int32(cluster.port).nullText();
  if (head.version >= 2) writer.text("test-cluster");
  writer.int32(kNode);
  writer.count(wanted.size());
  for (const std::string& name : wanted) {
    const bool known = name == cluster.topic;
    writer.int16(known ? 0 : kafka_error::kUnknownTopicOrPartition).text(name).int8(0);
    writer.count(known ? cluster.partitions.size() : 0);
    for (std::size_t number = 0; known && number < cluster.partitions.size(); ++number) {
      writer.int16(0).count(number).int32(kNode);
      writer.count(1).int32(kNode).count(1).int32(kNode);  // replicas, and those in sync
    }
  }
  return writer.out();
}

Buffer initProducerId(const RequestHead& head, Reader& body, Cluster& cluster) {
  const bool flexible = isFlexible(head);
  if (flexible ? body.compactText() : body.text()) throw Malformed("there are no transactions here");
  Writer writer = beginAnswer(head);
  writer.int32(0);
  if (cluster.producerIdError != 0) {
    ++cluster.producerIdsRefused;
    writer.int16(cluster.producerIdError).int64(-1).int16(-1);
  } else {
    // Without a transactional id each request gets a new producer id, whichever it names.
    writer.int16(0).int64(cluster.nextProducer++).int16(0);
  }
  if (flexible) writer.varint(0);
  return writer.out();
}

Buffer listOffsets(const RequestHead& head, Reader& body, Cluster& cluster) {
  static_cast<void>(body.int32());  // replica
  if (head.version >= 2) static_cast<void>(body.int8());
  Writer writer = beginAnswer(head);
  if (head.version >= 2) writer.int32(0);
  const std::int32_t topics = body.int32();
  writer.int32(topics);
  for (std::int32_t topic = 0; topic < topics; ++topic) {
    const std::string name = body.text().value_or("");
    const std::int32_t partitions = body.int32();
    writer.text(name).int32(partitions);
    for (std::int32_t index = 0; index < partitions; ++index) {
      const std::int32_t number = body.int32();
      const std::int64_t time = body.int64();
      if (time != kLatest && time != kEarliest) throw Malformed("offsets are not looked up by time here");
      const KafkaTestPartition* partition = cluster.partition(name, number);
      writer.int32(number).int16(partition == nullptr ? kafka_error::kUnknownTopicOrPartition : 0).int64(-1);
      writer.int64(partition == nullptr ? -1 : (time == kLatest ? partition->end() : partition->begin()));
    }
  }
  return writer.out();
}

Buffer describeConfigs(const RequestHead& head, Reader& body, const Cluster& cluster) {
  constexpr std::int8_t kTopicResource = 2;
  constexpr std::int8_t kSetOnTopic = 1;
  Writer writer = beginAnswer(head);
  writer.int32(0);
  const std::int32_t resources = body.int32();
  writer.int32(resources);
  for (std::int32_t index = 0; index < resources; ++index) {
    const std::int8_t type = body.int8();
    const std::string name = body.text().value_or("");
    for (std::int32_t left = body.int32(); left > 0; --left) static_cast<void>(body.text());
    const bool known = type == kTopicResource && name == cluster.topic;
    writer.int16(known ? 0 : kafka_error::kUnknownTopicOrPartition).nullText().int8(type).text(name);
    writer.count(known ? cluster.settings.size() : 0);
    for (auto each = cluster.settings.begin(); known && each != cluster.settings.end(); ++each) {
      writer.text(each->first).text(each->second).int8(0);
      writer.int8(head.version >= 1 ? kSetOnTopic : 0).int8(0);
      if (head.version >= 1) writer.count(0);  // synonyms
    }
  }
  return writer.out();
}

}  // namespace

RequestHead readRequestHead(Reader& reader) {
  RequestHead head;
  head.api = reader.int16();
  head.version = reader.int16();
  head.correlation = reader.int32();
  static_cast<void>(reader.text());  // of the client
  const Spoken& spoken = spokenOf(head.api);
  // A version of ApiVersions that is too new is answered, so that the client can ask in an older one.
  if (head.api == kApiVersions && head.version > spoken.to) return head;
  if (head.version < spoken.from || head.version > spoken.to) {
    throw Malformed("API " + std::to_string(head.api) + " is not spoken in version " + std::to_string(head.version));
  }
  if (isFlexible(head)) reader.skipTags();
  return head;
}

Writer beginAnswer(const RequestHead& head) {
  Writer writer;
  writer.int32(head.correlation);
  // ApiVersions is answered so that those can read it who do not know the version yet.
  if (head.api != kApiVersions && isFlexible(head)) writer.varint(0);
  return writer;
}

KafkaTestPartition* Cluster::partition(const std::string& name, std::int32_t number) {
  if (name != topic || number < 0 || static_cast<std::size_t>(number) >= partitions.size()) return nullptr;
  return &partitions[static_cast<std::size_t>(number)];
}

Buffer answer(const RequestHead& head, Reader& body, Cluster& cluster) {
  switch (head.api) {
    case kApiVersions:
      return apiVersions(head);
    case kMetadata:
      return metadata(head, body, cluster);
    case kInitProducerId:
      return initProducerId(head, body, cluster);
    case kListOffsets:
      return listOffsets(head, body, cluster);
    case kDescribeConfigs:
      return describeConfigs(head, body, cluster);
    default:
      throw Malformed("API " + std::to_string(head.api) + " waits for something");
  }
}

}  // namespace counterfoil::test::wire

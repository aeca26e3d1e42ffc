#include "tests/support/kafka_wire.h"

#include <array>

namespace counterfoil::test::wire {
namespace {

// Places in a batch of format 2.
constexpr std::size_t kLengthAt = 8;
constexpr std::size_t kLeaderEpochAt = 12;
constexpr std::size_t kChecksumAt = 17;
constexpr std::size_t kChecksummedFrom = 21;
constexpr std::size_t kHeadSize = 61;
constexpr std::int16_t kCompression = 7;  // bits of the attributes

constexpr std::array<std::uint32_t, 256> makeTable() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t index = 0; index < table.size(); ++index) {
    std::uint32_t value = index;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1U) ^ ((value & 1U) != 0 ? 0x82F63B78U : 0U);
    table[index] = value;
  }
  return table;
}

void put(Buffer& out, std::size_t at, std::uint64_t value, std::size_t size) {
  for (std::size_t index = 0; index < size; ++index) out[at + index] = static_cast<std::uint8_t>(value >> (8 * (size - 1 - index)));
}

// The attributes; `head` is filled.
std::int16_t parseHead(Reader& reader, View bytes, BatchHead& head) {
  head.baseOffset = reader.int64();
  if (static_cast<std::size_t>(reader.int32()) + kLeaderEpochAt != bytes.size()) throw Malformed("the batch's length is another");
  head.leaderEpoch = reader.int32();
  if (reader.int8() != 2) throw Malformed("the batch is of another format");
  const auto checksum = static_cast<std::uint32_t>(reader.int32());
  if (checksum != crc32c(bytes.subspan(kChecksummedFrom))) throw Malformed("the batch does not have its checksum");
  const std::int16_t attributes = reader.int16();
  const std::int32_t lastDelta = reader.int32();
  static_cast<void>(reader.take(16));  // times
  head.producer = reader.int64();
  head.epoch = reader.int16();
  head.baseSequence = reader.int32();
  head.records = reader.int32();
  if (head.records < 1 || lastDelta != head.records - 1) throw Malformed("the batch counts its records in two ways");
  return attributes;
}

}  // namespace

std::uint64_t Reader::number(std::size_t size) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : take(size)) value = (value << 8U) | byte;
  return value;
}

std::uint64_t Reader::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint8_t byte = take(1)[0];
    value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
    if ((byte & 0x80U) == 0) return value;
  }
  throw Malformed("a number does not end");
}

std::int64_t Reader::zigzag() {
  const std::uint64_t value = varint();
  return static_cast<std::int64_t>(value >> 1U) ^ -static_cast<std::int64_t>(value & 1U);
}

std::optional<std::string> Reader::text() {
  const std::int16_t size = int16();
  if (size < 0) return std::nullopt;
  const View view = take(static_cast<std::size_t>(size));
  return std::string(view.begin(), view.end());
}

std::optional<std::string> Reader::compactText() {
  const std::uint64_t size = varint();
  if (size == 0) return std::nullopt;
  const View view = take(size - 1);
  return std::string(view.begin(), view.end());
}

View Reader::bytes() {
  const std::int32_t size = int32();
  return size < 0 ? View() : take(static_cast<std::size_t>(size));
}

View Reader::take(std::size_t size) {
  if (size > bytes_.size() - position_) throw Malformed("the bytes end too early");
  const View view = bytes_.subspan(position_, size);
  position_ += size;
  return view;
}

void Reader::skipTags() {
  for (std::uint64_t left = varint(); left > 0; --left) {
    static_cast<void>(varint());
    static_cast<void>(take(varint()));
  }
}

Writer& Writer::number(std::uint64_t value, std::size_t size) {
  out_.resize(out_.size() + size);
  put(out_, out_.size() - size, value, size);
  return *this;
}

Writer& Writer::varint(std::uint64_t value) {
  for (; value >= 0x80U; value >>= 7U) out_.push_back(static_cast<std::uint8_t>(value | 0x80U));
  out_.push_back(static_cast<std::uint8_t>(value));
  return *this;
}

Writer& Writer::zigzag(std::int64_t value) {
  return varint((static_cast<std::uint64_t>(value) << 1U) ^ static_cast<std::uint64_t>(value >> 63));
}

Writer& Writer::text(std::string_view value) {
  int16(static_cast<std::int64_t>(value.size()));
  out_.insert(out_.end(), value.begin(), value.end());
  return *this;
}

Writer& Writer::bytes(View value) {
  return count(value.size()).raw(value);
}

Writer& Writer::raw(View value) {
  out_.insert(out_.end(), value.begin(), value.end());
  return *this;
}

BatchHead readHead(View bytes) {
  Reader reader(bytes);
  BatchHead head;
  parseHead(reader, bytes, head);
  return head;
}

std::vector<PlainRecord> readRecords(View bytes) {
  Reader reader(bytes);
  BatchHead head;
  if ((parseHead(reader, bytes, head) & kCompression) != 0) throw Malformed("the records are compressed");
  const auto sized = [&]() -> std::optional<View> {
    const std::int64_t size = reader.zigzag();
    if (size < 0) return std::nullopt;
    return reader.take(static_cast<std::size_t>(size));
  };
  std::vector<PlainRecord> records(static_cast<std::size_t>(head.records));
  for (PlainRecord& record : records) {
    static_cast<void>(reader.zigzag());  // its length
    static_cast<void>(reader.int8());    // attributes
    static_cast<void>(reader.zigzag());  // time
    record.offset = head.baseOffset + reader.zigzag();
    if (const auto key = sized()) record.key.emplace(key->begin(), key->end());
    if (const auto value = sized()) record.value.assign(value->begin(), value->end());
    for (std::int64_t left = reader.zigzag(); left > 0; --left) {
      const View name = sized().value_or(View());
      const View value = sized().value_or(View());
      record.headers.emplace_back(std::string(name.begin(), name.end()), Buffer(value.begin(), value.end()));
    }
  }
  if (!reader.atEnd()) throw Malformed("something stands behind the records");
  return records;
}

Buffer makeBatch(const PlainRecord& record) {
  Writer body;
  body.int8(0).zigzag(0).zigzag(0);
  if (record.key) {
    body.zigzag(static_cast<std::int64_t>(record.key->size()));
    for (const char each : *record.key) body.int8(each);
  } else {
    body.zigzag(-1);
  }
  body.zigzag(static_cast<std::int64_t>(record.value.size())).raw(record.value);
  body.zigzag(static_cast<std::int64_t>(record.headers.size()));
  for (const auto& [name, value] : record.headers) {
    body.zigzag(static_cast<std::int64_t>(name.size()));
    for (const char each : name) body.int8(each);
    body.zigzag(static_cast<std::int64_t>(value.size())).raw(value);
  }
  Writer batch;
  batch.int64(0).int32(0).int32(0).int8(2).int32(0);
  batch.int16(0).int32(0).int64(0).int64(0).int64(-1).int16(-1).int32(-1).int32(1);
  batch.zigzag(static_cast<std::int64_t>(body.out().size())).raw(body.out());
  Buffer bytes = batch.out();
  put(bytes, kLengthAt, bytes.size() - kLeaderEpochAt, 4);
  put(bytes, kChecksumAt, crc32c(View(bytes).subspan(kChecksummedFrom)), 4);
  return bytes;
}

void place(Buffer& batch, std::int64_t baseOffset, std::int32_t leaderEpoch) {
  if (batch.size() < kHeadSize) throw Malformed("no batch is so short");
  put(batch, 0, static_cast<std::uint64_t>(baseOffset), 8);
  put(batch, kLeaderEpochAt, static_cast<std::uint64_t>(leaderEpoch), 4);
}

std::uint32_t crc32c(View bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = makeTable();
  std::uint32_t value = 0xFFFFFFFFU;
  for (const std::uint8_t byte : bytes) value = (value >> 8U) ^ kTable[(value ^ byte) & 0xFFU];
  return ~value;
}

}  // namespace counterfoil::test::wire

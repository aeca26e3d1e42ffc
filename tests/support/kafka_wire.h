// Bytes of Kafka's protocol, as far as the test broker speaks it: big-endian numbers, texts, and record batches of format 2. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace counterfoil::test::wire {

using Buffer = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;

// The bytes end too early, or say what cannot be.
struct Malformed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Every method throws Malformed at the end of the bytes.
class Reader {
 public:
  explicit Reader(View bytes) : bytes_(bytes) {}
  std::int8_t int8() { return static_cast<std::int8_t>(number(1)); }
  std::int16_t int16() { return static_cast<std::int16_t>(number(2)); }
  std::int32_t int32() { return static_cast<std::int32_t>(number(4)); }
  std::int64_t int64() { return static_cast<std::int64_t>(number(8)); }
  std::uint64_t varint();                    // unsigned
  std::int64_t zigzag();                     // signed, as in records
  std::optional<std::string> text();         // length in 16 bits, -1: null
  std::optional<std::string> compactText();  // of flexible versions
  View bytes();                              // length in 32 bits; null is empty
  View take(std::size_t size);
  void skipTags();  // of flexible versions
  std::size_t position() const { return position_; }
  bool atEnd() const { return position_ == bytes_.size(); }

 private:
  std::uint64_t number(std::size_t size);
  View bytes_;
  std::size_t position_ = 0;
};

class Writer {
 public:
  Writer& int8(std::int64_t value) { return number(static_cast<std::uint64_t>(value), 1); }
  Writer& int16(std::int64_t value) { return number(static_cast<std::uint64_t>(value), 2); }
  Writer& int32(std::int64_t value) { return number(static_cast<std::uint64_t>(value), 4); }
  Writer& int64(std::int64_t value) { return number(static_cast<std::uint64_t>(value), 8); }
  Writer& count(std::size_t value) { return int32(static_cast<std::int64_t>(value)); }  // of an array
  Writer& varint(std::uint64_t value);
  Writer& zigzag(std::int64_t value);
  Writer& text(std::string_view value);
  Writer& nullText() { return int16(-1); }
  Writer& bytes(View value);  // with its length in 32 bits
  Writer& raw(View value);
  const Buffer& out() const { return out_; }

 private:
  Writer& number(std::uint64_t value, std::size_t size);
  Buffer out_;
};

// What stands in front of a batch's records.
struct BatchHead {
  std::int64_t baseOffset = 0;
  std::int32_t leaderEpoch = 0;
  std::int64_t producer = -1;  // -1: of no idempotent producer
  std::int16_t epoch = -1;
  std::int32_t baseSequence = -1;
  std::int32_t records = 0;
};

struct PlainRecord {
  std::int64_t offset = 0;
  std::optional<std::string> key;
  Buffer value;
  std::vector<std::pair<std::string, Buffer>> headers;
};

// One batch, as long as `bytes`. Throws Malformed if it is not of format 2, not whole, or does not have its checksum.
BatchHead readHead(View bytes);
// Its records. Throws Malformed if they are compressed.
std::vector<PlainRecord> readRecords(View bytes);
// A batch of one record and of no idempotent producer.
Buffer makeBatch(const PlainRecord& record);
// What the leader writes into a batch it takes; the checksum does not cover it.
void place(Buffer& batch, std::int64_t baseOffset, std::int32_t leaderEpoch);

std::uint32_t crc32c(View bytes);

}  // namespace counterfoil::test::wire

#include "ledger/core/codec.h"

#include <capnp/serialize.h>
#include <gtest/gtest.h>

#include "schemas/command.capnp.h"
#include "schemas/entry.capnp.h"
#include "schemas/record.capnp.h"
#include "tests/ledger/core/fill_values.h"

namespace counterfoil {
namespace {

using test::Dice;
using test::Fill;
using Buffer = std::vector<std::uint8_t>;

// Cap'n Proto's own canonical bytes of the same values.
Buffer oracle(const StructValue& value, capnp::StructSchema schema) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<capnp::DynamicStruct>(schema);
  test::toDynamic(value, root);
  const kj::Array<capnp::word> words = message.getRoot<capnp::AnyStruct>().asReader().canonicalize();
  const auto bytes = words.asBytes();
  return {bytes.begin(), bytes.end()};
}

// What Cap'n Proto itself reads in `bytes`, as its text form.
std::string dynamicText(const Buffer& bytes, capnp::StructSchema schema) {
  std::vector<capnp::word> words(bytes.size() / sizeof(capnp::word));
  std::memcpy(words.data(), bytes.data(), bytes.size());
  const kj::ArrayPtr<const capnp::word> segment(words.data(), words.size());
  capnp::SegmentArrayMessageReader reader(kj::arrayPtr(&segment, 1));
  EXPECT_TRUE(reader.isCanonical());
  return kj::str(reader.getRoot<capnp::DynamicStruct>(schema)).cStr();
}

std::string dynamicText(const StructValue& value, capnp::StructSchema schema) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<capnp::DynamicStruct>(schema);
  test::toDynamic(value, root);
  return kj::str(root.asReader()).cStr();
}

void expectSameAsOracle(const StructValue& value, capnp::StructSchema schema, const std::string& what) {
  const Buffer bytes = encodeCanonical(value);
  ASSERT_EQ(bytes, oracle(value, schema)) << what;
  EXPECT_EQ(dynamicText(bytes, schema), dynamicText(value, schema)) << what;
  for (const Strictness strictness : {Strictness::strict, Strictness::lenient}) {
    Arena arena;
    const DecodeResult result = decodeCanonical(*value.table, bytes, strictness, arena);
    ASSERT_EQ(result.problem, nullptr) << what << ": " << result.problem;
    EXPECT_FALSE(result.unknownParts) << what;
    EXPECT_EQ(dynamicText(result.value, schema), dynamicText(value, schema)) << what;
    EXPECT_EQ(encodeCanonical(result.value), bytes) << what;
  }
}

const capnp::StructSchema kEntrySchema = capnp::Schema::from<schema::Entry>();
const capnp::StructSchema kCommandSchema = capnp::Schema::from<schema::Command>();

TEST(CodecOracle, EveryKindFullAndPartly) {
  for (std::uint16_t kind = 1; kind < kKindCount; ++kind) {
    for (std::uint64_t round = 0; round < 20; ++round) {
      Dice dice(kind * 1000 + round);
      Arena arena;
      const StructValue value =
          test::randomWithMember(arena, *schemaTables().entry, Field::event, kind, dice, round == 0 ? Fill::everything : Fill::some);
      expectSameAsOracle(value, kEntrySchema, kindName(kind) + " seed " + std::to_string(kind * 1000 + round));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(CodecOracle, EveryCommandFullAndPartly) {
  for (std::uint16_t kind = 1; kind < kCommandKindCount; ++kind) {
    for (std::uint64_t round = 0; round < 20; ++round) {
      Dice dice(kind * 1000 + round);
      Arena arena;
      const Fill fill = round == 0 ? Fill::everything : Fill::some;
      const StructValue value = test::randomWithMember(arena, *schemaTables().command, Field::operation, kind, dice, fill);
      expectSameAsOracle(value, kCommandSchema, schemaTables().commands[kind].name + " seed " + std::to_string(kind * 1000 + round));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(CodecOracle, EveryStructureOfTheRecord) {
  const std::vector<std::pair<const StructTable*, capnp::StructSchema>> kinds = {
      {schemaTables().record, capnp::Schema::from<schema::Record>()},
      {schemaTables().sealed, capnp::Schema::from<schema::Sealed>()},
      {schemaTables().sealedDisclosure, capnp::Schema::from<schema::SealedDisclosure>()},
      {schemaTables().wrappedKey, capnp::Schema::from<schema::WrappedKey>()},
      {schemaTables().keys, capnp::Schema::from<schema::Keys>()},
      {schemaTables().claim, capnp::Schema::from<schema::Claim>()},
      {schemaTables().genesis, capnp::Schema::from<schema::Genesis>()},
  };
  for (const auto& [table, schema] : kinds) {
    for (std::uint64_t round = 0; round < 100; ++round) {
      Dice dice(round);
      Arena arena;
      StructValue value = test::randomStruct(arena, *table, dice, round == 0 ? Fill::everything : Fill::some);
      if (test::isDefault(value)) continue;  // the oracle has another form for nothing
      expectSameAsOracle(value, schema, table->name + " seed " + std::to_string(round));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Codec, NothingIsOneZeroWord) {
  Arena arena;
  const Buffer bytes = encodeCanonical(makeStruct(arena, *schemaTables().claim));
  EXPECT_EQ(bytes, Buffer(8, 0));
  const DecodeResult result = decodeCanonical(*schemaTables().claim, bytes, Strictness::strict, arena);
  ASSERT_EQ(result.problem, nullptr);
  EXPECT_EQ(result.value.text(Field::node), "");
}

TEST(Codec, EmptyValuesAreNullPointers) {
  Arena arena;
  StructValue grant = makeStruct(arena, *schemaTables().kinds[static_cast<std::size_t>(Kind::leaseGranted)].body);
  grant.setNumber(Field::maxUses, 5);
  const Buffer plain = encodeCanonical(grant);
  grant.setText(arena, Field::leaseId, "");
  grant.setTexts(arena, Field::scope, {});
  setPrincipal(arena, grant, Field::grantee, {});
  grant.setStructure(arena, Field::policy, makeStruct(arena, *grant.table->find(Field::policy)->structure));
  EXPECT_EQ(encodeCanonical(grant), plain);
}

TEST(Codec, WritingReplacesWhatTheBufferHeld) {
  Arena arena;
  StructValue claim = makeStruct(arena, *schemaTables().claim);
  claim.setText(arena, Field::node, "node-1");
  Buffer out(4096, 0xee);
  encodeCanonical(claim, out);
  EXPECT_EQ(out, encodeCanonical(claim));
}

TEST(Codec, TextsAndDataPointIntoTheBytesRead) {
  Arena arena;
  StructValue claim = makeStruct(arena, *schemaTables().claim);
  claim.setText(arena, Field::node, "node-1");
  const Buffer bytes = encodeCanonical(claim);
  const DecodeResult result = decodeCanonical(*schemaTables().claim, bytes, Strictness::strict, arena);
  const auto* start = reinterpret_cast<const char*>(bytes.data());
  EXPECT_GE(result.value.text(Field::node).data(), start);
  EXPECT_LT(result.value.text(Field::node).data(), start + bytes.size());
}

StructValue fullEntry(Arena& arena, std::uint64_t seed) {
  Dice dice(seed);
  return test::randomWithMember(arena, *schemaTables().entry, Field::event, static_cast<std::uint16_t>(Kind::leaseGranted), dice,
                                Fill::everything);
}

TEST(Codec, ReadsUnalignedBytes) {
  Arena arena;
  const Buffer bytes = encodeCanonical(fullEntry(arena, 1));
  for (std::size_t shift = 1; shift < 8; ++shift) {
    Buffer moved(shift, 0xaa);
    moved.insert(moved.end(), bytes.begin(), bytes.end());
    const DecodeResult result = decodeCanonical(*schemaTables().entry, crypto::Bytes(moved).subspan(shift), Strictness::strict, arena);
    ASSERT_EQ(result.problem, nullptr) << shift << ": " << result.problem;
    EXPECT_EQ(encodeCanonical(result.value), bytes);
  }
}

// ---- Hostile bytes ----

// Whatever strict decoding accepts is what the writer would write of it: so other bytes are another value.
void expectRejectedOrExact(const StructTable& table, const Buffer& bytes, const std::string& what, std::size_t& accepted) {
  Arena arena;
  const DecodeResult result = decodeCanonical(table, bytes, Strictness::strict, arena);
  if (!result) return;
  ++accepted;
  ASSERT_EQ(encodeCanonical(result.value), bytes) << what;
}

TEST(CodecHostile, EveryFlippedBitIsRejectedOrAnotherValue) {
  std::size_t accepted = 0;
  std::size_t tried = 0;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    Arena arena;
    const Buffer bytes = encodeCanonical(fullEntry(arena, seed));
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      for (const unsigned mask : {1U, 2U, 4U, 8U, 16U, 32U, 64U, 128U, 255U}) {
        Buffer flipped = bytes;
        flipped[at] = static_cast<std::uint8_t>(flipped[at] ^ mask);
        expectRejectedOrExact(*schemaTables().entry, flipped, "seed " + std::to_string(seed) + " byte " + std::to_string(at), accepted);
        if (HasFatalFailure()) return;
        ++tried;
      }
    }
  }
  // Letters of texts are most of an entry; padding, pointers and high bits are the rest.
  EXPECT_GT(accepted, tried / 4);
  EXPECT_LT(accepted, tried * 9 / 10);
}

TEST(CodecHostile, EveryTruncationIsRejected) {
  Arena arena;
  const Buffer bytes = encodeCanonical(fullEntry(arena, 7));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Buffer cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    for (const Strictness strictness : {Strictness::strict, Strictness::lenient}) {
      EXPECT_NE(decodeCanonical(*schemaTables().entry, cut, strictness, arena).problem, nullptr) << size;
    }
  }
}

TEST(CodecHostile, BytesBehindTheEndAreRejected) {
  Arena arena;
  const Buffer bytes = encodeCanonical(fullEntry(arena, 8));
  for (const std::size_t extra : {1U, 7U, 8U, 16U}) {
    for (const std::uint8_t filler : {std::uint8_t{0}, std::uint8_t{1}}) {
      Buffer longer = bytes;
      longer.insert(longer.end(), extra, filler);
      for (const Strictness strictness : {Strictness::strict, Strictness::lenient}) {
        EXPECT_NE(decodeCanonical(*schemaTables().entry, longer, strictness, arena).problem, nullptr);
      }
    }
  }
}

TEST(CodecHostile, ARemovedOrRepeatedWordIsRejectedOrAnotherValue) {
  Arena arena;
  const Buffer bytes = encodeCanonical(fullEntry(arena, 9));
  std::size_t accepted = 0;
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    const auto place = static_cast<std::ptrdiff_t>(at);
    Buffer without = bytes;
    without.erase(without.begin() + place, without.begin() + place + 8);
    expectRejectedOrExact(*schemaTables().entry, without, "without word " + std::to_string(at / 8), accepted);
    Buffer twice = bytes;
    twice.insert(twice.begin() + place, bytes.begin() + place, bytes.begin() + place + 8);
    expectRejectedOrExact(*schemaTables().entry, twice, "twice word " + std::to_string(at / 8), accepted);
  }
  EXPECT_EQ(accepted, 0U);
}

using CodecDeathTest = testing::Test;

// A wrong value must end the process rather than be sealed beside its neighbour's bits.
TEST(CodecDeathTest, ValuesThatDoNotFitEndTheProcess) {
  Arena arena;
  StructValue value = makeStruct(arena, *schemaTables().claim);
  value.setNumber(Field::level, 0x10000);
  EXPECT_DEATH(encodeCanonical(value), "internal check failed");
  StructValue principal = makeStruct(arena, *schemaTables().principal);
  principal.setNumber(Field::kind, 6);
  EXPECT_DEATH(encodeCanonical(principal), "internal check failed");
  StructValue keys = makeStruct(arena, *schemaTables().keys);
  const std::vector<StructValue> wrong = {principal};
  keys.setStructures(arena, Field::newKeys, wrong);
  EXPECT_DEATH(encodeCanonical(keys), "internal check failed");
}

}  // namespace
}  // namespace counterfoil

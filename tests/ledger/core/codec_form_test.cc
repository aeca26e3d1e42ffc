// Bytes put together by hand: what canonical form forbids, what the limits refuse, and what a newer writer may add.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>

#include "ledger/core/codec.h"
#include "ledger/core/limits.h"

namespace counterfoil {
namespace {

using FormBuffer = std::vector<std::uint8_t>;

// ---- Variants that Cap'n Proto reads and canonical form forbids. Words by hand. ----

using Words = std::vector<std::uint64_t>;

constexpr std::uint64_t structAt(std::uint64_t offset, std::uint64_t data, std::uint64_t pointers) {
  return offset << 2 | data << 32 | pointers << 48;
}
constexpr std::uint64_t listAt(std::uint64_t offset, std::uint64_t size, std::uint64_t count) {
  return 1 | offset << 2 | size << 32 | count << 35;
}
constexpr std::uint64_t letters(std::string_view text) {
  std::uint64_t result = 0;
  for (std::size_t index = 0; index < text.size(); ++index) result |= std::uint64_t{static_cast<std::uint8_t>(text[index])} << (8 * index);
  return result;
}
constexpr std::uint64_t kBit = 1, kByte = 2, kTwoBytes = 3, kEightBytes = 5, kPointer = 6, kComposite = 7;

FormBuffer toBytes(const Words& words) {
  FormBuffer bytes(words.size() * 8);
  std::memcpy(bytes.data(), words.data(), bytes.size());
  return bytes;
}

const char* formProblemOf(const StructTable& table, const Words& words, Strictness strictness = Strictness::strict) {
  Arena arena;
  const DecodeResult result = decodeCanonical(table, toBytes(words), strictness, arena);
  return result.problem == nullptr ? "accepted" : result.problem;
}

const StructTable& claimTable() {
  return *schemaTables().claim;
}
const StructTable& keysTable() {
  return *schemaTables().keys;
}

// Claim { node = "n1"; url = "u2"; level = 3 }, the base of the variants.
Words claim() {
  return {structAt(0, 1, 2), 3, listAt(1, kByte, 3), listAt(1, kByte, 3), letters("n1"), letters("u2")};
}

TEST(CodecForm, TheBaseOfTheVariantsIsCanonical) {
  EXPECT_STREQ(formProblemOf(claimTable(), claim()), "accepted");
}

// Changes one word of the base.
Words with(std::size_t index, std::uint64_t word) {
  Words words = claim();
  words[index] = word;
  return words;
}

TEST(CodecForm, EveryVariantOfAClaimIsRejectedInBothModes) {
  const std::map<std::string, std::pair<Words, std::string>> variants = {
      {"root pointer with an offset", {with(0, structAt(1, 1, 2)), "a pointer that is not in canonical order"}},
      {"root that is a list", {with(0, listAt(0, kByte, 3)), "a pointer of the wrong kind"}},
      {"root that is a far pointer", {with(0, 2), "a pointer of the wrong kind"}},
      {"root that is a capability", {with(0, 3), "a pointer of the wrong kind"}},
      {"zero-sized root with offset -1", {{0xfffffffcU}, "an empty structure that is not null"}},
      {"zero-sized root behind an offset", {{structAt(1, 0, 0)}, "an empty structure that is not null"}},
      {"empty text as one word",
       {{structAt(0, 1, 2), 3, listAt(1, kByte, 1), listAt(1, kByte, 3), 0, letters("u2")}, "an empty text that is not null"}},
      {"empty text without a terminator",
       {{structAt(0, 1, 2), 3, listAt(1, kByte, 0), listAt(0, kByte, 3), letters("u2")}, "an empty text that is not null"}},
      {"far pointer", {with(2, 2 | 1 << 3), "a pointer of the wrong kind"}},
      {"capability", {with(2, 3), "a pointer of the wrong kind"}},
      {"structure where a text belongs", {with(2, structAt(1, 1, 0)), "a pointer of the wrong kind"}},
      {"list of other elements", {with(2, listAt(1, kTwoBytes, 3)), "a pointer of the wrong kind"}},
      {"two pointers to one text",
       {{structAt(0, 1, 2), 3, listAt(1, kByte, 3), listAt(0, kByte, 3), letters("n1")}, "a pointer that is not in canonical order"}},
      {"texts in the other order",
       {{structAt(0, 1, 2), 3, listAt(2, kByte, 3), listAt(0, kByte, 3), letters("u2"), letters("n1")},
        "a pointer that is not in canonical order"}},
      {"gap",
       {{structAt(0, 1, 2), 3, listAt(2, kByte, 3), listAt(2, kByte, 3), 0, letters("n1"), letters("u2")},
        "a pointer that is not in canonical order"}},
      {"pointer back", {with(3, listAt(0x3ffffffe, kByte, 3)), "a pointer that is not in canonical order"}},
      {"pointer past the end", {with(3, listAt(1, kByte, 9)), "a pointer past the end"}},
      {"padding", {with(4, letters(std::string_view("n1\0x", 4))), "a text without its terminator"}},
      {"no terminator", {with(4, letters("n1x")), "a text without its terminator"}},
      {"NUL inside", {with(4, letters(std::string_view("\0n", 2))), "a NUL inside a text"}},
      {"no UTF-8", {with(4, letters("n\xff")), "a text that is not UTF-8"}},
      {"overlong UTF-8", {with(4, letters("\xc0\x80")), "a text that is not UTF-8"}},
      {"zero data section", {with(1, 0), "a data section that is not trimmed"}},
      {"null last pointer", {{structAt(0, 1, 2), 3, listAt(1, kByte, 3), 0, letters("n1")}, "a pointer section that is not trimmed"}},
  };
  for (const auto& [name, variant] : variants) {
    EXPECT_EQ(formProblemOf(claimTable(), variant.first, Strictness::strict), variant.second) << name;
    EXPECT_EQ(formProblemOf(claimTable(), variant.first, Strictness::lenient), variant.second) << name;
  }
}

TEST(CodecForm, NulIsFoundAnywhereInALongText) {
  const std::string text = "a text of three words and a bit: 1234";
  Arena arena;
  StructValue value = makeStruct(arena, claimTable());
  value.setText(arena, Field::node, text);
  const FormBuffer bytes = encodeCanonical(value);
  const std::size_t start = bytes.size() - 40;
  ASSERT_EQ(bytes[start], 'a');
  for (std::size_t at = 0; at < text.size(); ++at) {
    FormBuffer damaged = bytes;
    damaged[start + at] = 0;
    EXPECT_STREQ(decodeCanonical(claimTable(), damaged, Strictness::strict, arena).problem, "a NUL inside a text") << at;
    damaged[start + at] = 0xff;
    EXPECT_STREQ(decodeCanonical(claimTable(), damaged, Strictness::strict, arena).problem, "a text that is not UTF-8") << at;
    damaged[start + at] = 0x01;
    EXPECT_EQ(decodeCanonical(claimTable(), damaged, Strictness::strict, arena).problem, nullptr) << at;
  }
}

TEST(CodecForm, DataPaddingAndEmptyDataAreRejected) {
  const StructTable& table = *schemaTables().sealedDisclosure;
  EXPECT_STREQ(formProblemOf(table, {structAt(0, 0, 2), 0, listAt(0, kByte, 3), 0x030201}), "accepted");
  EXPECT_STREQ(formProblemOf(table, {structAt(0, 0, 2), 0, listAt(0, kByte, 3), 0x04030201}), "padding that is not zero");
  EXPECT_STREQ(formProblemOf(table, {structAt(0, 0, 2), 0, listAt(0, kByte, 0)}), "empty data that is not null");
}

// Keys with a list of WrappedKey { purpose = 1 } and nothing else per element.
TEST(CodecForm, VariantsOfAListOfStructuresAreRejected) {
  const std::uint64_t root = structAt(0, 0, 1);
  EXPECT_STREQ(formProblemOf(keysTable(), {root, listAt(0, kComposite, 2), structAt(2, 1, 0), 1, 2}), "accepted");
  EXPECT_STREQ(formProblemOf(keysTable(), {root, listAt(0, kComposite, 2), structAt(2, 1, 0), 0, 2}), "accepted");
  const std::map<std::string, std::pair<Words, std::string>> variants = {
      {"tag that is a list", {{root, listAt(0, kComposite, 2), listAt(2, kByte, 1), 1, 2}, "a list whose tag is no structure"}},
      {"more elements than words", {{root, listAt(0, kComposite, 2), structAt(3, 1, 0), 1, 2}, "a list whose tag contradicts its size"}},
      {"fewer elements than words", {{root, listAt(0, kComposite, 2), structAt(1, 1, 0), 1, 2}, "a list whose tag contradicts its size"}},
      {"no elements", {{root, listAt(0, kComposite, 0), structAt(0, 1, 0)}, "an empty list that is not null"}},
      {"wide elements", {{root, listAt(0, kComposite, 4), structAt(2, 2, 0), 1, 0, 2, 0}, "a list whose elements are not trimmed"}},
      {"wide pointer sections", {{root, listAt(0, kComposite, 4), structAt(2, 1, 1), 1, 0, 2, 0}, "a list whose elements are not trimmed"}},
      {"no tag", {{root, listAt(0, kComposite, 0)}, "a pointer past the end"}},
      {"list of pointers", {{root, listAt(0, kPointer, 1), 0}, "a pointer of the wrong kind"}},
      {"list of words", {{root, listAt(0, kEightBytes, 1), 1}, "a pointer of the wrong kind"}},
      {"size past the end", {{root, listAt(0, kComposite, 3), structAt(3, 1, 0), 1, 2}, "a pointer past the end"}},
  };
  for (const auto& [name, variant] : variants) {
    EXPECT_EQ(formProblemOf(keysTable(), variant.first), variant.second) << name;
    EXPECT_EQ(formProblemOf(keysTable(), variant.first, Strictness::lenient), variant.second) << name;
  }
}

TEST(CodecForm, ElementsOfNoSizeAreCountedAgainstTheLimit) {
  const std::uint64_t root = structAt(0, 0, 1);
  const std::size_t most = keysTable().find(Field::newKeys)->itemsMax;
  EXPECT_STREQ(formProblemOf(keysTable(), {root, listAt(0, kComposite, 0), structAt(most, 0, 0)}), "accepted");
  EXPECT_STREQ(formProblemOf(keysTable(), {root, listAt(0, kComposite, 0), structAt(most + 1, 0, 0)}), "a list over its limit");
  EXPECT_STREQ(formProblemOf(keysTable(), {root, listAt(0, kComposite, 0), structAt(0x3fffffff, 0, 0)}), "a list over its limit");
}

// Entry { event } with the words of the event given, behind a pointer section that holds nothing else.
Words entryWithEvent(std::uint64_t eventPointer, const Words& rest) {
  Words words = {structAt(0, 0, 14)};
  words.insert(words.end(), 13, 0);
  words.push_back(eventPointer);
  words.insert(words.end(), rest.begin(), rest.end());
  return words;
}
const StructTable& entryTable() {
  return *schemaTables().entry;
}

TEST(CodecForm, AMemberWithoutAKindIsRejected) {
  EXPECT_STREQ(formProblemOf(entryTable(), entryWithEvent(structAt(0, 1, 0), {1})), "accepted");
  for (const Strictness strictness : {Strictness::strict, Strictness::lenient}) {
    EXPECT_STREQ(formProblemOf(entryTable(), entryWithEvent(structAt(0, 0, 1), {structAt(0, 1, 0), 1}), strictness),
                 "a structure without a kind");
  }
}

// ---- Limits ----

TEST(CodecLimits, TextsDataAndListsEndAtTheirLimit) {
  for (const Strictness strictness : {Strictness::strict, Strictness::lenient}) {
    Arena arena;
    StructValue grant = makeStruct(arena, *schemaTables().kinds[static_cast<std::size_t>(Kind::leaseGranted)].body);
    const auto problem = [&] { return decodeCanonical(*grant.table, encodeCanonical(grant), strictness, arena).problem; };
    grant.setText(arena, Field::leaseId, std::string(limits::kIdBytesMax, 'i'));
    EXPECT_EQ(problem(), nullptr);
    grant.setText(arena, Field::leaseId, std::string(limits::kIdBytesMax + 1, 'i'));
    EXPECT_STREQ(problem(), "a text over its limit");
    grant.setText(arena, Field::leaseId, "lease-1");
    std::vector<std::string_view> scope(limits::kListItemsMax, "s");
    grant.setTexts(arena, Field::scope, scope);
    EXPECT_EQ(problem(), nullptr);
    scope.push_back("s");
    grant.setTexts(arena, Field::scope, scope);
    EXPECT_STREQ(problem(), "a list over its limit");
    const std::string longScope(limits::kScannedBytesMax + 1, 's');
    scope = {"s", longScope};
    grant.setTexts(arena, Field::scope, scope);
    EXPECT_STREQ(problem(), "a text over its limit");

    StructValue policy = makeStruct(arena, *schemaTables().kinds[static_cast<std::size_t>(Kind::policySet)].body);
    const auto policyProblem = [&] { return decodeCanonical(*policy.table, encodeCanonical(policy), strictness, arena).problem; };
    policy.setText(arena, Field::document, std::string(limits::kPolicyBytesMax, 'p'));
    policy.setData(arena, Field::documentDigest, FormBuffer(65'000, 1));
    EXPECT_EQ(policyProblem(), nullptr);
    policy.setData(arena, Field::documentDigest, FormBuffer(65'001, 1));
    EXPECT_STREQ(policyProblem(), "data over its limit");
  }
}

// ---- What a newer writer may add ----

struct Read {
  std::string problem;
  bool unknownParts;
};
Read readLenient(const StructTable& table, const Words& words) {
  Arena arena;
  const DecodeResult result = decodeCanonical(table, toBytes(words), Strictness::lenient, arena);
  return {result.problem == nullptr ? "accepted" : result.problem, result.unknownParts};
}

void expectNewer(const StructTable& table, const Words& words, const std::string& strictProblem) {
  EXPECT_EQ(formProblemOf(table, words), strictProblem);
  const Read read = readLenient(table, words);
  EXPECT_EQ(read.problem, "accepted");
  EXPECT_TRUE(read.unknownParts);
}

TEST(CodecNewer, UnknownNumbersArePassedOver) {
  expectNewer(claimTable(), {structAt(0, 1, 0), 3 | 1ULL << 16}, "an unknown field");
  expectNewer(claimTable(), {structAt(0, 2, 0), 3, 1}, "an unknown field");
}

TEST(CodecNewer, UnknownEnumerationValuesAreLeftOut) {
  Arena arena;
  const Words words = {structAt(0, 1, 1), 77, listAt(0, kByte, 3), letters("id")};
  expectNewer(*schemaTables().principal, words, "an unknown enumeration value");
  const FormBuffer bytes = toBytes(words);
  const DecodeResult result = decodeCanonical(*schemaTables().principal, bytes, Strictness::lenient, arena);
  EXPECT_EQ(result.value.number(Field::kind), 0U);
  EXPECT_EQ(result.value.text(Field::id), "id");
}

TEST(CodecNewer, UnknownPointersOfEveryKindArePassedOver) {
  const auto claimWith = [](std::uint64_t pointer, const Words& rest) {
    Words words = {structAt(0, 0, 3), 0, 0, pointer};
    words.insert(words.end(), rest.begin(), rest.end());
    return words;
  };
  const std::string unknown = "an unknown field";
  expectNewer(claimTable(), claimWith(listAt(0, kByte, 3), {letters("xy")}), unknown);
  expectNewer(claimTable(), claimWith(listAt(0, kBit, 9), {0x1ff}), unknown);
  expectNewer(claimTable(), claimWith(listAt(0, kTwoBytes, 5), {1, 2}), unknown);
  expectNewer(claimTable(), claimWith(listAt(0, kEightBytes, 2), {1, 2}), unknown);
  expectNewer(claimTable(), claimWith(listAt(0, kPointer, 2), {0, listAt(0, kByte, 3), letters("xy")}), unknown);
  expectNewer(claimTable(), claimWith(structAt(0, 1, 1), {1, listAt(0, kByte, 3), letters("xy")}), unknown);
  expectNewer(claimTable(), claimWith(listAt(0, kComposite, 4), {structAt(2, 1, 1), 1, 0, 0, listAt(0, kByte, 3), letters("xy")}), unknown);
  expectNewer(claimTable(), claimWith(listAt(0, 0, 1'000'000), {}), unknown);
  expectNewer(claimTable(), claimWith(listAt(0, kComposite, 0), {structAt(0x3fffffff, 0, 0)}), unknown);
}

TEST(CodecNewer, TheFormOfUnknownPartsIsStillChecked) {
  const auto problem = [](std::uint64_t pointer, const Words& rest) {
    Words words = {structAt(0, 0, 3), 0, 0, pointer};
    words.insert(words.end(), rest.begin(), rest.end());
    return readLenient(claimTable(), words).problem;
  };
  EXPECT_EQ(problem(2, {}), "a pointer of the wrong kind");
  EXPECT_EQ(problem(3, {}), "a pointer of the wrong kind");
  EXPECT_EQ(problem(listAt(1, kByte, 3), {0, letters("xy")}), "a pointer that is not in canonical order");
  EXPECT_EQ(problem(listAt(0, kByte, 0), {}), "an empty list that is not null");
  EXPECT_EQ(problem(listAt(0, kByte, 2), {letters("xyz")}), "padding that is not zero");
  EXPECT_EQ(problem(listAt(0, kBit, 9), {0x3ff}), "padding that is not zero");
  EXPECT_EQ(problem(listAt(0, kEightBytes, 0x1fffffff), {1}), "a pointer past the end");
  EXPECT_EQ(problem(listAt(0, kPointer, 1), {2}), "a pointer of the wrong kind");
  EXPECT_EQ(problem(structAt(0, 2, 0), {1, 0}), "a data section that is not trimmed");
  EXPECT_EQ(problem(structAt(0, 1, 1), {1, 0}), "a pointer section that is not trimmed");
  EXPECT_EQ(problem(structAt(0, 0, 0) | 0xfffffffcU, {}), "an empty structure that is not null");
  EXPECT_EQ(problem(listAt(0, kComposite, 4), {structAt(2, 2, 0), 1, 0, 2, 0}), "a list whose elements are not trimmed");
  EXPECT_EQ(problem(listAt(0, kComposite, 1), {structAt(2, 1, 0), 1}), "a list whose tag contradicts its size");
  EXPECT_EQ(problem(listAt(0, kByte, 3), {letters("xy"), 0}), "bytes behind the last structure");
}

TEST(CodecNewer, AnUnknownKindIsKeptByItsNumberOnly) {
  const Words words = entryWithEvent(structAt(0, 1, 1), {999, structAt(0, 1, 1), 5, listAt(0, kByte, 3), letters("xy")});
  expectNewer(entryTable(), words, "an unknown kind");
  Arena arena;
  const FormBuffer bytes = toBytes(words);
  const DecodeResult result = decodeCanonical(entryTable(), bytes, Strictness::lenient, arena);
  EXPECT_EQ(result.value.structure(Field::event).discriminant, 999);
  EXPECT_EQ(result.value.structure(Field::event).member, nullptr);
  Words damaged = words;
  damaged.back() = letters("xyz");
  damaged[damaged.size() - 2] = listAt(0, kByte, 2);
  EXPECT_EQ(readLenient(entryTable(), damaged).problem, "padding that is not zero");
}

// A chain of `depth` structures, or lists, of one pointer each under an unknown pointer of a claim.
Words nested(std::size_t depth, std::uint64_t pointer) {
  Words words = {structAt(0, 0, 3), 0, 0};
  words.insert(words.end(), depth, pointer);
  words.push_back(listAt(0, kByte, 1));
  words.push_back('x');
  return words;
}

TEST(CodecNewer, NestingEndsBeforeTheStackDoes) {
  for (const std::uint64_t pointer : {structAt(0, 0, 1), listAt(0, kPointer, 1)}) {
    EXPECT_EQ(readLenient(claimTable(), nested(5, pointer)).problem, "accepted");
    EXPECT_EQ(readLenient(claimTable(), nested(100'000, pointer)).problem, "structures nested too deep");
    std::size_t deepest = 0;
    while (readLenient(claimTable(), nested(deepest + 1, pointer)).problem == "accepted") ++deepest;
    EXPECT_LT(deepest, 8U);
  }
}

}  // namespace
}  // namespace counterfoil

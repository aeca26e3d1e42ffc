#include "ledger/core/encoding.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace counterfoil {
namespace {

using Vector = std::vector<std::uint8_t>;

crypto::Bytes asBytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string asText(const Vector& bytes) {
  return {bytes.begin(), bytes.end()};
}

constexpr std::int64_t kSecond = kNanosecondsPerSecond;

TEST(Hex, ThereAndBack) {
  Vector all(256);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint8_t>(i);
  const std::string text = toHex(all);
  EXPECT_EQ(text.substr(0, 36), "000102030405060708090a0b0c0d0e0f1011");
  EXPECT_EQ(text.substr(506), "fdfeff");
  EXPECT_EQ(fromHex(text), all);
  EXPECT_EQ(fromHex("DEADbeef"), (Vector{0xde, 0xad, 0xbe, 0xef}));
  EXPECT_EQ(toHex({}), "");
  EXPECT_EQ(fromHex(""), Vector{});
}

TEST(Hex, RefusesEverythingElse) {
  for (const char* text : {"0", "000", "0g", "g0", "0x00", " 00", "00 ", "0\n", "0-", "/0", ":0", "@0", "G0", "`0", "\xc3\xa9"}) {
    EXPECT_EQ(fromHex(text), std::nullopt) << text;
  }
  EXPECT_EQ(fromHex(std::string_view("0\0", 2)), std::nullopt);
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = {'0', static_cast<char>(byte)};
    const bool digit = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
    EXPECT_EQ(fromHex(text).has_value(), digit) << byte;
  }
}

// RFC 4648 10.
TEST(Base64, KnownAnswers) {
  const std::vector<std::pair<std::string, std::string>> answers = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : answers) {
    EXPECT_EQ(toBase64(asBytes(plain)), encoded);
    EXPECT_EQ(asText(fromBase64(encoded).value()), plain);
    const std::string bare = encoded.substr(0, encoded.find('='));
    EXPECT_EQ(toBase64Url(asBytes(plain)), bare);
    EXPECT_EQ(asText(fromBase64Url(bare).value()), plain);
  }
  const Vector special = {0xfb, 0xff, 0xbf};
  EXPECT_EQ(toBase64(special), "+/+/");
  EXPECT_EQ(toBase64Url(special), "-_-_");
  EXPECT_EQ(fromBase64("+/+/"), special);
  EXPECT_EQ(fromBase64Url("-_-_"), special);
  EXPECT_EQ(fromBase64("-_-_"), std::nullopt);
  EXPECT_EQ(fromBase64Url("+/+/"), std::nullopt);
}

TEST(Base64, ThereAndBack) {
  std::mt19937 random(5);
  for (std::size_t size = 0; size < 100; ++size) {
    Vector bytes(size);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    EXPECT_EQ(fromBase64(toBase64(bytes)), bytes);
    EXPECT_EQ(fromBase64Url(toBase64Url(bytes)), bytes);
    EXPECT_EQ(toBase64Url(bytes).find('='), std::string::npos);
  }
}

TEST(Base64, RefusesEverythingElse) {
  for (const char* text :
       {"Z",    "Zg",   "Zg=",  "Zg===",  "=",      "==",       "===",  "====", "Z===", "Zm9v=",     "Zm9v====", "Zg==Zg==", "Z=g=",
        "=Zg=", "Zm8 ", " Zm8", "Zm8=\n", "Zm\n9v", "Zm9v\r\n", "Zh==", "Zm9=", "Z/==", "Zm9vYmF/=", "Zm9*",     "Zm9\x80"}) {
    EXPECT_EQ(fromBase64(text), std::nullopt) << text;
  }
  for (const char* text : {"Z", "Zg==", "Zm8=", "Zm9vY", "Zh", "Zm9", "Zm9v ", "Zm9v\n", "Zg=", "Zm9.", "Zm9\xff"}) {
    EXPECT_EQ(fromBase64Url(text), std::nullopt) << text;
  }
  EXPECT_EQ(fromBase64(std::string_view("Zm9\0", 4)), std::nullopt);
}

// Equal bytes have one text only: of all endings, exactly those that encode gives are accepted.
TEST(Base64, EveryTextAcceptedIsTheOneThatEncodingGives) {
  constexpr std::string_view kCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_ ";
  int accepted = 0;
  for (const char a : kCharacters) {
    for (const char b : kCharacters) {
      for (const char c : {'A', 'Q', 'w', 'x', '8', '9', '/', '='}) {
        for (const char d : {'A', '/', '='}) {
          const std::string text = {a, b, c, d};
          const auto bytes = fromBase64(text);
          if (!bytes) continue;
          ++accepted;
          ASSERT_EQ(toBase64(*bytes), text);
        }
      }
    }
  }
  // Full groups: 64 * 64 * 7 * 2; two bytes: last digit a multiple of 4 (A, Q, w, 8): 64 * 64 * 4; one byte: a multiple of 16: 64 * 4.
  EXPECT_EQ(accepted, 64 * 64 * 7 * 2 + 64 * 64 * 4 + 64 * 4);
}

TEST(Uuid, ThereAndBack) {
  EntryId id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<std::uint8_t>(0x11 * i);
  EXPECT_EQ(toUuid(id), "00112233-4455-6677-8899-aabbccddeeff");
  EXPECT_EQ(fromUuid(toUuid(id)), id);
  EXPECT_EQ(fromUuid("00112233-4455-6677-8899-AABBCCDDEEFF"), id);
}

TEST(Uuid, RefusesEverythingElse) {
  const std::string good = "00112233-4455-6677-8899-aabbccddeeff";
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string text = good;
    text[i] = good[i] == '-' ? '0' : '-';
    EXPECT_EQ(fromUuid(text), std::nullopt) << text;
    text[i] = 'g';
    EXPECT_EQ(fromUuid(text), std::nullopt) << text;
    EXPECT_EQ(fromUuid(good.substr(0, i)), std::nullopt);
  }
  EXPECT_EQ(fromUuid(good + "0"), std::nullopt);
  EXPECT_EQ(fromUuid("{" + good + "}"), std::nullopt);
  EXPECT_EQ(fromUuid("urn:uuid:" + good), std::nullopt);
  EXPECT_EQ(fromUuid("00112233445566778899aabbccddeeff"), std::nullopt);
}

// RFC 9562 A.6: 2022-02-22T19:22:22.000Z with rand_a 0xCC3 and rand_b 0x18C4DC0C0C07398F.
TEST(Uuid, Version7IsThatOfTheRfc) {
  const Timestamp time{1'645'557'742'000 * kNanosecondsPerMillisecond};
  const EntryId id = makeUuidV7(time, {0xfc, 0xc3, 0xd8, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f});
  EXPECT_EQ(toUuid(id), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  EXPECT_TRUE(isUuidV7(id));
  EXPECT_EQ(uuidV7Time(id), time);
}

TEST(Uuid, Version7CutsToMillisecondsAndRefusesTimesBefore1970) {
  const std::array<std::uint8_t, 10> zeros{};
  EXPECT_EQ(uuidV7Time(makeUuidV7(Timestamp{1'999'999}, zeros)).nanoseconds, 1'000'000);
  EXPECT_EQ(uuidV7Time(makeUuidV7(Timestamp{0}, zeros)).nanoseconds, 0);
  EXPECT_THROW(makeUuidV7(Timestamp{-1}, zeros), std::invalid_argument);
  EXPECT_LT(makeUuidV7(Timestamp{5 * kSecond}, {0xff}), makeUuidV7(Timestamp{5 * kSecond + kNanosecondsPerMillisecond}, zeros));
}

TEST(Uuid, TimesPastTheCalendarStayFarAhead) {
  EXPECT_EQ(uuidV7Time(fromUuid("ffffffff-ffff-7fff-bfff-ffffffffffff").value()).nanoseconds, std::numeric_limits<std::int64_t>::max());
  // 9223372036854 ms is the last that nanoseconds can count.
  EXPECT_EQ(uuidV7Time(fromUuid("08637bd0-5af6-7000-8000-000000000000").value()).nanoseconds, 9'223'372'036'854 * 1'000'000);
  EXPECT_EQ(uuidV7Time(fromUuid("08637bd0-5af7-7000-8000-000000000000").value()).nanoseconds, std::numeric_limits<std::int64_t>::max());
}

TEST(Uuid, OnlyVersion7OfTheRfcVariantIsVersion7) {
  for (unsigned version = 0; version < 16; ++version) {
    for (unsigned variant = 0; variant < 4; ++variant) {
      EntryId id;
      id.bytes[6] = static_cast<std::uint8_t>(version << 4);
      id.bytes[8] = static_cast<std::uint8_t>(variant << 6);
      EXPECT_EQ(isUuidV7(id), version == 7 && variant == 2) << version << " " << variant;
    }
  }
}

TEST(Uuid, Version8IsTheHashWithItsMarks) {
  // SHA-256("abc") = ba7816bf 8f01cfea 414140de 5dae2223 ...
  EXPECT_EQ(toUuid(makeUuidV8("abc")), "ba7816bf-8f01-8fea-8141-40de5dae2223");
  EXPECT_FALSE(isUuidV7(makeUuidV8("abc")));
}

TEST(Rfc3339, ThereAndBack) {
  const std::vector<std::pair<std::int64_t, std::string>> answers = {
      {0, "1970-01-01T00:00:00Z"},
      {1, "1970-01-01T00:00:00.000000001Z"},
      {-1, "1969-12-31T23:59:59.999999999Z"},
      {-kSecond, "1969-12-31T23:59:59Z"},
      {100'000'000, "1970-01-01T00:00:00.1Z"},
      {120'000, "1970-01-01T00:00:00.00012Z"},
      {1'772'357'400 * kSecond + 123'456'789, "2026-03-01T09:30:00.123456789Z"},
      {951'782'400 * kSecond, "2000-02-29T00:00:00Z"},
      {951'868'799 * kSecond, "2000-02-29T23:59:59Z"},
      {951'868'800 * kSecond, "2000-03-01T00:00:00Z"},
      {4'107'542'400 * kSecond, "2100-03-01T00:00:00Z"},
      {4'107'542'399 * kSecond, "2100-02-28T23:59:59Z"},
      {-2'203'891'200 * kSecond, "1900-03-01T00:00:00Z"},
      {-9'214'560'000 * kSecond, "1678-01-01T00:00:00Z"},
      {9'214'646'399 * kSecond + 999'999'999, "2261-12-31T23:59:59.999999999Z"},
  };
  for (const auto& [nanoseconds, text] : answers) {
    EXPECT_EQ(toRfc3339(Timestamp{nanoseconds}), text);
    EXPECT_EQ(fromRfc3339(text), Timestamp{nanoseconds}) << text;
  }
}

// A calendar counted day by day, over all years that fit.
TEST(Rfc3339, EveryDayFollowsTheOneBefore) {
  std::int64_t day = -9'214'560'000 / 86'400;
  for (int year = 1678; year <= 2261; ++year) {
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    const int lengths[] = {31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (int month = 1; month <= 12; ++month) {
      for (int dayOfMonth = 1; dayOfMonth <= 31; ++dayOfMonth) {
        char text[40];
        std::snprintf(text, sizeof(text), "%04d-%02d-%02dT12:34:56Z", year, month, dayOfMonth);
        if (dayOfMonth > lengths[month - 1]) {
          ASSERT_EQ(fromRfc3339(text), std::nullopt) << text;
          continue;
        }
        const Timestamp time{(day * 86'400 + 45'296) * kSecond};
        ASSERT_EQ(fromRfc3339(text), time) << text;
        ASSERT_EQ(toRfc3339(time), text);
        ++day;
      }
    }
  }
  EXPECT_EQ(day, 9'214'646'400 / 86'400);
}

TEST(Rfc3339, WritesEveryTimeOfTheType) {
  EXPECT_EQ(toRfc3339(Timestamp{std::numeric_limits<std::int64_t>::min()}), "1677-09-21T00:12:43.145224192Z");
  EXPECT_EQ(toRfc3339(Timestamp{std::numeric_limits<std::int64_t>::max()}), "2262-04-11T23:47:16.854775807Z");
}

TEST(Rfc3339, OffsetsAreTakenOff) {
  EXPECT_EQ(fromRfc3339("1970-01-01T01:00:00+01:00"), Timestamp{0});
  EXPECT_EQ(fromRfc3339("1969-12-31T18:30:00.5-05:30"), Timestamp{500'000'000});
  EXPECT_EQ(fromRfc3339("1970-01-01T00:00:00-00:00"), Timestamp{0});
  EXPECT_EQ(fromRfc3339("1970-01-01T23:59:00+23:59"), Timestamp{0});
  // Judged in UTC at both ends.
  EXPECT_EQ(fromRfc3339("1678-01-01T00:59:59+01:00"), std::nullopt);
  EXPECT_TRUE(fromRfc3339("1678-01-01T01:00:00+01:00").has_value());
  EXPECT_TRUE(fromRfc3339("1677-12-31T23:30:00-01:00").has_value());
  EXPECT_EQ(fromRfc3339("2261-12-31T23:59:59-00:01"), std::nullopt);
  EXPECT_TRUE(fromRfc3339("2262-01-01T00:30:00+01:00").has_value());
}

TEST(Rfc3339, RefusesEverythingElse) {
  for (const char* text : {"",
                           "2026",
                           "2026-03-01",
                           "2026-03-01T09:30:00",
                           "2026-03-01T09:30Z",
                           "2026-03-01T09:30:00z",
                           "2026-03-01t09:30:00Z",
                           "2026-03-01 09:30:00Z",
                           "2026-03-01T09:30:00.Z",
                           "2026-03-01T09:30:00,5Z",
                           "2026-03-01T09:30:00.1234567890Z",
                           "2026-03-01T09:30:00.1.2Z",
                           "2026-03-01T09:30:00.-1Z",
                           "2026-03-01T09:30:60Z",
                           "2016-12-31T23:59:60Z",
                           "2026-03-01T24:00:00Z",
                           "2026-03-01T09:60:00Z",
                           "2026-00-01T09:30:00Z",
                           "2026-13-01T09:30:00Z",
                           "2026-03-00T09:30:00Z",
                           "2026-03-32T09:30:00Z",
                           "2026-02-29T09:30:00Z",
                           "2100-02-29T09:30:00Z",
                           "2026-04-31T09:30:00Z",
                           "2026-3-01T09:30:00Z",
                           "02026-03-01T09:30:00Z",
                           "+2026-03-01T09:30:00Z",
                           "-2026-03-01T09:30:00Z",
                           "2026-03-01T09:30:00ZZ",
                           "2026-03-01T09:30:00Z ",
                           " 2026-03-01T09:30:00Z",
                           "2026-03-01T09:30:00Z+01:00",
                           "2026-03-01T09:30:00+0100",
                           "2026-03-01T09:30:00+01",
                           "2026-03-01T09:30:00+1:00",
                           "2026-03-01T09:30:00+24:00",
                           "2026-03-01T09:30:00+00:60",
                           "2026-03-01T09:30:00 01:00",
                           "2026-03-01T+9:30:00Z",
                           "2026-03-01T 9:30:00Z",
                           "1677-12-31T23:59:59Z",
                           "2262-01-01T00:00:00Z",
                           "0000-01-01T00:00:00Z",
                           "9999-12-31T23:59:59Z",
                           "\xd9\xa2\xd9\xa0\xd9\xa2\xd9\xa6-03-01T09:30:00Z"}) {
    EXPECT_EQ(fromRfc3339(text), std::nullopt) << text;
  }
  EXPECT_EQ(fromRfc3339(std::string_view("2026-03-01T09:30:00Z\0", 21)), std::nullopt);
}

// RFC 3629 by decoding: the slow way that cannot share a mistake with a table of leading bytes.
bool definedUtf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const unsigned lead = static_cast<std::uint8_t>(text[i]);
    const unsigned size = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
    if (size == 0 || i + size > text.size()) return false;
    unsigned point = size == 1 ? lead : lead & (0xffu >> (size + 1));
    for (unsigned k = 1; k < size; ++k) {
      const unsigned tail = static_cast<std::uint8_t>(text[i + k]);
      if (tail >> 6 != 2) return false;
      point = point << 6 | (tail & 63);
    }
    constexpr unsigned kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < kSmallest[size] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
    i += size;
  }
  return true;
}

TEST(Utf8, EqualsTheDefinitionForAllSequencesOfThreeBytes) {
  std::string text(3, '\0');
  for (int a = 0x70; a < 256; ++a) {
    for (int b = 0x70; b < 256; ++b) {
      text = {static_cast<char>(a), static_cast<char>(b)};
      ASSERT_EQ(isUtf8(text), definedUtf8(text)) << a << " " << b;
      text.push_back('\0');
      for (int c = 0x70; c < 256; ++c) {
        text[2] = static_cast<char>(c);
        ASSERT_EQ(isUtf8(text), definedUtf8(text)) << a << " " << b << " " << c;
      }
    }
  }
}

TEST(Utf8, EqualsTheDefinitionForSequencesOfFourBytes) {
  int good = 0;
  for (int a = 0xed; a < 256; ++a) {
    for (int b = 0x7e; b < 0xc2; ++b) {
      for (const int c : {0x00, 0x7f, 0x80, 0x9f, 0xbf, 0xc0, 0xff}) {
        for (const int d : {0x00, 0x7f, 0x80, 0xa0, 0xbf, 0xc0, 0xff}) {
          const std::string text = {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c), static_cast<char>(d)};
          ASSERT_EQ(isUtf8(text), definedUtf8(text)) << a << " " << b << " " << c << " " << d;
          good += isUtf8(text) ? 1 : 0;
        }
      }
    }
  }
  EXPECT_GT(good, 1'000);
}

// At every place of the words that the fast path reads.
TEST(Utf8, FindsABadByteAtEveryPlaceAndCutCharacters) {
  const std::vector<std::string> characters = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\x91"};
  for (std::size_t size = 0; size < 40; ++size) {
    for (std::size_t at = 0; at <= size; ++at) {
      const std::string before(at, 'a');
      const std::string after(size - at, 'z');
      EXPECT_FALSE(isUtf8(before + "\xff" + after));
      EXPECT_FALSE(isUtf8(before + "\x80" + after));
      for (const std::string& character : characters) {
        EXPECT_TRUE(isUtf8(before + character + after));
        EXPECT_TRUE(isUtf8(before + character + character + after + character));
        for (std::size_t cut = 1; cut < character.size(); ++cut) EXPECT_FALSE(isUtf8(before + character.substr(0, cut) + after));
      }
    }
  }
  EXPECT_TRUE(isUtf8({}));
  EXPECT_TRUE(isUtf8(std::string_view("\0", 1)));
}

TEST(Utf8, DoesNotReadPastTheEnd) {
  // The view ends inside a character that memory goes on with.
  const std::string text = "aaaaaaa\xe2\x82\xac";
  for (std::size_t size = 8; size < text.size(); ++size) EXPECT_FALSE(isUtf8(std::string_view(text).substr(0, size))) << size;
  EXPECT_TRUE(isUtf8(text));
}

TEST(Utf8, EqualsTheDefinitionForRandomMixtures) {
  std::mt19937 random(6);
  const std::vector<std::string> parts = {
      "a",        "plain text of some length", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\x91", "\x80", "\xed\xa0\x80",
      "\xc0\xaf", "\xf4\x90\x80\x80"};
  int good = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    const std::size_t usable = round % 2 == 0 ? 5 : parts.size();
    for (auto count = random() % 12; count > 0; --count) text += parts[random() % usable];
    ASSERT_EQ(isUtf8(text), definedUtf8(text)) << toHex(asBytes(text));
    good += isUtf8(text) ? 1 : 0;
  }
  EXPECT_GE(good, 10'000);
  EXPECT_LT(good, 15'000);
}

}  // namespace
}  // namespace counterfoil

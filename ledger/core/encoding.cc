#include "ledger/core/encoding.h"

#include <array>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace counterfoil {
namespace {

using std::uint8_t;

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase64UrlAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

using DecodeTable = std::array<uint8_t, 256>;
constexpr uint8_t kNoDigit = 0xff;

constexpr DecodeTable decodeTable(std::string_view alphabet) {
  DecodeTable table{};
  for (uint8_t& value : table) value = kNoDigit;
  for (std::size_t i = 0; i < alphabet.size(); ++i) table[static_cast<uint8_t>(alphabet[i])] = static_cast<uint8_t>(i);
  return table;
}

constexpr DecodeTable hexTable() {
  DecodeTable table = decodeTable(kHexDigits);
  for (std::size_t i = 0; i < 6; ++i) table['A' + i] = static_cast<uint8_t>(10 + i);
  return table;
}

constexpr DecodeTable kHexValues = hexTable();
constexpr DecodeTable kBase64Values = decodeTable(kBase64Alphabet);
constexpr DecodeTable kBase64UrlValues = decodeTable(kBase64UrlAlphabet);

uint8_t valueOf(const DecodeTable& table, char digit) {
  return table[static_cast<uint8_t>(digit)];
}

// Decodes `2 * size` digits; false if one is no hex digit.
bool decodeHex(const char* digits, std::size_t size, uint8_t* out) {
  for (std::size_t i = 0; i < size; ++i) {
    const unsigned high = valueOf(kHexValues, digits[2 * i]);
    const unsigned low = valueOf(kHexValues, digits[2 * i + 1]);
    if ((high | low) > 0x0f) return false;
    out[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

char* encodeHex(const uint8_t* bytes, std::size_t size, char* out) {
  for (std::size_t i = 0; i < size; ++i) {
    *out++ = kHexDigits[bytes[i] >> 4];
    *out++ = kHexDigits[bytes[i] & 0x0f];
  }
  return out;
}

// Digits without padding.
std::string encodeBase64(crypto::Bytes bytes, std::string_view alphabet) {
  std::string result((bytes.size() * 4 + 2) / 3, '\0');
  char* out = result.data();
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const unsigned group = static_cast<unsigned>(bytes[i] << 16 | bytes[i + 1] << 8 | bytes[i + 2]);
    *out++ = alphabet[group >> 18];
    *out++ = alphabet[group >> 12 & 63];
    *out++ = alphabet[group >> 6 & 63];
    *out++ = alphabet[group & 63];
  }
  const std::size_t left = bytes.size() - i;
  if (left == 0) return result;
  const unsigned group = static_cast<unsigned>(bytes[i] << 16 | (left == 2 ? bytes[i + 1] << 8 : 0));
  *out++ = alphabet[group >> 18];
  *out++ = alphabet[group >> 12 & 63];
  if (left == 2) *out++ = alphabet[group >> 6 & 63];
  return result;
}

// `digits` without padding. Unused bits must be zero, so that equal bytes have one text only.
std::optional<std::vector<uint8_t>> decodeBase64(std::string_view digits, const DecodeTable& table) {
  const std::size_t left = digits.size() % 4;
  if (left == 1) return std::nullopt;
  std::vector<uint8_t> result(digits.size() / 4 * 3 + (left == 0 ? 0 : left - 1));
  uint8_t* out = result.data();
  std::size_t i = 0;
  for (; i + 4 <= digits.size(); i += 4) {
    const unsigned a = valueOf(table, digits[i]);
    const unsigned b = valueOf(table, digits[i + 1]);
    const unsigned c = valueOf(table, digits[i + 2]);
    const unsigned d = valueOf(table, digits[i + 3]);
    if ((a | b | c | d) > 63) return std::nullopt;
    const unsigned group = a << 18 | b << 12 | c << 6 | d;
    *out++ = static_cast<uint8_t>(group >> 16);
    *out++ = static_cast<uint8_t>(group >> 8 & 0xff);
    *out++ = static_cast<uint8_t>(group & 0xff);
  }
  if (left == 0) return result;
  const unsigned a = valueOf(table, digits[i]);
  const unsigned b = valueOf(table, digits[i + 1]);
  const unsigned c = left == 3 ? valueOf(table, digits[i + 2]) : 0u;
  if ((a | b | c) > 63) return std::nullopt;
  const unsigned group = a << 18 | b << 12 | c << 6;
  if ((group & (left == 3 ? 0xffu : 0xffffu)) != 0) return std::nullopt;
  *out++ = static_cast<uint8_t>(group >> 16);
  if (left == 3) *out++ = static_cast<uint8_t>(group >> 8 & 0xff);
  return result;
}

constexpr std::int64_t kSecondsPerDay = 86'400;

std::int64_t floorDivide(std::int64_t value, std::int64_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

struct Date {
  std::int64_t year;
  unsigned month;  // 1..12
  unsigned day;    // 1..31
};

// Proleptic Gregorian calendar counted in eras of 400 years that begin on 1 March, so that the leap day comes last.
constexpr std::int64_t kDaysPerEra = 146'097;
constexpr std::int64_t kDaysFromEraToEpoch = 719'468;  // 0000-03-01 to 1970-01-01

std::int64_t daysFromDate(const Date& date) {
  const std::int64_t year = date.year - (date.month <= 2 ? 1 : 0);
  const std::int64_t era = floorDivide(year, 400);
  const std::int64_t yearOfEra = year - era * 400;
  const std::int64_t dayOfYear = (153 * (static_cast<std::int64_t>(date.month) + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
  return era * kDaysPerEra + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - kDaysFromEraToEpoch;
}

Date dateFromDays(std::int64_t days) {
  days += kDaysFromEraToEpoch;
  const std::int64_t era = floorDivide(days, kDaysPerEra);
  const std::int64_t dayOfEra = days - era * kDaysPerEra;
  const std::int64_t yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36'524 - dayOfEra / 146'096) / 365;
  const std::int64_t dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const std::int64_t monthFromMarch = (5 * dayOfYear + 2) / 153;
  const unsigned day = static_cast<unsigned>(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1);
  const unsigned month = static_cast<unsigned>(monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9);
  return {yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

unsigned daysInMonth(std::int64_t year, unsigned month) {
  constexpr std::array<uint8_t, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : kDays[month - 1];
}

void putDigits(char* out, std::int64_t value, std::size_t count) {
  for (std::size_t i = count; i > 0; --i, value /= 10) out[i - 1] = static_cast<char>('0' + value % 10);
}

bool isDigit(char character) {
  return character >= '0' && character <= '9';
}

// A reader of fixed forms: once something did not fit, `good` stays false.
struct TextReader {
  std::string_view rest;
  bool good = true;

  unsigned digits(std::size_t count) {
    unsigned value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (rest.empty() || !isDigit(rest.front())) {
        good = false;
        return 0;
      }
      value = value * 10 + static_cast<unsigned>(rest.front() - '0');
      rest.remove_prefix(1);
    }
    return value;
  }
  bool take(char expected) {
    if (rest.empty() || rest.front() != expected) return false;
    rest.remove_prefix(1);
    return true;
  }
  void must(char expected) { good = take(expected) && good; }
};

// ".123": nanoseconds; 0 without a fraction.
std::int64_t readFraction(TextReader& reader) {
  if (!reader.take('.')) return 0;
  std::int64_t nanoseconds = 0;
  std::int64_t unit = kNanosecondsPerSecond;
  while (unit > 1 && !reader.rest.empty() && isDigit(reader.rest.front())) {
    unit /= 10;
    nanoseconds += unit * (reader.rest.front() - '0');
    reader.rest.remove_prefix(1);
  }
  if (unit == kNanosecondsPerSecond) reader.good = false;
  return nanoseconds;
}

// "Z", "+01:00": seconds east of UTC.
std::int64_t readOffset(TextReader& reader) {
  if (reader.take('Z')) return 0;
  const bool west = reader.take('-');
  if (!west) reader.must('+');
  const unsigned hours = reader.digits(2);
  reader.must(':');
  const unsigned minutes = reader.digits(2);
  if (hours > 23 || minutes > 59) reader.good = false;
  const std::int64_t seconds = hours * 3600 + minutes * 60;
  return west ? -seconds : seconds;
}

constexpr std::int64_t kYearMin = 1678;
constexpr std::int64_t kYearMax = 2261;

constexpr std::array<std::size_t, 4> kUuidDashes = {8, 13, 18, 23};
constexpr std::size_t kUuidTextSize = 36;

constexpr uint8_t kVariantMask = 0x3f;
constexpr uint8_t kVariant = 0x80;

void setVersion(EntryId& id, uint8_t version) {
  id.bytes[6] = static_cast<uint8_t>((id.bytes[6] & 0x0f) | version << 4);
  id.bytes[8] = static_cast<uint8_t>((id.bytes[8] & kVariantMask) | kVariant);
}

// The length of the well-formed sequence (RFC 3629 4, the table) that starts with a byte >= 0x80; 0 if there is none.
std::size_t utf8SequenceSize(const uint8_t* bytes, std::size_t size) {
  const auto isTail = [](uint8_t byte) { return (byte & 0xc0) == 0x80; };
  const uint8_t lead = bytes[0];
  if (lead < 0xc2) return 0;  // a tail, or an overlong form of ASCII
  if (lead < 0xe0) return size >= 2 && isTail(bytes[1]) ? 2 : 0;
  if (lead < 0xf0) {
    if (size < 3 || !isTail(bytes[1]) || !isTail(bytes[2])) return 0;
    if (lead == 0xe0 && bytes[1] < 0xa0) return 0;   // overlong
    if (lead == 0xed && bytes[1] >= 0xa0) return 0;  // surrogate
    return 3;
  }
  if (lead > 0xf4 || size < 4 || !isTail(bytes[1]) || !isTail(bytes[2]) || !isTail(bytes[3])) return 0;
  if (lead == 0xf0 && bytes[1] < 0x90) return 0;   // overlong
  if (lead == 0xf4 && bytes[1] >= 0x90) return 0;  // above U+10FFFF
  return 4;
}

}  // namespace

std::string toHex(crypto::Bytes bytes) {
  std::string result(2 * bytes.size(), '\0');
  encodeHex(bytes.data(), bytes.size(), result.data());
  return result;
}

std::optional<std::vector<uint8_t>> fromHex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::vector<uint8_t> result(text.size() / 2);
  if (!decodeHex(text.data(), result.size(), result.data())) return std::nullopt;
  return result;
}

std::string toBase64(crypto::Bytes bytes) {
  std::string result = encodeBase64(bytes, kBase64Alphabet);
  result.append((4 - result.size() % 4) % 4, '=');
  return result;
}

std::string toBase64Url(crypto::Bytes bytes) {
  return encodeBase64(bytes, kBase64UrlAlphabet);
}

std::optional<std::vector<uint8_t>> fromBase64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  if (text.ends_with("==")) {
    text.remove_suffix(2);
  } else if (text.ends_with('=')) {
    text.remove_suffix(1);
  }
  return decodeBase64(text, kBase64Values);
}

std::optional<std::vector<uint8_t>> fromBase64Url(std::string_view text) {
  return decodeBase64(text, kBase64UrlValues);
}

std::string toUuid(const EntryId& id) {
  std::string result(kUuidTextSize, '-');
  char* out = result.data();
  constexpr std::array<std::size_t, 5> kGroups = {4, 2, 2, 2, 6};
  const uint8_t* from = id.bytes.data();
  for (const std::size_t group : kGroups) {
    out = encodeHex(from, group, out) + 1;
    from += group;
  }
  return result;
}

std::optional<EntryId> fromUuid(std::string_view text) {
  if (text.size() != kUuidTextSize) return std::nullopt;
  std::array<char, 32> digits;
  std::size_t count = 0;
  std::size_t dash = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (dash < kUuidDashes.size() && i == kUuidDashes[dash]) {
      if (text[i] != '-') return std::nullopt;
      ++dash;
    } else {
      digits[count++] = text[i];
    }
  }
  EntryId id;
  if (!decodeHex(digits.data(), id.bytes.size(), id.bytes.data())) return std::nullopt;
  return id;
}

EntryId makeUuidV7(Timestamp time, const std::array<uint8_t, 10>& random) {
  if (time.nanoseconds < 0) throw std::invalid_argument("a UUIDv7 cannot hold a time before 1970");
  const auto milliseconds = static_cast<std::uint64_t>(time.nanoseconds / kNanosecondsPerMillisecond);
  EntryId id;
  for (std::size_t i = 0; i < 6; ++i) id.bytes[i] = static_cast<uint8_t>(milliseconds >> (8 * (5 - i)));
  std::memcpy(id.bytes.data() + 6, random.data(), random.size());
  setVersion(id, 7);
  return id;
}

EntryId makeUuidV8(std::string_view text) {
  const crypto::Digest digest = crypto::sha256(crypto::Bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  EntryId id;
  std::memcpy(id.bytes.data(), digest.data(), id.bytes.size());
  setVersion(id, 8);
  return id;
}

bool isUuidV7(const EntryId& id) {
  return id.bytes[6] >> 4 == 7 && (id.bytes[8] & static_cast<uint8_t>(~kVariantMask)) == kVariant;
}

Timestamp uuidV7Time(const EntryId& id) {
  std::int64_t milliseconds = 0;
  for (std::size_t i = 0; i < 6; ++i) milliseconds = milliseconds << 8 | id.bytes[i];
  // A caller may send any 48 bits; those past what nanoseconds can count stay "far ahead".
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (milliseconds > kMax / kNanosecondsPerMillisecond) return Timestamp{kMax};
  return Timestamp{milliseconds * kNanosecondsPerMillisecond};
}

std::string toRfc3339(Timestamp time) {
  const std::int64_t seconds = floorDivide(time.nanoseconds, kNanosecondsPerSecond);
  std::int64_t fraction = time.nanoseconds % kNanosecondsPerSecond;
  if (fraction < 0) fraction += kNanosecondsPerSecond;
  const std::int64_t days = floorDivide(seconds, kSecondsPerDay);
  const std::int64_t secondOfDay = seconds - days * kSecondsPerDay;
  const Date date = dateFromDays(days);

  std::string result = "0000-00-00T00:00:00";
  putDigits(result.data(), date.year, 4);
  putDigits(result.data() + 5, date.month, 2);
  putDigits(result.data() + 8, date.day, 2);
  putDigits(result.data() + 11, secondOfDay / 3600, 2);
  putDigits(result.data() + 14, secondOfDay / 60 % 60, 2);
  putDigits(result.data() + 17, secondOfDay % 60, 2);
  if (fraction != 0) {
    std::size_t digits = 9;
    for (; fraction % 10 == 0; fraction /= 10) --digits;
    result.append(1 + digits, '.');
    putDigits(result.data() + result.size() - digits, fraction, digits);
  }
  result.push_back('Z');
  return result;
}

std::optional<Timestamp> fromRfc3339(std::string_view text) {
  TextReader reader{text};
  Date date{};
  date.year = reader.digits(4);
  reader.must('-');
  date.month = reader.digits(2);
  reader.must('-');
  date.day = reader.digits(2);
  reader.must('T');
  const unsigned hour = reader.digits(2);
  reader.must(':');
  const unsigned minute = reader.digits(2);
  reader.must(':');
  const unsigned second = reader.digits(2);
  const std::int64_t fraction = readFraction(reader);
  const std::int64_t offset = readOffset(reader);
  if (!reader.good || !reader.rest.empty()) return std::nullopt;
  if (date.month < 1 || date.month > 12 || date.day < 1 || date.day > daysInMonth(date.year, date.month)) return std::nullopt;
  if (hour > 23 || minute > 59 || second > 59) return std::nullopt;

  const std::int64_t seconds = daysFromDate(date) * kSecondsPerDay + hour * 3600 + minute * 60 + second - offset;
  // Judged in UTC: only these years lie whole within 64 bits of nanoseconds.
  if (seconds < daysFromDate({kYearMin, 1, 1}) * kSecondsPerDay) return std::nullopt;
  if (seconds >= daysFromDate({kYearMax + 1, 1, 1}) * kSecondsPerDay) return std::nullopt;
  return Timestamp{seconds * kNanosecondsPerSecond + fraction};
}

bool isUtf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  std::size_t left = text.size();
  constexpr std::uint64_t kHighBits = 0x8080'8080'8080'8080;
  while (left > 0) {
    // Most texts are ASCII: eight bytes at a time until one is not.
    while (left >= sizeof(std::uint64_t)) {
      std::uint64_t word;
      std::memcpy(&word, bytes, sizeof(word));
      if ((word & kHighBits) != 0) break;
      bytes += sizeof(word);
      left -= sizeof(word);
    }
    // Then one character at a time to the end of this stretch of other text.
    while (left > 0) {
      const std::size_t size = *bytes < 0x80 ? 1 : utf8SequenceSize(bytes, left);
      if (size == 0) return false;
      const bool backToAscii = *bytes < 0x80 && left >= sizeof(std::uint64_t) && bytes[1] < 0x80;
      bytes += size;
      left -= size;
      if (backToAscii) break;
    }
  }
  return true;
}

}  // namespace counterfoil

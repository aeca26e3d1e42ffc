#include "ledger/redact/secret_candidates.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "ledger/crypto/wiping.h"
#include "ledger/redact/scanner_text.h"

namespace counterfoil::redact {

namespace {

constexpr std::size_t kLeast = limits::kSecretCandidateBytesMin;
static_assert(kLeast >= sizeof(std::uint64_t));
constexpr std::size_t kMost = limits::kSecretCandidateBytesMax;

bool isRunByte(char c) {
  return c == '%' || isOf(c, kBase64Any | kDot | kTilde);
}

int hexValue(char c) {
  if (isOf(c, kDigit)) return c - '0';
  return isOf(c, kHexDigit) ? lowerOf(c) - 'a' + 10 : -1;
}

constexpr std::array<std::int8_t, 256> kBase64Values = [] {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  std::int8_t next = 0;
  for (const char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")) {
    values[static_cast<unsigned char>(c)] = next++;
  }
  values['-'] = 62;
  values['_'] = 63;
  return values;
}();

// Decoded bytes of at most one candidate, wiped when it dies.
struct Decoded {
  std::array<char, kMost> bytes;
  std::size_t size = 0;
  Decoded() {}  // NOLINT(modernize-use-equals-default): the bytes are not set before they are written
  Decoded(const Decoded&) = delete;
  Decoded& operator=(const Decoded&) = delete;
  ~Decoded() { crypto::wipe(bytes.data(), size); }
  std::string_view view() const { return {bytes.data(), size}; }
};

bool percentDecode(std::string_view run, Decoded& out) {
  if (run.find('%') == std::string_view::npos) return false;
  bool changed = false;
  for (std::size_t i = 0; i < run.size(); ++i) {
    char c = run[i];
    if (c == '%' && i + 2 < run.size() && hexValue(run[i + 1]) >= 0 && hexValue(run[i + 2]) >= 0) {
      c = static_cast<char>(hexValue(run[i + 1]) * 16 + hexValue(run[i + 2]));
      i += 2;
      changed = true;
    }
    out.bytes[out.size++] = c;
  }
  return changed;
}

bool base64Decode(std::string_view run, Decoded& out) {
  while (!run.empty() && run.back() == '=') run.remove_suffix(1);
  if (run.size() % 4 == 1) return false;
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (char c : run) {
    const int value = kBase64Values[static_cast<unsigned char>(c)];
    if (value < 0) return false;
    group = (group << 6) | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out.bytes[out.size++] = static_cast<char>((group >> bits) & 0xffU);
  }
  return out.size >= kLeast;
}

// The single ones, among them the letters that the mathematical alphabets leave to an older block.
constexpr std::array<std::pair<std::uint32_t, char>, 40> kSingleForms = {
    {{0x00AA, 'a'}, {0x00B2, '2'}, {0x00B3, '3'}, {0x00B9, '1'}, {0x00BA, 'o'}, {0x017F, 's'}, {0x2024, '.'}, {0x2070, '0'},
     {0x2102, 'C'}, {0x210A, 'g'}, {0x210B, 'H'}, {0x210C, 'H'}, {0x210D, 'H'}, {0x210E, 'h'}, {0x2110, 'I'}, {0x2111, 'I'},
     {0x2112, 'L'}, {0x2113, 'l'}, {0x2115, 'N'}, {0x2119, 'P'}, {0x211A, 'Q'}, {0x211B, 'R'}, {0x211C, 'R'}, {0x211D, 'R'},
     {0x2124, 'Z'}, {0x2128, 'Z'}, {0x212A, 'K'}, {0x212C, 'B'}, {0x212D, 'C'}, {0x212F, 'e'}, {0x2130, 'E'}, {0x2131, 'F'},
     {0x2133, 'M'}, {0x2134, 'o'}, {0x24EA, '0'}, {0xFE52, '.'}, {0xFE62, '+'}, {0xFE63, '-'}, {0xFE66, '='}, {0xFE6A, '%'}}};

// A code point in its compatibility form if that is one ASCII character, else 0. The blocks in which Unicode repeats
// ASCII: full-width forms, mathematical alphabets, circled and parenthesised letters, super- and subscript digits.
char asciiForm(std::uint32_t point) {
  auto letter = [](std::uint32_t index) { return static_cast<char>(index < 26 ? 'A' + index : 'a' + (index - 26)); };
  if (point >= 0xFF01 && point <= 0xFF5E) return static_cast<char>(point - 0xFF01 + '!');
  if (point >= 0x1D400 && point <= 0x1D6A3) return letter((point - 0x1D400) % 52);
  if (point >= 0x1D7CE && point <= 0x1D7FF) return static_cast<char>('0' + (point - 0x1D7CE) % 10);
  if (point >= 0x24B6 && point <= 0x24E9) return letter(point - 0x24B6);
  if (point >= 0x2460 && point <= 0x2468) return static_cast<char>('1' + (point - 0x2460));
  if (point >= 0x2080 && point <= 0x2089) return static_cast<char>('0' + (point - 0x2080));
  if (point >= 0x2074 && point <= 0x2079) return static_cast<char>('4' + (point - 0x2074));
  if (point >= 0x1FBF0 && point <= 0x1FBF9) return static_cast<char>('0' + (point - 0x1FBF0));
  const auto single = std::find_if(kSingleForms.begin(), kSingleForms.end(), [point](const auto& form) { return form.first == point; });
  return single == kSingleForms.end() ? '\0' : single->second;
}

// Length of the UTF-8 sequence at `at` and its code point; 1 and 0 for anything else.
std::size_t decodeUtf8(std::string_view text, std::size_t at, std::uint32_t& point) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t lead = byte(at);
  const std::size_t size = lead >= 0xF0 && lead < 0xF8 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  point = 0;
  if (size == 1 || lead >= 0xF8 || at + size > text.size()) return 1;
  std::uint32_t value = lead & (0xFFU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xC0U) != 0x80U) return 1;
    value = (value << 6) | (byte(at + i) & 0x3FU);
  }
  point = value;
  return size;
}

// Of at least eight bytes.
std::uint64_t hashOf(std::string_view candidate, std::size_t place) {
  constexpr std::uint64_t kMix = 0x9e3779b97f4a7c15ULL;
  std::uint64_t hash = (candidate.size() ^ place << 32) * kMix;
  const auto take = [&](const char* from) {
    std::uint64_t word = 0;
    std::memcpy(&word, from, sizeof(word));
    hash = (hash ^ word) * kMix;
    hash ^= hash >> 32;
  };
  for (std::size_t at = 0; at + sizeof(hash) <= candidate.size(); at += sizeof(hash)) take(candidate.data() + at);
  take(candidate.data() + candidate.size() - sizeof(hash));
  return hash;
}

// One place for everything found in a decoded form. A named type: a lambda here would be a new one at every depth of the templates below.
struct Fixed {
  std::size_t begin;
  std::size_t end;
  std::pair<std::size_t, std::size_t> operator()(std::size_t, std::size_t) const { return {begin, end}; }
};

class Collector {
 public:
  Collector(std::size_t& remaining, const SecretCandidateVisitor& visit) : remaining_(remaining), visit_(visit) {}

  // Runs of `text`; places are mapped through `origin` when the text is a folded one, or are all [begin, end).
  template <class Place>
  bool runs(std::string_view text, bool decode, const Place& place) {
    std::size_t at = 0;
    while (at < text.size()) {
      if (!isRunByte(text[at])) {
        ++at;
        continue;
      }
      std::size_t end = at;
      while (end < text.size() && isRunByte(text[end])) ++end;
      if (end - at >= kLeast && !run(text, at, end, decode, place)) return false;
      at = end;
    }
    return true;
  }

 private:
  template <class Place>
  bool run(std::string_view text, std::size_t begin, std::size_t end, bool decode, const Place& place) {
    if (!offer(text, begin, end, place)) return false;
    std::size_t first = begin;
    std::size_t last = end;
    while (last > first && text[last - 1] == '.') --last;
    while (first < last && text[first] == '.') ++first;
    if (!offer(text, first, last, place)) return false;
    if (decode && !decodings(text, first, last, place)) return false;
    // token=SECRET: what follows the first '=' that is no padding, then all parts.
    const std::size_t equals = text.substr(first, last - first).find('=');
    if (equals != std::string_view::npos && text.find_first_not_of('=', first + equals) < last) {
      const std::size_t value = first + equals + 1;
      if (!offer(text, value, last, place)) return false;
      if (decode && !decodings(text, value, last, place)) return false;
    }
    std::size_t start = first;
    for (std::size_t i = first; i <= last; ++i) {
      if (i < last && text[i] != '=' && text[i] != '/' && text[i] != '.') continue;
      if (i > start && !(start == first && i == last) && !offer(text, start, i, place)) return false;
      start = i + 1;
    }
    return true;
  }

  template <class Place>
  bool decodings(std::string_view text, std::size_t begin, std::size_t end, const Place& place) {
    if (end - begin < kLeast || end - begin > kMost) return true;
    const std::string_view run = text.substr(begin, end - begin);
    const auto [from, to] = place(begin, end);
    const Fixed whole{from, to};
    for (bool (*decoder)(std::string_view, Decoded&) : {percentDecode, base64Decode}) {
      Decoded decoded;
      if (!decoder(run, decoded)) continue;
      if (!offer(decoded.view(), 0, decoded.size, whole) || !runs(decoded.view(), false, whole)) return false;
    }
    return true;
  }

  template <class Place>
  bool offer(std::string_view text, std::size_t begin, std::size_t end, const Place& place) {
    if (end < begin + kLeast || end - begin > kMost) return true;
    const std::string_view candidate = text.substr(begin, end - begin);
    const auto [from, to] = place(begin, end);
    // Seen before at the same place: a run without dots is its own trimmed form. Only a hash is kept, never the bytes.
    const std::uint64_t hash = hashOf(candidate, from);
    const auto firstSeen = firstSeen_.begin() + static_cast<std::ptrdiff_t>(std::min(seen_, firstSeen_.size()));
    if (std::find(firstSeen_.begin(), firstSeen, hash) != firstSeen) return true;
    if (std::find(moreSeen_.begin(), moreSeen_.end(), hash) != moreSeen_.end()) return true;
    if (remaining_ == 0) return false;
    --remaining_;
    if (seen_ < firstSeen_.size()) {
      firstSeen_[seen_] = hash;
    } else {
      moreSeen_.push_back(hash);
    }
    ++seen_;
    visit_(candidate, from, to);
    return true;
  }

  std::size_t& remaining_;
  const SecretCandidateVisitor& visit_;
  std::size_t seen_ = 0;
  std::array<std::uint64_t, 32> firstSeen_;  // enough for most texts
  std::vector<std::uint64_t> moreSeen_;
};

}  // namespace

bool forEachSecretCandidate(std::string_view text, std::size_t& remaining, const SecretCandidateVisitor& visit) {
  Collector collector(remaining, visit);
  const auto same = [](std::size_t begin, std::size_t end) { return std::pair(begin, end); };
  if (!collector.runs(text, true, same)) return false;
  if (std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) return true;
  // The compatibility form, with the place in the text of each of its bytes and of its end.
  crypto::WipingVector folded;
  std::vector<std::size_t> origin;
  folded.reserve(text.size());
  origin.reserve(text.size() + 1);
  bool changed = false;
  for (std::size_t at = 0; at < text.size();) {
    std::uint32_t point = 0;
    const std::size_t size = decodeUtf8(text, at, point);
    const char ascii = size > 1 ? asciiForm(point) : '\0';
    changed = changed || ascii != '\0';
    if (ascii != '\0') {
      folded.push_back(static_cast<std::uint8_t>(ascii));
      origin.push_back(at);
    } else {
      for (std::size_t i = 0; i < size; ++i) {
        folded.push_back(static_cast<std::uint8_t>(text[at + i]));
        origin.push_back(at + i);
      }
    }
    at += size;
  }
  origin.push_back(text.size());
  if (!changed) return true;
  const auto mapped = [&origin](std::size_t begin, std::size_t end) { return std::pair(origin[begin], origin[end]); };
  return collector.runs(std::string_view(reinterpret_cast<const char*>(folded.data()), folded.size()), true, mapped);
}

bool forEachSecretCandidate(std::string_view text, const SecretCandidateVisitor& visit) {
  std::size_t remaining = limits::kSecretCandidatesMax;
  return forEachSecretCandidate(text, remaining, visit);
}

}  // namespace counterfoil::redact

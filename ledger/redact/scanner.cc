#include "ledger/redact/scanner.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "ledger/redact/contact_rules.h"
#include "ledger/redact/scanner_assignments.h"
#include "ledger/redact/scanner_engine.h"
#include "ledger/redact/scanner_structures.h"
#include "ledger/redact/scanner_text.h"

namespace counterfoil::redact {

namespace {

constexpr std::uint32_t kFold = 0x20202020U;
constexpr std::size_t kCurlReach = 512;

std::uint32_t loadFolded(const char* bytes) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return word | kFold;
}

std::uint32_t bitmapHash(std::uint32_t folded) {
  return (folded * 0x9E3779B1U) >> 15;
}
std::uint32_t bucketHash(std::uint32_t folded) {
  return ((folded & 0x00ffffffU) * 0x85EBCA6BU) >> 20;
}

unsigned bitAt(const char* bytes, const std::uint8_t* bitmap) {
  const std::uint32_t bit = bitmapHash(loadFolded(bytes));
  return (static_cast<unsigned>(bitmap[bit >> 3]) >> (bit & 7U)) & 1U;
}

// The first place from `at` on whose bit is set; past size - 4 if none is. Eight places a round share one branch.
std::size_t nextCandidate(const char* bytes, std::size_t at, std::size_t size, const std::uint8_t* bitmap) {
  while (at + 11 <= size) {
    const char* from = bytes + at;
    const unsigned mask = bitAt(from, bitmap) | bitAt(from + 1, bitmap) << 1 | bitAt(from + 2, bitmap) << 2 | bitAt(from + 3, bitmap) << 3 |
                          bitAt(from + 4, bitmap) << 4 | bitAt(from + 5, bitmap) << 5 | bitAt(from + 6, bitmap) << 6 |
                          bitAt(from + 7, bitmap) << 7;
    if (mask != 0) return at + static_cast<std::size_t>(std::countr_zero(mask));
    at += 8;
  }
  while (at + 4 <= size && bitAt(bytes + at, bitmap) == 0) ++at;
  return at;
}

// The word of four bytes whose bytes lie in memory as `literal` begins.
std::uint32_t keyOf(std::string_view literal) {
  char bytes[4] = {0, 0, 0, 0};
  std::copy_n(literal.begin(), std::min<std::size_t>(4, literal.size()), bytes);
  return loadFolded(bytes);
}

// Where in a keyword its rarest four letters begin: separators and the letters that ordinary text has least.
std::size_t pivotOf(std::string_view word) {
  constexpr std::string_view kRare = "zqjxkvwyb";
  std::size_t best = 0;
  std::size_t bestScore = 0;
  for (std::size_t at = 0; at + 4 <= word.size(); ++at) {
    std::size_t score = 0;
    for (char c : word.substr(at, 4)) score += !isOf(c, kAlnum) ? 3 : kRare.find(c) != std::string_view::npos ? 2 : 0;
    if (score <= bestScore) continue;
    best = at;
    bestScore = score;
  }
  return best;
}

// Web assets carry content digests in their names: "video_box.ico-7a38....png".
bool isAssetEnding(std::string_view text, std::size_t at) {
  if (at >= text.size() || text[at] != '.') return false;
  for (std::string_view ending : {".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".webp", ".css", ".woff", ".js"}) {
    const std::size_t end = at + ending.size();
    if (startsWithFolded(text, at, ending) && (end == text.size() || !isOf(text[end], kAlnum))) return true;
  }
  return false;
}

}  // namespace

ScanEngine::ScanEngine(const std::function<bool(const FormatRule&)>& keep) : buckets_(kBuckets, 0), bitmap_(kBitmapBits / 8, 0) {
  triggers_.emplace_back();
  for (const FormatRule& rule : formatRules()) {
    if (keep && !keep(rule)) continue;
    formats_.push_back(parseFormat(rule));
    const Format& format = formats_.back();
    const unsigned fourth = format.rest.empty() ? 0 : format.rest.front().bits;
    add(format.prefix, Kind::kFormat, static_cast<std::uint16_t>(formats_.size() - 1), fourth);
  }
  std::uint16_t index = 0;
  for (const NameRule& rule : nameRules()) add(rule.word, Kind::kName, index++);
  for (std::string_view word : {"bearer ", "bearer%20"}) add(word, Kind::kBearer, 0);
  for (std::string_view word : {"eyJ", "eyAi", "ewog"}) add(word, Kind::kJwt, 0, kUrlBase64);
  add("-----begin", Kind::kPrivateKey, 0);
  add("://", Kind::kUserinfo, 0);
  add("curl", Kind::kCurl, 0);
  for (std::string_view word : {" -u ", " --user ", " --user=", " --proxy-user ", " -u'", " -u\""}) add(word, Kind::kCommandUser, 0);
  add(":AA", Kind::kTelegram, 0, kUrlBase64);
  for (std::string_view word : {"0Q~", "1Q~", "2Q~", "3Q~", "4Q~", "5Q~", "6Q~", "7Q~", "8Q~", "9Q~"})
    add(word, Kind::kAzure, 0, kUrlBase64 | kDot | kTilde);
  for (std::string_view word : {"-us1", "-us2", "-us3", "-us4", "-us5", "-us6", "-us7", "-us8", "-us9"}) add(word, Kind::kMailchimp, 0);
  add(".atlasv1.", Kind::kTerraform, 0);
  add("facebook", Kind::kFacebook, 0);
  for (std::string_view word : {"hooks.", "webhook", "/hooks/"}) add(word, Kind::kWebhook, 0);
}

void ScanEngine::add(std::string_view literal, Kind kind, std::uint16_t index, unsigned fourthBits) {
  Trigger trigger;
  trigger.pivot = kind == Kind::kName ? static_cast<std::uint16_t>(pivotOf(literal)) : std::uint16_t{0};
  const std::string_view part = literal.substr(trigger.pivot);
  trigger.key = keyOf(part);
  trigger.mask = part.size() >= 4 ? 0xffffffffU : 0x00ffffffU;
  trigger.kind = kind;
  trigger.index = index;
  trigger.literal = literal;
  // Chains keep the order of the tables.
  std::uint16_t* link = &buckets_[bucketHash(trigger.key)];
  while (*link != 0) link = &triggers_[*link].next;
  *link = static_cast<std::uint16_t>(triggers_.size());
  triggers_.push_back(trigger);
  auto mark = [this](std::uint32_t folded) {
    const std::uint32_t bit = bitmapHash(folded);
    bitmap_[bit >> 3] = static_cast<std::uint8_t>(bitmap_[bit >> 3] | (1U << (bit & 7U)));
  };
  if (part.size() >= 4) {
    mark(trigger.key);
    return;
  }
  for (unsigned fourth = 0; fourth < 256; ++fourth) {
    if (fourthBits != 0 && !isOf(static_cast<char>(fourth), fourthBits)) continue;
    mark((trigger.key & 0x00ffffffU) | ((fourth | 0x20U) << 24));
  }
}

bool ScanEngine::tryFormat(const Format& format, std::string_view text, std::size_t at, ScanHit& hit, std::size_t& work) const {
  if (!isBoundaryBefore(text, at)) return false;
  const std::size_t end = matchFormat(format, text, at, work);
  if (end == 0) return false;
  const std::string_view tail = text.substr(at + format.prefix.size(), std::min<std::size_t>(end - at - format.prefix.size(), 256));
  work += tail.size() * 2;
  if (!tail.empty() && (isPlaceholder(tail) || isPublishedExample(text.substr(at, end - at)))) return false;
  if (tail.size() >= 16 && entropyOf(tail) < 2.6) return false;
  if (isAssetEnding(text, end)) return false;
  hit = ScanHit{at, end, format.rule};
  return true;
}

// A value found beside a name may have a published format: the rule then names it.
void ScanEngine::preferFormat(std::string_view text, ScanHit& hit, std::size_t& work) const {
  if (hit.end - hit.begin < 4) return;
  const std::uint32_t folded = loadFolded(text.data() + hit.begin);
  for (std::uint16_t link = buckets_[bucketHash(folded)]; link != 0; link = triggers_[link].next) {
    const Trigger& trigger = triggers_[link];
    if ((folded & trigger.mask) != (trigger.key & trigger.mask)) continue;
    ScanHit better;
    if (trigger.kind == Kind::kFormat && tryFormat(formats_[trigger.index], text, hit.begin, better, work)) {
      hit.rule = better.rule;
      hit.end = std::max(hit.end, better.end);
      return;
    }
    if (trigger.kind != Kind::kJwt) continue;
    const std::optional<ScanHit> jwt = matchJwt(text, hit.begin, work);
    if (!jwt) continue;
    hit.rule = jwt->rule;
    hit.end = std::max(hit.end, jwt->end);
    return;
  }
}

bool ScanEngine::tryTrigger(const Trigger& trigger, std::string_view text, std::size_t at, Rules rules, State& state, ScanHit& hit,
                            std::size_t& work) const {
  if (trigger.kind == Kind::kFormat) return tryFormat(formats_[trigger.index], text, at, hit, work);
  const bool exact = trigger.kind == Kind::kJwt || trigger.kind == Kind::kTelegram || trigger.kind == Kind::kAzure;
  if (exact ? text.compare(at, trigger.literal.size(), trigger.literal) != 0 : !startsWithFolded(text, at, trigger.literal)) return false;
  const std::size_t after = at + trigger.literal.size();
  std::optional<ScanHit> found;
  switch (trigger.kind) {
    case Kind::kName:
      if (rules == Rules::kShapesOnly) return false;
      found = matchAssignment(text, at, nameRules()[trigger.index], work);
      if (found) preferFormat(text, *found, work);
      break;
    case Kind::kBearer:
      found = matchBearer(text, at, work);
      if (found) preferFormat(text, *found, work);
      break;
    case Kind::kJwt:
      found = matchJwt(text, at, work);
      break;
    case Kind::kPrivateKey:
      found = matchPrivateKey(text, at, work);
      break;
    case Kind::kUserinfo:
      found = matchUserinfo(text, at, work);
      break;
    case Kind::kCurl:
      state.lastCurl = at;
      return false;
    case Kind::kCommandUser:
      if (state.lastCurl == std::string_view::npos || at - state.lastCurl > kCurlReach) return false;
      found = matchCommandUser(text, isOf(text[after - 1], kSpace | kEquals) ? after : after - 1, work);
      break;
    case Kind::kTelegram:
      found = matchTelegram(text, at, work);
      break;
    case Kind::kAzure:
      found = matchAzureSecret(text, at, work);
      break;
    case Kind::kMailchimp:
      found = matchMailchimp(text, at, work);
      break;
    case Kind::kTerraform:
      found = matchTerraform(text, at, work);
      break;
    case Kind::kFacebook:
      found = matchFacebookApp(text, at, work);
      break;
    case Kind::kWebhook:
      found = matchWebhook(text, at, work);
      break;
    case Kind::kFormat:
      break;
  }
  if (!found) return false;
  hit = *found;
  return true;
}

bool ScanEngine::tryAt(std::string_view text, std::size_t at, std::uint32_t folded, Rules rules, State& state, ScanHit& hit,
                       std::size_t& work) const {
  for (std::uint16_t link = buckets_[bucketHash(folded)]; link != 0; link = triggers_[link].next) {
    const Trigger& trigger = triggers_[link];
    ++work;
    if ((folded & trigger.mask) != (trigger.key & trigger.mask) || at < trigger.pivot) continue;
    if (!tryTrigger(trigger, text, at - trigger.pivot, rules, state, hit, work)) continue;
    if (hit.end <= state.floor) continue;
    hit.begin = std::max(hit.begin, state.floor);
    return true;
  }
  return false;
}

void ScanEngine::scan(std::string_view text, Rules rules, bool contacts, std::vector<ScanHit>& hits, std::size_t& work) const {
  State state;
  const std::uint8_t* bitmap = bitmap_.data();
  const char* bytes = text.data();
  std::size_t at = 0;
  // No secret is as short as three bytes, so nothing begins in the last three.
  while (at + 4 <= text.size()) {
    at = nextCandidate(bytes, at, text.size(), bitmap);
    if (at + 4 > text.size()) break;
    const std::uint32_t folded = loadFolded(bytes + at);
    ScanHit hit;
    if (!tryAt(text, at, folded, rules, state, hit, work)) {
      ++at;
      continue;
    }
    if (contacts) findContacts(text, state.floor, hit.begin, hits, work);
    hits.push_back(hit);
    state.floor = hit.end;
    std::size_t next = std::max(at + 1, hit.end);
    if (hit.rule == "aws-access-key-id") {
      if (const std::optional<ScanHit> secret = matchAwsSecretAfterId(text, hit.end, work)) {
        if (contacts) findContacts(text, state.floor, secret->begin, hits, work);
        hits.push_back(*secret);
        state.floor = next = secret->end;
      }
    }
    at = next;
  }
  if (contacts) findContacts(text, state.floor, text.size(), hits, work);
}

const ScanEngine& scanEngine() {
  static const ScanEngine engine;
  return engine;
}

void scanText(std::string_view text, const ScanOptions& options, std::vector<ScanHit>& hits) {
  std::size_t work = 0;
  scanEngine().scan(text, ScanEngine::Rules::kAll, options.contacts, hits, work);
}

std::string_view secretShapeRule(std::string_view text) {
  std::vector<ScanHit> hits;
  std::size_t work = 0;
  scanEngine().scan(text, ScanEngine::Rules::kShapesOnly, false, hits, work);
  return hits.empty() ? std::string_view{} : hits.front().rule;
}

bool hasSecretShape(std::string_view text) {
  return !secretShapeRule(text).empty();
}

bool looksLikeEmail(std::string_view text) {
  std::size_t work = 0;
  for (std::size_t at = text.find('@'); at != std::string_view::npos; at = text.find('@', at + 1)) {
    if (matchEmail(text, 0, at, work)) return true;
  }
  return false;
}

}  // namespace counterfoil::redact

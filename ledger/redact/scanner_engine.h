// The scanner's first pass and its dispatch. Inner header of the scanner: callers use scanner.h; tests use this to leave
// formats out and to count work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "ledger/redact/scanner.h"
#include "ledger/redact/scanner_rules.h"

namespace counterfoil::redact {

// Immutable after construction; scan() may be called from any thread.
//
// First pass: every four bytes of the text, letters folded, are looked up by hash in a bitmap that knows four bytes of
// each prefix and keyword (of a keyword its rarest: "_key", not "acco"); one load, one multiplication and one bit test a
// byte. Only where the bit is set are the rules looked up and tried.
class ScanEngine {
 public:
  enum class Rules { kAll, kShapesOnly };

  // `keep` chooses the formats; all by default.
  explicit ScanEngine(const std::function<bool(const FormatRule&)>& keep = {});

  // As scanText; `work` grows by the characters that rules read, the measure of the linear-time bound.
  void scan(std::string_view text, Rules rules, bool contacts, std::vector<ScanHit>& hits, std::size_t& work) const;

 private:
  enum class Kind : std::uint8_t {
    kFormat,
    kName,
    kBearer,
    kJwt,
    kPrivateKey,
    kUserinfo,
    kCurl,
    kCommandUser,
    kTelegram,
    kAzure,
    kMailchimp,
    kTerraform,
    kFacebook,
    kWebhook
  };
  struct Trigger {
    std::uint32_t key = 0;   // four bytes of it, folded
    std::uint32_t mask = 0;  // 0x00ffffff for triggers of three bytes
    Kind kind = Kind::kFormat;
    std::uint16_t index = 0;   // of the format or name
    std::uint16_t next = 0;    // chain of the bucket, 0 ends
    std::uint16_t pivot = 0;   // where in the literal the key's bytes are
    std::string_view literal;  // names and structures: folded text to confirm
  };
  struct State {
    std::size_t floor = 0;  // end of the last hit
    std::size_t lastCurl = std::string_view::npos;
  };

  static constexpr std::size_t kBitmapBits = 1U << 17;
  static constexpr std::size_t kBuckets = 1U << 12;

  void add(std::string_view literal, Kind kind, std::uint16_t index, unsigned fourthBits = 0);
  bool tryAt(std::string_view text, std::size_t at, std::uint32_t folded, Rules rules, State& state, ScanHit& hit, std::size_t& work) const;
  bool tryTrigger(const Trigger& trigger, std::string_view text, std::size_t at, Rules rules, State& state, ScanHit& hit,
                  std::size_t& work) const;
  bool tryFormat(const Format& format, std::string_view text, std::size_t at, ScanHit& hit, std::size_t& work) const;
  void preferFormat(std::string_view text, ScanHit& hit, std::size_t& work) const;

  std::vector<Format> formats_;
  std::vector<Trigger> triggers_;       // [0] is unused
  std::vector<std::uint16_t> buckets_;  // heads of chains by the folded key of three bytes
  std::vector<std::uint8_t> bitmap_;
};

// The engine with every format, made once.
const ScanEngine& scanEngine();

}  // namespace counterfoil::redact

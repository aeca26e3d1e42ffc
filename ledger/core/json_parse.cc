#include <algorithm>
#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <cstdint>
#include <string>

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "ledger/core/json_reader.h"
#include "ledger/core/limits.h"

namespace counterfoil {
namespace {

namespace bj = boost::json;
using BoostError = boost::system::error_code;
using BoostText = bj::string_view;

// The deepest use of the stack by a document of kJsonDepthMax levels (8 KiB optimised, 12 KiB not) and room to spare. Boost.JSON decodes
// escaped strings into a buffer there, and the readers below keep names and kinds there.
constexpr std::size_t kParserStackBytes = 24 * 1024;

// Copying leaves its bytes in vector registers; whoever saves those next (the dynamic linker on the first call of a function, a signal)
// writes them to the stack after it was wiped: a secret was found there. All of them are free at a call on x86-64.
void wipeVectorRegisters() noexcept {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx") != 0) {
    asm volatile("vzeroall" ::
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
                       "xmm14", "xmm15");
  }
  if (__builtin_cpu_supports("avx512f") != 0) {
    // The compiler itself uses none of these unless told that the machine has them.
    asm volatile(
        "vpxorq %zmm16,%zmm16,%zmm16\n vpxorq %zmm17,%zmm17,%zmm17\n vpxorq %zmm18,%zmm18,%zmm18\n vpxorq %zmm19,%zmm19,%zmm19\n"
        "vpxorq %zmm20,%zmm20,%zmm20\n vpxorq %zmm21,%zmm21,%zmm21\n vpxorq %zmm22,%zmm22,%zmm22\n vpxorq %zmm23,%zmm23,%zmm23\n"
        "vpxorq %zmm24,%zmm24,%zmm24\n vpxorq %zmm25,%zmm25,%zmm25\n vpxorq %zmm26,%zmm26,%zmm26\n vpxorq %zmm27,%zmm27,%zmm27\n"
        "vpxorq %zmm28,%zmm28,%zmm28\n vpxorq %zmm29,%zmm29,%zmm29\n vpxorq %zmm30,%zmm30,%zmm30\n vpxorq %zmm31,%zmm31,%zmm31");
  }
#endif
}

// In a frame above the parser's: what the parser left below is gone when this goes, whichever way.
struct StackWiper {
  StackWiper() = default;
  StackWiper(const StackWiper&) = delete;
  StackWiper& operator=(const StackWiper&) = delete;
  ~StackWiper() {
    wipeVectorRegisters();
    crypto::wipeStackBelow(kParserStackBytes);
  }
};

std::string_view view(BoostText text) {
  return {text.data(), text.size()};
}

// What basic_parser calls; passes everything on to the reader, which remembers faults itself: the parser always goes on.
class ReadingHandler {
 public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = kJsonTextBytesMax;
  static constexpr std::size_t max_string_size = kJsonTextBytesMax;

  ReadingHandler(JsonReader& reader, std::string_view json) : reader_(reader), json_(json) {}

  bool on_document_begin(BoostError&) { return true; }
  bool on_document_end(BoostError&) { return true; }
  bool on_object_begin(BoostError&) { return reader_.beginObject(), true; }
  bool on_object_end(std::size_t, BoostError&) { return reader_.endObject(), true; }
  bool on_array_begin(BoostError&) { return reader_.beginArray(), true; }
  bool on_array_end(std::size_t, BoostError&) { return reader_.endArray(), true; }
  bool on_key_part(BoostText part, std::size_t, BoostError&) { return reader_.keyPart(view(part)), true; }
  bool on_key(BoostText part, std::size_t, BoostError&) { return reader_.key(view(part)), true; }
  bool on_string_part(BoostText part, std::size_t, BoostError&) { return reader_.textPart(view(part)), true; }
  // A string without escapes is given as it lies in the document, where no control character passes the parser.
  bool on_string(BoostText part, std::size_t, BoostError&) {
    const auto at = reinterpret_cast<std::uintptr_t>(part.data()) - reinterpret_cast<std::uintptr_t>(json_.data());
    return reader_.text(view(part), at >= json_.size()), true;
  }
  bool on_number_part(BoostText, BoostError&) { return true; }
  bool on_int64(std::int64_t value, BoostText token, BoostError&) {
    // Also -0: a sign has no place in a count.
    if (value < 0 || token.starts_with('-')) return reader_.otherNumber(), true;
    return reader_.integer(static_cast<std::uint64_t>(value)), true;
  }
  bool on_uint64(std::uint64_t value, BoostText, BoostError&) { return reader_.integer(value), true; }
  bool on_double(double, BoostText, BoostError&) { return reader_.otherNumber(), true; }
  bool on_bool(bool value, BoostError&) { return reader_.boolean(value), true; }
  bool on_null(BoostError&) { return reader_.null(), true; }
  bool on_comment_part(BoostText, BoostError&) { return true; }
  bool on_comment(BoostText, BoostError&) { return true; }

 private:
  JsonReader& reader_;
  std::string_view json_;
};

// Finds the outermost "kind" of a fact; its other members are not looked at. Lives where its memory is wiped.
class KindFinder {
 public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = limits::kJsonBodyBytesMax;
  static constexpr std::size_t max_string_size = limits::kJsonBodyBytesMax;

  // `stops`: the document is left as soon as the kind is known.
  explicit KindFinder(bool stops) : stops_(stops) {}
  bool isObject() const { return isObject_; }
  bool found() const { return found_; }
  Kind kind() const { return kind_; }

  bool on_document_begin(BoostError&) { return true; }
  bool on_document_end(BoostError&) { return true; }
  bool on_object_begin(BoostError&) {
    isObject_ = isObject_ || depth_ == 0;
    return other(), ++depth_, true;
  }
  bool on_object_end(std::size_t, BoostError&) { return --depth_, true; }
  bool on_array_begin(BoostError&) { return other(), ++depth_, true; }
  bool on_array_end(std::size_t, BoostError&) { return --depth_, true; }
  bool on_key_part(BoostText part, std::size_t, BoostError&) { return append(part), true; }
  bool on_key(BoostText part, std::size_t, BoostError&) {
    append(part);
    expects_ = depth_ == 1 && !found_ && taken() == "kind";
    size_ = 0;
    return true;
  }
  bool on_string_part(BoostText part, std::size_t, BoostError&) {
    if (expects_) append(part);
    return true;
  }
  bool on_string(BoostText part, std::size_t, BoostError& error) {
    if (!expects_) return true;
    append(part);
    kind_ = schemaTables().findKind(taken()).value_or(Kind::none);
    size_ = 0;
    expects_ = false;
    found_ = true;
    if (stops_) error = make_error_code(boost::system::errc::operation_canceled);
    return !stops_;
  }
  bool on_number_part(BoostText, BoostError&) { return true; }
  bool on_int64(std::int64_t, BoostText, BoostError&) { return other(), true; }
  bool on_uint64(std::uint64_t, BoostText, BoostError&) { return other(), true; }
  bool on_double(double, BoostText, BoostError&) { return other(), true; }
  bool on_bool(bool, BoostError&) { return other(), true; }
  bool on_null(BoostError&) { return other(), true; }
  bool on_comment_part(BoostText, BoostError&) { return true; }
  bool on_comment(BoostText, BoostError&) { return true; }

 private:
  // A value that is no text: of "kind", the reader will say so.
  void other() { expects_ = false; }
  void append(BoostText part) {
    const std::size_t fits = std::min(part.size(), buffer_.size() - size_);
    std::copy_n(part.data(), fits, buffer_.data() + size_);
    size_ += fits;
  }
  // Longer ones are cut at the size of the buffer, which no kind has.
  std::string_view taken() const { return {buffer_.data(), size_}; }

  bool stops_;
  bool isObject_ = false;
  bool found_ = false;
  bool expects_ = false;  // the value that comes is that of "kind"
  Kind kind_ = Kind::none;
  std::size_t depth_ = 0;
  std::size_t size_ = 0;
  std::array<char, 64> buffer_{};
};

bj::parse_options strictOptions() {
  bj::parse_options options;  // no comments, no trailing commas, valid UTF-8
  options.max_depth = limits::kJsonDepthMax;
  return options;
}

// True if an escape of a leading surrogate ends where the parser failed: for a missing other half it says "syntax" most of the time.
bool isHalfPair(std::string_view json, std::size_t at) {
  constexpr std::size_t kEscapeBytes = 6;  // \ud800
  // It stops at the character that is no backslash, or after a backslash that no `u` follows.
  for (const std::size_t end : {at, at - 1}) {
    if (end < kEscapeBytes || end > json.size()) continue;
    const std::size_t from = end - kEscapeBytes;
    const std::size_t before = json.find_last_not_of('\\', from);
    const std::size_t backslashes = before == std::string_view::npos ? from + 1 : from - before;
    const std::string_view escape = json.substr(from, kEscapeBytes);
    constexpr std::string_view kLeading = "89abAB";
    if (backslashes % 2 == 1 && escape[1] == 'u' && (escape[2] | 0x20) == 'd' && kLeading.find(escape[3]) != std::string_view::npos)
      return true;
  }
  return false;
}

// What keeps `json` from being JSON that we take, from the parser's error and how far it came. Not for limits on texts and names.
[[noreturn]] void throwMalformed(std::string_view json, const BoostError& error, std::size_t at) {
  const std::string place = " at byte " + std::to_string(at);
  if (error == bj::error::too_deep) {
    throw Fault(ErrorCode::tooDeep, "the JSON has more than " + std::to_string(limits::kJsonDepthMax) + " levels" + place,
                "no request needs them");
  }
  if (error == bj::error::illegal_leading_surrogate || error == bj::error::illegal_trailing_surrogate ||
      error == bj::error::expected_utf16_escape || (error == bj::error::syntax && isHalfPair(json, at))) {
    throw Fault(ErrorCode::invalidUtf8, "an escape is half of a surrogate pair" + place,
                "escape both halves, or send the character as UTF-8");
  }
  if (!isUtf8(json)) throw Fault(ErrorCode::invalidUtf8, "the text is no valid UTF-8", "encode it as UTF-8");
  if (error == bj::error::exponent_overflow) {
    throw Fault(ErrorCode::invalidValue, "a number has an exponent" + place,
                "integers are written with digits only: no sign, no fraction, no exponent");
  }
  const bool ends = error == bj::error::incomplete;
  throw Fault(ErrorCode::malformedJson, (ends ? "the JSON ends too early," : "the JSON is not well-formed") + place,
              "send one JSON value: no comments, no trailing commas, nothing after it");
}

void checkSize(std::string_view json) {
  if (json.size() <= limits::kJsonBodyBytesMax) return;
  throw Fault(ErrorCode::tooLarge, "the JSON has more than " + std::to_string(limits::kJsonBodyBytesMax) + " bytes", "send less at once");
}

// Never inlined: its frame and all below it are what StackWiper wipes.
[[gnu::noinline]] void read(const JsonTarget& target, std::span<const RouteField> fromRoute, std::string_view json) {
  JsonReader reader(target, fromRoute);
  bj::basic_parser<ReadingHandler> parser(strictOptions(), reader, json);
  BoostError error;
  const std::size_t used = parser.write_some(false, json.data(), json.size(), error);
  if (error == bj::error::string_too_large) {
    reader.textTooLong();
  } else if (error == bj::error::key_too_large) {
    reader.keyTooLong();
  } else if (error == bj::error::exponent_overflow) {
    reader.otherNumber();
  } else if (error || used < json.size()) {
    throwMalformed(json, error, used);
  }
  reader.finish();
}

// As read(). kindNotAFact if the document is well-formed JSON with a "kind" that is not one of a fact.
[[gnu::noinline]] Kind findKind(std::string_view json) {
  bj::basic_parser<KindFinder> parser(strictOptions(), true);
  BoostError error;
  std::size_t used = parser.write_some(false, json.data(), json.size(), error);
  const KindFinder& finder = parser.handler();
  if (finder.found()) {
    if (finder.kind() != Kind::none && schemaTables().kinds[static_cast<std::size_t>(finder.kind())].fact) return finder.kind();
    bj::basic_parser<KindFinder> rest(strictOptions(), false);
    error.clear();
    used = rest.write_some(false, json.data(), json.size(), error);
  }
  if (error || used < json.size()) throwMalformed(json, error, used);
  if (!finder.isObject()) throw Fault(ErrorCode::invalidValue, "the document must be an object", "send one fact: {\"kind\": ...}");
  if (!finder.found())
    throw Fault(ErrorCode::invalidValue, "/kind is required and must be a text", "name the kind of the fact, for example lease.granted",
                "/kind");
  throw Fault(ErrorCode::kindNotAFact,
              finder.kind() == Kind::none ? "/kind names no kind of event" : "/kind names a kind that only the ledger records",
              "facts are lease.*, credential.used, bundle.*, host.*, token.*, sandbox.*, vault.*, tool.invoked, run.* and egress.observed",
              "/kind");
}

}  // namespace

Command parseCommand(CommandKind kind, std::string_view json, std::span<const RouteField> fromRoute) {
  checkSize(json);
  Command command = Command::make(kind);
  JsonTarget target{schemaTables().commands[static_cast<std::size_t>(kind)], command.arena, command.body, command.common, command.id};
  if (kind == CommandKind::workspaceCreate) target.idIs = command.body.table->find(Field::workspaceId);
  const StackWiper wiper;
  read(target, fromRoute, json);
  return command;
}

Event parseFact(std::string_view json) {
  checkSize(json);
  const StackWiper wiper;
  Event event = Event::make(findKind(json));
  JsonTarget target{schemaTables().kinds[static_cast<std::size_t>(event.kind)], event.arena, event.body, event.common, event.id};
  target.isFact = true;
  read(target, {}, json);
  return event;
}

}  // namespace counterfoil

// The reader of canonical bytes: one cursor that every pointer must point at exactly, so that overlap, gaps, cycles and hidden bytes
// cannot be written down.
#include <algorithm>
#include <cstring>

#include "ledger/core/codec.h"
#include "ledger/core/codec_wire.h"
#include "ledger/core/encoding.h"

namespace counterfoil {
namespace {

using wire::ListSize;

// Structures and lists inside each other, root included. Ours are five deep; the rest is for newer writers.
constexpr unsigned kDepthMax = 8;

constexpr std::uint64_t kOnes = 0x0101010101010101U;
constexpr std::uint64_t kHighs = 0x8080808080808080U;

// Where the sections of one structure lie.
struct Frame {
  std::size_t data = 0;  // word index
  std::uint32_t dataWords = 0;
  std::uint32_t pointers = 0;
  std::size_t pointer(std::size_t index) const { return data + dataWords + index; }
};

// Every function returns nullptr or what is wrong.
class Reader {
 public:
  Reader(crypto::Bytes bytes, Strictness strictness, Arena& arena)
      : bytes_(bytes.data()), end_(bytes.size() / wire::kWordBytes), strict_(strictness == Strictness::strict), arena_(arena) {}

  const char* root(const StructTable& table, StructValue& value) {
    value = makeStruct(arena_, table);
    cursor_ = 1;
    if (const std::uint64_t pointer = word(0); pointer != 0) {
      if (const char* problem = structure(0, pointer, table, value, 1)) return problem;
    }
    return cursor_ == end_ ? nullptr : "bytes behind the last structure";
  }

  bool unknownParts() const { return unknown_; }

 private:
  std::uint64_t word(std::size_t index) const { return wire::load(bytes_ + index * wire::kWordBytes); }
  const char* chars(std::size_t index) const { return reinterpret_cast<const char*>(bytes_ + index * wire::kWordBytes); }

  // What a newer writer added.
  const char* unknown(const char* problem) {
    if (strict_) return problem;
    unknown_ = true;
    return nullptr;
  }

  // The target of the pointer in word `at` must begin at the cursor and take `words`, which are passed over.
  const char* take(std::size_t at, std::uint64_t pointer, std::size_t words) {
    if (wire::offsetOf(pointer) != cursor_ - at - 1) return "a pointer that is not in canonical order";
    if (words > end_ - cursor_) return "a pointer past the end";
    cursor_ += words;
    return nullptr;
  }

  // Enters the structure that `pointer` in word `at` leads to.
  const char* enter(std::size_t at, std::uint64_t pointer, Frame& frame) {
    if (wire::kindOf(pointer) != wire::kStructPointer) return "a pointer of the wrong kind";
    frame = {cursor_, wire::dataWordsOf(pointer), wire::pointersOf(pointer)};
    if (frame.dataWords + frame.pointers == 0) return "an empty structure that is not null";
    if (const char* problem = take(at, pointer, frame.dataWords + frame.pointers)) return problem;
    if (frame.dataWords != 0 && word(frame.data + frame.dataWords - 1) == 0) return "a data section that is not trimmed";
    if (frame.pointers != 0 && word(frame.pointer(frame.pointers) - 1) == 0) return "a pointer section that is not trimmed";
    return nullptr;
  }

  const char* structure(std::size_t at, std::uint64_t pointer, const StructTable& table, StructValue& value, unsigned depth) {
    if (depth > kDepthMax) return "structures nested too deep";
    Frame frame;
    if (const char* problem = enter(at, pointer, frame)) return problem;
    return content(frame, table, value, depth);
  }

  const char* content(const Frame& frame, const StructTable& table, StructValue& value, unsigned depth) {
    const std::uint32_t knownWords = std::min<std::uint32_t>(frame.dataWords, table.dataWords);
    for (std::uint32_t index = 0; index < frame.dataWords; ++index) {
      const std::uint64_t known = index < knownWords ? table.knownBits[index] : 0;
      if ((word(frame.data + index) & ~known) == 0) continue;
      if (const char* problem = unknown("an unknown field")) return problem;
    }
    if (table.isUnion) return member(frame, table, value, depth);
    if (const char* problem = numbers(frame, table, value)) return problem;
    for (std::uint32_t index = 0; index < frame.pointers; ++index) {
      const std::size_t at = frame.pointer(index);
      const std::uint64_t pointer = word(at);
      if (pointer == 0) continue;
      const std::uint8_t place = index < table.pointers ? table.pointerFields[index] : StructTable::kNone;
      const char* problem = place == StructTable::kNone ? unknownPointer(at, pointer, depth)
                                                        : field(at, pointer, table.fields[place], value.values[place], depth);
      if (problem != nullptr) return problem;
    }
    return nullptr;
  }

  const char* numbers(const Frame& frame, const StructTable& table, StructValue& value) {
    for (const NumberField& plan : table.numbers) {
      if (plan.word >= frame.dataWords) continue;
      const std::uint64_t number = word(frame.data + plan.word) >> plan.shift & plan.mask;
      if (number > plan.max) {
        if (const char* problem = unknown("an unknown enumeration value")) return problem;
        continue;
      }
      value.values[plan.index].number = number;
    }
    return nullptr;
  }

  const char* member(const Frame& frame, const StructTable& table, StructValue& value, unsigned depth) {
    if (frame.dataWords != 0) value.discriminant = static_cast<std::uint16_t>(word(frame.data));
    const bool known = value.discriminant < table.members.size();
    if (!known) {
      if (const char* problem = unknown("an unknown kind")) return problem;
    }
    for (std::uint32_t index = 0; index < frame.pointers; ++index) {
      const std::size_t at = frame.pointer(index);
      const std::uint64_t pointer = word(at);
      if (pointer == 0) continue;
      if (index == 0 && value.discriminant == 0) return "a structure without a kind";
      if (index > 0 || !known) {
        if (const char* problem = unknownPointer(at, pointer, depth)) return problem;
        continue;
      }
      StructValue* const target = arena_.array<StructValue>(1).data();
      *target = makeStruct(arena_, *table.members[value.discriminant]);
      value.member = target;
      if (const char* problem = structure(at, pointer, *target->table, *target, depth + 1)) return problem;
    }
    return nullptr;
  }

  const char* field(std::size_t at, std::uint64_t pointer, const FieldTable& table, FieldValue& value, unsigned depth) {
    switch (table.type) {
      case FieldType::text: {
        std::string_view found;
        if (const char* problem = text(at, pointer, table.bytesMax, found)) return problem;
        value = FieldValue::ofText(found);
        return nullptr;
      }
      case FieldType::data: {
        std::string_view found;
        if (const char* problem = data(at, pointer, table.bytesMax, found)) return problem;
        value = FieldValue::ofText(found);
        return nullptr;
      }
      case FieldType::textList:
        return texts(at, pointer, table, value);
      case FieldType::structure: {
        StructValue* const target = arena_.array<StructValue>(1).data();
        *target = makeStruct(arena_, *table.structure);
        value.data = target;
        value.count = 1;
        return structure(at, pointer, *table.structure, *target, depth + 1);
      }
      case FieldType::structureList:
        return structures(at, pointer, table, value, depth + 1);
      default:
        return "a pointer of the wrong kind";
    }
  }

  static bool isList(std::uint64_t pointer, ListSize size) {
    return wire::kindOf(pointer) == wire::kListPointer && wire::listSizeOf(pointer) == size;
  }

  const char* data(std::size_t at, std::uint64_t pointer, std::uint32_t bytesMax, std::string_view& out) {
    if (!isList(pointer, ListSize::byte)) return "a pointer of the wrong kind";
    const std::uint32_t count = wire::countOf(pointer);
    if (count == 0) return "empty data that is not null";
    if (count > bytesMax) return "data over its limit";
    const std::size_t start = cursor_;
    if (const char* problem = take(at, pointer, wire::wordsOf(count))) return problem;
    out = {chars(start), count};
    const std::uint32_t tail = count % wire::kWordBytes;
    if (tail != 0 && word(cursor_ - 1) >> (8 * tail) != 0) return "padding that is not zero";
    return nullptr;
  }

  const char* text(std::size_t at, std::uint64_t pointer, std::uint32_t bytesMax, std::string_view& out) {
    if (!isList(pointer, ListSize::byte)) return "a pointer of the wrong kind";
    const std::uint32_t count = wire::countOf(pointer);
    if (count < 2) return "an empty text that is not null";
    if (count - 1 > bytesMax) return "a text over its limit";
    const std::size_t start = cursor_;
    if (const char* problem = take(at, pointer, wire::wordsOf(count))) return problem;
    out = {chars(start), count - 1};
    // NUL and bytes over 127 are looked for a word at a time. The last word holds zero to seven bytes of text and then only zeros,
    // the terminator among them.
    std::uint64_t seen = 0;
    std::uint64_t zeros = 0;
    const std::size_t last = start + (count - 1) / wire::kWordBytes;
    for (std::size_t index = start; index < last; ++index) {
      const std::uint64_t eight = word(index);
      seen |= eight;
      zeros |= (eight - kOnes) & ~eight;
    }
    const std::uint32_t tailBits = (count - 1) % wire::kWordBytes * 8;
    const std::uint64_t tail = word(last);
    if (tail >> tailBits != 0) return "a text without its terminator";
    const std::uint64_t filled = tail | kOnes << tailBits;
    zeros |= (filled - kOnes) & ~filled;
    if ((zeros & kHighs) != 0) return "a NUL inside a text";
    if (((seen | tail) & kHighs) != 0 && !isUtf8(out)) return "a text that is not UTF-8";
    return nullptr;
  }

  const char* texts(std::size_t at, std::uint64_t pointer, const FieldTable& table, FieldValue& value) {
    if (!isList(pointer, ListSize::pointer)) return "a pointer of the wrong kind";
    const std::uint32_t count = wire::countOf(pointer);
    if (count == 0) return "an empty list that is not null";
    if (count > table.itemsMax) return "a list over its limit";
    const std::size_t first = cursor_;
    if (const char* problem = take(at, pointer, count)) return problem;
    const std::span<std::string_view> items = arena_.array<std::string_view>(count);
    for (std::uint32_t index = 0; index < count; ++index) {
      const std::uint64_t item = word(first + index);
      if (item == 0) continue;
      if (const char* problem = text(first + index, item, table.bytesMax, items[index])) return problem;
    }
    value = FieldValue::ofTexts(items);
    return nullptr;
  }

  // Passes over the list's tag and elements. `frame` becomes that of the first element, the others follow it.
  const char* composite(std::size_t at, std::uint64_t pointer, Frame& frame, std::uint32_t& count) {
    const std::size_t tagAt = cursor_;
    const std::size_t words = wire::countOf(pointer);
    if (const char* problem = take(at, pointer, words + 1)) return problem;
    const std::uint64_t tag = word(tagAt);
    if (wire::kindOf(tag) != wire::kStructPointer) return "a list whose tag is no structure";
    count = static_cast<std::uint32_t>(wire::offsetOf(tag));
    frame = {tagAt + 1, wire::dataWordsOf(tag), wire::pointersOf(tag)};
    if (count == 0) return "an empty list that is not null";
    if (std::uint64_t{count} * (frame.dataWords + frame.pointers) != words) return "a list whose tag contradicts its size";
    return nullptr;
  }

  // True if no element has something in the last word of its data section, or of its pointer section.
  bool untrimmed(const Frame& first, std::uint32_t count) const {
    const std::uint32_t step = first.dataWords + first.pointers;
    std::uint64_t lastData = first.dataWords == 0 ? 1 : 0;
    std::uint64_t lastPointer = first.pointers == 0 ? 1 : 0;
    if (step == 0) return false;
    for (std::uint32_t index = 0; index < count && (lastData == 0 || lastPointer == 0); ++index) {
      const std::size_t at = first.data + std::size_t{index} * step;
      if (first.dataWords != 0) lastData |= word(at + first.dataWords - 1);
      if (first.pointers != 0) lastPointer |= word(at + step - 1);
    }
    return lastData == 0 || lastPointer == 0;
  }

  const char* structures(std::size_t at, std::uint64_t pointer, const FieldTable& table, FieldValue& value, unsigned depth) {
    if (!isList(pointer, ListSize::composite)) return "a pointer of the wrong kind";
    if (depth >= kDepthMax) return "structures nested too deep";
    Frame frame;
    std::uint32_t count = 0;
    if (const char* problem = composite(at, pointer, frame, count)) return problem;
    // Elements may be of no size, so the bytes present do not bound their number.
    if (count > table.itemsMax) return "a list over its limit";
    if (untrimmed(frame, count)) return "a list whose elements are not trimmed";
    const std::span<StructValue> items = arena_.array<StructValue>(count);
    for (StructValue& item : items) {
      item = makeStruct(arena_, *table.structure);
      if (const char* problem = content(frame, *table.structure, item, depth + 1)) return problem;
      frame.data += frame.dataWords + frame.pointers;
    }
    value.data = items.data();
    value.count = count;
    return nullptr;
  }

  // ---- What a newer writer added: its form is checked, its meaning is not known. ----

  const char* unknownPointer(std::size_t at, std::uint64_t pointer, unsigned depth) {
    if (const char* problem = unknown("an unknown field")) return problem;
    if (depth >= kDepthMax) return "structures nested too deep";
    if (wire::kindOf(pointer) == wire::kListPointer) return unknownList(at, pointer, depth + 1);
    Frame frame;
    if (const char* problem = enter(at, pointer, frame)) return problem;
    return unknownPointers(frame, depth + 1);
  }

  const char* unknownPointers(const Frame& frame, unsigned depth) {
    for (std::uint32_t index = 0; index < frame.pointers; ++index) {
      const std::size_t at = frame.pointer(index);
      const std::uint64_t pointer = word(at);
      if (pointer == 0) continue;
      if (const char* problem = unknownPointer(at, pointer, depth)) return problem;
    }
    return nullptr;
  }

  const char* unknownList(std::size_t at, std::uint64_t pointer, unsigned depth) {
    const ListSize size = wire::listSizeOf(pointer);
    if (size == ListSize::composite) return unknownStructures(at, pointer, depth);
    static constexpr std::uint8_t kBits[] = {0, 1, 8, 16, 32, 64, 64};
    const std::uint64_t count = wire::countOf(pointer);
    if (count == 0) return "an empty list that is not null";
    const std::uint64_t bits = count * kBits[static_cast<std::size_t>(size)];
    const std::size_t first = cursor_;
    if (const char* problem = take(at, pointer, (bits + 63) / 64)) return problem;
    if (size == ListSize::pointer) return unknownPointers({first, 0, static_cast<std::uint32_t>(count)}, depth);
    if (bits % 64 != 0 && word(cursor_ - 1) >> (bits % 64) != 0) return "padding that is not zero";
    return nullptr;
  }

  const char* unknownStructures(std::size_t at, std::uint64_t pointer, unsigned depth) {
    if (depth >= kDepthMax) return "structures nested too deep";
    Frame frame;
    std::uint32_t count = 0;
    if (const char* problem = composite(at, pointer, frame, count)) return problem;
    if (untrimmed(frame, count)) return "a list whose elements are not trimmed";
    // Only pointers need a look. Without any the number of elements, which a list of no size leaves open, costs nothing.
    for (std::uint32_t index = 0; frame.pointers != 0 && index < count; ++index) {
      if (const char* problem = unknownPointers(frame, depth + 1)) return problem;
      frame.data += frame.dataWords + frame.pointers;
    }
    return nullptr;
  }

  const std::uint8_t* bytes_;
  std::size_t end_;  // in words, as the cursor
  std::size_t cursor_ = 0;
  bool strict_;
  bool unknown_ = false;
  Arena& arena_;
};

}  // namespace

DecodeResult decodeCanonical(const StructTable& table, crypto::Bytes bytes, Strictness strictness, Arena& arena) {
  DecodeResult result;
  if (bytes.empty() || bytes.size() % wire::kWordBytes != 0) {
    result.problem = "not a whole number of words";
    return result;
  }
  Reader reader(bytes, strictness, arena);
  result.problem = reader.root(table, result.value);
  result.unknownParts = reader.unknownParts();
  if (result.problem != nullptr) result.value = {};
  return result;
}

}  // namespace counterfoil

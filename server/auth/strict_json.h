// A JSON object read strictly, for what decides about access: claims of tokens and requests of the token socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace counterfoil::server {

struct StrictJson {
  enum class Type : std::uint8_t { text, number, object };
  Type type = Type::object;
  std::string text;
  std::int64_t number = 0;  // 0 to 2^53-1
  std::vector<std::pair<std::string, StrictJson>> members;

  // nullptr if there is none.
  const StrictJson* find(std::string_view name) const;
};

inline constexpr std::size_t kStrictJsonDepthMax = 2;
inline constexpr std::size_t kStrictJsonMembersMax = 32;  // of the whole document

// An object of texts, whole numbers and objects of those; nothing else exists here: no lists, true, false or null. Names that are equal
// after unescaping are refused, so are numbers that are no integer tokens or pass 2^53-1, control characters, lone surrogates, invalid
// UTF-8, and anything but white space behind the object. Pure. Throws Fault: malformedJson, invalidUtf8, tooDeep, duplicateField,
// invalidValue, tooLarge (members). None repeats what was read.
StrictJson parseStrictJson(std::string_view json);

}  // namespace counterfoil::server

// Parts of a JSON text as they stand in it, so that numbers are passed on with the digits they came with. The text must be valid JSON.
#pragma once

#include <string_view>
#include <vector>

namespace counterfoil::cmd {

// The value of a member, by its name as written (no escapes); empty if `object` is no object or has no such member.
std::string_view rawMember(std::string_view object, std::string_view name);
// The items of an array; none if it is none.
std::vector<std::string_view> rawItems(std::string_view array);

}  // namespace counterfoil::cmd

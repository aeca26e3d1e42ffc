// The server's JSON read into the types of types.h. What does not fit is foreign_answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clients/cpp/types.h"

namespace counterfoil::client {

// Throws Error(foreign_answer): `text` is no JSON object.
boost::json::object objectIn(std::string_view text);

// Of a member; empty or nothing if it is not there or of another type.
std::string textAt(const boost::json::object& object, std::string_view name);
std::optional<std::uint64_t> numberAt(const boost::json::object& object, std::string_view name);

// Each throws Error(foreign_answer) without the members that every server of this version sends. `id`: the command's.
Decision decisionIn(const boost::json::object& answer, std::string id);
Revocation revocationIn(const boost::json::object& answer, std::string id);
Recorded recordedIn(const boost::json::object& answer, std::string id);
// One line of bulk facts.
FactResult factResultIn(std::string_view line, std::string id);
LeaseDetail leaseIn(boost::json::object answer);
Entry entryIn(boost::json::object answer);
// The items of a page.
std::vector<Entry> entriesIn(boost::json::object page);
QueryResult queryResultIn(boost::json::object answer);

}  // namespace counterfoil::client

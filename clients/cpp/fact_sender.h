// Many facts in one request: a result line for each, in order.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clients/cpp/http_client.h"

namespace counterfoil::client {

// What fits into one request whose results the server holds until the body has ended (docs/server.md, many facts at once).
inline constexpr std::size_t kFactLinesMax = 2'000;
inline constexpr std::size_t kFactBytesMax = 4 * 1024 * 1024;

// Sends `lines`, at most kFactLinesMax of them and about kFactBytesMax, without their ends and none of them blank, to the facts of a
// workspace ("/v1/workspaces/<id>", percent-encoded). The answer's line for each. Lines that the server had no room for are sent again a
// little later, ten times at most, behind the others. `repeatable`: every line has an id, so that the request may be sent again when the
// connection is lost. Throws as Requests::send(); indeterminate also if not every line was answered.
std::vector<std::string> sendFacts(Requests& requests, const std::string& workspace, std::span<const std::string_view> lines,
                                   bool repeatable, const Surroundings& surroundings);

}  // namespace counterfoil::client

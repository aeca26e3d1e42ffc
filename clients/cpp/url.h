// URLs of servers, and the parts that requests put into them.
#pragma once

#include <string>
#include <string_view>

namespace counterfoil::client {

// `text` without a slash behind it, if it is the URL of a server: https, or http to this machine only (over plain http to another one
// everybody on the way could read the token); scheme, host, port and path and nothing else. Throws Error(usage), without the text.
std::string checkedUrl(const std::string& text);

// One segment of a path, or a value of a query. "." and ".." are encoded as well: as they are they would mean folders.
std::string percentEncoded(std::string_view text);

}  // namespace counterfoil::client

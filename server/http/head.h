// Taking a request's head apart: target, query, media types. Pure; everything a peer sent is checked here once.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/exchange.h"

namespace counterfoil::server {

// Headers that must come once, in lower case: two of them are how requests are smuggled, or how two parts of a system disagree about who
// asks.
inline constexpr std::array<std::string_view, 10> kOnceHeaders = {"host",
                                                                  "content-length",
                                                                  "transfer-encoding",
                                                                  "content-type",
                                                                  "authorization",
                                                                  "idempotency-key",
                                                                  "last-event-id",
                                                                  "traceparent",
                                                                  "x-counterfoil-forwarded-by",
                                                                  "x-counterfoil-client-certificate"};

// Letters of ASCII only, as field names have them.
std::string lowerCase(std::string_view text);

// Decodes %XX. nullopt: a broken escape, NUL or another control character, or no valid UTF-8. `plusIsSpace` as in query strings.
std::optional<std::string> percentDecode(std::string_view text, bool plusIsSpace);

// Fills segments and query from an origin-form target ("/a/b?c=d"); false if it is none (RFC 9112 3.2.1), or holds what cannot be decoded.
// Empty segments are kept: "//" is another path than "/".
bool readTarget(std::string_view target, RequestHead& head);

// "type/subtype" in lower case, without parameters.
std::string mediaTypeOf(std::string_view contentType);

// Whether an Accept header takes `mediaType` (RFC 9110 12.5.1): a range that covers it with a weight above zero. An empty one takes all.
bool accepts(std::string_view accept, std::string_view mediaType);

// A valid W3C traceparent (version 00 to fe), else empty.
std::string traceparentOf(std::string_view header);

// The token of "Bearer <token>", case-insensitive scheme, or empty.
std::string_view bearerOf(std::string_view authorization);

}  // namespace counterfoil::server

// Text forms of bytes: lower-case hex, base64 (RFC 4648 4), base64url without padding (RFC 4648 5), UUIDs (RFC 9562), RFC 3339 times.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/ids.h"

namespace counterfoil {

std::string toHex(crypto::Bytes bytes);
// Even length, lower or upper case; nothing else. nullopt otherwise.
std::optional<std::vector<std::uint8_t>> fromHex(std::string_view text);

std::string toBase64(crypto::Bytes bytes);
std::string toBase64Url(crypto::Bytes bytes);  // no padding
// Strict: no white space, correct padding (base64) or none (base64url), unused bits zero.
std::optional<std::vector<std::uint8_t>> fromBase64(std::string_view text);
std::optional<std::vector<std::uint8_t>> fromBase64Url(std::string_view text);

// 8-4-4-4-12 lower-case.
std::string toUuid(const EntryId& id);
std::optional<EntryId> fromUuid(std::string_view text);
// UUIDv7 of a time (48 bits of milliseconds) and ten random bytes, RFC 9562 5.7.
EntryId makeUuidV7(Timestamp time, const std::array<std::uint8_t, 10>& random);
// UUIDv8(SHA-256(text)): first 16 bytes with version and variant set (FORMATS: Ids).
EntryId makeUuidV8(std::string_view text);
bool isUuidV7(const EntryId& id);
// The time inside a UUIDv7, at millisecond precision.
Timestamp uuidV7Time(const EntryId& id);

// "2026-03-01T09:30:00.123456789Z": UTC, the fraction as short as exact (none for whole seconds). Years 1678..2261.
std::string toRfc3339(Timestamp time);
// Accepts fractions of 0 to 9 digits and the offsets `Z` and `+hh:mm`/`-hh:mm`; refuses everything else, leap second 60 included.
std::optional<Timestamp> fromRfc3339(std::string_view text);

// True if `text` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool isUtf8(std::string_view text);

}  // namespace counterfoil

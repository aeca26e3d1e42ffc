// E-mail addresses and telephone numbers in text.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "ledger/redact/scanner.h"

namespace counterfoil::redact {

// The address around the @ at `at`, not before `floor`. Needs a dotted domain with an alphabetic end; git@host and
// image names with a pixel ratio (icon@2x.png) are no addresses.
std::optional<ScanHit> matchEmail(std::string_view text, std::size_t floor, std::size_t at, std::size_t& work);

// The number whose + is at `at`: country code and 8 to 15 digits with the usual separators.
std::optional<ScanHit> matchInternationalNumber(std::string_view text, std::size_t at, std::size_t& work);

// The North American number whose second separator, a dash, is at `at`: 212-555-0123, (212) 555-0123. Not before `floor`.
std::optional<ScanHit> matchNationalNumber(std::string_view text, std::size_t floor, std::size_t at, std::size_t& work);

// Appends the contacts of text[begin, end), seen in the whole text, in ascending order.
void findContacts(std::string_view text, std::size_t begin, std::size_t end, std::vector<ScanHit>& hits, std::size_t& work);

}  // namespace counterfoil::redact

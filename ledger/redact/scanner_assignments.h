// Assignments: a name with a credential's word in it, an operator, and a value that looks like a secret.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "ledger/redact/scanner.h"
#include "ledger/redact/scanner_rules.h"

namespace counterfoil::redact {

// The value assigned to the name that contains `rule.word` at `at`. Understands key=value, key: value, "key" => "value",
// := and its kin, <key>value</key>, setProperty("key", "value"), {"name": "key", "value": "..."}, --key value,
// Header: Scheme value, key%3Dvalue. Reads at most about a kilobyte, more only inside a hit; `work` grows by it.
std::optional<ScanHit> matchAssignment(std::string_view text, std::size_t at, const NameRule& rule, std::size_t& work);

// The value after "Bearer " (or another scheme word) that begins at `at`.
std::optional<ScanHit> matchBearer(std::string_view text, std::size_t at, std::size_t& work);

}  // namespace counterfoil::redact

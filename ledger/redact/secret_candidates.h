// The parts of a text that may be a secret the ledger already knows; the caller looks each one up by fingerprint.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

#include "ledger/core/limits.h"

namespace counterfoil::redact {

// `candidate` is valid during the call only (decoded bytes are wiped after it); [begin, end) is the place in the text
// that a hit has to take out.
using SecretCandidateVisitor = std::function<void(std::string_view candidate, std::size_t begin, std::size_t end)>;

// Visits, each once: the maximal runs of [A-Za-z0-9+/=_.~%-] of 8 to 512 bytes; each run without dots at its ends; its
// parts between '=' , '/' and '.' ("token=SECRET"); the percent-decoded and the base64 or base64url decoded form of runs
// and of parts after '=', whole and the runs in it; and the same runs of the text in compatibility form, in which
// full-width and mathematical letters are ASCII. A run longer than 512 bytes is not a candidate, its parts are.
// `remaining` is what is left of the candidates of one entry (start with limits::kSecretCandidatesMax) and is counted
// down. Returns false as soon as there are more: the caller then withholds the field whole. Thread safe.
bool forEachSecretCandidate(std::string_view text, std::size_t& remaining, const SecretCandidateVisitor& visit);

// As above for a text that is alone in its entry.
bool forEachSecretCandidate(std::string_view text, const SecretCandidateVisitor& visit);

}  // namespace counterfoil::redact

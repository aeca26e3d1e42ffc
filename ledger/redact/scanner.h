// Finds secrets and contact data in text. Pure, thread safe, never throws on any bytes; the cost per byte is bounded
// (every look-ahead and look-behind has a cap, and what a hit covers is not read again).
//
// Three mechanisms, in this order of trust: formats that providers publish (a prefix, an alphabet, a length), structures
// (JWT, PEM, URL userinfo, Authorization values, webhooks), and assignments: a name that says "password", "secret" or
// "token" beside a value that looks drawn at random. Values that are visibly stand-ins (xxxx, ${VAR}, EXAMPLE) pass.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace counterfoil::redact {

// Bytes [begin, end) of the scanned text: exactly the secret, without the name it is assigned to.
struct ScanHit {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string_view rule;  // a static name such as "aws-access-key-id", "jwt", "high-entropy-assignment", "email", "telephone"
};

struct ScanOptions {
  bool contacts = true;  // e-mail addresses and telephone numbers too
};

// Appends the hits of `text` in ascending order; they do not overlap and none is empty. A secret wins over a contact.
void scanText(std::string_view text, const ScanOptions& options, std::vector<ScanHit>& hits);

// The rule whose shape something in `text` has, "" if none: published formats and structures only, never bare entropy
// and never an assignment, so that UUIDs, digests, host names, lease ids and ARNs pass. For `id` fields.
std::string_view secretShapeRule(std::string_view text);
bool hasSecretShape(std::string_view text);

// True if an e-mail address is contained in `text`.
bool looksLikeEmail(std::string_view text);

}  // namespace counterfoil::redact

// What a list is asked for (INTERFACE: Lists). Texts of a request become a Filters value here, in one place for the command line and the
// server; a filter that a list does not have is refused, never ignored. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ledger/core/ids.h"

namespace counterfoil::query {

enum class ListKind : std::uint8_t { entries, denials, leases, bundles, hosts, vault, runs, principals, approvals, findings, holds };

// "entries", ...
std::string_view listName(ListKind list);

enum class Order : std::uint8_t { ascending, descending };

// The texts that select rows, each empty for "any". What each means for each list is in docs/query.md.
enum class Match : std::uint8_t {
  actor,      // kind:id; of leases the grantee, of approvals who asked or decided
  principal,  // kind:id; the other one: grantee, decider, ...
  run,
  host,
  sandbox,
  lease,
  bundle,
  resource,
  scope,
  state,
  text,  // words, "phrases in quotes", prefixes with * behind
  reason,
  credential,
  fingerprint,
};
inline constexpr std::size_t kMatchCount = 14;

inline constexpr unsigned kLimitDefault = 100;
inline constexpr unsigned kLimitMax = 1'000;

struct Filters {
  std::vector<std::string> kinds;  // kinds, or their beginnings as in `lease.*`
  std::string match[kMatchCount];
  // Valid time. [from, to): when it occurred, was issued, ... `at`: what was so at that time.
  std::optional<Timestamp> from, to, at;
  // What was on the record: up to this seq, or up to this recorded time. At most one of them is set.
  std::optional<Sequence> asOfSeq;
  std::optional<Timestamp> asOfTime;
  Order order = Order::descending;
  unsigned limit = kLimitDefault;
  std::string after;  // cursor

  const std::string& operator[](Match which) const { return match[static_cast<std::size_t>(which)]; }
  std::string& operator[](Match which) { return match[static_cast<std::size_t>(which)]; }
};

using Parameter = std::pair<std::string, std::string>;  // name, value

// `kind` may come several times, everything else once. Throws Fault: unknownField (no such filter, or none of this list), duplicateField,
// invalidValue; each names the filter, none its value.
Filters parseFilters(ListKind list, std::span<const Parameter> parameters);

// Gives the text under which the record holds a person ("human:alice" -> "human:p2:..."), anything else as it is; empty if the person has
// no key, so that nothing can match. Called only for `actor` and `principal`.
using PrincipalResolver = std::function<std::string(const std::string&)>;

// The same selection under the names of the record; what a cursor is bound to.
Filters resolvePersons(const Filters& filters, const PrincipalResolver& resolver);

// The kinds that `filters` names, as the record writes them; empty for "all". Throws Fault(invalidValue).
std::vector<std::string> expandKinds(const Filters& filters);

// Gives all words of the text index that begin with a word (lower-case letters and digits of ASCII); none if they are too many to name.
using WordsOfPrefix = std::function<std::vector<std::string>(const std::string&)>;

// `text` as an FTS5 expression of quoted phrases that must all be there; no operator of FTS5 gets through. A prefix becomes the words that
// `words` gives, if any: FTS5 gathers all that a prefix matches before it gives the first of it, but steps and skips along words. Throws
// Fault(invalidValue) if nothing is left to search for.
std::string fullTextExpression(std::string_view text, const WordsOfPrefix& words = {});

// Where the next page starts. Opaque to callers, bound to list, filters and order; a cursor of another question is refused.
struct Cursor {
  std::int64_t key = 0;     // the last one seen; the next page is strictly behind it
  std::int64_t pinned = 0;  // seq up to which the first page looked: later pages see the same record
  std::string name;         // of the key, where keys are numbers of names
};
std::string encodeCursor(ListKind list, const Filters& filters, const Cursor& cursor);
// Throws Fault(badCursor): not a cursor, changed, or of another question.
Cursor decodeCursor(ListKind list, const Filters& filters);

}  // namespace counterfoil::query

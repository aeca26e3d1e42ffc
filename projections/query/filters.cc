#include "projections/query/filters.h"

#include <algorithm>
#include <array>

#include "ledger/core/bytes.h"
#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"
#include "ledger/core/schema_tables.h"

namespace counterfoil::query {
namespace {

constexpr std::string_view kMatchNames[kMatchCount] = {"actor",    "principal", "run",   "host", "sandbox", "lease",      "bundle",
                                                       "resource", "scope",     "state", "text", "reason",  "credential", "fingerprint"};

constexpr std::string_view kListNames[] = {"entries", "denials",    "leases",    "bundles",  "hosts", "vault",
                                           "runs",    "principals", "approvals", "findings", "holds"};

constexpr std::string_view kOfEntries =
    " kind actor principal run host sandbox lease bundle resource scope state text fingerprint from to at asOf ";
constexpr std::string_view kAccepted[] = {
    kOfEntries,
    " actor principal run host sandbox lease bundle resource scope text reason fingerprint from to at asOf ",
    " actor run host lease bundle resource scope state text credential fingerprint from to at asOf ",
    " host bundle state from to asOf ",
    " host state from to ",
    " resource state from to ",
    " run from to ",
    " actor ",
    " actor lease state from to asOf ",
    " state from to asOf ",
    " actor state from to asOf ",
};

constexpr std::string_view kLeaseStates[] = {"granted", "active", "consumed_out", "revoked", "expired", "failed"};

// Names of filters are ours, so a fault may repeat them; a name we do not know stays unsaid.
[[noreturn]] void refuse(std::string_view filter, const std::string& must, const std::string& hint = {}) {
  throw Fault(ErrorCode::invalidValue, "the filter `" + std::string(filter) + "` " + must, hint, std::string(filter));
}

bool accepts(ListKind list, std::string_view filter) {
  return kAccepted[static_cast<std::size_t>(list)].find(" " + std::string(filter) + " ") != std::string_view::npos;
}

std::uint64_t parseNumber(std::string_view text, std::string_view filter, std::uint64_t least, std::uint64_t most) {
  std::uint64_t number = 0;
  const bool digits =
      !text.empty() && text.size() <= 16 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  for (const char c : digits ? text : std::string_view()) number = number * 10 + static_cast<std::uint64_t>(c - '0');
  if (!digits || number < least || number > most) {
    refuse(filter, "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return number;
}

Timestamp parseTime(const std::string& text, std::string_view filter) {
  const auto time = fromRfc3339(text);
  if (!time) refuse(filter, "must be a time", "RFC 3339, such as 2026-03-01T09:30:00Z");
  return *time;
}

void checkState(ListKind list, const std::string& state) {
  std::vector<std::string_view> known;
  switch (list) {
    case ListKind::leases:
      known = {"live", "ended"};
      [[fallthrough]];
    case ListKind::entries:
      known.insert(known.end(), std::begin(kLeaseStates), std::end(kLeaseStates));
      break;
    case ListKind::bundles:
      known = {"issued", "redeemed", "retired"};
      break;
    case ListKind::hosts:
      known = {"connected", "disconnected"};
      break;
    case ListKind::vault:
      known = {"active", "soft_deleted", "purged", "unknown"};
      break;
    case ListKind::approvals:
      known = {"requested", "approved", "rejected", "expired", "used"};
      break;
    case ListKind::findings:
      known = {"raised", "resolved"};
      break;
    case ListKind::holds:
      known = {"placed", "released"};
      break;
    default:
      return;
  }
  if (std::find(known.begin(), known.end(), state) != known.end()) return;
  std::string choices;
  for (const std::string_view choice : known) choices += (choices.empty() ? "" : ", ") + std::string(choice);
  refuse("state", "must be one of its words", "one of: " + choices);
}

void setMatch(ListKind list, Filters& filters, Match which, const std::string& value) {
  const std::string_view name = kMatchNames[static_cast<std::size_t>(which)];
  if (value.empty()) refuse(name, "is empty", "leave it out to match everything");
  if (which == Match::state) checkState(list, value);
  if (which == Match::actor || which == Match::principal) {
    const std::size_t colon = value.find(':');
    if (colon == std::string::npos || !schemaTables().principal->find(Field::kind)->enumeration->find(value.substr(0, colon))) {
      refuse(name, "must be kind:id", "such as agent:fixer or human:alice");
    }
  }
  filters[which] = value;
}

void setOne(ListKind list, Filters& filters, const std::string& name, const std::string& value) {
  if (name == "kind") {
    filters.kinds.push_back(value);
  } else if (name == "from") {
    filters.from = parseTime(value, name);
  } else if (name == "to") {
    filters.to = parseTime(value, name);
  } else if (name == "at") {
    filters.at = parseTime(value, name);
  } else if (name == "asOf") {
    const bool number = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (number) {
      filters.asOfSeq = Sequence{parseNumber(value, name, 0, limits::kJsonIntegerMax)};
    } else {
      filters.asOfTime = parseTime(value, name);
    }
  } else if (name == "order") {
    if (value != "asc" && value != "desc") refuse(name, "must be asc or desc");
    filters.order = value == "asc" ? Order::ascending : Order::descending;
  } else if (name == "limit") {
    filters.limit = static_cast<unsigned>(parseNumber(value, name, 1, kLimitMax));
  } else if (name == "after") {
    filters.after = value;
  } else {
    const auto* found = std::find(std::begin(kMatchNames), std::end(kMatchNames), name);
    setMatch(list, filters, static_cast<Match>(found - std::begin(kMatchNames)), value);
  }
}

// The word as the text index writes it; empty if that is not for us to say (several words, or letters beyond ASCII).
std::string plainWord(std::string_view word) {
  std::string plain;
  for (const char c : word) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (!upper && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9')) return {};
    plain += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return plain;
}

std::vector<std::string> wordsOf(const WordsOfPrefix& words, std::string_view prefix) {
  const std::string plain = plainWord(prefix);
  return plain.empty() ? std::vector<std::string>() : words(plain);
}

// A letter first: a command line takes what begins with a dash for a flag.
const std::string kCursorStart = "c";

// What a cursor vouches for: the question, and where the answer stands.
std::array<std::uint8_t, 12> digestOf(ListKind list, const Filters& filters, const Cursor& cursor) {
  std::vector<std::uint8_t> bytes;
  ByteWriter writer(bytes);
  writer.text("counterfoil cursor v1");
  writer.text(listName(list));
  writer.number(filters.kinds.size());
  for (const std::string& kind : filters.kinds) writer.text(kind);
  for (const std::string& text : filters.match) writer.text(text);
  const auto optional = [&](const std::optional<Timestamp>& time) {
    writer.flag(time.has_value());
    writer.integer(time ? time->nanoseconds : 0);
  };
  optional(filters.from);
  optional(filters.to);
  optional(filters.at);
  optional(filters.asOfTime);
  writer.flag(filters.asOfSeq.has_value());
  writer.number(filters.asOfSeq ? filters.asOfSeq->value : 0);
  writer.flag(filters.order == Order::ascending);
  writer.integer(cursor.key);
  writer.integer(cursor.pinned);
  writer.text(cursor.name);
  const crypto::Digest digest = crypto::sha256(bytes);
  std::array<std::uint8_t, 12> result{};
  std::copy_n(digest.begin(), result.size(), result.begin());
  return result;
}

}  // namespace

std::string_view listName(ListKind list) {
  return kListNames[static_cast<std::size_t>(list)];
}

Filters parseFilters(ListKind list, std::span<const Parameter> parameters) {
  Filters filters;
  std::vector<std::string> seen;
  for (const auto& [name, value] : parameters) {
    const bool general = name == "order" || name == "limit" || name == "after";
    if (!general && !accepts(list, name)) {
      const bool known = name == "kind" || name == "from" || name == "to" || name == "at" || name == "asOf" ||
                         std::find(std::begin(kMatchNames), std::end(kMatchNames), name) != std::end(kMatchNames);
      std::string all(kAccepted[static_cast<std::size_t>(list)]);
      throw Fault(ErrorCode::unknownField,
                  known ? "the list " + std::string(listName(list)) + " has no filter `" + name + "`" : "there is no such filter",
                  "its filters:" + all + "order limit after");
    }
    if (name != "kind" && std::find(seen.begin(), seen.end(), name) != seen.end()) {
      throw Fault(ErrorCode::duplicateField, "the filter `" + name + "` is given twice", "only kind may be repeated", name);
    }
    seen.push_back(name);
    if (value.size() > limits::kScannedBytesMax || !isUtf8(value) || value.find('\0') != std::string::npos) {
      refuse(name, "is too long or not UTF-8 text", "at most " + std::to_string(limits::kScannedBytesMax) + " bytes");
    }
    setOne(list, filters, name, value);
  }
  if (filters.from && filters.to && *filters.from >= *filters.to) refuse("from", "must be before `to`");
  static_cast<void>(expandKinds(filters));
  if (!filters[Match::text].empty()) static_cast<void>(fullTextExpression(filters[Match::text]));
  return filters;
}

Filters resolvePersons(const Filters& filters, const PrincipalResolver& resolver) {
  Filters resolved = filters;
  if (!resolver) return resolved;
  for (const Match which : {Match::actor, Match::principal}) {
    if (resolved[which].empty()) continue;
    resolved[which] = resolver(resolved[which]);
    // A text that no name can be: nothing matches.
    if (resolved[which].empty()) resolved[which].assign(1, '\0');
  }
  return resolved;
}

std::vector<std::string> expandKinds(const Filters& filters) {
  std::vector<std::string> result;
  for (const std::string& wanted : filters.kinds) {
    const bool pattern = wanted == "*" || wanted.ends_with(".*");
    const std::string start = pattern ? wanted.substr(0, wanted.size() - 1) : wanted;
    const std::size_t before = result.size();
    bool known = wanted.starts_with("unknown (") && wanted.ends_with(")");
    if (known) result.push_back(wanted);
    for (const KindTable& kind : schemaTables().kinds) {
      if (kind.name.empty() || (pattern ? !kind.name.starts_with(start) : kind.name != start)) continue;
      known = true;
      result.push_back(kind.name);
    }
    if (!known || before == result.size()) refuse("kind", "must be a kind, or the beginning of some", "such as lease.granted or lease.*");
    if (wanted == "*") return {};
  }
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

std::string fullTextExpression(std::string_view text, const WordsOfPrefix& words) {
  std::string expression;
  unsigned phrases = 0;
  const auto add = [&](std::string_view phrase, bool prefix) {
    // The tokenizer drops everything else, and a phrase without a token would match everything or nothing.
    const bool word = std::any_of(phrase.begin(), phrase.end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (static_cast<unsigned char>(c) & 0x80) != 0;
    });
    if (!word) return;
    if (++phrases > 16) refuse("text", "has too many words", "at most 16");
    if (!expression.empty()) expression += " AND ";
    if (const auto known = prefix && words ? wordsOf(words, phrase) : std::vector<std::string>(); !known.empty()) {
      for (const std::string& one : known) expression += (&one == &known.front() ? "(\"" : " OR \"") + one + '"';
      expression += ')';
      return;
    }
    expression += '"';
    expression += phrase;  // holds no quotes
    expression += prefix ? "\" *" : "\"";
  };
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r') {
      ++at;
      continue;
    }
    const bool quoted = text[at] == '"';
    const std::size_t start = quoted ? at + 1 : at;
    const std::size_t end = std::min(text.find_first_of(quoted ? "\"" : " \t\n\r\"", start), text.size());
    std::string_view phrase = text.substr(start, end - start);
    at = quoted && end < text.size() ? end + 1 : end;
    bool prefix = false;
    if (!quoted && phrase.ends_with('*')) {
      prefix = true;
      phrase.remove_suffix(1);
    } else if (quoted && at < text.size() && text[at] == '*') {
      prefix = true;
      ++at;
    }
    add(phrase, prefix);
  }
  if (expression.empty())
    refuse("text", "holds no word to search for", "words of letters and digits; \"a phrase\" in quotes; a prefix with * behind");
  return expression;
}

std::string encodeCursor(ListKind list, const Filters& filters, const Cursor& cursor) {
  std::vector<std::uint8_t> bytes;
  ByteWriter writer(bytes);
  writer.fixed(digestOf(list, filters, cursor));
  writer.integer(cursor.key);
  writer.integer(cursor.pinned);
  writer.text(cursor.name);
  return kCursorStart + toBase64Url(bytes);
}

Cursor decodeCursor(ListKind list, const Filters& filters) {
  const Fault bad(ErrorCode::badCursor, "the cursor is not one of this list with these filters",
                  "page on with the same filters and order, and the `next` of the page before; or leave `after` out to start again",
                  "after");
  if (!filters.after.starts_with(kCursorStart)) throw bad;
  const auto bytes = fromBase64Url(std::string_view(filters.after).substr(kCursorStart.size()));
  if (!bytes) throw bad;
  ByteReader reader(*bytes);
  std::array<std::uint8_t, 12> digest{};
  Cursor cursor;
  reader.fixed(digest);
  cursor.key = reader.integer();
  cursor.pinned = reader.integer();
  cursor.name = std::string(reader.text());
  if (!reader.complete() || digest != digestOf(list, filters, cursor)) throw bad;
  return cursor;
}

}  // namespace counterfoil::query

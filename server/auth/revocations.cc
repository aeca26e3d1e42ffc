#include "server/auth/revocations.h"

#include <array>
#include <boost/json/parse.hpp>
#include <functional>
#include <optional>

#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"
#include "ledger/core/schema_tables.h"
#include "ledger/redact/fingerprint.h"
#include "ledger/redact/scanner.h"

namespace counterfoil::server {
namespace {

namespace json = boost::json;

constexpr std::int64_t kReachSeconds = kTokenSecondsMax + 15 * 60;
constexpr std::string_view kRevoked = "access.token_revoked";
constexpr std::string_view kIssued = "access.token_issued";

std::string textOf(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::string principalText(const json::object& entry) {
  const json::value* value = entry.if_contains("principal");
  if (value == nullptr || !value->is_object()) return {};
  return textOf(value->get_object(), "kind") + ":" + textOf(value->get_object(), "id");
}

// Every entry of these two kinds that was recorded since `from`, oldest first.
void forEachEntry(query::ViewReader& system, Timestamp from, const std::function<void(const json::object&)>& visit) {
  const std::array<query::Parameter, 5> asked = {{{"kind", std::string(kRevoked)},
                                                  {"kind", std::string(kIssued)},
                                                  {"from", toRfc3339(from)},
                                                  {"order", "asc"},
                                                  {"limit", std::to_string(query::kLimitMax)}}};
  query::Filters filters = query::parseFilters(query::ListKind::entries, asked);
  while (true) {
    const json::value page = json::parse(system.list(query::ListKind::entries, filters, nullptr));
    for (const json::value& item : page.at("items").as_array()) visit(item.as_object());
    if (!page.at("next").is_string()) return;
    filters.after = std::string(page.at("next").get_string());
  }
}

std::string principalText(const EntryView& entry) {
  const PrincipalValue principal = principalOf(entry.body, Field::principal);
  const auto& kinds = schemaTables().principal->find(Field::kind)->enumeration->texts;
  const auto kind = static_cast<std::size_t>(principal.kind);
  return kind < kinds.size() ? kinds[kind] + ":" + std::string(principal.id) : std::string();
}

}  // namespace

// As redaction does it: humans, and machines whose id is an address of a person.
std::string recordedSubject(keys::KeyRing& ring, std::string_view subject) {
  const std::optional<PrincipalValue> principal = parseSubject(subject);
  if (!principal) return {};
  if (principal->kind != PrincipalKind::human && !redact::looksLikeEmail(principal->id)) return std::string(subject);
  if (redact::isPseudonym(principal->id)) return std::string(subject);  // as restoreTokens() found it
  const auto key = ring.workspace(kSystemWorkspace)->findSubject(PrincipalKind::human, principal->id);
  if (key == nullptr) return {};
  return std::string(subject.substr(0, subject.find(':') + 1)) + redact::pseudonymOf(*key);
}

std::vector<IssuedToken> restoreTokens(query::ViewReader& system, Timestamp now, Authenticator& authenticator) {
  std::vector<IssuedToken> issued;
  const Timestamp from{now.nanoseconds - kReachSeconds * kNanosecondsPerSecond};
  forEachEntry(system, from, [&](const json::object& entry) {
    const std::string tokenId = textOf(entry, "jti");
    const std::optional<Timestamp> recordedAt = fromRfc3339(textOf(entry, "recordedAt"));
    if (!recordedAt) throw Fault(ErrorCode::viewDamaged, "an entry of the view has no time", "run `counterfoil rebuild`");
    if (textOf(entry, "kind") == kRevoked) {
      if (tokenId.empty()) {
        authenticator.revokeRecordedSubject(principalText(entry), *recordedAt);
      } else {
        authenticator.revokeToken(tokenId);
      }
      return;
    }
    const std::optional<Timestamp> expiresAt = fromRfc3339(textOf(entry, "expiresAt"));
    if (!expiresAt || *expiresAt <= now) return;
    issued.push_back({tokenId, principalText(entry), textOf(entry, "role"), {}, {}, *recordedAt, *expiresAt});
  });
  return issued;
}

std::optional<IssuedToken> takeRecorded(const EntryView& entry, Timestamp now, Authenticator& authenticator) {
  const Kind kind = entry.kind();
  if (kind != Kind::accessTokenRevoked && kind != Kind::accessTokenIssued) return std::nullopt;
  const std::string tokenId(entry.body.text(Field::jti));
  if (kind == Kind::accessTokenRevoked) {
    if (tokenId.empty()) {
      authenticator.revokeRecordedSubject(principalText(entry), entry.recordedAt);
    } else {
      authenticator.revokeToken(tokenId);
    }
    return std::nullopt;
  }
  const Timestamp expiresAt = entry.body.time(Field::expiresAt);
  if (expiresAt <= now) return std::nullopt;
  return IssuedToken{tokenId, principalText(entry), std::string(entry.body.text(Field::role)), {}, {}, entry.recordedAt, expiresAt};
}

}  // namespace counterfoil::server

#include "server/auth/token_desk.h"

#include <algorithm>
#include <deque>
#include <initializer_list>
#include <mutex>

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "ledger/core/outcome.h"
#include "ledger/crypto/wiping.h"
#include "server/auth/strict_json.h"
#include "server/auth/strict_jwt.h"

namespace counterfoil::server {
namespace {

// What `list` can tell of; older ones are forgotten, not ended.
constexpr std::size_t kListedMax = 10'000;
// Of a mint's answer beside the token, at most: names are short, and every character may be escaped.
constexpr std::size_t kMintedBytes = 16 * 1024;

// The members of a request by name; those nobody asked for are refused.
class Request {
 public:
  Request(const StrictJson& json, std::initializer_list<std::string_view> allowed) : json_(json) {
    for (const auto& [name, value] : json.members) {
      if (name != "request" && std::find(allowed.begin(), allowed.end(), name) == allowed.end()) {
        throw Fault(ErrorCode::unknownField, "the request has a member that it cannot have", "see `counterfoil token --help`");
      }
    }
  }
  // Empty if it is not there; a text that is there is not empty.
  std::string text(std::string_view name) const {
    const StrictJson* member = json_.find(name);
    if (member == nullptr) return {};
    if (member->type != StrictJson::Type::text || member->text.empty()) fail(name, "must be a text that is not empty");
    return member->text;
  }
  std::int64_t number(std::string_view name, std::int64_t otherwise) const {
    const StrictJson* member = json_.find(name);
    if (member == nullptr) return otherwise;
    if (member->type != StrictJson::Type::number) fail(name, "must be a whole number");
    return member->number;
  }
  [[noreturn]] static void fail(std::string_view name, std::string_view what, std::string hint = {}) {
    throw Fault(ErrorCode::invalidValue, std::string(name) + " " + std::string(what), std::move(hint), "/" + std::string(name));
  }

 private:
  const StrictJson& json_;
};

// Lower-case hexadecimal, or nothing.
std::string certificateOf(const Request& request) {
  const std::string text = request.text("certificate");
  if (text.empty()) return {};
  const auto digest = fromHex(text);
  if (!digest || digest->size() != crypto::kDigestSize) {
    Request::fail("certificate", "must be the SHA-256 of a certificate in DER form", "64 hexadecimal digits");
  }
  return toHex(*digest);
}

std::string issuedJson(const IssuedToken& token) {
  std::string out;
  JsonObject object(out);
  object.text("tokenId", token.tokenId).text("subject", token.subject).text("role", token.role);
  if (!token.workspace.empty()) object.text("workspace", token.workspace);
  object.time("issuedAt", token.issuedAt).time("expiresAt", token.expiresAt).end();
  return out;
}

}  // namespace

std::string deskRefusal(const Fault& fault) {
  std::string inner;
  JsonObject error(inner);
  error.text("code", factsOf(fault.code()).text).text("detail", fault.detail());
  if (!fault.hint().empty()) error.text("hint", fault.hint());
  if (!fault.field().empty()) error.text("field", fault.field());
  error.end();
  std::string out;
  JsonObject object(out);
  object.raw("error", inner).end();
  return out;
}

struct TokenDesk::State {
  State(TokenDeskParts given, std::vector<IssuedToken> known) : parts(std::move(given)), issued(known.begin(), known.end()) {}

  TokenDeskParts parts;
  std::mutex mutex;
  std::deque<IssuedToken> issued;  // oldest first

  std::string mint(const StrictJson& json, std::string_view by);
  std::string refresh(TokenClaims claims);
  // Signs, records and remembers.
  std::string issue(const TokenClaims& claims, std::string_view by);
  // One of both is empty.
  struct Revocation {
    std::string tokenId, subject;
  };
  Revocation enforce(const StrictJson& json);
  std::string revoke(const StrictJson& json, std::string_view by);
  std::string list(const StrictJson& json);
  std::string rotate(const StrictJson& json, std::string_view by);
  TokenClaims claimsOf(const StrictJson& json, std::string_view by) const;
  void remember(IssuedToken token);
  bool alive(const IssuedToken& token, Timestamp now) const;
};

TokenClaims TokenDesk::State::claimsOf(const StrictJson& json, std::string_view by) const {
  const Request request(json, {"role", "workspace", "subject", "ttlSeconds", "certificate"});
  TokenClaims claims;
  claims.role = request.text("role");
  const std::optional<Role> role = roleOf(claims.role);
  if (!role) Request::fail("role", "must be owner, admin, member, reader, auditor or producer");
  claims.workspace = request.text("workspace");
  if (*role == Role::producer && (claims.workspace.empty() || claims.workspace == "*")) {
    Request::fail("workspace", "must name the one workspace of a producer");
  }
  if (claims.workspace.empty()) claims.workspace = "*";
  if (!isTokenWorkspace(claims.workspace)) Request::fail("workspace", "must be a workspace id, or * for all");
  if (claims.workspace != "*" && !parts.workspaceExists(claims.workspace)) {
    throw Fault(ErrorCode::noSuchItem, "there is no such workspace", "`counterfoil workspace list` shows them", "/workspace");
  }
  claims.subject = request.text("subject");
  if (claims.subject.empty()) claims.subject = by;
  if (!parseSubject(claims.subject)) {
    Request::fail("subject", "must be kind:id with kind human, agent, service or operator", "for example human:alice");
  }
  const std::int64_t seconds = request.number("ttlSeconds", tokenSecondsMax(*role));
  if (seconds < 1 || seconds > tokenSecondsMax(*role)) {
    Request::fail("ttlSeconds", "must lie between 1 and " + std::to_string(tokenSecondsMax(*role)) + " for this role");
  }
  claims.certificate = certificateOf(request);
  claims.issuer = parts.origin;
  claims.audience = parts.origin;
  const Timestamp now = parts.clock.wall();
  claims.tokenId = toUuid(makeUuidV7(now, parts.random.bytes<10>()));
  claims.issuedAt = now.nanoseconds / kNanosecondsPerSecond;
  // A revocation of the subject takes the whole second it fell in; a token wanted after it must not fall under it.
  if (parts.authenticator.isRevoked(claims.tokenId, claims.subject, {claims.issuedAt * kNanosecondsPerSecond})) ++claims.issuedAt;
  claims.notBefore = claims.issuedAt;
  claims.expiresAt = claims.issuedAt + seconds;
  return claims;
}

std::string TokenDesk::State::mint(const StrictJson& json, std::string_view by) {
  return issue(claimsOf(json, by), by);
}

std::string TokenDesk::State::refresh(TokenClaims claims) {
  const Timestamp now = parts.clock.wall();
  const std::int64_t lifetime = claims.expiresAt - claims.issuedAt;
  claims.tokenId = toUuid(makeUuidV7(now, parts.random.bytes<10>()));
  // Not later than now: a revocation of the subject in this second takes this token as well. Not earlier than the one before, which may
  // have been given out after such a revocation.
  claims.issuedAt = claims.notBefore = std::max(claims.issuedAt, now.nanoseconds / kNanosecondsPerSecond);
  claims.expiresAt = claims.issuedAt + lifetime;
  const std::string by = claims.subject;
  return issue(claims, by);
}

std::string TokenDesk::State::issue(const TokenClaims& claims, std::string_view by) {
  std::string token = parts.keys.sign(claims);
  const struct Wiped {
    std::string& text;
    ~Wiped() { crypto::wipe(text.data(), text.size()); }
  } wiped{token};
  const std::optional<ReadToken> read = readToken(token);
  if (!read) throw Fault(ErrorCode::tooLong, "the token would be longer than a token can be");
  parts.access.issued(claims, by);
  const Timestamp expiresAt{claims.expiresAt * kNanosecondsPerSecond};
  remember(
      {claims.tokenId, claims.subject, claims.role, claims.workspace, read->keyId, {claims.issuedAt * kNanosecondsPerSecond}, expiresAt});
  std::string out;
  out.reserve(token.size() + kMintedBytes);  // text that grows leaves a copy behind
  JsonObject object(out);
  object.text("token", token)
      .text("tokenId", claims.tokenId)
      .text("role", claims.role)
      .text("workspace", claims.workspace)
      .text("subject", claims.subject)
      .time("expiresAt", expiresAt)
      .end();
  return out;
}

TokenDesk::State::Revocation TokenDesk::State::enforce(const StrictJson& json) {
  const Request request(json, {"tokenId", "subject"});
  Revocation what{request.text("tokenId"), request.text("subject")};
  if (what.tokenId.empty() == what.subject.empty()) {
    throw Fault(ErrorCode::invalidValue, "name either a token id or a subject", "`counterfoil token list` shows both");
  }
  if (what.subject.empty()) {
    const std::optional<EntryId> id = fromUuid(what.tokenId);
    if (!id) Request::fail("tokenId", "must be the id of a token, a UUID", "`counterfoil token list` shows them");
    what.tokenId = toUuid(*id);
    parts.authenticator.revokeToken(what.tokenId);
    return what;
  }
  if (!parseSubject(what.subject)) Request::fail("subject", "must be kind:id with kind human, agent, service or operator");
  parts.authenticator.revokeSubject(what.subject, parts.clock.wall());
  return what;
}

std::string TokenDesk::State::revoke(const StrictJson& json, std::string_view by) {
  // In force first: who revokes must not wait for the log, nor fail with it.
  const Revocation what = enforce(json);
  parts.access.revoked(what.tokenId, what.subject, by);
  return what.subject.empty() ? R"({"revoked":"token"})" : R"({"revoked":"subject"})";
}

std::string TokenDesk::State::list(const StrictJson& json) {
  const Request request(json, {});
  std::deque<IssuedToken> known;
  {
    const std::lock_guard lock(mutex);
    known = issued;
  }
  const Timestamp now = parts.clock.wall();
  std::string tokens;
  for (const IssuedToken& token : known) {
    if (!alive(token, now)) continue;
    tokens += (tokens.empty() ? "" : ",") + issuedJson(token);
  }
  return R"({"tokens":[)" + tokens + "]}";
}

std::string TokenDesk::State::rotate(const StrictJson& json, std::string_view by) {
  const Request request(json, {});
  parts.keys.rotate();
  const std::string keyId = parts.keys.keyIds().front();
  parts.access.keyRotated(keyId, by);
  std::string out;
  JsonObject object(out);
  object.text("keyId", keyId).end();
  return out;
}

bool TokenDesk::State::alive(const IssuedToken& token, Timestamp now) const {
  return token.expiresAt > now && (token.keyId.empty() || parts.keys.known(token.keyId)) &&
         !parts.authenticator.isRevoked(token.tokenId, token.subject, token.issuedAt);
}

void TokenDesk::State::remember(IssuedToken token) {
  const Timestamp now = parts.clock.wall();
  const std::lock_guard lock(mutex);
  std::erase_if(issued, [&](const IssuedToken& old) { return old.expiresAt <= now; });
  if (issued.size() == kListedMax) issued.pop_front();
  issued.push_back(std::move(token));
}

TokenDesk::TokenDesk(TokenDeskParts parts, std::vector<IssuedToken> issued)
    : state_(std::make_unique<State>(std::move(parts), std::move(issued))) {}

void TokenDesk::restore(std::vector<IssuedToken> issued) {
  const std::lock_guard guard(state_->mutex);
  state_->issued.assign(issued.begin(), issued.end());
}

void TokenDesk::know(IssuedToken token) {
  {
    const std::lock_guard guard(state_->mutex);
    const auto same = [&](const IssuedToken& other) { return other.tokenId == token.tokenId; };
    if (std::any_of(state_->issued.begin(), state_->issued.end(), same)) return;
  }
  state_->remember(std::move(token));
}

TokenDesk::~TokenDesk() = default;

std::string TokenDesk::answer(std::string_view request, std::string_view by) {
  try {
    const StrictJson json = parseStrictJson(request);
    const StrictJson* which = json.find("request");
    const std::string_view name = which == nullptr ? std::string_view() : which->text;
    if (name == "mint") return state_->mint(json, by);
    if (name == "revoke") return state_->revoke(json, by);
    if (name == "list") return state_->list(json);
    if (name == "rotate") return state_->rotate(json, by);
    Request::fail("request", "must be mint, revoke, list or rotate");
  } catch (const Fault& fault) {
    return deskRefusal(fault);
  } catch (const std::exception&) {
    // What other libraries throw may quote values: only the fact is told.
    return deskRefusal(Fault(ErrorCode::internal, "something unexpected failed"));
  }
}

std::string TokenDesk::refresh(const TokenClaims& of) {
  return state_->refresh(of);
}

void TokenDesk::enforce(std::string_view request) {
  try {
    const StrictJson json = parseStrictJson(request);
    const StrictJson* which = json.find("request");
    if (which != nullptr && which->text == "revoke") state_->enforce(json);
  } catch (const std::exception&) {
    // Whoever answers the request says what is wrong with it.
  }
}

}  // namespace counterfoil::server

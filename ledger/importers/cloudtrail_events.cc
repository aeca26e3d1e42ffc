#include "ledger/importers/cloudtrail_events.h"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_set>
#include <vector>

#include "ledger/core/arena.h"
#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"

namespace counterfoil::importers {
namespace {

using RT = RecordText;

// Indices of a record's events: part of their ids, so they stay what they are.
constexpr std::size_t kUseIndex = 0;
constexpr std::size_t kGrantIndex = 1;
constexpr std::size_t kVaultIndex = 2;  // and on, one for each secret

// So many texts of the longest kind fit an entry beside everything else.
constexpr std::size_t kResourcesMax = 32;
constexpr std::size_t kAddressBytesMax = 512;
constexpr std::string_view kPerson = "[caller]";
// A refused or throttled call has no request parameters in its record.
constexpr std::string_view kNameNotRecorded = "(not recorded)";

bool isOneOf(std::string_view text, std::initializer_list<std::string_view> texts) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

// ---- What the record is about ----

bool isIssuing(const CloudTrailRecord& record) {
  return record.text(RT::eventSource) == "sts.amazonaws.com" &&
         isOneOf(record.text(RT::eventName),
                 {"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot", "GetSessionToken", "GetFederationToken"});
}

struct VaultCall {
  std::string_view source;
  std::string_view name;
  bool reads;
  VaultOperation operation;
};

constexpr std::string_view kSecretsManager = "secretsmanager.amazonaws.com";
constexpr std::string_view kParameterStore = "ssm.amazonaws.com";
constexpr VaultCall kVaultCalls[] = {
    {kSecretsManager, "CreateSecret", false, VaultOperation::set},
    {kSecretsManager, "PutSecretValue", false, VaultOperation::set},
    {kSecretsManager, "UpdateSecret", false, VaultOperation::set},
    {kSecretsManager, "RotateSecret", false, VaultOperation::rotate},
    {kSecretsManager, "RestoreSecret", false, VaultOperation::recover},
    {kSecretsManager, "DeleteSecret", false, VaultOperation::softDelete},
    {kSecretsManager, "GetSecretValue", true, VaultOperation::unspecified},
    {kParameterStore, "PutParameter", false, VaultOperation::set},
    {kParameterStore, "DeleteParameter", false, VaultOperation::purge},
    {kParameterStore, "DeleteParameters", false, VaultOperation::purge},
    {kParameterStore, "GetParameter", true, VaultOperation::unspecified},
    {kParameterStore, "GetParameters", true, VaultOperation::unspecified},
    {kParameterStore, "GetParametersByPath", true, VaultOperation::unspecified},
    {kParameterStore, "GetParameterHistory", true, VaultOperation::unspecified},
};

const VaultCall* vaultCallOf(const CloudTrailRecord& record) {
  const auto* const call = std::find_if(std::begin(kVaultCalls), std::end(kVaultCalls), [&](const VaultCall& row) {
    return row.source == record.text(RT::eventSource) && row.name == record.text(RT::eventName);
  });
  return call == std::end(kVaultCalls) ? nullptr : call;
}

bool failed(const CloudTrailRecord& record) {
  return !record.text(RT::errorCode).empty() || !record.text(RT::errorMessage).empty();
}

// AWS said no, as opposed to: the call could not be done. Codes differ from service to service.
bool isRefusal(std::string_view code) {
  constexpr std::array<std::string_view, 9> kWords = {"AccessDenied",  "UnauthorizedOperation", "UnauthorizedAccess",
                                                      "NotAuthorized", "AuthorizationError",    "Forbidden",
                                                      "ExpiredToken",  "InvalidClientTokenId",  "UnrecognizedClient"};
  return std::any_of(kWords.begin(), kWords.end(), [&](std::string_view word) { return code.find(word) != std::string_view::npos; });
}

// "... on resource: arn:aws:iam::123456789012:role/x because ...": the only place where a refusal names what was asked for.
std::string_view resourceOfMessage(std::string_view message) {
  constexpr std::string_view kBefore = "on resource: ";
  const std::size_t at = message.find(kBefore);
  if (at == std::string_view::npos) return {};
  std::string_view rest = message.substr(at + kBefore.size());
  rest = rest.substr(0, rest.find(' '));
  while (!rest.empty() && std::string_view(".,;\"'").find(rest.back()) != std::string_view::npos) rest.remove_suffix(1);
  return rest == "*" ? std::string_view{} : rest;
}

std::string_view roleOf(const CloudTrailRecord& record) {
  if (!record.text(RT::roleArn).empty()) return record.text(RT::roleArn);
  const auto isRole = [](std::string_view arn) { return arn.find(":role/") != std::string_view::npos; };
  const auto role = std::find_if(record.resources.begin(), record.resources.end(), isRole);
  if (role != record.resources.end()) return *role;
  const std::string_view named = resourceOfMessage(record.text(RT::errorMessage));
  return isRole(named) ? named : std::string_view{};
}

// ---- Who called ----

// Made in the arena, so that whatever a text holds is wiped with the event.
std::string_view join(Arena& arena, std::initializer_list<std::string_view> parts) {
  std::size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  char* const target = arena.room<char>(size);
  char* at = target;
  for (const std::string_view part : parts) at = std::copy(part.begin(), part.end(), at);
  return {target, size};
}

bool isPerson(const CloudTrailRecord& record) {
  const std::string_view type = record.text(RT::callerType);
  if (isOneOf(type, {"IAMUser", "Root", "FederatedUser", "SAMLUser", "WebIdentityUser", "IdentityCenterUser", "Directory"})) return true;
  // Sessions that IAM Identity Center makes for its users; the session is named after the user.
  if (type == "AssumedRole") return record.text(RT::callerArn).find(":assumed-role/AWSReservedSSO_") != std::string_view::npos;
  return type != "AWSService" && type != "AWSAccount" && record.text(RT::callerArn).find(":user/") != std::string_view::npos;
}

PrincipalValue callerOf(const CloudTrailRecord& record, Arena& arena) {
  const bool person = isPerson(record);
  const PrincipalKind kind = person ? PrincipalKind::human : PrincipalKind::service;
  const std::string_view account = record.text(RT::callerAccount);
  if (!record.text(RT::callerArn).empty()) return {kind, record.text(RT::callerArn)};
  if (person && record.text(RT::callerType) == "IAMUser" && !account.empty() && !record.text(RT::callerName).empty()) {
    return {kind, join(arena, {"arn:aws:iam::", account, ":user/", record.text(RT::callerName)})};
  }
  if (record.text(RT::callerType) == "AWSAccount" && !account.empty()) return {kind, join(arena, {"aws-account:", account})};
  for (const RT which : {RT::callerOnBehalfOf, RT::callerName, RT::callerInvokedBy, RT::callerPrincipalId, RT::eventSource}) {
    // A service is no person, whoever it acts for; "AWS Internal" is no id.
    if (person && (which == RT::callerInvokedBy || which == RT::eventSource)) continue;
    const std::string_view text = record.text(which);
    if (!text.empty() && text.find(' ') == std::string_view::npos) return {kind, text};
  }
  return {kind, "aws:unknown"};
}

// The longest beginning of at most `bytesMax` bytes that ends between two characters.
std::string_view cut(std::string_view text, std::size_t bytesMax) {
  if (text.size() <= bytesMax) return text;
  while (bytesMax > 0 && (static_cast<std::uint8_t>(text[bytesMax]) & 0xc0) == 0x80) --bytesMax;
  return text.substr(0, bytesMax);
}

bool isWordByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

// Puts texts of one record into one event.
class Writer {
 public:
  Writer(const CloudTrailRecord& record, Kind kind, std::size_t index)
      : record_(record), event_(Event::make(kind)), caller_(callerOf(record, event_.arena)) {
    event_.lenient = true;
    const std::string id(record.text(RT::eventId));
    event_.id = makeUuidV8(std::string(kCloudTrailSource) + "\n" + id + "\n" + std::to_string(index));
    event_.common.setText(event_.arena, Field::source, kCloudTrailSource);
    event_.common.setText(event_.arena, Field::producer, producerOf(record));
    event_.common.setText(event_.arena, Field::correlation, id);
    event_.common.setTime(Field::occurredAt, record.occurredAt);
    setPrincipal(event_.arena, event_.common, Field::actor, {caller_.kind, caller_.id});
  }

  ImportedEvent finish() { return {std::move(event_)}; }
  Arena& arena() { return event_.arena; }
  StructValue& body() { return event_.body; }

  Writer& text(Field field, std::string_view value) {
    if (!value.empty()) event_.body.setText(event_.arena, field, withoutCaller(value));
    return *this;
  }
  Writer& plain(Field field, std::string_view value) {
    if (!value.empty()) event_.body.setText(event_.arena, field, value);
    return *this;
  }
  Writer& secret(Field field, std::string_view value) {
    if (value.empty()) return *this;
    event_.body.setText(event_.arena, field, cut(value, limits::kSecretBytesMax));
    event_.body.at(field).secretForm = SecretForm::value;
    return *this;
  }
  template <class Enum>
  Writer& number(Field field, Enum value) {
    event_.body.setNumber(field, static_cast<std::uint64_t>(value));
    return *this;
  }
  Writer& principal(Field field) {
    setPrincipal(event_.arena, event_.body, field, {caller_.kind, caller_.id});
    return *this;
  }
  Writer& texts(Field field, const std::vector<std::string_view>& values) {
    std::vector<std::string_view> shown;
    std::unordered_set<std::string_view> seen;
    for (const std::string_view value : values) {
      if (!value.empty() && seen.insert(value).second && shown.size() < kResourcesMax) shown.push_back(value);
    }
    const std::string more = "and " + std::to_string(seen.size() - shown.size() + 1) + " more";
    if (seen.size() > kResourcesMax) shown.back() = more;
    for (std::string_view& value : shown) {
      if (value == record_.text(RT::callerArn) && caller_.kind == PrincipalKind::human) value = kPerson;
    }
    if (!shown.empty()) event_.body.setTexts(event_.arena, field, shown);
    return *this;
  }
  // Where the call came from and what it was.
  Writer& call() {
    plain(Field::sourceAddress, cut(record_.text(RT::sourceAddress), kAddressBytesMax));
    text(Field::userAgent, record_.text(RT::userAgent));
    return text(Field::errorCode, record_.text(RT::errorCode));
  }
  Writer& operation() {
    std::string_view service = record_.text(RT::eventSource);
    constexpr std::string_view kSuffix = ".amazonaws.com";
    if (service.ends_with(kSuffix)) service.remove_suffix(kSuffix.size());
    return plain(Field::operation, join(event_.arena, {service, ":", record_.text(RT::eventName)}));
  }

 private:
  // A person is named by a pseudonym only: the person's ARN and name in other texts of the same record would undo that.
  std::string_view withoutCaller(std::string_view value) {
    if (caller_.kind != PrincipalKind::human) return value;
    value = without(value, record_.text(RT::callerArn));
    return without(value, record_.text(RT::callerName));
  }
  std::string_view without(std::string_view value, std::string_view name) {
    constexpr std::size_t kNameBytesMin = 3;  // shorter ones are found by accident
    if (name.size() < kNameBytesMin || value.find(name) == std::string_view::npos) return value;
    crypto::WipingVector result;
    for (std::size_t at = 0; at < value.size();) {
      const std::size_t found = value.find(name, at);
      const std::size_t end = found == std::string_view::npos ? value.size() : found + name.size();
      const bool whole = found != std::string_view::npos && (found == 0 || !isWordByte(value[found - 1])) &&
                         (end == value.size() || !isWordByte(value[end]));
      const std::string_view before = value.substr(at, (whole ? found : end) - at);
      result.insert(result.end(), before.begin(), before.end());
      if (whole) result.insert(result.end(), kPerson.begin(), kPerson.end());
      at = end;
    }
    return event_.arena.copy(crypto::Bytes(result));
  }

  const CloudTrailRecord& record_;
  Event event_;
  PrincipalValue caller_;
};

// ---- Resources ----

// Texts that had to be made are put into `arena`.
std::vector<std::string_view> resourcesOf(const CloudTrailRecord& record, Arena& arena) {
  std::vector<std::string_view> result = record.resources;
  for (const RT which : {RT::roleArn, RT::secretId}) result.push_back(record.text(which));
  const bool storesParameters = record.text(RT::eventSource) == kParameterStore || record.text(RT::eventSource) == kSecretsManager;
  if (storesParameters) {
    result.push_back(record.text(RT::name));
    result.insert(result.end(), record.names.begin(), record.names.end());
  }
  if (const std::string_view bucket = record.text(RT::bucketName); !bucket.empty()) {
    const std::string_view key = record.text(RT::objectKey);
    result.push_back(join(arena, {"arn:aws:s3:::", bucket, key.empty() ? "" : "/", key}));
  }
  for (const CloudTrailRecord::Parameter& parameter : record.parameters) {
    if (parameter.value.starts_with("arn:")) {
      result.push_back(parameter.value);
    } else if (!parameter.value.empty()) {
      result.push_back(join(arena, {parameter.name, "/", parameter.value}));
    }
  }
  result.push_back(resourceOfMessage(record.text(RT::errorMessage)));
  std::erase_if(result, [](std::string_view text) { return text.empty(); });
  return result;
}

// ---- Events ----

void describeRole(const CloudTrailRecord& record, Writer& writer) {
  const std::string_view role = roleOf(record);
  writer.number(Field::credential, Credential::cloudIdentity).principal(Field::grantee);
  constexpr std::string_view kRole = ":role/";
  const std::size_t at = role.find(kRole);
  const std::string_view scope = at == std::string_view::npos ? "" : join(writer.arena(), {"role:", role.substr(at + kRole.size())});
  writer.texts(Field::scope, {scope}).texts(Field::resources, {role});
}

void appendUse(const CloudTrailRecord& record, CloudTrailLeases& leases, std::deque<ImportedEvent>& out) {
  const std::string_view key = record.text(RT::callerKey);
  const std::optional<std::string> lease = leases.find(key);
  const bool refused = isRefusal(record.text(RT::errorCode));
  const Kind kind = !lease ? Kind::credentialUsed : refused ? Kind::leaseDenied : Kind::leaseConsumed;
  Writer writer(record, kind, kUseIndex);
  writer.secret(Field::fingerprint, key).operation().call().texts(Field::resources, resourcesOf(record, writer.arena()));
  if (lease) writer.plain(Field::leaseId, *lease);
  if (kind == Kind::leaseDenied) {
    writer.number(Field::step, LeaseStep::consume).number(Field::reasonCode, ReasonCode::upstreamRefused);
    writer.number(Field::credential, Credential::cloudIdentity).text(Field::explanation, record.text(RT::errorMessage));
  } else {
    writer.number(Field::outcome, failed(record) ? Outcome::error : Outcome::ok);
  }
  if (!lease) writer.principal(Field::principal);
  out.push_back(writer.finish());
}

void appendRefusedGrant(const CloudTrailRecord& record, std::deque<ImportedEvent>& out) {
  Writer writer(record, Kind::leaseDenied, kGrantIndex);
  describeRole(record, writer);
  writer.number(Field::step, LeaseStep::grant).number(Field::reasonCode, ReasonCode::upstreamRefused);
  writer.number(Field::ttlSeconds, std::min(record.durationSeconds, limits::kJsonIntegerMax));
  writer.operation().call().text(Field::explanation, record.text(RT::errorMessage));
  out.push_back(writer.finish());
}

std::vector<std::string_view> secretNames(const CloudTrailRecord& record) {
  if (!record.names.empty()) return record.names;
  const bool byPath = record.text(RT::eventName) == "GetParametersByPath";
  for (const RT which : {RT::secretId, RT::name, byPath ? RT::parameterPath : RT::secretId}) {
    if (!record.text(which).empty()) return {record.text(which)};
  }
  const std::string_view named = resourceOfMessage(record.text(RT::errorMessage));
  return {named.empty() ? kNameNotRecorded : named};
}

void appendVault(const CloudTrailRecord& record, const VaultCall& call, std::deque<ImportedEvent>& out) {
  std::size_t index = kVaultIndex;
  for (const std::string_view name : secretNames(record)) {
    Writer writer(record, call.reads ? Kind::vaultRead : Kind::vaultWritten, index++);
    writer.plain(Field::secretName, name).text(Field::errorCode, record.text(RT::errorCode));
    writer.number(Field::outcome, failed(record) ? Outcome::error : Outcome::ok);
    if (call.reads) {
      writer.text(Field::version, record.text(RT::requestedVersion));
    } else {
      const bool purges = call.operation == VaultOperation::softDelete && record.deletesAtOnce;
      writer.number(Field::operation, purges ? VaultOperation::purge : call.operation);
      writer.text(Field::version, record.text(RT::writtenVersion));
      const auto purgeAt = cloudTrailTime(record.text(RT::deletionDate));
      if (purgeAt && call.operation == VaultOperation::softDelete) writer.body().setTime(Field::scheduledPurgeAt, *purgeAt);
    }
    out.push_back(writer.finish());
  }
}

}  // namespace

std::string producerOf(const CloudTrailRecord& record) {
  constexpr std::size_t kAccountDigits = 12;
  for (const RT which : {RT::recipientAccount, RT::callerAccount}) {
    const std::string_view account = record.text(which);
    const bool digits = std::all_of(account.begin(), account.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (account.size() == kAccountDigits && digits) return "aws:" + std::string(account);
  }
  return "aws:unknown";
}

CloudTrailParts partsOf(const CloudTrailRecord& record) {
  CloudTrailParts parts;
  const bool issuing = isIssuing(record);
  parts.named = !record.text(RT::callerKey).empty();
  parts.grants = issuing && !failed(record);
  parts.rest = parts.named || (issuing && failed(record)) || vaultCallOf(record) != nullptr;
  return parts;
}

bool appendGrant(const CloudTrailRecord& record, CloudTrailLeases& leases, std::deque<ImportedEvent>& out) {
  const std::string lease = "aws-" + std::string(record.text(RT::eventId));
  const std::string_view key = record.text(RT::issuedKey);
  const auto expiresAt = cloudTrailTime(record.text(RT::issuedExpiration));
  if (const auto other = leases.find(key); other && *other != lease) return false;
  if (!key.empty()) leases.add(key, lease, record.occurredAt, expiresAt.value_or(Timestamp{}));

  Writer writer(record, Kind::leaseGranted, kGrantIndex);
  describeRole(record, writer);
  writer.plain(Field::leaseId, lease).secret(Field::secret, key);
  writer.plain(Field::issuer, record.text(RT::eventSource));
  writer.plain(Field::sourceAddress, cut(record.text(RT::sourceAddress), kAddressBytesMax));
  const std::string_view session =
      record.text(RT::assumedRoleArn).empty() ? record.text(RT::federatedArn) : record.text(RT::assumedRoleArn);
  writer.text(Field::upstreamId, session);
  const std::string_view role = roleOf(record);
  writer.text(Field::credentialName, !role.empty() ? role : !session.empty() ? session : record.text(RT::eventName));
  writer.body().setTime(Field::issuedAt, record.occurredAt);
  if (expiresAt) writer.body().setTime(Field::expiresAt, *expiresAt);
  out.push_back(writer.finish());
  return true;
}

void appendRest(const CloudTrailRecord& record, CloudTrailLeases& leases, std::deque<ImportedEvent>& out) {
  if (!record.text(RT::callerKey).empty()) appendUse(record, leases, out);
  if (isIssuing(record) && failed(record)) appendRefusedGrant(record, out);
  if (const VaultCall* const call = vaultCallOf(record)) appendVault(record, *call, out);
}

}  // namespace counterfoil::importers

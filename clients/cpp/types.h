// What a broker asks the ledger and what it answers. Names and meanings are those of docs/leases.md; times are RFC 3339 texts, UTC, as the
// ledger writes them; hashes lower-case hex. Empty texts and lists are not sent.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "clients/cpp/error.h"
#include "clients/cpp/wiping_string.h"

namespace counterfoil::client {

// ---- requests ----

struct Principal {
  std::string kind;  // human, agent, service, operator
  std::string id;
};

// Of a credential the ledger keeps a keyed fingerprint and nothing else. Give its value, or its SHA-256 in hex if the value must not leave
// the process (the value finds more: also copies that were hashed elsewhere). Neither: none.
struct SecretOf {
  Secret value;
  std::string sha256;
};

// What every command may say of itself.
struct CommandContext {
  // UUIDv7: the same command, however often it is sent. Empty: made, told in the answer, and kept over the library's own repeats. Who
  // repeats a command after an error `indeterminate` must give it: take it from makeId() before.
  std::string id;
  std::optional<Principal> actor;  // who acts, if not the token's subject; producers and admins may say so
  std::string run, host, sandbox;
  std::string correlation, traceparent;
};

struct GrantRequest {
  std::string credential;  // the kind: git_token, model_key, cloud_identity, ...
  Principal grantee;
  std::vector<std::string> scope;
  std::uint64_t ttlSeconds = 0;
  std::string leaseId;  // empty: the ledger makes one
  std::string credentialName;
  std::vector<std::string> resources;
  std::optional<std::uint64_t> maxUses;
  std::optional<std::uint64_t> renewableForSeconds;
  std::string parentLease, approval, issuer, reason;
  SecretOf secret;  // of a credential that is already there: granted and issued in one; no issued() follows
  CommandContext context;
};

// The credential was minted upstream, or could not be.
struct IssuedReport {
  std::string outcome;  // "issued" or "failed"; empty: issued
  std::string upstreamId, upstreamExpiresAt, errorCode;
  SecretOf secret;
  CommandContext context;
};

struct ConsumeRequest {
  std::string operation;
  std::vector<std::string> scope, resources;
  std::string outcome, errorCode;
  std::string sourceAddress, sourceService, userAgent;
  CommandContext context;
};

struct RenewRequest {
  std::uint64_t ttlSeconds = 0;  // from now on
  CommandContext context;
};

struct RevokeRequest {
  std::string reasonCode;  // operator_request, compromise, superseded, run_ended, other; empty: the ledger's default
  std::string reason;
  CommandContext context;
};

struct ByRun {
  std::string run;
};
struct ByHost {
  std::string host;
};
struct ByPrincipal {
  Principal principal;
};
struct ByBundle {
  std::string bundle;
};
struct ByCredential {
  SecretOf credential;
};
struct ByLease {
  std::string lease;
};

// Every live lease that fits.
struct RevokeAllRequest {
  std::variant<ByRun, ByHost, ByPrincipal, ByBundle, ByCredential, ByLease> what;
  std::string reasonCode, reason;
  std::string id;  // as CommandContext::id
};

// A report of what happened elsewhere.
struct Fact {
  // One JSON object of a kind that docs/leases.md and docs/redaction.md name, such as {"kind":"tool.invoked","tool":"git"}; without "id".
  // Secrets go into it as {"value":"..."}.
  WipingString json;
  std::string id;  // as CommandContext::id
};

// ---- answers ----

// That something is on the record, durable.
struct Receipt {
  std::uint64_t number = 0;  // of the workspace
  std::string workspace;
  std::uint64_t seq = 0;
  std::string leafHash;
  std::string entryId;
  std::string recordedAt;
  std::string ack;
};

struct Lease {
  std::string id;
  std::string state;  // granted, active, or how it ended
  std::string issuedAt, expiresAt, renewableUntil;
  std::uint64_t uses = 0;
  std::uint64_t maxUses = 0;  // 0: no limit
};

// Of a lease command. A denial is an answer and an entry, with its receipt.
struct Decision {
  bool allowed = false;
  std::string outcome;     // granted, issued, used, renewed, revoked, denied, ...
  std::string reasonCode;  // why it was denied: policy, ttl_exceeded, used_up, unknown_lease, ...
  std::optional<Lease> lease;
  std::optional<Receipt> receipt;
  bool replayed = false;  // the first answer to this id, told again
  std::string id;         // of the command
};

struct Revocation {
  std::string revocationId;
  std::uint64_t matched = 0;  // leases that it ends
  std::optional<Receipt> receipt;
  bool replayed = false;
  std::string id;
};

struct Recorded {
  std::string outcome;
  std::optional<Receipt> receipt;
  bool replayed = false;
  std::string id;
};

// Of one of many: exactly one of them is there.
struct FactResult {
  std::optional<Recorded> recorded;
  std::optional<Error> error;
};

struct LeaseDetail {
  Lease lease;
  boost::json::object json;  // everything the view knows of it, with its `history`
};

struct Entry {
  std::uint64_t seq = 0;
  std::string id;
  std::string kind;
  std::string recordedAt;
  boost::json::object json;  // the whole entry, flat
};

// Names are those of the URL's parameters (docs/query.md).
struct EntryFilters {
  std::vector<std::string> kinds;  // "lease.*" as well
  std::string actor, run, host, lease, resource, text, from, to, asOf;
  bool oldestFirst = true;
  unsigned pageSize = 500;            // 1 to 1000
  std::optional<std::uint64_t> wait;  // what was recorded up to this seq is in it
};

struct QueryResult {
  std::vector<std::string> columns;
  boost::json::array rows;  // of arrays
  bool truncated = false;
};

}  // namespace counterfoil::client

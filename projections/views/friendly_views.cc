// The readable VIEWs over the interned tables: what people with read-only SQL see, and what docs/views.md promises.
#include <cctype>

#include "projections/views/view_schema.h"

namespace counterfoil::views {
namespace {

// In the definitions below: @t{x} is the RFC 3339 text of the time x, @u{x} the UUID text of x, @n{x} the text of the name x, @h{x} lower-case hex,
// @k{x} and @i{x} the kind and the id of the principal x.
constexpr const char* kDefinitions = R"sql(
CREATE VIEW entries AS SELECT seq, @u{id} AS id, @n{kind} AS kind, @t{recorded_at} AS recordedAt, @t{occurred_at} AS occurredAt,
  @n{source} AS source, @n{producer} AS producer, producer_seq AS producerSeq, @k{actor} AS actorKind, @i{actor} AS actor, @n{run} AS run,
  @n{host} AS host, @n{sandbox} AS sandbox, @n{correlation} AS correlation, @n{lease} AS lease, @n{bundle} AS bundle,
  @n{principal} AS principal, @n{object} AS object, @n{operation} AS operation, @n{outcome} AS outcome, @n{reason} AS reasonCode,
  @n{error} AS errorCode, @n{credential} AS credential, @n{address} AS addressPseudonym, @n{state} AS state, flags & 1 AS terminal,
  (flags >> 1) & 1 AS late, (flags >> 2) & 1 AS withheld, (flags >> 5) & 1 AS redacted, @h{leaf} AS leafHash FROM entry;

CREATE VIEW leases AS SELECT @n{lease} AS lease, @n{state} AS state, @n{credential} AS credential, @n{credential_name} AS credentialName,
  @k{grantee} AS granteeKind, @i{grantee} AS grantee, @n{run} AS run, @n{host} AS host, @n{sandbox} AS sandbox,
  (SELECT group_concat(text, ' ') FROM entry_scope JOIN name ON id = value WHERE seq = granted_seq) AS scope,
  (SELECT group_concat(text, ' ') FROM entry_resource JOIN name ON id = value WHERE seq = granted_seq) AS resources,
  @t{valid_from} AS issuedAt, @t{expires_at} AS expiresAt, @t{ended_at} AS endedAt, @n{end_reason} AS endReason, uses, max_uses AS maxUses,
  renewals, @t{renewable_until} AS renewableUntil, @n{parent} AS parentLease, @n{bundle} AS bundle, @n{approval} AS approval,
  @n{issuer} AS issuer, @n{policy} AS policy, policy_version AS policyVersion, @n{fingerprint} AS fingerprint, @n{upstream} AS upstreamId,
  @n{upstream_outcome} AS upstreamOutcome, @n{cascade_of} AS cascadeOf, reported, @n{source} AS source, @n{producer} AS producer,
  granted_seq AS grantedSeq, @t{granted_recorded_at} AS grantedRecordedAt, ended_seq AS endedSeq,
  @t{ended_recorded_at} AS endedRecordedAt, last_seq AS lastSeq FROM lease;

CREATE VIEW lease_changes AS SELECT seq, @n{lease} AS lease, @n{kind} AS kind, @t{occurred_at} AS occurredAt, @t{recorded_at} AS recordedAt,
  @n{state} AS state, uses, @t{expires_at} AS expiresAt, flags & 1 AS terminal, (flags >> 1) & 1 AS late FROM entry WHERE state IS NOT NULL;

CREATE VIEW uses AS SELECT seq, @n{kind} AS kind, @t{occurred_at} AS occurredAt, @t{recorded_at} AS recordedAt, @n{lease} AS lease,
  @k{actor} AS actorKind, @i{actor} AS actor, @n{run} AS run, @n{host} AS host, @n{operation} AS operation,
  (SELECT group_concat(text, ' ') FROM entry_resource AS reached JOIN name ON id = value WHERE reached.seq = entry.seq) AS resources,
  (SELECT group_concat(text, ' ') FROM entry_fingerprint AS shown JOIN name ON id = value
   WHERE shown.seq = entry.seq AND shown.value = entry.object) AS fingerprint,
  @n{outcome} AS outcome, @n{error} AS errorCode, uses, @n{address} AS addressPseudonym, flags & 1 AS terminal, (flags >> 1) & 1 AS late
  FROM entry WHERE kind IN (SELECT id FROM name WHERE text IN ('lease.consumed', 'credential.used'));

CREATE VIEW denials AS SELECT seq, @t{entry.occurred_at} AS occurredAt, @t{entry.recorded_at} AS recordedAt, @n{denial.step} AS step,
  @n{denial.lease} AS lease, @n{denial.reason} AS reasonCode, @k{denial.grantee} AS granteeKind, @i{denial.grantee} AS grantee,
  @n{denial.credential} AS credential, @n{denial.operation} AS operation,
  (SELECT group_concat(text, ' ') FROM entry_scope AS asked JOIN name ON id = value WHERE asked.seq = denial.seq) AS scope,
  (SELECT group_concat(text, ' ') FROM entry_resource AS asked JOIN name ON id = value WHERE asked.seq = denial.seq) AS resources,
  denial.ttl_seconds AS ttlSeconds, @n{denial.policy} AS policy, denial.policy_version AS policyVersion, denial.explanation,
  denial.outstanding, @n{denial.error} AS errorCode, @k{entry.actor} AS actorKind, @i{entry.actor} AS actor, @n{entry.run} AS run,
  @n{entry.host} AS host, @n{entry.address} AS addressPseudonym FROM denial JOIN entry USING (seq);

CREATE VIEW revocations AS SELECT ordered_seq AS seq, @n{revocation} AS revocation, @n{selector} AS selector, @n{value} AS value, @n{by} AS by,
  @n{reason} AS reasonCode, matched, ended FROM revocation;

CREATE VIEW runs AS SELECT @n{run} AS run, @n{agent} AS agent, @n{trigger} AS trigger, @n{outcome} AS outcome, @t{started_at} AS startedAt,
  @t{finished_at} AS finishedAt, entries, leases, denials, first_seq AS firstSeq, last_seq AS lastSeq FROM run;
CREATE VIEW run_reached AS SELECT @n{run} AS run, @n{what} AS what, @n{value} AS value, count, refused, first_seq AS firstSeq,
  last_seq AS lastSeq FROM run_reach;

CREATE VIEW principals AS SELECT @k{principal} AS kind, @i{principal} AS id, entries, grants, live, uses, denials, first_seq AS firstSeq,
  last_seq AS lastSeq FROM principal;

CREATE VIEW hosts AS SELECT @n{host} AS host, @n{state} AS state, @n{connection} AS connection, @t{connected_at} AS connectedAt,
  @t{disconnected_at} AS disconnectedAt, @n{cause} AS cause, @t{token_expires_at} AS tokenExpiresAt, sandboxes_alive AS sandboxesAlive,
  sandboxes_cleaned AS sandboxesCleaned, entries, @t{last_at} AS lastAt, first_seq AS firstSeq, last_seq AS lastSeq FROM host;
CREATE VIEW connections AS SELECT @n{host} AS host, @n{connection} AS connection, @t{connected_at} AS connectedAt,
  @t{disconnected_at} AS disconnectedAt, @n{cause} AS cause, connected_seq AS connectedSeq, disconnected_seq AS disconnectedSeq FROM connection;
CREATE VIEW sandboxes AS SELECT @n{sandbox} AS sandbox, @n{host} AS host, @n{run} AS run, @n{image} AS image, @t{started_at} AS startedAt,
  @t{stopped_at} AS stoppedAt, @n{outcome} AS outcome, disk_wiped AS diskWiped FROM sandbox;

CREATE VIEW bundles AS SELECT @n{bundle} AS bundle, @n{state} AS state, @n{host} AS host, @n{operator_version} AS operatorVersion,
  @n{fingerprint} AS fingerprint, @n{retires} AS retires, @n{issued_by} AS issuedBy, manifest_digest AS manifestDigest,
  @t{issued_at} AS issuedAt, @t{expires_at} AS expiresAt, @t{redeemed_at} AS redeemedAt, redemptions, refusals, @t{retired_at} AS retiredAt,
  @n{retired_by} AS retiredBy, issued_seq AS issuedSeq, last_seq AS lastSeq FROM bundle;

CREATE VIEW vault_secrets AS SELECT @n{secret} AS secret, @n{state} AS state, @n{version} AS version, @n{fingerprint} AS fingerprint,
  @t{scheduled_purge_at} AS scheduledPurgeAt, writes, reads, failures, @t{written_at} AS writtenAt, @t{read_at} AS readAt,
  first_seq AS firstSeq, last_seq AS lastSeq FROM vault_secret;
CREATE VIEW vault_versions AS SELECT seq, @n{secret} AS secret, @n{version} AS version, @n{operation} AS operation, @n{outcome} AS outcome,
  @n{fingerprint} AS fingerprint, @t{scheduled_purge_at} AS scheduledPurgeAt, @n{error} AS errorCode FROM vault_version;

CREATE VIEW approvals AS SELECT @n{approval} AS approval, @n{state} AS state, @n{requested_by} AS requestedBy,
  @n{on_behalf_of} AS onBehalfOf, @n{operation} AS operation, @t{requested_at} AS requestedAt, @t{expires_at} AS expiresAt,
  @n{decision} AS decision, @n{decided_by} AS decidedBy, @t{decided_at} AS decidedAt, @n{lease} AS lease, request_digest AS requestDigest,
  requested_seq AS requestedSeq, decided_seq AS decidedSeq FROM approval;

CREATE VIEW producers AS SELECT @n{source} AS source, @n{producer} AS producer, contiguous, greatest, facts,
  @t{greatest_occurred_at} AS greatestOccurredAt, finished, closed, first_seq AS firstSeq, last_seq AS lastSeq FROM producer;
CREATE VIEW producer_gaps AS SELECT @n{source} AS source, @n{producer} AS producer, lowest, highest, seen_seq AS seenSeq FROM producer_gap;

CREATE VIEW findings AS SELECT @n{finding} AS finding, @n{rule} AS rule, @n{severity} AS severity, @n{state} AS state, explanation,
  @t{raised_at} AS raisedAt, @t{resolved_at} AS resolvedAt, raised_seq AS raisedSeq, resolved_seq AS resolvedSeq FROM finding;
CREATE VIEW fingerprints AS SELECT @n{value} AS fingerprint, seq, @n{field} AS field FROM entry_fingerprint;
CREATE VIEW resources AS SELECT @n{value} AS resource, seq, granted FROM entry_resource;
CREATE VIEW scopes AS SELECT @n{value} AS scope, seq, granted FROM entry_scope;
CREATE VIEW policies AS SELECT seq, @n{policy} AS policy, version, document, @h{document_digest} AS documentDigest FROM policy;
CREATE VIEW holds AS SELECT @n{hold} AS hold, @n{state} AS state, @n{scope} AS scope, days, @t{placed_at} AS placedAt,
  @n{placed_by} AS placedBy, @t{released_at} AS releasedAt, @n{released_by} AS releasedBy FROM hold;
CREATE VIEW workspaces AS SELECT number, @n{workspace} AS workspace, @n{region} AS region, @n{state} AS state, @t{created_at} AS createdAt,
  @t{closed_at} AS closedAt, @t{erased_at} AS erasedAt FROM workspace;
CREATE VIEW tokens AS SELECT @n{jti} AS jti, @n{principal} AS principal, @n{role} AS role, @t{issued_at} AS issuedAt,
  @t{expires_at} AS expiresAt, @t{revoked_at} AS revokedAt FROM access_token;
CREATE VIEW counters AS SELECT @n{what} AS what, value FROM counter;
)sql";

std::string nameOf(const std::string& column) { return "(SELECT text FROM name AS n WHERE n.id = " + column + ")"; }

// Floor and remainder by a second also before 1970, the fraction as short as exact.
std::string timeOf(const std::string& column) {
  const std::string second = "1000000000";
  const std::string rest = "((" + column + " % " + second + " + " + second + ") % " + second + ")";
  return "strftime('%Y-%m-%dT%H:%M:%S', (" + column + " - " + rest + ") / " + second + ", 'unixepoch') || CASE " + rest +
         " WHEN 0 THEN '' ELSE rtrim(printf('.%09d', " + rest + "), '0') END || 'Z'";
}

std::string uuidOf(const std::string& column) {
  const std::string hex = "lower(hex(" + column + "))";
  std::string text = "CASE WHEN " + column + " IS NOT NULL THEN substr(" + hex + ",1,8)";
  for (const char* part : {",9,4)", ",13,4)", ",17,4)", ",21,12)"}) text += "||'-'||substr(" + hex + part;
  return text + " END";
}

std::string expand(char what, const std::string& column) {
  const std::string name = nameOf(column);
  switch (what) {
    case 't': return timeOf(column);
    case 'u': return uuidOf(column);
    case 'h': return "lower(hex(" + column + "))";
    case 'k': return "(SELECT substr(text, 1, instr(text, ':') - 1) FROM name AS n WHERE n.id = " + column + ")";
    case 'i': return "(SELECT substr(text, instr(text, ':') + 1) FROM name AS n WHERE n.id = " + column + ")";
    default: return name;
  }
}

std::string expandAll(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t at = text.find('@');
    result += text.substr(0, at);
    if (at == std::string_view::npos) break;
    const std::size_t end = text.find('}', at);
    result += expand(text[at + 1], std::string(text.substr(at + 3, end - at - 3)));
    text.remove_prefix(end + 1);
  }
  return result;
}

}  // namespace

const std::string& friendlyViews() {
  static const std::string sql = expandAll(kDefinitions);
  return sql;
}

std::vector<std::string> friendlyViewNames() {
  constexpr std::string_view kStart = "CREATE VIEW ";
  std::vector<std::string> names;
  std::string_view rest = kDefinitions;
  for (std::size_t at = rest.find(kStart); at != std::string_view::npos; at = rest.find(kStart)) {
    rest.remove_prefix(at + kStart.size());
    names.emplace_back(rest.substr(0, rest.find(' ')));
  }
  return names;
}

}  // namespace counterfoil::views

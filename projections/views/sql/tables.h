// The tables of a workspace's view. The declared type of a column is also its meaning (view_schema.h reads them back from SQLite):
//
//   SEQ       seq of an entry (INTEGER PRIMARY KEY columns `seq` and `..._seq` too)      left out when two ledgers are compared
//   RECORDED  recorded time of an entry, ns since the Unix epoch                         left out when two ledgers are compared
//   LEAF      leaf hash of an entry, 32 bytes                                            left out when two ledgers are compared
//   TIME      any other time, ns since the Unix epoch
//   NAME      id of a text in `name` (INTEGER PRIMARY KEY columns of other names too)
//   COUNT     a number; FLAGS: bits; TEXT, BLOB: themselves
//
// Kinds, states, outcomes and other enumerations are NAMEs: `lease.granted`, `active`, `ok`. A principal is the NAME `kind:id`
// (`agent:fixer`, `human:p2:...`). What is unknown or empty is NULL. Every table but `name`, `content` and `position` is in the digest.
#pragma once

namespace counterfoil::views {

inline constexpr const char* kTables = R"sql(
CREATE TABLE name(id INTEGER PRIMARY KEY, text TEXT NOT NULL);

-- Where this view stands; one row. `sums`: the tables' digests. Written in the transaction that wrote the rows.
CREATE TABLE position(one INTEGER PRIMARY KEY CHECK(one = 1), format COUNT NOT NULL, workspace COUNT NOT NULL, size COUNT NOT NULL,
  leaf LEAF, recorded_at RECORDED, log_position COUNT, sums BLOB NOT NULL);

-- One row an entry, withheld ones included (those have seq, leaf and flags only).
--   principal   the other person or machine: grantee, by, decidedBy, onBehalfOf, issuedBy, who, principal, requestedBy
--   object      what it is about when that is no lease, bundle, run, host or sandbox: secret, approval, tool, token, finding, hold, policy, ...
--   state, uses, expires_at   of the lease, as they are after this entry (only on entries that touch a lease): its history
--   flags       1 terminal, 2 late, 4 withheld, 8 kind unknown to this software, 16 has commitments, 32 has redactions
CREATE TABLE entry(seq INTEGER PRIMARY KEY, id BLOB, kind NAME, recorded_at RECORDED, occurred_at TIME, source NAME, producer NAME,
  producer_seq COUNT, actor NAME, run NAME, host NAME, sandbox NAME, correlation NAME, lease NAME, bundle NAME, principal NAME, object NAME,
  operation NAME, outcome NAME, reason NAME, error NAME, credential NAME, address NAME, state NAME, uses COUNT, expires_at TIME,
  flags FLAGS NOT NULL, leaf LEAF NOT NULL);
-- Of entries number * 2048 to number * 2048 + 2047: the span of their occurred_at, and of valid_from of the leases granted there. Skips.
CREATE TABLE entry_block(number INTEGER PRIMARY KEY, earliest TIME NOT NULL, latest TIME NOT NULL);
-- The canonical bytes of the entry (leaf = SHA-256(0x00 || bytes)), and the place of its record in its partition of the log, before the bytes
-- so that it is found without reading them. No row for a withheld one.
CREATE TABLE content(seq INTEGER PRIMARY KEY, log_position COUNT NOT NULL, bytes BLOB NOT NULL);
-- Resources also hold secret names (vault.*) and destinations (egress.observed). granted = 1 on lease.granted.
CREATE TABLE entry_resource(seq SEQ NOT NULL, value NAME NOT NULL, granted COUNT NOT NULL, PRIMARY KEY(seq, value)) WITHOUT ROWID;
CREATE TABLE entry_scope(seq SEQ NOT NULL, value NAME NOT NULL, granted COUNT NOT NULL, PRIMARY KEY(seq, value)) WITHOUT ROWID;
-- Every entry that shows a fingerprint, in a secret field or where one was found in a text.
CREATE TABLE entry_fingerprint(value NAME NOT NULL, seq SEQ NOT NULL, field NAME NOT NULL, PRIMARY KEY(value, seq, field)) WITHOUT ROWID;

-- One row a grant that counts. Valid time is [valid_from, valid_to), valid_to = least of end and expires_at, NULL if neither is known;
-- recorded time is [granted_seq, ended_seq). reach_to: the greatest valid_to this lease ever had (NULL: open), and span says how long that
-- is: reach_to - valid_from < 2^span seconds (63: open), so that what is valid at T lies in (T - 2^span s, T] of (span, valid_from).
-- Its scope and resources are those of entry granted_seq. Its history: entries with this lease and a state.
CREATE TABLE lease(granted_seq INTEGER PRIMARY KEY, lease NAME NOT NULL, reported COUNT NOT NULL, credential NAME, credential_name NAME,
  grantee NAME, run NAME, host NAME, sandbox NAME, source NAME, producer NAME, parent NAME, bundle NAME, approval NAME, issuer NAME,
  policy NAME, policy_version COUNT, fingerprint NAME, upstream NAME, address NAME, granted_recorded_at RECORDED NOT NULL,
  valid_from TIME NOT NULL, valid_to TIME, reach_to TIME, span COUNT NOT NULL, expires_at TIME, renewable_until TIME, max_uses COUNT,
  uses COUNT NOT NULL, state NAME NOT NULL, issued_seq SEQ, renewals COUNT NOT NULL, ended_seq SEQ, ended_recorded_at RECORDED,
  ended_at TIME, end_reason NAME, cascade_of NAME, upstream_outcome NAME, upstream_attempts COUNT, last_seq SEQ NOT NULL);

CREATE TABLE denial(seq INTEGER PRIMARY KEY, step NAME, lease NAME, reason NAME, grantee NAME, credential NAME, operation NAME,
  ttl_seconds COUNT, policy NAME, policy_version COUNT, fingerprint NAME, outstanding COUNT, explanation TEXT, error NAME);

CREATE TABLE revocation(revocation INTEGER PRIMARY KEY, ordered_seq SEQ NOT NULL, selector NAME, value NAME, by NAME, reason NAME,
  matched COUNT, ended COUNT NOT NULL, last_seq SEQ NOT NULL);

CREATE TABLE run(run INTEGER PRIMARY KEY, agent NAME, trigger NAME, outcome NAME, started_seq SEQ, started_at TIME, finished_seq SEQ,
  finished_at TIME, entries COUNT NOT NULL, leases COUNT NOT NULL, denials COUNT NOT NULL, first_seq SEQ NOT NULL, last_seq SEQ NOT NULL);
-- What a run reached, or tried to: what = resource, secret, destination, tool or host. refused: denied, failed or blocked. A grant reaches nothing.
CREATE TABLE run_reach(run NAME NOT NULL, what NAME NOT NULL, value NAME NOT NULL, count COUNT NOT NULL, refused COUNT NOT NULL,
  first_seq SEQ NOT NULL, last_seq SEQ NOT NULL, PRIMARY KEY(run, what, value)) WITHOUT ROWID;

CREATE TABLE principal(principal INTEGER PRIMARY KEY, entries COUNT NOT NULL, grants COUNT NOT NULL, live COUNT NOT NULL,
  uses COUNT NOT NULL, denials COUNT NOT NULL, first_seq SEQ NOT NULL, last_seq SEQ NOT NULL);

-- state: connected, disconnected; NULL if it never connected on the record.
CREATE TABLE host(host INTEGER PRIMARY KEY, state NAME, connection NAME, connected_seq SEQ, connected_at TIME, disconnected_at TIME, cause NAME,
  token_expires_at TIME, sandboxes_alive COUNT, sandboxes_cleaned COUNT, entries COUNT NOT NULL, first_seq SEQ NOT NULL,
  last_seq SEQ NOT NULL, last_at TIME);
CREATE TABLE connection(connected_seq INTEGER PRIMARY KEY, host NAME, connection NAME, connected_at TIME, disconnected_seq SEQ,
  disconnected_at TIME, cause NAME);
CREATE TABLE sandbox(sandbox INTEGER PRIMARY KEY, host NAME, run NAME, image NAME, started_seq SEQ, started_at TIME, stopped_seq SEQ,
  stopped_at TIME, outcome NAME, disk_wiped COUNT);

-- state: issued, redeemed, retired.
CREATE TABLE bundle(bundle INTEGER PRIMARY KEY, state NAME, host NAME, operator_version NAME, fingerprint NAME, retires NAME, issued_by NAME,
  manifest_digest TEXT, issued_seq SEQ, issued_at TIME, expires_at TIME, redeemed_seq SEQ, redeemed_at TIME, redemptions COUNT NOT NULL,
  refusals COUNT NOT NULL, retired_seq SEQ, retired_at TIME, retired_by NAME, last_seq SEQ NOT NULL);

-- state: active, soft_deleted, purged, unknown (only read, or only failed writes).
CREATE TABLE vault_secret(secret INTEGER PRIMARY KEY, state NAME, version NAME, fingerprint NAME, scheduled_purge_at TIME,
  writes COUNT NOT NULL, reads COUNT NOT NULL, failures COUNT NOT NULL, written_at TIME, read_at TIME, first_seq SEQ NOT NULL,
  last_seq SEQ NOT NULL);
CREATE TABLE vault_version(seq INTEGER PRIMARY KEY, secret NAME NOT NULL, version NAME, operation NAME, outcome NAME, fingerprint NAME,
  scheduled_purge_at TIME, error NAME);
CREATE TABLE vault(vault INTEGER PRIMARY KEY, identity NAME, purge_protection COUNT, provisioned_seq SEQ NOT NULL, provisioned_at TIME);

-- state: requested, approved, rejected, expired, used.
CREATE TABLE approval(approval INTEGER PRIMARY KEY, state NAME, request_digest TEXT, requested_by NAME, on_behalf_of NAME, operation NAME,
  requested_seq SEQ, requested_at TIME, expires_at TIME, decision NAME, decided_by NAME, decided_seq SEQ, decided_at TIME, lease NAME,
  last_seq SEQ NOT NULL);

-- contiguous: greatest producerSeq with no gap before it. A gap is what is missing, both ends included.
CREATE TABLE producer(source NAME NOT NULL, producer NAME NOT NULL, contiguous COUNT NOT NULL, greatest COUNT NOT NULL,
  facts COUNT NOT NULL, greatest_occurred_at TIME, finished COUNT NOT NULL, closed COUNT NOT NULL, first_seq SEQ NOT NULL,
  last_seq SEQ NOT NULL, PRIMARY KEY(source, producer)) WITHOUT ROWID;
CREATE TABLE producer_gap(source NAME NOT NULL, producer NAME NOT NULL, lowest COUNT NOT NULL, highest COUNT NOT NULL,
  seen_seq SEQ NOT NULL, PRIMARY KEY(source, producer, lowest)) WITHOUT ROWID;

-- state: raised, resolved.
CREATE TABLE finding(finding INTEGER PRIMARY KEY, rule NAME, severity NAME, state NAME, explanation TEXT, raised_seq SEQ, raised_at TIME,
  resolved_seq SEQ, resolved_at TIME);
CREATE TABLE finding_evidence(finding NAME NOT NULL, seq SEQ NOT NULL, leaf LEAF, PRIMARY KEY(finding, seq)) WITHOUT ROWID;

CREATE TABLE policy(seq INTEGER PRIMARY KEY, policy NAME, version COUNT, document TEXT, document_digest BLOB);
-- state: placed, released.
CREATE TABLE hold(hold INTEGER PRIMARY KEY, state NAME, scope NAME, days COUNT, placed_seq SEQ, placed_at TIME, placed_by NAME,
  released_seq SEQ, released_at TIME, released_by NAME);
CREATE TABLE retention(seq INTEGER PRIMARY KEY, scope NAME, days COUNT, by NAME);
-- Of the workspace itself; in `_system`: of every workspace. state: open, closed, erased.
CREATE TABLE workspace(number INTEGER PRIMARY KEY, workspace NAME, region NAME, state NAME, created_seq SEQ, created_at TIME, closed_seq SEQ,
  closed_at TIME, erased_seq SEQ, erased_at TIME);
CREATE TABLE access_token(jti INTEGER PRIMARY KEY, principal NAME, role NAME, issued_seq SEQ, issued_at TIME, expires_at TIME,
  revoked_seq SEQ, revoked_at TIME);

-- Running totals: `withheld`, `kind <kind>`, `leases <state>`, `denials <reason>`, `redactions`.
CREATE TABLE counter(what INTEGER PRIMARY KEY, value COUNT NOT NULL, last_seq SEQ NOT NULL);

-- Full text over the scanned fields of entry rowid; no content of its own: find seqs, then read entry and content. A word with : / . _ - or
-- @ inside is a phrase of its parts: quote it, and it matches exactly that run of parts; quoted with * behind, as a prefix.
CREATE VIRTUAL TABLE entry_text USING fts5(text, content='', columnsize=0, tokenize="unicode61 remove_diacritics 0");
)sql";

// Of `name`: a rebuild makes it when all names are there, or too many to be kept in memory.
inline constexpr const char* kNameIndex = "CREATE UNIQUE INDEX IF NOT EXISTS name_text ON name(text)";

}  // namespace counterfoil::views

// The indexes of a workspace's view. Every filter's index ends in the seq (a rowid comes at the end of each index by itself), so that one
// filter pages in order without sorting, and several can be intersected by walking their indexes side by side. Of resources and scopes, those
// that were granted and those that were not are two such lists in one index.
#pragma once

namespace counterfoil::views {

// What projecting itself looks rows up by: made with the tables.
inline constexpr const char* kWorkingIndexes = R"sql(
CREATE INDEX lease_lease ON lease(lease, granted_seq);
CREATE INDEX lease_fingerprint ON lease(fingerprint, granted_seq) WHERE fingerprint IS NOT NULL;
CREATE INDEX bundle_fingerprint ON bundle(fingerprint) WHERE fingerprint IS NOT NULL;
)sql";

// For readers: a rebuild makes them when all rows are there.
inline constexpr const char* kReadingIndexes = R"sql(
CREATE INDEX entry_recorded ON entry(recorded_at);
CREATE INDEX entry_occurred ON entry(occurred_at);
CREATE INDEX entry_kind ON entry(kind);
CREATE INDEX entry_actor ON entry(actor) WHERE actor IS NOT NULL;
CREATE INDEX entry_principal ON entry(principal) WHERE principal IS NOT NULL;
CREATE INDEX entry_run ON entry(run) WHERE run IS NOT NULL;
CREATE INDEX entry_host ON entry(host) WHERE host IS NOT NULL;
CREATE INDEX entry_sandbox ON entry(sandbox) WHERE sandbox IS NOT NULL;
CREATE INDEX entry_lease ON entry(lease) WHERE lease IS NOT NULL;
CREATE INDEX entry_bundle ON entry(bundle) WHERE bundle IS NOT NULL;
CREATE INDEX entry_object ON entry(object) WHERE object IS NOT NULL;
CREATE INDEX entry_state ON entry(state) WHERE state IS NOT NULL;
CREATE INDEX entry_address ON entry(address) WHERE address IS NOT NULL;
CREATE INDEX entry_withheld ON entry(seq) WHERE kind IS NULL;
CREATE INDEX entry_resource_value ON entry_resource(value, granted, seq);
CREATE INDEX entry_scope_value ON entry_scope(value, granted, seq);
CREATE INDEX lease_state ON lease(state);
CREATE INDEX lease_credential ON lease(credential);
CREATE INDEX lease_grantee ON lease(grantee);
CREATE INDEX lease_run ON lease(run) WHERE run IS NOT NULL;
CREATE INDEX lease_host ON lease(host) WHERE host IS NOT NULL;
CREATE INDEX lease_bundle ON lease(bundle) WHERE bundle IS NOT NULL;
CREATE INDEX lease_parent ON lease(parent) WHERE parent IS NOT NULL;
CREATE INDEX lease_span ON lease(span, valid_from);
CREATE INDEX lease_valid ON lease(valid_from);
CREATE INDEX denial_reason ON denial(reason);
CREATE INDEX denial_grantee ON denial(grantee) WHERE grantee IS NOT NULL;
CREATE INDEX denial_lease ON denial(lease) WHERE lease IS NOT NULL;
CREATE INDEX run_reach_value ON run_reach(what, value, run);
CREATE INDEX vault_version_secret ON vault_version(secret);
CREATE INDEX approval_state ON approval(state, requested_seq);
CREATE INDEX bundle_state ON bundle(state, issued_seq);
CREATE INDEX bundle_host ON bundle(host) WHERE host IS NOT NULL;
CREATE INDEX connection_host ON connection(host);
CREATE INDEX revocation_ordered ON revocation(ordered_seq);
CREATE INDEX host_state ON host(state);
CREATE INDEX finding_state ON finding(state, raised_seq);
CREATE INDEX sandbox_host ON sandbox(host) WHERE host IS NOT NULL;
)sql";

}  // namespace counterfoil::views

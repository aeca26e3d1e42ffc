@0x9b7e4f1d3a5c8260;
# The event catalogue: one struct per kind. Member 0 of the union is never used. No defaults other than zero; Int64 is always a time
# in nanoseconds since the Unix epoch. New kinds and fields are added at the end, nothing is ever renumbered.

using Cxx = import "/capnp/c++.capnp";
using import "annotations.capnp".class;
using import "annotations.capnp".subject;
using import "annotations.capnp".address;
using import "annotations.capnp".kind;
using import "annotations.capnp".fact;
using import "annotations.capnp".required;
using import "annotations.capnp".ledger;
using import "annotations.capnp".requires;
using import "annotations.capnp".limit;
using Common = import "principal.capnp";
$Cxx.namespace("counterfoil::schema");

struct Event {
  union {
    none @0 :Void;

    leaseGranted @1 :LeaseGranted $kind("lease.granted") $fact;
    leaseIssued @2 :LeaseIssued $kind("lease.issued") $fact;
    leaseConsumed @3 :LeaseConsumed $kind("lease.consumed") $fact;
    leaseDenied @4 :LeaseDenied $kind("lease.denied") $fact;
    leaseRenewed @5 :LeaseRenewed $kind("lease.renewed") $fact;
    leaseRevoked @6 :LeaseRevoked $kind("lease.revoked") $fact;
    revocationOrdered @7 :RevocationOrdered $kind("revocation.ordered");
    leaseRevocationReported @8 :LeaseRevocationReported $kind("lease.revocation_reported") $fact;
    leaseExpired @9 :LeaseExpired $kind("lease.expired") $fact;
    credentialUsed @10 :CredentialUsed $kind("credential.used") $fact;

    bundleIssued @11 :BundleIssued $kind("bundle.issued") $fact;
    bundleRedeemed @12 :BundleRedeemed $kind("bundle.redeemed") $fact;
    bundleRefused @13 :BundleRefused $kind("bundle.refused") $fact;
    bundleRetired @14 :BundleRetired $kind("bundle.retired") $fact;
    hostConnected @15 :HostConnected $kind("host.connected") $fact $requires("host");
    hostDisconnected @16 :HostDisconnected $kind("host.disconnected") $fact $requires("host");
    hostReconciled @17 :HostReconciled $kind("host.reconciled") $fact $requires("host");
    tokenMinted @18 :TokenMinted $kind("token.minted") $fact;
    tokenRefreshed @19 :TokenRefreshed $kind("token.refreshed") $fact;
    sandboxStarted @20 :SandboxStarted $kind("sandbox.started") $fact $requires("sandbox");
    sandboxStopped @21 :SandboxStopped $kind("sandbox.stopped") $fact $requires("sandbox");

    vaultProvisioned @22 :VaultProvisioned $kind("vault.provisioned") $fact;
    vaultWritten @23 :VaultWritten $kind("vault.written") $fact;
    vaultRead @24 :VaultRead $kind("vault.read") $fact;

    approvalRequested @25 :ApprovalRequested $kind("approval.requested");
    approvalDecided @26 :ApprovalDecided $kind("approval.decided");
    toolInvoked @27 :ToolInvoked $kind("tool.invoked") $fact;
    runStarted @28 :RunStarted $kind("run.started") $fact $requires("run");
    runFinished @29 :RunFinished $kind("run.finished") $fact $requires("run");
    egressObserved @30 :EgressObserved $kind("egress.observed") $fact;

    workspaceCreated @31 :WorkspaceCreated $kind("workspace.created");
    workspaceClosed @32 :WorkspaceClosed $kind("workspace.closed");
    workspaceErased @33 :WorkspaceErased $kind("workspace.erased");
    subjectErased @34 :SubjectErased $kind("subject.erased");
    keyRotated @35 :KeyRotated $kind("key.rotated");
    keyDestroyed @36 :KeyDestroyed $kind("key.destroyed");
    stateCarried @37 :StateCarried $kind("state.carried");
    holdPlaced @38 :HoldPlaced $kind("hold.placed");
    holdReleased @39 :HoldReleased $kind("hold.released");
    retentionSet @40 :RetentionSet $kind("retention.set");
    policySet @41 :PolicySet $kind("policy.set");
    auditQueried @42 :AuditQueried $kind("audit.queried");
    auditExported @43 :AuditExported $kind("audit.exported");
    auditProved @44 :AuditProved $kind("audit.proved");
    subjectResolved @45 :SubjectResolved $kind("subject.resolved");
    accessRefused @46 :AccessRefused $kind("access.refused");
    accessTokenIssued @47 :AccessTokenIssued $kind("access.token_issued");
    accessTokenRevoked @48 :AccessTokenRevoked $kind("access.token_revoked");
    configChanged @49 :ConfigChanged $kind("config.changed");
    importFinished @50 :ImportFinished $kind("import.finished");
    producerClosed @51 :ProducerClosed $kind("producer.closed");
    findingRaised @52 :FindingRaised $kind("finding.raised");
    findingResolved @53 :FindingResolved $kind("finding.resolved");
    ledgerStarted @54 :LedgerStarted $kind("ledger.started");
    ledgerStopped @55 :LedgerStopped $kind("ledger.stopped");
    ledgerRecovered @56 :LedgerRecovered $kind("ledger.recovered");
    clockJumped @57 :ClockJumped $kind("clock.jumped");
    intakeOverloaded @58 :IntakeOverloaded $kind("intake.overloaded");
    checkpointWitnessed @59 :CheckpointWitnessed $kind("checkpoint.witnessed");
  }
}

# ---- Leases ----

struct LeaseGranted {
  leaseId @0 :Text $class(id) $required;
  credential @1 :Common.Credential $class(clear) $required;
  credentialName @2 :Text $class(scanned);
  grantee @3 :Common.Principal $class(pseudonym) $required;
  scope @4 :List(Text) $class(scanned);
  resources @5 :List(Text) $class(scanned);
  issuedAt @6 :Int64 $class(clear);
  expiresAt @7 :Int64 $class(clear);        # 0: the source names no end
  maxUses @8 :UInt64 $class(clear);         # 0: unlimited
  renewableUntil @9 :Int64 $class(clear);
  parentLease @10 :Text $class(id);
  policy @11 :Common.PolicyReference $class(clear) $ledger;
  approval @12 :Text $class(id);
  issuer @13 :Text $class(id);
  reason @14 :Text $class(personal) $subject(grantee);
  sourceAddress @15 :Text $class(personal) $subject(grantee) $address("sourceService");
  sourceAddressPseudonym @16 :Text $class(clear) $ledger;
  sourceService @17 :Text $class(scanned);
  secret @18 :Text $class(secret);          # facts only: the credential, kept as fingerprint
  upstreamId @19 :Text $class(scanned);
  bundleId @20 :Text $class(id);
}

struct LeaseIssued {
  leaseId @0 :Text $class(id) $required;
  outcome @1 :Common.Outcome $class(clear) $required;  # issued, failed
  secret @2 :Text $class(secret);
  upstreamId @3 :Text $class(scanned);
  upstreamExpiresAt @4 :Int64 $class(clear);
  errorCode @5 :Text $class(scanned);
  terminal @6 :Bool $class(clear) $ledger;
}

struct LeaseConsumed {
  leaseId @0 :Text $class(id);
  fingerprint @1 :Text $class(secret);
  operation @2 :Text $class(scanned);
  resources @3 :List(Text) $class(scanned);
  outcome @4 :Common.Outcome $class(clear);            # ok, error, partial
  errorCode @5 :Text $class(scanned);
  uses @6 :UInt64 $class(clear) $ledger;
  terminal @7 :Bool $class(clear) $ledger;
  late @8 :Bool $class(clear) $ledger;
  sourceAddress @9 :Text $class(personal) $subject(actor) $address("sourceService");
  sourceAddressPseudonym @10 :Text $class(clear) $ledger;
  sourceService @11 :Text $class(scanned);
  userAgent @12 :Text $class(scanned);
}

struct LeaseDenied {
  step @0 :Common.LeaseStep $class(clear);
  leaseId @1 :Text $class(id);
  credential @2 :Common.Credential $class(clear);
  scope @3 :List(Text) $class(scanned);
  resources @4 :List(Text) $class(scanned);
  ttlSeconds @5 :UInt64 $class(clear);
  grantee @6 :Common.Principal $class(pseudonym);
  policy @7 :Common.PolicyReference $class(clear) $ledger;
  reasonCode @8 :Common.ReasonCode $class(clear) $required;
  explanation @9 :Text $class(scanned);
  outstanding @10 :UInt64 $class(clear) $ledger;
  fingerprint @11 :Text $class(secret);
  operation @12 :Text $class(scanned);
  errorCode @13 :Text $class(scanned);
  sourceAddress @14 :Text $class(personal) $subject(actor) $address("sourceService");
  sourceAddressPseudonym @15 :Text $class(clear) $ledger;
  sourceService @16 :Text $class(scanned);
  userAgent @17 :Text $class(scanned);
  late @18 :Bool $class(clear) $ledger;
}

struct LeaseRenewed {
  leaseId @0 :Text $class(id) $required;
  previousExpiresAt @1 :Int64 $class(clear);
  expiresAt @2 :Int64 $class(clear) $required;
  late @3 :Bool $class(clear) $ledger;
}

struct LeaseRevoked {
  leaseId @0 :Text $class(id) $required;
  by @1 :Common.Principal $class(pseudonym);
  cascadeOf @2 :Text $class(id);
  derivedFrom @3 :Text $class(id);
  reasonCode @4 :Common.ReasonCode $class(clear);
  reason @5 :Text $class(personal) $subject(actor);
  terminal @6 :Bool $class(clear) $ledger;
  late @7 :Bool $class(clear) $ledger;
}

struct RevocationOrdered {
  revocationId @0 :Text $class(id);
  selector @1 :Common.RevocationSelector $class(clear);
  value @2 :Text $class(id) $limit(512);    # an id, "kind:id" of a principal, or a fingerprint
  by @3 :Common.Principal $class(pseudonym);
  reasonCode @4 :Common.ReasonCode $class(clear);
  reason @5 :Text $class(personal) $subject(actor);
  matched @6 :UInt64 $class(clear);
}

struct LeaseRevocationReported {
  leaseId @0 :Text $class(id) $required;
  outcome @1 :Common.Outcome $class(clear) $required;  # revoked, failed, irrevocable
  attempts @2 :UInt64 $class(clear);
  errorCode @3 :Text $class(scanned);
}

struct LeaseExpired {
  leaseId @0 :Text $class(id) $required;
  expiresAt @1 :Int64 $class(clear);
  uses @2 :UInt64 $class(clear) $ledger;
  reasonCode @3 :Common.ReasonCode $class(clear);      # ttl, not_issued, parent
  lateByMs @4 :UInt64 $class(clear) $ledger;
  terminal @5 :Bool $class(clear) $ledger;
  cascadeOf @6 :Text $class(id) $ledger;
}

struct CredentialUsed {
  fingerprint @0 :Text $class(secret);
  principal @1 :Common.Principal $class(pseudonym);
  operation @2 :Text $class(scanned) $required;
  resources @3 :List(Text) $class(scanned);
  outcome @4 :Common.Outcome $class(clear);
  errorCode @5 :Text $class(scanned);
  sourceAddress @6 :Text $class(personal) $subject(actor) $address("sourceService");
  sourceAddressPseudonym @7 :Text $class(clear) $ledger;
  sourceService @8 :Text $class(scanned);
  userAgent @9 :Text $class(scanned);
}

# ---- Bundles, hosts, channel ----

struct BundleIssued {
  bundleId @0 :Text $class(id) $required;
  operatorVersion @1 :Text $class(id);
  installKey @2 :Text $class(secret);
  issuedBy @3 :Common.Principal $class(pseudonym);
  retires @4 :Text $class(secret);          # the key that this bundle's key retires
  manifestDigest @5 :Text $class(clear);
  expiresAt @6 :Int64 $class(clear);
}

struct BundleRedeemed {
  bundleId @0 :Text $class(id);
  fingerprint @1 :Text $class(secret);
  sourceAddress @2 :Text $class(personal) $subject(workspace) $address("sourceService");
  sourceAddressPseudonym @3 :Text $class(clear) $ledger;
  sourceService @4 :Text $class(scanned);
}

struct BundleRefused {
  bundleId @0 :Text $class(id);
  fingerprint @1 :Text $class(secret);
  reasonCode @2 :Common.ReasonCode $class(clear) $required;
  sourceAddress @3 :Text $class(personal) $subject(workspace) $address("sourceService");
  sourceAddressPseudonym @4 :Text $class(clear) $ledger;
  sourceService @5 :Text $class(scanned);
}

struct BundleRetired {
  bundleId @0 :Text $class(id) $required;
  fingerprint @1 :Text $class(secret);
  by @2 :Common.Principal $class(pseudonym);
  reason @3 :Text $class(personal) $subject(actor);
}

struct HostConnected {
  connectionId @0 :Text $class(id);
  tokenExpiresAt @1 :Int64 $class(clear);
}

struct HostDisconnected {
  connectionId @0 :Text $class(id);
  cause @1 :Text $class(scanned);
}

struct HostReconciled {
  connectionId @0 :Text $class(id);
  sandboxesAlive @1 :UInt64 $class(clear);
  sandboxesCleaned @2 :UInt64 $class(clear);
}

struct TokenMinted {
  tokenId @0 :Text $class(id) $required;
  audience @1 :Common.TokenAudience $class(clear);
  subject @2 :Text $class(id);              # a host or a sandbox
  expiresAt @3 :Int64 $class(clear);
  secret @4 :Text $class(secret);
}

struct TokenRefreshed {
  tokenId @0 :Text $class(id) $required;
  audience @1 :Common.TokenAudience $class(clear);
  subject @2 :Text $class(id);
  expiresAt @3 :Int64 $class(clear);
  secret @4 :Text $class(secret);
}

struct SandboxStarted {
  image @0 :Text $class(scanned);
  outcome @1 :Common.Outcome $class(clear);
}

struct SandboxStopped {
  image @0 :Text $class(scanned);
  outcome @1 :Common.Outcome $class(clear);
  diskWiped @2 :Bool $class(clear);
}

# ---- Vault ----

struct VaultProvisioned {
  vaultId @0 :Text $class(id) $required;
  identity @1 :Text $class(scanned);
  purgeProtection @2 :Bool $class(clear);
}

struct VaultWritten {
  secretName @0 :Text $class(scanned) $required;
  version @1 :Text $class(scanned);
  operation @2 :Common.VaultOperation $class(clear) $required;
  value @3 :Text $class(secret);
  scheduledPurgeAt @4 :Int64 $class(clear);
  outcome @5 :Common.Outcome $class(clear);
  errorCode @6 :Text $class(scanned);
}

struct VaultRead {
  secretName @0 :Text $class(scanned) $required;
  version @1 :Text $class(scanned);
  purpose @2 :Text $class(scanned);
  outcome @3 :Common.Outcome $class(clear);
  errorCode @4 :Text $class(scanned);
}

# ---- Approvals, tools, runs ----

struct ApprovalRequested {
  approvalId @0 :Text $class(id);
  requestDigest @1 :Text $class(digest);    # binds grantee, scope, resources, ttl
  onBehalfOf @2 :Common.Principal $class(pseudonym);
  operation @3 :Text $class(scanned);
  resources @4 :List(Text) $class(scanned);
  expiresAt @5 :Int64 $class(clear);
  comment @6 :Text $class(personal) $subject(onBehalfOf);
}

struct ApprovalDecided {
  approvalId @0 :Text $class(id);
  requestDigest @1 :Text $class(digest);
  decision @2 :Common.Decision $class(clear);
  decidedBy @3 :Common.Principal $class(pseudonym);
  comment @4 :Text $class(personal) $subject(decidedBy);
}

struct ToolInvoked {
  tool @0 :Text $class(id) $required;
  operation @1 :Text $class(scanned);
  leaseId @2 :Text $class(id);
  resources @3 :List(Text) $class(scanned);
  outcome @4 :Common.Outcome $class(clear);
  durationMs @5 :UInt64 $class(clear);
  requestDigest @6 :Text $class(digest);
  summary @7 :Text $class(personal) $subject(actor);
}

struct RunStarted {
  agent @0 :Text $class(id);
  trigger @1 :Text $class(scanned);
}

struct RunFinished {
  agent @0 :Text $class(id);
  outcome @1 :Common.Outcome $class(clear);
}

struct EgressObserved {
  destination @0 :Text $class(scanned) $required;
  allowed @1 :Bool $class(clear);
}

# ---- Workspace and ledger ----

struct WorkspaceCreated {
  workspaceId @0 :Text $class(id);
  number @1 :UInt64 $class(clear);
  region @2 :Text $class(id);
  settingsDigest @3 :Data $class(clear);
  requestedBy @4 :Common.Principal $class(pseudonym);
  # Of the log, which holds the workspace's chain; only in `_system`. The map of workspaces to partitions is made of these.
  partition @5 :UInt32 $class(clear);
}

struct WorkspaceClosed {
  workspaceId @0 :Text $class(id);
  number @1 :UInt64 $class(clear);
  settingsDigest @2 :Data $class(clear);
}

struct WorkspaceErased {
  scope @0 :Text $class(id);
  keyIds @1 :List(Text) $class(clear);
  requestedBy @2 :Common.Principal $class(pseudonym);
  approvedBy @3 :Common.Principal $class(pseudonym);
  basis @4 :Text $class(id);
  exports @5 :List(Text) $class(scanned);
  certificateDigest @6 :Data $class(clear);
  number @7 :UInt64 $class(clear);
}

struct SubjectErased {
  scope @0 :Text $class(id);
  keyIds @1 :List(Text) $class(clear);
  requestedBy @2 :Common.Principal $class(pseudonym);
  approvedBy @3 :Common.Principal $class(pseudonym);
  basis @4 :Text $class(id);
  exports @5 :List(Text) $class(scanned);
  certificateDigest @6 :Data $class(clear);
}

struct KeyRotated {
  keyId @0 :Text $class(clear);
  purpose @1 :Text $class(id);
  generation @2 :UInt64 $class(clear);
  newPublicKey @3 :Data $class(clear);
}

struct KeyDestroyed {
  keyId @0 :Text $class(clear);
  purpose @1 :Text $class(id);
  generation @2 :UInt64 $class(clear);
  newPublicKey @3 :Data $class(clear);
}

struct StateCarried {
  part @0 :UInt64 $class(clear);
  parts @1 :UInt64 $class(clear);
  content @2 :Data $class(clear) $limit(49152);  # already redacted state, in the form of a snapshot section
}

struct HoldPlaced {
  holdId @0 :Text $class(id);
  scope @1 :Text $class(id);
  days @2 :UInt64 $class(clear);
  by @3 :Common.Principal $class(pseudonym);
  reason @4 :Text $class(personal) $subject(actor);
}

struct HoldReleased {
  holdId @0 :Text $class(id);
  scope @1 :Text $class(id);
  by @2 :Common.Principal $class(pseudonym);
  reason @3 :Text $class(personal) $subject(actor);
}

struct RetentionSet {
  scope @0 :Text $class(id);
  days @1 :UInt64 $class(clear);
  by @2 :Common.Principal $class(pseudonym);
  reason @3 :Text $class(personal) $subject(actor);
}

struct PolicySet {
  name @0 :Text $class(id);
  version @1 :UInt64 $class(clear);
  document @2 :Text $class(scanned) $limit(49152);
  documentDigest @3 :Data $class(clear);
}

struct AuditQueried {
  who @0 :Common.Principal $class(pseudonym);
  filter @1 :Text $class(scanned);
  rows @2 :UInt64 $class(clear);
  from @3 :Int64 $class(clear);
  to @4 :Int64 $class(clear);
  count @5 :UInt64 $class(clear);
}

struct AuditExported {
  who @0 :Common.Principal $class(pseudonym);
  filter @1 :Text $class(scanned);
  rows @2 :UInt64 $class(clear);
  from @3 :Int64 $class(clear);
  to @4 :Int64 $class(clear);
  recipient @5 :Text $class(scanned);
  checkpointSize @6 :UInt64 $class(clear);
}

struct AuditProved {
  who @0 :Common.Principal $class(pseudonym);
  filter @1 :Text $class(scanned);
  rows @2 :UInt64 $class(clear);
  from @3 :Int64 $class(clear);
  to @4 :Int64 $class(clear);
  recipient @5 :Text $class(scanned);
  checkpointSize @6 :UInt64 $class(clear);
}

struct SubjectResolved {
  who @0 :Common.Principal $class(pseudonym);
  pseudonym @1 :Text $class(id);
  filter @2 :Text $class(scanned);
  rows @3 :UInt64 $class(clear);
}

struct AccessRefused {
  reason @0 :Text $class(id);
  count @1 :UInt64 $class(clear);
  principal @2 :Common.Principal $class(pseudonym);
  jti @3 :Text $class(id);
}

struct AccessTokenIssued {
  principal @0 :Common.Principal $class(pseudonym);
  jti @1 :Text $class(id);
  role @2 :Text $class(id);
  expiresAt @3 :Int64 $class(clear);
}

struct AccessTokenRevoked {
  reason @0 :Text $class(id);
  principal @1 :Common.Principal $class(pseudonym);
  jti @2 :Text $class(id);
}

struct ConfigChanged {
  key @0 :Text $class(id);
  oldDigest @1 :Data $class(clear);
  newDigest @2 :Data $class(clear);
}

struct ImportFinished {
  producer @0 :Text $class(id);
  source @1 :Text $class(id);
  counts @2 :List(Common.Count) $class(clear);
  lastOccurredAt @3 :Int64 $class(clear);
  lastProducerSeq @4 :UInt64 $class(clear);
}

struct ProducerClosed {
  producer @0 :Text $class(id);
  source @1 :Text $class(id);
  counts @2 :List(Common.Count) $class(clear);
  lastOccurredAt @3 :Int64 $class(clear);
  lastProducerSeq @4 :UInt64 $class(clear);
}

struct FindingRaised {
  findingId @0 :Text $class(id);
  rule @1 :Text $class(id);
  severity @2 :Common.Severity $class(clear);
  evidence @3 :List(Common.Evidence) $class(clear);
  explanation @4 :Text $class(scanned);
}

struct FindingResolved {
  findingId @0 :Text $class(id);
  rule @1 :Text $class(id);
  severity @2 :Common.Severity $class(clear);
  evidence @3 :List(Common.Evidence) $class(clear);
  explanation @4 :Text $class(scanned);
}

struct LedgerStarted {
  version @0 :Text $class(id);
  build @1 :Text $class(id);
  configDigest @2 :Data $class(clear);
}

struct LedgerStopped {
  version @0 :Text $class(id);
  build @1 :Text $class(id);
  configDigest @2 :Data $class(clear);
}

struct LedgerRecovered {
  version @0 :Text $class(id);
  build @1 :Text $class(id);
  configDigest @2 :Data $class(clear);
  adoptedEntries @3 :UInt64 $class(clear);
  gapMs @4 :UInt64 $class(clear);
}

struct ClockJumped {
  from @0 :Int64 $class(clear);
  to @1 :Int64 $class(clear);
  paused @2 :Bool $class(clear);
  accepted @3 :Bool $class(clear);
}

struct IntakeOverloaded {
  from @0 :Int64 $class(clear);
  to @1 :Int64 $class(clear);
  refused @2 :List(Common.Count) $class(clear);
}

struct CheckpointWitnessed {
  size @0 :UInt64 $class(clear);
  witnesses @1 :List(Text) $class(id);
}

@0xf6249d8be1c70a53;
# What callers ask the ledger to decide. Received as JSON, redacted by the same walk as events; never stored, but its canonical bytes
# are what a repeated request is compared by.

using Cxx = import "/capnp/c++.capnp";
using import "annotations.capnp".class;
using import "annotations.capnp".subject;
using import "annotations.capnp".address;
using import "annotations.capnp".kind;
using import "annotations.capnp".required;
using import "annotations.capnp".ledger;
using import "annotations.capnp".limit;
using Common = import "principal.capnp";
$Cxx.namespace("counterfoil::schema");

struct Command {
  # The common fields, named as those of the entry they will fill.
  occurredAt @0 :Int64 $class(clear);
  source @1 :Text $class(id) $ledger;
  producer @2 :Text $class(id);
  producerSeq @3 :UInt64 $class(clear);
  actor @4 :Common.Principal $class(pseudonym);
  run @5 :Text $class(id);
  host @6 :Text $class(id);
  sandbox @7 :Text $class(id);
  correlation @8 :Text $class(id);
  traceparent @9 :Text $class(id);
  operation @10 :Operation $class(clear);
}

struct Operation {
  union {
    none @0 :Void;
    leaseRequest @1 :LeaseRequest $kind("lease.request");
    leaseIssue @2 :LeaseIssue $kind("lease.issue");
    leaseConsume @3 :LeaseConsume $kind("lease.consume");
    leaseRenew @4 :LeaseRenew $kind("lease.renew");
    leaseRevoke @5 :LeaseRevoke $kind("lease.revoke");
    revokeAll @6 :RevokeAll $kind("lease.revoke-all");
    approvalRequest @7 :ApprovalRequest $kind("approval.request");
    approvalDecide @8 :ApprovalDecide $kind("approval.decide");
    policySet @9 :PolicySetCommand $kind("policy.set");
    workspaceCreate @10 :WorkspaceCreate $kind("workspace.create");
    workspaceClose @11 :WorkspaceClose $kind("workspace.close");
    holdPlace @12 :HoldPlace $kind("hold.place");
    holdRelease @13 :HoldRelease $kind("hold.release");
    subjectErase @14 :SubjectErase $kind("subject.erase");
    keyRotate @15 :KeyRotate $kind("key.rotate");
    retentionSet @16 :RetentionSetCommand $kind("retention.set");
    workspaceErase @17 :WorkspaceErase $kind("workspace.erase");
  }
}

struct LeaseRequest {
  leaseId @0 :Text $class(id);
  credential @1 :Common.Credential $class(clear) $required;
  credentialName @2 :Text $class(scanned);
  grantee @3 :Common.Principal $class(pseudonym) $required;
  scope @4 :List(Text) $class(scanned) $required;
  resources @5 :List(Text) $class(scanned);
  ttlSeconds @6 :UInt64 $class(clear) $required;
  maxUses @7 :UInt64 $class(clear);
  renewableForSeconds @8 :UInt64 $class(clear);
  parentLease @9 :Text $class(id);
  approval @10 :Text $class(id);
  issuer @11 :Text $class(id);
  reason @12 :Text $class(personal) $subject(grantee);
  sourceAddress @13 :Text $class(personal) $subject(grantee) $address("sourceService");
  sourceAddressPseudonym @14 :Text $class(clear) $ledger;
  sourceService @15 :Text $class(scanned);
  secret @16 :Text $class(secret);
  upstreamId @17 :Text $class(scanned);
  bundleId @18 :Text $class(id);
}

struct LeaseIssue {
  leaseId @0 :Text $class(id) $required;
  outcome @1 :Common.Outcome $class(clear);  # issued (assumed) or failed
  secret @2 :Text $class(secret);
  upstreamId @3 :Text $class(scanned);
  upstreamExpiresAt @4 :Int64 $class(clear);
  errorCode @5 :Text $class(scanned);
}

struct LeaseConsume {
  leaseId @0 :Text $class(id) $required;
  operation @1 :Text $class(scanned);
  resources @2 :List(Text) $class(scanned);
  outcome @3 :Common.Outcome $class(clear);  # ok (assumed), error, partial
  errorCode @4 :Text $class(scanned);
  sourceAddress @5 :Text $class(personal) $subject(actor) $address("sourceService");
  sourceAddressPseudonym @6 :Text $class(clear) $ledger;
  sourceService @7 :Text $class(scanned);
  userAgent @8 :Text $class(scanned);
  scope @9 :List(Text) $class(scanned);
}

struct LeaseRenew {
  leaseId @0 :Text $class(id) $required;
  ttlSeconds @1 :UInt64 $class(clear) $required;
}

struct LeaseRevoke {
  leaseId @0 :Text $class(id) $required;
  reasonCode @1 :Common.ReasonCode $class(clear);
  reason @2 :Text $class(personal) $subject(actor);
}

struct RevokeAll {
  # Exactly one of principal, bundle, credential, lease, or the common fields run or host, selects.
  revocationId @0 :Text $class(id);
  principal @1 :Common.Principal $class(pseudonym);
  bundle @2 :Text $class(id);
  credential @3 :Text $class(secret);
  lease @4 :Text $class(id);
  reasonCode @5 :Common.ReasonCode $class(clear);
  reason @6 :Text $class(personal) $subject(actor);
}

struct ApprovalRequest {
  approvalId @0 :Text $class(id);
  onBehalfOf @1 :Common.Principal $class(pseudonym);
  operation @2 :Text $class(scanned);
  # The lease request that the approval is for.
  credential @3 :Common.Credential $class(clear) $required;
  grantee @4 :Common.Principal $class(pseudonym) $required;
  scope @5 :List(Text) $class(scanned) $required;
  resources @6 :List(Text) $class(scanned);
  ttlSeconds @7 :UInt64 $class(clear) $required;
  expiresInSeconds @8 :UInt64 $class(clear);
  comment @9 :Text $class(personal) $subject(onBehalfOf);
}

struct ApprovalDecide {
  approvalId @0 :Text $class(id) $required;
  decision @1 :Common.Decision $class(clear) $required;
  comment @2 :Text $class(personal) $subject(actor);
  asAdministrator @3 :Bool $class(clear) $ledger;  # who decides is one: what erasing needs
}

struct PolicySetCommand {
  document @0 :Text $class(scanned) $limit(49152) $required;
}

struct WorkspaceCreate {
  workspaceId @0 :Text $class(id) $required;
  region @1 :Text $class(id);
}

struct WorkspaceClose {
  reason @0 :Text $class(personal) $subject(actor);
}

struct HoldPlace {
  # Of the workspace, unless one of subject and pseudonym names a person.
  holdId @0 :Text $class(id);
  subject @1 :Common.Principal $class(pseudonym);
  pseudonym @2 :Text $class(id);
  days @3 :UInt64 $class(clear);  # 0: until it is released
  reason @4 :Text $class(personal) $subject(actor);
  keyId @5 :Text $class(id) $ledger;  # the person's, hex
}

struct HoldRelease {
  holdId @0 :Text $class(id) $required;
  reason @1 :Text $class(personal) $subject(actor);
}

struct SubjectErase {
  # Exactly one of subject and pseudonym names the person; the pseudonym takes the subject's place.
  subject @0 :Common.Principal $class(pseudonym);
  pseudonym @1 :Text $class(id);
  approval @2 :Text $class(id);  # empty: one is asked for
  basis @3 :Text $class(id);
  keyId @4 :Text $class(id) $ledger;  # the person's, hex; empty: no such key is known
}

struct KeyRotate {
  purpose @0 :Text $class(id) $required;  # fingerprint or key_encryption
}

struct RetentionSetCommand {
  days @0 :UInt64 $class(clear);  # after the end of a month; 0: for ever
  reason @1 :Text $class(personal) $subject(actor);
}

struct WorkspaceErase {
  # Of the ledger's own workspace, as making one is.
  workspaceId @0 :Text $class(id) $required;
  approval @1 :Text $class(id);  # empty: one is asked for
  basis @2 :Text $class(id);
}

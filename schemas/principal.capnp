@0xd0a3f5c1e97b2c46;
# Structures shared by entries and commands.

using Cxx = import "/capnp/c++.capnp";
using import "annotations.capnp".class;
$Cxx.namespace("counterfoil::schema");

enum PrincipalKind {
  unspecified @0;
  human @1;
  agent @2;
  service @3;
  operator @4;
  ledger @5;
}

struct Principal {
  kind @0 :PrincipalKind $class(clear);
  id @1 :Text $class(id);  # of a human: a pseudonym once redacted
}

struct PolicyReference {
  name @0 :Text $class(id);
  version @1 :UInt64 $class(clear);
}

struct Count {
  name @0 :Text $class(id);
  count @1 :UInt64 $class(clear);
}

struct Evidence {
  seq @0 :UInt64 $class(clear);
  leafHash @1 :Data $class(clear);
}

enum Credential {
  unspecified @0;
  gitToken @1;
  toolToken @2;
  modelKey @3;
  cloudIdentity @4;
  gatewayBearer @5;
  channelToken @6;
  sidecarToken @7;
  sshCertificate @8;
  databaseUser @9;
  certificate @10;
  other @11;
}

enum Outcome {
  unspecified @0;
  ok @1;
  error @2;
  partial @3;
  issued @4;
  failed @5;
  revoked @6;
  irrevocable @7;
  denied @8;
  cancelled @9;
}

enum LeaseStep {
  unspecified @0;
  grant @1;
  issue @2;
  consume @3;
  renew @4;
}

enum ReasonCode {
  unspecified @0;
  # Why a lease was refused.
  policy @1;
  expired @2;
  revoked @3;
  usedUp @4;
  notActive @5;
  unknownLease @6;
  hostMismatch @7;
  scopeExceeded @8;
  ttlExceeded @9;
  approvalMissing @10;
  approvalRejected @11;
  workspaceClosed @12;
  upstreamRefused @13;
  # Why a lease expired.
  ttl @14;
  notIssued @15;
  parent @16;
  # Why a bundle was refused.
  unknownHost @17;
  wrongKey @18;
  retiredKey @19;
  alreadyUsed @20;
  rateLimited @21;
  workspaceNotReady @22;
  # Why something was revoked.
  operatorRequest @23;
  compromise @24;
  superseded @25;
  cascade @26;
  runEnded @27;
  bulk @28;
  other @29;
}

enum RevocationSelector {
  unspecified @0;
  run @1;
  host @2;
  principal @3;
  bundle @4;
  credential @5;
  parent @6;
}

enum Decision {
  unspecified @0;
  approved @1;
  rejected @2;
  expired @3;
}

enum VaultOperation {
  unspecified @0;
  set @1;
  rotate @2;
  softDelete @3;
  recover @4;
  purge @5;
}

enum TokenAudience {
  unspecified @0;
  operator @1;
  sidecar @2;
  gateway @3;
}

enum Severity {
  unspecified @0;
  info @1;
  low @2;
  medium @3;
  high @4;
  critical @5;
}

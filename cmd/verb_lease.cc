// `lease request | issued | consume | renew | revoke | revoke-all`. `show` and `list` are in verb_lease_read.cc.
#include <memory>

#include "cmd/command_writer.h"
#include "cmd/lease_plant.h"
#include "cmd/read_verbs.h"
#include "cmd/recorder.h"

namespace counterfoil::cmd {
namespace {

struct LeaseOptions {
  std::string id;  // idempotency key
  std::string lease, credential, credentialName, grantee, run, host, sandbox, ttl, renewableFor, parent, approval, reason, reasonCode,
      issuer, bundle;
  std::string operation, outcome, errorCode, upstreamId, principal, sourceAddress;
  std::vector<std::string> scope, resources;
  std::uint64_t maxUses = 0;
  bool secretStdin = false;
};

void addRequest(Verb lease, Program& program, const std::shared_ptr<LeaseOptions>& o) {
  Verb verb = lease.verb("request", "Ask for a lease: granted or denied by the workspace's policy");
  addCommonFlags(verb, program.common, true);
  verb.option("--credential", o->credential, "git_token, tool_token, model_key, cloud_identity, ...").required();
  verb.option("--name", o->credentialName, "Which credential, such as github.com/acme/shop");
  verb.option("--grantee", o->grantee, "Who gets it: kind:id, such as agent:fixer").required();
  verb.option("--scope", o->scope, "What it allows; repeatable").required();
  verb.option("--resource", o->resources, "What it reaches; repeatable");
  verb.option("--ttl", o->ttl, "How long, such as 15m").required();
  verb.option("--max-uses", o->maxUses, "Allowed uses; without it, what the policy gives");
  verb.option("--renewable-for", o->renewableFor, "Until when it may be renewed, such as 1h");
  verb.option("--run", o->run, "Run");
  verb.option("--host", o->host, "Host");
  verb.option("--sandbox", o->sandbox, "Sandbox");
  verb.option("--parent", o->parent, "Parent lease: this one ends with it");
  verb.option("--approval", o->approval, "Approval to use");
  verb.option("--issuer", o->issuer, "Who mints the credential");
  verb.option("--bundle", o->bundle, "Host bundle it belongs to");
  verb.option("--reason", o->reason, "Why; kept as a commitment, readable while the grantee's key exists");
  verb.option("--lease", o->lease, "Id of the lease; without it the ledger makes one");
  verb.flag("--secret-stdin", o->secretStdin, "The credential itself comes on standard input: granted and issued in one step");
  verb.option("--id", o->id, "UUIDv7 of this request; a repeat with the same id gets the first answer");
  verb.whenGiven([&program, o] {
    program.run = [&program, o] {
      return recordAndPrint(program.common, CommandWriter(CommandKind::leaseRequest)
                                                .id(o->id)
                                                .text(Field::leaseId, o->lease)
                                                .choice(Field::credential, o->credential, "--credential")
                                                .text(Field::credentialName, o->credentialName)
                                                .principal(Field::grantee, o->grantee, "--grantee")
                                                .texts(Field::scope, o->scope)
                                                .texts(Field::resources, o->resources)
                                                .duration(Field::ttlSeconds, o->ttl, "--ttl")
                                                .number(Field::maxUses, o->maxUses)
                                                .duration(Field::renewableForSeconds, o->renewableFor, "--renewable-for")
                                                .text(Field::run, o->run)
                                                .text(Field::host, o->host)
                                                .text(Field::sandbox, o->sandbox)
                                                .text(Field::parentLease, o->parent)
                                                .text(Field::approval, o->approval)
                                                .text(Field::issuer, o->issuer)
                                                .text(Field::bundleId, o->bundle)
                                                .text(Field::reason, o->reason)
                                                .secret(Field::secret, o->secretStdin)
                                                .take());
    };
  });
}

void addIssued(Verb lease, Program& program, const std::shared_ptr<LeaseOptions>& o) {
  Verb verb = lease.verb("issued", "Report that the credential was minted, or could not be");
  addCommonFlags(verb, program.common, true);
  verb.option("lease", o->lease, "Lease id").required();
  verb.option("--outcome", o->outcome, "issued or failed");
  verb.option("--upstream-id", o->upstreamId, "The credential's id at its issuer");
  verb.option("--error-code", o->errorCode, "The issuer's error");
  verb.flag("--secret-stdin", o->secretStdin, "The credential comes on standard input, to be kept as a fingerprint");
  verb.option("--id", o->id, "UUIDv7 of this request");
  verb.whenGiven([&program, o] {
    program.run = [&program, o] {
      return recordAndPrint(program.common, CommandWriter(CommandKind::leaseIssue)
                                                .id(o->id)
                                                .text(Field::leaseId, o->lease)
                                                .choice(Field::outcome, o->outcome, "--outcome")
                                                .text(Field::upstreamId, o->upstreamId)
                                                .text(Field::errorCode, o->errorCode)
                                                .secret(Field::secret, o->secretStdin)
                                                .take());
    };
  });
}

void addConsume(Verb lease, Program& program, const std::shared_ptr<LeaseOptions>& o) {
  Verb verb = lease.verb("consume", "Use a lease once");
  addCommonFlags(verb, program.common, true);
  verb.option("lease", o->lease, "Lease id").required();
  verb.option("--operation", o->operation, "What is done with it, such as git.clone");
  verb.option("--resource", o->resources, "What it is used on; repeatable");
  verb.option("--scope", o->scope, "Which of its scopes; repeatable");
  verb.option("--outcome", o->outcome, "ok, error or partial");
  verb.option("--error-code", o->errorCode, "The upstream's error");
  verb.option("--host", o->host, "Host");
  verb.option("--run", o->run, "Run");
  verb.option("--source-address", o->sourceAddress, "Where the use came from");
  verb.option("--id", o->id, "UUIDv7 of this request");
  verb.whenGiven([&program, o] {
    program.run = [&program, o] {
      return recordAndPrint(program.common, CommandWriter(CommandKind::leaseConsume)
                                                .id(o->id)
                                                .text(Field::leaseId, o->lease)
                                                .text(Field::operation, o->operation)
                                                .texts(Field::resources, o->resources)
                                                .texts(Field::scope, o->scope)
                                                .choice(Field::outcome, o->outcome, "--outcome")
                                                .text(Field::errorCode, o->errorCode)
                                                .text(Field::host, o->host)
                                                .text(Field::run, o->run)
                                                .text(Field::sourceAddress, o->sourceAddress)
                                                .take());
    };
  });
}

void addRenew(Verb lease, Program& program, const std::shared_ptr<LeaseOptions>& o) {
  Verb verb = lease.verb("renew", "Extend a lease, never past what it was granted with");
  addCommonFlags(verb, program.common, true);
  verb.option("lease", o->lease, "Lease id").required();
  verb.option("--ttl", o->ttl, "From now, such as 15m").required();
  verb.option("--id", o->id, "UUIDv7 of this request");
  verb.whenGiven([&program, o] {
    program.run = [&program, o] {
      return recordAndPrint(program.common, CommandWriter(CommandKind::leaseRenew)
                                                .id(o->id)
                                                .text(Field::leaseId, o->lease)
                                                .duration(Field::ttlSeconds, o->ttl, "--ttl")
                                                .take());
    };
  });
}

void addRevoke(Verb lease, Program& program, const std::shared_ptr<LeaseOptions>& o) {
  Verb verb = lease.verb("revoke", "End a lease and everything that hangs on it");
  addCommonFlags(verb, program.common, true);
  verb.option("lease", o->lease, "Lease id").required();
  verb.option("--reason-code", o->reasonCode, "operator_request, compromise, superseded, run_ended, other");
  verb.option("--reason", o->reason, "Why, in words");
  verb.option("--id", o->id, "UUIDv7 of this request");
  verb.whenGiven([&program, o] {
    program.run = [&program, o] {
      return recordAndPrint(program.common, CommandWriter(CommandKind::leaseRevoke)
                                                .id(o->id)
                                                .text(Field::leaseId, o->lease)
                                                .choice(Field::reasonCode, o->reasonCode, "--reason-code")
                                                .text(Field::reason, o->reason)
                                                .take());
    };
  });
}

void addRevokeAll(Verb lease, Program& program, const std::shared_ptr<LeaseOptions>& o) {
  Verb verb = lease.verb("revoke-all", "End every lease of a run, host, principal, bundle, credential or parent lease");
  addCommonFlags(verb, program.common, true);
  verb.option("--run", o->run, "Run");
  verb.option("--host", o->host, "Host");
  verb.option("--principal", o->principal, "kind:id");
  verb.option("--bundle", o->bundle, "Bundle");
  verb.option("--lease", o->lease, "Parent lease");
  verb.flag("--secret-stdin", o->secretStdin, "The credential, on standard input");
  verb.option("--reason-code", o->reasonCode, "compromise, operator_request, ...");
  verb.option("--reason", o->reason, "Why, in words");
  verb.option("--id", o->id, "UUIDv7 of this request");
  verb.whenGiven([&program, o] {
    program.run = [&program, o] {
      return recordAndPrint(program.common, CommandWriter(CommandKind::revokeAll)
                                                .id(o->id)
                                                .text(Field::run, o->run)
                                                .text(Field::host, o->host)
                                                .principal(Field::principal, o->principal, "--principal")
                                                .text(Field::bundle, o->bundle)
                                                .text(Field::lease, o->lease)
                                                .secret(Field::credential, o->secretStdin)
                                                .choice(Field::reasonCode, o->reasonCode, "--reason-code")
                                                .text(Field::reason, o->reason)
                                                .take());
    };
  });
}

}  // namespace

void addLease(Verb app, Program& program) {
  Verb lease = app.verb("lease", "Leases: request, issued, consume, renew, revoke, revoke-all, show, list, plant");
  lease.requireVerb();
  auto options = std::make_shared<LeaseOptions>();
  addRequest(lease, program, options);
  addIssued(lease, program, options);
  addConsume(lease, program, options);
  addRenew(lease, program, options);
  addRevoke(lease, program, options);
  addRevokeAll(lease, program, options);
  addLeaseReads(lease, program);
  addLeasePlant(lease, program);
}

}  // namespace counterfoil::cmd

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

void addRequest(CLI::App& lease, Program& program, const std::shared_ptr<LeaseOptions>& o) {
  CLI::App* verb = lease.add_subcommand("request", "Ask for a lease: granted or denied by the workspace's policy");
  addCommonFlags(*verb, program.common, true);
  verb->add_option("--credential", o->credential, "git_token, tool_token, model_key, cloud_identity, ...")->required();
  verb->add_option("--name", o->credentialName, "Which credential, such as github.com/acme/shop");
  verb->add_option("--grantee", o->grantee, "Who gets it: kind:id, such as agent:fixer")->required();
  verb->add_option("--scope", o->scope, "What it allows; repeatable")->required();
  verb->add_option("--resource", o->resources, "What it reaches; repeatable");
  verb->add_option("--ttl", o->ttl, "How long, such as 15m")->required();
  verb->add_option("--max-uses", o->maxUses, "Allowed uses; without it, what the policy gives");
  verb->add_option("--renewable-for", o->renewableFor, "Until when it may be renewed, such as 1h");
  verb->add_option("--run", o->run, "Run");
  verb->add_option("--host", o->host, "Host");
  verb->add_option("--sandbox", o->sandbox, "Sandbox");
  verb->add_option("--parent", o->parent, "Parent lease: this one ends with it");
  verb->add_option("--approval", o->approval, "Approval to use");
  verb->add_option("--issuer", o->issuer, "Who mints the credential");
  verb->add_option("--bundle", o->bundle, "Host bundle it belongs to");
  verb->add_option("--reason", o->reason, "Why; kept as a commitment, readable while the grantee's key exists");
  verb->add_option("--lease", o->lease, "Id of the lease; without it the ledger makes one");
  verb->add_flag("--secret-stdin", o->secretStdin, "The credential itself comes on standard input: granted and issued in one step");
  verb->add_option("--id", o->id, "UUIDv7 of this request; a repeat with the same id gets the first answer");
  verb->callback([&program, o] {
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

void addIssued(CLI::App& lease, Program& program, const std::shared_ptr<LeaseOptions>& o) {
  CLI::App* verb = lease.add_subcommand("issued", "Report that the credential was minted, or could not be");
  addCommonFlags(*verb, program.common, true);
  verb->add_option("lease", o->lease, "Lease id")->required();
  verb->add_option("--outcome", o->outcome, "issued or failed");
  verb->add_option("--upstream-id", o->upstreamId, "The credential's id at its issuer");
  verb->add_option("--error-code", o->errorCode, "The issuer's error");
  verb->add_flag("--secret-stdin", o->secretStdin, "The credential comes on standard input, to be kept as a fingerprint");
  verb->add_option("--id", o->id, "UUIDv7 of this request");
  verb->callback([&program, o] {
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

void addConsume(CLI::App& lease, Program& program, const std::shared_ptr<LeaseOptions>& o) {
  CLI::App* verb = lease.add_subcommand("consume", "Use a lease once");
  addCommonFlags(*verb, program.common, true);
  verb->add_option("lease", o->lease, "Lease id")->required();
  verb->add_option("--operation", o->operation, "What is done with it, such as git.clone");
  verb->add_option("--resource", o->resources, "What it is used on; repeatable");
  verb->add_option("--scope", o->scope, "Which of its scopes; repeatable");
  verb->add_option("--outcome", o->outcome, "ok, error or partial");
  verb->add_option("--error-code", o->errorCode, "The upstream's error");
  verb->add_option("--host", o->host, "Host");
  verb->add_option("--run", o->run, "Run");
  verb->add_option("--source-address", o->sourceAddress, "Where the use came from");
  verb->add_option("--id", o->id, "UUIDv7 of this request");
  verb->callback([&program, o] {
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

void addRenew(CLI::App& lease, Program& program, const std::shared_ptr<LeaseOptions>& o) {
  CLI::App* verb = lease.add_subcommand("renew", "Extend a lease, never past what it was granted with");
  addCommonFlags(*verb, program.common, true);
  verb->add_option("lease", o->lease, "Lease id")->required();
  verb->add_option("--ttl", o->ttl, "From now, such as 15m")->required();
  verb->add_option("--id", o->id, "UUIDv7 of this request");
  verb->callback([&program, o] {
    program.run = [&program, o] {
      return recordAndPrint(program.common, CommandWriter(CommandKind::leaseRenew)
                                                .id(o->id)
                                                .text(Field::leaseId, o->lease)
                                                .duration(Field::ttlSeconds, o->ttl, "--ttl")
                                                .take());
    };
  });
}

void addRevoke(CLI::App& lease, Program& program, const std::shared_ptr<LeaseOptions>& o) {
  CLI::App* verb = lease.add_subcommand("revoke", "End a lease and everything that hangs on it");
  addCommonFlags(*verb, program.common, true);
  verb->add_option("lease", o->lease, "Lease id")->required();
  verb->add_option("--reason-code", o->reasonCode, "operator_request, compromise, superseded, run_ended, other");
  verb->add_option("--reason", o->reason, "Why, in words");
  verb->add_option("--id", o->id, "UUIDv7 of this request");
  verb->callback([&program, o] {
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

void addRevokeAll(CLI::App& lease, Program& program, const std::shared_ptr<LeaseOptions>& o) {
  CLI::App* verb = lease.add_subcommand("revoke-all", "End every lease of a run, host, principal, bundle, credential or parent lease");
  addCommonFlags(*verb, program.common, true);
  verb->add_option("--run", o->run, "Run");
  verb->add_option("--host", o->host, "Host");
  verb->add_option("--principal", o->principal, "kind:id");
  verb->add_option("--bundle", o->bundle, "Bundle");
  verb->add_option("--lease", o->lease, "Parent lease");
  verb->add_flag("--secret-stdin", o->secretStdin, "The credential, on standard input");
  verb->add_option("--reason-code", o->reasonCode, "compromise, operator_request, ...");
  verb->add_option("--reason", o->reason, "Why, in words");
  verb->add_option("--id", o->id, "UUIDv7 of this request");
  verb->callback([&program, o] {
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

void addLease(CLI::App& app, Program& program) {
  CLI::App* lease = app.add_subcommand("lease", "Leases: request, issued, consume, renew, revoke, revoke-all, show, list, plant");
  lease->require_subcommand(1);
  auto options = std::make_shared<LeaseOptions>();
  addRequest(*lease, program, options);
  addIssued(*lease, program, options);
  addConsume(*lease, program, options);
  addRenew(*lease, program, options);
  addRevoke(*lease, program, options);
  addRevokeAll(*lease, program, options);
  addLeaseReads(*lease, program);
  addLeasePlant(*lease, program);
}

}  // namespace counterfoil::cmd

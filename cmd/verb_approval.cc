// `approval request | decide | list`.
#include "cmd/command_writer.h"
#include "cmd/output.h"
#include "cmd/read_verbs.h"
#include "cmd/recorder.h"

namespace counterfoil::cmd {
namespace {

struct ApprovalOptions {
  std::string id, approval, credential, grantee, onBehalfOf, operation, ttl, expiresIn, comment, decision;
  std::vector<std::string> scope, resources;
};

void addApprovalRequest(Verb approval, Program& program, const std::shared_ptr<ApprovalOptions>& o) {
  Verb verb = approval.verb("request", "Ask that one lease request be approved");
  addCommonFlags(verb, program.common, true);
  verb.option("--credential", o->credential, "git_token, ...; as the lease request will say").required();
  verb.option("--grantee", o->grantee, "kind:id").required();
  verb.option("--scope", o->scope, "Repeatable").required();
  verb.option("--resource", o->resources, "Repeatable");
  verb.option("--ttl", o->ttl, "As the lease request will say").required();
  verb.option("--on-behalf-of", o->onBehalfOf, "kind:id of the person it is for");
  verb.option("--operation", o->operation, "What it is for");
  verb.option("--expires-in", o->expiresIn, "Until when it may be used (default 1h)");
  verb.option("--comment", o->comment, "For the one who decides");
  verb.option("--approval", o->approval, "Id; without it the ledger makes one");
  verb.option("--id", o->id, "UUIDv7 of this request");
  verb.whenGiven([&program, o] {
    program.run = [&program, o] {
      return recordAndPrint(program.common, CommandWriter(CommandKind::approvalRequest)
                                                .id(o->id)
                                                .text(Field::approvalId, o->approval)
                                                .choice(Field::credential, o->credential, "--credential")
                                                .principal(Field::grantee, o->grantee, "--grantee")
                                                .texts(Field::scope, o->scope)
                                                .texts(Field::resources, o->resources)
                                                .duration(Field::ttlSeconds, o->ttl, "--ttl")
                                                .principal(Field::onBehalfOf, o->onBehalfOf, "--on-behalf-of")
                                                .text(Field::operation, o->operation)
                                                .duration(Field::expiresInSeconds, o->expiresIn, "--expires-in")
                                                .text(Field::comment, o->comment)
                                                .take());
    };
  });
}

void addDecide(Verb approval, Program& program, const std::shared_ptr<ApprovalOptions>& o) {
  Verb verb = approval.verb("decide", "Approve or reject; who asked cannot approve");
  addCommonFlags(verb, program.common, true);
  verb.option("approval", o->approval, "Id").required();
  verb.option("decision", o->decision, "approved or rejected").required();
  verb.option("--comment", o->comment, "Why");
  verb.option("--id", o->id, "UUIDv7 of this request");
  verb.whenGiven([&program, o] {
    program.run = [&program, o] {
      return recordAndPrint(program.common, CommandWriter(CommandKind::approvalDecide)
                                                .id(o->id)
                                                .text(Field::approvalId, o->approval)
                                                .choice(Field::decision, o->decision, "decision")
                                                .text(Field::comment, o->comment)
                                                .take());
    };
  });
}

}  // namespace

void addApproval(Verb app, Program& program) {
  Verb verb = app.verb("approval", "Approvals: request, decide, list");
  verb.requireVerb();
  auto options = std::make_shared<ApprovalOptions>();
  addApprovalRequest(verb, program, options);
  addDecide(verb, program, options);
  addApprovalList(verb, program);
}

}  // namespace counterfoil::cmd

// `erase subject | workspace`.
#include "cmd/command_writer.h"
#include "cmd/output.h"
#include "cmd/recorder.h"

namespace counterfoil::cmd {
namespace {

struct EraseOptions {
  std::string id, subject, pseudonym, workspace, approval, basis;
};

void addShared(Verb& verb, const std::shared_ptr<EraseOptions>& o) {
  verb.option("--approval", o->approval, "Id of the approval, once it was given");
  verb.option("--basis", o->basis, "What it rests on, such as a ticket or an article of the law, for the record");
  verb.option("--id", o->id, "UUIDv7 of this request");
}

void addSubject(Verb erase, Program& program, const std::shared_ptr<EraseOptions>& o) {
  Verb verb = erase.verb("subject", "Asks for another administrator's approval; with --approval it destroys the person's key");
  addCommonFlags(verb, program.common, true);
  verb.option("--subject", o->subject, "kind:id of the person");
  verb.option("--pseudonym", o->pseudonym, "The same by the pseudonym that entries show");
  addShared(verb, o);
  verb.whenGiven([&program, o] {
    program.run = [&program, o] {
      return recordAndPrint(program.common, CommandWriter(CommandKind::subjectErase)
                                                .id(o->id)
                                                .principal(Field::subject, o->subject, "--subject")
                                                .text(Field::pseudonym, o->pseudonym)
                                                .text(Field::approval, o->approval)
                                                .text(Field::basis, o->basis)
                                                .take());
    };
  });
}

void addWorkspaceErase(Verb erase, Program& program, const std::shared_ptr<EraseOptions>& o) {
  Verb verb = erase.verb("workspace", "Asks for another administrator's approval; with --approval all keys of the workspace are destroyed");
  addCommonFlags(verb, program.common, false);
  verb.option("workspace", o->workspace, "Its id").required();
  addShared(verb, o);
  verb.whenGiven([&program, o] {
    program.run = [&program, o] {
      CommonOptions ofSystem = program.common;
      ofSystem.workspace = "_system";
      return recordAndPrint(ofSystem, CommandWriter(CommandKind::workspaceErase)
                                          .id(o->id)
                                          .text(Field::workspaceId, o->workspace)
                                          .text(Field::approval, o->approval)
                                          .text(Field::basis, o->basis)
                                          .take());
    };
  });
}

}  // namespace

void addErase(Verb app, Program& program) {
  Verb erase = app.verb("erase", "Erase a person, or a whole workspace: destroy the keys of what was recorded");
  erase.requireVerb();
  auto options = std::make_shared<EraseOptions>();
  addSubject(erase, program, options);
  addWorkspaceErase(erase, program, options);
}

}  // namespace counterfoil::cmd

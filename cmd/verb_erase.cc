// `erase subject`.
#include "cmd/command_writer.h"
#include "cmd/output.h"
#include "cmd/recorder.h"

namespace counterfoil::cmd {
namespace {

struct EraseOptions {
  std::string id, subject, pseudonym, approval, basis;
};

}  // namespace

void addErase(Verb app, Program& program) {
  Verb erase = app.verb("erase", "Erase a person: destroy the key of every personal value");
  erase.requireVerb();
  Verb verb = erase.verb("subject", "Asks for another administrator's approval; with --approval it destroys the person's key");
  addCommonFlags(verb, program.common, true);
  auto o = std::make_shared<EraseOptions>();
  verb.option("--subject", o->subject, "kind:id of the person");
  verb.option("--pseudonym", o->pseudonym, "The same by the pseudonym that entries show");
  verb.option("--approval", o->approval, "Id of the approval, once it was given");
  verb.option("--basis", o->basis, "What it rests on, such as a ticket or an article of the law, for the record");
  verb.option("--id", o->id, "UUIDv7 of this request");
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

}  // namespace counterfoil::cmd

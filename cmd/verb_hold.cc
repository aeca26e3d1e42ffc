// `hold place | release | list`.
#include "cmd/command_writer.h"
#include "cmd/output.h"
#include "cmd/read_verbs.h"
#include "cmd/recorder.h"

namespace counterfoil::cmd {
namespace {

struct HoldOptions {
  std::string id, hold, subject, pseudonym, reason;
  std::uint64_t days = 0;
};

void addPlace(Verb hold, Program& program, const std::shared_ptr<HoldOptions>& o) {
  Verb verb = hold.verb("place", "Forbid to erase a person, or anything of the workspace");
  addCommonFlags(verb, program.common, true);
  verb.option("--subject", o->subject, "kind:id of the person; without it the whole workspace");
  verb.option("--pseudonym", o->pseudonym, "The same by the pseudonym that entries show");
  verb.option("--days", o->days, "How long it stands (default: until it is released)");
  verb.option("--reason", o->reason, "Why");
  verb.option("--hold", o->hold, "Id; without it the ledger makes one");
  verb.option("--id", o->id, "UUIDv7 of this request");
  verb.whenGiven([&program, o] {
    program.run = [&program, o] {
      return recordAndPrint(program.common, CommandWriter(CommandKind::holdPlace)
                                                .id(o->id)
                                                .text(Field::holdId, o->hold)
                                                .principal(Field::subject, o->subject, "--subject")
                                                .text(Field::pseudonym, o->pseudonym)
                                                .number(Field::days, o->days)
                                                .text(Field::reason, o->reason)
                                                .take());
    };
  });
}

void addRelease(Verb hold, Program& program, const std::shared_ptr<HoldOptions>& o) {
  Verb verb = hold.verb("release", "Release a hold");
  addCommonFlags(verb, program.common, true);
  verb.option("hold", o->hold, "Id").required();
  verb.option("--reason", o->reason, "Why");
  verb.option("--id", o->id, "UUIDv7 of this request");
  verb.whenGiven([&program, o] {
    program.run = [&program, o] {
      return recordAndPrint(
          program.common,
          CommandWriter(CommandKind::holdRelease).id(o->id).text(Field::holdId, o->hold).text(Field::reason, o->reason).take());
    };
  });
}

}  // namespace

void addHold(Verb app, Program& program) {
  Verb verb = app.verb("hold", "What may not be erased: place, release, list");
  verb.requireVerb();
  auto options = std::make_shared<HoldOptions>();
  addPlace(verb, program, options);
  addRelease(verb, program, options);
  addHoldList(verb, program);
}

}  // namespace counterfoil::cmd

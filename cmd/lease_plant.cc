#include "cmd/lease_plant.h"

#include <memory>

#include "cmd/input.h"
#include "cmd/json_text.h"
#include "cmd/output.h"
#include "cmd/recorder.h"
#include "ledger/core/encoding.h"
#include "ledger/core/json.h"

namespace counterfoil::cmd {
namespace {

struct PlantOptions {
  std::string credential = "other";
  std::string name;
  std::string place;
};

// A made-up credential, recorded as a reported lease without an end and known to the scanner by its fingerprint: whoever uses it, or writes
// it into any text that reaches the ledger, shows on the record. The value is printed once and kept nowhere.
int plant(const CommonOptions& common, const PlantOptions& options) {
  crypto::SystemRandom random;
  const Timestamp now = SystemClock().wall();
  std::string value = "cfd_" + toBase64Url(random.bytes<24>());
  const std::string leaseId = "decoy-" + toUuid(makeUuidV7(now, random.bytes<10>()));
  Event fact = Event::make(Kind::leaseGranted);
  Arena& arena = fact.arena;
  fact.common.setText(arena, Field::producer, "decoys");
  fact.body.setText(arena, Field::leaseId, leaseId);
  fact.body.setNumber(Field::credential, enumNumber(fact.body, Field::credential, options.credential, "--credential"));
  fact.body.setText(arena, Field::credentialName, options.name);
  fact.body.setTime(Field::issuedAt, now);
  fact.body.setText(arena, Field::reason, options.place);
  setPrincipal(arena, fact.body, Field::grantee, {PrincipalKind::service, "decoy"});
  fact.body.setText(arena, Field::secret, value);
  fact.body.at(Field::secret).secretForm = SecretForm::value;
  Recorder recorder(common);
  const std::string answer = recorder.append(std::move(fact));
  recorder.close();
  const std::string seq(rawMember(rawMember(answer, "receipt"), "seq"));
  if (common.json) {
    std::string out;
    JsonObject object(out);
    object.text("leaseId", leaseId).text("value", value).raw("seq", seq);
    object.end();
    print(out);
    crypto::wipe(out.data(), out.size());
  } else {
    print(value);
    note(common, "planted as lease " + leaseId + ", seq " + seq + "; the value above is shown this once");
  }
  crypto::wipe(value.data(), value.size());
  return 0;
}

}  // namespace

void addLeasePlant(Verb lease, Program& program) {
  Verb verb = lease.verb("plant", "Make a decoy credential: its use, or its text anywhere, shows on the record");
  addCommonFlags(verb, program.common, true);
  auto options = std::make_shared<PlantOptions>();
  verb.option("--credential", options->credential, "What it looks like: git_token, model_key, ...").showDefault();
  verb.option("--name", options->name, "Its name, such as ci/deploy-key").required();
  verb.option("--place", options->place, "Where it is put; kept as a commitment");
  verb.whenGiven([&program, options] { program.run = [&program, options] { return plant(program.common, *options); }; });
}

}  // namespace counterfoil::cmd

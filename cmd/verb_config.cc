// `config`: what is in force and where it came from.
#include "cmd/config.h"
#include "cmd/output.h"
#include "ledger/core/json.h"

namespace counterfoil::cmd {
namespace {

int showConfig(const CommonOptions& common) {
  const Config config = readConfig(common);
  if (common.json) {
    for (const Setting& setting : config.settings) {
      std::string out;
      JsonObject object(out);
      object.text("name", setting.name).text("value", setting.value).text("from", setting.from);
      object.end();
      print(out);
    }
    return 0;
  }
  Table table({"SETTING", "VALUE", "FROM", ""});
  table.row({"data", config.data.string(), "flag or default", "Data folder"});
  for (const Setting& setting : config.settings) table.row({setting.name, setting.value, setting.from, setting.description});
  table.print(common);
  return 0;
}

}  // namespace

void addConfig(Verb app, Program& program) {
  Verb verb = app.verb("config", "Settings in force, and where they came from");
  addCommonFlags(verb, program.common, false);
  verb.whenGiven([&program] { program.run = [&program] { return showConfig(program.common); }; });
}

}  // namespace counterfoil::cmd

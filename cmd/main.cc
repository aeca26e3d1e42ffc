// The one program. Parses the command line, runs one verb, turns what it throws into one clear error and an exit status.
#include <algorithm>
#include <csignal>
#include <exception>
#include <iostream>

#include "cmd/options.h"
#include "cmd/output.h"
#include "cmd/version.h"
#include "ledger/core/outcome.h"

namespace counterfoil::cmd {

void addCommonFlags(CLI::App& verb, CommonOptions& common, bool workspaceNeeded) {
  verb.add_option("--data", common.data, "Data folder")->envname("COUNTERFOIL_DATA")->capture_default_str();
  if (workspaceNeeded) verb.add_option("--workspace,-w", common.workspace, "Workspace id")->envname("COUNTERFOIL_WORKSPACE")->required();
  verb.add_option("--url", common.url,
                  "Server to talk to, such as https://ledger.example.com:8780; else the one of the data folder, if any")
      ->envname("COUNTERFOIL_URL");
  verb.add_option("--token-file", common.tokenFile, "File with a token for it; COUNTERFOIL_TOKEN may hold the token itself");
  verb.add_option("--ca", common.authorities, "PEM file of authorities that vouch for its certificate")->envname("COUNTERFOIL_CA");
  verb.add_flag("--json", common.json, "Print JSON, lists as one object per line");
  verb.add_flag("--quiet,-q", common.quiet, "Print nothing but results and errors");
  verb.add_flag("--no-color", common.noColor, "No colours, also on a terminal");
}

namespace {

// The parser quotes what was typed, and that may be a secret in the wrong place: only its sentences without values are passed on.
Fault usageFault(const CLI::ParseError& error) {
  const char* hint = "run it with --help";
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) return Fault(ErrorCode::usage, error.what(), hint);
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) return Fault(ErrorCode::usage, "an argument was not expected here", hint);
  return Fault(ErrorCode::usage, "an argument has a value that it cannot have, or none", hint);
}

int run(int argc, char** argv) {
  CLI::App app{"Counterfoil: the audit and lease ledger that keeps the stub of every credential lease, and never the credential."};
  app.name("counterfoil");
  app.set_version_flag("--version", std::string(kVersion));
  app.require_subcommand(1);
  Program program;
  addInit(app, program);
  addWorkspace(app, program);
  addPolicy(app, program);
  addApproval(app, program);
  addLease(app, program);
  addFact(app, program);
  addImport(app, program);
  addEntries(app, program);
  addTail(app, program);
  addQuery(app, program);
  addVerify(app, program);
  addRebuild(app, program);
  addDemo(app, program);
  addBench(app, program);
  addDoctor(app, program);
  addConfig(app, program);
  addServe(app, program);
  addToken(app, program);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    const bool json = std::find(argv, argv + argc, std::string_view("--json")) != argv + argc;
    program.common.json = program.common.json || json;
    printFault(usageFault(error), program.common);
    return factsOf(ErrorCode::usage).exitStatus;
  }
  try {
    return program.run();
  } catch (const Fault& fault) {
    printFault(fault, program.common);
    return factsOf(fault.code()).exitStatus;
  } catch (const std::exception&) {
    // What other libraries throw may quote values: only the fact is told.
    const Fault fault(ErrorCode::internal, "something unexpected failed",
                      "run `counterfoil doctor`; if it finds nothing, report the command and its version");
    printFault(fault, program.common);
    return factsOf(ErrorCode::internal).exitStatus;
  }
}

}  // namespace
}  // namespace counterfoil::cmd

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  std::ios::sync_with_stdio(false);
  return counterfoil::cmd::run(argc, argv);
}

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

void addCommonFlags(Verb verb, CommonOptions& common, bool workspaceNeeded) {
  verb.option("--data", common.data, "Data folder").environment("COUNTERFOIL_DATA").showDefault();
  if (workspaceNeeded) verb.option("--workspace,-w", common.workspace, "Workspace id").environment("COUNTERFOIL_WORKSPACE").required();
  verb.option("--url", common.url, "Server to talk to, such as https://ledger.example.com:8780; else the one of the data folder, if any")
      .environment("COUNTERFOIL_URL");
  verb.option("--token-file", common.tokenFile, "File with a token for it; COUNTERFOIL_TOKEN may hold the token itself");
  verb.option("--ca", common.authorities, "PEM file of authorities that vouch for its certificate").environment("COUNTERFOIL_CA");
  verb.flag("--json", common.json, "Print JSON, lists as one object per line");
  verb.flag("--quiet,-q", common.quiet, "Print nothing but results and errors");
  verb.flag("--no-color", common.noColor, "No colours, also on a terminal");
}

namespace {

void declare(Verb app, Program& program) {
  addInit(app, program);
  addWorkspace(app, program);
  addPolicy(app, program);
  addApproval(app, program);
  addLease(app, program);
  addHold(app, program);
  addErase(app, program);
  addRetention(app, program);
  addKey(app, program);
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
}

int run(int argc, char** argv) {
  Program program;
  const Parsed parsed = parseCommandLine(
      argc, argv, "Counterfoil: the audit and lease ledger that keeps the stub of every credential lease, and never the credential.",
      std::string(kVersion), [&program](Verb app) { declare(app, program); });
  if (parsed.exitStatus) return *parsed.exitStatus;
  if (parsed.problem) {
    program.common.json = program.common.json || std::find(argv, argv + argc, std::string_view("--json")) != argv + argc;
    printFault(Fault(ErrorCode::usage, *parsed.problem, "run it with --help"), program.common);
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

// What every verb shares: the common flags, and how a verb is added to the program.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace counterfoil::cmd {

struct CommonOptions {
  std::string data = "./var";
  std::string workspace;
  // The server, for verbs that may talk to one (server_link.h).
  std::string url;
  std::string tokenFile;
  std::string authorities;  // PEM file
  bool json = false;
  bool quiet = false;
  bool noColor = false;
};

// What main() runs after parsing: set by the verb that was named. Its result is the exit status (INTERFACE: exit status).
struct Program {
  CommonOptions common;
  std::function<int()> run;
};

// Adds --data, --url, --token-file, --ca, --json, --quiet, --no-color, and --workspace where the verb works on one.
void addCommonFlags(CLI::App& verb, CommonOptions& common, bool workspaceNeeded);

// One function per verb, each in its own file.
void addInit(CLI::App& app, Program& program);
void addWorkspace(CLI::App& app, Program& program);
void addPolicy(CLI::App& app, Program& program);
void addApproval(CLI::App& app, Program& program);
void addLease(CLI::App& app, Program& program);
void addFact(CLI::App& app, Program& program);
void addImport(CLI::App& app, Program& program);
void addEntries(CLI::App& app, Program& program);
void addTail(CLI::App& app, Program& program);
void addQuery(CLI::App& app, Program& program);
void addVerify(CLI::App& app, Program& program);
void addRebuild(CLI::App& app, Program& program);
void addDemo(CLI::App& app, Program& program);
void addBench(CLI::App& app, Program& program);
void addDoctor(CLI::App& app, Program& program);
void addConfig(CLI::App& app, Program& program);
void addServe(CLI::App& app, Program& program);
void addToken(CLI::App& app, Program& program);

}  // namespace counterfoil::cmd

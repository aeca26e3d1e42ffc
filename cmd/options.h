// What every verb shares: the common flags, and how a verb is added to the program.
#pragma once

#include <functional>
#include <string>

#include "cmd/verb.h"

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
void addCommonFlags(Verb verb, CommonOptions& common, bool workspaceNeeded);

// One function per verb, each in its own file.
void addInit(Verb app, Program& program);
void addWorkspace(Verb app, Program& program);
void addPolicy(Verb app, Program& program);
void addApproval(Verb app, Program& program);
void addErase(Verb app, Program& program);
void addHold(Verb app, Program& program);
void addKey(Verb app, Program& program);
void addRetention(Verb app, Program& program);
void addLease(Verb app, Program& program);
void addFact(Verb app, Program& program);
void addImport(Verb app, Program& program);
void addEntries(Verb app, Program& program);
void addTail(Verb app, Program& program);
void addQuery(Verb app, Program& program);
void addVerify(Verb app, Program& program);
void addRebuild(Verb app, Program& program);
void addDemo(Verb app, Program& program);
void addBench(Verb app, Program& program);
void addDoctor(Verb app, Program& program);
void addConfig(Verb app, Program& program);
void addServe(Verb app, Program& program);
void addToken(Verb app, Program& program);

}  // namespace counterfoil::cmd

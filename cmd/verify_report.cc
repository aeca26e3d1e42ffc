#include "cmd/verify_report.h"

#include "cmd/output.h"
#include "ledger/core/encoding.h"
#include "ledger/core/json.h"

namespace counterfoil::cmd {
namespace {

constexpr std::string_view kAssurance = "tamper-detecting, not anchored";

std::string idOf(const VerifyOutcome& outcome, std::uint64_t number) {
  if (number == 0) return "_system";
  const auto found = outcome.workspaceIds.find(number);
  return found == outcome.workspaceIds.end() ? "#" + std::to_string(number) : found->second;
}

std::vector<CopyProblem> allProblems(const VerifyOutcome& outcome) {
  std::vector<CopyProblem> all;
  for (const VerifyProblem& problem : outcome.report.problems) {
    all.push_back({"log", problem.workspace.value, problem.seq, problem.what, problem.expected, problem.found});
  }
  all.insert(all.end(), outcome.problems.begin(), outcome.problems.end());
  if (outcome.unreadable)
    all.push_back({"log", 0, 0, outcome.unreadable->detail(), "a log that can be read to its end",
                   std::string(factsOf(outcome.unreadable->code()).text)});
  return all;
}

std::string listJson(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    appendJsonString(text, out);
  }
  return out + "]";
}

std::string reportJson(const VerifyOutcome& outcome) {
  std::string workspaces = "[";
  for (const auto& [number, workspace] : outcome.report.workspaces) {
    if (workspaces.size() > 1) workspaces += ',';
    JsonObject object(workspaces);
    object.text("workspace", idOf(outcome, number))
        .number("number", number)
        .number("size", workspace.tree.size())
        .text("root", toHex(workspace.tree.root()));
    if (workspace.erased != 0) object.number("erased", workspace.erased);
    if (workspace.notChecked != 0) object.number("notChecked", workspace.notChecked);
    if (workspace.unknownKinds != 0) object.number("unknownKinds", workspace.unknownKinds);
    object.end();
  }
  workspaces += ']';
  std::string problems = "[";
  for (const CopyProblem& problem : allProblems(outcome)) {
    if (problems.size() > 1) problems += ',';
    JsonObject object(problems);
    object.text("copy", problem.copy).text("workspace", idOf(outcome, problem.workspace)).number("seq", problem.seq);
    object.text("what", problem.what).text("expected", problem.expected).text("found", problem.found);
    object.end();
  }
  problems += ']';
  std::string out;
  JsonObject object(out);
  object.boolean("ok", outcome.ok()).number("entries", outcome.report.entries).raw("workspaces", workspaces);
  object.raw("checked", listJson(outcome.checked)).raw("notChecked", listJson(outcome.notChecked)).raw("problems", problems);
  object.text("assurance", kAssurance);
  object.end();
  return out;
}

}  // namespace

void printVerifyOutcome(const CommonOptions& common, const VerifyOutcome& outcome) {
  if (common.json) {
    print(reportJson(outcome));
    return;
  }
  if (!common.quiet) {
    Table table({"WORKSPACE", "NUMBER", "ENTRIES", "ROOT"});
    for (const auto& [number, workspace] : outcome.report.workspaces) {
      table.row({idOf(outcome, number), std::to_string(number), grouped(workspace.tree.size()), toHex(workspace.tree.root())});
    }
    table.print(common);
  }
  for (const CopyProblem& problem : allProblems(outcome)) {
    std::string line = "problem: " + problem.copy + ", workspace " + idOf(outcome, problem.workspace) + ", seq " +
                       std::to_string(problem.seq) + ": " + problem.what;
    if (!problem.expected.empty()) line += "; expected " + problem.expected;
    if (!problem.found.empty()) line += ", found " + problem.found;
    print(visible(line));
  }
  const auto join = [](const std::vector<std::string>& texts) {
    std::string out;
    for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + text;
    return out;
  };
  print((outcome.ok() ? "verified: " : "DOES NOT VERIFY: ") + grouped(outcome.report.entries) + " entries; checked " +
        join(outcome.checked) + (outcome.notChecked.empty() ? "" : "; not checked: " + join(outcome.notChecked)) +
        "; assurance: " + std::string(kAssurance));
}

}  // namespace counterfoil::cmd

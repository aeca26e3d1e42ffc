// `import cloudtrail PATH...`: other systems' audit records as facts.
#include "cmd/import_run.h"
#include "cmd/import_upload.h"
#include "cmd/output.h"
#include "cmd/server_link.h"
#include "ledger/core/json.h"
#include "ledger/importers/cloudtrail.h"

namespace counterfoil::cmd {
namespace {

std::string resultJson(const importers::ImportSummary& summary, const ImportResult& result) {
  std::string byKind;
  JsonObject kinds(byKind);
  for (const auto& [kind, count] : result.byKind) kinds.number(kind, count);
  kinds.end();
  std::string out;
  JsonObject object(out);
  object.number("read", summary.read).number("recorded", result.recorded).number("duplicates", summary.duplicates + result.duplicates);
  object.number("skipped", summary.skipped).number("failed", summary.failed + result.failed).raw("byKind", byKind);
  object.number("withoutKey", summary.withoutKey);
  object.end();
  return out;
}

void printResult(const CommonOptions& common, const importers::ImportSummary& summary, const ImportResult& result) {
  for (const importers::ImportProblem& problem : summary.problems) {
    std::string line =
        problem.file + ", byte " + std::to_string(problem.offset) + ": " + std::string(factsOf(problem.code).text) + ": " + problem.detail;
    note(common, line);
  }
  for (const auto& [code, count] : result.refusals) note(common, grouped(count) + " facts refused: " + code);
  if (common.json) {
    print(resultJson(summary, result));
    return;
  }
  print("read " + grouped(summary.read) + " records; recorded " + grouped(result.recorded) + " facts; " +
        grouped(summary.duplicates + result.duplicates) + " known already; " + grouped(summary.skipped) + " records skipped; " +
        grouped(summary.failed + result.failed) + " failed; " + grouped(summary.withoutKey) + " records name no credential");
  Table table({"KIND", "ENTRIES"});
  for (const auto& [kind, count] : result.byKind) table.row({kind, grouped(count)});
  table.print(common);
}

int importCloudTrail(const CommonOptions& common, const std::vector<std::string>& paths) {
  std::optional<Progress> progress;
  const auto report = [&](const importers::ImportProgress& at) {
    if (at.phase != importers::ImportProgress::Phase::importing) return;
    if (!progress) progress.emplace(common, "import", at.total);
    progress->update(at.done);
  };
  // `run`: an ImportRun or an ImportUpload. Both give the same result.
  const auto importBy = [&](auto& run) {
    importers::CloudTrailImporter importer({paths.begin(), paths.end()}, run.knownLease(), report);
    const ImportResult result = run.run(importer);
    progress.reset();
    return std::pair(importer.summary(), result);
  };
  std::pair<importers::ImportSummary, ImportResult> done;
  const std::string source(importers::kCloudTrailSource);
  if (const auto server = ServerLink::find(common)) {
    ImportUpload run(common, *server, source);
    done = importBy(run);
  } else {
    Session session(common, Access::write);
    ImportRun run(session, source);
    done = importBy(run);
    session.close();
  }
  const auto& [summary, result] = done;
  printResult(common, summary, result);
  return summary.failed + result.failed == 0 ? 0 : 2;
}

}  // namespace

void addImport(Verb app, Program& program) {
  Verb verb = app.verb("import", "Audit records of other systems, as facts");
  verb.requireVerb();
  auto paths = std::make_shared<std::vector<std::string>>();
  Verb cloudtrail = verb.verb("cloudtrail", "AWS CloudTrail log files (.json, .json.gz, folders)");
  addCommonFlags(cloudtrail, program.common, true);
  cloudtrail.option("paths", *paths, "Files or folders").required();
  cloudtrail.whenGiven([&program, paths] { program.run = [&program, paths] { return importCloudTrail(program.common, *paths); }; });
}

}  // namespace counterfoil::cmd

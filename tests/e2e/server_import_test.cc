// `import` through a running server: the same record and the same summary as into a folder, whatever breaks off on the way.
#include <gtest/gtest.h>

#include "tests/e2e/cloudtrail_sample.h"
#include "tests/e2e/many_clients.h"
#include "tests/e2e/running_server.h"

namespace counterfoil::test {
namespace {

constexpr const char* kImports = "/v1/workspaces/w1/imports";

// A record of CloudTrail in which somebody uses a long-lived key.
std::string useOf(const std::string& eventId, const std::string& key, const std::string& time = "2023-07-10T11:00:00Z") {
  return R"({"eventVersion":"1.08","eventID":")" + eventId + R"(","eventTime":")" + time +
         R"(","eventSource":"ec2.amazonaws.com","eventName":"RunInstances","recipientAccountId":"111122223333","sourceIPAddress":"192.0.2.7",)"
         R"("userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/alice","accessKeyId":")" +
         key + "\"}}";
}

// One in which a service is given a key for an hour.
std::string grantOf(const std::string& eventId, const std::string& key) {
  return R"({"eventVersion":"1.08","eventID":")" + eventId +
         R"(","eventTime":"2023-07-10T10:00:00Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRole",)"
         R"("recipientAccountId":"111122223333","userIdentity":{"type":"AWSService","invokedBy":"ec2.amazonaws.com"},)"
         R"("requestParameters":{"roleArn":"arn:aws:iam::111122223333:role/builder","durationSeconds":3600},)"
         R"("responseElements":{"credentials":{"accessKeyId":")" +
         key + R"(","expiration":"Jul 10, 2023, 11:00:00 AM"}}})";
}

class ServerImport : public testing::Test {
 protected:
  static std::vector<std::string> words(const std::string& path) { return {"import", "cloudtrail", path, "-q"}; }

  std::string fileOf(const std::string& name, const std::vector<std::string>& records) {
    std::string text;
    for (const std::string& record : records) text += (text.empty() ? "" : ",") + record;
    const std::filesystem::path path = folder_.path() / name;
    writeBytes(path, "{\"Records\":[" + text + "]}");
    return path.string();
  }
  static ImportedRecord recordOf(const LedgerFolder& ledger) {
    const Result listed = ledger.in({"entries", "--all"});
    EXPECT_EQ(listed.status, 0) << listed;
    return ImportedRecord(listed.lines());
  }
  // The sample's record in a folder of its own.
  static ImportedRecord fromFolder(const std::string& path, Result* summary = nullptr) {
    const LedgerFolder ledger;
    const Result imported = ledger.in(words(path));
    EXPECT_TRUE(imported.status == 0 || imported.status == 2) << imported;
    if (summary != nullptr) *summary = imported;
    return recordOf(ledger);
  }
  // Live views equal a fresh projection, and the log verifies.
  static void expectWhole(const LedgerFolder& ledger) {
    expectVerified(ledger);
    const Result live = ledger.run({"rebuild", "--check"});
    EXPECT_EQ(live.status, 0) << live;
    EXPECT_EQ(ledger.run({"rebuild"}).out, live.out);
  }

  TemporaryFolder folder_;
};

// ---- the sample ----

class ServerImportOfTheSample : public ServerImport {
 protected:
  void SetUp() override {
    const auto sample = cloudTrailSample();
    if (!sample) GTEST_SKIP() << kSharedMissing;
    sample_ = *sample;
  }
  std::string sample_;
};

TEST_F(ServerImportOfTheSample, GivesTheRecordAndTheSummaryOfAnImportIntoAFolder) {
  Result intoFolder;
  const ImportedRecord expected = fromFolder(sample_, &intoFolder);
  const LedgerFolder ledger;
  std::string said;
  {
    RunningServer server(ledger);
    const Result first = ledger.in(words(sample_));
    ASSERT_EQ(first.status, 0) << first;
    EXPECT_EQ(first.out, intoFolder.out);
    const Result second = ledger.in(words(sample_));
    ASSERT_EQ(second.status, 0) << second;
    EXPECT_EQ(textAt(second.json(), {"recorded"}), "0");
    EXPECT_EQ(textAt(second.json(), {"duplicates"}), std::to_string(kSampleFacts));
    EXPECT_EQ(textAt(second.json(), {"byKind"}), "{}") << second;
    expectSame(recordOf(ledger), expected);
    EXPECT_EQ(server.stop(), 0);
    said = server.process().out + server.process().error;
  }
  EXPECT_EQ(recordOf(ledger).repeatedIds, 0U);
  expectWhole(ledger);
  // And into the folder that the server had: all is known.
  const Result again = ledger.in(words(sample_));
  EXPECT_EQ(textAt(again.json(), {"duplicates"}), std::to_string(kSampleFacts)) << again;
  EXPECT_EQ(textAt(again.json(), {"byKind"}), "{}") << again;
  const std::set<std::string> secrets = credentialsIn(sample_);
  ASSERT_GE(secrets.size(), 36U + 125U);
  expectInNoFile(secrets, {ledger.data(), ledger.keys()});
  for (const std::string& secret : secrets) EXPECT_EQ(said.find(secret.substr(0, 64)), std::string::npos);
}

TEST_F(ServerImportOfTheSample, AServerKilledInTheMiddleLosesNothingAndRepeatsNothing) {
  const ImportedRecord expected = fromFolder(sample_);
  const LedgerFolder ledger;
  std::uint64_t recordedBefore = 0;
  {
    // Slow enough to be met on its way.
    RunningServer server(ledger, {"COUNTERFOIL_PRINCIPAL_ENTRIES_PER_SECOND=500"});
    Process import(ledger.words({"import", "cloudtrail", sample_, "-w", "w1", "-q"}));
    HttpClient reader = server.client("reader", "w1");
    const auto entries = [&] { return reader.get("/v1/workspaces/w1/stats").at({"entries"}); };
    ASSERT_TRUE(import.until([&] { return std::strtoull(entries().c_str(), nullptr, 10) > 700; }, 60'000)) << import.error;
    server.kill();
    EXPECT_EQ(import.finish(), 3) << import.out << import.error;
  }
  recordedBefore = recordOf(ledger).facts.size();
  EXPECT_GT(recordedBefore, 500U);
  ASSERT_LT(recordedBefore, kSampleFacts) << "it was over before the server was killed";
  RunningServer server(ledger);
  const Result second = ledger.in(words(sample_));
  ASSERT_EQ(second.status, 0) << second;
  EXPECT_EQ(textAt(second.json(), {"duplicates"}), std::to_string(recordedBefore));
  EXPECT_EQ(textAt(second.json(), {"recorded"}), std::to_string(kSampleFacts - recordedBefore));
  const ImportedRecord after = recordOf(ledger);
  EXPECT_EQ(after.repeatedIds, 0U);
  EXPECT_EQ(after.kinds, expected.kinds);
  EXPECT_EQ(after.ends, expected.ends);
  ASSERT_EQ(after.facts.size(), expected.facts.size());
  EXPECT_TRUE(after.facts == expected.facts) << "another order, or another fact";
  EXPECT_EQ(server.stop(), 0);
  expectWhole(ledger);
}

TEST_F(ServerImportOfTheSample, ComesThroughATightRateLimitInItsOrder) {
  const ImportedRecord expected = fromFolder(sample_);
  const LedgerFolder ledger;
  RunningServer server(ledger, {"COUNTERFOIL_PRINCIPAL_ENTRIES_PER_SECOND=500"});
  const Result imported = ledger.in(words(sample_));
  ASSERT_EQ(imported.status, 0) << imported;
  EXPECT_EQ(textAt(imported.json(), {"recorded"}), std::to_string(kSampleFacts));
  expectSame(recordOf(ledger), expected);
  // It did meet the limit.
  EXPECT_NE(server.admin().get("/metrics").body.find("counterfoil_refusals_total{code=\"rate_limited\"}"), std::string::npos);
}

TEST_F(ServerImportOfTheSample, NeedsAnAdminsTokenAndNoFolder) {
  const LedgerFolder ledger;
  RunningServer server(ledger);
  const auto from = [&](const std::string& role) {
    const std::vector<std::string> far = {"import",
                                          "cloudtrail",
                                          sample_,
                                          "-w",
                                          "w1",
                                          "-q",
                                          "--json",
                                          "--url",
                                          "http://" + server.address(),
                                          "--data",
                                          (folder_.path() / "nothing").string()};
    return runProgram(far, {}, {"COUNTERFOIL_TOKEN=" + server.token(role, "w1")});
  };
  expectFault(from("member"), "not_allowed", 4);
  expectFault(from("producer"), "not_allowed", 4);
  const Result imported = from("admin");
  ASSERT_EQ(imported.status, 0) << imported;
  EXPECT_EQ(textAt(imported.json(), {"recorded"}), std::to_string(kSampleFacts));
}

// ---- small inputs ----

TEST_F(ServerImport, RefusesBadRecordsAsAnImportIntoAFolderDoes) {
  const std::string path = fileOf("trail.json", {useOf("e-1", "AKIAIOSFODNN7EXAMPLE"), R"({"eventID":"e-2"})",
                                                 useOf("e-3", "AKIAIOSFODNN7EXAMPLE", "2023-07-10T11:00:01Z")});
  Result intoFolder;
  const ImportedRecord expected = fromFolder(path, &intoFolder);
  EXPECT_EQ(intoFolder.status, 2) << intoFolder;
  const LedgerFolder ledger;
  RunningServer server(ledger);
  const Result imported = ledger.in(words(path));
  EXPECT_EQ(imported.status, 2) << imported;
  EXPECT_EQ(imported.out, intoFolder.out);
  expectSame(recordOf(ledger), expected);
}

TEST_F(ServerImport, CutsAndReplacesWhatCallersWouldBeRefusedFor) {
  // A resource that is far too long, and an identifier that is a secret.
  std::string record = useOf("e-1", "AKIAIOSFODNN7EXAMPLE");
  record.insert(record.size() - 1, R"(,"errorCode":"Client.Broken","errorMessage":")" + std::string(2'000, 'x') +
                                       R"(","requestParameters":{"instanceId":"i-0abc"},"userAgent":")" + std::string(5'000, 'u') + "\"");
  const std::string path = fileOf("trail.json", {record});
  const ImportedRecord expected = fromFolder(path);
  ASSERT_EQ(expected.facts.size(), 1U);
  EXPECT_NE(expected.facts.front().find("truncated:"), std::string::npos) << expected.facts.front();
  const LedgerFolder ledger;
  RunningServer server(ledger);
  ASSERT_EQ(ledger.in(words(path)).status, 0);
  expectSame(recordOf(ledger), expected);
}

TEST_F(ServerImport, FailsEachFactOfAClosedWorkspace) {
  const std::string path = fileOf("trail.json", {useOf("e-1", "AKIAIOSFODNN7EXAMPLE"), useOf("e-2", "AKIAIOSFODNN7EXAMPLE")});
  const auto intoClosed = [&](const LedgerFolder& ledger) {
    EXPECT_EQ(ledger.run({"workspace", "close", "w1"}).status, 0);
    return ledger.in({"import", "cloudtrail", path});
  };
  const LedgerFolder folder;
  const Result intoFolder = intoClosed(folder);
  EXPECT_EQ(textAt(intoFolder.json(), {"failed"}), "2") << intoFolder;
  const LedgerFolder ledger;
  RunningServer server(ledger);
  const Result imported = intoClosed(ledger);
  EXPECT_EQ(imported.out, intoFolder.out);
  EXPECT_EQ(imported.status, intoFolder.status);
  EXPECT_NE(imported.error.find("2 facts refused: workspace_closed"), std::string::npos) << imported;
}

TEST_F(ServerImport, SaysThatAWorkspaceIsNotThere) {
  const std::string some = fileOf("trail.json", {useOf("e-1", "AKIAIOSFODNN7EXAMPLE")});
  const std::string none = fileOf("empty.json", {});
  const LedgerFolder ledger;
  RunningServer server(ledger);
  for (const std::string& path : {some, none}) {
    expectFault(ledger.run({"import", "cloudtrail", path, "-w", "w2"}), "no_such_item", 1);
  }
}

TEST_F(ServerImport, KnowsTheLeasesOfEarlierImports) {
  const LedgerFolder ledger;
  RunningServer server(ledger);
  const std::string key = "ASIAIOSFODNN7EXAMPLE";
  const Result granted = ledger.in(words(fileOf("grant.json", {grantOf("e-1", key)})));
  ASSERT_EQ(granted.status, 0) << granted;
  EXPECT_EQ(textAt(granted.json(), {"byKind"}), R"({"import.finished":1,"lease.expired":1,"lease.granted":1})");
  const Result used =
      ledger.in(words(fileOf("use.json", {useOf("e-2", key, "2023-07-10T10:30:00Z"), useOf("e-3", "ASIAOTHER00000000000")})));
  ASSERT_EQ(used.status, 0) << used;
  EXPECT_EQ(textAt(used.json(), {"byKind"}), R"({"credential.used":1,"import.finished":1,"lease.consumed":1})");
  const Result listed = ledger.in({"entries", "--kind", "lease.consumed"});
  EXPECT_EQ(textAt(listed.json(), {"leaseId"}), "aws-e-1") << listed;
  // Asking is on the record, once a minute.
  EXPECT_EQ(ledger.in({"entries", "--kind", "audit.queried", "--text", "\"imports/leases\""}).lines().size(), 1U);
}

// An import that broke off behind its last fact has nothing left to record but the end.
TEST_F(ServerImport, EndsWhatABrokenOneLeft) {
  const std::string path = fileOf("grant.json", {grantOf("e-1", "ASIAIOSFODNN7EXAMPLE")});
  const LedgerFolder whole;
  ASSERT_EQ(whole.in(words(path)).status, 0);
  const std::string id = textAt(whole.in({"entries", "--kind", "lease.granted"}).json(), {"id"});
  ASSERT_EQ(id.size(), 36U);
  for (const bool throughServer : {true, false}) {
    SCOPED_TRACE(throughServer);
    const LedgerFolder ledger;
    auto server = std::make_unique<RunningServer>(ledger);
    HttpClient admin = server->client("admin", "w1");
    const std::string import = admin.post(kImports, R"({"source":"import/cloudtrail"})").at({"import"});
    const std::string fact = R"({"kind":"lease.granted","id":")" + id +
                             R"(","occurredAt":"2023-07-10T10:00:00Z","producer":"aws:111122223333","leaseId":"aws-e-1",)"
                             R"("credential":"cloud_identity","issuedAt":"2023-07-10T10:00:00Z","expiresAt":"2023-07-10T11:00:00Z",)"
                             R"("grantee":{"kind":"service","id":"ec2.amazonaws.com"}})";
    const HttpAnswer told = admin.ask("POST", "/v1/workspaces/w1/facts?import=" + import, fact + "\n", "application/x-ndjson");
    ASSERT_EQ(told.at({"outcome"}), "granted") << told;
    server->kill();
    server.reset();
    EXPECT_EQ(recordOf(ledger).ends.size(), 0U);
    if (throughServer) server = std::make_unique<RunningServer>(ledger);
    const Result imported = ledger.in(words(path));
    ASSERT_EQ(imported.status, 0) << imported;
    EXPECT_EQ(textAt(imported.json(), {"duplicates"}), "1") << imported;
    EXPECT_EQ(textAt(imported.json(), {"byKind"}), R"({"import.finished":1,"lease.expired":1})") << imported;
    const Result again = ledger.in(words(path));
    EXPECT_EQ(textAt(again.json(), {"byKind"}), "{}") << again;
  }
}

// ---- the routes themselves ----

class ImportRoutes : public ServerImport {
 protected:
  ImportRoutes() : admin_(server_.client("admin", "w1", "human:alice")) {}
  std::string begin() {
    const HttpAnswer begun = admin_.post(kImports, R"({"source":"import/cloudtrail"})");
    EXPECT_EQ(begun.status, 201) << begun;
    return begun.at({"import"});
  }
  static std::string factOf(unsigned number, const std::string& more = {}) {
    const std::string digits = std::to_string(1'000 + number);
    return R"({"kind":"credential.used","id":"00000000-0000-8000-8000-00000000)" + digits +
           R"(","occurredAt":"2023-07-10T11:00:00Z","producer":"aws:1","principal":{"kind":"service","id":"s"},"operation":"ec2:Run","outcome":"ok")" +
           more + "}\n";
  }
  std::vector<std::string> tell(const std::string& import, const std::string& lines) {
    const HttpAnswer answer = admin_.ask("POST", "/v1/workspaces/w1/facts?import=" + import, lines, "application/x-ndjson");
    EXPECT_EQ(answer.status, 200) << answer;
    return Result{0, answer.body, {}}.lines();
  }
  static std::string codeOf(const std::string& line) { return textAt(boost::json::parse(line), {"error", "code"}); }

  LedgerFolder ledger_;
  RunningServer server_{ledger_};
  HttpClient admin_;
};

TEST_F(ImportRoutes, ASecondImportOfTheSourceWaitsForTheFirst) {
  const std::string first = begin();
  const HttpAnswer second = admin_.post(kImports, R"({"source":"import/cloudtrail"})");
  EXPECT_EQ(second.status, 409) << second;
  EXPECT_EQ(second.at({"code"}), "import_running");
  EXPECT_EQ(admin_.post(kImports, R"({"source":"import/vault"})").status, 201) << "another source is another import";
  EXPECT_EQ(admin_.post(std::string(kImports) + "/" + first + "/finish", "{}").status, 200);
  begin();
}

TEST_F(ImportRoutes, AFactIsRecordedOnceHoweverOftenItComes) {
  std::string import = begin();
  const std::vector<std::string> once = tell(import, factOf(1) + factOf(1) + factOf(2));
  ASSERT_EQ(once.size(), 3U);
  EXPECT_EQ(textAt(boost::json::parse(once[0]), {"outcome"}), "used") << once[0];
  EXPECT_EQ(codeOf(once[1]), "not_ready") << "the same fact twice at once";
  // At once, when the view may not have it; and when the view has it and the import is another one.
  for (int round = 0; round < 3; ++round) {
    const std::vector<std::string> again = tell(import, factOf(1) + factOf(2));
    ASSERT_EQ(again.size(), 2U);
    EXPECT_EQ(textAt(boost::json::parse(again[0]), {"replayed"}), "true") << again[0];
    EXPECT_EQ(textAt(boost::json::parse(again[0]), {"receipt"}), textAt(boost::json::parse(once[0]), {"receipt"}));
    EXPECT_EQ(textAt(boost::json::parse(again[1]), {"receipt"}), textAt(boost::json::parse(once[2]), {"receipt"}));
    admin_.post(std::string(kImports) + "/" + import + "/finish", "{}");
    import = begin();
  }
  EXPECT_EQ(recordOf(ledger_).facts.size(), 2U);
}

TEST_F(ImportRoutes, RefuseWhatIsNoFactOfAnImport) {
  const std::string import = begin();
  const std::string seven = R"("id":"01a1fcaf-b344-78df-81c8-b5096750f82c")";
  std::string callers = factOf(1);
  callers.replace(callers.find("\"id\""), seven.size(), seven);
  std::string timeless = factOf(2);
  timeless.erase(timeless.find(R"("occurredAt")"), std::string_view(R"("occurredAt":"2023-07-10T11:00:00Z",)").size());
  std::string nameless = factOf(3);
  nameless.erase(nameless.find(R"("producer")"), std::string_view(R"("producer":"aws:1",)").size());
  const std::vector<std::string> results =
      tell(import, callers + timeless + nameless + factOf(4, R"(,"source":"import/vault")") + "{\"kind\":\"policy.set\"}\n" + factOf(5));
  ASSERT_EQ(results.size(), 6U);
  EXPECT_EQ(codeOf(results[0]), "invalid_value");
  EXPECT_EQ(codeOf(results[1]), "invalid_value");
  EXPECT_EQ(codeOf(results[2]), "invalid_value");
  EXPECT_EQ(codeOf(results[3]), "unknown_field");
  EXPECT_EQ(codeOf(results[4]), "kind_not_a_fact");
  EXPECT_EQ(textAt(boost::json::parse(results[5]), {"outcome"}), "used") << "a bad line does not stop the others";
  EXPECT_EQ(textAt(ledger_.in({"entries", "--kind", "credential.used"}).json(), {"source"}), "import/cloudtrail");
}

TEST_F(ImportRoutes, AnImportIsItsBeginnersAlone) {
  const std::string import = begin();
  const std::string finish = std::string(kImports) + "/" + import + "/finish";
  HttpClient other = server_.client("admin", "w1", "human:bob");
  EXPECT_EQ(other.post(finish, "{}").at({"code"}), "no_such_item");
  EXPECT_EQ(other.ask("POST", "/v1/workspaces/w1/facts?import=" + import, factOf(1), "application/x-ndjson").status, 404);
  HttpClient lesser = server_.client("member", "w1", "human:alice");
  EXPECT_EQ(lesser.ask("POST", "/v1/workspaces/w1/facts?import=" + import, factOf(1), "application/x-ndjson").status, 403);
  EXPECT_EQ(lesser.post(finish, "{}").status, 403);
  EXPECT_EQ(lesser.post(kImports, R"({"source":"import/cloudtrail"})").status, 403);
  EXPECT_EQ(admin_.ask("POST", "/v1/workspaces/w1/facts?import=" + import, "{}").status, 415) << "not as JSON";
  EXPECT_EQ(admin_.post(kImports, R"({"source":"api"})").status, 400);
  EXPECT_EQ(admin_.post(kImports, R"({"source":"import/vault","since":100000})").status, 404);
}

TEST_F(ImportRoutes, OnlyWhatWasRecordedIsFinished) {
  const std::string import = begin();
  const std::string finish = std::string(kImports) + "/" + import + "/finish";
  EXPECT_EQ(admin_.post(finish, R"({"producer":"aws:1"})").at({"recorded"}), "false") << "nothing of it is on the record";
  tell(import, factOf(1) + factOf(2));
  EXPECT_EQ(admin_.post(finish, R"({"producer":"aws:1"})").at({"recorded"}), "true");
  EXPECT_EQ(admin_.post(finish, R"({"producer":"aws:1"})").at({"recorded"}), "false") << "and once only";
  EXPECT_EQ(admin_.post(finish, "{}").at({"byKind"}), R"({"import.finished":1})");
  const ImportedRecord record = recordOf(ledger_);
  ASSERT_EQ(record.finished.size(), 1U);
  EXPECT_NE(record.finished.front().find(R"("name":"credential.used","count":2)"), std::string::npos) << record.finished.front();
}

}  // namespace
}  // namespace counterfoil::test

// Ledgers whose key-encryption keys are in a key service: the program over real TLS against tests/support/test_kms.h, which goes away,
// comes back, refuses and answers nonsense meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <iostream>

#include "tests/e2e/tls_server.h"
#include "tests/support/free_port.h"
#include "tests/support/test_kms.h"

namespace counterfoil::test {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr const char* kToken = "s.test-token-of-the-ledger";
constexpr const char* kServicePolicy = "name = \"p\"\n[[rule]]\nname = \"all\"\neffect = \"allow\"\nmaxTtlSeconds = 900\n";

std::string serviceRequest(const std::string& kind, const std::string& id) {
  return R"({"credential":"git_token","grantee":{"kind":")" + kind + R"(","id":")" + id +
         R"("},"scope":["contents:read"],"ttlSeconds":600})";
}

std::string freeAddress() {
  return "127.0.0.1:" + std::to_string(freePort());
}

class KeyService : public testing::Test {
 protected:
  void SetUp() override {
    if (!Certificates::available()) GTEST_SKIP() << "there is no openssl program here, which makes the certificates";
    authority_ = certificates_.authority("authority");
    TestKmsOptions options;
    options.certificate = certificates_.certificate("kms", authority_);
    kms_ = std::make_unique<TestKms>(options);
    token_ = certificates_.file("token", std::string(kToken) + "\n");
  }

  Result init(const LedgerFolder& ledger, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"init",
                                      "--keys",
                                      ledger.keys().string(),
                                      "--key-provider",
                                      "http_kms",
                                      "--kms-url",
                                      kms_->url(),
                                      "--kms-token-file",
                                      token_.string(),
                                      "--kms-ca",
                                      authority_.certificate.string()};
    words.insert(words.end(), more.begin(), more.end());
    return ledger.run(words);
  }
  // With workspace w1 and a policy that grants.
  void makeLedger(const LedgerFolder& ledger) const {
    const Result made = init(ledger);
    ASSERT_EQ(made.status, 0) << made;
    ASSERT_EQ(ledger.run({"workspace", "create", "w1"}).status, 0);
    const fs::path policy = ledger.root() / "policy.toml";
    writeBytes(policy, kServicePolicy);
    const Result set = ledger.in({"policy", "set", policy.string()});
    ASSERT_EQ(set.status, 0) << set;
  }
  // No file of the ledger and nothing a process said holds a key of the service or the token for it.
  void expectNothingLeaked(const LedgerFolder& ledger, const std::string& said) const {
    std::vector<std::string> secrets = {kToken};
    for (const std::string& name : kms_->keyNames()) secrets.push_back(kms_->keyBytes(name, 1));
    for (const fs::path& top : {ledger.data(), ledger.keys()}) {
      for (const auto& item : fs::recursive_directory_iterator(top)) {
        if (!item.is_regular_file()) continue;
        const std::string bytes = readBytes(item.path());
        for (const std::string& secret : secrets) EXPECT_EQ(bytes.find(secret), std::string::npos) << item.path();
      }
    }
    for (const std::string& secret : secrets) EXPECT_EQ(said.find(secret), std::string::npos);
  }
  // Polls until the admin listener answers like this.
  static bool untilReadyz(Program& program, const std::string& adminAddress, int status, const std::string& words) {
    return program.until([&] {
      const HttpAnswer answer = HttpClient(adminAddress, {}).get("/readyz");
      return answer.status == status && answer.body.find(words) != std::string::npos;
    });
  }

  Certificates certificates_;
  CertificateFiles authority_;
  std::unique_ptr<TestKms> kms_;
  fs::path token_;
};

TEST_F(KeyService, KeepsTheKeysOfALedgerThroughItsLife) {
  LedgerFolder ledger(false);
  makeLedger(ledger);
  EXPECT_FALSE(fs::exists(ledger.keys() / "kek"));
  EXPECT_THAT(kms_->keyNames(), SizeIs(2)) << "_system and w1";
  std::string said;
  for (int round = 0; round < 2; ++round) {
    RunningServer server(ledger);
    HttpClient owner = server.client("owner");
    const HttpAnswer granted = owner.post("/v1/workspaces/w1/leases", serviceRequest("human", "alice@example.com"));
    EXPECT_EQ(granted.status, 201) << granted;
    EXPECT_EQ(server.stop(), 0);
    said += server.process().error + server.process().out;
    // Once from the snapshot, once from the log alone.
    fs::remove(ledger.snapshot());
  }
  expectVerified(ledger);
  const Result doctor = ledger.run({"doctor"});
  EXPECT_EQ(doctor.status, 0) << doctor;
  EXPECT_THAT(doctor.out, HasSubstr(R"({"check":"key service","state":"ok")"));
  expectNothingLeaked(ledger, said + doctor.out + doctor.error);
  const Result config = ledger.run({"config"});
  EXPECT_THAT(config.out, HasSubstr("http_kms"));
  EXPECT_THAT(config.out, Not(HasSubstr(kToken)));
}

TEST_F(KeyService, IsSharedByTwoFoldersOfOneOrigin) {
  LedgerFolder first(false);
  LedgerFolder second(false);
  makeLedger(first);
  const std::size_t keys = kms_->keyNames().size();
  const Result made = init(second);
  EXPECT_EQ(made.status, 0) << made;
  EXPECT_THAT(made.error, HasSubstr("shares them"));
  EXPECT_EQ(second.run({"workspace", "create", "w1"}).status, 0);
  EXPECT_EQ(kms_->keyNames().size(), keys) << "the same names: the same keys";
  LedgerFolder stranger(false);
  const Result other = init(stranger, {"--origin", "ledger.example.com/other"});
  EXPECT_EQ(other.status, 0) << other;
  EXPECT_THAT(other.error, Not(HasSubstr("shares them")));
  EXPECT_EQ(kms_->keyNames().size(), keys + 1);
  expectVerified(first);
  expectVerified(second);
}

TEST_F(KeyService, NothingIsMadeWhileItDoesNotAnswer) {
  LedgerFolder ledger(false);
  kms_->stop();
  expectFault(init(ledger), "not_ready", 3);
  kms_->start();
  kms_->setMood(KmsMood::refusing);
  expectFault(init(ledger), "key_permissions", 5);
  kms_->setMood(KmsMood::garbage);
  expectFault(init(ledger), "not_ready", 3);
  expectFault(init(ledger, {"--kms-mount", "/"}), "invalid_value", 2);
  EXPECT_FALSE(fs::exists(ledger.data()));
  EXPECT_FALSE(fs::exists(ledger.keys()));
  kms_->setMood(KmsMood::willing);
  makeLedger(ledger);
  kms_->stop();
  const Result doctor = ledger.run({"doctor"});
  EXPECT_EQ(doctor.status, 1) << doctor;
  EXPECT_THAT(doctor.out, HasSubstr("the key service does not answer"));
  expectFault(ledger.run({"workspace", "create", "w2"}), "not_ready", 3);
  kms_->start();
  expectVerified(ledger);
}

TEST_F(KeyService, LeasesGoOnWhileItIsAway) {
  LedgerFolder ledger(false);
  makeLedger(ledger);
  RunningServer server(ledger);
  HttpClient owner = server.client("owner");
  ASSERT_EQ(owner.post("/v1/workspaces/w1/leases", serviceRequest("human", "alice@example.com")).status, 201);
  const std::uint64_t before = kms_->requests();
  EXPECT_EQ(owner.post("/v1/workspaces/w1/leases", serviceRequest("human", "alice@example.com")).status, 201);
  EXPECT_EQ(kms_->requests(), before) << "keys once known are not asked for again";
  kms_->stop();
  // Known persons and agents, and ends of leases.
  const HttpAnswer granted = owner.post("/v1/workspaces/w1/leases", serviceRequest("human", "alice@example.com"));
  ASSERT_EQ(granted.status, 201) << granted;
  EXPECT_EQ(owner.post("/v1/workspaces/w1/leases", serviceRequest("agent", "fixer")).status, 201);
  EXPECT_EQ(owner.post("/v1/workspaces/w1/leases/" + granted.at({"lease", "id"}) + "/revoke", "{}").status, 200);
  // A new person, a new workspace.
  const HttpAnswer refused = owner.post("/v1/workspaces/w1/leases", serviceRequest("human", "bob@example.com"));
  EXPECT_EQ(refused.status, 503) << refused;
  EXPECT_EQ(refused.at({"code"}), "not_ready");
  EXPECT_THAT(refused.head, HasSubstr("Retry-After: "));
  EXPECT_EQ(owner.post("/v1/workspaces", R"({"id":"shop"})").status, 503);
  const HttpAnswer ready = server.admin().get("/readyz");
  EXPECT_EQ(ready.status, 200) << ready;
  EXPECT_THAT(ready.body, HasSubstr("ready, but for new keys"));
  EXPECT_THAT(ready.body, HasSubstr("the key service does not answer"));
  EXPECT_EQ(owner.post("/v1/workspaces/w1/leases", serviceRequest("agent", "fixer")).status, 201) << "what was refused left nothing behind";
  kms_->start();
  // It is asked again by itself.
  const std::int64_t deadline = nowMicroseconds() + 30'000'000;
  HttpAnswer again;
  do {
    again = server.admin().get("/readyz");
    server.process().pump(50);
  } while (again.body.find("new keys") != std::string::npos && nowMicroseconds() < deadline);
  EXPECT_THAT(again.body, Not(HasSubstr("new keys")));
  EXPECT_EQ(owner.post("/v1/workspaces/w1/leases", serviceRequest("human", "bob@example.com")).status, 201);
  EXPECT_EQ(owner.post("/v1/workspaces", R"({"id":"shop"})").status, 201);
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THAT(server.process().error, HasSubstr("new keys cannot be had"));
  EXPECT_THAT(server.process().error, HasSubstr("the key service answers again"));
  expectVerified(ledger);
  expectNothingLeaked(ledger, server.process().error);
}

// Ordered while the service is away, the destruction waits for it; then the version is trimmed there, and only what survives opens.
TEST_F(KeyService, AnErasureDestroysTheVersionThere) {
  LedgerFolder ledger(false);
  makeLedger(ledger);
  RunningServer server(ledger);
  HttpClient owner = server.client("owner", "*", "human:olga");
  HttpClient admin = server.client("admin", "*", "human:adam");
  const std::string base = "/v1/workspaces/w1/";
  const std::string alice = R"("subject":{"kind":"human","id":"alice@example.com"})";
  ASSERT_EQ(admin.post(base + "leases", serviceRequest("human", "alice@example.com")).status, 201);
  ASSERT_EQ(admin.post(base + "leases", serviceRequest("human", "bob@example.com")).status, 201);
  const HttpAnswer asked = owner.post(base + "erasures", "{" + alice + "}");
  ASSERT_EQ(asked.status, 200) << asked;
  const std::string approval = asked.at({"approvalId"});
  ASSERT_EQ(admin.post(base + "approvals/" + approval + "/decide", R"({"decision":"approved"})").status, 200);
  const std::vector<std::string> names = kms_->keyNames();
  const auto of1 = std::find_if(names.begin(), names.end(), [](const std::string& name) { return name.ends_with("-w1"); });
  ASSERT_NE(of1, names.end());
  kms_->stop();
  const HttpAnswer erased = owner.post(base + "erasures", "{" + alice + R"(,"approval":")" + approval + "\"}");
  ASSERT_EQ(erased.status, 200) << erased;
  EXPECT_TRUE(untilReadyz(server.process(), server.adminAddress(), 200, "ready, but "));
  EXPECT_FALSE(kms_->keyBytes(*of1, 1).empty());
  EXPECT_THAT(server.admin().get("/metrics").body, HasSubstr("\ncounterfoil_owed_key_destructions 1\n"));
  EXPECT_THAT(admin.get(base + "entries?disclose=true").body, Not(HasSubstr("alice@example.com"))) << "to nobody, from the order on";
  kms_->start();
  EXPECT_TRUE(server.process().until([&] { return kms_->keyBytes(*of1, 1).empty(); }));
  EXPECT_FALSE(kms_->keyBytes(*of1, 2).empty());
  EXPECT_TRUE(server.process().until(
      [&] { return server.admin().get("/metrics").body.find("\ncounterfoil_owed_key_destructions 0\n") != std::string::npos; }));
  EXPECT_TRUE(untilReadyz(server.process(), server.adminAddress(), 200, R"("ready"})"));
  EXPECT_EQ(server.stop(), 0);
  fs::remove_all(ledger.data() / "snapshots");
  fs::create_directory(ledger.data() / "snapshots");
  expectVerified(ledger);
  RunningServer again(ledger);
  const std::string shown = again.client("admin").get(base + "entries?disclose=true&wait=0").body;
  EXPECT_THAT(shown, HasSubstr("bob@example.com"));
  EXPECT_THAT(shown, Not(HasSubstr("alice@example.com")));
  EXPECT_EQ(again.stop(), 0);
}

TEST_F(KeyService, ASlowOneDelaysOnlyWhatNeedsIt) {
  LedgerFolder ledger(false);
  makeLedger(ledger);
  RunningServer server(ledger, {"COUNTERFOIL_KMS_TIMEOUT_MS=1000"});
  HttpClient owner = server.client("owner");
  ASSERT_EQ(owner.post("/v1/workspaces/w1/leases", serviceRequest("human", "alice@example.com")).status, 201);
  kms_->setMood(KmsMood::slow);
  const std::int64_t started = nowMicroseconds();
  EXPECT_EQ(owner.post("/v1/workspaces/w1/leases", serviceRequest("human", "bob@example.com")).status, 503);
  EXPECT_LT(nowMicroseconds() - started, 20'000'000);
  for (int turn = 0; turn < 20; ++turn) {
    EXPECT_EQ(owner.post("/v1/workspaces/w1/leases", serviceRequest("agent", "fixer")).status, 201);
  }
  kms_->setMood(KmsMood::willing);
  EXPECT_EQ(server.stop(), 0);
  expectVerified(ledger);
}

TEST_F(KeyService, AServerWaitsForItAtItsStart) {
  LedgerFolder ledger(false);
  makeLedger(ledger);
  kms_->stop();
  const std::string address = freeAddress();
  const std::string admin = freeAddress();
  Program program(
      {fs::absolute(binaryPath()).string(), "serve", "--data", ledger.data().string(), "--listen", address, "--admin-listen", admin});
  ASSERT_TRUE(untilReadyz(program, admin, 503, "the key service does not answer")) << program.error;
  EXPECT_EQ(HttpClient(admin, {}).get("/healthz").status, 200);
  const HttpAnswer refused = HttpClient(address, "a token").post("/v1/workspaces/w1/leases", serviceRequest("agent", "fixer"));
  EXPECT_EQ(refused.status, 503) << refused;
  EXPECT_EQ(refused.at({"code"}), "not_ready");
  EXPECT_THAT(refused.head, HasSubstr("Retry-After: "));
  EXPECT_EQ(program.out, "") << "it does not serve";
  kms_->start();
  ASSERT_TRUE(untilReadyz(program, admin, 200, R"("ready")")) << program.error;
  const Result minted = ledger.run({"token", "mint", "--role", "owner"});
  EXPECT_EQ(minted.status, 0) << minted;
  program.signal(SIGTERM);
  EXPECT_EQ(program.finish(), 0) << program.error;
  expectVerified(ledger);
}

TEST_F(KeyService, WaitingEndsWithASignalAndWithARefusal) {
  LedgerFolder ledger(false);
  makeLedger(ledger);
  kms_->stop();
  const std::vector<std::string> words = {
      fs::absolute(binaryPath()).string(), "serve", "--data", ledger.data().string(), "--listen", "127.0.0.1:0", "--admin-listen"};
  const auto serve = [&](const std::string& admin) {
    std::vector<std::string> all = words;
    all.push_back(admin);
    return Program(all);
  };
  {
    const std::string admin = freeAddress();
    Program program = serve(admin);
    ASSERT_TRUE(untilReadyz(program, admin, 503, "key service")) << program.error;
    program.signal(SIGTERM);
    EXPECT_EQ(program.finish(), 0) << program.error;
  }
  kms_->start();
  kms_->setMood(KmsMood::refusing);
  Program program = serve(freeAddress());
  EXPECT_EQ(program.finish(), 5) << program.error;
  EXPECT_THAT(program.error, HasSubstr("the key service refuses the token"));
  EXPECT_THAT(program.error, Not(HasSubstr(kToken)));
}

// One request for all keys of a workspace, several at once. COUNTERFOIL_TEST_LONG=1: 1,000 workspaces, and how long it took.
TEST_F(KeyService, AStartAsksOnceForEachWorkspace) {
  const char* const wanted = std::getenv("COUNTERFOIL_TEST_LONG");
  const std::size_t workspaces = wanted != nullptr && std::string_view(wanted) == "1" ? 1'000 : 40;
  LedgerFolder ledger(false);
  makeLedger(ledger);
  {
    RunningServer server(ledger);
    HttpClient owner = server.client("owner");
    for (std::size_t number = 0; number < workspaces; ++number) {
      const std::string id = "shop-" + std::to_string(number);
      ASSERT_EQ(owner.post("/v1/workspaces", R"({"id":")" + id + "\"}").status, 201);
      ASSERT_EQ(owner.ask("PUT", "/v1/workspaces/" + id + "/policy", kServicePolicy, "text/toml").status, 200);
      ASSERT_EQ(owner.post("/v1/workspaces/" + id + "/leases", serviceRequest("human", "alice@example.com")).status, 201);
    }
    EXPECT_EQ(server.stop(), 0);
  }
  const bool isLong = workspaces == 1'000;
  for (const int latencyMs : isLong ? std::vector<int>{0, 5} : std::vector<int>{0}) {
    for (const bool snapshot : {true, false}) {
      if (!snapshot) fs::remove(ledger.snapshot());
      kms_->setLatencyMs(latencyMs);
      kms_->takeLog();
      const std::int64_t started = nowMicroseconds();
      RunningServer server(ledger);
      const std::int64_t tookMs = (nowMicroseconds() - started) / 1'000;
      const std::size_t asked = kms_->takeLog().size();
      if (isLong) {
        std::cout << "start with " << workspaces + 2 << " workspaces " << (snapshot ? "from the snapshot" : "from the log")
                  << ", service answers after " << latencyMs << " ms more: " << tookMs << " ms, " << asked << " requests\n";
      }
      // From the log it is one for each record that brings keys: the workspace's first, its policy's at most, its first person's.
      EXPECT_LE(asked, (workspaces + 4) * (snapshot ? 1 : 3)) << snapshot;
      EXPECT_EQ(server.stop(), 0);
    }
  }
  kms_->setLatencyMs(0);
}

}  // namespace
}  // namespace counterfoil::test

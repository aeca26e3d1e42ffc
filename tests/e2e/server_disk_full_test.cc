// The disk of a running server fills up under load and is freed again: nothing acknowledged is lost, nothing refused happened, nobody has
// to restart anything. Needs root: a small file system in a mount namespace of the test's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "tests/e2e/log_evidence.h"
#include "tests/e2e/many_clients.h"

namespace counterfoil::test {
namespace {

constexpr const char* kFacts = "/v1/workspaces/w1/facts";
constexpr const char* kStats = "/v1/workspaces/w1/stats";
constexpr std::size_t kMegabyte = 1'024 * 1'024;

class ServerDiskFull : public testing::Test {
 protected:
  void SetUp() override {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      GTEST_SKIP() << "mounting a small file system needs root (CAP_SYS_ADMIN)";
    }
    disk_ = folder_.path() / "disk";
    std::filesystem::create_directories(disk_);
    ASSERT_EQ(::mount("tmpfs", disk_.c_str(), "tmpfs", 0, "size=96m,mode=0700"), 0);
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) ::umount2(disk_.c_str(), MNT_DETACH);
  }
  // Leaves so many bytes.
  void fillUpTo(std::size_t bytesLeft) {
    const std::size_t room = std::filesystem::space(disk_).available;
    writeBytes(disk_ / "filler", std::string(room - std::min(room, bytesLeft), 'x'));
  }
  void free() { std::filesystem::remove(disk_ / "filler"); }

  TemporaryFolder folder_;
  std::filesystem::path disk_;
  bool mounted_ = false;
};

// Facts by clients that ask again with the same id until they are told it is recorded, as the documentation asks them to.
class Load {
 public:
  Load(std::string address, std::string token, int clients) {
    for (int client = 0; client < clients; ++client) {
      threads_.emplace_back([this, address, token, client] { run(address, token, 900 + static_cast<std::uint64_t>(client)); });
    }
  }
  ~Load() { finish(); }
  // Each client ends with its next acknowledged fact.
  void finish() {
    enough_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  // Each client ends although its last fact was refused.
  void giveUp() { gaveUp_ = true; }
  std::atomic<int> recorded{0}, full{0}, other{0};
  // Of every fact that was acknowledged, by entry id. After finish().
  const std::map<std::string, std::string>& leaves() const { return leafOf_; }

 private:
  void run(const std::string& address, const std::string& token, std::uint64_t seed) {
    HttpClient client(address, token);
    Ids ids(seed);
    const std::string padding(400, 'x');
    while (!enough_) {
      const std::string id = ids.next();
      const std::string fact =
          R"({"kind":"tool.invoked","id":")" + id + R"(","tool":"git","operation":"clone )" + padding + R"(","outcome":"ok"})";
      // A bound on the tries, so that a server that never recovers ends the test.
      for (int tries = 0; tries < 100'000; ++tries) {
        const HttpAnswer answer = client.post(kFacts, fact);
        if (answer.status == 201) {
          const std::lock_guard lock(mutex_);
          leafOf_[id] = answer.at({"receipt", "leafHash"});
          ++recorded;
          break;
        }
        if (answer.status == 507 && answer.at({"code"}) == "disk_full") {
          ++full;
        } else if (++other == 1) {
          ADD_FAILURE() << "a full disk is called something else: " << answer;
        }
        static_cast<void>(::poll(nullptr, 0, 2));
        if (gaveUp_) return;
      }
    }
  }

  std::atomic<bool> enough_{false}, gaveUp_{false};
  std::mutex mutex_;
  std::map<std::string, std::string> leafOf_;
  std::vector<std::thread> threads_;
};

std::uint64_t seqOf(const HttpAnswer& answer) {
  const std::string text = answer.at({"seq"});
  return text.empty() ? 0 : std::stoull(text);
}

TEST_F(ServerDiskFull, UnderLoadLosesNothingAndGoesOnByItselfWhenThereIsSpace) {
  LedgerFolder ledger(disk_ / "data", true);
  std::map<std::string, std::string> leaves;
  std::uint64_t entries = 0;
  {
    RunningServer server(ledger);
    HttpClient owner = server.client("owner");
    HttpClient admin = server.admin();
    ASSERT_TRUE(viewIsThere(server, owner, "w1"));
    fillUpTo(8 * kMegabyte);
    Load load(server.address(), server.token("member", "w1"), 8);
    ASSERT_TRUE(until(server.process(), 60'000, [&] { return load.full > 200; })) << load.recorded << " recorded";
    EXPECT_GT(load.recorded, 0);
    // Reading goes on where it leaves nothing on the record; what must be recorded first is refused, as writing is.
    EXPECT_EQ(owner.get(kStats).status, 200);
    EXPECT_EQ(owner.get("/v1/workspaces").status, 200);
    const HttpAnswer listed = owner.get("/v1/workspaces/w1/entries?limit=1");
    EXPECT_TRUE(listed.status == 200 || (listed.status == 507 && listed.at({"code"}) == "disk_full")) << listed;
    const HttpAnswer ready = admin.get("/readyz");
    EXPECT_EQ(ready.status, 503) << ready;
    EXPECT_EQ(ready.at({"code"}), "disk_full") << ready;
    EXPECT_EQ(admin.get("/healthz").status, 200) << "a restart would not help";

    const int before = load.recorded;
    free();
    const bool recovered = until(server.process(), 60'000, [&] { return load.recorded > before + 200; });
    EXPECT_TRUE(recovered) << "nothing is recorded although there is space";
    if (!recovered) load.giveUp();
    load.finish();
    EXPECT_EQ(load.other, 0);
    leaves = load.leaves();
    EXPECT_EQ(admin.get("/readyz").status, 200);
    HttpAnswer last = owner.post(kFacts, plainFact(Ids(99).next()));
    ASSERT_EQ(last.status, 201) << last;
    const std::uint64_t seq = std::stoull(last.at({"receipt", "seq"}));
    HttpAnswer stats;
    EXPECT_TRUE(until(server.process(), 60'000, [&] { return seqOf(stats = owner.get(kStats)) >= seq; }))
        << "the view stays behind: " << stats;
    EXPECT_EQ(owner.get("/v1/workspaces/w1/entries?limit=1").status, 200);
    EXPECT_EQ(server.stop(), 0) << server.process().error;
  }
  const LogEvidence evidence = readEvidence(ledger.data() / "log", ledger.keys());
  expectSound(evidence);
  for (const auto& [id, leaf] : leaves) {
    const auto at = evidence.byId.find(id);
    ASSERT_TRUE(at != evidence.byId.end()) << "an acknowledged fact is not in the log";
    EXPECT_EQ(at->second.leaf, leaf);
  }
  // Each was refused until it was acknowledged: none is there that nobody was told of.
  EXPECT_EQ(evidence.kinds.at("tool.invoked"), leaves.size() + 1);
  entries = ledger.size();
  RunningServer again(ledger);
  HttpClient owner = again.client("owner");
  HttpAnswer stats;
  EXPECT_TRUE(until(again.process(), 60'000, [&] { return seqOf(stats = owner.get(kStats)) + 1 >= entries; })) << stats;
  EXPECT_EQ(stats.at({"kinds", "tool.invoked"}), std::to_string(leaves.size() + 1));
  EXPECT_EQ(again.stop(), 0);
  expectVerified(ledger);
}

TEST_F(ServerDiskFull, TheEndOfTheServerIsOrderlyAndTheNextStartFindsEverything) {
  LedgerFolder ledger(disk_ / "data", true);
  std::map<std::string, std::string> leaves;
  {
    RunningServer server(ledger);
    fillUpTo(3 * kMegabyte);
    Load load(server.address(), server.token("member", "w1"), 4);
    ASSERT_TRUE(until(server.process(), 60'000, [&] { return load.full > 50; }));
    load.giveUp();
    load.finish();
    leaves = load.leaves();
    ASSERT_FALSE(leaves.empty());
    const int status = server.stop();
    EXPECT_TRUE(status == 0 || status == 3) << status << '\n' << server.process().error;
  }
  free();
  RunningServer again(ledger);
  HttpClient owner = again.client("owner");
  EXPECT_EQ(owner.post(kFacts, plainFact(Ids(98).next())).status, 201);
  EXPECT_EQ(again.stop(), 0);
  const LogEvidence evidence = readEvidence(ledger.data() / "log", ledger.keys());
  expectSound(evidence);
  for (const auto& [id, leaf] : leaves) {
    const auto at = evidence.byId.find(id);
    ASSERT_TRUE(at != evidence.byId.end()) << "an acknowledged fact is not in the log";
    EXPECT_EQ(at->second.leaf, leaf);
  }
  expectVerified(ledger);
}

}  // namespace
}  // namespace counterfoil::test

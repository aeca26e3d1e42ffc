// ops/kafka: a broker with TLS and rights made from nothing, the topic of a ledger on it, and what each of its clients may do there. The
// clients are kcat, which is not ours, and the program behind ops/kafka/topics.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/program.h"

namespace counterfoil::test {
namespace {

using std::filesystem::path;
using Words = std::vector<std::string>;

const path kOps = path(COUNTERFOIL_SOURCE_DIR) / "ops/kafka";
const path kPrograms = path(COUNTERFOIL_BINARY).parent_path();
// Always the same one: what a run that was killed left behind is ended by the next.
const path kFolder = kPrograms.parent_path() / "kafka-ops-test";
const std::string kTopic = "counterfoil";
// What the scripts say when Java, Maven or the jars are not to be had.
constexpr int kAbsent = 3;
constexpr int kStartTimeoutMs = 180'000;

struct Ran {
  int status = -1;
  std::string out;
  std::string error;
  bool says(const std::string& text) const { return (out + error).find(text) != std::string::npos; }
};

std::ostream& operator<<(std::ostream& stream, const Ran& ran) {
  return stream << "exit status " << ran.status << '\n' << ran.out << ran.error;
}

Ran run(const Words& words, const std::string& input = {}, int timeoutMs = 120'000) {
  ProgramOptions options;
  options.environment = {"COUNTERFOIL_KAFKA_ADMIN=" + (kPrograms / "kafka_admin").string()};
  Program program(words, options);
  if (!input.empty()) program.send(input);
  program.closeInput();
  const int status = program.finish(timeoutMs);
  return {status, program.out, program.error};
}

Ran cluster(Words words, int timeoutMs = 120'000) {
  words.insert(words.begin(), kOps / "cluster");
  words.insert(words.end(), {"--folder", kFolder});
  return run(words, {}, timeoutMs);
}

Ran topics(Words words) {
  // More than a ledger takes today: each must be right.
  if (std::find(words.begin(), words.end(), "--partitions") == words.end()) words.insert(words.end(), {"--partitions", "12"});
  words.insert(words.begin(), {kOps / "topics", "--folder", kFolder});
  return run(words);
}

path clientFile(const std::string& client) {
  return kFolder / "clients" / (client + ".properties");
}

Ran admin(const std::string& client, const Words& request) {
  Words words = {kPrograms / "kafka_admin", "--config", clientFile(client), "--timeout", "10"};
  words.insert(words.end(), request.begin(), request.end());
  return run(words);
}

// A record of this value into partition 3, acknowledged by all replicas.
Ran produce(const std::string& client, const std::string& value) {
  return run({findProgram("kcat"), "-F", clientFile(client), "-P", "-t", kTopic, "-p", "3", "-X", "enable.idempotence=true", "-X",
              "message.timeout.ms=10000"},
             value + "\n");
}

// Partition 3 from its beginning to its end.
Ran consume(const std::string& client, const std::string& format) {
  return run({findProgram("kcat"), "-F", clientFile(client), "-C", "-t", kTopic, "-p", "3", "-o", "beginning", "-e", "-f", format});
}

class KafkaCluster : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (findProgram("kcat").empty()) {
      absent = "there is no kcat here (ops/deps --kafka)";
      return;
    }
    cluster({"stop", "--remove"});
    // The starter holds a lock, as a script under flock does. A broker that inherited it would hold it for its whole life.
    started = run(
        {"/bin/bash", "-c", "exec 7>\"$1.held\"; exec \"$2\" start --tls --port auto --folder \"$1\"", "start", kFolder, kOps / "cluster"},
        {}, kStartTimeoutMs);
    if (started.status == kAbsent) {
      absent = started.error;
      return;
    }
    if (started.status == 0) made = topics({});
  }
  static void TearDownTestSuite() {
    cluster({"stop", "--remove"});
    std::filesystem::remove(kFolder.string() + ".held");
  }
  void SetUp() override {
    if (!absent.empty()) GTEST_SKIP() << absent;
    ASSERT_EQ(started.status, 0) << started;
    ASSERT_EQ(made.status, 0) << made;
  }

  static inline std::string absent;
  static inline Ran started;
  static inline Ran made;
};

TEST_F(KafkaCluster, PrintsItsAddressOnceItServes) {
  EXPECT_EQ(started.out.rfind("127.0.0.1:", 0), 0U) << started;
  EXPECT_EQ(cluster({"addresses"}).out, started.out);
  const Ran status = cluster({"status"});
  EXPECT_EQ(status.status, 0) << status;
  EXPECT_TRUE(status.says("running, process ")) << status;
}

TEST_F(KafkaCluster, TheBrokerHoldsNothingOfItsStarter) {
  std::string pid;
  std::ifstream(kFolder / "n1/pid") >> pid;
  std::size_t open = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + pid + "/fd")) {
    std::error_code gone;
    const path target = std::filesystem::read_symlink(entry.path(), gone);
    ++open;
    EXPECT_NE(target, kFolder.string() + ".held");
    EXPECT_NE(target, kFolder / "lock");
  }
  EXPECT_GT(open, 10U) << "this is no broker";
}

TEST_F(KafkaCluster, TheWriterWritesAndTheBrokerGivesTheTime) {
  const auto before = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const Ran written = produce("writer", "first");
  ASSERT_EQ(written.status, 0) << written;
  const Ran read = consume("writer", "%o %s %T\\n");
  ASSERT_EQ(read.status, 0) << read;
  std::istringstream line(read.out);
  std::int64_t offset = -1;
  std::int64_t time = -1;
  std::string value;
  line >> offset >> value >> time;
  EXPECT_EQ(offset, 0) << read;
  EXPECT_EQ(value, "first") << read;
  EXPECT_GE(time, before) << read;
  // A time the producer made up is not the record's.
  const Ran typed = run({findProgram("kcat"), "-F", clientFile("writer"), "-C", "-t", kTopic, "-p", "3", "-o", "beginning", "-e", "-J"});
  EXPECT_TRUE(typed.says("\"tstype\":\"logappend\"")) << typed;
}

TEST_F(KafkaCluster, TheAuditorReadsAndCannotWrite) {
  ASSERT_EQ(produce("writer", "for the auditor").status, 0);
  const Ran read = consume("auditor", "%s\\n");
  EXPECT_EQ(read.status, 0) << read;
  EXPECT_TRUE(read.says("for the auditor\n")) << read;
  const Ran refused = admin("auditor", {"append", kTopic, "3", "forged"});
  EXPECT_EQ(refused.status, 1) << refused;
  EXPECT_TRUE(refused.says("TOPIC_AUTHORIZATION_FAILED")) << refused;
  // Not its exit status: kcat that is told of a fatal error while it ends has 0 now and then.
  const Ran forged = produce("auditor", "forged");
  EXPECT_TRUE(forged.says("uthorization failed")) << forged;
  EXPECT_FALSE(consume("writer", "%s\\n").says("forged"));
}

TEST_F(KafkaCluster, NobodyDeletesOrChanges) {
  ASSERT_EQ(produce("writer", "stays").status, 0);
  const std::string all = consume("writer", "%o %s\\n").out;
  ASSERT_NE(all.find("stays"), std::string::npos);
  struct Attempt {
    Words request;
    std::string answer;
    std::string strangersAnswer;  // who has no rights is not told that there is such a topic
  };
  const std::vector<Attempt> attempts = {
      {{"delete-records", kTopic, "3", "1"}, "TOPIC_AUTHORIZATION_FAILED", "No leaders found"},
      {{"delete-topic", kTopic}, "INVALID_REQUEST", "INVALID_REQUEST"},  // to everybody, before rights are looked at
      {{"set", kTopic, "retention.ms=1000"}, "TOPIC_AUTHORIZATION_FAILED", "TOPIC_AUTHORIZATION_FAILED"},
      {{"allow", "User:CN=writer", "topic", kTopic, "WRITE"}, "CLUSTER_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED"},
  };
  for (const std::string client : {"writer", "auditor", "stranger"}) {
    for (const Attempt& attempt : attempts) {
      const Ran refused = admin(client, attempt.request);
      EXPECT_EQ(refused.status, 1) << client << ' ' << attempt.request[0] << ": " << refused;
      EXPECT_TRUE(refused.says(client == "stranger" ? attempt.strangersAnswer : attempt.answer))
          << client << ' ' << attempt.request[0] << ": " << refused;
    }
  }
  // Nor does who may do all else: topics are not deleted on these brokers.
  const Ran kept = admin("admin", {"delete-topic", kTopic});
  EXPECT_EQ(kept.status, 1) << kept;
  EXPECT_EQ(consume("writer", "%o %s\\n").out, all);
}

TEST_F(KafkaCluster, WhoHasNoRightsSeesNothing) {
  const Ran listed = run({findProgram("kcat"), "-F", clientFile("stranger"), "-L"});
  EXPECT_EQ(listed.status, 0) << listed;
  EXPECT_TRUE(listed.says("0 topics:")) << listed;
  EXPECT_NE(consume("stranger", "%s\\n").status, 0);
}

TEST_F(KafkaCluster, WhoHasNoCertificateIsSentAway) {
  std::string address;
  std::istringstream(started.out) >> address;
  const std::string authority = "ssl.ca.location=" + (kFolder / "certificates/ca.pem").string();
  const Ran refused = run({findProgram("kcat"), "-b", address, "-X", "security.protocol=ssl", "-X", authority, "-L", "-m", "1"});
  EXPECT_NE(refused.status, 0) << refused;
  EXPECT_TRUE(refused.says("alert bad certificate")) << refused;
  const Ran plain = run({findProgram("kcat"), "-b", address, "-L", "-m", "1"});
  EXPECT_NE(plain.status, 0) << plain;
  EXPECT_TRUE(plain.says("SSL listener")) << plain;
  EXPECT_EQ(admin("writer", {"brokers"}).out, "1\n") << "with its certificate it is answered";
}

TEST_F(KafkaCluster, WhatIsKeptOutlivesAKilledBroker) {
  ASSERT_EQ(produce("writer", "before the end").status, 0);
  const std::string all = consume("writer", "%o %s %T\\n").out;
  ASSERT_EQ(cluster({"kill", "1"}).status, 0);
  const Ran stopped = cluster({"status"});
  EXPECT_EQ(stopped.status, 1) << stopped;
  EXPECT_TRUE(stopped.says("stopped")) << stopped;
  const Ran restarted = cluster({"restart", "1"}, kStartTimeoutMs);
  ASSERT_EQ(restarted.status, 0) << restarted;
  EXPECT_EQ(consume("writer", "%o %s %T\\n").out, all);
}

// Last: what it breaks on purpose, it does not mend all of.
TEST_F(KafkaCluster, ZTheCheckNamesWhatDiffers) {
  const Ran right = topics({"--check"});
  EXPECT_EQ(right.status, 0) << right;
  EXPECT_EQ(right.out, "");

  ASSERT_EQ(admin("admin", {"set", kTopic, "retention.ms=86400000"}).status, 0);
  const Ran retention = topics({"--check"});
  EXPECT_EQ(retention.status, 1) << retention;
  EXPECT_EQ(retention.out, "retention.ms is 86400000, must be -1\n");
  ASSERT_EQ(admin("admin", {"set", kTopic, "retention.ms=-1"}).status, 0);
  const Ran mended = topics({"--check"});
  EXPECT_EQ(mended.status, 0) << mended << "setting one value must not lose the others";

  const Ran shape = topics({"--check", "--partitions", "24", "--replicas", "3"});
  EXPECT_EQ(shape.status, 1) << shape;
  EXPECT_TRUE(shape.says("partitions: 12, must be 24\n")) << shape;
  EXPECT_TRUE(shape.says("partition 3: 1 replicas, must be 3\n")) << shape;

  ASSERT_EQ(admin("admin", {"allow", "User:CN=auditor", "topic", kTopic, "WRITE"}).status, 0);
  const Ran rights = topics({"--check"});
  EXPECT_EQ(rights.status, 1) << rights;
  EXPECT_EQ(rights.out, "User:CN=auditor may WRITE topic " + kTopic + ", must not: the writer alone writes\n");

  const Ran people = topics({"--check", "--writer", "User:CN=somebody"});
  EXPECT_TRUE(people.says("User:CN=somebody may not WRITE topic " + kTopic + ", must be allowed\n")) << people;

  ASSERT_EQ(produce("writer", "doomed").status, 0);
  ASSERT_EQ(admin("admin", {"delete-records", kTopic, "3", "1"}).status, 0) << "delete.topic.enable=false does not keep records";
  const Ran trimmed = topics({"--check"});
  EXPECT_EQ(trimmed.status, 1) << trimmed;
  EXPECT_TRUE(trimmed.says("partition 3: begins at offset 1, must be 0: records were deleted\n")) << trimmed;
}

}  // namespace
}  // namespace counterfoil::test

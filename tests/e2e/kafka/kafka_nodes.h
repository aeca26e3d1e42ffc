// Two nodes of one ledger on a real Kafka, each with a data folder of its own, and what their tests ask of them.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "tests/e2e/running_server.h"
#include "tests/support/free_port.h"
#include "tests/support/kafka_cluster.h"

namespace counterfoil::test {

using Clock = std::chrono::steady_clock;

// `serve` in a data folder of its own, with the ledger's common keys.
class Node {
 public:
  Node(std::string name, std::filesystem::path data) : name_(std::move(name)), data_(std::move(data)) {}

  void start() {
    if (port_ == 0) port_ = freePort();
    process_ = std::make_unique<Process>(
        std::vector<std::string>{"serve", "--data", data_.string(), "--listen", address(), "--admin-listen", "127.0.0.1:0"},
        std::vector<std::string>{"COUNTERFOIL_NODE_NAME=" + name_});
    while (process_->out.find('\n') == std::string::npos && process_->pump(60'000)) {
    }
    ASSERT_NE(process_->out.find('\n'), std::string::npos) << process_->error;
    admin_ = textAt(boost::json::parse(readBytes(data_ / "server.json")), {"adminUrl"}).substr(7);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  const std::filesystem::path& data() const { return data_; }
  Process& process() { return *process_; }
  void kill() {
    process_->signal(SIGKILL);
    process_->finish();
  }
  int stop() {
    process_->signal(SIGTERM);
    return process_->finish();
  }
  double metric(const std::string& name) const {
    const std::string text = HttpClient(admin_, {}).get("/metrics").body;
    const std::size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }
  // The answer of /readyz.
  HttpAnswer ready() const { return HttpClient(admin_, {}).get("/readyz"); }
  // Partitions it writes.
  double written() const { return metric("counterfoil_writer"); }

 private:
  std::string name_;
  std::filesystem::path data_;
  std::uint16_t port_ = 0;
  std::string admin_;
  std::unique_ptr<Process> process_;
};

class KafkaNodes : public ::testing::Test {
 protected:
  explicit KafkaNodes(int partitions = 1) : partitions_(partitions) {}
  void SetUp() override {
    std::string why;
    cluster_ = KafkaCluster::get(why);
    if (cluster_ == nullptr) GTEST_SKIP() << why;
    topic_ = cluster_->makeTopic(partitions_);
    log_ = "kafka://" + cluster_->brokers() + "/" + topic_;
    const Result made = runProgram({"init", "--data", (folder_.path() / "a").string(), "--keys", keys().string(), "--log", log_});
    ASSERT_EQ(made.status, 0) << made;
    const Result joined =
        runProgram({"init", "--join", "--data", (folder_.path() / "b").string(), "--keys", keys().string(), "--log", log_});
    ASSERT_EQ(joined.status, 0) << joined;
    a_ = std::make_unique<Node>("a", folder_.path() / "a");
    b_ = std::make_unique<Node>("b", folder_.path() / "b");
  }
  std::filesystem::path keys() const { return folder_.path() / "keys"; }

  // The node that writes all there is, once there is one.
  Node* writer() {
    for (const auto end = Clock::now() + std::chrono::seconds(60); Clock::now() < end;) {
      for (Node* node : {a_.get(), b_.get()}) {
        if (node->written() == partitions_) return node;
      }
    }
    return nullptr;
  }
  Node* other(const Node* node) { return node == a_.get() ? b_.get() : a_.get(); }

  // At the node that does not write: it asks the one that does.
  std::string mint(const std::string& role, const std::string& workspace) {
    Result minted;
    for (const auto end = Clock::now() + std::chrono::seconds(60); minted.status != 0 && Clock::now() < end;) {
      const Node* const writes = writer();
      if (writes == nullptr) break;
      const Node* const node = other(writes);
      minted = runProgram({"token", "mint", "--role", role, "--workspace", workspace, "--data", node->data().string()});
    }
    EXPECT_EQ(minted.status, 0) << minted;
    return minted.out.substr(0, minted.out.find('\n'));
  }

  const int partitions_;
  TemporaryFolder folder_;
  KafkaCluster* cluster_ = nullptr;
  std::string topic_;
  std::string log_;
  std::unique_ptr<Node> a_;
  std::unique_ptr<Node> b_;
};

// As clients do: 503 means that nobody decides at this moment, and that nothing was recorded for certain or the same id may be sent again.
template <class Ask>
HttpAnswer insist(const Ask& ask) {
  HttpAnswer answer;
  const auto end = Clock::now() + std::chrono::seconds(60);
  do {
    answer = ask();
  } while ((answer.status == 503 || answer.status == 0) && Clock::now() < end);
  return answer;
}

inline std::string grantBody(const std::string& lease) {
  return R"({"leaseId":")" + lease +
         R"(","credential":"git_token","grantee":{"kind":"agent","id":"fixer"},"scope":["contents:read"],)"
         R"("resources":["github.com/acme/shop"],"ttlSeconds":900})";
}

}  // namespace counterfoil::test

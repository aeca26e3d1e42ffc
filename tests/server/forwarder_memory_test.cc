// I6 on the way: a node that passed requests with secrets and tokens on keeps none of them. The node is a process of its own, whose memory
// is read from outside.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "ledger/crypto/random.h"
#include "server/forwarder.h"
#include "server/http/tls.h"
#include "server/metrics.h"
#include "server/problem.h"
#include "tests/support/certificates.h"
#include "tests/support/manual_clock.h"
#include "tests/support/raw_client.h"

namespace counterfoil::server {
namespace {

using test::RawClient;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMemoryIsFaithful = false;  // quarantines keep what was freed
#else
constexpr bool kMemoryIsFaithful = true;
#endif

// Serves until `input` ends: whatever comes is passed on to the URL that is its first line, with the files that are the next three.
void serveNode(int input, int output) {
  std::FILE* const lines = ::fdopen(input, "r");
  const auto next = [&] {
    std::array<char, 4096> line{};
    if (std::fgets(line.data(), static_cast<int>(line.size()), lines) == nullptr) ::_exit(1);
    const std::string text = line.data();
    return text.substr(0, text.find('\n'));
  };
  NodeRole role{false, next(), "node-a"};
  ForwardOptions options;
  options.nodeName = "node-b";
  options.certificate = next();
  options.certificateKey = next();
  options.authorities = next();
  Metrics metrics;
  test::ManualClock clock;
  EventLoops loops(1);
  Forwarder forwarder(
      loops, [&](PartitionId) { return role; }, options, metrics, clock);
  ConnectionContext context;
  std::atomic<int> requests{0};
  context.newRequestId = [&] { return "request-" + std::to_string(++requests); };
  context.refuse = [](const Fault& fault, const std::string& id) { return problem(fault, id); };
  const auto dispatch = [&](Exchange& exchange) -> asio::awaitable<Response> {
    std::optional<Fault> fault;
    try {
      NodeRole now = role;
      co_return co_await forwarder.forward(exchange, std::move(now), false);
    } catch (const Fault& refused) {
      fault = refused;
    }
    co_return problem(*fault, exchange.head().requestId);
  };
  context.dispatch = dispatch;
  Listener listener(loops, context, "127.0.0.1:0", 100);
  listener.start();
  const std::string address = listener.address() + "\n";
  if (::write(output, address.data(), address.size()) < 0) ::_exit(1);
  while (std::fgetc(lines) != EOF) {
  }
  ::_exit(0);
}

class NodeProcess {
 public:
  NodeProcess() {
    int towards[2], from[2];
    if (::pipe2(towards, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0) throw std::runtime_error("no pipes");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::close(towards[1]);
      serveNode(towards[0], from[1]);
    }
    ::close(towards[0]);
    ::close(from[1]);
    in_ = towards[1];
    out_ = from[0];
  }
  ~NodeProcess() {
    ::close(in_);
    ::close(out_);
    ::waitpid(pid_, nullptr, 0);
  }
  NodeProcess(const NodeProcess&) = delete;
  NodeProcess& operator=(const NodeProcess&) = delete;

  // Its address.
  std::string start(const std::string& lines) {
    if (::write(in_, lines.data(), lines.size()) < 0) return {};
    std::string address;
    char byte = 0;
    while (::read(out_, &byte, 1) == 1 && byte != '\n') address += byte;
    return address;
  }

  // Where `mark` stands in its writable memory.
  std::vector<std::string> placesOf(std::string_view mark) const {
    std::vector<std::string> found;
    std::ifstream maps("/proc/" + std::to_string(pid_) + "/maps");
    const int memory = ::open(("/proc/" + std::to_string(pid_) + "/mem").c_str(), O_RDONLY | O_CLOEXEC);
    if (memory < 0) throw std::runtime_error("cannot read the memory of a process");
    std::string line;
    while (std::getline(maps, line)) {
      unsigned long begin = 0, end = 0;
      char rights[5] = {};
      if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, rights) != 3 || rights[0] != 'r' || rights[1] != 'w') continue;
      std::string bytes(end - begin, '\0');
      const ssize_t got = ::pread(memory, bytes.data(), bytes.size(), static_cast<off_t>(begin));
      if (got <= 0) continue;
      bytes.resize(static_cast<std::size_t>(got));
      for (std::size_t at = bytes.find(mark); at != std::string::npos; at = bytes.find(mark, at + 1)) {
        found.push_back(std::string(mark) + " at " + std::to_string(at) + " of " + line);
      }
    }
    ::close(memory);
    return found;
  }

 private:
  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
};

// The node that writes: takes every body, answers how many bytes it had.
class PlayedWriter {
 public:
  explicit PlayedWriter(std::shared_ptr<asio::ssl::context> tls) : loops_(1) {
    context_.newRequestId = [this] { return "id-" + std::to_string(++requests_); };
    context_.refuse = [](const Fault& fault, const std::string& id) { return problem(fault, id); };
    context_.dispatch = [this](Exchange& exchange) { return dispatch(exchange); };
    listener_ = std::make_unique<Listener>(loops_, context_, "127.0.0.1:0", 100);
    listener_->setTls(std::move(tls));
    listener_->start();
  }
  ~PlayedWriter() {
    listener_->abort();
    loops_.stop();
  }
  asio::awaitable<Response> dispatch(Exchange& exchange) {
    ++dispatched;
    const std::string_view body = co_await exchange.body(1024 * 1024);
    co_return json(200, "{\"bytes\":" + std::to_string(body.size()) + ",\"token\":" + std::to_string(exchange.bearerToken().size()) + "}");
  }
  std::string address() const { return listener_->address(); }
  std::atomic<int> dispatched{0};

 private:
  std::atomic<int> requests_{0};
  ConnectionContext context_;
  EventLoops loops_;
  std::unique_ptr<Listener> listener_;
};

// Every secret and token of the test begins and ends with marks that are made here and known to no other process.
std::string freshMark() {
  crypto::SystemRandom random;
  std::string mark;
  for (const std::uint8_t byte : random.bytes<12>()) mark += static_cast<char>('a' + byte % 26);
  return mark;
}

class ForwarderMemory : public testing::TestWithParam<bool> {};

TEST_P(ForwarderMemory, NothingThatWasPassedOnIsKept) {
  if (!kMemoryIsFaithful) GTEST_SKIP() << "sanitizers keep freed memory";
  if (!test::Certificates::available()) GTEST_SKIP() << "there is no openssl program here";
  NodeProcess node;  // before this process has threads
  test::Certificates files;
  const test::CertificateFiles authority = files.authority("nodes");
  const test::CertificateFiles one = files.certificate("node", authority, "serverAuth,clientAuth");
  const bool tls = GetParam();
  PlayedWriter writer(tls ? makeTls(one.certificate, one.key, {}, authority.certificate) : nullptr);
  const std::string address = node.start((tls ? "https://" : "http://") + writer.address() + "\n" + one.certificate.string() + "\n" +
                                         one.key.string() + "\n" + authority.certificate.string() + "\n");
  ASSERT_FALSE(address.empty());

  const std::string head = freshMark(), tail = freshMark();
  RawClient client(address);
  for (int index = 0; index < 300; ++index) {
    // Small and large ones, with a length and in chunks.
    const std::string secret = head + std::to_string(1'000 + index) + tail;
    const std::string body = "{\"secret\":\"" + secret + "\"" + std::string(index % 3 == 0 ? 40'000 : 10, ' ') + "\"" + secret + "\"}";
    const std::string token = head + ".payload." + tail;
    std::string text = "POST /v1/leases HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n";
    if (index % 2 == 0) {
      text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    } else {
      std::array<char, 16> size{};
      std::snprintf(size.data(), size.size(), "%zx\r\n", body.size());
      text += "Transfer-Encoding: chunked\r\n\r\n" + std::string(size.data()) + body + "\r\n0\r\n\r\n";
    }
    ASSERT_TRUE(client.send(text));
    const std::string expected = "{\"bytes\":" + std::to_string(body.size()) + ",\"token\":" + std::to_string(token.size()) + "}";
    const std::string answer = client.read(expected);
    ASSERT_NE(answer.find(expected), std::string::npos) << answer;
  }
  EXPECT_EQ(writer.dispatched, 300);

  // What is under way is there: the search finds what there is.
  const std::string planted = freshMark();
  RawClient open(address);
  open.send("POST /v1/leases HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + planted + "\r\nContent-Length: 1000\r\n\r\n" + planted);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (writer.dispatched < 301 && std::chrono::steady_clock::now() < deadline) ::sched_yield();
  EXPECT_FALSE(node.placesOf(planted).empty());
  for (const std::string& mark : {head, tail}) EXPECT_THAT(node.placesOf(mark), testing::IsEmpty());
  open.close();
  client.close();
  std::vector<std::string> left;
  do {
    left = node.placesOf(planted);
  } while (!left.empty() && std::chrono::steady_clock::now() < deadline);
  EXPECT_THAT(left, testing::IsEmpty());
  for (const std::string& mark : {head, tail}) EXPECT_THAT(node.placesOf(mark), testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(PlainAndTls, ForwarderMemory, testing::Bool());

}  // namespace
}  // namespace counterfoil::server

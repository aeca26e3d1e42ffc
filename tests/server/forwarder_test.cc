// Passing requests on over real sockets: what the node that writes gets, and what the caller gets.
#include "server/forwarder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/server/forwarder_fixture.h"
#include "tests/support/chunked.h"

namespace counterfoil::server {
namespace {

using test::unchunked;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// ---- what passes ----

TEST_F(ForwarderTest, PassesARequestOnAsItIs) {
  start();
  const std::string answer = talk(
      "GET /v1/a%2Fb/echo?x=1+2&y=%3d HTTP/1.1\r\nHost: x\r\nAuthorization: bearer  some.token.here\r\nIdempotency-Key: key-1\r\n"
      "traceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01\r\nX-Request-Id: mine\r\nAccept: text/plain\r\n"
      "X-Drop: gone\r\nTE: trailers\r\nX-Counterfoil-Redirect: no\r\nConnection: close, X-Drop\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("GET /v1/a%2Fb/echo?x=1+2&y=%3d\n"));
  for (const char* there :
       {"token=some.token.here\n", "idempotency-key=key-1\n", "x-request-id=mine\n", "accept=text/plain\n",
        "traceparent=00-0123456789abcdef0123456789abcdef-0123456789abcdef-01\n", "x-counterfoil-forwarded-by=node-b\n"}) {
    EXPECT_THAT(answer, HasSubstr(there));
  }
  for (const char* gone : {"x-drop", "te=", "connection=", "x-counterfoil-redirect", "x-counterfoil-client-certificate"}) {
    EXPECT_THAT(answer, Not(HasSubstr(gone)));
  }
  EXPECT_THAT(answer, HasSubstr("host=" + writer_->site.listener->address()));
}

TEST_F(ForwarderTest, TheAnswerIsThatOfTheNodeThatWrites) {
  start();
  const std::string answer = get("/v1/echo");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "));
  for (const char* once : {"X-Request-Id: node-a-", "X-Counterfoil-Node: node-a\r\n", "X-Of-The-Writer: yes", "Cache-Control: no-store",
                           "X-Content-Type-Options: nosniff", "Content-Type: "}) {
    EXPECT_EQ(countOf(answer, once), 1U) << once << "\n" << answer;
  }
  EXPECT_THAT(answer, Not(HasSubstr("node-b\r\n")));
  const std::string refused = get("/v1/refuse");
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json"));
  EXPECT_THAT(refused, HasSubstr("\"requestId\":\"node-a-"));
  EXPECT_EQ(counted("answered"), 2);
}

TEST_F(ForwarderTest, BodiesPassWithALengthInChunksAndEmpty) {
  start();
  EXPECT_THAT(post("/v1/echo", "hello", "Content-Type: application/json\r\n"),
              testing::AllOf(HasSubstr("content-length=5\n"), HasSubstr("content-type=application/json\n"), EndsWith("body=hello")));
  EXPECT_THAT(post("/v1/echo", ""), HasSubstr("bytes=0\n"));
  EXPECT_THAT(talk("POST /v1/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                   "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n"),
              testing::AllOf(HasSubstr("transfer-encoding=chunked\n"), HasSubstr("bytes=7\n"), EndsWith("body=abcdefg")));
  const std::string large(9'000'000, 'b');
  EXPECT_THAT(post("/v1/echo", large), HasSubstr("bytes=9000000\n"));
  RawClient expecting = client();
  expecting.send("POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(expecting.read("\r\n\r\n"), StartsWith("HTTP/1.1 100 Continue"));
  expecting.send("hi");
  EXPECT_THAT(expecting.read(), testing::AllOf(EndsWith("body=hi"), Not(HasSubstr("expect="))));
}

TEST_F(ForwarderTest, AnswersOfEveryShapeComeBack) {
  start();
  const std::string large = get("/v1/large");
  EXPECT_THAT(large, HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_EQ(unchunked(large), std::string(3'000'000, 'l'));
  EXPECT_THAT(large, EndsWith("\r\n0\r\n\r\n"));
  EXPECT_THAT(get("/v1/empty"), StartsWith("HTTP/1.1 204 No Content\r\n"));
  const std::string head = talk("HEAD /v1/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(head.ends_with("\r\n\r\n") && countOf(head, "\r\n\r\n") == 1) << head;
}

TEST_F(ForwarderTest, AConnectionIsKeptOnBothSides) {
  start();
  RawClient one = client();
  for (int index = 0; index < 50; ++index) {
    const std::string mark = "body=number " + std::to_string(index) + ".";
    const std::string body = mark.substr(5);
    one.send("POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    EXPECT_THAT(one.read(mark), HasSubstr(mark));
  }
  EXPECT_FALSE(one.closed());
  EXPECT_EQ(writer_->site.listener->connections(), 1U);
  EXPECT_TRUE(until([&] { return writer_->requests == 51; })) << "an id is made for the next request as well: " << writer_->requests;
}

// ---- many facts ----

TEST_F(ForwarderTest, ResultsComeWhileTheBodyIsStillSent) {
  start();
  constexpr int kLines = 200'000;
  RawClient one = client();
  std::thread sender([&] {
    one.send("POST /v1/lines HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n");
    std::string block;
    for (int line = 0; line < kLines; ++line) {
      block += "line " + std::to_string(line) + "\n";
      if (block.size() < 10'000 && line + 1 < kLines) continue;
      char size[16];
      std::snprintf(size, sizeof(size), "%zx\r\n", block.size());
      if (!one.send(size + block + "\r\n")) return;
      block.clear();
    }
    one.send("0\r\n\r\n");
  });
  const std::string answer = one.read("\r\n0\r\n\r\n", 60'000);
  sender.join();
  EXPECT_THAT(answer.substr(0, 200), HasSubstr("application/x-ndjson"));
  const std::string body = unchunked(answer);
  EXPECT_EQ(countOf(body, "\n"), static_cast<std::size_t>(kLines));
  EXPECT_THAT(body.substr(body.size() - 300), HasSubstr("result of line " + std::to_string(kLines - 1) + " "));
}

TEST_F(ForwarderTest, WhoSendsEverythingBeforeReadingGetsAMegabyteOfResults) {
  start();
  std::string body;
  for (int line = 0; line < 4'000; ++line) body += "line " + std::to_string(line) + "\n";
  const std::string answer = post("/v1/lines", body, "Content-Type: application/x-ndjson\r\n");
  EXPECT_EQ(countOf(unchunked(answer), "result of line"), 4'000U);
  EXPECT_THAT(answer.substr(0, 300), StartsWith("HTTP/1.1 200"));
}

TEST_F(ForwarderTest, ABodyThatIsTooLargeIsRefusedHere) {
  start();
  const std::string head = "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 67108865\r\n\r\n";
  EXPECT_THAT(talk(head), StartsWith("HTTP/1.1 413"));
  EXPECT_EQ(writer_->dispatched, 0);
}

TEST_F(ForwarderTest, ARefusalIsToldToACallerWhoStopsSending) {
  start();
  RawClient one = client();
  one.send("POST /v1/refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + std::string(200'000, 'x'));
  EXPECT_THAT(one.read("}"), StartsWith("HTTP/1.1 403"));
}

// ---- streams ----

TEST_F(ForwarderTest, EventsPassAsTheyHappen) {
  start();
  RawClient one = client();
  one.send("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(one.read("retry"), testing::AllOf(HasSubstr("text/event-stream"), HasSubstr("Transfer-Encoding: chunked")));
  for (int event = 1; event <= 20; ++event) {
    ++writer_->happened;
    const std::string mark = "id: " + std::to_string(event) + "\n";
    EXPECT_THAT(one.read(mark), HasSubstr(mark));
  }
  writer_->released = true;
  EXPECT_THAT(one.read("0\r\n\r\n"), EndsWith("0\r\n\r\n"));
  EXPECT_TRUE(until([&] { return counted("answered") == 1; }));
}

TEST_F(ForwarderTest, AStreamThatWasCutHasNoEnd) {
  start();
  writer_->cutting = true;
  RawClient one = client();
  one.send("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(one.read("retry"), HasSubstr("retry"));
  writer_->released = true;
  EXPECT_THAT(one.read(), Not(HasSubstr("0\r\n\r\n")));
  EXPECT_TRUE(one.closed());
}

TEST_F(ForwarderTest, AStreamEndsWhenAnotherNodeWrites) {
  start();
  Writer next("node-c");
  RawClient one = client();
  one.send("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(one.read("retry"), HasSubstr("retry"));
  setOwner(next.site.url());
  EXPECT_THAT(one.read("0\r\n\r\n"), EndsWith("0\r\n\r\n"));
  EXPECT_THAT(get("/v1/echo"), HasSubstr("X-Counterfoil-Node: node-c"));
}

TEST_F(ForwarderTest, AStreamEndsWithTheServer) {
  start();
  RawClient one = client();
  one.send("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(one.read("retry"), HasSubstr("retry"));
  node_->context.stopping = true;
  node_->listener->drain();
  EXPECT_THAT(one.read("0\r\n\r\n"), EndsWith("0\r\n\r\n"));
}

// A listener that does not read holds up the node that writes, and nothing piles up on the way.
TEST_F(ForwarderTest, AListenerThatDoesNotReadIsCutOffAndNothingPilesUp) {
  start();
  RawClient one = client();
  const int small = 16 * 1024;
  ::setsockopt(one.descriptor(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
  one.send("GET /v1/flood HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(until([&] { return writer_->listening == 1; }));
  EXPECT_TRUE(until([&] { return writer_->site.listener->connections() == 0; }, 30'000)) << "the writer gives it up";
  // What the kernel's buffers take (some megabytes on each hop), and 64 KiB here.
  EXPECT_LT(writer_->flooded, 32U * 1024 * 1024);
}

TEST_F(ForwarderTest, ThousandsListenAtOnceAndNoMoreThanAllowed) {
  constexpr std::size_t kListeners = 1'500;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < 4 * kListeners + 9'000) GTEST_SKIP() << "the limit of descriptors is too low for " << kListeners << " listeners";
  options_.streamsMax = kListeners;
  start();
  std::vector<std::unique_ptr<RawClient>> listeners;
  for (std::size_t index = 0; index < kListeners; ++index) {
    listeners.push_back(std::make_unique<RawClient>(node_->listener->address()));
    listeners.back()->send("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  ASSERT_TRUE(until([&] { return writer_->listening == static_cast<int>(kListeners); }, 60'000)) << writer_->listening;
  EXPECT_EQ(forwarder_->open(), kListeners);
  const std::string refused = get("/v1/events");
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(refused, HasSubstr("intake_full"));
  EXPECT_THAT(get("/v1/echo"), StartsWith("HTTP/1.1 200")) << "requests have a count of their own";
  ++writer_->happened;
  for (auto& one : listeners) ASSERT_THAT(one->read("id: 1\n", 20'000), HasSubstr("id: 1\n"));
  listeners.clear();
  ++writer_->happened;  // only now it is seen that they have gone
  EXPECT_TRUE(until(
      [&] {
        ++writer_->happened;
        return forwarder_->open() == 0;
      },
      30'000));
}

// ---- names and addresses ----

TEST(PeerAddress, IsOfAUrlWithoutAPath) {
  const auto parts = [](std::string_view url) {
    const auto address = peerAddressOf(url);
    return address ? (address->tls ? "tls " : "plain ") + address->host + " " + address->port + " " + address->authority : "none";
  };
  EXPECT_EQ(parts("https://node-1.example.com:8780"), "tls node-1.example.com 8780 node-1.example.com:8780");
  EXPECT_EQ(parts("https://node-1.example.com/"), "tls node-1.example.com 443 node-1.example.com");
  EXPECT_EQ(parts("https://[2001:db8::1]:8780"), "tls 2001:db8::1 8780 [2001:db8::1]:8780");
  EXPECT_EQ(parts("http://127.0.0.1:8780"), "plain 127.0.0.1 8780 127.0.0.1:8780");
  EXPECT_EQ(parts("http://[::1]:8780"), "plain ::1 8780 [::1]:8780");
  EXPECT_EQ(parts("http://localhost"), "plain localhost 80 localhost");
  for (const char* bad : {"", "http://", "https://", "https://:8780", "https://a:", "https://a:123456", "https://a:12x", "ftp://a",
                          "a:8780", "https://a/b", "https://user@a", "https://a b", "https://a\r\nX: y", "http://192.0.2.1:8780",
                          "http://node-1:8780", "http://127.0.0.1.example.com:80"}) {
    EXPECT_EQ(parts(bad), "none") << bad;
  }
}

TEST(ForwarderOptions, ANodeHasANameAndAllItsFilesOrNone) {
  EventLoops loops(1);
  Metrics metrics;
  test::ManualClock clock;
  const auto make = [&](ForwardOptions options) {
    Forwarder(
        loops, [](PartitionId) { return NodeRole(); }, std::move(options), metrics, clock);
  };
  const auto codeOf = [&](const ForwardOptions& options) {
    try {
      make(options);
    } catch (const Fault& fault) {
      return fault.code();
    }
    return ErrorCode::internal;
  };
  ForwardOptions options;
  for (const char* name : {"", "a b", "a\r\nb", "\xc3\xa4"}) {
    options.nodeName = name;
    EXPECT_EQ(codeOf(options), ErrorCode::usage) << name;
  }
  options.nodeName = "node-1.example.com";
  EXPECT_NO_THROW(make(options));
  options.certificate = "some.pem";
  EXPECT_EQ(codeOf(options), ErrorCode::usage);
  options.certificateKey = options.authorities = "missing.pem";
  EXPECT_EQ(codeOf(options), ErrorCode::keyMissing);
}

}  // namespace
}  // namespace counterfoil::server

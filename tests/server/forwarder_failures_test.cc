// Where requests go, and what is said when the other node is gone, slow or half-way. Real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/forwarder_fixture.h"
#include "tests/support/fake_server.h"

namespace counterfoil::server {
namespace {

using test::FakeServer;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ForwarderFailure : public ForwarderTest {};

// ---- where the writer is ----

TEST_F(ForwarderFailure, TellsWhoAsksWhereTheWriterIs) {
  start();
  const std::string answer = post("/v1/workspaces/a%2Fb/facts?ack=durable&x=+", "{\"secret\":1}",
                                  "X-Counterfoil-Redirect: Yes\r\nContent-Type: application/json\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 307 Temporary Redirect\r\n"));
  EXPECT_THAT(answer, HasSubstr("Location: " + writer_->site.url() + "/v1/workspaces/a%2Fb/facts?ack=durable&x=+\r\n"));
  EXPECT_THAT(answer, HasSubstr("X-Counterfoil-Node: node-b\r\n"));
  EXPECT_EQ(writer_->dispatched, 0);
  EXPECT_EQ(counted("redirected"), 1);
}

TEST_F(ForwarderFailure, SaysSoWhenNobodyWrites) {
  setOwner("");
  startNode();
  for (const char* headers : {"", "X-Counterfoil-Redirect: yes\r\n"}) {
    const std::string answer = post("/v1/echo", "x", headers);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
    EXPECT_THAT(answer, testing::AllOf(HasSubstr("\"code\":\"not_ready\""), HasSubstr("Retry-After: 1\r\n")));
  }
  EXPECT_EQ(counted("no_owner"), 2);
}

TEST_F(ForwarderFailure, AUrlThatIsNoneOrWouldShowTokensIsNotReached) {
  setOwner("http://192.0.2.1:8780");
  startNode();
  EXPECT_THAT(get("/v1/echo"), testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("not_ready")));
  setOwner("https://127.0.0.1:1");
  EXPECT_THAT(get("/v1/echo"), testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("not_ready"))) << "no certificate to show";
}

TEST_F(ForwarderFailure, NoBodyIsReadTwiceWhenTheNodeIsGone) {
  start();
  const std::string url = writer_->site.url();
  EXPECT_THAT(post("/v1/echo", "one"), HasSubstr("body=one"));
  writer_.reset();
  const std::string answer = post("/v1/echo", "two");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, testing::AllOf(HasSubstr("not_ready"), HasSubstr("Retry-After: 1\r\n")));
  // The same address again: connections of before are not used.
  writer_ = std::make_unique<Writer>("node-a", url.substr(7));
  EXPECT_THAT(post("/v1/echo", "three"), HasSubstr("body=three"));
  EXPECT_EQ(writer_->dispatched, 1);
}

TEST_F(ForwarderFailure, FollowsTheWriterInMidRun) {
  start();
  Writer next("node-c");
  std::atomic<bool> over{false};
  std::atomic<int> failed{0}, first{0}, second{0};
  std::vector<std::thread> callers;
  for (int index = 0; index < 4; ++index) {
    callers.emplace_back([&] {
      while (!over) {
        const std::string answer = post("/v1/echo", "x");
        if (answer.find("X-Counterfoil-Node: node-a") != std::string::npos) {
          ++first;
        } else if (answer.find("X-Counterfoil-Node: node-c") != std::string::npos) {
          ++second;
        } else {
          ++failed;
        }
      }
    });
  }
  EXPECT_TRUE(until([&] { return first > 50; }));
  setOwner(next.site.url());
  EXPECT_TRUE(until([&] { return second > 50; }));
  over = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(first, writer_->dispatched);
  EXPECT_EQ(second, next.dispatched);
}

// ---- answers that do not come ----

TEST_F(ForwarderFailure, ARequestWithoutAnAnswerMayBeRecordedAndIsNotSentAgain) {
  FakeServer gone({""});
  setOwner(gone.url());
  startNode();
  const std::string answer = post("/v1/echo", "hello");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, testing::AllOf(HasSubstr("\"code\":\"indeterminate\""), HasSubstr("Retry-After: 1\r\n")));
  EXPECT_EQ(gone.requests().size(), 1U);
  EXPECT_THAT(get("/v1/echo"), HasSubstr("\"code\":\"not_ready\"")) << "a reading has nothing to find out";
  EXPECT_EQ(gone.requests().size(), 2U);
  EXPECT_EQ(counted("indeterminate"), 1);
}

TEST_F(ForwarderFailure, HalfAnAnswerIsNone) {
  const std::vector<std::string> halves = {"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"outcome\":",
                                           "HTTP/1.1 201 Created\r\nContent-Le", "HTTP/1.1 201 Created\r\n\r\n{\"outcome\":\"granted\"}",
                                           "no HTTP at all\r\n\r\n", "HTTP/1.1 201 Created\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n"};
  for (const std::string& half : halves) {
    // Without a Content-Length of its own in the text the server closes behind it; with one it would wait.
    FakeServer server({half});
    setOwner(server.url());
    options_.limits.answer = milliseconds(500);
    startNode();
    const std::string answer = post("/v1/echo", "hello");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 503")) << half.substr(0, 60);
    EXPECT_THAT(answer, HasSubstr("\"code\":\"indeterminate\"")) << half.substr(0, 60);
    EXPECT_TRUE(until([&] { return !server.requests().empty(); })) << half.substr(0, 60);
    EXPECT_EQ(server.requests().size(), 1U) << half.substr(0, 60);
    node_.reset();
  }
}

TEST_F(ForwarderFailure, AStreamOfResultsThatWasCutLooksCut) {
  FakeServer server({"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n"});
  setOwner(server.url());
  startNode();
  const std::string answer = post("/v1/lines", "a\nb\n", "Content-Type: application/x-ndjson\r\n");
  EXPECT_THAT(answer, HasSubstr("one\n"));
  EXPECT_THAT(answer, Not(HasSubstr("0\r\n\r\n")));
}

TEST_F(ForwarderFailure, AnAnswerThatTakesTooLongIsGivenUp) {
  options_.limits.answer = milliseconds(300);
  start();
  const std::string answer = post("/v1/wait", "hello");
  EXPECT_THAT(answer, HasSubstr("\"code\":\"indeterminate\""));
  EXPECT_THAT(get("/v1/wait"), HasSubstr("\"code\":\"not_ready\""));
  EXPECT_TRUE(until([&] { return writer_->dispatched == 2; })) << writer_->dispatched;
}

TEST_F(ForwarderFailure, ACallerWhoStopsHalfWayIsToldAndTheWriterSeesItCut) {
  start();
  RawClient one = client();
  one.send("POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
  EXPECT_THAT(one.read(), StartsWith("HTTP/1.1 408"));
  EXPECT_TRUE(until([&] { return writer_->site.listener->connections() == 0; })) << "it does not wait for the rest";
}

TEST_F(ForwarderFailure, OnlySoManyAreUnderWayAtOnce) {
  options_.requestsMax = 2;
  options_.limits.answer = milliseconds(20'000);
  start();
  RawClient first = client(), second = client();
  for (RawClient* one : {&first, &second}) one->send("GET /v1/wait HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(until([&] { return writer_->dispatched == 2; }));
  const std::string refused = get("/v1/echo");
  EXPECT_THAT(refused, testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("intake_full"), HasSubstr("Retry-After: 1\r\n")));
  writer_->released = true;
  for (RawClient* one : {&first, &second}) EXPECT_THAT(one->read("body="), StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(until([&] { return get("/v1/echo").starts_with("HTTP/1.1 200"); }));
}

TEST_F(ForwarderFailure, TheEndDoesNotWaitForTheOtherNode) {
  options_.limits.answer = milliseconds(60'000);
  start();
  RawClient one = client();
  one.send("GET /v1/wait HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(until([&] { return writer_->dispatched == 1; }));
  const auto before = std::chrono::steady_clock::now();
  node_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(30));
}

}  // namespace
}  // namespace counterfoil::server

// Passing requests on over real sockets: what the node that writes gets, what the caller gets, and what is said when the other node is
// gone, slow or half-way.
#include "server/forwarder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <mutex>
#include <thread>

#include "server/forwarded.h"
#include "server/metrics.h"
#include "server/problem.h"
#include "tests/support/chunked.h"
#include "tests/support/fake_server.h"
#include "tests/support/manual_clock.h"
#include "tests/support/raw_client.h"

namespace counterfoil::server {
namespace {

using std::chrono::milliseconds;
using test::FakeServer;
using test::RawClient;
using test::unchunked;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::size_t countOf(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

// A listener with its loops and a dispatch of the test's.
class Site {
 public:
  explicit Site(Dispatch dispatch, const std::string& address = "127.0.0.1:0") : loops(2) {
    context.dispatch = std::move(dispatch);
    context.refuse = [](const Fault& fault, const std::string& id) { return problem(fault, id); };
    listener = std::make_unique<Listener>(loops, context, address, 20'000);
  }
  ~Site() { stop(); }
  void stop() {
    if (!listener) return;
    context.stopping = true;
    listener->abort();
    if (beforeEnd) beforeEnd();
    loops.stop();
    listener.reset();
  }
  std::string url() const { return "http://" + listener->address(); }

  ConnectionContext context;
  EventLoops loops;
  std::unique_ptr<Listener> listener;
  std::function<void()> beforeEnd;
};

// The node that writes, played: answers by the last segment of the path and tells what it got.
class Writer {
 public:
  explicit Writer(std::string name, const std::string& address = "127.0.0.1:0")
      : name_(std::move(name)), site([this](Exchange& exchange) { return dispatch(exchange); }, address) {
    site.context.newRequestId = [this] { return name_ + "-" + std::to_string(++requests); };
    site.context.headers.emplace_back("X-Counterfoil-Node", name_);
    site.listener->start();
  }
  ~Writer() { released = true; }

  asio::awaitable<Response> dispatch(Exchange& exchange) {
    ++dispatched;
    std::optional<Fault> fault;
    try {
      co_return co_await answer(exchange);
    } catch (const Fault& refused) {
      fault = refused;
    }
    co_return problem(*fault, exchange.head().requestId);
  }

  asio::awaitable<Response> answer(Exchange& exchange) {
    const std::string last = exchange.head().segments.back();
    if (last == "refuse") throw Fault(ErrorCode::notAllowed, "no", "");
    if (last == "wait") co_await untilReleased();
    if (last == "events" || last == "flood") co_return co_await events(exchange, last == "flood");
    if (last == "lines") co_return co_await lines(exchange);
    if (last == "empty") {
      Response none;
      none.status = 204;
      co_return none;
    }
    Response response;
    response.contentType = "text/plain";
    if (last == "large") {
      response.body = std::string(3'000'000, 'l');
      co_return response;
    }
    const std::string_view body = co_await exchange.body(16 * 1024 * 1024);
    const RequestHead& head = exchange.head();
    response.body = head.method + " " + head.target + "\ntoken=" + std::string(exchange.bearerToken()) + "\n";
    for (const auto& [name, value] : head.headers) response.body += name + "=" + value + "\n";
    response.body += "bytes=" + std::to_string(body.size()) + "\nbody=" + std::string(body.substr(0, 200));
    response.headers.emplace_back("X-Of-The-Writer", "yes");
    co_return response;
  }

  asio::awaitable<void> untilReleased() {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    while (!released) {
      timer.expires_after(milliseconds(5));
      co_await timer.async_wait(asio::use_awaitable);
    }
  }

  // Counts up with `happened`; a flood does not wait for anything.
  asio::awaitable<Response> events(Exchange& exchange, bool flood) {
    Response begin;
    begin.contentType = "text/event-stream";
    begin.body = "retry: 2000\n\n";
    co_await exchange.beginStream(std::move(begin));
    ++listening;
    asio::steady_timer timer(co_await asio::this_coro::executor);
    const std::string much(32 * 1024, 'f');
    int told = 0;
    while (!exchange.ending() && !released) {
      if (flood) {
        co_await exchange.send(much, 1'000);
        flooded += much.size();
        continue;
      }
      if (told == happened) {
        timer.expires_after(milliseconds(5));
        co_await timer.async_wait(asio::use_awaitable);
        continue;
      }
      const std::string text = "id: " + std::to_string(++told) + "\n\n";
      co_await exchange.send(text, 1'000);
    }
    if (cutting) throw Fault(ErrorCode::internal, "cut", "");
    co_return Response{};
  }

  // As facts are answered: a result for each line, held up to 1 MiB, then sent while the body is still read.
  asio::awaitable<Response> lines(Exchange& exchange) {
    std::string held;
    bool begun = false;
    while (const auto line = co_await exchange.line(1'000, 64 * 1024 * 1024)) {
      held += "result of " + std::string(line->text) + " " + std::string(200, 'r') + "\n";
      if (held.size() < 1024 * 1024) continue;
      if (!begun) {
        begun = true;
        Response head;
        head.contentType = "application/x-ndjson";
        co_await exchange.beginStream(std::move(head));
      }
      co_await exchange.send(held, 20'000);
      held.clear();
    }
    Response response;
    response.contentType = "application/x-ndjson";
    if (begun) {
      co_await exchange.send(held, 20'000);
      co_return Response{};
    }
    response.body = std::move(held);
    co_return response;
  }

  std::atomic<int> requests{0}, dispatched{0}, happened{0}, listening{0};
  std::atomic<std::size_t> flooded{0};
  std::atomic<bool> released{false}, cutting{false};

 private:
  const std::string name_;

 public:
  Site site;
};

class ForwarderTest : public testing::Test {
 protected:
  ForwarderTest() {
    options_.nodeName = "node-b";
    options_.limits.answer = milliseconds(5'000);
    options_.look = milliseconds(50);
    options_.sendToListener = milliseconds(1'000);
  }
  void TearDown() override {
    if (writer_) writer_->released = true;
    node_.reset();
    writer_.reset();
  }

  // A node that passes everything on, as the API does for a node that does not write.
  void startNode() {
    node_ = std::make_unique<Site>([this](Exchange& exchange) { return dispatch(exchange); });
    node_->context.newRequestId = [this] { return "own-" + std::to_string(++requests_); };
    node_->context.headers.emplace_back("X-Counterfoil-Node", "node-b");
    node_->context.limits.bodyPiece = milliseconds(2'000);
    forwarder_ = std::make_unique<Forwarder>(
        node_->loops, [this] { return roleNow(); }, options_, metrics_, clock_);
    node_->beforeEnd = [this] { forwarder_->stop(); };
    node_->listener->start();
  }
  void start() {
    writer_ = std::make_unique<Writer>("node-a");
    setOwner(writer_->site.url());
    startNode();
  }

  NodeRole roleNow() {
    const std::lock_guard lock(mutex_);
    return role_;
  }
  void setOwner(const std::string& url) {
    const std::lock_guard lock(mutex_);
    role_ = {false, url, "node-a"};
  }

  asio::awaitable<Response> dispatch(Exchange& exchange) {
    std::optional<Fault> fault;
    try {
      NodeRole role = roleNow();
      const std::string last = exchange.head().segments.back();
      const bool isStream = last == "events" || last == "flood";
      co_return co_await forwarder_->forward(exchange, std::move(role), isStream);
    } catch (const Fault& refused) {
      fault = refused;
    }
    co_return problem(*fault, exchange.head().requestId);
  }

  RawClient client() const { return RawClient(node_->listener->address()); }
  std::string talk(std::string_view text) const {
    RawClient one(node_->listener->address());
    one.send(text);
    return one.read();
  }
  std::string get(std::string_view path) const {
    return talk("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }
  std::string post(std::string_view path, std::string_view body, std::string_view headers = {}) const {
    return talk("POST " + std::string(path) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + std::string(headers) +
                "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body));
  }
  template <class Condition>
  static bool until(Condition condition, int most = 10'000) {
    const auto deadline = std::chrono::steady_clock::now() + milliseconds(most);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }
  double counted(const std::string& outcome) {
    const std::string text = metrics_.scrape();
    const std::string name = "counterfoil_forwarded_requests_total{outcome=\"" + outcome + "\"} ";
    const std::size_t at = text.find(name);
    return at == std::string::npos ? 0 : std::stod(text.substr(at + name.size()));
  }

  ForwardOptions options_;
  Metrics metrics_;
  test::ManualClock clock_;
  std::mutex mutex_;
  NodeRole role_;
  std::atomic<int> requests_{0};
  std::unique_ptr<Writer> writer_;
  std::unique_ptr<Forwarder> forwarder_;
  std::unique_ptr<Site> node_;  // its end comes before the forwarder's
};

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
  EXPECT_EQ(writer_->requests, 51) << "an id is made for the next request as well";
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
    EXPECT_THAT(one.read(mark, 2'000), HasSubstr(mark));
  }
  writer_->released = true;
  EXPECT_THAT(one.read("0\r\n\r\n"), EndsWith("0\r\n\r\n"));
  EXPECT_EQ(counted("answered"), 1);
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

// ---- where the writer is ----

TEST_F(ForwarderTest, TellsWhoAsksWhereTheWriterIs) {
  start();
  const std::string answer = post("/v1/workspaces/a%2Fb/facts?ack=durable&x=+", "{\"secret\":1}",
                                  "X-Counterfoil-Redirect: Yes\r\nContent-Type: application/json\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 307 Temporary Redirect\r\n"));
  EXPECT_THAT(answer, HasSubstr("Location: " + writer_->site.url() + "/v1/workspaces/a%2Fb/facts?ack=durable&x=+\r\n"));
  EXPECT_THAT(answer, HasSubstr("X-Counterfoil-Node: node-b\r\n"));
  EXPECT_EQ(writer_->dispatched, 0);
  EXPECT_EQ(counted("redirected"), 1);
}

TEST_F(ForwarderTest, SaysSoWhenNobodyWrites) {
  setOwner("");
  startNode();
  for (const char* headers : {"", "X-Counterfoil-Redirect: yes\r\n"}) {
    const std::string answer = post("/v1/echo", "x", headers);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
    EXPECT_THAT(answer, testing::AllOf(HasSubstr("\"code\":\"not_ready\""), HasSubstr("Retry-After: 1\r\n")));
  }
  EXPECT_EQ(counted("no_owner"), 2);
}

TEST_F(ForwarderTest, AUrlThatIsNoneOrWouldShowTokensIsNotReached) {
  setOwner("http://192.0.2.1:8780");
  startNode();
  EXPECT_THAT(get("/v1/echo"), testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("not_ready")));
  setOwner("https://127.0.0.1:1");
  EXPECT_THAT(get("/v1/echo"), testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("not_ready"))) << "no certificate to show";
}

TEST_F(ForwarderTest, NoBodyIsReadTwiceWhenTheNodeIsGone) {
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

TEST_F(ForwarderTest, FollowsTheWriterInMidRun) {
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

TEST_F(ForwarderTest, ARequestWithoutAnAnswerMayBeRecordedAndIsNotSentAgain) {
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

TEST_F(ForwarderTest, HalfAnAnswerIsNone) {
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
    EXPECT_EQ(server.requests().size(), 1U) << half.substr(0, 60);
    node_.reset();
  }
}

TEST_F(ForwarderTest, AStreamOfResultsThatWasCutLooksCut) {
  FakeServer server({"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n"});
  setOwner(server.url());
  startNode();
  const std::string answer = post("/v1/lines", "a\nb\n", "Content-Type: application/x-ndjson\r\n");
  EXPECT_THAT(answer, HasSubstr("one\n"));
  EXPECT_THAT(answer, Not(HasSubstr("0\r\n\r\n")));
}

TEST_F(ForwarderTest, AnAnswerThatTakesTooLongIsGivenUp) {
  options_.limits.answer = milliseconds(300);
  start();
  const std::string answer = post("/v1/wait", "hello");
  EXPECT_THAT(answer, HasSubstr("\"code\":\"indeterminate\""));
  EXPECT_THAT(get("/v1/wait"), HasSubstr("\"code\":\"not_ready\""));
  EXPECT_EQ(writer_->dispatched, 2);
}

TEST_F(ForwarderTest, ACallerWhoStopsHalfWayIsToldAndTheWriterSeesItCut) {
  start();
  RawClient one = client();
  one.send("POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
  EXPECT_THAT(one.read(), StartsWith("HTTP/1.1 408"));
  EXPECT_TRUE(until([&] { return writer_->site.listener->connections() == 0; })) << "it does not wait for the rest";
}

TEST_F(ForwarderTest, OnlySoManyAreUnderWayAtOnce) {
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

TEST_F(ForwarderTest, TheEndDoesNotWaitForTheOtherNode) {
  options_.limits.answer = milliseconds(60'000);
  start();
  RawClient one = client();
  one.send("GET /v1/wait HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(until([&] { return writer_->dispatched == 1; }));
  const auto before = std::chrono::steady_clock::now();
  node_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));
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
        loops, [] { return NodeRole(); }, std::move(options), metrics, clock);
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

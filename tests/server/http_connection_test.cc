// The wire: what is served, what is refused, and that nothing half sent, doubled or ambiguous reaches a handler. Real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <mutex>

#include "server/http/listener.h"
#include "server/problem.h"
#include "tests/support/raw_client.h"

namespace counterfoil::server {
namespace {

using test::RawClient;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Answers "<method> <segments> <body>", by lines if the path ends in /lines, as a stream if it ends in /stream; /ignore reads no body.
// Streams are /follow, which reads no body, /echo, which sends each line as soon as it has it, and /last, which waits for its end.
class HttpConnection : public testing::Test {
 protected:
  explicit HttpConnection(const ConnectionLimits& limits = {}) : loops_(2) {
    context_.limits = limits;
    context_.newRequestId = [this] { return "request-" + std::to_string(++requests_); };
    context_.refuse = [](const Fault& fault, const std::string& id) { return problem(fault, id); };
    context_.dispatch = [this](Exchange& exchange) { return dispatch(exchange); };
    listener_ = std::make_unique<Listener>(loops_, context_, "127.0.0.1:0", 1'000);
    listener_->start();
  }

  asio::awaitable<Response> dispatch(Exchange& exchange) {
    ++dispatched_;
    std::optional<Fault> fault;
    try {
      co_return co_await answer(exchange);
    } catch (const Fault& refused) {
      fault = refused;
    }
    co_return problem(*fault, exchange.head().requestId);
  }

  asio::awaitable<Response> answer(Exchange& exchange) {
    const RequestHead& head = exchange.head();
    Response response;
    response.contentType = "text/plain";
    response.body = head.method;
    for (const std::string& segment : head.segments) response.body += " [" + segment + "]";
    for (const auto& [name, value] : head.query) response.body += " " + name + "=" + value;
    const std::string last = head.segments.back();
    if (last == "ignore") co_return response;
    if (last == "lines") {
      while (const auto line = co_await exchange.line(100, 10'000)) {
        response.body += line->tooLong ? " (long)" : " (" + std::string(line->text) + ")";
      }
      co_return response;
    }
    if (last == "follow" || last == "echo" || last == "last") {
      co_await stream(exchange, last);
      co_return Response{};
    }
    const std::string_view body = co_await exchange.body(1'000);
    response.body += " body=" + std::string(body);
    if (last == "stream") {
      Response begin;
      begin.contentType = "text/plain";
      co_await exchange.beginStream(std::move(begin));
      co_await exchange.send("one\n", 1'000);
      co_await exchange.send("two\n", 1'000);
    }
    co_return response;
  }

  asio::awaitable<void> stream(Exchange& exchange, std::string kind) {
    Response begin;
    begin.contentType = "text/plain";
    begin.body = "begun\n";
    if (kind == "echo") {
      std::optional<Exchange::Line> line = co_await exchange.line(100, 1'000);
      co_await exchange.beginStream(std::move(begin));
      while (line) {
        const std::string text = std::string(line->text) + "\n";
        co_await exchange.send(text, 1'000);
        line = co_await exchange.line(100, 1'000);
      }
      co_return;
    }
    co_await exchange.beginStream(std::move(begin));
    if (kind == "follow" && exchange.ending()) co_return;
    asio::steady_timer timer(co_await asio::this_coro::executor);
    int rounds = 0;
    while (kind == "last" && !exchange.ending()) {
      if (++rounds > 1'000) co_return;  // the test has failed; nothing is to hang
      timer.expires_after(std::chrono::milliseconds(5));
      co_await timer.async_wait(asio::use_awaitable);
    }
    co_await exchange.send("over\n", 1'000);
  }

  // One exchange; the connection is closed by whoever ends it first.
  std::string talk(std::string_view text, std::string_view until = {}) {
    RawClient client(listener_->address());
    client.send(text);
    return client.read(until);
  }
  std::string get(std::string_view path) { return talk("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); }

  ConnectionContext context_;
  std::atomic<int> requests_{0};
  std::atomic<int> dispatched_{0};
  EventLoops loops_;
  std::unique_ptr<Listener> listener_;
};

// For tests of what is too slow: nobody waits long for a body.
class HurriedBody : public HttpConnection {
 protected:
  explicit HurriedBody(ConnectionLimits limits = {}) : HttpConnection(hurried(limits)) {}

 private:
  static const ConnectionLimits& hurried(ConnectionLimits& limits) {
    limits.bodyPiece = std::chrono::milliseconds(400);
    limits.bodyRate = std::chrono::milliseconds(100);
    return limits;
  }
};

class HurriedConnection : public HurriedBody {
 protected:
  HurriedConnection() : HurriedBody(hurried()) {}

 private:
  static ConnectionLimits hurried() {
    ConnectionLimits limits;
    limits.header = std::chrono::milliseconds(800);
    limits.idle = std::chrono::milliseconds(1'000);
    return limits;
  }
};

TEST_F(HttpConnection, DecodesPathsSegmentBySegment) {
  EXPECT_THAT(get("/a%2Fb/c%20d?x=1+2&y=%3D&x=3"), HasSubstr("GET [a/b] [c d] x=1 2 y== x=3 body="));
  EXPECT_THAT(get("//a/"), HasSubstr("GET [] [a] [] body="));
}

TEST_F(HttpConnection, KeepsTheConnectionAndAnswersPipelinedRequestsInOrder) {
  RawClient client(listener_->address());
  client.send(
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string text = client.read("GET [3] body=");
  EXPECT_LT(text.find("GET [1] body="), text.find("POST [2] body=abc"));
  EXPECT_LT(text.find("POST [2] body=abc"), text.find("GET [3] body="));
  EXPECT_THAT(text, Not(HasSubstr("Connection: close")));
}

TEST_F(HttpConnection, TakesChunkedBodiesAndExpectations) {
  EXPECT_THAT(
      talk("POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n"),
      HasSubstr("body=abcdefg"));
  RawClient client(listener_->address());
  client.send("POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.read("\r\n\r\n"), StartsWith("HTTP/1.1 100 Continue"));
  client.send("hi");
  EXPECT_THAT(client.read(), HasSubstr("body=hi"));
}

TEST_F(HttpConnection, HeadHasNoBody) {
  const std::string text = talk("HEAD /h HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(text, HasSubstr("Content-Length: "));
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
}

TEST_F(HttpConnection, StreamsInChunks) {
  const std::string text = talk("GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(text, HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_THAT(text, HasSubstr("4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n"));
}

constexpr const char* kLastChunk = "\r\n0\r\n\r\n";

TEST_F(HttpConnection, AStreamGoesOnAlthoughTheConnectionIsNotKept) {
  const std::string text = get("/follow");
  EXPECT_THAT(text, HasSubstr("Connection: close"));
  EXPECT_THAT(text, testing::EndsWith(std::string("6\r\nbegun\n\r\n5\r\nover\n") + kLastChunk));
}

// HTTP/1.0 knows no chunks: the connection's end is the stream's.
TEST_F(HttpConnection, AStreamToHttp10IsSentAsItIs) {
  for (const char* header : {"", "Connection: keep-alive\r\n"}) {
    RawClient client(listener_->address());
    client.send(std::string("GET /follow HTTP/1.0\r\nHost: x\r\n") + header + "\r\n");
    const std::string text = client.read();
    EXPECT_THAT(text, Not(HasSubstr("Transfer-Encoding")));
    EXPECT_THAT(text, Not(HasSubstr("Content-Length")));
    EXPECT_THAT(text, HasSubstr("Connection: close"));
    EXPECT_THAT(text, testing::EndsWith("\r\n\r\nbegun\nover\n"));
    EXPECT_TRUE(client.closed());
  }
}

TEST_F(HttpConnection, AStreamEndsWhenItsConnectionIsToEnd) {
  RawClient client(listener_->address());
  client.send("GET /last HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.read("begun"), Not(HasSubstr("over")));
  listener_->drain();
  EXPECT_THAT(client.read(), testing::EndsWith(std::string("over\n") + kLastChunk));
  EXPECT_TRUE(client.closed());
}

TEST_F(HttpConnection, AnUnreadBodyBehindAStreamIsNoRequest) {
  const std::string inner = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string size = std::to_string(inner.size());
  for (const std::string& body : {"Content-Length: " + size + "\r\n\r\n" + inner, "Transfer-Encoding: chunked\r\n\r\n" + inner}) {
    dispatched_ = 0;
    RawClient client(listener_->address());
    client.send("GET /follow HTTP/1.1\r\nHost: x\r\n" + body + inner);
    const std::string text = client.read();
    EXPECT_EQ(dispatched_, 1);
    EXPECT_THAT(text, HasSubstr("Connection: close"));
    EXPECT_THAT(text, testing::EndsWith(std::string("over\n") + kLastChunk));
    EXPECT_TRUE(client.closed());
  }
}

TEST_F(HttpConnection, AStreamThatReadsItsBodyKeepsTheConnection) {
  RawClient client(listener_->address());
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n");
  const std::string first = client.read("one\n");
  EXPECT_THAT(first, HasSubstr("one\n"));
  EXPECT_THAT(first, Not(HasSubstr("Connection: close")));
  client.send("4\r\ntwo\n\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string rest = client.read("[next]");
  EXPECT_THAT(rest, HasSubstr(std::string("two\n") + kLastChunk + "HTTP/1.1 200 OK"));
  EXPECT_THAT(rest, HasSubstr("[next]"));
}

// Whoever reads a stream that was cut must not take it for whole.
TEST_F(HurriedBody, AStreamThatWasCutHasNoEnd) {
  const std::string inner = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
  std::string many;
  for (int index = 0; index < 300; ++index) many += "abc\n";
  const std::vector<std::string> rests = {"4b0\r\n" + many + "\r\n0\r\n\r\n" + inner, "zz\r\n" + inner, ""};  // too large, broken, too slow
  for (const std::string& rest : rests) {
    dispatched_ = 0;
    RawClient client(listener_->address());
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n");
    EXPECT_THAT(client.read("one\n"), HasSubstr("one\n")) << rest;
    client.send(rest);
    EXPECT_THAT(client.read(), Not(HasSubstr("0\r\n\r\n"))) << rest;
    EXPECT_TRUE(client.closed()) << rest;
    EXPECT_EQ(dispatched_, 1) << rest;
  }
}

TEST_F(HurriedBody, AStreamToHttp10ThatWasCutIsReset) {
  RawClient client(listener_->address());
  client.send("POST /echo HTTP/1.0\r\nHost: x\r\nContent-Length: 8\r\n\r\none\n");
  EXPECT_THAT(client.read("one\n"), testing::EndsWith("\r\n\r\nbegun\none\n"));
  char byte = 0;  // the rest never comes
  EXPECT_EQ(::recv(client.descriptor(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(HttpConnection, ReadsLinesHoweverTheyArrive) {
  const std::string many = "one\r\ntwo\n" + std::string(150, 'x') + "\n\nlast";
  const std::string head =
      "POST /lines HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " + std::to_string(many.size()) + "\r\n\r\n";
  const std::string expected = "POST [lines] (one) (two) (long) () (last)";
  EXPECT_THAT(talk(head + many), HasSubstr(expected));
  RawClient client(listener_->address());
  client.send(head);
  for (const char c : many) client.send(std::string_view(&c, 1));
  EXPECT_THAT(client.read(), HasSubstr(expected));
}

// Each of these means two requests to one reader and one to another, or nothing to anyone.
TEST_F(HttpConnection, RefusesWhatCanBeReadInTwoWays) {
  const std::vector<std::string> shapes = {
      "POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST /s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
      "POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
      "POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
      "POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc",
      "POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
      "POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\nabc",
      "POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n\r\nabc",
      "POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
      "POST /s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
      "POST /s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      "POST /s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
      "POST /s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
      "POST /s HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "GET /s HTTP/1.1\r\n\r\n",
      "GET /s HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
      "GET /s HTTP/1.1\r\nHost: x\r\n continued\r\nX: y\r\nHost: z\r\n\r\n",
      "GET /s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
      "GET /s HTTP/1.1\r\nHost: x\r\nBad\x01Name: y\r\n\r\n",
      "GET /s HTTP/1.1\nHost: x\n\n",
      "GET  /s HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /s HTTP/2.0\r\nHost: x\r\n\r\n",
      "GET s HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /s%zz HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /s%00 HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /s%ff HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /s#f HTTP/1.1\r\nHost: x\r\n\r\n",
      "\x16\x03\x01\x02\x01\x01 this is TLS\r\n\r\n",
  };
  for (const std::string& shape : shapes) {
    dispatched_ = 0;
    const std::string text = talk(shape);
    EXPECT_EQ(dispatched_, 0) << shape;
    EXPECT_THAT(text, testing::AnyOf(StartsWith("HTTP/1.1 400"), testing::Eq(""))) << shape;
    if (text.empty()) continue;
    EXPECT_THAT(text, HasSubstr("Connection: close")) << shape;
  }
}

TEST_F(HttpConnection, RefusesABrokenChunkAndEnds) {
  const std::string text = talk("POST /s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n");
  EXPECT_THAT(text, StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(text, HasSubstr("Connection: close"));
}

TEST_F(HttpConnection, BoundsHeadAndBody) {
  EXPECT_THAT(talk("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n"), StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(get("/" + std::string(9'000, 'a')), StartsWith("HTTP/1.1 431"));
  std::string many = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (int index = 0; index < 3'000; ++index) many += "A: b\r\n";
  EXPECT_THAT(talk(many + "\r\n"), StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(talk("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + std::string(1'001, 'b')), StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(talk("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\n" + std::string(5'000, 'b')),
              StartsWith("HTTP/1.1 413"));
  const std::string chunk = "400\r\n" + std::string(1024, 'c') + "\r\n";
  EXPECT_THAT(talk("POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + chunk), StartsWith("HTTP/1.1 413"));
}

// The next request on the connection is the next request, not what was left of a body.
TEST_F(HttpConnection, AnUnreadBodyIsNoRequest) {
  RawClient client(listener_->address());
  const std::string inner = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
  client.send("POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(inner.size()) + "\r\n\r\n" + inner +
              "GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string text = client.read();
  EXPECT_THAT(text, HasSubstr("[ignore]"));
  EXPECT_THAT(text, HasSubstr("[next]"));
  EXPECT_THAT(text, Not(HasSubstr("smuggled")));
}

TEST_F(HurriedConnection, EndsWhatIsTooSlow) {
  RawClient half(listener_->address());
  half.send("GET / HTTP/1.1\r\nHost: x");
  EXPECT_THAT(half.read(), StartsWith("HTTP/1.1 408"));
  EXPECT_TRUE(half.closed());
  // One byte now and then is no progress.
  RawClient drip(listener_->address());
  drip.send("GET / HTTP/1.1\r\nHost: x\r\nX: ");
  std::string text;
  for (int index = 0; index < 200 && text.empty(); ++index) {
    drip.send("a");
    text = drip.read("\r\n\r\n", 50);
  }
  EXPECT_THAT(text, StartsWith("HTTP/1.1 408"));
  RawClient body(listener_->address());
  body.send("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n");
  text.clear();
  for (int index = 0; index < 200 && text.empty(); ++index) {
    body.send("a");
    text = body.read("\r\n\r\n", 50);
  }
  EXPECT_THAT(text, StartsWith("HTTP/1.1 408"));
  RawClient idle(listener_->address());
  EXPECT_EQ(idle.read(), "");
  EXPECT_TRUE(idle.closed());
}

TEST_F(HttpConnection, ABodyCutShortIsNoRequest) {
  RawClient client(listener_->address());
  client.send("POST /cut HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  client.finishSending();
  EXPECT_THAT(client.read(), Not(HasSubstr("200 OK")));
}

TEST_F(HttpConnection, DrainingAnswersWhatIsUnderWayAndEndsTheIdle) {
  RawClient idle(listener_->address());
  idle.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(idle.read("body="), HasSubstr("200 OK"));
  RawClient busy(listener_->address());
  busy.send("POST /busy HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(busy.read("\r\n\r\n"), StartsWith("HTTP/1.1 100"));  // its handler waits for the body
  context_.stopping = true;
  listener_->drain();
  EXPECT_EQ(idle.read(), "");
  EXPECT_TRUE(idle.closed());
  busy.send("done");
  const std::string text = busy.read();
  EXPECT_THAT(text, HasSubstr("body=done"));
  EXPECT_THAT(text, HasSubstr("Connection: close"));
}

TEST_F(HttpConnection, ManyIdleConnectionsCostNoThread) {
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int index = 0; index < 500; ++index) idle.push_back(std::make_unique<RawClient>(listener_->address()));
  EXPECT_THAT(get("/still"), HasSubstr("[still]"));
}

}  // namespace
}  // namespace counterfoil::server

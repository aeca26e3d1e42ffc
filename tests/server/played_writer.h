// The node that writes, played over real sockets for tests of what comes before it.
#pragma once

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/http/listener.h"
#include "server/problem.h"

namespace counterfoil::server {

using std::chrono::milliseconds;

inline std::size_t countOf(std::string_view text, std::string_view part) {
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

}  // namespace counterfoil::server

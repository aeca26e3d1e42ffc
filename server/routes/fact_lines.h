// Many facts in one request: lines are read and given to the ledger while earlier ones are being recorded, and each gets its result.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

// Facts of one request on their way at once: enough to fill commits, few enough to share the intake.
inline constexpr std::size_t kFactsOutstandingMax = 512;

// Results come from the ledger in any order and leave in the order of lines. Thread safe, but waitForFirst() and collect(), which belong to
// the request's own thread.
class FactResults : public std::enable_shared_from_this<FactResults> {
 public:
  // `service` outlives every completion: the ledger gives its last one before it ends.
  FactResults(asio::any_io_executor executor, Service& service, std::string workspace, std::string requestId);

  // The place of the next line's result.
  std::size_t open();
  // What becomes of the line: its answer, or its problem with the request's other lines unharmed.
  void answer(std::size_t place, const write::Answer& answer);
  void refuse(std::size_t place, const Fault& fault);
  write::Completion completion(std::size_t place);
  // Takes finished results off the front, a line each.
  void collect(std::string& out);
  std::size_t outstanding();
  // Until the first one outstanding is there.
  asio::awaitable<void> waitForFirst();

 private:
  void settle(std::size_t place, std::string result);
  void wake();

  asio::any_io_executor executor_;
  Service& service_;
  const std::string workspace_;
  const std::string requestId_;
  std::mutex mutex_;
  std::deque<std::string> results_;  // empty: outstanding
  std::size_t first_ = 0;            // place of the front
  asio::steady_timer* waiting_ = nullptr;
};

// What is done with the lines of one request; lives on its coroutine.
class FactLines {
 public:
  virtual ~FactLines() = default;
  // Every line gets a result at its place, now or later; what is thrown is the line's own problem. `text` is valid during the call.
  virtual void take(std::string_view text, std::size_t place) = 0;
  // It would rather hand on what it has taken than take more.
  virtual bool isFull() const = 0;
  // Hands on what was taken. Throws Fault: the request ends.
  virtual asio::awaitable<void> handOn() = 0;
};

// Reads the request's lines, of at most `lineBytesMax` each, and answers with their results. Throws Fault for the request as a whole.
asio::awaitable<Response> answerLines(Call& call, std::shared_ptr<FactResults> results, FactLines& lines, std::size_t lineBytesMax);

}  // namespace counterfoil::server

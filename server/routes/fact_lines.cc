#include "server/routes/fact_lines.h"

#include <boost/asio/redirect_error.hpp>
#include <optional>

#include "ledger/write/answer_json.h"
#include "server/await.h"
#include "server/fault_log.h"
#include "server/metrics.h"

namespace counterfoil::server {
namespace {

constexpr std::size_t kBulkBytesMax = 64 * 1024 * 1024;
// Results kept until the answer begins; a client that sends more reads while it sends.
constexpr std::size_t kHeldResultsMax = 1024 * 1024;
constexpr std::int64_t kSendMilliseconds = 20'000;

}  // namespace

FactResults::FactResults(asio::any_io_executor executor, Service& service, std::string workspace, std::string requestId)
    : executor_(std::move(executor)), service_(service), workspace_(std::move(workspace)), requestId_(std::move(requestId)) {}

std::size_t FactResults::open() {
  const std::lock_guard lock(mutex_);
  results_.emplace_back();
  return first_ + results_.size() - 1;
}

void FactResults::settle(std::size_t place, std::string result) {
  asio::steady_timer* waiting = nullptr;
  {
    const std::lock_guard lock(mutex_);
    results_[place - first_] = std::move(result);
    waiting = waiting_;
  }
  if (waiting != nullptr) asio::post(executor_, [self = shared_from_this()] { self->wake(); });
}

void FactResults::answer(std::size_t place, const write::Answer& answer) {
  settle(place, write::answerJson(answer, workspace_, service_.eventLog.durability()));
}

void FactResults::refuse(std::size_t place, const Fault& fault) {
  service_.metrics.refused(factsOf(fault.code()).text);
  settle(place, "{\"error\":" + write::problemJson(service_.faults.forCaller(fault, requestId_), "") + "}");
}

write::Completion FactResults::completion(std::size_t place) {
  const std::int64_t started = service_.clock.monotonicNanoseconds();
  return [self = shared_from_this(), place, started](const write::Answer* answer, const Fault* fault) {
    if (answer == nullptr) {
      self->refuse(place, *fault);
      return;
    }
    self->service_.metrics.recorded("fact", static_cast<double>(self->service_.clock.monotonicNanoseconds() - started) * 1e-9);
    self->answer(place, *answer);
  };
}

void FactResults::collect(std::string& out) {
  const std::lock_guard lock(mutex_);
  while (!results_.empty() && !results_.front().empty()) {
    out += results_.front();
    out += '\n';
    results_.pop_front();
    ++first_;
  }
}

std::size_t FactResults::outstanding() {
  const std::lock_guard lock(mutex_);
  return results_.size();
}

asio::awaitable<void> FactResults::waitForFirst() {
  asio::steady_timer timer(executor_, asio::steady_timer::time_point::max());
  {
    const std::lock_guard lock(mutex_);
    if (results_.empty() || !results_.front().empty()) co_return;
    waiting_ = &timer;
  }
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  const std::lock_guard lock(mutex_);
  waiting_ = nullptr;
}

// On the connection's loop, where the timer lives.
void FactResults::wake() {
  const std::lock_guard lock(mutex_);
  if (waiting_ != nullptr && !results_.empty() && !results_.front().empty()) waiting_->cancel();
}

asio::awaitable<Response> answerLines(Call& call, std::shared_ptr<FactResults> results, FactLines& lines, std::size_t lineBytesMax) {
  std::string held;
  bool streaming = false;
  std::optional<Fault> cut;  // the body's, once results are on their way
  for (;;) {
    std::optional<Exchange::Line> line;
    try {
      line = co_await call.exchange.line(lineBytesMax, kBulkBytesMax);
    } catch (const Fault& fault) {
      if (!streaming) throw;
      cut = fault;
    }
    if (!line) break;
    if (!line->tooLong && line->text.empty()) continue;
    const std::size_t place = results->open();
    std::optional<Fault> refused;
    try {
      if (line->tooLong) {
        throw Fault(ErrorCode::tooLarge, "the line is over the limit of " + std::to_string(lineBytesMax / 1024) + " KiB",
                    "send shorter lists or texts");
      }
      lines.take(line->text, place);
    } catch (const Fault& fault) {
      refused = fault;
    }
    if (refused) results->refuse(place, *refused);
    if (lines.isFull()) co_await lines.handOn();
    results->collect(held);
    if (results->outstanding() >= kFactsOutstandingMax) co_await lines.handOn();
    while (results->outstanding() >= kFactsOutstandingMax) {
      co_await results->waitForFirst();
      results->collect(held);
    }
    if (held.size() < kHeldResultsMax) continue;
    if (!streaming) {
      streaming = true;
      Response head;
      head.contentType = "application/x-ndjson";
      co_await call.exchange.beginStream(std::move(head));
    }
    co_await call.exchange.send(held, kSendMilliseconds);
    held.clear();
  }
  co_await lines.handOn();
  while (results->outstanding() > 0) {
    co_await results->waitForFirst();
    results->collect(held);
  }
  if (streaming) {
    co_await call.exchange.send(held, kSendMilliseconds);
    // What was recorded is told; that the rest was not read shows by the missing last chunk.
    if (cut) throw *cut;
    co_return Response{};
  }
  Response response;
  response.contentType = "application/x-ndjson";
  response.body = std::move(held);
  co_return response;
}

}  // namespace counterfoil::server

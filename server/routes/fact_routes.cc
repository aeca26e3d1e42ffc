#include "server/routes/fact_routes.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <mutex>

#include "ledger/core/limits.h"
#include "ledger/write/answer_json.h"
#include "server/fault_log.h"
#include "server/metrics.h"
#include "server/problem.h"
#include "server/routes/commands.h"

namespace counterfoil::server {
namespace {

constexpr std::size_t kBulkBytesMax = 64 * 1024 * 1024;
// Facts of one request on their way at once: enough to fill commits, few enough to share the intake.
constexpr std::size_t kOutstandingMax = 512;
// Results kept until the answer begins; a client that sends more reads while it sends.
constexpr std::size_t kHeldResultsMax = 1024 * 1024;
constexpr std::int64_t kSendMilliseconds = 20'000;

Event readFact(std::string_view text, const Call& call) {
  Event fact = parseFact(text);
  sign(fact, call);
  return fact;
}

asio::awaitable<Response> oneFact(Call& call, Service& service, int status) {
  const std::string workspace(call.variable("workspace"));
  const std::string_view text = co_await jsonBody(call.exchange, limits::kJsonBodyBytesMax);
  Event fact = readFact(text, call);
  takeIdempotencyKey(fact.id, call.exchange.head());
  takeFromLimits(call, service, workspace, 1, false);
  const std::int64_t started = service.clock.monotonicNanoseconds();
  const auto submit = [&](write::Completion done) { service.ledger.append(workspace, std::move(fact), std::move(done)); };
  const write::Answer answer = co_await recorded(submit);
  service.metrics.recorded("fact", static_cast<double>(service.clock.monotonicNanoseconds() - started) * 1e-9);
  co_return json(status, write::answerJson(answer, workspace, "durable"));
}

// Facts of one NDJSON body: results come from the ledger in any order and leave in the order of lines.
class Bulk : public std::enable_shared_from_this<Bulk> {
 public:
  // `service` outlives every completion: the ledger gives its last one before it ends.
  Bulk(asio::any_io_executor executor, Service& service, std::string workspace, std::string requestId)
      : executor_(std::move(executor)), service_(service), workspace_(std::move(workspace)), requestId_(std::move(requestId)) {}

  // The place of the next line's result.
  std::size_t open() {
    const std::lock_guard lock(mutex_);
    results_.emplace_back();
    return first_ + results_.size() - 1;
  }
  void settle(std::size_t place, std::string result) {
    asio::steady_timer* waiting = nullptr;
    {
      const std::lock_guard lock(mutex_);
      results_[place - first_] = std::move(result);
      waiting = waiting_;
    }
    if (waiting != nullptr) asio::post(executor_, [self = shared_from_this()] { self->wake(); });
  }
  write::Completion completion(std::size_t place) {
    const std::int64_t started = service_.clock.monotonicNanoseconds();
    return [self = shared_from_this(), place, started](const write::Answer* answer, const Fault* fault) {
      if (answer == nullptr) {
        self->refuse(place, *fault);
        return;
      }
      self->service_.metrics.recorded("fact", static_cast<double>(self->service_.clock.monotonicNanoseconds() - started) * 1e-9);
      self->settle(place, write::answerJson(*answer, self->workspace_, "durable"));
    };
  }
  // A line that was not recorded: its problem, with the request's other lines unharmed.
  void refuse(std::size_t place, const Fault& fault) {
    service_.metrics.refused(factsOf(fault.code()).text);
    settle(place, "{\"error\":" + write::problemJson(service_.faults.forCaller(fault, requestId_), "") + "}");
  }
  // Takes finished results off the front, a line each.
  void collect(std::string& out) {
    const std::lock_guard lock(mutex_);
    while (!results_.empty() && !results_.front().empty()) {
      out += results_.front();
      out += '\n';
      results_.pop_front();
      ++first_;
    }
  }
  std::size_t outstanding() {
    const std::lock_guard lock(mutex_);
    return results_.size();
  }
  // Until the first one outstanding is there.
  asio::awaitable<void> waitForFirst() {
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

 private:
  // On the connection's loop, where the timer lives.
  void wake() {
    const std::lock_guard lock(mutex_);
    if (waiting_ != nullptr && !results_.empty() && !results_.front().empty()) waiting_->cancel();
  }

  asio::any_io_executor executor_;
  Service& service_;
  const std::string workspace_;
  const std::string requestId_;
  std::mutex mutex_;
  std::deque<std::string> results_;  // empty: outstanding
  std::size_t first_ = 0;            // place of the front
  asio::steady_timer* waiting_ = nullptr;
};

asio::awaitable<Response> manyFacts(Call& call, Service& service) {
  if (!call.exchange.head().header("idempotency-key").empty()) {
    throw Fault(ErrorCode::invalidValue, "an Idempotency-Key stands for one request, not for many facts", "give each line an id of its own",
                "Idempotency-Key");
  }
  const std::string workspace(call.variable("workspace"));
  const auto executor = co_await asio::this_coro::executor;
  const auto bulk = std::make_shared<Bulk>(executor, service, workspace, call.exchange.head().requestId);
  std::string held;
  bool streaming = false;
  std::optional<Fault> cut;  // the body's, once results are on their way
  for (;;) {
    std::optional<Exchange::Line> line;
    try {
      line = co_await call.exchange.line(limits::kJsonLineBytesMax, kBulkBytesMax);
    } catch (const Fault& fault) {
      if (!streaming) throw;
      cut = fault;
    }
    if (!line) break;
    if (!line->tooLong && line->text.empty()) continue;
    const std::size_t place = bulk->open();
    std::optional<Fault> refused;
    try {
      if (line->tooLong) throw Fault(ErrorCode::tooLarge, "the line is over the limit of 128 KiB", "send shorter lists or texts");
      Event fact = readFact(line->text, call);
      takeFromLimits(call, service, workspace, 1, false);
      service.ledger.append(workspace, std::move(fact), bulk->completion(place));
    } catch (const Fault& fault) {
      refused = fault;
    }
    if (refused) bulk->refuse(place, *refused);
    bulk->collect(held);
    while (bulk->outstanding() >= kOutstandingMax) {
      co_await bulk->waitForFirst();
      bulk->collect(held);
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
  while (bulk->outstanding() > 0) {
    co_await bulk->waitForFirst();
    bulk->collect(held);
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

asio::awaitable<Response> facts(Call& call, Service& service) {
  checkParameters(call.exchange.head(), {"ack"});
  // Of many the status is 200 whatever was asked for: each line's receipt tells the level reached.
  const int status = statusForAck(call.exchange.head(), 201);
  const std::string_view type = call.exchange.mediaType();
  if (type == "application/x-ndjson") co_return co_await manyFacts(call, service);
  co_return co_await oneFact(call, service, status);
}

}  // namespace

void addFactRoutes(Router& router, Service& service) {
  RouteDocs docs;
  docs.summary = "Report facts: one as JSON (201), or many as NDJSON (200, one result line for each line, in order)";
  docs.body = "Fact";
  docs.answer = "Answer";
  docs.statuses = {200, 201, 202};
  docs.parameters = {"ack"};
  router.add({"POST", "/v1/workspaces/{workspace}/facts", Action::reportFacts,
              [&service](Call& call) -> asio::awaitable<Response> { co_return co_await facts(call, service); }, std::move(docs)});
}

}  // namespace counterfoil::server

#include "server/routes/fact_routes.h"

#include <algorithm>
#include <memory>

#include "ledger/core/limits.h"
#include "ledger/write/answer_json.h"
#include "server/metrics.h"
#include "server/problem.h"
#include "server/routes/commands.h"
#include "server/routes/fact_lines.h"
#include "server/routes/import_routes.h"

namespace counterfoil::server {
namespace {

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
  co_return json(status, write::answerJson(answer, workspace, service.eventLog.durability()));
}

// Facts of callers: each goes to the ledger as it comes.
class ReportedLines final : public FactLines {
 public:
  ReportedLines(Call& call, Service& service, std::shared_ptr<FactResults> results)
      : call_(call), service_(service), results_(std::move(results)), workspace_(call.variable("workspace")) {}

  void take(std::string_view text, std::size_t place) override {
    Event fact = readFact(text, call_);
    takeFromLimits(call_, service_, workspace_, 1, false);
    service_.ledger.append(workspace_, std::move(fact), results_->completion(place));
  }
  bool isFull() const override { return false; }
  asio::awaitable<void> handOn() override { co_return; }

 private:
  Call& call_;
  Service& service_;
  std::shared_ptr<FactResults> results_;
  const std::string workspace_;
};

asio::awaitable<Response> manyFacts(Call& call, Service& service, std::string_view import) {
  if (!call.exchange.head().header("idempotency-key").empty()) {
    throw Fault(ErrorCode::invalidValue, "an Idempotency-Key stands for one request, not for many facts", "give each line an id of its own",
                "Idempotency-Key");
  }
  const auto executor = co_await asio::this_coro::executor;
  const auto results =
      std::make_shared<FactResults>(executor, service, std::string(call.variable("workspace")), call.exchange.head().requestId);
  std::unique_ptr<FactLines> lines;
  std::size_t lineBytesMax = limits::kJsonLineBytesMax;
  if (import.empty()) {
    lines = std::make_unique<ReportedLines>(call, service, results);
  } else {
    lines = importedLines(call, service, results, import);
    lineBytesMax = limits::kJsonBodyBytesMax;
  }
  co_return co_await answerLines(call, results, *lines, lineBytesMax);
}

asio::awaitable<Response> facts(Call& call, Service& service) {
  checkParameters(call.exchange.head(), {"ack", "import"});
  // Of many the status is 200 whatever was asked for: each line's receipt tells the level reached.
  const int status = statusForAck(call.exchange.head(), 201);
  const std::vector<Parameter>& query = call.exchange.head().query;
  const auto import = std::find_if(query.begin(), query.end(), [](const Parameter& one) { return one.first == "import"; });
  const std::string_view type = call.exchange.mediaType();
  const bool many = type == "application/x-ndjson";
  if (import != query.end() && !many) {
    throw Fault(ErrorCode::unsupportedMediaType, "an import sends its facts as application/x-ndjson",
                "set Content-Type: application/x-ndjson, a fact a line", "import");
  }
  if (import != query.end() && import->second.empty()) {
    throw Fault(ErrorCode::invalidValue, "import names none", "begin one with POST .../imports", "import");
  }
  const std::string named = import == query.end() ? std::string() : import->second;
  if (many) co_return co_await manyFacts(call, service, named);
  co_return co_await oneFact(call, service, status);
}

}  // namespace

void addFactRoutes(Router& router, Service& service) {
  RouteDocs docs;
  docs.summary = "Report facts: one as JSON (201), or many as NDJSON (200, one result line for each line, in order)";
  docs.body = "Fact";
  docs.answer = "Answer";
  docs.statuses = {200, 201, 202};
  docs.parameters = {"ack", "import"};
  router.add({"POST", "/v1/workspaces/{workspace}/facts", Action::reportFacts,
              [&service](Call& call) -> asio::awaitable<Response> { co_return co_await facts(call, service); }, std::move(docs)});
}

}  // namespace counterfoil::server

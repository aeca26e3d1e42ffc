#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>

namespace counterfoil::server {
namespace {

// 50 us to 30 s: a commit on a fast disk, to a peer that gives up.
const prometheus::Histogram::BucketBoundaries kSeconds = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                          0.05,    0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30};

// The metrics of one family by their label's value, each made once.
template <class Metric>
class Labelled {
 public:
  template <class Make>
  Metric& of(std::string_view value, Make make) {
    const std::lock_guard lock(mutex_);
    const auto found = known_.find(value);
    if (found != known_.end()) return *found->second;
    Metric& metric = make(std::string(value));
    known_.emplace(std::string(value), &metric);
    return metric;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, Metric*, std::less<>> known_;
};

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Histogram>& requests = prometheus::BuildHistogram()
                                                            .Name("counterfoil_http_request_duration_seconds")
                                                            .Help("Time to answer a request, by route pattern")
                                                            .Register(registry);
  prometheus::Family<prometheus::Counter>& statuses =
      prometheus::BuildCounter().Name("counterfoil_http_responses_total").Help("Answers by HTTP status").Register(registry);
  prometheus::Family<prometheus::Histogram>& appends = prometheus::BuildHistogram()
                                                           .Name("counterfoil_append_duration_seconds")
                                                           .Help("From a parsed request to its durable entry, by outcome")
                                                           .Register(registry);
  prometheus::Family<prometheus::Counter>& refusals =
      prometheus::BuildCounter().Name("counterfoil_refusals_total").Help("Errors by code").Register(registry);
  prometheus::Family<prometheus::Counter>& tokens = prometheus::BuildCounter()
                                                        .Name("counterfoil_tokens_verified_total")
                                                        .Help("Tokens accepted, from the cache or by their signature")
                                                        .Register(registry);
  prometheus::Family<prometheus::Counter>& forwards = prometheus::BuildCounter()
                                                          .Name("counterfoil_forwarded_requests_total")
                                                          .Help("Requests for the node that writes, by outcome")
                                                          .Register(registry);
  prometheus::Histogram& forwardSeconds = prometheus::BuildHistogram()
                                              .Name("counterfoil_forward_duration_seconds")
                                              .Help("Time to answer a request through the node that writes, streams apart")
                                              .Register(registry)
                                              .Add({}, kSeconds);
  prometheus::Histogram& commitSeconds = prometheus::BuildHistogram()
                                             .Name("counterfoil_log_commit_duration_seconds")
                                             .Help("Embedded log: one commit of whatever lay ready, synced")
                                             .Register(registry)
                                             .Add({}, kSeconds);
  prometheus::Histogram& acknowledgeSeconds = prometheus::BuildHistogram()
                                                  .Name("counterfoil_log_acknowledge_duration_seconds")
                                                  .Help("Kafka: from handing records to the log to their acknowledgement")
                                                  .Register(registry)
                                                  .Add({}, kSeconds);
  prometheus::Counter& evicted =
      prometheus::BuildCounter().Name("counterfoil_streams_evicted_total").Help("Listeners that were too slow").Register(registry).Add({});
  struct {
    prometheus::Gauge *liveLeases, *rememberedLeases, *owedTerminals, *owedRenewals, *intakeBytes, *viewLag, *viewsTroubled, *openViews, *connections,
        *streams, *forwards, *writer, *logTerm, *logAcknowledged, *logClaimsLost, *logPoisoned, *logProducersRebuilt, *logLag, *logVoids,
        *logTroubled, *logBroken, *ready, *clockPaused;
  } gauges{};
  Labelled<prometheus::Histogram> requestsBy, appendsBy;
  Labelled<prometheus::Counter> statusesBy, refusalsBy, tokensBy, forwardsBy;
  std::mutex mutex;
  std::function<Gauges()> read;

  prometheus::Gauge* gauge(const char* name, const char* help) {
    return &prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
  }
};

Metrics::Metrics() : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.gauges.liveLeases = s.gauge("counterfoil_live_leases", "Leases that have not ended");
  s.gauges.rememberedLeases = s.gauge("counterfoil_remembered_leases", "Leases in memory: live ones and those that ended in the last 24 h");
  s.gauges.owedTerminals = s.gauge("counterfoil_owed_terminals", "Leases whose end is decided and not yet recorded");
  s.gauges.owedRenewals = s.gauge("counterfoil_owed_key_destructions", "Workspaces with keys that are to be destroyed and are not yet");
  s.gauges.intakeBytes = s.gauge("counterfoil_intake_bytes", "Requests that wait to be recorded");
  s.gauges.viewLag = s.gauge("counterfoil_view_lag_entries", "Entries in the log and not yet in the views");
  s.gauges.viewsTroubled = s.gauge("counterfoil_views_troubled", "Views that stand still");
  s.gauges.openViews = s.gauge("counterfoil_open_views", "View files open for reading");
  s.gauges.connections = s.gauge("counterfoil_connections", "Open connections");
  s.gauges.streams = s.gauge("counterfoil_streams", "Listeners and long polls that wait");
  s.gauges.forwards = s.gauge("counterfoil_open_forwards", "Requests and streams being passed on to the node that writes");
  s.gauges.writer = s.gauge("counterfoil_writer", "Partitions of the log that this node writes");
  s.gauges.logTerm = s.gauge("counterfoil_log_term", "Kafka: term of the last claim of this node; 0 without one");
  s.gauges.logAcknowledged =
      s.gauge("counterfoil_log_records_acknowledged", "Kafka: records of this node that are durable, since its start");
  s.gauges.logClaimsLost = s.gauge("counterfoil_log_claims_lost", "Kafka: claims of this node that another's came before, since its start");
  s.gauges.logPoisoned =
      s.gauge("counterfoil_log_writers_poisoned", "Kafka: writers ended by a delivery report that was not as expected, since the start");
  s.gauges.logProducersRebuilt =
      s.gauge("counterfoil_log_producers_rebuilt", "Kafka: producers made anew after a failure, since the start");
  s.gauges.logLag = s.gauge("counterfoil_log_lag_records", "Kafka: records of the log that this node has not read yet; 0 at the writer");
  s.gauges.logVoids = s.gauge("counterfoil_log_void_records", "Kafka: records of the log that do not count, as far as this node has read");
  s.gauges.logTroubled = s.gauge("counterfoil_log_troubled", "Kafka: 1 while brokers do not answer, or do not acknowledge in time");
  s.gauges.logBroken =
      s.gauge("counterfoil_log_broken", "Kafka: 1 if records were deleted or the topic is another one: the ledger stands still");
  s.gauges.ready = s.gauge("counterfoil_ready", "1 if the ledger takes requests");
  s.gauges.clockPaused = s.gauge("counterfoil_clock_paused", "1 while the clock is not believed and nothing expires");
}

Metrics::~Metrics() = default;

void Metrics::onScrape(std::function<Gauges()> read) {
  const std::lock_guard lock(state_->mutex);
  state_->read = std::move(read);
}

void Metrics::answered(std::string_view route, int status, double seconds) {
  State& s = *state_;
  s.requestsBy
      .of(route,
          [&](std::string value) -> prometheus::Histogram& {
            return s.requests.Add({{"route", std::move(value)}}, kSeconds);
          })
      .Observe(seconds);
  s.statusesBy
      .of(std::to_string(status),
          [&](std::string value) -> prometheus::Counter& {
            return s.statuses.Add({{"status", std::move(value)}});
          })
      .Increment();
}

void Metrics::recorded(std::string_view outcome, double seconds) {
  State& s = *state_;
  s.appendsBy
      .of(outcome,
          [&](std::string value) -> prometheus::Histogram& {
            return s.appends.Add({{"outcome", std::move(value)}}, kSeconds);
          })
      .Observe(seconds);
}

void Metrics::refused(std::string_view code) {
  State& s = *state_;
  s.refusalsBy.of(code,
                  [&](std::string value) -> prometheus::Counter& {
                    return s.refusals.Add({{"code", std::move(value)}});
                  })
      .Increment();
}

void Metrics::tokenChecked(bool cached) {
  State& s = *state_;
  s.tokensBy
      .of(cached ? "cache" : "signature",
          [&](std::string value) -> prometheus::Counter& {
            return s.tokens.Add({{"by", std::move(value)}});
          })
      .Increment();
}

void Metrics::streamEvicted() {
  state_->evicted.Increment();
}

void Metrics::forwarded(std::string_view outcome, double seconds) {
  State& s = *state_;
  s.forwardsBy.of(outcome,
                  [&](std::string value) -> prometheus::Counter& {
                    return s.forwards.Add({{"outcome", std::move(value)}});
                  })
      .Increment();
  if (seconds >= 0) s.forwardSeconds.Observe(seconds);
}

void Metrics::committed(double seconds) {
  state_->commitSeconds.Observe(seconds);
}

void Metrics::acknowledged(double seconds) {
  state_->acknowledgeSeconds.Observe(seconds);
}

std::string Metrics::scrape() {
  State& s = *state_;
  std::function<Gauges()> read;
  {
    const std::lock_guard lock(s.mutex);
    read = s.read;
  }
  if (read) {
    const Gauges now = read();
    s.gauges.liveLeases->Set(now.liveLeases);
    s.gauges.rememberedLeases->Set(now.rememberedLeases);
    s.gauges.owedTerminals->Set(now.owedTerminals);
    s.gauges.owedRenewals->Set(now.owedRenewals);
    s.gauges.intakeBytes->Set(now.intakeBytes);
    s.gauges.viewLag->Set(now.viewLagEntries);
    s.gauges.viewsTroubled->Set(now.viewsTroubled);
    s.gauges.openViews->Set(now.openViews);
    s.gauges.connections->Set(now.connections);
    s.gauges.streams->Set(now.streams);
    s.gauges.forwards->Set(now.forwards);
    s.gauges.writer->Set(now.writer);
    s.gauges.logTerm->Set(now.logTerm);
    s.gauges.logAcknowledged->Set(now.logAcknowledged);
    s.gauges.logClaimsLost->Set(now.logClaimsLost);
    s.gauges.logPoisoned->Set(now.logPoisoned);
    s.gauges.logProducersRebuilt->Set(now.logProducersRebuilt);
    s.gauges.logLag->Set(now.logLag);
    s.gauges.logVoids->Set(now.logVoids);
    s.gauges.logTroubled->Set(now.logTroubled);
    s.gauges.logBroken->Set(now.logBroken);
    s.gauges.ready->Set(now.ready);
    s.gauges.clockPaused->Set(now.clockPaused);
  }
  return prometheus::TextSerializer().Serialize(s.registry.Collect());
}

}  // namespace counterfoil::server

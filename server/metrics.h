// What Prometheus scrapes from the admin listener. No workspace, principal or token is ever a label.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace counterfoil::server {

// Values that are read when scraped.
struct Gauges {
  double liveLeases = 0, rememberedLeases = 0, owedTerminals = 0, owedRenewals = 0, intakeBytes = 0, viewLagEntries = 0, viewsTroubled = 0, openViews = 0,
         connections = 0, streams = 0, forwards = 0, ready = 0, clockPaused = 0, writer = 0;
  // Of a log on Kafka: the term of this node's last claim, and counts since the start.
  double logTerm = 0, logAcknowledged = 0, logClaimsLost = 0, logPoisoned = 0, logProducersRebuilt = 0;
  // Records that this node has not read yet, and those it read that do not count.
  double logLag = 0, logVoids = 0;
  // 1 or 0: brokers do not answer or acknowledge; the log is not the one it was, for good.
  double logTroubled = 0, logBroken = 0;
};

// Thread safe.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  // Called on a scrape, on the admin listener's thread.
  void onScrape(std::function<Gauges()> read);
  void answered(std::string_view route, int status, double seconds);
  void recorded(std::string_view outcome, double seconds);  // one command or fact: "granted", "denied", ...; from request to durable
  void refused(std::string_view code);                      // an error of the table
  void tokenChecked(bool cached);
  void streamEvicted();
  void committed(double seconds);     // the embedded log: a commit of whatever lay ready
  void acknowledged(double seconds);  // an append of the log, from being handed over to its acknowledgement
  // A request of another node's: how it went ("answered", "redirected", "no_owner", "full", "caller_gone" or an error's code), and the time
  // it took; negative: none that tells anything (a stream).
  void forwarded(std::string_view outcome, double seconds);
  // Text exposition format 0.0.4.
  std::string scrape();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::server

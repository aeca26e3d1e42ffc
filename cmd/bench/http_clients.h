// Users of the load generator: the two mixes one entry a request, batches of facts, and any other sequence of requests.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "cmd/bench/http_load.h"
#include "cmd/bench/mix.h"

namespace counterfoil::cmd::bench {

// What the clients of one run saw, all together.
struct Tally {
  Samples milliseconds;       // of requests
  std::uint64_t answers = 0;  // requests that were answered
  std::uint64_t entries = 0;  // of them, each durable
  std::uint64_t refused = 0;  // denied although the mix expected none: the lease had ended. Entries, and no errors where leases are short
  std::uint64_t errors = 0;   // anything else that was not expected: another status, a bad line, a lost connection
};

// How long a client goes on, and how fast.
struct Plan {
  std::int64_t endAt = 0;      // as Stopwatch::now(); 0: no end
  std::uint64_t requests = 0;  // at most; 0: no limit
  double perSecond = 0;        // of this client; 0: as fast as answers come
  std::int64_t startAt = 0;    // of the schedule of a client with a rate
};

// Base of those below: keeps the plan.
class PlannedClient : public LoadClient {
 public:
  void follow(const Plan& plan);
  Turn turn() override;

 protected:
  explicit PlannedClient(Tally& tally) : tally_(&tally) {}
  // Counts one answer.
  void count(double microseconds);
  Tally& tally() { return *tally_; }

 private:
  Tally* tally_;
  Plan plan_;
  std::uint64_t sent_ = 0;
};

// One entry a request, as Mix draws it. `token` is read at each request, so that it may be renewed.
class MixClient final : public PlannedClient {
 public:
  MixClient(Mix mix, const std::string& token, Tally& tally, bool leasesMayHaveEnded = false);
  void render(std::string& wire) override;
  void answered(int status, std::string_view body, double microseconds) override;

 private:
  Mix mix_;
  const std::string& token_;
  bool leasesMayHaveEnded_;
  int expected_ = 0;
};

// `lines` facts a request as NDJSON, all of one workspace by Zipf. Full: what producers of their own leases report, in the shares and
// sizes of the full mix.
class BatchClient final : public PlannedClient {
 public:
  BatchClient(MixKind kind, std::size_t client, std::size_t workspaces, std::size_t lines, const std::string& token, Tally& tally);
  void render(std::string& wire) override;
  void answered(int status, std::string_view body, double microseconds) override;
  // From now on this workspace only.
  void keepTo(std::size_t workspace) { only_ = workspace; }

 private:
  void appendFact(std::string& body);

  MixKind kind_;
  Zipf zipf_;
  Dice dice_;
  Mix bare_;
  std::size_t client_;
  std::size_t lines_;
  std::size_t only_ = ~std::size_t{0};
  std::uint64_t leases_ = 0;
  const std::string& token_;
  std::string body_;
};

// Requests of any kind: `render` appends one and returns the status that it is to be answered with; 0 ends the sequence (nothing appended).
class SequenceClient final : public PlannedClient {
 public:
  SequenceClient(std::function<int(std::string& wire)> render, Tally& tally);
  Turn turn() override;
  void render(std::string& wire) override;
  void answered(int status, std::string_view body, double microseconds) override;

 private:
  std::function<int(std::string&)> make_;
  std::string next_;
  int expected_ = 0;
};

// From the answer of an append to the answer of a page that shows it (`wait=seq`), again and again, with a pause between.
class LagClient final : public LoadClient {
 public:
  // `endAt` as Stopwatch::now().
  LagClient(Mix mix, const std::string& token, std::int64_t endAt);
  void goOnUntil(std::int64_t endAt) { endAt_ = endAt; }
  Turn turn() override;
  void render(std::string& wire) override;
  void answered(int status, std::string_view body, double microseconds) override;
  Samples milliseconds;
  std::uint64_t gaveUp = 0;  // waits that the server ended before the view was there (503 after 5 s); they are samples too
  std::uint64_t errors = 0;  // anything else that was not expected

 private:
  Mix mix_;
  const std::string& token_;
  std::int64_t endAt_;
  std::size_t workspace_ = 0;
  std::uint64_t seq_ = 0;  // waited for; 0: the next request is an append
  int expected_ = 0;
};

// The request as HTTP, and the status it is answered with if it goes as the mix expects.
int appendMixRequest(const BenchRequest& request, std::string_view token, std::string& wire);

}  // namespace counterfoil::cmd::bench

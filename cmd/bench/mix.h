// The two mixes of requests that the targets are stated for, as the JSON a client would send.
//
// Full: 30 % grants, 15 % issued, 40 % consumed, 10 % denied, 5 % vault; entries of 400-700 bytes, two personal values on average, one
// secret in six, workspaces by Zipf. Bare: facts of about 400 bytes without personal or secret fields.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/bench/measure.h"
#include "ledger/core/event.h"
#include "ledger/core/json.h"

namespace counterfoil::cmd::bench {

enum class MixKind : std::uint8_t { bare, full };

struct BenchRequest {
  CommandKind command = CommandKind::none;  // none: a fact
  std::size_t workspace = 0;                // index, from 0
  std::string json;
  std::string leaseId{};  // that the command is about, as in `json`; of grants too
  bool denied = false;    // what the policy answers
};

// The id of the workspace with this index.
std::string workspaceId(std::size_t index);
// What every workspace of the benchmark decides by.
std::string_view benchPolicy();

// Ranks by Zipf's law with exponent 1.
class Zipf {
 public:
  explicit Zipf(std::size_t count);
  std::size_t draw(Dice& dice) const;

 private:
  std::vector<double> upTo_;
};

// What a client remembers of its leases. The defaults are for runs of seconds: leases outlive them.
struct MixLimits {
  std::int64_t ttlSeconds = 3'600;
  std::size_t grantedMax = ~std::size_t{0};  // not yet issued; of more, the oldest are left to their end
  std::size_t activeMax = 64;
};

// What one client sends. Not thread safe; clients differ by `client`, which is part of every lease id.
class Mix {
 public:
  // `lag`: requests between a grant and the first command that builds on it; at least what the client has outstanding.
  Mix(MixKind kind, std::size_t client, std::size_t workspaces, std::size_t lag, MixLimits limits = {});
  BenchRequest next();

 private:
  struct OpenLease {
    std::size_t workspace = 0;
    std::string id;
    std::string host;
    unsigned uses = 0;
    std::uint64_t readyAt = 0;  // number of the request from which on it may be used
  };

  std::string person();
  BenchRequest grant(bool allowed);
  BenchRequest issue();
  BenchRequest consume(bool allowed);
  BenchRequest vault();
  BenchRequest bareFact();

  MixKind kind_;
  std::size_t client_;
  std::size_t lag_;
  MixLimits limits_;
  Zipf zipf_;
  Dice dice_;
  std::uint64_t sent_ = 0;
  std::uint64_t leases_ = 0;
  std::deque<OpenLease> granted_;  // not yet issued
  std::vector<OpenLease> active_;
};

// The request as the ledger takes it; parses.
struct ParsedRequest {
  std::optional<Command> command;
  std::optional<Event> fact;
};
ParsedRequest parse(const BenchRequest& request);

}  // namespace counterfoil::cmd::bench

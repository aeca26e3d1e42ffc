#include "cmd/bench/mix.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "ledger/core/encoding.h"

namespace counterfoil::cmd::bench {
namespace {

constexpr unsigned kUsesMax = 6;
constexpr std::size_t kPersons = 20;
constexpr std::array<std::string_view, 6> kRepositories = {"shop", "billing", "search", "catalogue", "identity", "mobile"};
constexpr std::array<std::string_view, 6> kReasons = {
    "fix the flaky checkout test that fails on every second run",   "review of the change to the invoice export",
    "update the base image after the advisory of this week",        "rebuild the search index with the new analyser",
    "look into the slow start of the catalogue service on staging", "prepare the release notes and tag the release"};

std::string text(std::string_view name, std::string_view value) {
  std::string out = ",\"" + std::string(name) + "\":";
  appendJsonString(value, out);
  return out;
}

std::string principal(std::string_view name, std::string_view kind, std::string_view id) {
  return ",\"" + std::string(name) + "\":{\"kind\":\"" + std::string(kind) + "\",\"id\":\"" + std::string(id) + "\"}";
}

std::string secret(std::string_view name, const std::string& value) {
  return ",\"" + std::string(name) + "\":{\"value\":\"" + value + "\"}";
}

std::string address(Dice& dice) {
  return "203.0.113." + std::to_string(1 + dice.below(250));
}

std::string host(Dice& dice) {
  return "host-" + std::to_string(dice.below(8));
}

std::string place(Dice& dice, const std::string& onHost) {
  return text("run", "run-" + std::to_string(dice.below(2'000))) + text("host", onHost);
}

}  // namespace

std::string workspaceId(std::size_t index) {
  return "bench-" + std::to_string(index);
}

std::string_view benchPolicy() {
  return R"(name = "bench"

[[rule]]
name = "no-payroll"
effect = "deny"
resource = ["github.com/acme/payroll"]

[[rule]]
name = "model"
effect = "allow"
credential = ["model_key"]
grantee = ["agent:*"]
scope = ["messages:create"]
maxTtlSeconds = 1800

[[rule]]
name = "git"
effect = "allow"
credential = ["git_token"]
grantee = ["agent:*"]
scope = ["contents:read", "pull_requests:write"]
resource = ["github.com/acme/*"]
maxTtlSeconds = 86400
maxUses = 10
renewableForSeconds = 86400
)";
}

Zipf::Zipf(std::size_t count) {
  double sum = 0;
  for (std::size_t rank = 1; rank <= count; ++rank) upTo_.push_back(sum += 1.0 / static_cast<double>(rank));
}

std::size_t Zipf::draw(Dice& dice) const {
  const double place = static_cast<double>(dice.next() >> 11) * 0x1p-53 * upTo_.back();
  const auto found = std::upper_bound(upTo_.begin(), upTo_.end(), place);
  return std::min(static_cast<std::size_t>(found - upTo_.begin()), upTo_.size() - 1);
}

Mix::Mix(MixKind kind, std::size_t client, std::size_t workspaces, std::size_t lag, MixLimits limits)
    : kind_(kind), client_(client), lag_(lag), limits_(limits), zipf_(workspaces), dice_(client + 1) {}

std::string Mix::person() {
  return "person" + std::to_string(dice_.below(kPersons)) + "@example.com";
}

BenchRequest Mix::next() {
  ++sent_;
  if (kind_ == MixKind::bare) return bareFact();
  const std::uint64_t roll = dice_.below(100);
  if (roll < 15 && !granted_.empty() && granted_.front().readyAt <= sent_) return issue();
  if (roll >= 15 && roll < 55 && !active_.empty()) return consume(true);
  if (roll >= 55 && roll < 61) return grant(false);
  if (roll >= 61 && roll < 65) return consume(false);
  if (roll >= 65 && roll < 70) return vault();
  return grant(true);
}

BenchRequest Mix::grant(bool allowed) {
  BenchRequest request;
  request.command = CommandKind::leaseRequest;
  request.workspace = zipf_.draw(dice_);
  const std::string id = "lease-" + std::to_string(client_) + "-" + std::to_string(++leases_);
  const std::string onHost = host(dice_);
  const std::string agent = dice_.below(2) == 0 ? "fixer" : "reviewer";
  const std::string repository =
      "github.com/acme/" + (allowed ? std::string(kRepositories[dice_.below(kRepositories.size())]) : std::string("payroll"));
  request.json = "{\"credential\":\"git_token\"" + text("leaseId", id) + principal("grantee", "agent", agent) +
                 ",\"scope\":[\"contents:read\",\"pull_requests:write\"],\"resources\":[\"" + repository +
                 "\"],\"ttlSeconds\":" + std::to_string(limits_.ttlSeconds) + ",\"maxUses\":" + std::to_string(kUsesMax) +
                 place(dice_, onHost) + text("reason", kReasons[dice_.below(kReasons.size())]) + text("sourceAddress", address(dice_)) +
                 principal("actor", "human", person()) + "}";
  if (allowed) granted_.push_back({request.workspace, id, onHost, 0, sent_ + lag_});
  if (granted_.size() > limits_.grantedMax) granted_.pop_front();
  request.leaseId = id;
  request.denied = !allowed;
  return request;
}

BenchRequest Mix::issue() {
  OpenLease lease = std::move(granted_.front());
  granted_.pop_front();
  BenchRequest request;
  request.command = CommandKind::leaseIssue;
  request.workspace = lease.workspace;
  request.json = "{\"leaseId\":\"" + lease.id + "\"" + secret("secret", "ghs_" + dice_.letters(36)) +
                 text("upstreamId", "installation-" + std::to_string(dice_.below(100'000))) + place(dice_, lease.host) +
                 principal("actor", "human", person()) + "}";
  lease.readyAt = sent_ + lag_;
  request.leaseId = lease.id;
  if (active_.size() < limits_.activeMax) {
    active_.push_back(std::move(lease));
  } else {
    active_[dice_.below(limits_.activeMax)] = std::move(lease);
  }
  return request;
}

BenchRequest Mix::consume(bool allowed) {
  BenchRequest request;
  request.command = CommandKind::leaseConsume;
  std::string onHost = host(dice_);
  std::string id = "unknown-" + std::to_string(client_) + "-" + std::to_string(sent_);
  if (allowed) {
    const std::size_t index = dice_.below(active_.size());
    OpenLease& lease = active_[index];
    if (lease.readyAt > sent_) return grant(true);
    request.workspace = lease.workspace;
    id = lease.id;
    onHost = lease.host;
    // The last allowed use ends the lease; one of its own uses may follow a batch later and would be refused.
    if (++lease.uses == kUsesMax) {
      lease = std::move(active_.back());
      active_.pop_back();
    }
  } else {
    request.workspace = zipf_.draw(dice_);
  }
  request.json = "{\"leaseId\":\"" + id + "\"" + text("operation", dice_.below(2) == 0 ? "git.clone" : "git.push") +
                 text("sourceAddress", address(dice_)) + text("userAgent", "git/2.39.5 agent-runner/1.14.2") + place(dice_, onHost) +
                 principal("actor", "human", person()) + "}";
  request.leaseId = std::move(id);
  request.denied = !allowed;
  return request;
}

BenchRequest Mix::vault() {
  BenchRequest request;
  request.workspace = zipf_.draw(dice_);
  const std::string name = "ci/registry-password-" + std::to_string(dice_.below(50));
  const std::string common = text("secretName", name) + text("version", std::to_string(1 + dice_.below(9))) + ",\"outcome\":\"ok\"" +
                             place(dice_, host(dice_)) + principal("actor", "human", person()) + "}";
  if (dice_.below(3) == 0) {
    request.json = "{\"kind\":\"vault.written\",\"operation\":\"set\"" + secret("value", "Vault-" + dice_.letters(24)) + common;
  } else {
    request.json = "{\"kind\":\"vault.read\"" + text("purpose", "pull the image of the run from the registry") + common;
  }
  return request;
}

BenchRequest Mix::bareFact() {
  BenchRequest request;
  request.workspace = zipf_.draw(dice_);
  const std::string repository(kRepositories[dice_.below(kRepositories.size())]);
  request.json = "{\"kind\":\"tool.invoked\",\"tool\":\"test-runner\",\"operation\":\"run\",\"outcome\":\"ok\",\"durationMs\":" +
                 std::to_string(100 + dice_.below(90'000)) + text("run", "run-" + std::to_string(dice_.below(2'000))) +
                 text("host", host(dice_)) + text("sandbox", "sbx-" + std::to_string(dice_.below(2'000))) +
                 text("correlation", "job-" + std::to_string(dice_.below(2'000))) + principal("actor", "agent", "fixer") + "}";
  return request;
}

ParsedRequest parse(const BenchRequest& request) {
  ParsedRequest parsed;
  if (request.command == CommandKind::none) {
    parsed.fact.emplace(parseFact(request.json));
  } else {
    parsed.command.emplace(parseCommand(request.command, request.json));
  }
  return parsed;
}

}  // namespace counterfoil::cmd::bench

#include "cmd/demo_day.h"

#include <algorithm>

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"

namespace counterfoil::cmd {
namespace {

constexpr unsigned kHosts = 4;
constexpr unsigned kRuns = 36;

class Day {
 public:
  explicit Day(Timestamp now) : start_{now.nanoseconds - 24 * 3600 * kNanosecondsPerSecond} {}

  Timestamp at(double hours) const { return {start_.nanoseconds + static_cast<std::int64_t>(hours * 3600e9)}; }

  // `members`: the rest of the JSON object, after kind, time and producer; starts with a comma or is empty.
  void add(double hours, const std::string& kind, const std::string& members) { events_.push_back({at(hours), kind, members}); }

  // The producer numbers what it sends in the order of sending, which is that of the day.
  std::vector<std::string> take() {
    std::stable_sort(events_.begin(), events_.end(), [](const Item& left, const Item& right) { return left.time < right.time; });
    std::vector<std::string> lines;
    for (const Item& item : events_) {
      lines.push_back("{\"kind\":\"" + item.kind + "\",\"occurredAt\":\"" + toRfc3339(item.time) +
                      "\",\"producer\":\"platform\",\"producerSeq\":" + std::to_string(lines.size() + 1) + item.members + "}");
    }
    return lines;
  }

 private:
  struct Item {
    Timestamp time;
    std::string kind;
    std::string members;
  };
  Timestamp start_;
  std::vector<Item> events_;
};

std::string text(const char* name, const std::string& value) {
  std::string out = ",\"" + std::string(name) + "\":";
  appendJsonString(value, out);
  return out;
}

std::string principal(const char* name, const char* kind, const std::string& id) {
  return ",\"" + std::string(name) + "\":{\"kind\":\"" + kind + "\",\"id\":\"" + id + "\"}";
}

std::string secret(const char* name, const std::string& value) {
  return ",\"" + std::string(name) + "\":{\"value\":\"" + value + "\"}";
}

std::string demoHostName(unsigned number) {
  return "host-" + std::to_string(number + 1);
}

void hosts(Day& day) {
  day.add(0.1, "vault.provisioned",
          text("vaultId", "vault-demo") + text("identity", "mi-vault-demo") + ",\"purgeProtection\":true" +
              principal("actor", "human", "dana.ruiz"));
  for (unsigned host = 0; host < kHosts; ++host) {
    const std::string name = demoHostName(host);
    const double hour = 0.2 + 0.1 * host;
    day.add(hour, "bundle.issued",
            text("bundleId", "bundle-" + name) + text("host", name) + text("operatorVersion", "1.14.2") +
                secret("installKey", "opk_demo" + name + "k7Qz2LmX9wVt4RbN8sYc") + principal("issuedBy", "human", "dana.ruiz") +
                principal("actor", "human", "dana.ruiz") + text("expiresAt", toRfc3339(day.at(24.0 + hour))));
    day.add(hour + 0.02, "bundle.redeemed",
            text("bundleId", "bundle-" + name) + text("host", name) + text("sourceAddress", "203.0.113." + std::to_string(20 + host)) +
                principal("actor", "service", "exchange"));
    day.add(hour + 0.03, "host.connected",
            text("host", name) + text("connectionId", "conn-" + name + "-1") + text("tokenExpiresAt", toRfc3339(day.at(hour + 1.0))) +
                principal("actor", "service", "channel"));
    day.add(hour + 0.04, "token.minted",
            text("tokenId", "tok-" + name + "-1") + ",\"audience\":\"operator\"" + text("subject", name) + text("host", name) +
                text("expiresAt", toRfc3339(day.at(hour + 1.0))) + principal("actor", "service", "channel"));
  }
  // One connection drops and comes back; what it left behind is cleaned up.
  day.add(9.3, "host.disconnected",
          text("host", "host-2") + text("connectionId", "conn-host-2-1") + text("cause", "network timeout") +
              principal("actor", "service", "channel"));
  day.add(9.5, "host.connected", text("host", "host-2") + text("connectionId", "conn-host-2-2") + principal("actor", "service", "channel"));
  day.add(9.51, "host.reconciled",
          text("host", "host-2") + text("connectionId", "conn-host-2-2") + ",\"sandboxesAlive\":1,\"sandboxesCleaned\":2" +
              principal("actor", "service", "channel"));
}

void runDay(Day& day, unsigned number) {
  const std::string run = "run-" + std::to_string(100 + number);
  const std::string host = demoHostName(number % kHosts);
  const std::string sandbox = "sbx-" + std::to_string(100 + number);
  const std::string agent = number % 3 == 0 ? "reviewer" : "fixer";
  const std::string place = text("run", run) + text("host", host) + text("sandbox", sandbox);
  const std::string repository = number % 2 == 0 ? "github.com/acme/shop" : "github.com/acme/billing";
  const double hour = 1.0 + number * 0.6;
  const auto who = principal("actor", "agent", agent);
  day.add(hour, "run.started", place + text("agent", agent) + text("trigger", number % 4 == 0 ? "schedule" : "pull_request") + who);
  day.add(hour + 0.01, "sandbox.started",
          place + text("image", "registry.acme.example/agents/" + agent + ":2026.11") + ",\"outcome\":\"ok\"" +
              principal("actor", "service", "operator"));
  const std::string lease = "git-" + run;
  day.add(hour + 0.02, "lease.granted",
          place + text("leaseId", lease) + ",\"credential\":\"git_token\"" + text("credentialName", repository) +
              principal("grantee", "agent", agent) + ",\"scope\":[\"contents:read\",\"pull_requests:write\"],\"resources\":[\"" +
              repository + "\"]" + text("issuedAt", toRfc3339(day.at(hour + 0.02))) + text("expiresAt", toRfc3339(day.at(hour + 0.27))) +
              ",\"maxUses\":10" + text("reason", "review of change " + std::to_string(4000 + number)) +
              secret("secret", "ghs_demo" + std::to_string(number) + "T0qVb2XkWc8YzLmN5rPs7uHj9dFa") + who);
  for (unsigned use = 0; use < 1 + number % 3; ++use) {
    day.add(hour + 0.04 + 0.02 * use, "lease.consumed",
            place + text("leaseId", lease) + text("operation", use == 0 ? "git.clone" : "git.push") + ",\"resources\":[\"" + repository +
                "\"],\"outcome\":\"ok\"" + text("sourceAddress", "203.0.113." + std::to_string(20 + number % kHosts)) + who);
  }
  const std::string model = "model-" + run;
  day.add(hour + 0.03, "lease.granted",
          place + text("leaseId", model) + ",\"credential\":\"model_key\"" + text("credentialName", "models/large") +
              principal("grantee", "agent", agent) + ",\"scope\":[\"messages:create\"],\"resources\":[\"models/large\"]" +
              text("issuedAt", toRfc3339(day.at(hour + 0.03))) + text("expiresAt", toRfc3339(day.at(hour + 0.53))) + who);
  day.add(hour + 0.05, "lease.consumed",
          place + text("leaseId", model) + text("operation", "messages.create") + ",\"resources\":[\"models/large\"],\"outcome\":\"" +
              (number % 7 == 3 ? "error" : "ok") + "\"" + who);
  day.add(hour + 0.06, "vault.read",
          place + text("secretName", "ci/registry-password") + text("version", number < 20 ? "3" : "4") + text("purpose", "pull image") +
              ",\"outcome\":\"ok\"" + principal("actor", "service", "vault"));
  day.add(hour + 0.07, "tool.invoked",
          place + text("tool", "test-runner") + text("operation", "run") + ",\"outcome\":\"ok\",\"durationMs\":" +
              std::to_string(8000 + number * 331) + text("summary", "ran the unit tests of " + repository) + who);
  day.add(hour + 0.08, "egress.observed",
          place + text("destination", "api.github.com:443") + ",\"allowed\":true" + principal("actor", "service", "sidecar"));
  if (number % 9 == 4) {
    day.add(hour + 0.09, "egress.observed",
            place + text("destination", "paste.example.net:443") + principal("actor", "service", "sidecar"));
    day.add(hour + 0.1, "lease.denied",
            place + ",\"step\":\"grant\",\"credential\":\"cloud_identity\"" + principal("grantee", "agent", agent) +
                ",\"scope\":[\"storage:write\"],\"resources\":[\"arn:aws:s3:::acme-exports\"],\"ttlSeconds\":86400,\"reasonCode\":\"ttl_"
                "exceeded\"" +
                text("explanation", "rule cloud-read: at most 3600 s") + who);
  }
  day.add(hour + 0.5, "run.finished", place + text("agent", agent) + ",\"outcome\":\"" + (number % 11 == 5 ? "failed" : "ok") + "\"" + who);
  day.add(hour + 0.51, "sandbox.stopped", place + ",\"outcome\":\"ok\",\"diskWiped\":true" + principal("actor", "service", "operator"));
}

void rotationAndMisuse(Day& day) {
  day.add(12.0, "vault.written",
          text("secretName", "ci/registry-password") + text("version", "4") + ",\"operation\":\"rotate\"" +
              secret("value", "demo-Registry-9fK2-vQ7x-Lm3T") + ",\"outcome\":\"ok\"" + principal("actor", "human", "dana.ruiz"));
  // An install key that was redeemed before is tried again from elsewhere.
  day.add(15.2, "bundle.refused",
          text("bundleId", "bundle-host-3") + text("host", "host-3") + ",\"reasonCode\":\"already_used\"" +
              text("sourceAddress", "198.51.100.77") + principal("actor", "service", "exchange"));
  day.add(15.3, "bundle.retired",
          text("bundleId", "bundle-host-3") + principal("by", "human", "dana.ruiz") +
              text("reason", "key tried twice, second time from an unknown address") + principal("actor", "human", "dana.ruiz"));
  // A Git token is used after its lease has ended.
  day.add(17.9, "lease.consumed",
          text("leaseId", "git-run-125") + text("run", "run-125") + text("host", "host-4") + text("operation", "git.push") +
              ",\"resources\":[\"github.com/acme/billing\"],\"outcome\":\"ok\"" + text("sourceAddress", "198.51.100.77") +
              principal("actor", "agent", "fixer"));
}

}  // namespace

std::vector<std::string> demoFacts(Timestamp now) {
  Day day(now);
  hosts(day);
  for (unsigned number = 0; number < kRuns; ++number) runDay(day, number);
  rotationAndMisuse(day);
  return day.take();
}

std::string_view demoPolicy() {
  return R"(name = "demo"

[[rule]]
name = "no-payroll"
effect = "deny"
resource = ["github.com/acme/payroll"]
credential = ["git_token"]
grantee = ["agent:*"]

[[rule]]
name = "git-read"
effect = "allow"
credential = ["git_token"]
grantee = ["agent:*"]
scope = ["contents:read"]
resource = ["github.com/acme/*"]
maxTtlSeconds = 900
maxUses = 3
renewableForSeconds = 3600

[[rule]]
name = "model"
effect = "allow"
credential = ["model_key"]
grantee = ["agent:*"]
scope = ["messages:create"]
maxTtlSeconds = 1800

[[rule]]
name = "production"
effect = "allow"
credential = ["cloud_identity"]
grantee = ["agent:*"]
scope = ["deploy:production"]
resource = ["aws/acme-production"]
maxTtlSeconds = 600
approval = "required"
)";
}

}  // namespace counterfoil::cmd

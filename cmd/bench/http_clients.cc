#include "cmd/bench/http_clients.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace counterfoil::cmd::bench {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::int64_t kLagPause = 10'000'000;
constexpr std::array<std::string_view, 6> kClientRepositories = {"shop", "billing", "search", "catalogue", "identity", "mobile"};

std::string workspacePath(std::size_t workspace) {
  return "/v1/workspaces/" + workspaceId(workspace);
}

// "seq" of the receipt in an answer; 0 if there is none.
std::uint64_t seqOf(std::string_view body) {
  constexpr std::string_view kName = "\"seq\":";
  const std::size_t at = body.find(kName);
  std::uint64_t seq = 0;
  if (at != std::string_view::npos) std::from_chars(body.data() + at + kName.size(), body.data() + body.size(), seq);
  return seq;
}

bool saysDenied(std::string_view body) {
  return body.find("\"outcome\":\"denied\"") != std::string_view::npos;
}

}  // namespace

int appendMixRequest(const BenchRequest& request, std::string_view token, std::string& wire) {
  std::string target = workspacePath(request.workspace);
  if (request.command == CommandKind::none) {
    appendRequest("POST", target + "/facts", token, kJson, request.json, wire);
    return 201;
  }
  if (request.command == CommandKind::leaseRequest) {
    appendRequest("POST", target + "/leases", token, kJson, request.json, wire);
    return request.denied ? 403 : 201;
  }
  target += "/leases/" + request.leaseId + (request.command == CommandKind::leaseIssue ? "/issued" : "/consume");
  // The route names the lease: `{"leaseId":"...",` goes.
  const std::size_t rest = request.json.find(',') + 1;
  appendRequest("POST", target, token, kJson, "{" + request.json.substr(rest), wire);
  return request.denied ? 403 : 200;
}

void PlannedClient::follow(const Plan& plan) {
  plan_ = plan;
  sent_ = 0;
}

Turn PlannedClient::turn() {
  if (plan_.requests != 0 && sent_ >= plan_.requests) return {};
  Turn turn{true, 0};
  if (plan_.perSecond > 0) turn.dueAt = plan_.startAt + static_cast<std::int64_t>(static_cast<double>(sent_) / plan_.perSecond * 1e9);
  if (plan_.endAt != 0 && std::max(turn.dueAt, Stopwatch::now()) >= plan_.endAt) return {};
  ++sent_;
  return turn;
}

void PlannedClient::count(double microseconds) {
  ++tally_->answers;
  tally_->milliseconds.add(microseconds * 1e-3);
}

MixClient::MixClient(Mix mix, const std::string& token, Tally& tally, bool leasesMayHaveEnded)
    : PlannedClient(tally), mix_(std::move(mix)), token_(token), leasesMayHaveEnded_(leasesMayHaveEnded) {}

void MixClient::render(std::string& wire) {
  expected_ = appendMixRequest(mix_.next(), token_, wire);
}

void MixClient::answered(int status, std::string_view body, double microseconds) {
  count(microseconds);
  // Not allowed is 403 as well, and no entry.
  const bool denied = status == 403 && saysDenied(body);
  if (status == expected_ && (status != 403 || denied)) {
    ++tally().entries;
  } else if (denied && leasesMayHaveEnded_) {
    ++tally().entries;
    ++tally().refused;
  } else {
    ++tally().errors;
  }
}

BatchClient::BatchClient(MixKind kind, std::size_t client, std::size_t workspaces, std::size_t lines, const std::string& token,
                         Tally& tally)
    : PlannedClient(tally),
      kind_(kind),
      zipf_(workspaces),
      dice_(client + 1),
      bare_(MixKind::bare, client, workspaces, 0),
      client_(client),
      lines_(lines),
      token_(token) {}

void BatchClient::appendFact(std::string& body) {
  const std::uint64_t roll = dice_.below(100);
  const auto draw = [&](std::uint64_t below) { return std::to_string(dice_.below(below)); };
  // Half of the persons' data is the actor, half what belongs to one: an address, a reason.
  const std::string place = ",\"run\":\"run-" + draw(2'000) + "\",\"host\":\"host-" + draw(8) +
                            "\",\"actor\":{\"kind\":\"human\",\"id\":\"person" + draw(20) + "@example.com\"}}\n";
  const std::string from = ",\"sourceAddress\":\"203.0.113." + draw(250) + "\"";
  const std::string repository = "\"github.com/acme/" + std::string(kClientRepositories[dice_.below(kClientRepositories.size())]) + "\"";
  const std::string granted = "\"fact-" + std::to_string(client_) + "-" + std::to_string(leases_ + 1) + "\"";
  const std::string known = "\"fact-" + std::to_string(client_) + "-" + std::to_string(1 + dice_.below(leases_ + 1)) + "\"";
  constexpr std::string_view kScope = ",\"scope\":[\"contents:read\",\"pull_requests:write\"],\"resources\":[";
  if (roll < 30) {
    ++leases_;
    body.append("{\"kind\":\"lease.granted\",\"leaseId\":").append(granted);
    body.append(",\"credential\":\"git_token\",\"grantee\":{\"kind\":\"agent\",\"id\":\"fixer\"}").append(kScope).append(repository);
    body.append("],\"maxUses\":6,\"expiresAt\":\"2100-01-01T00:00:00Z\"").append(from);
    body.append(",\"reason\":\"look into the slow start of the catalogue service on staging\"");
  } else if (roll < 45) {
    body.append("{\"kind\":\"lease.issued\",\"outcome\":\"issued\",\"leaseId\":").append(known);
    body.append(",\"secret\":{\"value\":\"ghs_").append(dice_.letters(36)).append("\"},\"upstreamId\":\"installation-");
    body.append(draw(100'000)).append("\"");
  } else if (roll < 85) {
    body.append("{\"kind\":\"lease.consumed\",\"outcome\":\"ok\",\"operation\":\"git.push\",\"leaseId\":").append(known);
    body.append(from).append(",\"resources\":[").append(repository).append("],\"userAgent\":\"git/2.39.5 agent-runner/1.14.2\"");
  } else if (roll < 95) {
    body.append("{\"kind\":\"lease.denied\",\"reasonCode\":\"policy\",\"credential\":\"git_token\"").append(kScope).append(repository);
    body.append("],\"grantee\":{\"kind\":\"agent\",\"id\":\"fixer\"}").append(from);
  } else if (roll < 97) {
    body.append("{\"kind\":\"vault.written\",\"operation\":\"set\",\"outcome\":\"ok\",\"secretName\":\"ci/registry-password-");
    body.append(draw(50)).append("\",\"value\":{\"value\":\"Vault-").append(dice_.letters(24)).append("\"}");
  } else {
    body.append("{\"kind\":\"vault.read\",\"outcome\":\"ok\",\"purpose\":\"pull the image of the run from the registry\",\"secretName\":");
    body.append("\"ci/registry-password-").append(draw(50)).append("\"");
  }
  body.append(place);
}

void BatchClient::render(std::string& wire) {
  body_.clear();
  const std::size_t workspace = only_ != ~std::size_t{0} ? only_ : zipf_.draw(dice_);
  for (std::size_t line = 0; line < lines_; ++line) {
    if (kind_ == MixKind::full) {
      appendFact(body_);
    } else {
      body_.append(bare_.next().json).append("\n");
    }
  }
  appendRequest("POST", workspacePath(workspace) + "/facts", token_, "application/x-ndjson", body_, wire);
}

void BatchClient::answered(int status, std::string_view body, double microseconds) {
  count(microseconds);
  const auto results = static_cast<std::uint64_t>(std::count(body.begin(), body.end(), '\n'));
  std::uint64_t bad = body.starts_with("{\"error\"") ? 1 : 0;
  for (std::size_t at = body.find("\n{\"error\""); at != std::string_view::npos; at = body.find("\n{\"error\"", at + 1)) ++bad;
  if (status != 200 || results != lines_) {
    ++tally().errors;
  } else {
    tally().errors += bad;
    tally().entries += results - bad;
  }
}

SequenceClient::SequenceClient(std::function<int(std::string&)> render, Tally& tally) : PlannedClient(tally), make_(std::move(render)) {}

Turn SequenceClient::turn() {
  const Turn turn = PlannedClient::turn();
  if (!turn.more) return turn;
  next_.clear();
  expected_ = make_(next_);
  return expected_ == 0 ? Turn{} : turn;
}

void SequenceClient::render(std::string& wire) {
  wire.swap(next_);
}

void SequenceClient::answered(int status, std::string_view, double microseconds) {
  count(microseconds);
  if (status == expected_) {
    ++tally().entries;
  } else {
    ++tally().errors;
  }
}

LagClient::LagClient(Mix mix, const std::string& token, std::int64_t endAt) : mix_(std::move(mix)), token_(token), endAt_(endAt) {}

Turn LagClient::turn() {
  if (seq_ != 0) return {true, 0};
  const std::int64_t now = Stopwatch::now();
  if (now >= endAt_) return {};
  return {true, now + kLagPause};
}

void LagClient::render(std::string& wire) {
  if (seq_ == 0) {
    const BenchRequest request = mix_.next();
    workspace_ = request.workspace;
    expected_ = appendMixRequest(request, token_, wire);
  } else {
    expected_ = 200;
    appendRequest("GET", workspacePath(workspace_) + "/entries?limit=1&order=desc&wait=" + std::to_string(seq_), token_, {}, {}, wire);
  }
}

void LagClient::answered(int status, std::string_view body, double microseconds) {
  const bool gave = seq_ != 0 && status == 503;
  if (gave) ++gaveUp;
  if (status != expected_ && !gave) ++errors;
  if (seq_ != 0) {
    // A wait that was given up is a sample as well: it was at least so long.
    if (status == 200 || gave) milliseconds.add(microseconds * 1e-3);
    seq_ = 0;
    return;
  }
  if (status != 0) seq_ = seqOf(body);
}

}  // namespace counterfoil::cmd::bench

#include "clients/cpp/client.h"

#include <algorithm>
#include <exception>

#include "clients/cpp/answers.h"
#include "clients/cpp/encode.h"
#include "clients/cpp/entry_tail.h"
#include "clients/cpp/fact_sender.h"
#include "clients/cpp/http_client.h"
#include "clients/cpp/json_writer.h"
#include "clients/cpp/url.h"

namespace counterfoil::client {
namespace {

constexpr std::chrono::milliseconds kAgainPause{250};
constexpr std::chrono::milliseconds kAgainPauseMax{5'000};

HttpOptions httpOptionsOf(Options& options) {
  if (options.workspace.empty()) throw Error(kUsage, "no workspace is named", "give its id", "workspace");
  if (!options.token.empty() && !options.tokenFile.empty()) {
    throw Error(kUsage, "a token and a token file are given", "give one of them", "token");
  }
  HttpOptions http;
  http.url = options.url;
  http.authorities = options.authorities;
  http.pinnedKey = options.pinnedKey;
  http.limits.deadline = options.deadline;
  http.surroundings = options.surroundings;
  if (!options.tokenFile.empty()) http.token = tokenFile(options.tokenFile);
  if (!options.token.empty()) {
    // A function can be copied and a secret cannot.
    const auto token = std::make_shared<const Secret>(std::move(options.token));
    http.token = [token] { return token->clone(); };
  }
  return http;
}

void addParameter(std::string& query, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  query += query.empty() ? '?' : '&';
  query += std::string(name) + "=" + percentEncoded(value);
}

std::string queryOf(const EntryFilters& filters) {
  std::string query;
  for (const std::string& kind : filters.kinds) addParameter(query, "kind", kind);
  addParameter(query, "actor", filters.actor);
  addParameter(query, "run", filters.run);
  addParameter(query, "host", filters.host);
  addParameter(query, "lease", filters.lease);
  addParameter(query, "resource", filters.resource);
  addParameter(query, "text", filters.text);
  addParameter(query, "from", filters.from);
  addParameter(query, "to", filters.to);
  addParameter(query, "asOf", filters.asOf);
  addParameter(query, "order", filters.oldestFirst ? "asc" : "desc");
  addParameter(query, "limit", std::to_string(filters.pageSize));
  if (filters.wait) addParameter(query, "wait", std::to_string(*filters.wait));
  return query;
}

std::string waitQuery(std::optional<std::uint64_t> wait) {
  return wait ? "?wait=" + std::to_string(*wait) : std::string();
}

}  // namespace

struct Client::State {
  explicit State(Options options)
      : surroundings(options.surroundings),
        workspace("/v1/workspaces/" + percentEncoded(options.workspace)),
        http(httpOptionsOf(options)) {}

  // What the server answers to one command; `id` is made if it is empty.
  boost::json::object command(std::string_view route, std::string_view body, std::string& id) {
    if (id.empty()) id = makeCommandId(surroundings);
    HttpRequest request;
    request.method = "POST";
    request.target = workspace + std::string(route);
    request.contentType = "application/json";
    request.body = body;
    request.headers.emplace_back("Idempotency-Key", id);
    return objectIn(http.send(request).body);
  }

  Decision decide(std::string_view route, const WipingString& body, std::string id) {
    const boost::json::object answer = command(route, body, id);
    return decisionIn(answer, std::move(id));
  }

  Decision decideLease(std::string_view lease, std::string_view verb, const WipingString& body, const std::string& id) {
    if (lease.empty()) throw Error(kUsage, "the id of the lease is empty", "it is in the answer to its grant", "lease");
    return decide("/leases/" + percentEncoded(lease) + "/" + std::string(verb), body, id);
  }

  boost::json::object read(std::string_view behind) {
    HttpRequest request;
    request.target = workspace + std::string(behind);
    return objectIn(http.send(request).body);
  }

  Surroundings surroundings;
  std::string workspace;  // its route
  HttpClient http;
};

Client::Client(Options options) : state_(std::make_unique<State>(std::move(options))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

std::string Client::makeId() const {
  return makeCommandId(state_->surroundings);
}

Decision Client::grant(const GrantRequest& request) {
  return state_->decide("/leases", jsonOf(request), request.context.id);
}

Decision Client::issued(std::string_view lease, const IssuedReport& report) {
  return state_->decideLease(lease, "issued", jsonOf(report), report.context.id);
}

Decision Client::consume(std::string_view lease, const ConsumeRequest& request) {
  return state_->decideLease(lease, "consume", jsonOf(request), request.context.id);
}

Decision Client::renew(std::string_view lease, const RenewRequest& request) {
  return state_->decideLease(lease, "renew", jsonOf(request), request.context.id);
}

Decision Client::revoke(std::string_view lease, const RevokeRequest& request) {
  return state_->decideLease(lease, "revoke", jsonOf(request), request.context.id);
}

Revocation Client::revokeAll(const RevokeAllRequest& request) {
  std::string id = request.id;
  const WipingString body = jsonOf(request);
  const boost::json::object answer = state_->command("/revocations", body, id);
  return revocationIn(answer, std::move(id));
}

Recorded Client::fact(const Fact& fact) {
  std::string id = fact.id.empty() ? makeId() : fact.id;
  const WipingString body = lineOf(fact, id);
  const boost::json::object answer = state_->command("/facts", body, id);
  return recordedIn(answer, std::move(id));
}

std::vector<FactResult> Client::facts(std::span<const Fact> facts) {
  std::vector<FactResult> results;
  while (results.size() < facts.size()) {
    std::vector<std::string> ids;
    std::vector<WipingString> texts;
    std::size_t bytes = 0;
    while (results.size() + texts.size() < facts.size() && texts.size() < kFactLinesMax && bytes < kFactBytesMax) {
      const Fact& fact = facts[results.size() + texts.size()];
      ids.push_back(fact.id.empty() ? makeId() : fact.id);
      texts.push_back(lineOf(fact, ids.back()));
      bytes += texts.back().size();
    }
    const std::vector<std::string_view> lines(texts.begin(), texts.end());
    const std::vector<std::string> answers = sendFacts(state_->http, state_->workspace, lines, true, state_->surroundings);
    for (std::size_t index = 0; index < answers.size(); ++index) {
      results.push_back(factResultIn(answers[index], std::move(ids[index])));
    }
  }
  return results;
}

LeaseDetail Client::lease(std::string_view lease, std::optional<std::uint64_t> wait) {
  if (lease.empty()) throw Error(kUsage, "the id of the lease is empty", "it is in the answer to its grant", "lease");
  return leaseIn(state_->read("/leases/" + percentEncoded(lease) + waitQuery(wait)));
}

EntryPages Client::entries(const EntryFilters& filters) {
  State* const state = state_.get();
  return EntryPages([state, query = queryOf(filters)](const std::string& cursor) {
    std::string target = "/entries" + query;
    addParameter(target, "after", cursor);
    return state->read(target);
  });
}

std::optional<Entry> EntryPages::next() {
  while (at_ == entries_.size()) {
    if (last_) return std::nullopt;
    boost::json::object page = page_(cursor_);
    cursor_ = textAt(page, "next");
    last_ = cursor_.empty();
    entries_ = entriesIn(std::move(page));
    at_ = 0;
  }
  return std::move(entries_[at_++]);
}

QueryResult Client::query(std::string_view sql, std::optional<std::uint64_t> wait) {
  WipingString body;
  body.reserve(sql.size() + 64);
  JsonObjectWriter object(body);
  object.text("sql", sql);
  object.end();
  HttpRequest request;
  request.method = "POST";
  request.target = state_->workspace + "/query" + waitQuery(wait);
  request.contentType = "application/json";
  request.body = body;
  return queryResultIn(objectIn(state_->http.send(request).body));
}

void Client::tail(const TailOptions& options, const std::function<bool(const Entry&)>& entry, const std::stop_token& stop) {
  if (options.fromStart && options.after) throw Error(kUsage, "a tail begins at the start or behind an entry, not both", {}, "after");
  std::optional<std::uint64_t> first;
  if (options.fromStart) first = 0;
  if (options.after) first = *options.after + 1;
  EntryTail tail(options.kinds, first);
  const Surroundings& around = state_->surroundings;
  std::optional<std::chrono::milliseconds> heardAt;
  std::chrono::milliseconds pause = kAgainPause;
  const auto heard = [&] {
    heardAt = around.steady();
    pause = kAgainPause;
  };
  // What the caller throws may be an Error as well, and is none of the connection's.
  std::exception_ptr thrown;
  const auto guarded = [&](const Entry& arrived) {
    try {
      return entry(arrived);
    } catch (...) {
      thrown = std::current_exception();
      return false;
    }
  };
  while (!stop.stop_requested()) {
    try {
      const bool wanted = tail.follow(state_->http, state_->workspace, guarded, heard, stop);
      if (thrown) break;
      if (!wanted) return;
    } catch (const Error& error) {
      // What went well once is tried again for a while: a server may be starting anew.
      if (!error.isPassing() || !heardAt || around.steady() - *heardAt > options.unreachableMax) throw;
    }
    if (stop.stop_requested()) return;
    around.pause(pause, stop);
    pause = std::min(pause * 2, kAgainPauseMax);
  }
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace counterfoil::client

#include "server/routes/read_support.h"

#include <algorithm>

#include "ledger/core/check.h"
#include "ledger/core/limits.h"
#include "ledger/redact/fingerprint.h"
#include "ledger/redact/scanner.h"
#include "server/audit_recorder.h"
#include "server/await.h"
#include "server/stream_hub.h"

namespace counterfoil::server {
namespace {

constexpr std::int64_t kWaitMilliseconds = 5'000;

// Where the page begins, how long it is: they select nothing.
bool onlyPages(const std::string& parameter) {
  return parameter == "after" || parameter == "limit" || parameter == "order";
}

constexpr std::string_view kItems = "{\"items\":[";
constexpr std::string_view kNext = "],\"next\":";
constexpr std::string_view kAsOf = ",\"asOf\":";

// Behind the items, from `],"next":` on. The last such text: what follows it is a cursor and numbers, no text of the record.
std::string_view tailOf(std::string_view page) {
  const std::size_t at = page.rfind(kNext);
  COUNTERFOIL_CHECK(page.starts_with(kItems) && at != std::string_view::npos);
  return page.substr(at);
}

}  // namespace

std::uint64_t wholeNumber(std::string_view text, const std::string& field) {
  std::uint64_t number = 0;
  const bool digits =
      !text.empty() && text.size() <= 16 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  for (const char c : digits ? text : std::string_view()) number = number * 10 + static_cast<std::uint64_t>(c - '0');
  if (!digits || number > limits::kJsonIntegerMax) {
    throw Fault(ErrorCode::invalidValue, field + " must be a whole number below 2^53", "", field);
  }
  return number;
}

ReadParameters readParameters(const RequestHead& head, bool mayDisclose) {
  ReadParameters parameters;
  bool disclosed = false;
  for (const auto& [name, value] : head.query) {
    if (name == "token" || name == "access_token") {
      throw Fault(ErrorCode::tokenInUrl, "a token stands in the URL, where logs keep it: it must be considered known",
                  "revoke it, and send tokens in the Authorization header");
    }
    const bool isDisclose = mayDisclose && name == "disclose";
    if (name != "wait" && !isDisclose) {
      parameters.filters.emplace_back(name, value);
      continue;
    }
    if (isDisclose ? disclosed : parameters.wait.has_value()) {
      throw Fault(ErrorCode::duplicateField, "the parameter `" + name + "` is given twice", "", name);
    }
    if (isDisclose) {
      if (value != "true" && value != "false") throw Fault(ErrorCode::invalidValue, "disclose must be true or false", "", name);
      disclosed = true;
      parameters.disclose = value == "true";
    } else {
      parameters.wait = wholeNumber(value, name);
    }
  }
  return parameters;
}

void requireKnown(const std::vector<query::Parameter>& filters, std::initializer_list<std::string_view> known) {
  std::vector<std::string_view> seen;
  for (const auto& [name, value] : filters) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      std::string all;
      for (const std::string_view one : known) all += std::string(one) + ' ';
      throw Fault(ErrorCode::unknownField, "there is no such parameter here", "its parameters: " + all + "wait");
    }
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      throw Fault(ErrorCode::duplicateField, "the parameter `" + name + "` is given twice", "", name);
    }
    seen.push_back(name);
  }
}

WorkspaceNumber workspaceOf(const Service& service, const Call& call) {
  const auto number = service.ledger.findWorkspace(call.variable("workspace"));
  if (!number) {
    throw Fault(ErrorCode::notAllowed, "the token does not allow this, or the workspace does not exist",
                "ask for a token with the role and workspace that this needs");
  }
  return *number;
}

query::PrincipalResolver resolverOf(Service& service, WorkspaceNumber workspace) {
  return [&service, workspace](const std::string& principal) -> std::string {
    // As redaction does it: humans, and machines whose id is an address of a person.
    const std::size_t colon = principal.find(':');
    const std::string id = principal.substr(colon + 1);
    const bool isPerson = principal.starts_with("human:") || redact::looksLikeEmail(id);
    if (!isPerson || principal.starts_with("ledger:") || redact::isPseudonym(id)) return principal;
    const auto key = service.ledger.keyRing().workspace(workspace)->findSubject(PrincipalKind::human, id);
    if (key == nullptr) return {};
    return principal.substr(0, colon + 1) + redact::pseudonymOf(*key);
  };
}

asio::awaitable<void> waitForView(Service& service, WorkspaceNumber workspace, std::optional<std::uint64_t> wait) {
  bool reached = true;
  // Who does not wait gets the view as it stands, and asking again finds it up to date.
  service.views.want(workspace);
  // A view that is still to be made stands nowhere: its first entry is waited for.
  const views::ViewStatus standing = service.views.status(workspace);
  const std::uint64_t size = wait ? *wait + 1 : standing.size == 0 && !standing.fault ? 1 : 0;
  if (size != 0) reached = co_await service.streams.waitFor(workspace, size, kWaitMilliseconds);
  const auto fault = service.views.status(workspace).fault;
  if (fault && fault->code() != ErrorCode::diskFull && fault->code() != ErrorCode::notReady) throw Fault(*fault);
  if (reached) co_return;
  if (fault) throw Fault(*fault);
  throw Fault(ErrorCode::notReady, "the view has not reached the seq to wait for within 5 s",
              "ask again; is the seq one of this workspace's receipts?", "wait");
}

asio::awaitable<void> recordReading(Service& service, const Call& call, WorkspaceNumber workspace, std::string what,
                                    const std::vector<query::Parameter>& parameters, std::uint64_t rows, bool disclosed) {
  Reading reading;
  reading.workspace = workspace;
  reading.workspaceId = std::string(call.variable("workspace"));
  reading.filter = std::move(what);
  // First, for a long filter is cut at its end.
  if (disclosed) reading.filter += " disclose=true";
  reading.each = disclosed;
  reading.rows = rows;
  for (const auto& [name, value] : parameters) {
    if (!onlyPages(name)) reading.filter += ' ' + name + '=' + value;
  }
  co_await service.audit.queried(call.caller, std::move(reading));
}

std::vector<std::string_view> itemsOf(std::string_view page) {
  std::string_view rest = page.substr(kItems.size(), page.size() - kItems.size() - tailOf(page).size());
  std::vector<std::string_view> items;
  std::size_t depth = 0;
  std::size_t start = 0;
  bool quoted = false;
  for (std::size_t at = 0; at < rest.size(); ++at) {
    const char c = rest[at];
    if (quoted) {
      if (c == '\\') {
        ++at;
      } else if (c == '"') {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (depth++ == 0) start = at;
    } else if (c == '}' || c == ']') {
      if (--depth == 0) items.push_back(rest.substr(start, at + 1 - start));
    }
  }
  return items;
}

std::string_view asOfOf(std::string_view page) {
  std::string_view tail = tailOf(page);
  tail.remove_prefix(tail.find(kAsOf) + kAsOf.size());
  tail.remove_suffix(1);
  return tail;
}

std::string_view nextOf(std::string_view page) {
  std::string_view tail = tailOf(page);
  tail.remove_prefix(kNext.size());
  if (!tail.starts_with('"')) return {};
  tail.remove_prefix(1);
  return tail.substr(0, tail.find('"'));
}

std::string onlyItem(std::string_view page, const char* detail) {
  const std::vector<std::string_view> items = itemsOf(page);
  if (items.empty()) throw Fault(ErrorCode::noSuchItem, detail, "");
  std::string body(items.front().substr(0, items.front().size() - 1));
  body += kAsOf;
  body += asOfOf(page);
  body += '}';
  return body;
}

}  // namespace counterfoil::server

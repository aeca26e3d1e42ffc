#include "clients/cpp/error.h"

#include <boost/json/parse.hpp>

namespace counterfoil::client {
namespace {

// Of what answers without problem details: a proxy, most likely.
std::string_view codeOf(int status) {
  if (status == 401) return kBadToken;
  if (status == 403) return "not_allowed";
  if (status == 429 || status == 502 || status == 503 || status == 504) return kNotReady;
  return status >= 500 ? "internal" : kForeignAnswer;
}

}  // namespace

Error::Error(ErrorFacts facts) : facts_(std::move(facts)), what_(facts_.code + ": " + facts_.detail) {}

Error::Error(std::string_view code, std::string detail, std::string hint, std::string field)
    : Error(ErrorFacts{std::string(code), std::move(detail), std::move(hint), std::move(field), {}, 0}) {}

bool Error::isPassing() const {
  if (facts_.status != 0) return facts_.status == 408 || facts_.status == 429 || (facts_.status >= 502 && facts_.status <= 507);
  return facts_.code == kNotReady || facts_.code == kIndeterminate;
}

Error errorOf(int status, std::string_view body, std::string_view requestId) {
  boost::json::error_code failed;
  const boost::json::value json = boost::json::parse(body, failed);
  const auto text = [&](std::string_view name) -> std::string {
    const boost::json::value* value = json.is_object() ? json.get_object().if_contains(name) : nullptr;
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
  };
  ErrorFacts facts;
  facts.status = status;
  facts.requestId = requestId;
  if (failed || text("code").empty()) {
    facts.code = codeOf(status);
    facts.detail = "the server answers with status " + std::to_string(status) + " and says no more";
    facts.hint = "is it a Counterfoil server that answers at this URL?";
    return Error(std::move(facts));
  }
  facts.code = text("code");
  facts.detail = text("detail");
  facts.hint = text("hint");
  facts.field = text("field");
  if (const std::string id = text("requestId"); !id.empty()) facts.requestId = id;
  return Error(std::move(facts));
}

Error foreignAnswer() {
  return Error(kForeignAnswer, "what answers at this URL is no server of this version", "look at the URL");
}

}  // namespace counterfoil::client

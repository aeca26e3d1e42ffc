// The OpenAPI document against what it describes: the routes, the error table and the strict reader of bodies.
#include "server/openapi.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "ledger/core/json.h"
#include "ledger/core/outcome.h"
#include "ledger/core/schema_tables.h"

namespace counterfoil::server {
namespace {

namespace json = boost::json;
using testing::Contains;
using testing::IsSupersetOf;

Route route(const char* method, const char* pattern, Action action, const char* body, const char* answer, std::vector<int> statuses) {
  Route result{method, pattern, action, {}, {}};
  result.docs.summary = "does something";
  result.docs.body = body;
  result.docs.answer = answer;
  result.docs.statuses = std::move(statuses);
  return result;
}

class OpenApi : public testing::Test {
 protected:
  OpenApi() {
    router_.add(route("GET", "/openapi.json", Action::open, "", "Item", {200}));
    router_.add(route("POST", "/v1/workspaces/{workspace}/leases", Action::useLeases, "LeaseRequest", "Answer", {201, 202, 403}));
    router_.add(route("POST", "/v1/workspaces/{workspace}/facts", Action::reportFacts, "Fact", "Answer", {200, 201, 202}));
    Route list = route("GET", "/v1/workspaces/{workspace}/leases", Action::readRecord, "", "LeasePage", {200});
    list.docs.parameters = {"kind", "actor", "state", "from", "asOf", "order", "limit", "after", "wait", "disclose", "text", "run"};
    router_.add(std::move(list));
    router_.add(route("GET", "/v1/workspaces/{workspace}/leases/{lease}", Action::readRecord, "", "LeaseHistory", {200}));
    Route stream = route("GET", "/v1/workspaces/{workspace}/stream", Action::readRecord, "", "EntryStream", {200});
    stream.docs.answerType = "text/event-stream";
    router_.add(std::move(stream));
    Route between = route("POST", "/node/token-desk", Action::open, "", "", {200});
    between.docs.published = false;
    router_.add(std::move(between));
    document_ = json::parse(openApi(router_, "1.2.3"));
  }

  const json::object& operation(const char* path, const char* method) const {
    return document_.at("paths").at(path).at(method).as_object();
  }
  const json::object& schema(const std::string& name) const { return document_.at("components").at("schemas").at(name).as_object(); }
  std::set<std::string> statuses(const char* path, const char* method) const {
    std::set<std::string> result;
    for (const auto& [status, ignored] : operation(path, method).at("responses").as_object()) result.insert(status);
    return result;
  }
  // A value that fits the schema, as small as it can be but not empty.
  json::value sample(const json::object& asked) const {
    if (const json::value* reference = asked.if_contains("$ref")) {
      return sample(schema(std::string(reference->as_string()).substr(std::string("#/components/schemas/").size())));
    }
    if (const json::value* words = asked.if_contains("enum")) return words->as_array().front();
    const json::value* type = asked.if_contains("type");
    if (type == nullptr) return "thing";
    if (*type == "boolean") return true;
    if (*type == "integer") return 7;
    if (*type == "array") return json::array{sample(asked.at("items").as_object())};
    if (*type == "object") return sampleObject(asked);
    const json::value* format = asked.if_contains("format");
    if (format != nullptr && *format == "date-time") return "2026-03-01T09:30:00Z";
    if (format != nullptr && *format == "uuid") return "01a1fcaf-b344-78df-81c8-b5096750f82c";
    return "thing-1";
  }
  json::object sampleObject(const json::object& asked) const {
    json::object result;
    if (const json::value* required = asked.if_contains("required")) {
      for (const json::value& name : required->as_array()) result[name.as_string()] = sample(property(asked, name.as_string()));
    }
    if (result.empty() && asked.contains("minProperties")) {
      const auto& [name, one] = *asked.at("properties").as_object().begin();
      result[name] = sample(one.as_object());
    }
    return result;
  }
  static const json::object& property(const json::object& asked, std::string_view name) {
    return asked.at("properties").at(name).as_object();
  }

  Router router_;
  json::value document_;
};

std::optional<ErrorCode> codeOf(CommandKind kind, const json::object& body, std::span<const RouteField> fromRoute) {
  try {
    parseCommand(kind, json::serialize(body), fromRoute);
  } catch (const Fault& fault) {
    return fault.code();
  }
  return std::nullopt;
}

std::optional<ErrorCode> codeOfFact(const json::object& body) {
  try {
    parseFact(json::serialize(body));
  } catch (const Fault& fault) {
    return fault.code();
  }
  return std::nullopt;
}

// Every $ref of the document, wherever it stands.
void references(const json::value& value, std::vector<std::string>& found) {
  if (const json::array* array = value.if_array()) {
    for (const json::value& item : *array) references(item, found);
  }
  const json::object* object = value.if_object();
  if (object == nullptr) return;
  for (const auto& [name, member] : *object) {
    if (name == "$ref") found.emplace_back(member.as_string());
    references(member, found);
  }
}

TEST_F(OpenApi, NamesTheVersionsAndTheScheme) {
  EXPECT_EQ(document_.at("openapi"), "3.1.0");
  EXPECT_EQ(document_.at("info").at("version"), "1.2.3");
  EXPECT_EQ(document_.at("components").at("securitySchemes").at("bearer").at("scheme"), "bearer");
  EXPECT_EQ(operation("/openapi.json", "get").at("security"), json::array()) << "the document itself needs no token";
  EXPECT_FALSE(operation("/v1/workspaces/{workspace}/leases", "post").contains("security"));
}

TEST_F(OpenApi, HasEachRouteOnceUnderItsOwnId) {
  std::size_t operations = 0;
  std::set<std::string> ids;
  for (const auto& [path, methods] : document_.at("paths").as_object()) {
    for (const auto& [method, operation] : methods.as_object()) {
      ++operations;
      EXPECT_TRUE(ids.insert(std::string(operation.at("operationId").as_string())).second) << path << method;
    }
  }
  EXPECT_EQ(operations, router_.routes().size() - 1);
  EXPECT_FALSE(document_.at("paths").as_object().contains("/node/token-desk")) << "what nodes ask each other is for nobody else";
}

TEST_F(OpenApi, RefersOnlyToWhatIsThere) {
  std::vector<std::string> found;
  references(document_, found);
  EXPECT_GT(found.size(), 50U);
  for (const std::string& one : found) {
    boost::system::error_code missing;
    EXPECT_NE(document_.find_pointer(one.substr(1), missing), nullptr) << one;
  }
}

TEST_F(OpenApi, DeclaresEveryPathVariable) {
  const json::array& parameters = operation("/v1/workspaces/{workspace}/leases/{lease}", "get").at("parameters").as_array();
  ASSERT_EQ(parameters.size(), 2U);
  EXPECT_EQ(parameters[0].at("name"), "workspace");
  EXPECT_EQ(parameters[1].at("name"), "lease");
  for (const json::value& one : parameters) {
    EXPECT_EQ(one.at("in"), "path");
    EXPECT_EQ(one.at("required"), true);
  }
}

TEST_F(OpenApi, DeclaresTheStatusesThatARouteCanGive) {
  const auto open = statuses("/openapi.json", "get");
  EXPECT_THAT(open, testing::Not(Contains("403")));
  EXPECT_THAT(open, testing::Not(Contains("307"))) << "every node answers it itself";
  EXPECT_THAT(statuses("/v1/workspaces/{workspace}/leases", "get"), Contains("307"));
  const auto command = statuses("/v1/workspaces/{workspace}/leases", "post");
  EXPECT_THAT(command,
              IsSupersetOf({"201", "202", "400", "401", "403", "406", "408", "409", "413", "415", "422", "429", "500", "503", "507"}));
  EXPECT_THAT(command, testing::Not(Contains("default"))) << "one for all statuses declares none";
  const auto item = statuses("/v1/workspaces/{workspace}/leases/{lease}", "get");
  EXPECT_THAT(item, Contains("404"));
  EXPECT_THAT(item, testing::Not(Contains("409")));
  EXPECT_THAT(statuses("/v1/workspaces/{workspace}/leases", "get"), testing::Not(Contains("404")));
}

TEST_F(OpenApi, TellsADenialFromARefusalByTheMediaType) {
  const json::object& content = operation("/v1/workspaces/{workspace}/leases", "post").at("responses").at("403").at("content").as_object();
  EXPECT_EQ(content.at("application/json").at("schema").at("$ref"), "#/components/schemas/Answer");
  EXPECT_EQ(content.at("application/problem+json").at("schema").at("$ref"), "#/components/schemas/Problem");
}

TEST_F(OpenApi, ManyFactsAreAnsweredLineByLine) {
  const json::object& responses = operation("/v1/workspaces/{workspace}/facts", "post").at("responses").as_object();
  EXPECT_TRUE(responses.at("200").at("content").as_object().contains("application/x-ndjson"));
  EXPECT_TRUE(responses.at("201").at("content").as_object().contains("application/json"));
}

// Each code of the table that HTTP knows is among the words of Problem, and its status has a description that names it. What no single
// operation gives (404 of an unknown route, 405) is in neither.
TEST_F(OpenApi, DeclaresEveryErrorOfTheTable) {
  const json::array& codes = property(schema("Problem"), "code").at("enum").as_array();
  const json::object& responses = document_.at("components").at("responses").as_object();
#define COUNTERFOIL_CODE(name, text, http, exitStatus)                                                      \
  EXPECT_NE(std::find(codes.begin(), codes.end(), json::value(text)), codes.end()) << (text);               \
  if ((http) != 405) {                                                                                      \
    const json::value* response = responses.if_contains("Error" + std::to_string(http));                    \
    ASSERT_NE(response, nullptr) << (text);                                                                 \
    EXPECT_THAT(std::string(response->at("description").as_string()), testing::HasSubstr("`" text "`"));    \
    EXPECT_TRUE(response->at("headers").as_object().contains("X-Request-Id"));                              \
    EXPECT_EQ(response->at("headers").as_object().contains("Retry-After"), (http) == 429 || (http) == 503); \
  }
  COUNTERFOIL_ERROR_CODES(COUNTERFOIL_CODE)
#undef COUNTERFOIL_CODE
}

struct Body {
  const char* schema;
  CommandKind kind;
  std::optional<RouteField> fromRoute;
};

// What the schema allows the reader takes, what it requires the reader requires, and nothing else is known to either.
TEST_F(OpenApi, BodiesAreWhatTheReaderTakes) {
  const RouteField lease{Field::leaseId, "lease-1"};
  const RouteField approval{Field::approvalId, "approval-1"};
  const std::vector<Body> bodies = {
      {"LeaseRequest", CommandKind::leaseRequest, {}},       {"LeaseIssue", CommandKind::leaseIssue, lease},
      {"LeaseConsume", CommandKind::leaseConsume, lease},    {"LeaseRenew", CommandKind::leaseRenew, lease},
      {"LeaseRevoke", CommandKind::leaseRevoke, lease},      {"RevokeAll", CommandKind::revokeAll, {}},
      {"ApprovalRequest", CommandKind::approvalRequest, {}}, {"ApprovalDecide", CommandKind::approvalDecide, approval},
      {"WorkspaceCreate", CommandKind::workspaceCreate, {}}, {"WorkspaceClose", CommandKind::workspaceClose, {}}};
  for (const Body& body : bodies) {
    SCOPED_TRACE(body.schema);
    const json::object& asked = schema(body.schema);
    const std::vector<RouteField> fromRoute = body.fromRoute ? std::vector<RouteField>{*body.fromRoute} : std::vector<RouteField>{};
    const json::object least = sampleObject(asked);
    EXPECT_EQ(codeOf(body.kind, least, fromRoute), std::nullopt) << json::serialize(least);
    for (const auto& [name, ignored] : least) {
      json::object without = least;
      without.erase(name);
      EXPECT_EQ(codeOf(body.kind, without, fromRoute), ErrorCode::invalidValue) << "without " << name;
    }
    for (const auto& [name, one] : asked.at("properties").as_object()) {
      json::object more = least;
      more[name] = sample(one.as_object());
      EXPECT_EQ(codeOf(body.kind, more, fromRoute), std::nullopt) << "with " << json::serialize(more);
      more[name] = nullptr;
      EXPECT_EQ(codeOf(body.kind, more, fromRoute), ErrorCode::invalidValue) << "null is no value of " << name;
    }
    json::object unknown = least;
    unknown["nonsense"] = 1;
    EXPECT_EQ(codeOf(body.kind, unknown, fromRoute), ErrorCode::unknownField);
    EXPECT_EQ(asked.at("additionalProperties"), false);
  }
}

TEST_F(OpenApi, FactsHaveTheFieldsOfTheirKind) {
  const json::object& asked = schema("Fact");
  const json::array& kinds = property(asked, "kind").at("enum").as_array();
  const json::object& fieldsOf = asked.at("x-kinds").as_object();
  EXPECT_GT(kinds.size(), 25U);
  EXPECT_EQ(kinds.size(), fieldsOf.size());
  for (const json::value& kind : kinds) {
    SCOPED_TRACE(kind.as_string());
    const json::object& own = fieldsOf.at(kind.as_string()).as_object();
    const auto sampleOf = [&](const json::value& name) {
      const json::value* narrower = own.at("properties").as_object().if_contains(name.as_string());
      return sample(narrower != nullptr ? narrower->as_object() : property(asked, name.as_string()));
    };
    json::object least{{"kind", kind}};
    for (const json::value& name : own.at("required").as_array()) least[name.as_string()] = sampleOf(name);
    EXPECT_EQ(codeOfFact(least), std::nullopt) << json::serialize(least);
    for (const json::value& name : own.at("required").as_array()) {
      json::object without = least;
      without.erase(name.as_string());
      EXPECT_EQ(codeOfFact(without), ErrorCode::invalidValue) << "without " << name;
    }
    for (const json::value& name : own.at("fields").as_array()) {
      json::object more = least;
      more[name.as_string()] = sampleOf(name);
      EXPECT_EQ(codeOfFact(more), std::nullopt) << json::serialize(more);
    }
  }
}

}  // namespace
}  // namespace counterfoil::server

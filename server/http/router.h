// The routes of an API: patterns, what each needs and answers, and the handler. The OpenAPI document is made from the same table.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "server/auth/roles.h"
#include "server/http/exchange.h"

namespace counterfoil::server {

struct Caller;

// What a handler gets beside the connection.
struct Call {
  Exchange& exchange;
  const Caller& caller;  // of Action::open routes: nobody
  // The pattern's {names} with the request's texts; `workspace` among them is checked against the caller before the handler runs.
  std::vector<Parameter> variables;
  std::string_view variable(std::string_view name) const;
};

using Handler = std::function<asio::awaitable<Response>(Call&)>;

// What a route takes and gives, for the document. `body`: a schema's name ("LeaseRequest"), empty for none.
struct RouteDocs {
  std::string summary;
  std::string body;
  std::string mediaType = "application/json";
  std::string answer;                   // a schema's name
  std::vector<int> statuses = {200};    // beside the errors every route can give
  std::vector<std::string> parameters;  // names of query parameters (server/openapi.cc knows them)
  std::string answerType = "application/json";
  bool published = true;  // in the document; false: between nodes
};

struct Route {
  std::string method;
  std::string pattern;  // "/v1/workspaces/{workspace}/leases/{lease}/consume"
  Action action = Action::open;
  Handler handler;
  RouteDocs docs;
};

class Router {
 public:
  void add(Route route);
  struct Match {
    const Route* route = nullptr;  // null: see `allowed`
    std::vector<Parameter> variables;
    std::string allowed;  // "GET, POST": the path is known, the method is not; empty: no such route
  };
  // HEAD matches GET.
  Match match(std::string_view method, const std::vector<std::string>& segments) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

}  // namespace counterfoil::server

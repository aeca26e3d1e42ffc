#include "server/routes/open_routes.h"

#include <memory>

#include "server/openapi.h"
#include "server/problem.h"

namespace counterfoil::server {

void addOpenRoutes(Router& router, Service& service) {
  RouteDocs docs;
  docs.summary = "This document";
  docs.answer = "Item";
  // Made at the first request: by then every route is in the table.
  auto document = std::make_shared<std::string>();
  auto once = std::make_shared<std::once_flag>();
  router.add({"GET", "/openapi.json", Action::open,
              [&router, &service, document, once](Call&) -> asio::awaitable<Response> {
                std::call_once(*once, [&] { *document = openApi(router, service.version); });
                co_return json(200, *document);
              },
              std::move(docs)});
}

}  // namespace counterfoil::server

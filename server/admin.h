// The admin listener: /healthz (the process runs), /readyz (the ledger takes requests), /metrics. No token; it belongs on a local address.
#pragma once

#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

class Admin {
 public:
  explicit Admin(Service& service);
  asio::awaitable<Response> dispatch(Exchange& exchange);

 private:
  Service& service_;
  Router router_;
};

}  // namespace counterfoil::server

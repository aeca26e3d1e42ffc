// The admin listener: /healthz (the process runs), /readyz (the ledger takes requests), /metrics. No token; it belongs on a local address.
#pragma once

#include <atomic>
#include <string_view>

#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

// {"status": state} and, with a fault, its code and detail.
Response healthAnswer(int status, std::string_view state, const Fault* fault);

class Admin {
 public:
  // `stopping` becomes true when the end begins: from then on /readyz says so. Both outlive this.
  Admin(Service& service, const std::atomic<bool>& stopping);
  asio::awaitable<Response> dispatch(Exchange& exchange);

 private:
  Service& service_;
  const std::atomic<bool>& stopping_;
  Router router_;
};

}  // namespace counterfoil::server

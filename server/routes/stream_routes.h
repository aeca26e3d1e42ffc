// History as it grows: server-sent events (HTML Living Standard, 9.2).
#pragma once

#include <cstdint>
#include <memory>

#include "server/http/router.h"
#include "server/service.h"
#include "server/stream_cache.h"

namespace counterfoil::server {

struct StreamOptions {
  std::int64_t heartbeatMilliseconds = 15'000;  // between signs of life
  std::int64_t checkMilliseconds = 4'000;       // between looks at the token and the server: a revoked token ends within 5 s
  std::int64_t sendMilliseconds = 10'000;       // a listener that does not take a chunk in this time is evicted
  std::size_t chunkBytes = 64 * 1024;           // sent at once, one entry at least
};

// `service` outlives the routes. `cache` null: one of their own.
void addStreamRoutes(Router& router, Service& service, const StreamOptions& options = {}, std::shared_ptr<StreamCache> cache = nullptr);

}  // namespace counterfoil::server

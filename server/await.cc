#include "server/await.h"

#include <boost/asio/co_spawn.hpp>

namespace counterfoil::server {

asio::awaitable<void> runOnPool(asio::thread_pool& pool, std::function<void()> work) {
  const auto run = [](std::function<void()> inner) -> asio::awaitable<void> {
    inner();
    co_return;
  };
  co_await asio::co_spawn(pool, run(std::move(work)), asio::use_awaitable);
}

}  // namespace counterfoil::server

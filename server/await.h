// Waiting in coroutines for what happens on other threads: answers of the ledger, blocking work.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "ledger/core/outcome.h"
#include "ledger/write/answer.h"

namespace counterfoil::server {

namespace asio = boost::asio;

// Calls `submit` with a Completion and gives its answer on the coroutine's executor; throws its Fault. The completion may come from any
// thread, also before `submit` returns.
template <class Submit>
asio::awaitable<write::Answer> recorded(Submit submit) {
  struct Outcome {
    std::optional<write::Answer> answer;
    std::optional<Fault> fault;
  };
  Outcome outcome;  // outlives the completion: this waits for it
  const auto executor = co_await asio::this_coro::executor;
  // A named lambda: g++ 12 destroys a temporary closure of a co_await expression twice.
  const auto initiate = [&submit, &outcome, &executor](auto handler) {
    // One block for what goes with the completion. Shared, because a std::function must be able to be copied.
    struct Waiting {
      Outcome& outcome;
      asio::any_io_executor executor;
      decltype(handler) resume;
    };
    auto waiting = std::make_shared<Waiting>(Waiting{outcome, executor, std::move(handler)});
    submit([waiting](const write::Answer* answer, const Fault* fault) {
      if (answer != nullptr) {
        waiting->outcome.answer = *answer;
      } else {
        waiting->outcome.fault = *fault;
      }
      auto resume = [handler = std::move(waiting->resume)]() mutable { handler(); };
      // Past the type-erased executor, which would wrap the handler in a block of its own.
      const auto* const loop = waiting->executor.template target<asio::io_context::executor_type>();
      if (loop != nullptr) {
        asio::post(*loop, std::move(resume));
      } else {
        asio::post(waiting->executor, std::move(resume));
      }
    });
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(initiate, asio::use_awaitable);
  if (outcome.fault) throw Fault(*outcome.fault);
  co_return std::move(*outcome.answer);
}

// Runs `work` on `pool` and goes on, on the coroutine's executor, when it is done; throws what it throws.
asio::awaitable<void> runOnPool(asio::thread_pool& pool, std::function<void()> work);

// Runs `work` on `pool` and gives what it returns, or throws what it throws, on the coroutine's executor. For SQLite and files: the
// threads that serve connections never block. What is awaited is the same for all that is run so, and compiled once.
template <class Work>
asio::awaitable<std::invoke_result_t<Work&>> onPool(asio::thread_pool& pool, Work work) {
  using Result = std::invoke_result_t<Work&>;
  if constexpr (std::is_void_v<Result>) {
    std::function<void()> run = std::move(work);
    co_await runOnPool(pool, std::move(run));
  } else {
    // Shared with what runs: it may still run when this coroutine is gone.
    auto result = std::make_shared<std::optional<Result>>();
    std::function<void()> run = [result, work = std::move(work)]() mutable { result->emplace(work()); };
    co_await runOnPool(pool, std::move(run));
    co_return std::move(**result);
  }
}

}  // namespace counterfoil::server

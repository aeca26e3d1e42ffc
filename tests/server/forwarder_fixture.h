// A node that passes everything on to a node that writes, played, and counts how it went.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "server/forwarder.h"
#include "server/metrics.h"
#include "server/problem.h"
#include "tests/server/played_writer.h"
#include "tests/support/manual_clock.h"
#include "tests/support/raw_client.h"

namespace counterfoil::server {

using test::RawClient;

class ForwarderTest : public testing::Test {
 protected:
  ForwarderTest() {
    options_.nodeName = "node-b";
    options_.limits.answer = milliseconds(20'000);
    options_.look = milliseconds(50);
    options_.sendToListener = milliseconds(1'000);
  }
  void TearDown() override {
    if (writer_) writer_->released = true;
    node_.reset();
    writer_.reset();
  }

  // A node that passes everything on, as the API does for a node that does not write.
  void startNode() {
    node_ = std::make_unique<Site>([this](Exchange& exchange) { return dispatch(exchange); });
    node_->context.newRequestId = [this] { return "own-" + std::to_string(++requests_); };
    node_->context.headers.emplace_back("X-Counterfoil-Node", "node-b");
    node_->context.limits.bodyPiece = milliseconds(2'000);
    forwarder_ = std::make_unique<Forwarder>(
        node_->loops, [this](PartitionId) { return roleNow(); }, options_, metrics_, clock_);
    node_->beforeEnd = [this] { forwarder_->stop(); };
    node_->listener->start();
  }
  void start() {
    writer_ = std::make_unique<Writer>("node-a");
    setOwner(writer_->site.url());
    startNode();
  }

  NodeRole roleNow() {
    const std::lock_guard lock(mutex_);
    return role_;
  }
  void setOwner(const std::string& url) {
    const std::lock_guard lock(mutex_);
    role_ = {false, url, "node-a"};
  }

  asio::awaitable<Response> dispatch(Exchange& exchange) {
    std::optional<Fault> fault;
    try {
      NodeRole role = roleNow();
      const std::string last = exchange.head().segments.back();
      const bool isStream = last == "events" || last == "flood";
      co_return co_await forwarder_->forward(exchange, std::move(role), isStream);
    } catch (const Fault& refused) {
      fault = refused;
    }
    co_return problem(*fault, exchange.head().requestId);
  }

  RawClient client() const { return RawClient(node_->listener->address()); }
  std::string talk(std::string_view text) const {
    RawClient one(node_->listener->address());
    one.send(text);
    return one.read();
  }
  std::string get(std::string_view path) const {
    return talk("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }
  std::string post(std::string_view path, std::string_view body, std::string_view headers = {}) const {
    return talk("POST " + std::string(path) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + std::string(headers) +
                "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body));
  }
  template <class Condition>
  static bool until(Condition condition, int most = 10'000) {
    const auto deadline = std::chrono::steady_clock::now() + milliseconds(most);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }
  double counted(const std::string& outcome) {
    const std::string text = metrics_.scrape();
    const std::string name = "counterfoil_forwarded_requests_total{outcome=\"" + outcome + "\"} ";
    const std::size_t at = text.find(name);
    return at == std::string::npos ? 0 : std::stod(text.substr(at + name.size()));
  }

  ForwardOptions options_;
  Metrics metrics_;
  test::ManualClock clock_;
  std::mutex mutex_;
  NodeRole role_;
  std::atomic<int> requests_{0};
  std::unique_ptr<Writer> writer_;
  std::unique_ptr<Forwarder> forwarder_;
  std::unique_ptr<Site> node_;  // its end comes before the forwarder's
};

}  // namespace counterfoil::server

// The client library as verbs use it: the same, with faults for its errors.
#pragma once

#include "clients/cpp/error.h"
#include "clients/cpp/http_client.h"
#include "clients/cpp/url.h"
#include "ledger/core/outcome.h"

namespace counterfoil::cmd {

using client::HttpAnswer;
using client::HttpOptions;
using client::HttpRequest;
using client::percentEncoded;
using client::WipingString;

// With the exit status of its code, and hints that name flags.
Fault faultOf(const client::Error& error);

// Calls `work` and gives what it gives; what the library throws becomes a Fault.
template <class Work>
auto withFaults(const Work& work) {
  try {
    return work();
  } catch (const client::Error& error) {
    throw faultOf(error);
  }
}

// As client::HttpClient, with Fault for its errors.
class HttpClient final : public client::Requests {
 public:
  explicit HttpClient(HttpOptions options);
  void setToken(std::string_view token);
  bool refreshToken();
  HttpAnswer send(const HttpRequest& request) override;
  using client::Requests::stream;
  void stream(const HttpRequest& request, const std::function<bool(std::string_view)>& chunk, const std::stop_token& stop) override;

 private:
  std::unique_ptr<client::HttpClient> client_;
};

}  // namespace counterfoil::cmd

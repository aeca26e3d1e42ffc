#include "cmd/http_client.h"

namespace counterfoil::cmd {

Fault faultOf(const client::Error& error) {
  if (error.code() == client::kUntrustedServer) {
    return Fault(ErrorCode::notAllowed, error.detail(),
                 "name its authority with --ca FILE or COUNTERFOIL_CA, and the server by the name in its certificate", "--ca");
  }
  if (error.code() == client::kForeignAnswer) {
    return Fault(error.status() >= 400 ? ErrorCode::invalidValue : ErrorCode::notReady, error.detail(), error.hint());
  }
  // Of a server that is newer than this program.
  const ErrorCode unknown = error.status() >= 500 ? ErrorCode::internal : ErrorCode::invalidValue;
  std::string field = error.field();
  if (error.status() == 0 && field == "url") field = "--url";
  if (error.status() == 0 && field == "authorities") field = "--ca";
  if (error.status() == 0 && (field == "token" || field == "tokenFile")) field.clear();
  return Fault(errorCodeOf(error.code()).value_or(unknown), error.detail(), error.hint(), field);
}

HttpClient::HttpClient(HttpOptions options)
    : client_(withFaults([&] { return std::make_unique<client::HttpClient>(std::move(options)); })) {}

void HttpClient::setToken(std::string_view token) {
  withFaults([&] { client_->setToken(token); });
}

bool HttpClient::refreshToken() {
  return withFaults([&] { return client_->refreshToken(); });
}

HttpAnswer HttpClient::send(const HttpRequest& request) {
  return withFaults([&] { return client_->send(request); });
}

void HttpClient::stream(const HttpRequest& request, const std::function<bool(std::string_view)>& chunk, const std::stop_token& stop) {
  withFaults([&] { client_->stream(request, chunk, stop); });
}

}  // namespace counterfoil::cmd

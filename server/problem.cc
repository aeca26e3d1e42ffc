#include "server/problem.h"

#include "ledger/write/answer_json.h"

namespace counterfoil::server {

Response problem(const Fault& fault, std::string_view requestId) {
  Response response;
  response.status = factsOf(fault.code()).httpStatus;
  response.contentType = "application/problem+json";
  response.body = write::problemJson(fault, requestId);
  switch (response.status) {
    case 401:
      response.headers.emplace_back("WWW-Authenticate", fault.code() == ErrorCode::noToken ? "Bearer" : "Bearer error=\"invalid_token\"");
      break;
    case 429:
    case 503:
      response.headers.emplace_back("Retry-After", std::to_string(fault.askAgainSeconds()));
      break;
    default:
      break;
  }
  return response;
}

Response json(int status, std::string body) {
  Response response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

}  // namespace counterfoil::server

// HTTP as verbs need it: one request at a time to one server, blocking.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cmd/wiping_string.h"

namespace counterfoil::cmd {

struct HttpOptions {
  std::string url;          // of the server, "https://ledger.example.com:8780"
  std::string authorities;  // PEM file of those that may vouch for its certificate; empty: the system's
  // "sha256//<base64>" of the server's public key: this key and no other, whatever name the URL has. Empty: its certificate's name counts.
  std::string pinnedKey;
};

struct HttpRequest {
  std::string method = "GET";
  std::string target;       // path and query, percent-encoded, beginning with '/'
  std::string contentType;  // of the body; empty: there is none
  std::string_view body;    // must live until the answer is there
  std::string accept = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  // Asking twice is asking once: it is sent again when the server says so (Retry-After), or when the connection is lost before the answer.
  bool repeatable = true;
};

struct HttpAnswer {
  int status = 0;
  std::string contentType;  // "application/json", without parameters
  std::string body;
};

// Owned by one thread. Keeps its connection between requests. TLS 1.3 only; no redirects; no cookies; plain HTTP to this machine only.
// Everything the HTTP library held (headers with the token, bodies) is wiped as it is freed.
class HttpClient {
 public:
  // Connects to nothing yet. Throws Fault(usage): the URL is none of a server, holds a password, or would send the token in clear.
  explicit HttpClient(HttpOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Sent as bearer token from now on; empty: none.
  void setToken(std::string_view token);

  // Blocks, at most two minutes for each try. An answer with a status below 400, or any status with plain JSON: denied is an answer.
  // Throws Fault: what the server's problem details say, with its code; notReady if nobody answers there; indeterminate if the connection
  // was lost while it was asked to change something; notAllowed if its certificate is not to be trusted; tooLarge for an answer past
  // 64 MiB.
  HttpAnswer send(const HttpRequest& request);

  // Hands on the body as it arrives, until the server ends it or `chunk` returns false. Is never repeated. Throws as send(), and notReady
  // when the connection is lost or nothing has come for 45 s.
  void stream(const HttpRequest& request, const std::function<bool(std::string_view)>& chunk);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One segment of a path, or a value of a query.
std::string percentEncoded(std::string_view text);

}  // namespace counterfoil::cmd

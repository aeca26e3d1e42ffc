// HTTP as the ledger's programs need it: one request at a time to one server, blocking.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clients/cpp/retry.h"
#include "clients/cpp/surroundings.h"
#include "clients/cpp/wiping_string.h"

namespace counterfoil::client {

struct HttpOptions {
  std::string url;          // of the server, "https://ledger.example.com:8780"
  std::string authorities;  // PEM file of those that may vouch for its certificate; empty: the system's
  // "sha256//<base64>" of the server's public key: this key and no other, whatever name the URL has. Empty: its certificate's name counts.
  std::string pinnedKey;
  // Gives the bearer token; asked once, and again when the server says that it has expired. What it throws goes to the caller. Nothing:
  // none.
  std::function<Secret()> token{};
  RetryLimits limits{};
  Surroundings surroundings = Surroundings::real();
};

struct HttpRequest {
  std::string method = "GET";
  std::string target;       // path and query, percent-encoded, beginning with '/'
  std::string contentType;  // of the body; empty: there is none
  std::string_view body;    // must live until the answer is there
  std::string accept = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  // Asking twice is asking once: it is sent again when the server says so (429 and 503), or when the connection is lost before the answer.
  bool repeatable = true;
};

struct HttpAnswer {
  int status = 0;
  std::string contentType;  // "application/json", without parameters
  std::string requestId;    // what the server's log calls the request
  std::optional<std::chrono::milliseconds> retryAfter;
  std::string body;
};

// What sends requests: an HttpClient, or what stands before one.
class Requests {
 public:
  virtual ~Requests() = default;
  // Blocks, at most until the deadline. Gives an answer with a status below 300, and any other with plain JSON: denied is an answer. Throws
  // Error: what the server's problem details say; not_ready if nobody answers; indeterminate if the connection was lost while it was asked
  // to change something; untrusted_server, unreadable_input for its certificate; foreign_answer for a redirect; too_large past 64 MiB.
  virtual HttpAnswer send(const HttpRequest& request) = 0;
  // Hands on the body as it arrives, until the server ends it, `chunk` returns false, or `stop` says so (seen within about a second). Is
  // never repeated and has no deadline. Throws as send(), what `chunk` throws, and not_ready when the connection is lost or nothing has
  // come for 45 s.
  virtual void stream(const HttpRequest& request, const std::function<bool(std::string_view)>& chunk, const std::stop_token& stop) = 0;
  void stream(const HttpRequest& request, const std::function<bool(std::string_view)>& chunk) { stream(request, chunk, {}); }
};

// Owned by one thread. Keeps its connection between requests. TLS 1.3 only; no redirects; no cookies; plain HTTP to this machine only.
// Everything the HTTP library held (headers with the token, bodies) is wiped as it is freed: the first client sets the memory functions
// of libcurl for the whole process, so make one before any other use of libcurl.
class HttpClient final : public Requests {
 public:
  // Connects to nothing yet. Throws Error(usage): see checkedUrl().
  explicit HttpClient(HttpOptions options);
  ~HttpClient() override;
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Sent as bearer token from now on, until the source gives another one; empty: none. Throws Error(bad_token).
  void setToken(std::string_view token);
  // Asks the source for the token now; false if it is the one that was in use. Throws Error(bad_token) if what it is given is none.
  bool refreshToken();

  HttpAnswer send(const HttpRequest& request) override;
  using Requests::stream;
  void stream(const HttpRequest& request, const std::function<bool(std::string_view)>& chunk, const std::stop_token& stop) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The bearer token (RFC 6750) in `text`, without white space behind it. Throws Error(bad_token) if it is none: it could end its header
// line.
std::string_view tokenIn(std::string_view text);

// A source for HttpOptions that reads a file each time. It throws Error(unreadable_input), without the path.
std::function<Secret()> tokenFile(std::string path);

}  // namespace counterfoil::client

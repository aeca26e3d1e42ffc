#include "cmd/http_client.h"

#include <curl/curl.h>
#include <malloc.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>

#include "ledger/core/outcome.h"

namespace counterfoil::cmd {
namespace {

constexpr std::size_t kAnswerBytesMax = 64 * 1024 * 1024;
constexpr std::size_t kProblemBytesMax = 64 * 1024;
constexpr long kConnectSeconds = 10;
constexpr long kAnswerSeconds = 120;
constexpr long kSilenceSeconds = 45;  // three heartbeats of a stream
constexpr int kTries = 4;
constexpr std::int64_t kLongestPauseSeconds = 5;

// ---- memory: tokens and secrets pass through the library's buffers ----

void wipingFree(void* block) {
  if (block == nullptr) return;
  crypto::wipe(block, ::malloc_usable_size(block));
  std::free(block);
}

void* wipingRealloc(void* block, std::size_t bytes) {
  void* fresh = std::malloc(bytes);
  if (fresh == nullptr) return nullptr;
  if (block != nullptr) std::memcpy(fresh, block, std::min(bytes, ::malloc_usable_size(block)));
  wipingFree(block);
  return fresh;
}

void startLibrary() {
  static const CURLcode started = curl_global_init_mem(CURL_GLOBAL_DEFAULT, std::malloc, wipingFree, wipingRealloc, ::strdup, std::calloc);
  if (started != CURLE_OK) throw Fault(ErrorCode::internal, "the HTTP library cannot be used");
}

// ---- URLs ----

struct UrlPart {
  explicit UrlPart(CURLU* url, CURLUPart part) {
    char* text = nullptr;
    if (curl_url_get(url, part, &text, 0) == CURLUE_OK) value = text;
    curl_free(text);
  }
  std::optional<std::string> value;
};

bool isThisMachine(const std::string& host) {
  return host == "localhost" || host == "[::1]" || (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

// The URL without a slash behind it.
std::string checkedUrl(const std::string& text) {
  const char* hint = "such as https://ledger.example.com:8780, or http://127.0.0.1:8780 for this machine";
  const std::unique_ptr<CURLU, void (*)(CURLU*)> url(curl_url(), curl_url_cleanup);
  if (!url || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) {
    throw Fault(ErrorCode::usage, "the server's URL is none", hint, "--url");
  }
  const auto has = [&](CURLUPart part) { return UrlPart(url.get(), part).value.has_value(); };
  if (has(CURLUPART_USER) || has(CURLUPART_PASSWORD) || has(CURLUPART_QUERY) || has(CURLUPART_FRAGMENT)) {
    throw Fault(ErrorCode::usage, "the server's URL has more than scheme, host, port and path", hint, "--url");
  }
  const std::string scheme = UrlPart(url.get(), CURLUPART_SCHEME).value.value_or("");
  const std::string host = UrlPart(url.get(), CURLUPART_HOST).value.value_or("");
  if (scheme != "https" && scheme != "http") throw Fault(ErrorCode::usage, "the server's URL must begin with https or http", hint, "--url");
  if (scheme == "http" && !isThisMachine(host)) {
    throw Fault(ErrorCode::usage, "over plain http to another machine everybody on the way could read the token", hint, "--url");
  }
  std::string result = text;
  while (result.ends_with('/')) result.pop_back();
  return result;
}

// ---- answers ----

ErrorCode codeOf(std::string_view text, long status) {
#define COUNTERFOIL_CODE_OF_TEXT(name, codeText, http, exitStatus) \
  if (text == (codeText)) return ErrorCode::name;
  COUNTERFOIL_ERROR_CODES(COUNTERFOIL_CODE_OF_TEXT)
#undef COUNTERFOIL_CODE_OF_TEXT
  if (status == 401) return ErrorCode::badToken;
  if (status == 403) return ErrorCode::notAllowed;
  if (status == 429 || status == 502 || status == 503 || status == 504) return ErrorCode::notReady;
  return status >= 500 ? ErrorCode::internal : ErrorCode::invalidValue;
}

Fault faultOf(const HttpAnswer& answer) {
  boost::json::error_code failed;
  const boost::json::value json = boost::json::parse(answer.body, failed);
  const auto text = [&](std::string_view name) -> std::string {
    const boost::json::value* value = json.get_object().if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
  };
  if (failed || !json.is_object() || text("code").empty()) {
    return Fault(codeOf({}, answer.status), "the server answers with status " + std::to_string(answer.status) + " and says no more",
                 "is it a Counterfoil server that answers at this URL?");
  }
  return Fault(codeOf(text("code"), answer.status), text("detail"), text("hint"), text("field"));
}

Fault lostFault(const HttpRequest& request) {
  if (request.method == "GET") return Fault(ErrorCode::notReady, "the connection to the server was lost", "try again, or look at its log");
  return Fault(ErrorCode::indeterminate, "the connection to the server was lost before it answered: what was asked may be recorded or not",
               "ask again with the same id: a repeat gets the first answer");
}

bool isRetryable(ErrorCode code) {
  return code == ErrorCode::intakeFull || code == ErrorCode::indeterminate || code == ErrorCode::rateLimited;
}

// What one transfer gathers; the library calls back into it.
struct Transfer {
  HttpAnswer answer;
  CURL* handle = nullptr;
  std::int64_t retryAfter = 1;
  bool tooLarge = false;
  bool stopped = false;
  const std::function<bool(std::string_view)>* chunk = nullptr;  // of a stream
  std::exception_ptr thrown;                                     // by `chunk`: must not pass through the library

  bool take(std::string_view bytes) {
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    if (chunk != nullptr && status < 300) {
      try {
        stopped = !(*chunk)(bytes);
      } catch (...) {
        thrown = std::current_exception();
        stopped = true;
      }
      return !stopped;
    }
    tooLarge = answer.body.size() + bytes.size() > (chunk != nullptr ? kProblemBytesMax : kAnswerBytesMax);
    if (!tooLarge) answer.body += bytes;
    return !tooLarge;
  }
};

std::size_t takeBytes(char* data, std::size_t size, std::size_t count, void* transfer) {
  return static_cast<Transfer*>(transfer)->take({data, size * count}) ? size * count : 0;
}

std::size_t takeHeader(char* data, std::size_t size, std::size_t count, void* transfer) {
  const std::string_view line(data, size * count);
  constexpr std::string_view kName = "retry-after:";
  const auto same = [](char left, char right) { return left == (right >= 'A' && right <= 'Z' ? right - 'A' + 'a' : right); };
  if (line.size() > kName.size() && std::equal(kName.begin(), kName.end(), line.begin(), same)) {
    const std::size_t digit = line.find_first_not_of(' ', kName.size());
    std::int64_t seconds = 1;
    if (digit != std::string_view::npos) std::from_chars(line.data() + digit, line.data() + line.size(), seconds);
    static_cast<Transfer*>(transfer)->retryAfter = std::clamp<std::int64_t>(seconds, 0, kLongestPauseSeconds);
  }
  return line.size();
}

using Headers = std::unique_ptr<curl_slist, void (*)(curl_slist*)>;

void addHeader(Headers& headers, const char* line) {
  curl_slist* longer = curl_slist_append(headers.get(), line);
  if (longer == nullptr) throw std::bad_alloc();
  static_cast<void>(headers.release());
  headers.reset(longer);
}

// Nobody there, or nobody to be trusted, or gone on the way.
enum class Trouble { none, unreachable, untrusted, lost, authorities };

Trouble troubleOf(CURLcode code, CURL* handle) {
  switch (code) {
    case CURLE_OK:
      return Trouble::none;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_SSL_CONNECT_ERROR:
      return Trouble::unreachable;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_ISSUER_ERROR:
      return Trouble::untrusted;
    case CURLE_SSL_CACERT_BADFILE:
      return Trouble::authorities;
    default: {
      curl_off_t connected = 0;
      curl_easy_getinfo(handle, CURLINFO_PRETRANSFER_TIME_T, &connected);
      return connected == 0 ? Trouble::unreachable : Trouble::lost;
    }
  }
}

void throwTrouble(Trouble trouble) {
  if (trouble == Trouble::unreachable) {
    throw Fault(ErrorCode::notReady, "no server answers at this URL",
                "is it running, and is the URL right? `counterfoil serve` starts one");
  }
  if (trouble == Trouble::untrusted) {
    throw Fault(ErrorCode::notAllowed, "the server's certificate is not to be trusted: nothing was sent",
                "name its authority with --ca FILE or COUNTERFOIL_CA, and the server by the name in its certificate");
  }
  if (trouble == Trouble::authorities) {
    throw Fault(ErrorCode::unreadableInput, "the file of certificate authorities cannot be read", "it holds PEM certificates", "--ca");
  }
}

}  // namespace

struct HttpClient::State {
  explicit State(HttpOptions wanted) : options(std::move(wanted)) {
    startLibrary();
    options.url = checkedUrl(options.url);
    handle.reset(curl_easy_init());
    if (!handle) throw std::bad_alloc();
  }

  Headers headersOf(const HttpRequest& request) const {
    Headers headers(nullptr, curl_slist_free_all);
    addHeader(headers, ("Accept: " + request.accept).c_str());
    addHeader(headers, "Expect:");
    if (!request.contentType.empty()) addHeader(headers, ("Content-Type: " + request.contentType).c_str());
    for (const auto& [name, value] : request.headers) addHeader(headers, (name + ": " + value).c_str());
    if (!authorization.empty()) addHeader(headers, authorization.c_str());
    return headers;
  }

  void prepare(const HttpRequest& request, const curl_slist* headers, Transfer& transfer) {
    CURL* curl = handle.get();
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_URL, (options.url + request.target).c_str());
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_3));
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "counterfoil");
    // What is said to this machine goes through no proxy.
    curl_easy_setopt(curl, CURLOPT_NOPROXY, options.url.starts_with("http:") ? "*" : nullptr);
    if (!options.authorities.empty()) {
      curl_easy_setopt(curl, CURLOPT_CAINFO, options.authorities.c_str());
      curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
    }
    if (!options.pinnedKey.empty()) {
      curl_easy_setopt(curl, CURLOPT_PINNEDPUBLICKEY, options.pinnedKey.c_str());
      curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    if (transfer.chunk == nullptr) {
      curl_easy_setopt(curl, CURLOPT_TIMEOUT, kAnswerSeconds);
    } else {
      curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
      curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, kSilenceSeconds);
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (!request.contentType.empty() || request.method == "POST") {
      curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.empty() ? "" : request.body.data());
      curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    transfer.handle = curl;
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, takeBytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, takeHeader);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  }

  Trouble perform(const HttpRequest& request, Transfer& transfer) {
    const Headers headers = headersOf(request);
    prepare(request, headers.get(), transfer);
    const CURLcode code = curl_easy_perform(handle.get());
    if (transfer.thrown) std::rethrow_exception(transfer.thrown);
    if (transfer.tooLarge) throw Fault(ErrorCode::tooLarge, "the server's answer is larger than a verb takes", "ask for less at once");
    long status = 0;
    curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
    transfer.answer.status = static_cast<int>(status);
    const char* type = nullptr;
    curl_easy_getinfo(handle.get(), CURLINFO_CONTENT_TYPE, &type);
    const std::string_view whole = type == nullptr ? std::string_view() : std::string_view(type);
    transfer.answer.contentType = whole.substr(0, whole.find_first_of("; "));
    return transfer.stopped ? Trouble::none : troubleOf(code, handle.get());
  }

  HttpOptions options;
  WipingString authorization;  // the header's line
  std::unique_ptr<CURL, void (*)(CURL*)> handle{nullptr, curl_easy_cleanup};
};

HttpClient::HttpClient(HttpOptions options) : state_(std::make_unique<State>(std::move(options))) {}
HttpClient::~HttpClient() = default;

void HttpClient::setToken(std::string_view token) {
  state_->authorization.clear();
  if (token.empty()) return;
  state_->authorization.reserve(64 + token.size());
  state_->authorization.append("Authorization: Bearer ").append(token);
}

HttpAnswer HttpClient::send(const HttpRequest& request) {
  bool lost = false;  // once: what happened to that try is not known
  for (int left = request.repeatable ? kTries : 1;; --left) {
    Transfer transfer;
    const Trouble trouble = state_->perform(request, transfer);
    lost = lost || trouble == Trouble::lost;
    if (trouble == Trouble::lost && left > 1) continue;
    if (trouble != Trouble::none && lost) throw lostFault(request);
    throwTrouble(trouble);
    HttpAnswer& answer = transfer.answer;
    if (answer.status < 400 || answer.contentType == "application/json") {
      if (answer.status < 300 || answer.status >= 400) return std::move(answer);
      throw Fault(ErrorCode::notReady, "the server sends elsewhere, and verbs do not follow", "name the server itself with --url");
    }
    const Fault fault = faultOf(answer);
    if (!isRetryable(fault.code()) || left <= 1) throw Fault(fault);
    std::this_thread::sleep_for(std::chrono::seconds(transfer.retryAfter));
  }
}

void HttpClient::stream(const HttpRequest& request, const std::function<bool(std::string_view)>& chunk) {
  Transfer transfer;
  transfer.chunk = &chunk;
  const Trouble trouble = state_->perform(request, transfer);
  if (trouble == Trouble::lost) throw lostFault(request);
  throwTrouble(trouble);
  if (transfer.answer.status >= 300) throw faultOf(transfer.answer);
}

std::string percentEncoded(std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  // "." and ".." as they are would mean the folder and the one above.
  const bool dots = text == "." || text == "..";
  std::string result;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '~' ||
                       (c == '.' && !dots);
    if (plain) {
      result += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      result += '%';
      result += kDigits[byte >> 4];
      result += kDigits[byte & 15];
    }
  }
  return result;
}

}  // namespace counterfoil::cmd

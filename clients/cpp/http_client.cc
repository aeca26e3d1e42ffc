#include "clients/cpp/http_client.h"

#include <curl/curl.h>
#include <malloc.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "clients/cpp/error.h"
#include "clients/cpp/url.h"

namespace counterfoil::client {
namespace {

constexpr std::size_t kAnswerBytesMax = 64 * 1024 * 1024;
constexpr std::size_t kProblemBytesMax = 64 * 1024;
constexpr long kConnectMilliseconds = 10'000;
constexpr long kSilenceSeconds = 45;  // three heartbeats of a stream
constexpr std::int64_t kRetryAfterSecondsMax = 24 * 60 * 60;

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
  if (started != CURLE_OK) throw Error(kUsage, "the HTTP library cannot be used", "is libcurl installed as a whole?");
}

// ---- answers ----

// What one transfer gathers; the library calls back into it.
struct Transfer {
  HttpAnswer answer;
  CURL* handle = nullptr;
  bool tooLarge = false;
  bool stopped = false;
  const std::function<bool(std::string_view)>* chunk = nullptr;  // of a stream
  const std::stop_token* stop = nullptr;
  std::exception_ptr thrown;  // by `chunk`: must not pass through the library

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

  void header(std::string_view line) {
    if (const auto text = valueOf(line, "retry-after:")) {
      std::int64_t seconds = 0;
      const auto parsed = std::from_chars(text->data(), text->data() + text->size(), seconds);
      // A date is not what the server sends.
      if (parsed.ec == std::errc() && parsed.ptr == text->data() + text->size()) {
        answer.retryAfter = std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, kRetryAfterSecondsMax));
      }
    }
    if (const auto text = valueOf(line, "x-request-id:")) answer.requestId = *text;
  }

 private:
  static std::optional<std::string_view> valueOf(std::string_view line, std::string_view name) {
    const auto same = [](char left, char right) { return left == (right >= 'A' && right <= 'Z' ? right - 'A' + 'a' : right); };
    if (line.size() < name.size() || !std::equal(name.begin(), name.end(), line.begin(), same)) return std::nullopt;
    line.remove_prefix(name.size());
    const std::size_t first = std::min(line.find_first_not_of(" \t"), line.size());
    line.remove_prefix(first);
    while (!line.empty() && (line.back() == '\r' || line.back() == '\n' || line.back() == ' ')) line.remove_suffix(1);
    return line;
  }
};

std::size_t takeBytes(char* data, std::size_t size, std::size_t count, void* transfer) {
  return static_cast<Transfer*>(transfer)->take({data, size * count}) ? size * count : 0;
}

std::size_t takeHeader(char* data, std::size_t size, std::size_t count, void* transfer) {
  static_cast<Transfer*>(transfer)->header({data, size * count});
  return size * count;
}

// Called about once a second while nothing happens.
int askForStop(void* transfer, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto* const of = static_cast<Transfer*>(transfer);
  if (!of->stop->stop_requested()) return 0;
  of->stopped = true;
  return 1;
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
    throw Error(kNotReady, "no server answers at this URL", "is it running, and is the URL right? `counterfoil serve` starts one");
  }
  if (trouble == Trouble::untrusted) {
    throw Error(kUntrustedServer, "the server's certificate is not to be trusted: nothing was sent",
                "name the authority that vouches for it, and the server by the name in its certificate");
  }
  if (trouble == Trouble::authorities) {
    throw Error(kUnreadableInput, "the file of certificate authorities cannot be read", "it holds PEM certificates", "authorities");
  }
}

Error lostError(const HttpRequest& request) {
  if (request.method == "GET") return Error(kNotReady, "the connection to the server was lost", "try again, or look at its log");
  return Error(kIndeterminate, "the connection to the server was lost before it answered: what was asked may be recorded or not",
               "ask again with the same id: a repeat gets the first answer");
}

bool mayPass(int status) {
  return status == 429 || status == 503;
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
    for (const auto& [name, value] : request.headers) {
      // A value with the end of a line in it would be another header.
      if ((name + value).find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
        throw Error(kUsage, "a value for the head of a request holds the end of a line", "an id is a UUIDv7");
      }
      addHeader(headers, (name + ": " + value).c_str());
    }
    if (!authorization.empty()) addHeader(headers, authorization.c_str());
    return headers;
  }

  void secure(CURL* curl) const {
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_3));
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
  }

  void prepare(const HttpRequest& request, const curl_slist* headers, std::chrono::milliseconds left, Transfer& transfer) {
    CURL* curl = handle.get();
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_URL, (options.url + request.target).c_str());
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "counterfoil");
    // On a connection that was kept, the library would by itself send again what came to nothing.
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, request.repeatable ? 0L : 1L);
    secure(curl);
    if (transfer.chunk == nullptr) {
      curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, std::min<long>(kConnectMilliseconds, left.count()));
      curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(left.count()));
    } else {
      curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, kConnectMilliseconds);
      curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
      curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, kSilenceSeconds);
      curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, askForStop);
      curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
      curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
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

  Trouble perform(const HttpRequest& request, std::chrono::milliseconds left, Transfer& transfer) {
    const Headers headers = headersOf(request);
    prepare(request, headers.get(), left, transfer);
    const CURLcode code = curl_easy_perform(handle.get());
    if (transfer.thrown) std::rethrow_exception(transfer.thrown);
    if (transfer.tooLarge) throw Error(kTooLarge, "the server's answer is larger than is taken", "ask for less at once");
    long status = 0;
    curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
    transfer.answer.status = static_cast<int>(status);
    const char* type = nullptr;
    curl_easy_getinfo(handle.get(), CURLINFO_CONTENT_TYPE, &type);
    const std::string_view whole = type == nullptr ? std::string_view() : std::string_view(type);
    transfer.answer.contentType = whole.substr(0, whole.find_first_of("; "));
    return transfer.stopped ? Trouble::none : troubleOf(code, handle.get());
  }

  // False if it is the one that is in use.
  bool setToken(std::string_view text) {
    WipingString line;
    if (!text.empty()) {
      const std::string_view token = tokenIn(text);
      line.reserve(64 + token.size());
      line.append("Authorization: Bearer ").append(token);
    }
    const bool changed = line != authorization;
    authorization = std::move(line);
    return changed;
  }

  bool refresh() {
    if (!options.token) return false;
    const Secret given = options.token();
    static_cast<void>(tokenIn(given.text()));  // an empty one is none either
    return setToken(given.text());
  }

  HttpOptions options;
  WipingString authorization;  // the header's line
  std::unique_ptr<CURL, void (*)(CURL*)> handle{nullptr, curl_easy_cleanup};
};

HttpClient::HttpClient(HttpOptions options) : state_(std::make_unique<State>(std::move(options))) {}
HttpClient::~HttpClient() = default;

void HttpClient::setToken(std::string_view token) {
  state_->setToken(token);
}

bool HttpClient::refreshToken() {
  return state_->refresh();
}

HttpAnswer HttpClient::send(const HttpRequest& request) {
  const Surroundings& around = state_->options.surroundings;
  if (state_->authorization.empty()) refreshToken();
  RetryRule rule(state_->options.limits, around.steady());
  bool lost = false;       // once: what happened to that try is not known
  bool unknown = false;    // likewise, or the server itself does not know
  bool refreshed = false;  // once: a source that gives expired tokens is not asked for ever
  for (;;) {
    Transfer transfer;
    const Trouble trouble = state_->perform(request, rule.left(around.steady()), transfer);
    HttpAnswer& answer = transfer.answer;
    lost = lost || trouble == Trouble::lost;
    if (!lost) throwTrouble(trouble);
    std::optional<Error> failure;
    if (trouble != Trouble::none) {
      // Whoever is not there after a try whose end is not known may be starting anew.
      if (trouble == Trouble::untrusted || trouble == Trouble::authorities) throw lostError(request);
      failure.emplace(lostError(request));
    } else if (answer.status < 300 || (answer.status >= 400 && answer.contentType == "application/json")) {
      return std::move(answer);
    } else if (answer.status < 400) {
      throw Error(kForeignAnswer, "the server sends elsewhere, and that is not followed", "name the server itself");
    } else {
      failure.emplace(errorOf(answer.status, answer.body, answer.requestId));
      if (failure->code() == "expired_token" && !std::exchange(refreshed, true) && refreshToken()) continue;
      // A proxy that lost the server knows no more than who lost the connection.
      lost = lost || answer.status == 502 || answer.status == 504;
      const bool settled = answer.status < 500 && answer.status != 401 && answer.status != 403 && answer.status != 408;
      if (!mayPass(answer.status) && lost && !settled) throw lostError(request);
      if (!mayPass(answer.status)) throw Error(*failure);
      unknown = unknown || failure->code() == kIndeterminate;
    }
    unknown = unknown || lost;
    const auto pause = request.repeatable ? rule.pauseBeforeNext(answer.retryAfter, around.steady()) : std::nullopt;
    if (!pause && unknown && failure->code() != kIndeterminate) throw lostError(request);
    if (!pause) throw Error(*failure);
    around.pause(*pause, {});
  }
}

void HttpClient::stream(const HttpRequest& request, const std::function<bool(std::string_view)>& chunk, const std::stop_token& stop) {
  if (state_->authorization.empty()) refreshToken();
  for (bool refreshed = false;;) {
    Transfer transfer;
    transfer.chunk = &chunk;
    transfer.stop = &stop;
    const Trouble trouble = state_->perform(request, {}, transfer);
    if (trouble == Trouble::lost) throw lostError(request);
    throwTrouble(trouble);
    const HttpAnswer& answer = transfer.answer;
    if (transfer.stopped || answer.status < 300) return;
    const Error failure = errorOf(answer.status, answer.body, answer.requestId);
    if (failure.code() != "expired_token" || std::exchange(refreshed, true) || !refreshToken()) throw Error(failure);
  }
}

}  // namespace counterfoil::client

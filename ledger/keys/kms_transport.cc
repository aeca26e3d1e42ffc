#include "ledger/keys/kms_transport.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <optional>

#include "ledger/core/outcome.h"
#include "ledger/crypto/tls_wiping.h"

namespace counterfoil::keys {
namespace {

constexpr std::size_t kAnswerBytesMax = 4 * 1024 * 1024;
constexpr std::size_t kTokenBytesMax = 8 * 1024;
constexpr std::size_t kIdleChannelsMax = 8;
constexpr int kPollMs = 1'000;

// ---- memory: tokens and keys pass through the library's buffers. The client library sets functions that do the same ----

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
  if (started != CURLE_OK) throw Fault(ErrorCode::notReady, "the HTTP library cannot be used", "is libcurl installed as a whole?");
}

// ---- options ----

bool isThisMachine(std::string_view host) {
  for (const std::string_view name : {"127.0.0.1", "localhost", "[::1]"}) {
    if (host == name || (host.starts_with(name) && host[name.size()] == ':')) return true;
  }
  return false;
}

void checkOptions(const KmsTransportOptions& options) {
  const std::string_view url = options.url;
  const bool secure = url.starts_with("https://");
  const std::string_view host = url.substr(std::min(url.size(), std::size_t{secure ? 8U : 7U}));
  const bool plainHost = !host.empty() && host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]") ==
                                              std::string_view::npos;
  if ((!secure && !url.starts_with("http://")) || !plainHost) {
    throw Fault(ErrorCode::invalidValue, "setting kms_url must be a URL without a path", "such as https://kms.example.com:8200");
  }
  if (!secure && !isThisMachine(host)) {
    throw Fault(ErrorCode::invalidValue, "setting kms_url must begin with https:// unless the key service is on this machine",
                "keys do not go over a network in the clear");
  }
  if (options.certificate.empty() != options.certificateKey.empty()) {
    throw Fault(ErrorCode::invalidValue, "settings kms_client_cert and kms_client_key belong together", "give both, or neither");
  }
}

// ---- the token ----

[[noreturn]] void badToken(const char* what, const char* hint) {
  throw Fault(ErrorCode::keyPermissions, std::string("the file that kms_token_file names ") + what, hint);
}

// The header's line.
KmsText authorizationOf(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) badToken("cannot be read", "it holds the token for the key service; check its path and permissions");
  struct Closer {
    int file;
    ~Closer() { ::close(file); }
  } const closer{file};
  struct stat facts {};
  if (::fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode)) badToken("is no regular file", "it holds the token for the key service");
  if ((facts.st_mode & 07) != 0) badToken("can be read by everybody", "chmod o= on it, and take a new token");
  crypto::WipingVector bytes(kTokenBytesMax + 1);
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t count = ::read(file, bytes.data() + size, bytes.size() - size);
    if (count <= 0) break;
    size += static_cast<std::size_t>(count);
  }
  while (size > 0 && (bytes[size - 1] == '\n' || bytes[size - 1] == '\r' || bytes[size - 1] == ' ')) --size;
  const auto isPart = [](std::uint8_t byte) { return byte > 0x20 && byte < 0x7f; };
  if (size == 0 || size > kTokenBytesMax || !std::all_of(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size), isPart)) {
    badToken("holds no token", "one line of printable characters");
  }
  KmsText line;
  line.reserve(64 + size);
  line.append("Authorization: Bearer ").append(reinterpret_cast<const char*>(bytes.data()), size);
  return line;
}

using Headers = std::unique_ptr<curl_slist, void (*)(curl_slist*)>;

void addHeader(Headers& headers, const char* line) {
  curl_slist* longer = curl_slist_append(headers.get(), line);
  if (longer == nullptr) throw std::bad_alloc();
  static_cast<void>(headers.release());
  headers.reset(longer);
}

// ---- answers ----

// What one transfer gathers.
struct Gathering {
  KmsText body;
  bool tooLarge = false;
};

std::size_t takeBytes(char* data, std::size_t size, std::size_t count, void* gathering) {
  auto* const of = static_cast<Gathering*>(gathering);
  const std::size_t bytes = size * count;
  of->tooLarge = of->body.size() + bytes > kAnswerBytesMax;
  if (of->tooLarge) return 0;
  of->body.append(data, bytes);
  return bytes;
}

CURLcode wipePlaintext(CURL*, void* tlsContext, void*) {
  crypto::wipeAfterReading(tlsContext);
  return CURLE_OK;
}

KmsTrouble troubleOf(CURLcode code, bool tooLarge) {
  if (tooLarge) return KmsTrouble::tooLarge;
  switch (code) {
    case CURLE_OK:
      return KmsTrouble::none;
    case CURLE_OPERATION_TIMEDOUT:
      return KmsTrouble::slow;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return KmsTrouble::untrusted;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return KmsTrouble::badFile;
    default:
      return KmsTrouble::unreachable;
  }
}

}  // namespace

// Connections of one call at a time.
struct KmsTransport::Channel {
  struct Slot {
    CURL* handle = nullptr;
    Gathering gathering;
    std::size_t request = 0;
  };

  explicit Channel(std::size_t parallel) : multi(curl_multi_init()), slots(parallel) {
    if (multi == nullptr) throw std::bad_alloc();
    for (Slot& slot : slots) {
      slot.handle = curl_easy_init();
      if (slot.handle == nullptr) throw std::bad_alloc();
    }
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(parallel));
  }
  ~Channel() {
    for (Slot& slot : slots) {
      if (slot.handle == nullptr) continue;
      curl_multi_remove_handle(multi, slot.handle);
      curl_easy_cleanup(slot.handle);
    }
    curl_multi_cleanup(multi);
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  CURLM* multi;
  std::vector<Slot> slots;
};

struct KmsTransport::State {
  explicit State(KmsTransportOptions wanted) : options(std::move(wanted)) {}

  void prepare(Channel::Slot& slot, const KmsRequest& request, const curl_slist* headers) const {
    CURL* curl = slot.handle;
    curl_easy_reset(curl);
    slot.gathering.body.clear();
    slot.gathering.body.reserve(4 * 1024);
    slot.gathering.tooLarge = false;
    curl_easy_setopt(curl, CURLOPT_PRIVATE, &slot);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_URL, (options.url + request.path).c_str());
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, options.url.starts_with("https:") ? "https" : "http");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "counterfoil");
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_3));
    curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, wipePlaintext);
    if (!options.authorities.empty()) {
      curl_easy_setopt(curl, CURLOPT_CAINFO, options.authorities.c_str());
      curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
    }
    if (!options.certificate.empty()) {
      curl_easy_setopt(curl, CURLOPT_SSLCERT, options.certificate.c_str());
      curl_easy_setopt(curl, CURLOPT_SSLKEY, options.certificateKey.c_str());
    }
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.timeoutMs));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(options.timeoutMs));
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (request.post) {
      curl_easy_setopt(curl, CURLOPT_POST, 1L);
      curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.empty() ? "" : request.body.data());
      curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    }
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, takeBytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &slot.gathering);
  }

  void run(Channel& channel, std::span<const KmsRequest> requests, const curl_slist* headers, std::vector<KmsAnswer>& answers) const {
    std::size_t next = 0;
    std::size_t underWay = 0;
    std::optional<KmsTrouble> stopped;
    const auto begin = [&](Channel::Slot& slot) {
      if (next == requests.size() || stopped) return;
      slot.request = next++;
      prepare(slot, requests[slot.request], headers);
      if (curl_multi_add_handle(channel.multi, slot.handle) != CURLM_OK) throw std::bad_alloc();
      ++underWay;
    };
    for (Channel::Slot& slot : channel.slots) begin(slot);
    while (underWay > 0) {
      int running = 0;
      if (curl_multi_perform(channel.multi, &running) != CURLM_OK) throw Fault(ErrorCode::notReady, "the HTTP library failed");
      int left = 0;
      while (const CURLMsg* message = curl_multi_info_read(channel.multi, &left)) {
        if (message->msg != CURLMSG_DONE) continue;
        const CURLcode code = message->data.result;
        CURL* const handle = message->easy_handle;
        Channel::Slot* slot = nullptr;
        curl_easy_getinfo(handle, CURLINFO_PRIVATE, &slot);
        long status = 0;
        curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
        curl_multi_remove_handle(channel.multi, handle);
        --underWay;
        KmsAnswer& answer = answers[slot->request];
        answer.trouble = troubleOf(code, slot->gathering.tooLarge);
        answer.status = static_cast<int>(status);
        answer.body = std::move(slot->gathering.body);
        if (answer.trouble != KmsTrouble::none && !stopped) stopped = answer.trouble;
        begin(*slot);
      }
      if (underWay > 0) curl_multi_poll(channel.multi, nullptr, 0, kPollMs, nullptr);
    }
    for (; next < requests.size(); ++next) answers[next].trouble = *stopped;
  }

  std::unique_ptr<Channel> take() {
    {
      const std::scoped_lock lock(mutex);
      if (!idle.empty()) {
        std::unique_ptr<Channel> channel = std::move(idle.back());
        idle.pop_back();
        return channel;
      }
    }
    return std::make_unique<Channel>(options.parallel);
  }

  void giveBack(std::unique_ptr<Channel> channel) {
    const std::scoped_lock lock(mutex);
    if (idle.size() < kIdleChannelsMax) idle.push_back(std::move(channel));
  }

  const KmsTransportOptions options;
  std::mutex mutex;
  std::vector<std::unique_ptr<Channel>> idle;
};

KmsTransport::KmsTransport(KmsTransportOptions options) {
  checkOptions(options);
  startLibrary();
  state_ = std::make_unique<State>(std::move(options));
}

KmsTransport::~KmsTransport() = default;

std::vector<KmsAnswer> KmsTransport::send(std::span<const KmsRequest> requests) {
  std::vector<KmsAnswer> answers(requests.size());
  if (requests.empty()) return answers;
  Headers headers(nullptr, curl_slist_free_all);
  addHeader(headers, "Accept: application/json");
  addHeader(headers, "Content-Type: application/json");
  addHeader(headers, "Expect:");
  // What makes an agent or proxy of OpenBao and Vault believe that no browser was tricked into asking.
  addHeader(headers, "X-Vault-Request: true");
  KmsText authorization;
  if (!state_->options.tokenFile.empty()) {
    authorization = authorizationOf(state_->options.tokenFile);
    addHeader(headers, authorization.c_str());
  }
  // One that a fault interrupted does not come back: its connections are in the middle of something.
  std::unique_ptr<Channel> channel = state_->take();
  state_->run(*channel, requests, headers.get(), answers);
  state_->giveBack(std::move(channel));
  return answers;
}

}  // namespace counterfoil::keys

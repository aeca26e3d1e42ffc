#include "ledger/crypto/aead.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "ledger/crypto/error.h"

namespace counterfoil::crypto {
namespace {

// EVP takes lengths as int.
constexpr std::size_t kUpdateBytesMax = std::size_t{1} << 30;

[[noreturn]] void fail(const char* operation) {
  // The queue is the thread's: an error left in it would be taken for one of the next TLS read.
  ERR_clear_error();
  throw CryptoError(operation);
}

const EVP_CIPHER* cipher() {
  // Fetched once and kept for the life of the process.
  static const EVP_CIPHER* const kCipher = [] {
    const EVP_CIPHER* const fetched = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
    if (fetched == nullptr) fail("aead: AES-256-GCM is not available");
    return fetched;
  }();
  return kCipher;
}

// `out` null: associated data.
bool update(EVP_CIPHER_CTX* context, std::uint8_t* out, Bytes in) {
  while (!in.empty()) {
    const Bytes chunk = in.first(std::min(in.size(), kUpdateBytesMax));
    int written = 0;
    if (EVP_CipherUpdate(context, out, &written, chunk.data(), static_cast<int>(chunk.size())) != 1) return false;
    if (out != nullptr) out += chunk.size();
    in = in.subspan(chunk.size());
  }
  return true;
}

}  // namespace

// Each thread that works with the key needs a context of its own. Contexts are kept here and lent out, rather than copied into a
// thread's own (measured: 150 ns a message, and the copy would outlive the key in every thread that ever used it).
struct AeadKey::State {
  static constexpr std::size_t kContextsKept = 4;

  explicit State(Bytes keyBytes) {
    std::copy(keyBytes.begin(), keyBytes.end(), key.bytes.begin());
    contexts[0].store(makeContext(), std::memory_order_relaxed);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    // Freeing a context clears its key schedule.
    for (auto& context : contexts) EVP_CIPHER_CTX_free(context.load(std::memory_order_relaxed));
  }

  EVP_CIPHER_CTX* makeContext() const {
    EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
    if (context == nullptr || EVP_EncryptInit_ex2(context, cipher(), key.bytes.data(), nullptr, nullptr) != 1) {
      EVP_CIPHER_CTX_free(context);
      fail("aead: cannot set up the key");
    }
    return context;
  }

  EVP_CIPHER_CTX* take() {
    for (auto& slot : contexts) {
      if (slot.load(std::memory_order_relaxed) == nullptr) continue;
      if (EVP_CIPHER_CTX* const context = slot.exchange(nullptr, std::memory_order_acquire)) return context;
    }
    return makeContext();
  }

  void giveBack(EVP_CIPHER_CTX* context) {
    for (auto& slot : contexts) {
      EVP_CIPHER_CTX* empty = nullptr;
      if (slot.compare_exchange_strong(empty, context, std::memory_order_release, std::memory_order_relaxed)) return;
    }
    EVP_CIPHER_CTX_free(context);
  }

  // Wiped on its own, so also when the constructor fails.
  struct KeyBytes {
    std::array<std::uint8_t, kAeadKeySize> bytes{};
    ~KeyBytes() { wipe(bytes.data(), bytes.size()); }
  };

  KeyBytes key;
  std::array<std::atomic<EVP_CIPHER_CTX*>, kContextsKept> contexts{};
};

namespace {

void checkRoom(Bytes plaintext, std::span<std::uint8_t> out) {
  if (out.size() < plaintext.size() || out.size() - plaintext.size() < kAeadTagSize)
    throw CryptoError("aead: no room for the sealed bytes");
}

// `key` null: the context's own.
bool sealWith(EVP_CIPHER_CTX* context, const std::uint8_t* key, const AeadNonce& nonce, Bytes associatedData, Bytes plaintext,
              std::span<std::uint8_t> out) {
  std::uint8_t* const tag = out.data() + plaintext.size();
  int written = 0;
  OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, kAeadTagSize), OSSL_PARAM_construct_end()};
  return EVP_CipherInit_ex2(context, nullptr, key, nonce.data(), 1, nullptr) == 1 && update(context, nullptr, associatedData) &&
         update(context, out.data(), plaintext) && EVP_CipherFinal_ex(context, tag, &written) == 1 &&
         EVP_CIPHER_CTX_get_params(context, parameters) == 1;
}

// A thread's own context for keys that are used once. Between two uses it holds the schedule of a key of zeros.
class OneTimeContext {
 public:
  OneTimeContext() : context_(EVP_CIPHER_CTX_new()) {
    if (context_ == nullptr || EVP_EncryptInit_ex2(context_, cipher(), kNoKey.data(), nullptr, nullptr) != 1) {
      EVP_CIPHER_CTX_free(context_);
      fail("aead: cannot set up a context");
    }
  }
  ~OneTimeContext() { EVP_CIPHER_CTX_free(context_); }
  OneTimeContext(const OneTimeContext&) = delete;
  OneTimeContext& operator=(const OneTimeContext&) = delete;

  bool seal(Bytes key, const AeadNonce& nonce, Bytes associatedData, Bytes plaintext, std::span<std::uint8_t> out) {
    return sealWith(context_, key.data(), nonce, associatedData, plaintext, out);
  }
  // Overwrites the key schedule and what was computed from it. Should that fail, nothing may be left of it either.
  void forget() {
    if (EVP_EncryptInit_ex2(context_, nullptr, kNoKey.data(), nullptr, nullptr) == 1) return;
    EVP_CIPHER_CTX_reset(context_);
    EVP_EncryptInit_ex2(context_, cipher(), kNoKey.data(), nullptr, nullptr);
    ERR_clear_error();
  }

 private:
  static constexpr std::array<std::uint8_t, kAeadKeySize> kNoKey{};
  EVP_CIPHER_CTX* context_;
};

// A context of the key for one message.
template <class State>
class Lent {
 public:
  explicit Lent(State& state) : state_(state), context_(state.take()) {}
  ~Lent() { state_.giveBack(context_); }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;
  EVP_CIPHER_CTX* get() const { return context_; }

 private:
  State& state_;
  EVP_CIPHER_CTX* context_;
};

}  // namespace

AeadKey::AeadKey(Bytes key) {
  if (key.size() != kAeadKeySize) throw CryptoError("aead: a key must have 32 bytes");
  state_ = std::make_unique<State>(key);
}

AeadKey::~AeadKey() = default;
AeadKey::AeadKey(AeadKey&&) noexcept = default;
AeadKey& AeadKey::operator=(AeadKey&&) noexcept = default;

void AeadKey::seal(const AeadNonce& nonce, Bytes associatedData, Bytes plaintext, std::span<std::uint8_t> out) const {
  checkRoom(plaintext, out);
  const Lent<State> context(*state_);
  if (!sealWith(context.get(), nullptr, nonce, associatedData, plaintext, out)) fail("aead: cannot seal");
}

namespace {

OneTimeContext& oneTimeContext() {
  thread_local OneTimeContext context;
  return context;
}

}  // namespace

OneTimeSealer::~OneTimeSealer() {
  if (used_) oneTimeContext().forget();
}

void OneTimeSealer::seal(Bytes key, const AeadNonce& nonce, Bytes associatedData, Bytes plaintext, std::span<std::uint8_t> out) {
  if (key.size() != kAeadKeySize) throw CryptoError("aead: a key must have 32 bytes");
  checkRoom(plaintext, out);
  used_ = true;
  if (!oneTimeContext().seal(key, nonce, associatedData, plaintext, out)) fail("aead: cannot seal");
}

std::vector<std::uint8_t> AeadKey::seal(const AeadNonce& nonce, Bytes associatedData, Bytes plaintext) const {
  std::vector<std::uint8_t> result(plaintext.size() + kAeadTagSize);
  seal(nonce, associatedData, plaintext, result);
  return result;
}

bool AeadKey::open(const AeadNonce& nonce, Bytes associatedData, Bytes sealed, std::span<std::uint8_t> out) const {
  if (sealed.size() < kAeadTagSize) {
    wipe(out.data(), out.size());
    return false;
  }
  const Bytes ciphertext = sealed.first(sealed.size() - kAeadTagSize);
  if (out.size() < ciphertext.size()) throw CryptoError("aead: no room for the opened bytes");
  std::array<std::uint8_t, kAeadTagSize> tag;
  std::copy(sealed.begin() + static_cast<std::ptrdiff_t>(ciphertext.size()), sealed.end(), tag.begin());
  OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag.data(), tag.size()),
                             OSSL_PARAM_construct_end()};

  const Lent<State> context(*state_);
  std::array<std::uint8_t, kAeadTagSize> unused;
  int written = 0;
  if (EVP_CipherInit_ex2(context.get(), nullptr, nullptr, nonce.data(), 0, parameters) != 1 ||
      !update(context.get(), nullptr, associatedData) || !update(context.get(), out.data(), ciphertext)) {
    wipe(out.data(), out.size());
    fail("aead: cannot open");
  }
  if (EVP_CipherFinal_ex(context.get(), unused.data(), &written) != 1) {
    ERR_clear_error();
    wipe(out.data(), out.size());
    return false;
  }
  return true;
}

std::optional<SecretBytes> AeadKey::open(const AeadNonce& nonce, Bytes associatedData, Bytes sealed) const {
  if (sealed.size() < kAeadTagSize) return std::nullopt;
  WipingVector plaintext(sealed.size() - kAeadTagSize);
  if (!open(nonce, associatedData, sealed, plaintext)) return std::nullopt;
  return SecretBytes(Bytes(plaintext));
}

}  // namespace counterfoil::crypto

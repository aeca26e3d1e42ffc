#include "ledger/crypto/sign.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include "ledger/crypto/error.h"

namespace counterfoil::crypto {
namespace {

template <auto function>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    function(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;  // freeing one clears its secret
using Context = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;

[[noreturn]] void fail(const char* operation) {
  // The queue is the thread's: an error left in it would be taken for one of the next TLS read.
  ERR_clear_error();
  throw CryptoError(operation);
}

Context makeContext() {
  Context context(EVP_MD_CTX_new());
  if (context == nullptr) fail("ed25519: no memory");
  return context;
}

// An empty span may carry no address, which OpenSSL takes for a question about sizes.
const std::uint8_t* addressOf(Bytes message) {
  static constexpr std::uint8_t kNothing = 0;
  return message.empty() ? &kNothing : message.data();
}

}  // namespace

struct Ed25519Key::State {
  Key key;
  Ed25519PublicKey publicKey{};
};

Ed25519Key::Ed25519Key(Bytes seed) : state_(std::make_unique<State>()) {
  if (seed.size() != 32) throw CryptoError("ed25519: a seed must have 32 bytes");
  state_->key.reset(EVP_PKEY_new_raw_private_key_ex(nullptr, "ED25519", nullptr, seed.data(), seed.size()));
  std::size_t size = state_->publicKey.size();
  if (state_->key == nullptr || EVP_PKEY_get_raw_public_key(state_->key.get(), state_->publicKey.data(), &size) != 1 ||
      size != state_->publicKey.size()) {
    fail("ed25519: cannot set up the key");
  }
}

Ed25519Key::~Ed25519Key() = default;
Ed25519Key::Ed25519Key(Ed25519Key&&) noexcept = default;
Ed25519Key& Ed25519Key::operator=(Ed25519Key&&) noexcept = default;

const Ed25519PublicKey& Ed25519Key::publicKey() const {
  return state_->publicKey;
}

Ed25519Signature Ed25519Key::sign(Bytes message) const {
  const Context context = makeContext();
  Ed25519Signature signature;
  std::size_t size = signature.size();
  if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, state_->key.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, addressOf(message), message.size()) != 1 || size != signature.size()) {
    fail("ed25519: cannot sign");
  }
  return signature;
}

bool verifyEd25519(const Ed25519PublicKey& key, Bytes message, const Ed25519Signature& signature) {
  const Key publicKey(EVP_PKEY_new_raw_public_key_ex(nullptr, "ED25519", nullptr, key.data(), key.size()));
  if (publicKey == nullptr) fail("ed25519: cannot set up a public key");
  const Context context = makeContext();
  if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, publicKey.get()) != 1) fail("ed25519: cannot verify");
  if (EVP_DigestVerify(context.get(), signature.data(), signature.size(), addressOf(message), message.size()) == 1) return true;
  ERR_clear_error();
  return false;
}

}  // namespace counterfoil::crypto

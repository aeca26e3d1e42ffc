#include "server/auth/token_keys.h"

#include <cjose/cjose.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <shared_mutex>

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "ledger/core/outcome.h"
#include "ledger/crypto/digest.h"
#include "ledger/crypto/wiping.h"
#include "ledger/keys/key_file.h"
#include "server/auth/strict_json.h"
#include "server/auth/token_key_file.h"

namespace counterfoil::server {
namespace {

constexpr std::size_t kKeysKept = 2;
constexpr std::string_view kFilePrefix = "token-";
constexpr std::string_view kFileSuffix = ".pem";

// The library copies the tokens it signs and verifies, and frees the copies as they are.
void wipeAndFree(void* block) {
  if (block != nullptr) crypto::wipe(block, ::malloc_usable_size(block));
  std::free(block);
}

void* moveAndWipe(void* block, std::size_t size) {
  if (block == nullptr) return std::malloc(size);
  void* const moved = std::malloc(size);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, block, std::min(size, ::malloc_usable_size(block)));
  wipeAndFree(block);
  return moved;
}

// Before the library's first block, and for all of this process: it has one set of functions.
void makeLibraryWipe() {
  static const bool done = [] {
    cjose_set_alloc_funcs(std::malloc, moveAndWipe, wipeAndFree);
    return true;
  }();
  static_cast<void>(done);
}

struct ReleaseKey {
  void operator()(cjose_jwk_t* key) const { cjose_jwk_release(key); }
};
struct ReleaseHeader {
  void operator()(cjose_header_t* header) const { cjose_header_release(header); }
};
struct ReleaseSigned {
  void operator()(cjose_jws_t* jws) const { cjose_jws_release(jws); }
};
using Jwk = std::unique_ptr<cjose_jwk_t, ReleaseKey>;
using Header = std::unique_ptr<cjose_header_t, ReleaseHeader>;
using Jws = std::unique_ptr<cjose_jws_t, ReleaseSigned>;

[[noreturn]] void failLibrary(const char* what) {
  throw Fault(ErrorCode::internal, std::string(what) + " failed in the crypto library");
}

[[noreturn]] void failDamaged(const std::filesystem::path& path) {
  throw Fault(ErrorCode::keyDamaged, path.string() + " holds no P-256 key in PKCS #8 form",
              "restore it from its backup, or remove it: tokens it signed end then");
}

// Two keys of one thumbprint are one key: what it covers is the public point only.
std::string thumbprint(const TokenKeyNumbers& key) {
  const std::string text = R"({"crv":"P-256","kty":"EC","x":")" + toBase64Url(key.x) + R"(","y":")" + toBase64Url(key.y) + R"("})";
  return toBase64Url(crypto::sha256({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}));
}

std::string fileName(std::uint32_t number) {
  return std::string(kFilePrefix) + std::to_string(number) + std::string(kFileSuffix);
}

std::optional<std::uint32_t> numberOf(std::string_view name) {
  if (!name.starts_with(kFilePrefix) || !name.ends_with(kFileSuffix) || name.size() <= kFilePrefix.size() + kFileSuffix.size()) return {};
  std::uint32_t number = 0;
  const char* end = name.data() + name.size() - kFileSuffix.size();
  const auto [at, error] = std::from_chars(name.data() + kFilePrefix.size(), end, number);
  if (error != std::errc() || at != end || number == 0 || fileName(number) != name) return {};
  return number;
}

// Numbers of the key files, newest first.
std::vector<std::uint32_t> numbersIn(const keys::KeyFolder& folder) {
  std::vector<std::uint32_t> result;
  for (const std::string& name : folder.names()) {
    if (const auto number = numberOf(name)) result.push_back(*number);
  }
  std::sort(result.rbegin(), result.rend());
  return result;
}

// Exactly 32 bytes of a JWK's member; the library writes them with leading zeros.
bool readNumber(const StrictJson& jwk, std::string_view name, std::array<std::uint8_t, 32>& to) {
  const StrictJson* member = jwk.find(name);
  std::optional<std::vector<std::uint8_t>> bytes;
  if (member != nullptr) bytes = fromBase64Url(member->text);
  if (!bytes || bytes->size() != to.size()) return false;
  std::copy(bytes->begin(), bytes->end(), to.begin());
  crypto::wipe(bytes->data(), bytes->size());
  return true;
}

TokenKeyNumbers newNumbers() {
  const Jwk made(cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, nullptr));
  if (!made) failLibrary("making a token key");
  struct Text {
    char* data;
    ~Text() {
      if (data != nullptr) crypto::wipe(data, std::strlen(data));
      std::free(data);
    }
  } text{cjose_jwk_to_json(made.get(), true, nullptr)};
  if (text.data == nullptr) failLibrary("making a token key");
  StrictJson jwk = parseStrictJson(text.data);
  TokenKeyNumbers key;
  const bool complete = readNumber(jwk, "d", key.secret) && readNumber(jwk, "x", key.x) && readNumber(jwk, "y", key.y);
  for (auto& [name, member] : jwk.members) crypto::wipe(member.text.data(), member.text.size());
  if (!complete) failLibrary("making a token key");
  return key;
}

std::string signWith(const cjose_jwk_t* key, const std::string& keyId, std::string_view payload) {
  const Header header(cjose_header_new(nullptr));
  const bool named = header && cjose_header_set(header.get(), CJOSE_HDR_ALG, CJOSE_HDR_ALG_ES256, nullptr) &&
                     cjose_header_set(header.get(), CJOSE_HDR_KID, keyId.c_str(), nullptr) &&
                     cjose_header_set(header.get(), "typ", "JWT", nullptr);
  if (!named) failLibrary("signing a token");
  const Jws jws(cjose_jws_sign(key, header.get(), reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size(), nullptr));
  const char* text = nullptr;
  if (!jws || !cjose_jws_export(jws.get(), &text, nullptr)) failLibrary("signing a token");
  return text;  // the library's memory goes with `jws`
}

bool verifyWith(const cjose_jwk_t* key, std::string_view token) {
  const Jws jws(cjose_jws_import(token.data(), token.size(), nullptr));
  return jws && cjose_jws_verify(jws.get(), key, nullptr);
}

struct TokenKey {
  std::uint32_t number = 0;
  std::string id;
  Jwk signer;
  Jwk verifier;  // the public point alone
};

// nullptr if the numbers are no key of the curve, or the point is another key's.
std::shared_ptr<const TokenKey> makeKey(std::uint32_t number, TokenKeyNumbers numbers) {
  cjose_jwk_ec_keyspec specification{};
  specification.crv = CJOSE_JWK_EC_P_256;
  specification.x = numbers.x.data();
  specification.xlen = numbers.x.size();
  specification.y = numbers.y.data();
  specification.ylen = numbers.y.size();
  auto key = std::make_shared<TokenKey>();
  key->number = number;
  key->id = thumbprint(numbers);
  key->verifier.reset(cjose_jwk_create_EC_spec(&specification, nullptr));
  specification.d = numbers.secret.data();
  specification.dlen = numbers.secret.size();
  key->signer.reset(cjose_jwk_create_EC_spec(&specification, nullptr));
  if (!key->verifier || !key->signer) return nullptr;
  // The library takes a point that does not belong to the secret number: a signature tells.
  try {
    if (!verifyWith(key->verifier.get(), signWith(key->signer.get(), key->id, "{}"))) return nullptr;
  } catch (const Fault&) {
    return nullptr;
  }
  return key;
}

std::string claimsJson(const TokenClaims& claims) {
  std::string out;
  JsonObject object(out);
  object.text("iss", claims.issuer)
      .text("sub", claims.subject)
      .text("aud", claims.audience)
      .text("role", claims.role)
      .text("workspace", claims.workspace)
      .text("jti", claims.tokenId)
      .number("iat", static_cast<std::uint64_t>(claims.issuedAt))
      .number("nbf", static_cast<std::uint64_t>(claims.notBefore))
      .number("exp", static_cast<std::uint64_t>(claims.expiresAt));
  if (!claims.certificate.empty()) {
    const auto digest = fromHex(claims.certificate);
    if (!digest) throw Fault(ErrorCode::internal, "a certificate's digest is no hexadecimal text");
    object.raw("cnf", R"({"x5t#S256":")" + toBase64Url(*digest) + R"("})");
  }
  object.end();
  return out;
}

}  // namespace

struct TokenKeys::State {
  State(std::filesystem::path where, crypto::RandomSource& source) : folder(std::move(where)), random(source) {}
  std::filesystem::path folder;
  crypto::RandomSource& random;
  mutable std::shared_mutex mutex;
  std::vector<std::shared_ptr<const TokenKey>> keys;  // newest first, kKeysKept at most

  std::shared_ptr<const TokenKey> find(std::string_view keyId) const {
    const std::shared_lock lock(mutex);
    const auto found = std::find_if(keys.begin(), keys.end(), [&](const auto& key) { return key->id == keyId; });
    return found == keys.end() ? nullptr : *found;
  }
  // The caller holds the folder's lock.
  std::shared_ptr<const TokenKey> create(const keys::KeyFolder& files, std::uint32_t number) const {
    const TokenKeyNumbers numbers = newNumbers();
    std::shared_ptr<const TokenKey> key = makeKey(number, numbers);
    if (key == nullptr) failLibrary("making a token key");
    files.write(fileName(number), tokenKeyPem(numbers).bytes(), random);
    return key;
  }
};

TokenKeys::TokenKeys(std::filesystem::path folder, crypto::RandomSource& random)
    : state_(std::make_unique<State>(std::move(folder), random)) {
  makeLibraryWipe();
  reload();
}

void TokenKeys::reload() {
  const keys::KeyFolder files = keys::KeyFolder::make(state_->folder);
  files.lock();
  files.shredUnfinished();
  std::vector<std::shared_ptr<const TokenKey>> found;
  const std::vector<std::uint32_t> numbers = numbersIn(files);
  for (std::size_t index = 0; index < std::min(numbers.size(), kKeysKept); ++index) {
    const std::string name = fileName(numbers[index]);
    const std::optional<crypto::SecretBytes> pem = files.read(name);
    const std::optional<TokenKeyNumbers> read = pem ? parseTokenKeyPem(pem->text()) : std::nullopt;
    std::shared_ptr<const TokenKey> key = read ? makeKey(numbers[index], *read) : nullptr;
    if (key == nullptr) failDamaged(state_->folder / name);
    found.push_back(std::move(key));
  }
  if (found.empty()) found.push_back(state_->create(files, 1));
  const std::unique_lock lock(state_->mutex);
  state_->keys = std::move(found);
}

TokenKeys::~TokenKeys() = default;

void TokenKeys::rotate() {
  const keys::KeyFolder files = keys::KeyFolder::make(state_->folder);
  files.lock();
  files.shredUnfinished();
  const std::vector<std::uint32_t> numbers = numbersIn(files);
  // 1. The new key is durable. 2. It signs. 3. What no longer verifies is destroyed; a crash before leaves it to the next rotation, and no
  // start reads it.
  std::shared_ptr<const TokenKey> key = state_->create(files, numbers.empty() ? 1 : numbers.front() + 1);
  {
    const std::unique_lock lock(state_->mutex);
    state_->keys.insert(state_->keys.begin(), std::move(key));
    if (state_->keys.size() > kKeysKept) state_->keys.resize(kKeysKept);
  }
  for (std::size_t index = kKeysKept - 1; index < numbers.size(); ++index) files.shred(fileName(numbers[index]));
}

std::string TokenKeys::sign(const TokenClaims& claims) const {
  std::shared_ptr<const TokenKey> key;
  {
    const std::shared_lock lock(state_->mutex);
    key = state_->keys.front();
  }
  return signWith(key->signer.get(), key->id, claimsJson(claims));
}

bool TokenKeys::verify(std::string_view compactToken, std::string_view keyId) const {
  const std::shared_ptr<const TokenKey> key = state_->find(keyId);
  return key != nullptr && verifyWith(key->verifier.get(), compactToken);
}

bool TokenKeys::known(std::string_view keyId) const {
  return state_->find(keyId) != nullptr;
}

std::vector<std::string> TokenKeys::keyIds() const {
  const std::shared_lock lock(state_->mutex);
  std::vector<std::string> result;
  for (const auto& key : state_->keys) result.push_back(key->id);
  return result;
}

}  // namespace counterfoil::server

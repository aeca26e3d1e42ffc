#include "ledger/keys/transit_messages.h"

#include <algorithm>
#include <boost/json/parser.hpp>
#include <boost/json/value.hpp>
#include <charconv>

#include "ledger/core/encoding.h"

namespace counterfoil::keys::transit {
namespace {

namespace json = boost::json;

constexpr std::string_view kPrefix = "vault:v";

// ---- out ----

void appendBase64(KmsText& out, crypto::Bytes bytes) {
  std::string text = toBase64(bytes);
  out.append(text.data(), text.size());
  crypto::wipe(text.data(), text.size());
}

void appendNumber(KmsText& out, std::uint64_t number) {
  const std::string text = std::to_string(number);
  out.append(text.data(), text.size());
}

std::size_t base64Size(std::size_t bytes) {
  return (bytes + 2) / 3 * 4;
}

KmsText textOf(std::string_view text) {
  KmsText result;
  result.reserve(256);
  result.append(text.data(), text.size());
  return result;
}

// ---- in ----

// What the parser allocates is wiped as it is freed.
class WipingMemory final : public json::memory_resource {
 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override { return memory_.allocate(bytes, alignment); }
  void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override { memory_.deallocate(block, bytes, alignment); }
  bool do_is_equal(const json::memory_resource& other) const noexcept override { return this == &other; }
  crypto::WipingResource memory_;
};

// A JSON object, in wiping memory; null if `text` is none.
class Document {
 public:
  explicit Document(std::string_view text) {
    json::parse_options options;
    options.max_depth = 8;
    json::parser parser(json::storage_ptr(&memory_), options);
    parser.reset(json::storage_ptr(&memory_));
    json::error_code error;
    parser.write(text.data(), text.size(), error);
    if (!error) root_.emplace(parser.release());
    crypto::wipeStackBelow();
  }
  const json::object* root() const { return root_ && root_->is_object() ? &root_->get_object() : nullptr; }
  const json::object* data() const {
    const json::object* top = root();
    const json::value* data = top == nullptr ? nullptr : top->if_contains("data");
    return data != nullptr && data->is_object() ? &data->get_object() : nullptr;
  }
  // data.batch_results, if it has this many members.
  const json::array* results(std::size_t count) const {
    const json::object* all = data();
    const json::value* list = all == nullptr ? nullptr : all->if_contains("batch_results");
    return list != nullptr && list->is_array() && list->get_array().size() == count ? &list->get_array() : nullptr;
  }

 private:
  WipingMemory memory_;
  std::optional<json::value> root_;  // in memory_, so gone before it
};

std::string_view textAt(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

std::optional<std::uint32_t> numberAt(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_int64() || value->get_int64() < 0 || value->get_int64() > 0xffff'ffff) return std::nullopt;
  return static_cast<std::uint32_t>(value->get_int64());
}

bool flagAt(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

// "vault:v3:<base64 of nonce, ciphertext, tag>"
std::optional<Wrapped> wrappedIn(std::string_view text) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  Wrapped wrapped;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), wrapped.version);
  if (error != std::errc() || wrapped.version == 0 || end == text.data() + text.size() || *end != ':') return std::nullopt;
  const auto bytes = fromBase64(text.substr(static_cast<std::size_t>(end + 1 - text.data())));
  if (!bytes || bytes->size() < crypto::kAeadNonceSize + crypto::kAeadTagSize) return std::nullopt;
  const auto nonceEnd = bytes->begin() + crypto::kAeadNonceSize;
  std::copy(bytes->begin(), nonceEnd, wrapped.nonce.begin());
  wrapped.sealed.assign(nonceEnd, bytes->end());
  return wrapped;
}

// The words of the API for a ciphertext that is not what was sealed. Everything else says nothing about the ciphertext.
bool deniesAuthenticity(std::string_view words) {
  for (const std::string_view each : {"message authentication failed", "unable to decrypt", "invalid ciphertext length"}) {
    if (words.find(each) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

KmsText encryptBody(std::uint32_t version, std::span<const WrapRequest> requests) {
  std::size_t size = 64;
  for (const WrapRequest& request : requests) size += 96 + base64Size(request.plaintext.size()) + base64Size(request.associatedData.size());
  KmsText body;
  body.reserve(size);
  body += "{\"batch_input\":[";
  for (const WrapRequest& request : requests) {
    if (body.back() != '[') body += ',';
    body += "{\"plaintext\":\"";
    appendBase64(body, request.plaintext);
    body += "\",\"associated_data\":\"";
    appendBase64(body, request.associatedData);
    body += '"';
    if (version != kNewestVersion) {
      body += ",\"key_version\":";
      appendNumber(body, version);
    }
    body += '}';
  }
  body += "]}";
  return body;
}

KmsText decryptBody(std::span<const Sealed> items) {
  std::size_t size = 96;
  for (const Sealed& item : items)
    size += 128 + base64Size(item.sealed.size() + item.nonce.size()) + base64Size(item.associatedData.size());
  KmsText body;
  body.reserve(size);
  // Where only some of a batch fail, the older and the newer services would answer with different statuses.
  body += "{\"partial_failure_response_code\":200,\"batch_input\":[";
  std::vector<std::uint8_t> bytes;
  std::size_t place = 0;
  for (const Sealed& item : items) {
    if (body.back() != '[') body += ',';
    bytes.assign(item.nonce.begin(), item.nonce.end());
    bytes.insert(bytes.end(), item.sealed.begin(), item.sealed.end());
    body.append("{\"ciphertext\":\"").append(kPrefix.data(), kPrefix.size());
    appendNumber(body, item.version);
    body += ':';
    appendBase64(body, bytes);
    body += "\",\"associated_data\":\"";
    appendBase64(body, item.associatedData);
    body += "\",\"reference\":\"";
    appendNumber(body, place++);
    body += "\"}";
  }
  body += "]}";
  return body;
}

KmsText createBody() {
  return textOf(R"({"type":"aes256-gcm96","derived":false,"exportable":false,"allow_plaintext_backup":false})");
}

KmsText floorBody(std::uint32_t oldest, bool finished) {
  KmsText body = textOf("{\"min_decryption_version\":");
  appendNumber(body, oldest);
  body += ",\"min_encryption_version\":";
  appendNumber(body, oldest);
  if (finished) body += ",\"deletion_allowed\":true";
  body += '}';
  return body;
}

KmsText finishedBody(bool finished) {
  return textOf(finished ? "{\"deletion_allowed\":true}" : "{\"deletion_allowed\":false}");
}

KmsText trimBody(std::uint32_t oldest) {
  KmsText body = textOf("{\"min_available_version\":");
  appendNumber(body, oldest);
  body += '}';
  return body;
}

std::optional<KeyFacts> keyFacts(std::string_view text) {
  const Document document(text);
  const json::object* data = document.data();
  if (data == nullptr || textAt(*data, "type") != "aes256-gcm96" || flagAt(*data, "derived")) return std::nullopt;
  const auto latest = numberAt(*data, "latest_version");
  const auto minDecryption = numberAt(*data, "min_decryption_version");
  const auto minEncryption = numberAt(*data, "min_encryption_version");
  const auto minAvailable = numberAt(*data, "min_available_version");
  if (!latest || *latest == 0 || !minDecryption || !minEncryption || !minAvailable) return std::nullopt;
  KeyFacts facts;
  facts.latest = *latest;
  facts.trimmed = *minAvailable;
  facts.oldest = std::max({*minDecryption, *minAvailable, std::uint32_t{1}});
  facts.sealing = std::max(*minEncryption, facts.oldest);
  facts.finished = flagAt(*data, "deletion_allowed");
  return facts;
}

std::optional<std::vector<Wrapped>> encrypted(std::string_view text, std::size_t count) {
  const Document document(text);
  const json::array* results = document.results(count);
  if (results == nullptr) return std::nullopt;
  std::vector<Wrapped> all;
  all.reserve(count);
  for (const json::value& result : *results) {
    if (!result.is_object()) return std::nullopt;
    auto wrapped = wrappedIn(textAt(result.get_object(), "ciphertext"));
    if (!wrapped) return std::nullopt;
    all.push_back(std::move(*wrapped));
  }
  return all;
}

std::optional<std::vector<Decrypted>> decrypted(std::string_view text, std::size_t count) {
  const Document document(text);
  const json::array* results = document.results(count);
  if (results == nullptr) return std::nullopt;
  std::vector<Decrypted> all(count);
  for (std::size_t index = 0; index < count; ++index) {
    const json::value& result = (*results)[index];
    if (!result.is_object()) return std::nullopt;
    // Older services do not give it back. One that does must have kept the order: a key under another's id would look like damage.
    const std::string_view reference = textAt(result.get_object(), "reference");
    if (!reference.empty() && reference != std::to_string(index)) return std::nullopt;
    const std::string_view error = textAt(result.get_object(), "error");
    if (!error.empty()) {
      all[index].outcome = deniesAuthenticity(error) ? DecryptOutcome::notAuthentic : DecryptOutcome::refused;
      continue;
    }
    const json::value* plaintext = result.get_object().if_contains("plaintext");
    if (plaintext == nullptr || !plaintext->is_string()) return std::nullopt;
    auto bytes = fromBase64(plaintext->get_string());
    if (!bytes) return std::nullopt;
    all[index].outcome = DecryptOutcome::opened;
    all[index].plaintext = crypto::SecretBytes(crypto::Bytes(*bytes));
    crypto::wipe(bytes->data(), bytes->size());
  }
  return all;
}

bool saysNothingThere(std::string_view text) {
  const Document document(text);
  const json::object* root = document.root();
  const json::value* errors = root == nullptr ? nullptr : root->if_contains("errors");
  return errors != nullptr && errors->is_array() && errors->get_array().empty();
}

}  // namespace counterfoil::keys::transit

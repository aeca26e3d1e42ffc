// Commitments to personal values and their disclosures (FORMATS: Personal values), after RFC 9901.
#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <tuple>

#include "ledger/core/encoding.h"
#include "ledger/redact/fingerprint.h"

namespace counterfoil::redact {
namespace {

using WipingString = std::basic_string<char, std::char_traits<char>, crypto::WipingAllocator<char>>;

constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kSaltDigits = 22;

crypto::Bytes bytesOf(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// number "\n" entry id (hex) "\n", before the field path: what salt and disclosure key are bound to.
class Place {
 public:
  Place(WorkspaceNumber workspace, const EntryId& entry) {
    constexpr std::string_view kHex = "0123456789abcdef";
    char* out = std::to_chars(text_.data(), text_.data() + text_.size(), workspace.value).ptr;
    *out++ = '\n';
    for (const std::uint8_t byte : entry.bytes) {
      *out++ = kHex[byte >> 4];
      *out++ = kHex[byte & 15];
    }
    *out++ = '\n';
    size_ = static_cast<std::size_t>(out - text_.data());
  }
  crypto::Bytes bytes() const { return bytesOf({text_.data(), size_}); }

 private:
  std::array<char, 20 + 1 + 2 * std::tuple_size_v<decltype(EntryId::bytes)> + 1> text_;
  std::size_t size_ = 0;
};

void appendAssociatedData(WorkspaceNumber workspace, const EntryId& entry, std::string_view path, WipingString& out) {
  for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>(workspace.value >> shift);
  out.append(reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size());
  out += path;
}

// The disclosure's own key: HKDF(K_subject, ...), of which the first step is kept with the subject's key.
struct DisclosureKey {
  crypto::Digest bytes;
  DisclosureKey(const SubjectKey& key, const Place& place, std::string_view path) {
    static constexpr std::uint8_t kFirstBlock[] = {1};
    bytes = key.expand().mac({bytesOf("counterfoil disclosure v1\n"), place.bytes(), bytesOf(path), kFirstBlock});
  }
  DisclosureKey(const DisclosureKey&) = delete;
  DisclosureKey& operator=(const DisclosureKey&) = delete;
  ~DisclosureKey() { crypto::wipe(bytes.data(), bytes.size()); }
};

// JSON string content, shortest escapes; valid UTF-8 passes through.
void appendEscaped(std::string_view text, WipingString& out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto plain = [](char character) { return character != '"' && character != '\\' && static_cast<std::uint8_t>(character) >= 0x20; };
  for (;;) {
    const auto special = std::find_if_not(text.begin(), text.end(), plain);
    out.append(text.begin(), special);
    if (special == text.end()) return;
    const auto byte = static_cast<std::uint8_t>(*special);
    text.remove_prefix(static_cast<std::size_t>(special - text.begin()) + 1);
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += static_cast<char>(byte);
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\t') {
      out += "\\t";
    } else {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

// The reverse of appendEscaped; false for what that does not write.
bool unescape(std::string_view text, WipingString& out) {
  while (!text.empty()) {
    const char character = text.front();
    text.remove_prefix(1);
    if (character == '"' || static_cast<std::uint8_t>(character) < 0x20) return false;
    if (character != '\\') {
      out += character;
      continue;
    }
    if (text.empty()) return false;
    const char kind = text.front();
    text.remove_prefix(1);
    if (kind == '"' || kind == '\\') {
      out += kind;
    } else if (kind == 'n' || kind == 't') {
      out += kind == 'n' ? '\n' : '\t';
    } else if (kind == 'u' && text.size() >= 4 && text.starts_with("00")) {
      const auto byte = fromHex(text.substr(2, 2));
      if (!byte || byte->front() >= 0x20) return false;
      out += static_cast<char>(byte->front());
      text.remove_prefix(4);
    } else {
      return false;
    }
  }
  return true;
}

void appendDisclosureText(std::string_view salt, std::string_view path, std::string_view value, WipingString& json) {
  json += "[\"";
  json += salt;
  json += "\",\"";
  appendEscaped(path, json);
  json += "\",\"";
  appendEscaped(value, json);
  json += "\"]";
}

}  // namespace

PersonalValue commitTo(const SubjectKey& key, WorkspaceNumber workspace, const EntryId& entry, std::string_view path,
                       std::string_view value, const crypto::AeadNonce& nonce) {
  const Place place(workspace, entry);
  const crypto::Digest salt = key.hmac().mac({bytesOf("counterfoil salt v1\n"), place.bytes(), bytesOf(path)});
  // Associated data and JSON in one buffer. Six bytes for a control character is the most one byte becomes; most texts have none, so it is
  // rarely moved.
  WipingString work;
  work.reserve(8 + entry.bytes.size() + value.size() + value.size() / 8 + 2 * path.size() + kSaltDigits + 16);
  appendAssociatedData(workspace, entry, path, work);
  const std::size_t associated = work.size();
  appendDisclosureText(toBase64Url(crypto::Bytes(salt).first(kSaltBytes)), path, value, work);
  const std::string_view whole = work;
  std::string encoded = toBase64Url(bytesOf(whole.substr(associated)));

  PersonalValue result;
  result.commitment.path = path;
  result.commitment.digest = crypto::sha256(bytesOf(encoded));
  result.disclosure.path = path;
  result.disclosure.keyId = key.id();
  result.disclosure.nonce = nonce;
  result.disclosure.sealed.resize(encoded.size() + crypto::kAeadTagSize);
  crypto::sealOnce(DisclosureKey(key, place, path).bytes, nonce, bytesOf(whole.substr(0, associated)), bytesOf(encoded),
                   result.disclosure.sealed);
  crypto::wipe(encoded.data(), encoded.size());
  return result;
}

std::optional<crypto::SecretBytes> disclose(const SubjectKey& key, WorkspaceNumber workspace, const EntryId& entry,
                                            const SealedDisclosure& disclosure, const crypto::Digest& commitment) {
  const std::string_view path = disclosure.path;
  WipingString associated;
  appendAssociatedData(workspace, entry, path, associated);
  const crypto::AeadKey aead{crypto::Bytes(DisclosureKey(key, Place(workspace, entry), path).bytes)};
  const auto encoded = aead.open(disclosure.nonce, bytesOf(associated), disclosure.sealed);
  if (!encoded || !crypto::equalConstantTime(crypto::sha256(encoded->bytes()), commitment)) return std::nullopt;
  auto json = fromBase64Url(encoded->text());
  if (!json) return std::nullopt;
  const crypto::SecretBytes array{crypto::Bytes(*json)};
  crypto::wipe(json->data(), json->size());

  std::string_view rest = array.text();
  WipingString middle = "\",\"";
  appendEscaped(path, middle);
  middle += "\",\"";
  constexpr std::string_view kOpen = "[\"";
  constexpr std::string_view kClose = "\"]";
  if (rest.size() < kOpen.size() + kSaltDigits || !rest.starts_with(kOpen)) return std::nullopt;
  rest.remove_prefix(kOpen.size() + kSaltDigits);
  if (!rest.starts_with(std::string_view(middle)) || rest.size() < middle.size() + kClose.size() || !rest.ends_with(kClose))
    return std::nullopt;
  rest.remove_prefix(middle.size());
  rest.remove_suffix(kClose.size());
  WipingString value;
  value.reserve(rest.size());
  if (!unescape(rest, value)) return std::nullopt;
  return crypto::SecretBytes(std::string_view(value));
}

}  // namespace counterfoil::redact

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
  crypto::Bytes bytes() const { return crypto::bytesOf({text_.data(), size_}); }

 private:
  std::array<char, 20 + 1 + 2 * std::tuple_size_v<decltype(EntryId::bytes)> + 1> text_;
  std::size_t size_ = 0;
};

void appendAssociatedData(WorkspaceNumber workspace, const EntryId& entry, std::string_view path, WipingString& out) {
  for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>(workspace.value >> shift);
  out.append(reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size());
  out += path;
}

constexpr std::string_view kSaltLabel = "counterfoil salt v1\n";
constexpr std::string_view kDisclosureLabel = "counterfoil disclosure v1\n";
// RFC 5869 2.3: the first block of output, the only one.
constexpr char kFirstBlock = 1;

// The disclosure's own key: HKDF(K_subject, ...), of which the first step is kept with the subject's key.
struct DisclosureKey {
  crypto::Digest bytes;
  DisclosureKey(const SubjectKey& key, const Place& place, std::string_view path) {
    bytes = key.expand().mac({crypto::bytesOf(kDisclosureLabel), place.bytes(), crypto::bytesOf(path), crypto::bytesOf({&kFirstBlock, 1})});
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

namespace {

// As many values as fill the lanes of the processor: each has a salt and a key.
constexpr std::size_t kTogether = crypto::ShortMessages::kLanes / 2;

// Of several values of one entry: each one's salt, then each one's disclosure key.
class SaltsAndKeys {
 public:
  SaltsAndKeys(const Place& place, std::span<const PersonalText> values) : count_(values.size()) {
    std::size_t bytes = 0;
    for (const PersonalText& value : values) {
      bytes += 2 * (place.bytes().size() + value.path.size()) + kSaltLabel.size() + kDisclosureLabel.size() + 1;
    }
    std::string messages;  // hold no value
    messages.reserve(bytes);
    std::array<crypto::MacJob, 2 * kTogether> jobs;
    const auto add = [&](std::size_t job, const crypto::HmacKey& key, std::string_view label, std::string_view path) {
      const std::size_t from = messages.size();
      messages.append(label).append(reinterpret_cast<const char*>(place.bytes().data()), place.bytes().size()).append(path);
      if (job >= count_) messages += kFirstBlock;
      jobs[job] = {&key, crypto::bytesOf(std::string_view(messages).substr(from))};
    };
    for (std::size_t index = 0; index < count_; ++index) {
      add(index, values[index].key->hmac(), kSaltLabel, values[index].path);
      add(count_ + index, values[index].key->expand(), kDisclosureLabel, values[index].path);
    }
    crypto::macsTogether(std::span(jobs).first(2 * count_), macs_);
  }
  SaltsAndKeys(const SaltsAndKeys&) = delete;
  SaltsAndKeys& operator=(const SaltsAndKeys&) = delete;
  ~SaltsAndKeys() { crypto::wipe(macs_.data(), sizeof(macs_)); }
  crypto::Bytes salt(std::size_t index) const { return crypto::Bytes(macs_[index]).first(kSaltBytes); }
  crypto::Bytes key(std::size_t index) const { return macs_[count_ + index]; }

 private:
  std::size_t count_;
  std::array<crypto::Digest, 2 * kTogether> macs_;
};

// What is sealed of a value, and with what it is bound.
struct Disclosed {
  WipingString associated;
  std::string encoded;
  Disclosed() = default;
  Disclosed(const Disclosed&) = delete;
  Disclosed& operator=(const Disclosed&) = delete;
  ~Disclosed() { crypto::wipe(encoded.data(), encoded.size()); }
};

void commitTogether(WorkspaceNumber workspace, const EntryId& entry, const Place& place, std::span<const PersonalText> values,
                    std::vector<PersonalValue>& results) {
  const SaltsAndKeys derived(place, values);
  std::array<Disclosed, kTogether> disclosed;
  std::array<crypto::Bytes, kTogether> encoded;
  for (std::size_t index = 0; index < values.size(); ++index) {
    const auto& [key, path, value, nonce] = values[index];
    appendAssociatedData(workspace, entry, path, disclosed[index].associated);
    // Six bytes for a control character is the most one byte becomes; most texts have none, so it is rarely moved.
    WipingString json;
    json.reserve(value.size() + value.size() / 8 + path.size() + kSaltDigits + 16);
    appendDisclosureText(toBase64Url(derived.salt(index)), path, value, json);
    disclosed[index].encoded = toBase64Url(crypto::bytesOf(json));
    encoded[index] = crypto::bytesOf(disclosed[index].encoded);
  }
  std::array<crypto::Digest, kTogether> digests;
  crypto::sha256Together(std::span(encoded).first(values.size()), digests);
  crypto::OneTimeSealer sealer;
  for (std::size_t index = 0; index < values.size(); ++index) {
    PersonalValue& result = results.emplace_back();
    result.commitment.path = values[index].path;
    result.commitment.digest = digests[index];
    result.disclosure.path = values[index].path;
    result.disclosure.keyId = values[index].key->id();
    result.disclosure.nonce = values[index].nonce;
    result.disclosure.sealed.resize(encoded[index].size() + crypto::kAeadTagSize);
    sealer.seal(derived.key(index), values[index].nonce, crypto::bytesOf(disclosed[index].associated), encoded[index],
                result.disclosure.sealed);
  }
}

}  // namespace

std::vector<PersonalValue> commitTo(WorkspaceNumber workspace, const EntryId& entry, std::span<const PersonalText> values) {
  const Place place(workspace, entry);
  std::vector<PersonalValue> results;
  results.reserve(values.size());
  for (std::size_t from = 0; from < values.size(); from += kTogether) {
    commitTogether(workspace, entry, place, values.subspan(from, std::min(kTogether, values.size() - from)), results);
  }
  return results;
}

std::optional<crypto::SecretBytes> disclose(const SubjectKey& key, WorkspaceNumber workspace, const EntryId& entry,
                                            const SealedDisclosure& disclosure, const crypto::Digest& commitment) {
  const std::string_view path = disclosure.path;
  WipingString associated;
  appendAssociatedData(workspace, entry, path, associated);
  const crypto::AeadKey aead{crypto::Bytes(DisclosureKey(key, Place(workspace, entry), path).bytes)};
  const auto encoded = aead.open(disclosure.nonce, crypto::bytesOf(associated), disclosure.sealed);
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

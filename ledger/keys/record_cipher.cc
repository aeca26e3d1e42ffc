#include "ledger/keys/record_cipher.h"

#include <algorithm>
#include <cstring>

#include "ledger/core/check.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"

namespace counterfoil::keys {
namespace {

constexpr std::size_t kNonceBytes = crypto::kAeadNonceSize;

// number, seq, leaf hash, SHA-256(canonical newKeys).
using AssociatedData = std::array<std::uint8_t, 8 + 8 + crypto::kDigestSize + crypto::kDigestSize>;

AssociatedData associatedData(WorkspaceNumber workspace, Sequence seq, const LeafHash& leaf, const crypto::Digest& newKeys) {
  AssociatedData data;
  std::uint8_t* out = data.data();
  for (const std::uint64_t number : {workspace.value, seq.value}) {
    for (int shift = 0; shift < 64; shift += 8) *out++ = static_cast<std::uint8_t>(number >> shift);
  }
  out = std::copy(leaf.bytes.begin(), leaf.bytes.end(), out);
  std::copy(newKeys.begin(), newKeys.end(), out);
  return data;
}

// Canonical newKeys: the structure Keys that holds them, which is also what a record of kind keys is.
StructValue keysValue(Arena& arena, std::span<const StructValue> wrapped) {
  StructValue keys = makeStruct(arena, *schemaTables().keys);
  keys.setStructures(arena, Field::newKeys, wrapped);
  return keys;
}

crypto::Digest newKeysDigest(Arena& arena, std::span<const StructValue> wrapped) {
  // Most records bring no key.
  static const crypto::Digest kNone = [] {
    Arena empty;
    return crypto::sha256(encodeCanonical(keysValue(empty, {})));
  }();
  return wrapped.empty() ? kNone : crypto::sha256(encodeCanonical(keysValue(arena, wrapped)));
}

std::span<StructValue> toValues(Arena& arena, const std::vector<WrappedKey>& keys) {
  const std::span<StructValue> values = arena.array<StructValue>(keys.size());
  std::transform(keys.begin(), keys.end(), values.begin(), [&](const WrappedKey& key) { return toValue(arena, key); });
  return values;
}

void encodeSealed(Arena& arena, const Entry& entry, std::vector<std::uint8_t>& out) {
  const RedactionResult& redaction = entry.redaction();
  StructValue sealed = makeStruct(arena, *schemaTables().sealed);
  sealed.at(Field::entry) = FieldValue::ofBytes(entry.bytes());
  sealed.at(Field::requestDigest) = FieldValue::ofBytes(redaction.requestDigest);
  sealed.setNumber(Field::fingerprintGeneration, redaction.fingerprintGeneration);
  const std::span<StructValue> disclosures = arena.array<StructValue>(redaction.disclosures.size());
  std::size_t total = 0;
  for (std::size_t index = 0; index < disclosures.size(); ++index) {
    const SealedDisclosure& from = redaction.disclosures[index];
    StructValue& to = disclosures[index];
    to = makeStruct(arena, *schemaTables().sealedDisclosure);
    to.at(Field::path) = FieldValue::ofText(from.path);
    to.at(Field::keyId) = FieldValue::ofBytes(from.keyId.bytes);
    to.at(Field::nonce) = FieldValue::ofBytes(from.nonce);
    to.at(Field::sealed) = FieldValue::ofBytes(from.sealed);
    total += from.sealed.size();
  }
  COUNTERFOIL_CHECK(total <= limits::kDisclosureBytesMax);
  sealed.setStructures(arena, Field::disclosures, disclosures);
  encodeCanonical(sealed, out);
}

bool fromSealed(const StructValue& sealed, OpenedRecord& opened) {
  const std::string_view entry = sealed.text(Field::entry);
  const std::string_view digest = sealed.text(Field::requestDigest);
  if (entry.empty() || digest.size() != opened.requestDigest.size()) return false;
  opened.entry.assign(entry.begin(), entry.end());
  std::memcpy(opened.requestDigest.data(), digest.data(), digest.size());
  opened.fingerprintGeneration = static_cast<std::uint32_t>(sealed.number(Field::fingerprintGeneration));
  const std::span<const StructValue> disclosures = sealed.structures(Field::disclosures);
  opened.disclosures.resize(disclosures.size());
  for (std::size_t index = 0; index < disclosures.size(); ++index) {
    SealedDisclosure& to = opened.disclosures[index];
    const std::string_view keyId = disclosures[index].text(Field::keyId);
    const std::string_view nonce = disclosures[index].text(Field::nonce);
    const std::string_view bytes = disclosures[index].text(Field::sealed);
    if (keyId.size() != to.keyId.bytes.size() || nonce.size() != to.nonce.size() || bytes.size() < crypto::kAeadTagSize) return false;
    to.path.assign(disclosures[index].text(Field::path));
    std::memcpy(to.keyId.bytes.data(), keyId.data(), keyId.size());
    std::memcpy(to.nonce.data(), nonce.data(), nonce.size());
    to.sealed.assign(bytes.begin(), bytes.end());
  }
  return true;
}

// False if one is damaged. Those whose key-encryption key is gone are passed over: what they protected is withheld.
bool applyKeys(WorkspaceKeys& keys, std::span<const StructValue> values) {
  if (values.empty()) return true;
  std::vector<WrappedKey> wrapped(values.size());
  for (std::size_t index = 0; index < values.size(); ++index) {
    if (!fromValue(values[index], wrapped[index])) return false;
  }
  return keys.applyWrapped(wrapped) != ApplyOutcome::damaged;
}

// Memory for one record at a time, kept for the next. Wiped where a plaintext lay.
struct Scratch {
  Arena arena;
  std::vector<std::uint8_t> plain;
  std::vector<std::uint8_t> sealed;

  ~Scratch() { clear(); }
  void clear() {
    arena.reset();
    crypto::wipe(plain.data(), plain.size());
    plain.clear();
    // A record of the usual size is a few hundred bytes; one that was much larger must not stay for the life of the thread.
    constexpr std::size_t kKeptBytes = 64 * 1024;
    if (plain.capacity() > kKeptBytes) plain.shrink_to_fit();
    if (sealed.capacity() > kKeptBytes) std::vector<std::uint8_t>().swap(sealed);
  }
};

Scratch& threadScratch() {
  thread_local Scratch scratch;
  return scratch;
}

struct ScratchUse {
  Scratch& scratch = threadScratch();
  ScratchUse() = default;
  ScratchUse(const ScratchUse&) = delete;
  ScratchUse& operator=(const ScratchUse&) = delete;
  ~ScratchUse() { scratch.clear(); }
};

}  // namespace

std::vector<std::uint8_t> sealRecord(const Entry& entry, const LogKey& key, const std::vector<WrappedKey>& newKeys,
                                     const crypto::AeadNonce& nonce) {
  COUNTERFOIL_CHECK(entry.workspace() == key.workspace);
  const ScratchUse use;
  Arena& arena = use.scratch.arena;
  const std::span<StructValue> wrapped = toValues(arena, newKeys);
  const AssociatedData data = associatedData(entry.workspace(), entry.seq(), entry.leaf(), newKeysDigest(arena, wrapped));
  encodeSealed(arena, entry, use.scratch.plain);

  // Never made smaller: what is added to a vector is zeroed first.
  std::vector<std::uint8_t>& room = use.scratch.sealed;
  const std::size_t size = kNonceBytes + use.scratch.plain.size() + crypto::kAeadTagSize;
  if (room.size() < size) room.resize(size);
  const std::span<std::uint8_t> sealed = std::span(room).first(size);
  std::copy(nonce.begin(), nonce.end(), sealed.begin());
  key.aead.seal(nonce, data, use.scratch.plain, sealed.subspan(kNonceBytes));

  StructValue record = makeStruct(arena, *schemaTables().record);
  record.at(Field::sealed) = FieldValue::ofBytes(sealed);
  record.at(Field::keyId) = FieldValue::ofBytes(key.id.bytes);
  record.setStructures(arena, Field::newKeys, wrapped);
  constexpr std::size_t kAroundSealed = 256;  // and no new key, as usual
  std::vector<std::uint8_t> result;
  result.reserve(size + kAroundSealed);
  encodeCanonical(record, result);
  COUNTERFOIL_CHECK(result.size() <= limits::kRecordBytesMax);
  return result;
}

std::vector<std::uint8_t> keysRecord(const std::vector<WrappedKey>& newKeys) {
  Arena arena;
  return encodeCanonical(keysValue(arena, toValues(arena, newKeys)));
}

namespace {

enum class NewKeys : std::uint8_t { apply, leave };

OpenOutcome open(WorkspaceKeys& keys, Sequence seq, const LeafHash& leaf, crypto::Bytes value, OpenedRecord& opened, LeafCheck check,
                 NewKeys wanted) {
  if (value.size() > limits::kRecordBytesMax) return OpenOutcome::damaged;
  const ScratchUse use;
  Arena& arena = use.scratch.arena;
  const DecodeResult record = decodeCanonical(*schemaTables().record, value, Strictness::strict, arena);
  if (!record) return OpenOutcome::damaged;
  const crypto::Bytes sealed = crypto::bytesOf(record.value.text(Field::sealed));
  const std::string_view idBytes = record.value.text(Field::keyId);
  KeyId id;
  if (idBytes.size() != id.bytes.size() || sealed.size() < kNonceBytes + crypto::kAeadTagSize) return OpenOutcome::damaged;
  std::memcpy(id.bytes.data(), idBytes.data(), idBytes.size());

  const std::span<const StructValue> newKeys = record.value.structures(Field::newKeys);
  if (wanted == NewKeys::apply && !applyKeys(keys, newKeys)) return OpenOutcome::damaged;
  opened.logKey = id;
  const std::shared_ptr<const LogKey> key = keys.findLogKey(id);
  if (key == nullptr) return OpenOutcome::withheld;

  const AssociatedData data = associatedData(keys.workspace(), seq, leaf, newKeysDigest(arena, newKeys));
  crypto::AeadNonce nonce;
  std::copy_n(sealed.begin(), nonce.size(), nonce.begin());
  std::vector<std::uint8_t>& plain = use.scratch.plain;
  plain.resize(sealed.size() - kNonceBytes - crypto::kAeadTagSize);
  if (!key->aead.open(nonce, data, sealed.subspan(kNonceBytes), plain)) return OpenOutcome::damaged;

  const DecodeResult content = decodeCanonical(*schemaTables().sealed, plain, Strictness::strict, arena);
  if (!content || !fromSealed(content.value, opened)) return OpenOutcome::damaged;
  if (check == LeafCheck::hash && leafHash(opened.entry) != leaf) return OpenOutcome::damaged;
  return OpenOutcome::opened;
}

}  // namespace

OpenOutcome openRecord(WorkspaceKeys& keys, Sequence seq, const LeafHash& leaf, crypto::Bytes value, OpenedRecord& opened,
                       LeafCheck check) {
  return open(keys, seq, leaf, value, opened, check, NewKeys::apply);
}

OpenOutcome reopenRecord(WorkspaceKeys& keys, Sequence seq, const LeafHash& leaf, crypto::Bytes value, OpenedRecord& opened) {
  return open(keys, seq, leaf, value, opened, LeafCheck::hash, NewKeys::leave);
}

bool openKeysRecord(WorkspaceKeys& keys, crypto::Bytes value) {
  Arena arena;
  const DecodeResult record = decodeCanonical(*schemaTables().keys, value, Strictness::strict, arena);
  return record && applyKeys(keys, record.value.structures(Field::newKeys));
}

bool readKeysRecord(crypto::Bytes value, std::vector<WrappedKey>& keys) {
  Arena arena;
  const DecodeResult record = decodeCanonical(*schemaTables().keys, value, Strictness::strict, arena);
  if (!record) return false;
  for (const StructValue& each : record.value.structures(Field::newKeys)) {
    if (!fromValue(each, keys.emplace_back())) return false;
  }
  return true;
}

bool newKeyIds(crypto::Bytes value, std::vector<KeyId>& ids) {
  Arena arena;
  const DecodeResult record = decodeCanonical(*schemaTables().record, value, Strictness::strict, arena);
  if (!record) return false;
  for (const StructValue& wrapped : record.value.structures(Field::newKeys)) {
    WrappedKey key;
    if (!fromValue(wrapped, key)) return false;
    ids.push_back(key.keyId);
  }
  return true;
}

}  // namespace counterfoil::keys

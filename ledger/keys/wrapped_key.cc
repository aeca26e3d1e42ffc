#include "ledger/keys/wrapped_key.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "ledger/crypto/aead.h"

namespace counterfoil::keys {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kDirectoryTagBytes = 32;
constexpr std::uint64_t kPurposeMax = static_cast<std::uint64_t>(KeyPurpose::state);
constexpr std::uint64_t kVersionMax = 0xffffffff;

std::uint8_t* putInteger(std::uint8_t* out, std::uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) *out++ = static_cast<std::uint8_t>(value >> shift);
  return out;
}

std::size_t sealedBytes(KeyPurpose purpose) {
  return kKeyBytes + (purpose == KeyPurpose::subject ? kDirectoryTagBytes : 0) + crypto::kAeadTagSize;
}

}  // namespace

std::uint64_t monthGeneration(Timestamp recordedAt) {
  const std::chrono::sys_time<std::chrono::nanoseconds> time{std::chrono::nanoseconds(recordedAt.nanoseconds)};
  const std::chrono::year_month_day date{std::chrono::floor<std::chrono::days>(time)};
  return static_cast<std::uint64_t>(static_cast<int>(date.year())) * 12 + static_cast<unsigned>(date.month()) - 1;
}

std::array<std::uint8_t, 40> wrapAssociatedData(WorkspaceNumber workspace, const WrappedKey& key) {
  std::array<std::uint8_t, 40> data;
  std::uint8_t* out = putInteger(data.data(), workspace.value);
  out = std::copy(key.keyId.bytes.begin(), key.keyId.bytes.end(), out);
  out = putInteger(out, static_cast<std::uint64_t>(key.purpose));
  putInteger(out, key.generation);
  return data;
}

StructValue toValue(Arena& arena, const WrappedKey& key) {
  StructValue value = makeStruct(arena, *schemaTables().wrappedKey);
  value.at(Field::keyId) = FieldValue::ofBytes(key.keyId.bytes);
  value.setNumber(Field::purpose, static_cast<std::uint64_t>(key.purpose));
  value.setNumber(Field::generation, key.generation);
  value.setNumber(Field::kek, key.kek);
  value.at(Field::nonce) = FieldValue::ofBytes(key.nonce);
  value.at(Field::sealed) = FieldValue::ofBytes(key.sealed);
  return value;
}

bool fromValue(const StructValue& value, WrappedKey& key) {
  const std::string_view id = value.text(Field::keyId);
  const std::string_view nonce = value.text(Field::nonce);
  const std::string_view sealed = value.text(Field::sealed);
  const std::uint64_t purpose = value.number(Field::purpose);
  const std::uint64_t kek = value.number(Field::kek);
  if (purpose == 0 || purpose > kPurposeMax || kek == 0 || kek > kVersionMax) return false;
  key.purpose = static_cast<KeyPurpose>(purpose);
  if (id.size() != key.keyId.bytes.size() || nonce.size() != key.nonce.size() || sealed.size() != sealedBytes(key.purpose)) return false;
  std::memcpy(key.keyId.bytes.data(), id.data(), id.size());
  std::memcpy(key.nonce.data(), nonce.data(), nonce.size());
  key.generation = value.number(Field::generation);
  key.kek = static_cast<std::uint32_t>(kek);
  key.sealed.assign(sealed.begin(), sealed.end());
  return true;
}

}  // namespace counterfoil::keys

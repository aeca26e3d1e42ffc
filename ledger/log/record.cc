#include "ledger/log/record.h"

#include <algorithm>

#include "ledger/core/check.h"
#include "ledger/log/little_endian.h"

namespace counterfoil::log {
namespace {

std::uint8_t* putHash(std::uint8_t* target, const LeafHash& hash) {
  return std::copy(hash.bytes.begin(), hash.bytes.end(), target);
}

const std::uint8_t* getHash(const std::uint8_t* source, LeafHash& hash) {
  std::copy_n(source, hash.bytes.size(), hash.bytes.begin());
  return source + hash.bytes.size();
}

}  // namespace

std::array<std::uint8_t, kHeaderSize> encodeHeader(const RecordHeader& header) {
  std::array<std::uint8_t, kHeaderSize> bytes;
  std::uint8_t* at = bytes.data();
  *at++ = static_cast<std::uint8_t>(header.kind);
  *at++ = header.version;
  at = putLittleEndian(at, header.level);
  at = putLittleEndian(at, header.term);
  at = putLittleEndian(at, header.pseq);
  at = putLittleEndian(at, header.node);
  at = putLittleEndian(at, header.incarnation);
  at = putLittleEndian(at, header.workspace.value);
  at = putLittleEndian(at, header.seq.value);
  at = putHash(at, header.previous);
  at = putHash(at, header.leaf);
  COUNTERFOIL_CHECK(at == bytes.data() + bytes.size());
  return bytes;
}

bool decodeHeader(crypto::Bytes bytes, RecordHeader& header) {
  if (bytes.size() != kHeaderSize || bytes[1] != kHeaderVersion) return false;
  const std::uint8_t* at = bytes.data();
  header.kind = static_cast<RecordKind>(*at++);
  header.version = *at++;
  at = getLittleEndian(at, header.level);
  at = getLittleEndian(at, header.term);
  at = getLittleEndian(at, header.pseq);
  at = getLittleEndian(at, header.node);
  at = getLittleEndian(at, header.incarnation);
  at = getLittleEndian(at, header.workspace.value);
  at = getLittleEndian(at, header.seq.value);
  at = getHash(at, header.previous);
  getHash(at, header.leaf);
  return true;
}

}  // namespace counterfoil::log

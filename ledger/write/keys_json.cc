#include "ledger/write/keys_json.h"

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "ledger/core/workspace_state.h"

namespace counterfoil::write {
namespace {

std::string_view purposeName(keys::KeyPurpose purpose) {
  switch (purpose) {
    case keys::KeyPurpose::log:
      return "log";
    case keys::KeyPurpose::subject:
      return kSubjectPurpose;
    case keys::KeyPurpose::directory:
      return "directory";
    case keys::KeyPurpose::fingerprint:
      return kFingerprintPurpose;
    case keys::KeyPurpose::digest:
      return "digest";
    case keys::KeyPurpose::state:
      return "state";
  }
  return "unknown";
}

}  // namespace

std::string keysJson(const keys::WorkspaceKeys& keys) {
  std::uint64_t persons = 0;
  std::string items = "[";
  for (const keys::KeyFacts& key : keys.list()) {
    if (key.person) {
      ++persons;
      continue;
    }
    if (items.size() > 1) items += ',';
    JsonObject item(items);
    item.text("keyId", toHex(key.id.bytes)).text("purpose", purposeName(key.purpose)).number("generation", key.generation);
    item.number("kek", key.kek);
    item.end();
  }
  std::string out;
  JsonObject(out).raw("items", items + "]").number("persons", persons).end();
  return out;
}

}  // namespace counterfoil::write

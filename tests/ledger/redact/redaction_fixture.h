// A workspace with keys and known secrets, and a small vocabulary to redact events in it and look at what is left.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <tuple>

#include "ledger/core/codec.h"
#include "ledger/core/encoding.h"
#include "ledger/core/entry.h"
#include "ledger/core/outcome.h"
#include "ledger/keys/key_ring.h"
#include "ledger/redact/fingerprint.h"
#include "ledger/redact/redactor.h"
#include "tests/support/memory_key_provider.h"

namespace counterfoil::redact::test {

class KnownSecretSet final : public KnownSecrets {
 public:
  bool contains(WorkspaceNumber workspace, std::uint32_t generation, const FingerprintTag& tag) const override {
    return tags_.contains({workspace.value, generation, tag});
  }
  bool empty(WorkspaceNumber workspace) const override {
    return std::none_of(tags_.begin(), tags_.end(), [&](const auto& row) { return std::get<0>(row) == workspace.value; });
  }
  void add(WorkspaceNumber workspace, std::uint32_t generation, const FingerprintTag& tag) {
    tags_.insert({workspace.value, generation, tag});
  }

 private:
  std::set<std::tuple<std::uint64_t, std::uint32_t, FingerprintTag>> tags_;
};

class RedactionTest : public ::testing::Test {
 protected:
  static constexpr WorkspaceNumber kWorkspace{12};

  static crypto::Bytes bytesOf(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }
  std::string fingerprintOf(std::string_view secret) {
    return fingerprintText(*keys_->currentFingerprint(), crypto::sha256(bytesOf(secret)));
  }
  // As if a live lease of the workspace held `secret`.
  void know(std::string_view secret) {
    const auto key = keys_->currentFingerprint();
    known_.add(kWorkspace, key->generation(), fingerprintTag(*key, crypto::sha256(bytesOf(secret))));
  }

  Event event(Kind kind) {
    Event made = Event::make(kind);
    made.id = EntryId{random_.bytes<16>()};
    return made;
  }
  static void setSecret(Event& event, Field field, std::string_view text, SecretForm form) {
    event.body.setText(event.arena, field, text);
    event.body.at(field).secretForm = form;
  }
  RedactedEvent redact(Event event) { return redactor_.redact(std::move(event)); }

  // What redacting an event with `text` in `field` ends with: the kept text, or the fault's code in angle brackets.
  std::string kept(Kind kind, Field field, std::string_view text, bool lenient = false) {
    Event made = event(kind);
    made.lenient = lenient;
    StructValue& target = made.body.has(field) ? made.body : made.common;
    target.setText(made.arena, field, text);
    try {
      last_ = std::make_unique<RedactedEvent>(redact(std::move(made)));
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.field(), "/" + std::string(schemaTables().kinds[static_cast<std::size_t>(kind)].body->find(field) != nullptr
                                                     ? schemaTables().kinds[static_cast<std::size_t>(kind)].body->find(field)->name
                                                     : schemaTables().entry->find(field)->name));
      return "<" + std::string(factsOf(fault.code()).text) + ">";
    }
    const StructValue& result = last_->body().has(field) ? last_->body() : last_->common();
    return std::string(result.text(field));
  }
  // "path=rule" of all redactions of the last kept().
  std::vector<std::string> rules() const { return rulesOf(last_->redaction()); }
  static std::vector<std::string> rulesOf(const RedactionResult& result) {
    std::vector<std::string> texts;
    for (const FieldRedaction& redaction : result.redactions) texts.push_back(redaction.path + "=" + redaction.rule);
    return texts;
  }

  // The value behind the commitment at `path`, opened with the key it names; "<none>" if there is none.
  std::string disclosed(const EntryId& entry, const RedactionResult& result, std::string_view path) {
    for (std::size_t index = 0; index < result.disclosures.size(); ++index) {
      const SealedDisclosure& disclosure = result.disclosures[index];
      EXPECT_EQ(result.commitments.at(index).path, disclosure.path);
      if (disclosure.path != path) continue;
      const auto key = keys_->findSubjectById(disclosure.keyId);
      if (key == nullptr) return "<no key>";
      const auto value = disclose(*key, kWorkspace, entry, disclosure, result.commitments.at(index).digest);
      return value ? std::string(value->text()) : "<does not open>";
    }
    return "<none>";
  }
  static KeyId keyOf(const RedactionResult& result, std::string_view path) {
    for (const SealedDisclosure& disclosure : result.disclosures) {
      if (disclosure.path == path) return disclosure.keyId;
    }
    return {};
  }
  std::string pseudonym(std::string_view person) { return pseudonymOf(*keys_->subject(PrincipalKind::human, person)); }

  crypto::SystemRandom random_;
  counterfoil::test::MemoryKeyProvider provider_{random_};
  keys::KeyRing ring_{provider_, random_};
  std::shared_ptr<keys::WorkspaceKeys> keys_ = ring_.workspace(kWorkspace);
  KnownSecretSet known_;
  Redactor redactor_{*keys_, &known_, random_};
  std::unique_ptr<RedactedEvent> last_;
};

}  // namespace counterfoil::redact::test

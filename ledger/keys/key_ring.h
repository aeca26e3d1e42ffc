// All data keys of all workspaces, in memory. Fed by the wrapped keys that records carry; makes new ones on demand.
//
// A new key is *pending* until the record that first carries it is durable. The sequencer asks for the wrapped form of the pending keys a
// record uses (carry), and says what became of them (settle, dropPending).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ledger/core/redaction_keys.h"
#include "ledger/crypto/aead.h"
#include "ledger/crypto/random.h"
#include "ledger/keys/key_provider.h"
#include "ledger/keys/wrapped_key.h"

namespace counterfoil::keys {

// K_log of one month, or K_state: an AEAD key and its id. `workspace` binds what is sealed under it.
struct LogKey {
  KeyId id;
  WorkspaceNumber workspace;
  crypto::AeadKey aead;
};

class KeyRing;

enum class ApplyOutcome : std::uint8_t { applied, someWithheld, damaged };

struct WorkspaceWrappedKeys {
  WorkspaceNumber workspace;
  std::vector<WrappedKey> keys;
};

// All of a workspace's keys, wrapped under a new version of its key-encryption key.
struct Renewal {
  std::uint32_t version = 0;
  std::vector<WrappedKey> keys;
  std::uint64_t drops = 0;  // WorkspaceKeys::drops() when they were collected
};

// One key as it may be shown.
struct KeyFacts {
  KeyId id;
  KeyPurpose purpose{};
  std::uint64_t generation = 0;
  std::uint32_t kek = 0;  // version of the key-encryption key that its newest form is wrapped under
  bool person = false;    // of purpose subject: not the workspace's own
};

// One workspace's keys. Thread safe; look-ups take a shared lock for some ten nanoseconds and do no I/O, unless they make a key.
class WorkspaceKeys final : public RedactionKeys {
 public:
  WorkspaceNumber workspace() const override;
  std::shared_ptr<const SubjectKey> subject(PrincipalKind kind, std::string_view id) override;
  std::shared_ptr<const SubjectKey> findSubject(PrincipalKind kind, std::string_view id) override;
  std::shared_ptr<const SubjectKey> workspaceSubject() override;
  std::shared_ptr<const FingerprintKey> currentFingerprint() override;
  std::vector<std::shared_ptr<const FingerprintKey>> livingFingerprints() override;
  crypto::Digest keyedDigest(std::initializer_list<crypto::Bytes> parts, KeyId& usedKey) override;

  // The key for records of the month of `recordedAt`, made if there is none.
  std::shared_ptr<const LogKey> logKey(Timestamp recordedAt);
  // The months that have a key which is in the log, and the keys' ids; ascending.
  std::vector<std::pair<std::uint64_t, KeyId>> months() const;
  // The log key with this id; null if it is unknown or was destroyed.
  std::shared_ptr<const LogKey> findLogKey(const KeyId& id);
  // The subject key with this id (to open a disclosure); null if unknown or destroyed.
  std::shared_ptr<const SubjectKey> findSubjectById(const KeyId& id);
  // The subject key whose pseudonym this is; null if unknown or destroyed. Computes those that were never asked for.
  std::shared_ptr<const SubjectKey> findSubjectByPseudonym(std::string_view pseudonym);
  // What can be told of the keys that are in the log or on their way to it, by purpose and generation.
  std::vector<KeyFacts> list() const;
  // All subject keys that can be used now, for searching an address.
  std::vector<std::shared_ptr<const SubjectKey>> allSubjects();
  // K_state, which seals this workspace's sections of snapshots, made if there is none.
  std::shared_ptr<const LogKey> stateKey();

  // Takes keys from a durable record. One already known becomes durable. Those whose key-encryption key was destroyed are passed over, and
  // the outcome says so. Damaged: one does not authenticate; nothing is changed then. Other faults of the provider pass.
  [[nodiscard]] ApplyOutcome applyWrapped(std::span<const WrappedKey> keys);
  // Has those of `used` wrapped that are pending, and the directory key a subject's key is found by: carry() asks the provider for nothing
  // then. For whoever may not stop half-way, or must not wait. Faults of the provider pass; nothing is changed then.
  void prepare(std::span<const KeyId> used);
  // The wrapped form of those of `used` that are pending and not yet carried by an earlier record; marks them carried. A subject's key
  // brings the directory key it is found by. Faults of the provider pass; nothing is marked then.
  std::vector<WrappedKey> carry(std::span<const KeyId> used);
  // Makes a new version of the key-encryption key, and wraps under it every key that is durable or on its way to the log; what is carried
  // from then on is wrapped under it as well. What records must hold before the versions before it are destroyed. Faults of the provider
  // pass; there may be a version more then.
  Renewal renew();
  // The versions of the key-encryption key before this one are gone for good, with whatever they alone wrapped. Faults of the provider
  // pass.
  void destroyBefore(std::uint32_t version);
  // Forgets and wipes every key of an erased workspace, and never takes or makes one again: what would need one throws Fault(workspaceClosed).
  void forgetAll();
  // Asks the provider, whose faults pass.
  bool hasKeyEncryptionKey() const;
  // forgetAll() was called.
  bool gone() const;
  // forgetAll(), and every version of the key-encryption key is gone for good. The newest there was; 0 if there was none. Faults of the
  // provider pass.
  std::uint32_t destroyAll();
  // Every durable key as it was wrapped last, without a word to the provider: what a snapshot holds.
  std::vector<WrappedKey> durableKeys() const;
  // The carried keys among `ids` are durable from now on.
  void settle(std::span<const KeyId> ids);
  // Forgets and wipes every key that is not durable.
  void dropPending();
  // Forgets and wipes one key, durable or not: it was erased. Never takes it again, whichever old record brings it. Unknown ids are no
  // fault.
  void forget(const KeyId& id);
  // A new generation of K_fingerprint (compromise, or yearly); pending like every new key.
  std::shared_ptr<const FingerprintKey> nextFingerprint();
  // True while `id` is known (durable, carried or pending): a request redacted under a dropped key must not be recorded.
  bool usable(const KeyId& id) const;
  // True if a record that has the key is durable or on its way to the log: not of one that only a refused request needed.
  bool isCarried(const KeyId& id) const;
  // How often dropPending() dropped something. As long as it is what it was, no key that was on its way to the log is lost.
  std::uint64_t drops() const;
  // How many keys were dropped or forgotten so far. As long as it is what it was before a redaction, all keys of that redaction are usable.
  std::uint64_t removals() const;

 private:
  friend class KeyRing;
  struct State;
  explicit WorkspaceKeys(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;

 public:
  ~WorkspaceKeys() override;
};

// Thread safe. Owns the workspaces' keys; `provider` and `random` must outlive it.
class KeyRing {
 public:
  KeyRing(KeyProvider& provider, crypto::RandomSource& random);
  ~KeyRing();
  // The keys of a workspace, an empty set at first. The first key made in it makes a key-encryption key at the provider if there is none.
  std::shared_ptr<WorkspaceKeys> workspace(WorkspaceNumber number);
  // WorkspaceKeys::applyWrapped() for many workspaces in one request to the provider.
  [[nodiscard]] ApplyOutcome applyWrapped(std::span<const WorkspaceWrappedKeys> keys);
  // Of the workspaces that `of` names: those whose records are written together.
  void dropPending(const std::function<bool(WorkspaceNumber)>& of);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::keys

// An opened data folder: the concrete log, key provider, clock and randomness, and the ledger over them. The only code that knows all of
// them at once.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cmd/config.h"
#include "cmd/log_choice.h"
#include "cmd/options.h"
#include "cmd/system_clock.h"
#include "ledger/crypto/random.h"
#include "ledger/keys/key_provider.h"
#include "ledger/write/ledger.h"
#include "ledger/write/system_feed.h"

namespace counterfoil::cmd {

enum class Access : std::uint8_t {
  write,   // takes the lock, starts the ledger
  follow,  // the same; where several nodes share the log, it is not claimed until this one is meant to write
  read,    // beside a running writer
};

// Throws the Faults of what it opens: noLedger, dataInUse (naming the server if one holds the data), noFileLocks, keyMissing, logDamaged,
// ...
class Session {
 public:
  // `listensAt`: the URL that other nodes reach this one by unless the configuration names another.
  Session(const CommonOptions& common, Access access, bool acceptClock = false, const std::string& listensAt = {});
  ~Session();

  const CommonOptions& common() const { return common_; }
  const Config& config() const { return config_; }
  const Clock& clock() const { return clock_; }
  crypto::RandomSource& random() { return random_; }
  log::EventLog& log() { return *open_.log; }
  // Null: another kind of log.
  log::KafkaLog* kafka() { return open_.kafka; }
  log::EmbeddedLog* embedded() { return open_.embedded; }
  keys::KeyProvider& provider() { return *provider_; }
  // Of Access::write.
  write::Ledger& ledger() { return *ledger_; }
  // Of either: the ledger's ring, or one of its own that reading the log fills.
  keys::KeyRing& keyRing();
  // What is read of `_system` while the ledger runs.
  write::SystemFeed& systemFeed() { return systemFeed_; }
  // Stops the ledger and writes its snapshot; what the destructor does without telling.
  void close();

  // One command or fact for --workspace, with the operator as actor.
  write::Answer execute(Command command);
  write::Answer append(Event fact);
  // "operator:<user name>": who can read the keys folder is trusted.
  static std::string operatorName();

 private:
  void finishKeys();

  CommonOptions common_;
  Config config_;
  SystemClock clock_;
  crypto::SystemRandom random_;
  std::unique_ptr<keys::KeyProvider> provider_;
  OpenLog open_;
  std::unique_ptr<keys::KeyRing> ring_;
  write::SystemFeed systemFeed_;
  std::unique_ptr<write::Ledger> ledger_;
};

}  // namespace counterfoil::cmd

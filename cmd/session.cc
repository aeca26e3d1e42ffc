#include "cmd/session.h"

#include <pwd.h>
#include <unistd.h>

#include <filesystem>

#include "cmd/key_provider.h"
#include "cmd/output.h"

namespace counterfoil::cmd {
namespace {

std::uint64_t randomNumber(crypto::RandomSource& random) {
  std::uint64_t number = 0;
  for (const std::uint8_t byte : random.bytes<8>()) number = (number << 8) | byte;
  return number;
}

// Evidence in the headers; the name itself is in the claims.
std::uint64_t nodeNumber(const std::string& name) {
  const crypto::Digest digest = crypto::sha256({reinterpret_cast<const std::uint8_t*>(name.data()), name.size()});
  std::uint64_t number = 0;
  for (std::size_t index = 0; index < sizeof(number); ++index) number = (number << 8) | digest[index];
  return number;
}

}  // namespace

Session::Session(const CommonOptions& common, Access access, bool acceptClock, const std::string& listensAt)
    : common_(common), config_(readConfig(common)) {
  provider_ = makeKeyProvider(config_, clock_, random_);
  if (access == Access::read) {
    open_ = openForReading(config_);
    ring_ = std::make_unique<keys::KeyRing>(*provider_, random_);
    return;
  }
  log::WriterIdentity identity;
  identity.incarnation = randomNumber(random_);
  identity.name = config_.nodeName;
  identity.node = nodeNumber(identity.name);
  identity.url = config_.nodeUrl.empty() ? listensAt : config_.nodeUrl;
  open_ = openForWriting(config_, identity);
  write::LedgerOptions ledgerOptions;
  ledgerOptions.sequencer.intakeBytesMax = config_.intakeBytes;
  ledgerOptions.sequencer.windowEntriesMax = config_.idempotencyEntries;
  ledgerOptions.sequencer.clockAccepted = acceptClock;
  ledgerOptions.sequencer.systemFeed = &systemFeed_;
  ledgerOptions.follow = access == Access::follow && open_.kafka != nullptr;
  ledgerOptions.snapshotEveryEntries = config_.snapshotEveryEntries;
  ledgerOptions.snapshots = config_.snapshotsFolder();
  std::filesystem::create_directories(config_.snapshotsFolder());
  std::filesystem::permissions(config_.snapshotsFolder(), std::filesystem::perms::owner_all);
  ledger_ = std::make_unique<write::Ledger>(*open_.log, *provider_, clock_, random_, ledgerOptions);
  ledger_->start([this](const std::string& line) { note(common_, line); });
  if (ledger_->status().clockPaused) {
    note(common_,
         "the clock is far ahead of the last entry and not synchronised: nothing expires until `counterfoil doctor --accept-clock`");
  }
}

Session::~Session() = default;

keys::KeyRing& Session::keyRing() {
  return ledger_ ? ledger_->keyRing() : *ring_;
}

void Session::close() {
  if (!ledger_) return;
  if (ledger_->status().owedRenewals != 0 && !ledger_->status().fault) finishKeys();
  try {
    ledger_->stop();
  } catch (const Fault& fault) {
    // Everything answered is durable by now; an answer must not be lost to a snapshot.
    note(common_, "the snapshot was not written (" + fault.detail() + "): the next start reads more of the log");
  }
}

std::string Session::operatorName() {
  const passwd* entry = ::getpwuid(::geteuid());
  return entry == nullptr ? "uid-" + std::to_string(::geteuid()) : entry->pw_name;
}

write::Answer Session::execute(Command command) {
  if (principalOf(command.common, Field::actor).kind == PrincipalKind::unspecified) {
    setPrincipal(command.arena, command.common, Field::actor, {PrincipalKind::operatorPerson, command.arena.copy(operatorName())});
  }
  // Who can read the keys folder is an administrator.
  if (command.kind == CommandKind::approvalDecide) command.body.setFlag(Field::asAdministrator, true);
  const bool destroysKeys = command.kind == CommandKind::subjectErase ||
                            command.kind == CommandKind::workspaceErase || command.kind == CommandKind::keyRotate;
  if (command.kind == CommandKind::workspaceErase) ledger_->refuseWhileHeld(command.body.text(Field::workspaceId));
  write::Answer answer = ledger_->execute(common_.workspace, std::move(command));
  // No server is there to do it afterwards.
  if (destroysKeys) finishKeys();
  return answer;
}

// What is answered is recorded, whatever becomes of this.
void Session::finishKeys() {
  try {
    ledger_->drain();
  } catch (const Fault& fault) {
    note(common_, "the keys are not destroyed yet: " + fault.detail());
    return;
  }
  const auto trouble = ledger_->renewalTrouble();
  if (ledger_->status().owedRenewals == 0) return;
  note(common_, "the keys are not destroyed yet" + (trouble ? ": " + trouble->detail() : std::string()) +
                    "; the next command that writes here, or the next server, tries again");
}

write::Answer Session::append(Event fact) {
  if (principalOf(fact.common, Field::actor).kind == PrincipalKind::unspecified) {
    setPrincipal(fact.arena, fact.common, Field::actor, {PrincipalKind::operatorPerson, fact.arena.copy(operatorName())});
  }
  return ledger_->append(common_.workspace, std::move(fact));
}

}  // namespace counterfoil::cmd

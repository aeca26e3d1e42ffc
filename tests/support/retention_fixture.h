// A workspace that lives for months.
#pragma once

#include "tests/support/renewal_fixture.h"

namespace counterfoil::test {

inline constexpr std::int64_t kDaySeconds = 24 * 3600;
inline constexpr std::string_view kLongPolicy = "name = \"long\"\n[[rule]]\nname = \"all\"\neffect = \"allow\"\nmaxTtlSeconds = 31000000\n";

// Its workspace may have leases of a year. The clock starts with January 2026.
class RetentionFixture : public RenewalFixture {
 protected:
  void SetUp() override {
    RenewalFixture::SetUp();
    Command policy = Command::make(CommandKind::policySet);
    policy.body.setText(policy.arena, Field::document, kLongPolicy);
    ledger_->execute("alpha", std::move(policy));
  }
  void retain(std::uint64_t days) {
    Command command = Command::make(CommandKind::retentionSet);
    command.body.setNumber(Field::days, days);
    ledger_->execute("alpha", std::move(command));
  }
  void hold(std::string_view id) {
    Command command = Command::make(CommandKind::holdPlace);
    command.body.setText(command.arena, Field::holdId, id);
    ledger_->execute("alpha", std::move(command));
  }
  void release(std::string_view id) {
    Command command = Command::make(CommandKind::holdRelease);
    command.body.setText(command.arena, Field::holdId, id);
    ledger_->execute("alpha", std::move(command));
  }
  void grantFor(std::string_view lease, std::uint64_t seconds) {
    Command command = Command::make(CommandKind::leaseRequest);
    command.body.setText(command.arena, Field::leaseId, lease);
    command.body.setNumber(Field::credential, static_cast<std::uint64_t>(Credential::gitToken));
    setPrincipal(command.arena, command.body, Field::grantee, {PrincipalKind::agent, "fixer"});
    const std::string_view scope[] = {"contents:read"};
    command.body.setTexts(command.arena, Field::scope, scope);
    command.body.setNumber(Field::ttlSeconds, seconds);
    EXPECT_FALSE(ledger_->execute("alpha", std::move(command)).denied);
    Command issue = Command::make(CommandKind::leaseIssue);
    issue.body.setText(issue.arena, Field::leaseId, lease);
    ledger_->execute("alpha", std::move(issue));
  }
  bool consume(std::string_view lease) {
    Command command = Command::make(CommandKind::leaseConsume);
    command.body.setText(command.arena, Field::leaseId, lease);
    return !ledger_->execute("alpha", std::move(command)).denied;
  }
  void pass(std::int64_t days) { clock_.advanceSeconds(days * kDaySeconds); }
  std::uint64_t size() {
    std::uint64_t size = 0;
    ledger_->inspectDurable(kAlpha, [&](const write::PartitionState& state) { size = state.findWorkspace(kAlpha)->head().size(); });
    return size;
  }
  std::uint64_t recorded() {
    const auto reader = log_.read(PartitionId{0}, log::FoldState{});
    log::ValidRecord record;
    while (reader->next(record)) {}
    return reader->state().next.value;
  }
  // Entries of the first two months, and what outlives them.
  void liveTwoMonths() {
    retain(30);
    grantFor("long", 300 * kDaySeconds);
    grant("one", "alice");
    grantFor("january-lease", 60);
    pass(2);
    ledger_->drain();  // both end in January, too
    january_ = size();
    pass(33);
    grant("two", "bob");
  }

  std::uint64_t january_ = 0;  // entries
};

}  // namespace counterfoil::test

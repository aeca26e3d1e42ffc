// Commands and facts on leases without keys, redaction or threads, as a small vocabulary for tests.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ledger/core/outcome.h"
#include "tests/support/lease_log.h"
#include "tests/support/redacted_for_test.h"

namespace counterfoil::test {

// A lease request; what is not set is left out.
struct Ask {
  std::string id = {};
  std::string grantee = "fixer";
  std::string run = {};
  std::string host = {};
  std::string bundle = {};
  std::string parent = {};
  std::string approval = {};
  std::string secret = {};
  std::vector<std::string> scope = {"repo:read"};
  std::vector<std::string> resources = {};
  std::uint64_t ttl = 900;
  std::uint64_t maxUses = 0;
  std::uint64_t renewable = 0;
  std::string actor = "broker";
  std::string producer = {};
  std::uint64_t producerSeq = 0;
};

// A fact; `fill` sets the fields of its kind.
struct Told {
  Kind kind = Kind::none;
  Timestamp occurredAt = {};
  std::string source = "openbao";
  std::string producer = "p1";
  std::uint64_t producerSeq = 0;
};

inline std::string secretText(std::uint8_t number, unsigned generation = 1) {
  FingerprintTag tag{};
  tag.fill(number);
  return "fp2:" + std::to_string(generation) + ":" + toBase64Url(tag);
}

inline constexpr std::string_view kTestPolicy = R"(name = "test"
[[rule]]
name = "banned"
effect = "deny"
grantee = ["agent:banned"]
[[rule]]
name = "gated"
effect = "allow"
scope = ["danger:*"]
approval = "required"
[[rule]]
name = "ordinary"
effect = "allow"
scope = ["repo:*"]
maxTtlSeconds = 86400
renewableForSeconds = 172800
)";

class Desk : public LeaseLog {
 public:
  explicit Desk(bool withPolicy = true, WorkspaceNumber number = {7}) : LeaseLog(number) {
    if (withPolicy) setPolicy(kTestPolicy);
  }

  // ---- commands ----
  using Fill = std::function<void(Arena&, StructValue& common, StructValue& body)>;
  Ruling command(CommandKind kind, const Fill& fill, std::string_view actor = "broker", std::string_view binding = {}) {
    RedactedCommand command = RedactedForTest::command(kind, freshId());
    Arena& arena = RedactedForTest::arena(command);
    setPrincipal(arena, RedactedForTest::common(command), Field::actor, {PrincipalKind::agent, actor});
    fill(arena, RedactedForTest::common(command), RedactedForTest::body(command));
    RulingContext context;
    context.recordedAt = std::max(now, state().head().lastRecordedAt);
    context.requestBinding = binding;
    Ruling ruling = rule(state(), std::move(command), context);
    for (RedactedEvent& event : ruling.entries) record(std::move(event));
    return ruling;
  }
  Ruling request(const Ask& ask) {
    return command(
        CommandKind::leaseRequest, [&](Arena& arena, StructValue& common, StructValue& body) { fillRequest(arena, common, body, ask); },
        ask.actor, binding(ask));
  }
  // Granted and, if the request carried no secret, issued.
  std::string grant(const Ask& ask) {
    const Ruling ruling = request(ask);
    EXPECT_FALSE(ruling.denied) << "the lease was meant to be granted";
    if (!ruling.denied && ask.secret.empty()) issue(ruling.leaseId);
    return ruling.leaseId;
  }
  Ruling issue(std::string_view lease, Outcome outcome = Outcome::unspecified, std::string_view secret = {}) {
    return command(CommandKind::leaseIssue, [&](Arena& arena, StructValue&, StructValue& body) {
      body.setText(arena, Field::leaseId, lease);
      body.setText(arena, Field::secret, secret);
      body.setNumber(Field::outcome, static_cast<std::uint64_t>(outcome));
    });
  }
  Ruling consume(std::string_view lease, const std::vector<std::string>& resources = {}, std::string_view host = {}) {
    return command(CommandKind::leaseConsume, [&](Arena& arena, StructValue& common, StructValue& body) {
      body.setText(arena, Field::leaseId, lease);
      common.setText(arena, Field::host, host);
      setTexts(arena, body, Field::resources, resources);
    });
  }
  Ruling renew(std::string_view lease, std::uint64_t ttl) {
    return command(CommandKind::leaseRenew, [&](Arena& arena, StructValue&, StructValue& body) {
      body.setText(arena, Field::leaseId, lease);
      body.setNumber(Field::ttlSeconds, ttl);
    });
  }
  Ruling revoke(std::string_view lease) {
    return command(CommandKind::leaseRevoke,
                   [&](Arena& arena, StructValue&, StructValue& body) { body.setText(arena, Field::leaseId, lease); });
  }
  Ruling revokeAll(RevocationSelector selector, std::string_view value) {
    return command(CommandKind::revokeAll, [&](Arena& arena, StructValue& common, StructValue& body) {
      switch (selector) {
        case RevocationSelector::run:
          common.setText(arena, Field::run, value);
          break;
        case RevocationSelector::host:
          common.setText(arena, Field::host, value);
          break;
        case RevocationSelector::bundle:
          body.setText(arena, Field::bundle, value);
          break;
        case RevocationSelector::credential:
          body.setText(arena, Field::credential, value);
          break;
        case RevocationSelector::parent:
          body.setText(arena, Field::lease, value);
          break;
        case RevocationSelector::principal:
          setPrincipal(arena, body, Field::principal, {PrincipalKind::agent, value});
          break;
        case RevocationSelector::unspecified:
          break;
      }
    });
  }
  Ruling setPolicy(std::string_view document) {
    return command(CommandKind::policySet,
                   [&](Arena& arena, StructValue&, StructValue& body) { body.setText(arena, Field::document, document); });
  }
  Ruling askApproval(const Ask& ask, std::string_view approval, std::string_view actor, std::uint64_t seconds = 0,
                     std::string_view onBehalfOf = {}) {
    return command(
        CommandKind::approvalRequest,
        [&](Arena& arena, StructValue& common, StructValue& body) {
          fillRequest(arena, common, body, ask);
          body.setText(arena, Field::approvalId, approval);
          body.setNumber(Field::expiresInSeconds, seconds);
          if (!onBehalfOf.empty()) setPrincipal(arena, body, Field::onBehalfOf, {PrincipalKind::agent, onBehalfOf});
        },
        actor, binding(ask));
  }
  Ruling decideApproval(std::string_view approval, Decision decision, std::string_view actor) {
    return command(
        CommandKind::approvalDecide,
        [&](Arena& arena, StructValue&, StructValue& body) {
          body.setText(arena, Field::approvalId, approval);
          body.setNumber(Field::decision, static_cast<std::uint64_t>(decision));
        },
        actor);
  }
  Ruling close() {
    return command(CommandKind::workspaceClose, [](Arena&, StructValue&, StructValue&) {});
  }

  // ---- facts ----
  void fact(const Told& told, const std::function<void(Arena&, StructValue& body)>& fill) {
    RedactedEvent event = RedactedEvent::ofLedger(told.kind, freshId());
    StructValue& common = event.common();
    common.at(Field::actor) = {};
    common.setText(event.arena(), Field::source, told.source);
    common.setText(event.arena(), Field::producer, told.producer);
    common.setNumber(Field::producerSeq, told.producerSeq);
    common.setTime(Field::occurredAt, told.occurredAt);
    fill(event.arena(), event.body());
    record(completeFact(state(), std::move(event), now));
  }
  void reportGrant(std::string_view lease, Timestamp occurredAt, Timestamp expiresAt, std::string_view secret = {},
                   std::string_view producer = "p1") {
    fact({Kind::leaseGranted, occurredAt, "openbao", std::string(producer)}, [&](Arena& arena, StructValue& body) {
      body.setText(arena, Field::leaseId, lease);
      body.setText(arena, Field::secret, secret);
      setPrincipal(arena, body, Field::grantee, {PrincipalKind::service, "reported"});
      body.setTime(Field::issuedAt, occurredAt);
      body.setTime(Field::expiresAt, expiresAt);
    });
  }
  // Something about a lease that has only the lease's id.
  void report(Kind kind, std::string_view lease, Timestamp occurredAt, std::string_view producer = "p1") {
    fact({kind, occurredAt, "openbao", std::string(producer)},
         [&](Arena& arena, StructValue& body) { body.setText(arena, Field::leaseId, lease); });
  }
  void importFinished(std::string_view source, std::string_view producer) {
    RedactedEvent event = RedactedEvent::ofLedger(Kind::importFinished, freshId());
    event.body().setText(event.arena(), Field::source, source);
    event.body().setText(event.arena(), Field::producer, producer);
    record(std::move(event));
  }

 private:
  static void setTexts(Arena& arena, StructValue& body, Field field, const std::vector<std::string>& texts) {
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    body.setTexts(arena, field, views);
  }
  static void fillRequest(Arena& arena, StructValue& common, StructValue& body, const Ask& ask) {
    const auto text = [&](Field field, std::string_view value) {
      if (!value.empty()) (common.has(field) ? common : body).setText(arena, field, value);
    };
    const auto inRequest = [&](Field field, std::string_view value) {
      if (body.has(field)) text(field, value);
    };
    text(Field::run, ask.run);
    text(Field::host, ask.host);
    text(Field::producer, ask.producer);
    common.setNumber(Field::producerSeq, ask.producerSeq);
    inRequest(Field::leaseId, ask.id);
    inRequest(Field::bundleId, ask.bundle);
    inRequest(Field::parentLease, ask.parent);
    inRequest(Field::approval, ask.approval);
    inRequest(Field::secret, ask.secret);
    body.setNumber(Field::credential, 1);
    setPrincipal(arena, body, Field::grantee, {PrincipalKind::agent, ask.grantee});
    setTexts(arena, body, Field::scope, ask.scope);
    setTexts(arena, body, Field::resources, ask.resources);
    body.setNumber(Field::ttlSeconds, ask.ttl);
    if (body.has(Field::maxUses)) body.setNumber(Field::maxUses, ask.maxUses);
    if (body.has(Field::renewableForSeconds)) body.setNumber(Field::renewableForSeconds, ask.renewable);
  }
  static std::string binding(const Ask& ask) {
    std::string text = ask.grantee + '\n' + std::to_string(ask.ttl);
    for (const auto* list : {&ask.scope, &ask.resources}) {
      text += '\n';
      for (const std::string& item : *list) text += item + ' ';
    }
    return toHex(crypto::sha256({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}));
  }
};

}  // namespace counterfoil::test

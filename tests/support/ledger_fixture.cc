#include "tests/support/ledger_fixture.h"

#include <algorithm>
#include <stdexcept>

#include "ledger/core/encoding.h"
#include "ledger/keys/record_cipher.h"

namespace counterfoil::test {
namespace {

constexpr std::string_view kWords[] = {"clone", "deploy", "read", "shop", "billing", "gateway", "nightly", "index", "report", "audit"};

std::string fingerprint(std::uint64_t seed) {
  std::array<std::uint8_t, 16> tag{};
  for (std::size_t index = 0; index < tag.size(); ++index) tag[index] = static_cast<std::uint8_t>(seed * 31 + index);
  return "fp2:1:" + toBase64Url(tag);
}

std::string textFor(const FieldTable& field, std::uint64_t seed) {
  const std::string word(kWords[seed % std::size(kWords)]);
  switch (field.redaction) {
    case RedactionClass::secret: return fingerprint(seed % 7);
    case RedactionClass::scanned: return "github.com/acme/" + word + " " + std::to_string(seed % 50);
    default: return word + "-" + std::to_string(seed % 50);
  }
}

void fillField(Arena& arena, StructValue& value, const FieldTable& field, std::uint64_t seed) {
  switch (field.type) {
    case FieldType::boolean: value.setFlag(field.field, seed % 2 == 0); break;
    case FieldType::unsigned8: value.setNumber(field.field, seed % 200); break;
    case FieldType::unsigned16:
    case FieldType::unsigned32:
    case FieldType::unsigned64: value.setNumber(field.field, seed % 20'000); break;
    case FieldType::time: value.setTime(field.field, LedgerFixture::time(static_cast<std::int64_t>(seed % 90'000))); break;
    case FieldType::enumeration: value.setNumber(field.field, 1 + seed % (field.enumeration->texts.size() - 1)); break;
    case FieldType::text:
      // Redaction leaves nothing of a personal field but its commitment.
      if (field.redaction != RedactionClass::personal) value.setText(arena, field.field, textFor(field, seed));
      break;
    case FieldType::data: {
      const std::vector<std::uint8_t> bytes(32, static_cast<std::uint8_t>(seed));
      value.setData(arena, field.field, bytes);
      break;
    }
    case FieldType::textList: {
      const std::string one = textFor(field, seed), two = textFor(field, seed + 3);
      const std::vector<std::string_view> texts{one, two, one};
      value.setTexts(arena, field.field, texts);
      break;
    }
    case FieldType::structure: {
      StructValue inner = makeStruct(arena, *field.structure);
      fillAll(arena, inner, seed + 1);
      value.setStructure(arena, field.field, inner);
      break;
    }
    case FieldType::structureList: {
      StructValue first = makeStruct(arena, *field.structure), second = makeStruct(arena, *field.structure);
      fillAll(arena, first, seed + 1);
      fillAll(arena, second, seed + 2);
      const std::vector<StructValue> list{first, second};
      value.setStructures(arena, field.field, list);
      break;
    }
  }
}

}  // namespace

void fillAll(Arena& arena, StructValue& value, std::uint64_t seed) {
  for (const FieldTable& field : value.table->fields) fillField(arena, value, field, seed = seed * 6'364'136'223'846'793'005ULL % 1'000'003 + 7);
}

LedgerFixture::LedgerFixture(std::uint64_t seed)
    : random_(seed),
      provider_(random_),
      ring_(provider_, random_),
      partitions_(std::make_shared<log::MemoryPartitions>(log::LedgerFacts{"ledger-1", "ledger.example.com/test", time(0)})) {
  log::WriterIdentity identity;
  identity.node = 1;
  identity.name = "node-1";
  log_ = std::make_unique<log::MemoryLog>(partitions_, identity);
  writer_ = log_->takeOver(PartitionId{0}, fold_, [](log::ValidRecord&) {});
}

LedgerFixture::~LedgerFixture() = default;

std::unique_ptr<keys::KeyRing> LedgerFixture::newRing() { return std::make_unique<keys::KeyRing>(provider_, random_); }

EntryId LedgerFixture::freshId(Timestamp time) {
  std::array<std::uint8_t, 10> random{};
  ++number_;
  for (std::size_t index = 0; index < 8; ++index) random[index + 2] = static_cast<std::uint8_t>(number_ >> (8 * index));
  return makeUuidV7(time, random);
}

void LedgerFixture::add(WorkspaceNumber workspace, Kind kind, const Common& common, const Fill& fill) {
  RedactedEvent event = RedactedEvent::ofLedger(kind, freshId(time(common.at)));
  Arena& arena = event.arena();
  StructValue& to = event.common();
  const auto text = [&](Field field, const std::string& value) {
    if (!value.empty()) to.setText(arena, field, value);
  };
  setPrincipal(arena, to, Field::actor, {PrincipalKind::agent, common.actor});
  text(Field::run, common.run);
  text(Field::host, common.host);
  text(Field::sandbox, common.sandbox);
  text(Field::source, common.source);
  text(Field::producer, common.producer);
  to.setNumber(Field::producerSeq, common.producerSeq);
  if (common.occurred >= 0) to.setTime(Field::occurredAt, time(common.occurred));
  fill(arena, event.body());
  add(workspace, std::move(event), time(common.at));
}

void LedgerFixture::add(WorkspaceNumber workspace, RedactedEvent event, Timestamp recordedAt) {
  Chain& chain = chains_[workspace.value];
  const auto nonce = random_.bytes<16>();
  const Entry entry = counterfoil::chain(std::move(event), workspace, recordedAt, nonce, chain.head);
  seal(workspace, entry);
}

void LedgerFixture::seal(WorkspaceNumber workspace, const Entry& entry) {
  const auto keys = ring_.workspace(workspace);
  const auto key = keys->logKey(entry.recordedAt());
  const std::array<KeyId, 1> used{key->id};
  const std::vector<keys::WrappedKey> fresh = keys->carry(used);
  log::NewRecord record;
  record.workspace = workspace;
  record.seq = entry.seq();
  record.previous = entry.previous();
  record.leaf = entry.leaf();
  record.value = keys::sealRecord(entry, *key, fresh, random_.bytes<12>());
  keys->settle(used);
  pending_.push_back(std::move(record));
  bytesAdded_ += entry.bytes().size();
  if (keepEntries) chains_[workspace.value].entries.emplace_back(entry.bytes().begin(), entry.bytes().end());
}

void LedgerFixture::adopt(WorkspaceNumber workspace, const EntryView& view) {
  RedactedEvent event = RedactedEvent::ofLedger(view.kind(), view.id);
  for (const FieldTable& field : view.entry.table->fields) {
    if (field.ledgerOnly && field.field != Field::source) continue;
    if (field.field == Field::event) continue;
    StructValue copy = deepCopy(event.arena(), view.entry);
    event.common().at(field.field) = copy.get(field.field);
  }
  if (view.body.table != nullptr) event.body() = deepCopy(event.arena(), view.body);
  add(workspace, std::move(event), view.recordedAt);
}

void LedgerFixture::addSamples(WorkspaceNumber workspace, std::size_t count) {
  Chain& chain = chains_[workspace.value];
  for (std::size_t index = 0; index < count; ++index) {
    const std::uint64_t step = ++chain.clock;
    Common common;
    common.at = static_cast<std::int64_t>(step);
    common.occurred = static_cast<std::int64_t>(step > 60 ? step - step % 60 : step);
    common.run = "run-" + std::to_string(step % 11);
    common.host = "host-" + std::to_string(step % 5);
    common.sandbox = "sandbox-" + std::to_string(step % 9);
    common.source = step % 3 == 0 ? "import/vault" : "api";
    common.producer = "producer-" + std::to_string(step % 2);
    common.producerSeq = step % 7 == 0 ? step + 3 : step;
    const Kind kind = static_cast<Kind>(1 + (step * 7) % (kKindCount - 1));
    add(workspace, kind, common, [&](Arena& arena, StructValue& body) { fillAll(arena, body, step * 1'009 + 17); });
  }
}

void LedgerFixture::addTraffic(WorkspaceNumber workspace, std::size_t count) {
  Chain& chain = chains_[workspace.value];
  for (std::size_t index = 0; index < count; ++index) {
    const std::uint64_t step = chain.clock++;
    const std::uint64_t round = step / 10, part = step % 10;
    Common common;
    common.at = static_cast<std::int64_t>(step / 20);
    common.actor = "broker-" + std::to_string(round % 20);
    common.run = "run-" + std::to_string(round / 30);
    common.host = "host-" + std::to_string(round % 12);
    common.sandbox = "sandbox-" + std::to_string(round / 10);
    common.producer = "gateway-1";
    common.producerSeq = step + 1;
    // Of ten: three leases granted, one issued, four used, one denied, one secret read.
    const std::uint64_t lease = round * 3 + (part < 3 ? part : part % 3);
    const std::string id = toUuid(makeUuidV8("lease " + std::to_string(workspace.value) + " " + std::to_string(lease)));
    const std::string resource = "github.com/acme-" + std::to_string(round % 7) + "/service-" + std::to_string(round % 400);
    const auto body = [&](Arena& arena, StructValue& to) {
      const auto text = [&](Field field, const std::string& value) {
        if (to.has(field)) to.setText(arena, field, value);
      };
      const std::vector<std::string_view> resources{resource};
      const std::vector<std::string_view> scope{"contents:read", "issues:write"};
      text(Field::leaseId, id);
      text(Field::credentialName, resource);
      text(Field::secret, fingerprint(lease * 7919));
      text(Field::upstreamId, "upstream-" + std::to_string(lease));
      text(Field::userAgent, "git/2.39.2 (linux) acme-runner/4.1");
      text(Field::sourceAddressPseudonym, "n2:" + toBase64Url(random_.bytes<16>()).substr(0, 4) + "AAAAAAAAAAAAAAAAAA");
      text(Field::explanation, "rule git-read: the scope admin:org is outside what the rule covers");
      text(Field::secretName, "prod/database/" + std::string(kWords[round % std::size(kWords)]));
      text(Field::version, "v" + std::to_string(round));
      text(Field::purpose, "deploy of the nightly build");
      if (to.has(Field::resources)) to.setTexts(arena, Field::resources, resources);
      if (to.has(Field::scope)) to.setTexts(arena, Field::scope, scope);
      if (to.has(Field::grantee)) setPrincipal(arena, to, Field::grantee, {PrincipalKind::agent, "agent-" + std::to_string(round % 50)});
      if (to.has(Field::credential)) to.setNumber(Field::credential, 1 + round % 8);
      if (to.has(Field::issuedAt)) to.setTime(Field::issuedAt, time(common.at));
      if (to.has(Field::expiresAt)) to.setTime(Field::expiresAt, time(common.at + 900));
      if (to.has(Field::outcome)) to.setNumber(Field::outcome, static_cast<std::uint64_t>(part == 3 ? Outcome::issued : Outcome::ok));
      if (to.has(Field::uses)) to.setNumber(Field::uses, part - 3);
      if (to.has(Field::operation) && part < 9) text(Field::operation, "git-upload-pack " + std::string(kWords[step % std::size(kWords)]));
      if (to.has(Field::reasonCode)) to.setNumber(Field::reasonCode, 1 + round % 9);
      if (to.has(Field::policy)) {
        StructValue policy = makeStruct(arena, *to.table->find(Field::policy)->structure);
        policy.setText(arena, Field::name, "production");
        policy.setNumber(Field::version, 3);
        to.setStructure(arena, Field::policy, policy);
      }
    };
    const Kind kind = part < 3   ? Kind::leaseGranted
                      : part == 3 ? Kind::leaseIssued
                      : part < 8  ? Kind::leaseConsumed
                      : part == 8 ? Kind::leaseDenied
                                  : Kind::vaultRead;
    add(workspace, kind, common, body);
  }
}

void LedgerFixture::append() {
  bool landed = false;
  writer_->append(std::move(pending_), [&](const log::AppendResult& result) { landed = result.outcome == log::AppendOutcome::appended; });
  pending_.clear();
  if (!landed) throw std::runtime_error("the fixture's log refused a batch");
}

std::uint64_t LedgerFixture::size(WorkspaceNumber workspace) const {
  const auto found = chains_.find(workspace.value);
  return found == chains_.end() ? 0 : found->second.head.size();
}

LeafHash LedgerFixture::leaf(WorkspaceNumber workspace) const { return chains_.at(workspace.value).head.last; }

}  // namespace counterfoil::test

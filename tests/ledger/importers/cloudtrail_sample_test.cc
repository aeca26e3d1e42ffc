// The numbers of a real attack simulation (EVENTS: Real input), and that nothing of it gets out that must not.
#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "ledger/core/codec.h"
#include "ledger/redact/redactor.h"
#include "tests/ledger/importers/cloudtrail_fixture.h"

namespace counterfoil::importers::test {
namespace {

namespace fs = std::filesystem;

bool looksLikeKey(std::string_view text) {
  for (const std::string_view prefix : {"AKIA", "ASIA"}) {
    for (std::size_t at = text.find(prefix); at != std::string_view::npos; at = text.find(prefix, at + 1)) {
      const std::string_view rest = text.substr(at, 20);
      if (rest.size() == 20 &&
          std::all_of(rest.begin(), rest.end(), [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }))
        return true;
    }
  }
  return false;
}

// One key for everybody and everything: what counts here is what is left in the entries.
class OneKey final : public RedactionKeys {
 public:
  WorkspaceNumber workspace() const override { return {1}; }
  std::shared_ptr<const SubjectKey> subject(PrincipalKind, std::string_view) override { return subject_; }
  std::shared_ptr<const SubjectKey> findSubject(PrincipalKind, std::string_view) override { return subject_; }
  std::shared_ptr<const SubjectKey> workspaceSubject() override { return subject_; }
  std::shared_ptr<const FingerprintKey> currentFingerprint() override { return fingerprint_; }
  std::vector<std::shared_ptr<const FingerprintKey>> livingFingerprints() override { return {fingerprint_}; }
  crypto::Digest keyedDigest(std::initializer_list<crypto::Bytes> parts, KeyId&) override { return crypto::hmacSha256(key_, parts); }

 private:
  std::array<std::uint8_t, 32> key_{1, 2, 3};
  std::shared_ptr<const SubjectKey> subject_ =
      std::make_shared<SubjectKey>(KeyId{}, crypto::SecretBytes(std::span<const std::uint8_t>(key_)));
  std::shared_ptr<const FingerprintKey> fingerprint_ =
      std::make_shared<FingerprintKey>(KeyId{}, 1, crypto::SecretBytes(std::span<const std::uint8_t>(key_)));
};

class CloudTrailSample : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::is_directory(sampleFolder())) GTEST_SKIP() << "no CloudTrail sample at " << sampleFolder();
    imported = import({sampleFolder()});
  }
  template <class Enum>
  std::size_t count(Kind kind, Field field, Enum value) const {
    return static_cast<std::size_t>(std::count_if(imported.events.begin(), imported.events.end(), [&](const ImportedEvent& item) {
      return item.event.kind == kind && item.event.body.number(field) == static_cast<std::uint64_t>(value);
    }));
  }
  Imported imported;
};

TEST_F(CloudTrailSample, Records) {
  const ImportSummary& summary = imported.summary;
  EXPECT_EQ(summary.filesRead, 55U);
  EXPECT_EQ(summary.read, 2900U);
  EXPECT_EQ(summary.failed, 0U);
  EXPECT_EQ(summary.duplicates, 0U);
  EXPECT_EQ(summary.withoutKey, 85U);
  EXPECT_EQ(summary.skipped, 85U - 26U) << "AWS services assume roles without a key";
  EXPECT_EQ(summary.events, imported.events.size());
  ASSERT_EQ(summary.producers.size(), 1U);
  EXPECT_EQ(summary.producers.begin()->first, "aws:123837392027");
  EXPECT_EQ(toRfc3339(summary.producers.begin()->second.lastOccurredAt).substr(0, 19), "2023-07-10T12:37:50");
  std::size_t events = 0;
  for (const std::uint64_t each : summary.byKind) events += each;
  EXPECT_EQ(events, imported.events.size());
}

TEST_F(CloudTrailSample, Grants) {
  ASSERT_EQ(imported.count(Kind::leaseGranted), 36U);
  std::map<std::int64_t, int> lifetimes;
  std::map<PrincipalKind, int> grantees;
  std::set<std::string> used;
  for (const ImportedEvent& item : imported.events) {
    if (item.event.kind == Kind::leaseConsumed || item.event.kind == Kind::leaseDenied) used.emplace(item.event.body.text(Field::leaseId));
  }
  int unused = 0;
  for (const ImportedEvent& item : imported.events) {
    if (item.event.kind != Kind::leaseGranted) continue;
    const StructValue& body = item.event.body;
    ++lifetimes[(body.time(Field::expiresAt).nanoseconds - body.time(Field::issuedAt).nanoseconds) / kNanosecondsPerSecond];
    ++grantees[principalOf(body, Field::grantee).kind];
    EXPECT_TRUE(looksLikeKey(body.text(Field::secret)));
    unused += used.contains(std::string(body.text(Field::leaseId))) ? 0 : 1;
  }
  EXPECT_EQ(lifetimes, (std::map<std::int64_t, int>{{900, 19}, {3600, 10}, {7200, 2}, {21600, 1}, {23700, 4}}));
  EXPECT_EQ(grantees, (std::map<PrincipalKind, int>{{PrincipalKind::human, 10}, {PrincipalKind::service, 26}}));
  EXPECT_EQ(unused, 28);
}

TEST_F(CloudTrailSample, RefusedGrantsNameTheirRole) {
  std::map<std::string, int> roles;
  for (const ImportedEvent& item : imported.events) {
    const StructValue& body = item.event.body;
    if (item.event.kind != Kind::leaseDenied || body.number(Field::step) != static_cast<std::uint64_t>(LeaseStep::grant)) continue;
    ASSERT_EQ(body.texts(Field::resources).size(), 1U);
    ++roles[std::string(body.texts(Field::resources)[0].substr(body.texts(Field::resources)[0].find(":role/")))];
    EXPECT_EQ(body.number(Field::reasonCode), static_cast<std::uint64_t>(ReasonCode::upstreamRefused));
  }
  EXPECT_EQ(roles, (std::map<std::string, int>{{":role/stratus-red-team-ec2-get-password-data-role", 3},
                                               {":role/stratus-red-team-leave-org-role", 3},
                                               {":role/stratus-red-team-get-usr-data-role", 3},
                                               {":role/stratus-red-team-ec2lui-role-pcccexdthk", 2},
                                               {":role/stratus-red-team-ec2lui-role-wuzemnoeqa", 2}}));
}

TEST_F(CloudTrailSample, Uses) {
  EXPECT_EQ(count(Kind::leaseConsumed, Field::outcome, Outcome::ok), 23U);
  EXPECT_EQ(count(Kind::leaseConsumed, Field::outcome, Outcome::error), 2U);
  EXPECT_EQ(count(Kind::leaseDenied, Field::step, LeaseStep::consume), 45U);
  EXPECT_EQ(imported.count(Kind::leaseDenied), 45U + 13U);
  EXPECT_EQ(imported.count(Kind::credentialUsed), 2745U);
  std::set<std::string> keys;
  std::set<std::string> leases;
  std::size_t longLived = 0;
  std::map<std::string, std::int64_t> ends;
  std::map<std::string, int> refusals;
  for (const ImportedEvent& item : imported.events) {
    const StructValue& body = item.event.body;
    if (item.event.kind == Kind::leaseGranted) ends[std::string(body.text(Field::leaseId))] = body.time(Field::expiresAt).nanoseconds;
    if (item.event.kind == Kind::credentialUsed) {
      keys.emplace(body.text(Field::fingerprint));
      longLived += body.text(Field::fingerprint).starts_with("AKIA") ? 1 : 0;
    }
    if (item.event.kind == Kind::leaseDenied && !body.text(Field::leaseId).empty()) ++refusals[std::string(body.text(Field::errorCode))];
    if (body.has(Field::leaseId) && !body.text(Field::leaseId).empty()) {
      const std::string lease(body.text(Field::leaseId));
      ASSERT_TRUE(ends.contains(lease)) << "granted before";
      if (item.event.kind != Kind::leaseGranted) leases.insert(lease);
      EXPECT_LT(item.event.common.time(Field::occurredAt).nanoseconds, ends[lease]);
    }
  }
  EXPECT_EQ(keys.size(), 125U);
  EXPECT_EQ(leases.size(), 8U);
  EXPECT_EQ(longLived, 2182U);
  EXPECT_EQ(refusals, (std::map<std::string, int>{{"AccessDenied", 1}, {"Client.UnauthorizedOperation", 44}}));
}

TEST_F(CloudTrailSample, Vault) {
  EXPECT_EQ(imported.count(Kind::vaultWritten), 202U);
  EXPECT_EQ(count(Kind::vaultWritten, Field::outcome, Outcome::error), 25U + 38U);
  EXPECT_EQ(count(Kind::vaultWritten, Field::operation, VaultOperation::set), 20U + 20U + 42U + 25U);
  EXPECT_EQ(count(Kind::vaultWritten, Field::operation, VaultOperation::purge), 17U + 40U + 38U);
  EXPECT_EQ(imported.count(Kind::vaultRead), 60U + 82U + 42U);
  EXPECT_EQ(imported.summary.byKind[static_cast<std::size_t>(Kind::vaultRead)], 184U);
  EXPECT_EQ(imported.events.size(), 36U + 13U + 70U + 2745U + 202U + 184U);
}

TEST_F(CloudTrailSample, IsInOrder) {
  const auto place = [](const Event& event) {
    return std::make_tuple(event.common.time(Field::occurredAt), event.kind != Kind::leaseGranted,
                           std::string(event.common.text(Field::correlation)));
  };
  for (std::size_t index = 1; index < imported.events.size(); ++index) {
    ASSERT_LE(place(imported.events[index - 1].event), place(imported.events[index].event)) << index;
  }
}

TEST_F(CloudTrailSample, HasTheSameIdsEachTimeAndNoneTwice) {
  CloudTrailOptions options;
  options.windowBytes = 100'000;
  const Imported again = import({sampleFolder()}, options);
  ASSERT_EQ(again.events.size(), imported.events.size());
  std::set<EntryId> ids;
  for (std::size_t index = 0; index < again.events.size(); ++index) {
    EXPECT_EQ(again.events[index].event.id, imported.events[index].event.id);
    EXPECT_EQ(encodeCanonical(again.events[index].event.body), encodeCanonical(imported.events[index].event.body));
    EXPECT_TRUE(ids.insert(imported.events[index].event.id).second);
  }
}

// The sample's session tokens, as they stand in its files.
std::vector<std::string> sessionTokens() {
  std::vector<std::string> tokens;
  constexpr std::string_view kMember = "\"sessionToken\":\"";
  for (const auto& item : fs::directory_iterator(sampleFolder())) {
    std::ifstream file(item.path(), std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    for (std::size_t at = text.find(kMember); at != std::string::npos; at = text.find(kMember, at + 1)) {
      const std::size_t begin = at + kMember.size();
      tokens.push_back(text.substr(begin, text.find('"', begin) - begin));
    }
  }
  return tokens;
}

TEST_F(CloudTrailSample, NoEventHoldsATokenAndKeysStandInSecretFieldsOnly) {
  const std::vector<std::string> tokens = sessionTokens();
  ASSERT_EQ(tokens.size(), 36U);
  std::size_t secrets = 0;
  for (const ImportedEvent& item : imported.events) {
    visitTexts(item.event, [&](const FieldTable& field, SecretForm form, std::string_view text) {
      for (const std::string& token : tokens) ASSERT_EQ(text.find(token.substr(0, 24)), std::string_view::npos) << field.name;
      if (field.redaction == RedactionClass::secret) {
        secrets += text.empty() ? 0 : 1;
        EXPECT_TRUE(text.empty() || form == SecretForm::value);
      } else {
        EXPECT_FALSE(looksLikeKey(text)) << field.name;
      }
      EXPECT_TRUE(isUtf8(text));
    });
  }
  EXPECT_EQ(secrets, 36U + 70U + 2745U);
}

TEST_F(CloudTrailSample, PassesRedactionAndLeavesNoPersonAndNoKey) {
  OneKey keys;
  crypto::DeterministicRandom random(1);
  redact::Redactor redactor(keys, nullptr, random);
  std::size_t truncated = 0;
  for (ImportedEvent& item : imported.events) {
    const Kind kind = item.event.kind;
    const RedactedEvent kept = redactor.redact(std::move(item.event));
    std::vector<std::uint8_t> bytes = encodeCanonical(kept.common());
    const std::vector<std::uint8_t> body = encodeCanonical(kept.body());
    bytes.insert(bytes.end(), body.begin(), body.end());
    EXPECT_LT(bytes.size(), limits::kEntryBytesMax / 2);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    ASSERT_EQ(text.find("bert-jan"), std::string_view::npos) << kindName(kind);
    ASSERT_FALSE(looksLikeKey(text)) << kindName(kind);
    EXPECT_FALSE(kept.redaction().secretFound) << kindName(kind) << ": the sample's texts hold no secret that the importer lets through";
    for (const FieldRedaction& redaction : kept.redaction().redactions) truncated += redaction.rule.starts_with("truncated:") ? 1 : 0;
  }
  EXPECT_EQ(truncated, 44U);
}

}  // namespace
}  // namespace counterfoil::importers::test

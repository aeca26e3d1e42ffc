#include "ledger/redact/redactor.h"

#include <gmock/gmock.h>

#include "tests/ledger/redact/redaction_fixture.h"

namespace counterfoil::redact {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// Random, and of nobody.
constexpr std::string_view kToken = "ghp_4kQzW8mXv2RtLp9sYc3NbHd7FgJe6UaTo1iK";
// A secret without any shape of one.
constexpr std::string_view kPhrase = "blue-horse-eats-thirty-lamps";

class RedactorTest : public test::RedactionTest {};

TEST_F(RedactorTest, KeepsClearFields) {
  Event made = event(Kind::leaseGranted);
  made.body.setNumber(Field::credential, 3);
  made.body.setTime(Field::expiresAt, {77});
  made.body.setNumber(Field::maxUses, 9);
  made.common.setTime(Field::occurredAt, {66});
  made.common.setNumber(Field::producerSeq, 5);
  const RedactedEvent result = redact(std::move(made));
  EXPECT_EQ(result.kind(), Kind::leaseGranted);
  EXPECT_EQ(result.body().number(Field::credential), 3u);
  EXPECT_EQ(result.body().time(Field::expiresAt).nanoseconds, 77);
  EXPECT_EQ(result.body().number(Field::maxUses), 9u);
  EXPECT_EQ(result.common().time(Field::occurredAt).nanoseconds, 66);
  EXPECT_EQ(result.common().number(Field::producerSeq), 5u);
  EXPECT_THAT(result.redaction().redactions, IsEmpty());
  EXPECT_THAT(result.redaction().commitments, IsEmpty());
  EXPECT_FALSE(result.redaction().secretFound);
}

TEST_F(RedactorTest, ClearTextsMustBePublicDigests) {
  const std::string hex(64, 'a');
  for (const std::string& good :
       {hex, "sha256:" + hex, toBase64(crypto::sha256({})), toBase64Url(crypto::sha256({})), std::string(32, '0')}) {
    EXPECT_EQ(kept(Kind::bundleIssued, Field::manifestDigest, good), good);
  }
  for (const std::string& bad :
       {std::string("anything"), std::string(kToken), hex + "g", "md5:" + hex, std::string(40, 'z'), std::string(130, 'a')}) {
    EXPECT_EQ(kept(Kind::bundleIssued, Field::manifestDigest, bad), "<invalid_value>") << bad;
    EXPECT_EQ(kept(Kind::bundleIssued, Field::manifestDigest, bad, true), fingerprintOf(bad));
  }
  know(hex);
  EXPECT_EQ(kept(Kind::bundleIssued, Field::manifestDigest, hex), fingerprintOf(hex));
  EXPECT_TRUE(last_->redaction().secretFound);
}

TEST_F(RedactorTest, IdsKeepTheirFormOrAreRefused) {
  for (const std::string& good : {std::string("a"), std::string("run-7"), std::string("arn:aws:iam::1:role/x+y@z_.-"),
                                  std::string(128, 'x'), std::string("018f3f5e-7b7a-7cc3-98c4-dc0c0c07398f")}) {
    EXPECT_EQ(kept(Kind::leaseConsumed, Field::leaseId, good), good);
    EXPECT_EQ(kept(Kind::leaseConsumed, Field::run, good), good);
  }
  for (const std::string& bad : {std::string("-a"), std::string(" a"), std::string("a b"), std::string("a\n"), std::string("a\0b", 3),
                                 std::string("\xc3\xbc"), std::string("a=b"), std::string(129, 'x'), std::string("\x80")}) {
    EXPECT_EQ(kept(Kind::leaseConsumed, Field::leaseId, bad), "<invalid_value>") << bad;
  }
}

TEST_F(RedactorTest, IdsOfASecretsShapeAreRefused) {
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::leaseId, kToken), "<secret_in_identifier>");
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::host, "x/" + std::string(kToken)), "<secret_in_identifier>");
}

TEST_F(RedactorTest, LenientIdsBecomeFingerprints) {
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::leaseId, kToken, true), fingerprintOf(kToken));
  EXPECT_TRUE(last_->redaction().secretFound);
  EXPECT_EQ(last_->redaction().fingerprintGeneration, 1u);
  EXPECT_THAT(rules(), ElementsAre(StartsWith("/leaseId=")));
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::leaseId, "no id at all", true), fingerprintOf("no id at all"));
  EXPECT_FALSE(last_->redaction().secretFound);
  EXPECT_THAT(rules(), ElementsAre("/leaseId=identifier-form"));
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::leaseId, "\x80", true), "<invalid_utf8>");
}

TEST_F(RedactorTest, KnownSecretsInIdsBecomeTheirFingerprint) {
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::leaseId, kPhrase), kPhrase);
  know(kPhrase);
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::leaseId, kPhrase), fingerprintOf(kPhrase));
  EXPECT_TRUE(last_->redaction().secretFound);
  EXPECT_THAT(rules(), ElementsAre("/leaseId=known-secret"));
  const std::string longer = "x/" + std::string(kPhrase);
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::leaseId, longer), fingerprintOf(longer));
}

TEST_F(RedactorTest, OldGenerationsStillFindTheirSecrets) {
  know(kPhrase);
  keys_->nextFingerprint();
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::leaseId, kPhrase), fingerprintOf(kPhrase));
  EXPECT_THAT(fingerprintOf(kPhrase), StartsWith("fp2:2:"));
}

TEST_F(RedactorTest, MachineIdsWithAnAddressArePersons) {
  const std::string id = "deploy/alice@example.com";
  EXPECT_EQ(kept(Kind::runStarted, Field::agent, id), pseudonym(id));
  EXPECT_EQ(disclosed(last_->id(), last_->redaction(), "/agent"), id);
  Event made = event(Kind::leaseGranted);
  setPrincipal(made.arena, made.body, Field::grantee, {PrincipalKind::service, id});
  const RedactedEvent result = redact(std::move(made));
  EXPECT_EQ(principalOf(result.body(), Field::grantee).kind, PrincipalKind::service);
  EXPECT_EQ(principalOf(result.body(), Field::grantee).id, pseudonym(id));
}

TEST_F(RedactorTest, HumansBecomePseudonymsAndMachinesStay) {
  Event made = event(Kind::leaseGranted);
  setPrincipal(made.arena, made.common, Field::actor, {PrincipalKind::agent, "fixer"});
  setPrincipal(made.arena, made.body, Field::grantee, {PrincipalKind::human, "alice"});
  const RedactedEvent result = redact(std::move(made));
  EXPECT_EQ(principalOf(result.common(), Field::actor).id, "fixer");
  EXPECT_EQ(principalOf(result.body(), Field::grantee).kind, PrincipalKind::human);
  EXPECT_EQ(principalOf(result.body(), Field::grantee).id, pseudonym("alice"));
  EXPECT_EQ(disclosed(result.id(), result.redaction(), "/grantee/id"), "alice");
  EXPECT_EQ(result.redaction().disclosures.size(), 1u);
  EXPECT_THAT(result.redaction().keysUsed, ::testing::Contains(keys_->subject(PrincipalKind::human, "alice")->id()));
}

TEST_F(RedactorTest, PrincipalsAreCheckedAsIds) {
  const auto codeOf = [&](PrincipalKind kind, std::string_view id) {
    Event made = event(Kind::leaseGranted);
    setPrincipal(made.arena, made.body, Field::grantee, {kind, id});
    try {
      redact(std::move(made));
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.field(), "/grantee/id");
      return fault.code();
    }
    return ErrorCode::internal;
  };
  for (const PrincipalKind kind : {PrincipalKind::human, PrincipalKind::agent}) {
    EXPECT_EQ(codeOf(kind, "a b"), ErrorCode::invalidValue);
    EXPECT_EQ(codeOf(kind, kToken), ErrorCode::secretInIdentifier);
    // Nobody may write another person's pseudonym into the record.
    EXPECT_EQ(codeOf(kind, pseudonym("alice")), ErrorCode::invalidValue);
    EXPECT_EQ(codeOf(kind, std::string(129, 'x')), ErrorCode::invalidValue);
  }
}

TEST_F(RedactorTest, ScannedTextsLoseSecretsAndContacts) {
  const std::string text = "push with " + std::string(kToken) + " by alice@example.com or +49 30 901820";
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::operation, text), "push with [redacted:github-token:" + fingerprintOf(kToken) +
                                                                   "] by [redacted:email:" + fingerprintOf("alice@example.com") +
                                                                   "] or [redacted:telephone:" + fingerprintOf("+49 30 901820") + "]");
  EXPECT_THAT(rules(), ElementsAre("/operation=github-token", "/operation=email", "/operation=telephone"));
  EXPECT_TRUE(last_->redaction().secretFound);
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::operation, "by alice@example.com"),
            "by [redacted:email:" + fingerprintOf("alice@example.com") + "]");
  EXPECT_FALSE(last_->redaction().secretFound);
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::operation, "contents:read"), "contents:read");
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(RedactorTest, ScannedListsNameTheirItems) {
  Event made = event(Kind::leaseConsumed);
  const std::string second = "token " + std::string(kToken);
  made.body.setTexts(made.arena, Field::resources, std::vector<std::string_view>{"github.com/acme", second, "", "x"});
  const RedactedEvent result = redact(std::move(made));
  ASSERT_EQ(result.body().texts(Field::resources).size(), 4u);
  EXPECT_EQ(result.body().texts(Field::resources)[0], "github.com/acme");
  EXPECT_EQ(result.body().texts(Field::resources)[1], "token [redacted:github-token:" + fingerprintOf(kToken) + "]");
  EXPECT_EQ(result.body().texts(Field::resources)[2], "");
  EXPECT_EQ(result.body().texts(Field::resources)[3], "x");
  EXPECT_THAT(rulesOf(result.redaction()), ElementsAre("/resources/1=github-token"));
}

TEST_F(RedactorTest, TheSecretOfARequestIsTakenOutOfItsTexts) {
  Event made = event(Kind::leaseGranted);
  setSecret(made, Field::secret, kPhrase, SecretForm::value);
  made.body.setText(made.arena, Field::upstreamId, "id " + std::string(kPhrase) + " here");
  made.body.setText(made.arena, Field::reason, "because " + std::string(kPhrase));
  made.body.setText(made.arena, Field::leaseId, kPhrase);
  const RedactedEvent result = redact(std::move(made));
  const std::string mark = "[redacted:known-secret:" + fingerprintOf(kPhrase) + "]";
  EXPECT_EQ(result.body().text(Field::upstreamId), "id " + mark + " here");
  EXPECT_EQ(result.body().text(Field::leaseId), fingerprintOf(kPhrase));
  EXPECT_EQ(disclosed(result.id(), result.redaction(), "/reason"), "because " + mark);
  EXPECT_TRUE(result.redaction().secretFound);
}

TEST_F(RedactorTest, ASecretGivenAsDigestOrFingerprintIsTakenOutToo) {
  for (const bool asFingerprint : {false, true}) {
    Event made = event(Kind::leaseGranted);
    setSecret(made, Field::secret, asFingerprint ? fingerprintOf(kPhrase) : toHex(crypto::sha256(bytesOf(kPhrase))),
              asFingerprint ? SecretForm::fingerprint : SecretForm::sha256);
    made.body.setText(made.arena, Field::upstreamId, "key=" + std::string(kPhrase));
    const RedactedEvent result = redact(std::move(made));
    EXPECT_THAT(std::string(result.body().text(Field::upstreamId)), ::testing::Not(HasSubstr(kPhrase)));
  }
}

TEST_F(RedactorTest, KnownSecretsAreFoundInEncodedForms) {
  know(kPhrase);
  const std::string mark = "[redacted:known-secret:" + fingerprintOf(kPhrase) + "]";
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::operation, "see " + std::string(kPhrase)), "see " + mark);
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::operation, "see " + toBase64(bytesOf(kPhrase))), "see " + mark);
  std::string percent = std::string(kPhrase);
  percent.replace(0, 1, "%62");
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::operation, "see " + percent), "see " + mark);
  Event made = event(Kind::leaseRevoked);
  made.body.setText(made.arena, Field::reason, "leaked: " + std::string(kPhrase));
  const RedactedEvent result = redact(std::move(made));
  EXPECT_EQ(disclosed(result.id(), result.redaction(), "/reason"), "leaked: " + mark);
  EXPECT_TRUE(result.redaction().secretFound);
}

TEST_F(RedactorTest, TooManyCandidatesWithholdTheField) {
  std::string text;
  for (int word = 0; word < 40; ++word) text += "candidate" + std::to_string(word) + " ";
  Event made = event(Kind::leaseConsumed);
  made.body.setTexts(made.arena, Field::resources, std::vector<std::string_view>(20, text));
  made.body.setText(made.arena, Field::leaseId, "lease-candidate");
  // Nothing is known: nothing is looked up, nothing withheld.
  RedactedEvent result = redact(std::move(made));
  EXPECT_EQ(result.body().texts(Field::resources)[19], text);
  know(kPhrase);
  made = event(Kind::leaseConsumed);
  made.body.setTexts(made.arena, Field::resources, std::vector<std::string_view>(20, text));
  made.body.setText(made.arena, Field::leaseId, "lease-candidate");
  result = redact(std::move(made));
  EXPECT_EQ(result.body().text(Field::leaseId), "lease-candidate");  // ids come first
  EXPECT_EQ(result.body().texts(Field::resources)[0], text);
  EXPECT_EQ(result.body().texts(Field::resources)[19], "[redacted:withheld]");
  EXPECT_THAT(rulesOf(result.redaction()), ::testing::Contains("/resources/19=too-many-candidates"));
}

TEST_F(RedactorTest, LongScannedTextsAreRefusedOrCut) {
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::operation, std::string(512, 'x')), std::string(512, 'x'));
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::operation, std::string(513, 'x')), "<too_long>");
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::operation, std::string(513, 'x'), true), std::string(509, 'x') + "\u2026");
  EXPECT_THAT(rules(), ElementsAre("/operation=truncated:513"));
  // Never through the middle of a character.
  std::string wide = std::string(508, 'x');
  for (int index = 0; index < 10; ++index) wide += "\u00fc";
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::operation, wide, true), std::string(508, 'x') + "\u2026");
  // A secret across the cut is found before it.
  const std::string across = std::string(490, 'x') + " " + std::string(kToken);
  EXPECT_THAT(kept(Kind::leaseConsumed, Field::operation, across, true), StartsWith(std::string(490, 'x') + " [redacted:"));
  EXPECT_EQ(last_->body().text(Field::operation).size(), 512u);
}

TEST_F(RedactorTest, TextsThatGrowBeyondTheLimitAreCut) {
  std::string text;
  while (text.size() < 480) text += "a" + std::to_string(text.size()) + "@example.com ";
  const std::string result = kept(Kind::leaseConsumed, Field::operation, text);
  EXPECT_LE(result.size(), 512u);
  EXPECT_TRUE(result.ends_with("\u2026"));
  EXPECT_THAT(rules(), ElementsAre("/operation=email", "/operation=truncated:" + std::to_string(text.size())));
}

TEST_F(RedactorTest, TextsThatNoEntryMayHoldAreRefused) {
  for (const Field field : {Field::operation, Field::userAgent}) {
    EXPECT_EQ(kept(Kind::leaseConsumed, field, "a\xff"), "<invalid_utf8>");
    EXPECT_EQ(kept(Kind::leaseConsumed, field, "\xed\xa0\x80", true), "<invalid_utf8>");
    EXPECT_EQ(kept(Kind::leaseConsumed, field, std::string_view("a\0b", 3)), "<invalid_value>");
  }
  EXPECT_EQ(kept(Kind::leaseRevoked, Field::reason, "a\xff"), "<invalid_utf8>");
  EXPECT_EQ(kept(Kind::leaseRevoked, Field::reason, std::string_view("a\0b", 3)), "<invalid_value>");
}

TEST_F(RedactorTest, TooManyItemsAreRefusedOrDropped) {
  Event made = event(Kind::leaseConsumed);
  made.body.setTexts(made.arena, Field::resources, std::vector<std::string_view>(257, "x"));
  EXPECT_THROW(redact(std::move(made)), Fault);
  made = event(Kind::leaseConsumed);
  made.lenient = true;
  made.body.setTexts(made.arena, Field::resources, std::vector<std::string_view>(260, "x"));
  const RedactedEvent result = redact(std::move(made));
  EXPECT_EQ(result.body().texts(Field::resources).size(), 256u);
  EXPECT_THAT(rulesOf(result.redaction()), ElementsAre("/resources=items-dropped:4"));
}

TEST_F(RedactorTest, PersonalTextsLeaveACommitmentAndADisclosure) {
  Event made = event(Kind::leaseRevoked);
  setPrincipal(made.arena, made.common, Field::actor, {PrincipalKind::human, "alice"});
  made.body.setText(made.arena, Field::reason, "call alice@example.com, key " + std::string(kToken));
  const RedactedEvent result = redact(std::move(made));
  EXPECT_EQ(result.body().text(Field::reason), "");
  EXPECT_EQ(disclosed(result.id(), result.redaction(), "/reason"),
            "call alice@example.com, key [redacted:github-token:" + fingerprintOf(kToken) + "]");
  EXPECT_EQ(keyOf(result.redaction(), "/reason"), keys_->subject(PrincipalKind::human, "alice")->id());
  ASSERT_EQ(result.redaction().commitments.size(), 2u);
  EXPECT_EQ(result.redaction().commitments[0].path, "/actor/id");  // sorted by path
  EXPECT_EQ(result.redaction().commitments[1].path, "/reason");
  EXPECT_THAT(rulesOf(result.redaction()), ElementsAre("/reason=github-token"));
}

TEST_F(RedactorTest, CommitmentsAreSortedByPath) {
  Event made = event(Kind::approvalRequested);
  setPrincipal(made.arena, made.body, Field::onBehalfOf, {PrincipalKind::human, "alice"});
  made.body.setText(made.arena, Field::comment, "text");
  const RedactionResult result = redact(std::move(made)).redaction();
  ASSERT_EQ(result.commitments.size(), 2u);
  EXPECT_EQ(result.commitments[0].path, "/comment");
  EXPECT_EQ(result.disclosures[0].path, "/comment");
  EXPECT_EQ(result.commitments[1].path, "/onBehalfOf/id");
}

TEST_F(RedactorTest, LongPersonalTextsAreRefusedOrCut) {
  EXPECT_EQ(kept(Kind::leaseRevoked, Field::reason, std::string(8193, 'x')), "<too_long>");
  EXPECT_EQ(kept(Kind::leaseRevoked, Field::reason, std::string(8193, 'x'), true), "");
  EXPECT_EQ(disclosed(last_->id(), last_->redaction(), "/reason"), std::string(8189, 'x') + "\u2026");
  EXPECT_THAT(rules(), ElementsAre("/reason=truncated:8193"));
}

TEST_F(RedactorTest, TheSubjectDecidesWhoseKeyProtects) {
  const auto keyFor = [&](PrincipalValue actor, std::optional<PrincipalValue> onBehalfOf) {
    Event made = event(onBehalfOf ? Kind::approvalRequested : Kind::leaseRevoked);
    setPrincipal(made.arena, made.common, Field::actor, actor);
    const Field field = onBehalfOf ? Field::comment : Field::reason;
    if (onBehalfOf) setPrincipal(made.arena, made.body, Field::onBehalfOf, *onBehalfOf);
    made.body.setText(made.arena, field, "text");
    return keyOf(redact(std::move(made)).redaction(), onBehalfOf ? "/comment" : "/reason");
  };
  const auto personOf = [&](std::string_view id) { return keys_->subject(PrincipalKind::human, id)->id(); };
  const KeyId own = keys_->workspaceSubject()->id();
  EXPECT_EQ(keyFor({PrincipalKind::human, "alice"}, std::nullopt), personOf("alice"));
  EXPECT_EQ(keyFor({PrincipalKind::agent, "fixer"}, std::nullopt), own);
  EXPECT_EQ(keyFor({PrincipalKind::service, "bob@example.com"}, std::nullopt), personOf("bob@example.com"));
  EXPECT_EQ(keyFor({}, std::nullopt), own);
  EXPECT_EQ(keyFor({PrincipalKind::agent, "fixer"}, PrincipalValue{PrincipalKind::human, "carol"}), personOf("carol"));
  EXPECT_EQ(keyFor({PrincipalKind::human, "alice"}, PrincipalValue{PrincipalKind::agent, "fixer"}), own);
  // A bundle's addresses are the workspace's, whoever acts.
  Event made = event(Kind::bundleRedeemed);
  setPrincipal(made.arena, made.common, Field::actor, {PrincipalKind::human, "alice"});
  made.body.setText(made.arena, Field::sourceAddress, "10.0.0.1");
  EXPECT_EQ(keyOf(redact(std::move(made)).redaction(), "/sourceAddress"), own);
}

TEST_F(RedactorTest, AddressesGetAPseudonymBesideThem) {
  Event made = event(Kind::leaseConsumed);
  setPrincipal(made.arena, made.common, Field::actor, {PrincipalKind::human, "alice"});
  made.body.setText(made.arena, Field::sourceAddress, "[2001:DB8::1]:443");
  made.body.setText(made.arena, Field::sourceAddressPseudonym, "forged");
  const RedactedEvent result = redact(std::move(made));
  EXPECT_EQ(result.body().text(Field::sourceAddress), "");
  EXPECT_EQ(result.body().text(Field::sourceAddressPseudonym),
            addressPseudonymOf(*keys_->subject(PrincipalKind::human, "alice"), "2001:db8::1"));
  EXPECT_EQ(disclosed(result.id(), result.redaction(), "/sourceAddress"), "[2001:DB8::1]:443");
}

TEST_F(RedactorTest, WhatIsNoAddressGoesToTheScannedField) {
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::sourceAddress, "ec2.amazonaws.com"), "");
  EXPECT_EQ(last_->body().text(Field::sourceService), "ec2.amazonaws.com");
  EXPECT_EQ(last_->body().text(Field::sourceAddressPseudonym), "");
  EXPECT_THAT(last_->redaction().commitments, IsEmpty());
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::sourceAddress, std::string(kToken)), "");
  EXPECT_EQ(last_->body().text(Field::sourceService), "[redacted:github-token:" + fingerprintOf(kToken) + "]");
  for (const bool lenient : {false, true}) {
    Event made = event(Kind::leaseConsumed);
    made.lenient = lenient;
    made.body.setText(made.arena, Field::sourceAddress, "not an address");
    made.body.setText(made.arena, Field::sourceService, "svc");
    if (!lenient) {
      EXPECT_THROW(redact(std::move(made)), Fault);
      continue;
    }
    const RedactedEvent result = redact(std::move(made));
    EXPECT_EQ(result.body().text(Field::sourceService), "svc");
    EXPECT_THAT(rulesOf(result.redaction()), ElementsAre("/sourceAddress=not-an-address"));
  }
}

TEST_F(RedactorTest, SecretsOfAllFormsBecomeOneFingerprint) {
  for (const auto& [text, form] : {std::pair<std::string, SecretForm>(kPhrase, SecretForm::value),
                                   {toHex(crypto::sha256(bytesOf(kPhrase))), SecretForm::sha256},
                                   {fingerprintOf(kPhrase), SecretForm::fingerprint}}) {
    Event made = event(Kind::credentialUsed);
    setSecret(made, Field::fingerprint, text, form);
    const RedactedEvent result = redact(std::move(made));
    EXPECT_EQ(result.body().text(Field::fingerprint), fingerprintOf(kPhrase));
    EXPECT_EQ(result.body().get(Field::fingerprint).secretForm, SecretForm::fingerprint);
    EXPECT_FALSE(result.redaction().secretFound);
  }
  for (const auto& [text, form] : {std::pair<std::string, SecretForm>("xyz", SecretForm::sha256),
                                   {std::string(62, 'a'), SecretForm::sha256},
                                   {"fp2:1:short", SecretForm::fingerprint},
                                   {std::string(8193, 'x'), SecretForm::value}}) {
    Event made = event(Kind::credentialUsed);
    setSecret(made, Field::fingerprint, text, form);
    EXPECT_THROW(redact(std::move(made)), Fault) << text.size();
  }
}

TEST_F(RedactorTest, DigestsAreKeyed) {
  KeyId used;
  const std::string expected = toHex(keys_->keyedDigest({bytesOf("guess-me")}, used));
  EXPECT_EQ(kept(Kind::toolInvoked, Field::requestDigest, "guess-me"), expected);
  EXPECT_THAT(last_->redaction().keysUsed, ::testing::Contains(used));
}

TEST_F(RedactorTest, ASecretInAPolicyRefusesIt) {
  const auto codeOf = [&](const std::string& document) {
    Command command = Command::make(CommandKind::policySet);
    command.body.setText(command.arena, Field::document, document);
    try {
      EXPECT_EQ(redactor_.redact(std::move(command)).body().text(Field::document), document);
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.field(), "/document");
      return fault.code();
    }
    return ErrorCode::internal;
  };
  std::string large = "name = \"p\"\n";
  while (large.size() < 40'000) large += "# rule-number-" + std::to_string(large.size()) + " of the production policy\n";
  EXPECT_EQ(codeOf(large), ErrorCode::internal);
  EXPECT_EQ(codeOf("grantee = [\"human:alice@example.com\"]\n"), ErrorCode::internal);
  EXPECT_EQ(codeOf(large + "# " + std::string(kToken)), ErrorCode::secretInPolicy);
  EXPECT_EQ(codeOf(large + std::string(10'000, '#')), ErrorCode::tooLong);
  know(kPhrase);
  EXPECT_EQ(codeOf(large), ErrorCode::internal);
  EXPECT_EQ(codeOf(large + "# " + std::string(kPhrase)), ErrorCode::secretInPolicy);
}

class RequestDigestTest : public test::RedactionTest {
 protected:
  struct Request {
    std::string person = "alice";
    std::string reason = "because";
    std::string resource = "github.com/acme";
    std::string address = "10.0.0.1";
    std::string_view secret = kPhrase;
    SecretForm form = SecretForm::value;
    std::uint64_t ttl = 900;
    std::string_view source = "api";
  };
  RedactedCommand redactCommand(const Request& request) {
    Command command = Command::make(CommandKind::leaseRequest);
    command.id = EntryId{random_.bytes<16>()};
    command.common.setText(command.arena, Field::source, request.source);
    setPrincipal(command.arena, command.common, Field::actor, {PrincipalKind::human, request.person});
    setPrincipal(command.arena, command.body, Field::grantee, {PrincipalKind::human, request.person});
    command.body.setText(command.arena, Field::reason, request.reason);
    command.body.setTexts(command.arena, Field::resources, std::vector<std::string_view>{request.resource});
    command.body.setText(command.arena, Field::sourceAddress, request.address);
    command.body.setText(command.arena, Field::secret, request.secret);
    command.body.at(Field::secret).secretForm = request.form;
    command.body.setNumber(Field::ttlSeconds, request.ttl);
    return redactor_.redact(std::move(command));
  }
  crypto::Digest digest(const Request& request) { return redactCommand(request).redaction().requestDigest; }
};

TEST_F(RequestDigestTest, IsTheSameForTheSameRequestAndOnlyForThat) {
  const crypto::Digest first = digest({});
  EXPECT_EQ(digest({}), first);  // under another id, with other nonces
  EXPECT_EQ(digest({.reason = "another reason"}), first);
  EXPECT_EQ(digest({.address = "10.0.0.2"}), first);
  EXPECT_EQ(digest({.source = "import/vault"}), first);
  const std::string sha256 = toHex(crypto::sha256(bytesOf(kPhrase)));
  EXPECT_EQ(digest({.secret = sha256, .form = SecretForm::sha256}), first);
  EXPECT_NE(digest({.reason = ""}), first);
  EXPECT_NE(digest({.address = ""}), first);
  EXPECT_NE(digest({.person = "bob"}), first);
  EXPECT_NE(digest({.resource = "github.com/other"}), first);
  EXPECT_NE(digest({.secret = "another-secret-phrase"}), first);
  EXPECT_NE(digest({.ttl = 901}), first);
}

// The bytes of FORMATS: Idempotency, put together here by hand.
TEST_F(RequestDigestTest, IsTheDocumentedHmac) {
  const RedactedCommand command = redactCommand({});
  Arena arena;
  StructValue common = makeStruct(arena, *schemaTables().command);
  setPrincipal(arena, common, Field::actor, {PrincipalKind::human, pseudonym("alice")});
  StructValue body = makeStruct(arena, *schemaTables().commands[static_cast<std::size_t>(CommandKind::leaseRequest)].body);
  setPrincipal(arena, body, Field::grantee, {PrincipalKind::human, pseudonym("alice")});
  body.setText(arena, Field::reason, "1");
  body.setText(arena, Field::sourceAddress, "1");
  body.setTexts(arena, Field::resources, std::vector<std::string_view>{"github.com/acme"});
  body.setText(arena, Field::secret, fingerprintOf(kPhrase));
  body.setNumber(Field::ttlSeconds, 900);
  StructValue operation = makeStruct(arena, *common.table->find(Field::operation)->structure);
  operation.discriminant = static_cast<std::uint16_t>(CommandKind::leaseRequest);
  operation.member = &body;
  common.setStructure(arena, Field::operation, operation);
  KeyId used;
  EXPECT_EQ(command.redaction().requestDigest, keys_->keyedDigest({encodeCanonical(common)}, used));
  EXPECT_THAT(command.redaction().keysUsed, ::testing::Contains(used));
  // What the digest was made from does not stay in what is kept.
  EXPECT_EQ(command.common().text(Field::source), "api");
  EXPECT_EQ(command.body().text(Field::reason), "");
  EXPECT_THAT(std::string(command.body().text(Field::sourceAddressPseudonym)), StartsWith("n2:"));
  EXPECT_TRUE(command.common().get(Field::operation).absent());
  EXPECT_EQ(command.granteeForPolicy(), "alice");
  EXPECT_EQ(command.redaction().fingerprintGeneration, 1u);
}

TEST_F(RequestDigestTest, DependsOnTheWorkspacesKey) {
  const auto other = ring_.workspace(WorkspaceNumber{13});
  Redactor redactor(*other, nullptr, random_);
  const auto digestIn = [&](Redactor& of) {
    Command command = Command::make(CommandKind::leaseRenew);
    command.body.setText(command.arena, Field::leaseId, "lease-1");
    return of.redact(std::move(command)).redaction().requestDigest;
  };
  EXPECT_EQ(digestIn(redactor_), digestIn(redactor_));
  EXPECT_NE(digestIn(redactor_), digestIn(redactor));
}

TEST_F(RequestDigestTest, TellsFactsOfOneFormButTwoKindsApart) {
  const auto digestOf = [&](Kind kind) {
    Event made = event(kind);
    made.body.setText(made.arena, Field::tokenId, "token-1");
    return redact(std::move(made)).redaction().requestDigest;
  };
  EXPECT_EQ(digestOf(Kind::tokenMinted), digestOf(Kind::tokenMinted));
  EXPECT_NE(digestOf(Kind::tokenMinted), digestOf(Kind::tokenRefreshed));
}

}  // namespace
}  // namespace counterfoil::redact

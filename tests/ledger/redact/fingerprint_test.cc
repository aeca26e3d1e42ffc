#include "ledger/redact/fingerprint.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "ledger/core/encoding.h"
#include "ledger/keys/key_ring.h"
#include "tests/support/memory_key_provider.h"

namespace counterfoil::redact {
namespace {

constexpr WorkspaceNumber kWorkspace{42};

crypto::Bytes bytesOf(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

class FingerprintTest : public ::testing::Test {
 protected:
  static crypto::SecretBytes keyBytes(std::uint8_t fill) { return crypto::SecretBytes(crypto::Bytes(std::vector<std::uint8_t>(32, fill))); }
  // HMAC in the plain form, whatever the keys prepare.
  static crypto::Digest mac(std::uint8_t keyFill, std::string_view text) {
    return crypto::hmacSha256(std::vector<std::uint8_t>(32, keyFill), {bytesOf(text)});
  }
  PersonalValue committed(std::string_view path, std::string_view value) const { return committed(kWorkspace, entry_, path, value); }
  PersonalValue committed(WorkspaceNumber workspace, const EntryId& entry, std::string_view path, std::string_view value) const {
    const PersonalText text{&subjectKey_, path, value, nonce_};
    return std::move(commitTo(workspace, entry, std::span(&text, 1)).front());
  }
  static std::string half(const crypto::Digest& digest) { return toBase64Url(crypto::Bytes(digest).first(16)); }

  const FingerprintKey fingerprintKey_{KeyId{}, 3, keyBytes(0x11)};
  const SubjectKey subjectKey_{KeyId{{9}}, keyBytes(0x22)};
  const EntryId entry_{{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x7d, 0xef, 0x81, 2, 3, 4, 5, 6, 7, 8}};
  const crypto::AeadNonce nonce_{5, 5, 5};
};

TEST_F(FingerprintTest, IsTheDocumentedHmac) {
  const crypto::Digest value = crypto::sha256(bytesOf("hunter2-hunter2"));
  const std::string digestText(reinterpret_cast<const char*>(value.data()), value.size());
  EXPECT_EQ(fingerprintText(fingerprintKey_, value), "fp2:3:" + half(mac(0x11, digestText)));
  // Trimming or case would make two secrets one.
  EXPECT_NE(fingerprintText(fingerprintKey_, crypto::sha256(bytesOf("hunter2-hunter2 "))), fingerprintText(fingerprintKey_, value));
}

TEST_F(FingerprintTest, ParsesItsOwnTextAndNothingElse) {
  const FingerprintTag tag = fingerprintTag(fingerprintKey_, crypto::sha256(bytesOf("x")));
  const std::string text = fingerprintText(4'294'967'295U, tag);
  const auto parsed = parseFingerprint(text);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->generation, 4'294'967'295U);
  EXPECT_EQ(parsed->tag, tag);
  const std::string digits = text.substr(text.size() - 22);
  for (const std::string& bad :
       {std::string(), std::string("fp2:"), std::string("fp2:1"), std::string("fp2:1:"), "fp2:0:" + digits, "fp2:01:" + digits,
        "fp2:-1:" + digits, "fp2:4294967296:" + digits, "fp1:1:" + digits, "fp2:1:" + digits + "A", "fp2:1:" + digits.substr(1),
        "fp2:1:" + digits.substr(1) + "=", "fp2: 1:" + digits, "FP2:1:" + digits, "fp2:1;" + digits, "fp2:1:" + digits.substr(2) + "zz"}) {
    EXPECT_FALSE(parseFingerprint(bad)) << bad;
  }
}

TEST_F(FingerprintTest, PseudonymsAreTheDocumentedHmacs) {
  EXPECT_EQ(pseudonymOf(subjectKey_), "p2:" + half(mac(0x22, "counterfoil pseudonym v1")));
  EXPECT_EQ(addressPseudonymOf(subjectKey_, "10.0.0.1"), "n2:" + half(mac(0x22, "counterfoil address v1\n10.0.0.1")));
  EXPECT_TRUE(isPseudonym(pseudonymOf(subjectKey_)));
  EXPECT_FALSE(isPseudonym("p2:short"));
  EXPECT_FALSE(isPseudonym("n2:" + half(mac(0x22, "x"))));
  EXPECT_FALSE(isPseudonym(pseudonymOf(subjectKey_) + "x"));
}

TEST_F(FingerprintTest, TextsOfAllLivingGenerationsNewestFirst) {
  crypto::SystemRandom random;
  test::MemoryKeyProvider provider(random);
  keys::KeyRing ring(provider, random);
  const auto keys = ring.workspace(kWorkspace);
  const auto first = keys->nextFingerprint();
  const auto second = keys->nextFingerprint();
  const crypto::Digest value = crypto::sha256(bytesOf("value"));
  EXPECT_EQ(fingerprintTexts(*keys, value), (std::vector<std::string>{fingerprintText(*second, value), fingerprintText(*first, value)}));
}

// Everything from FORMATS with plain calls: nothing that the product prepares or shares is used.
TEST_F(FingerprintTest, CommitmentAndDisclosureAreTheDocumentedBytes) {
  const PersonalValue personal = committed("/reason", "say \"hi\"\n\x01 \xc3\xbc\\");
  const std::string place = "42\n0123456789ab7def8102030405060708\n/reason";
  const std::string salt = half(mac(0x22, "counterfoil salt v1\n" + place));
  const std::string json = "[\"" + salt + "\",\"/reason\",\"say \\\"hi\\\"\\n\\u0001 \xc3\xbc\\\\\"]";
  const std::string encoded = toBase64Url(bytesOf(json));
  EXPECT_EQ(personal.commitment.path, "/reason");
  EXPECT_EQ(personal.commitment.digest, crypto::sha256(bytesOf(encoded)));
  EXPECT_EQ(personal.disclosure.path, "/reason");
  EXPECT_EQ(personal.disclosure.keyId, subjectKey_.id());
  EXPECT_EQ(personal.disclosure.nonce, nonce_);
  const crypto::SecretBytes key = crypto::hkdfSha256(std::vector<std::uint8_t>(32, 0x22), bytesOf("counterfoil disclosure v1\n" + place));
  std::vector<std::uint8_t> data(8, 0);
  data[0] = 42;
  for (const std::uint8_t byte : entry_.bytes) data.push_back(byte);
  for (const char c : std::string_view("/reason")) data.push_back(static_cast<std::uint8_t>(c));
  EXPECT_EQ(personal.disclosure.sealed, crypto::AeadKey(key.bytes()).seal(nonce_, data, bytesOf(encoded)));
}

// Any number of values, more than are computed at once among them, under keys of several persons.
TEST_F(FingerprintTest, ValuesTogetherBecomeWhatEachBecomesAlone) {
  const SubjectKey other{KeyId{{8}}, keyBytes(0x33)};
  std::vector<std::string> paths, texts;
  for (std::size_t index = 0; index < 11; ++index) {
    paths.push_back("/items/" + std::to_string(index) + std::string(index * 7, 'x'));
    texts.push_back(std::string(index * index * 13, static_cast<char>('a' + index)));
  }
  std::vector<PersonalText> values;
  for (std::size_t index = 0; index < paths.size(); ++index) {
    crypto::AeadNonce nonce = nonce_;
    nonce[11] = static_cast<std::uint8_t>(index);
    values.push_back({index % 3 == 0 ? &other : &subjectKey_, paths[index], texts[index], nonce});
    const std::vector<PersonalValue> together = commitTo(kWorkspace, entry_, values);
    ASSERT_EQ(together.size(), values.size());
    for (std::size_t each = 0; each < values.size(); ++each) {
      const std::vector<PersonalValue> alone = commitTo(kWorkspace, entry_, std::span(values).subspan(each, 1));
      EXPECT_EQ(together[each].commitment.path, paths[each]);
      EXPECT_EQ(together[each].commitment.digest, alone.front().commitment.digest);
      EXPECT_EQ(together[each].disclosure.sealed, alone.front().disclosure.sealed);
      EXPECT_EQ(together[each].disclosure.keyId, values[each].key->id());
      EXPECT_EQ(together[each].disclosure.nonce, values[each].nonce);
      EXPECT_TRUE(disclose(*values[each].key, kWorkspace, entry_, together[each].disclosure, together[each].commitment.digest));
    }
  }
  EXPECT_TRUE(commitTo(kWorkspace, entry_, {}).empty());
}

TEST_F(FingerprintTest, DisclosesEveryValueItCommittedTo) {
  std::string all;
  for (int c = 1; c < 0x80; ++c) all += static_cast<char>(c);
  for (const std::string& value : {std::string(), std::string("plain"), all, std::string("\"]"), std::string("\",\""),
                                   std::string("\\u0041"), std::string("\xf0\x9f\x98\x80"), std::string(8192, '\x02')}) {
    const PersonalValue personal = committed("/grantee/id", value);
    const auto back = disclose(subjectKey_, kWorkspace, entry_, personal.disclosure, personal.commitment.digest);
    ASSERT_TRUE(back) << value.size();
    EXPECT_EQ(back->text(), value);
  }
}

TEST_F(FingerprintTest, DisclosesNothingElse) {
  const PersonalValue good = committed("/reason", "value");
  const auto opens = [&](const SubjectKey& key, WorkspaceNumber workspace, const EntryId& entry, const SealedDisclosure& disclosure,
                         const crypto::Digest& commitment) { return disclose(key, workspace, entry, disclosure, commitment).has_value(); };
  ASSERT_TRUE(opens(subjectKey_, kWorkspace, entry_, good.disclosure, good.commitment.digest));
  EXPECT_FALSE(opens(SubjectKey(KeyId{}, keyBytes(0x23)), kWorkspace, entry_, good.disclosure, good.commitment.digest));
  EXPECT_FALSE(opens(subjectKey_, WorkspaceNumber{43}, entry_, good.disclosure, good.commitment.digest));
  EXPECT_FALSE(opens(subjectKey_, kWorkspace, EntryId{}, good.disclosure, good.commitment.digest));
  EXPECT_FALSE(opens(subjectKey_, kWorkspace, entry_, good.disclosure, crypto::Digest{}));
  SealedDisclosure moved = good.disclosure;
  moved.path = "/comment";
  EXPECT_FALSE(opens(subjectKey_, kWorkspace, entry_, moved, good.commitment.digest));
  for (std::size_t at = 0; at < good.disclosure.sealed.size(); ++at) {
    SealedDisclosure changed = good.disclosure;
    changed.sealed[at] ^= 1;
    EXPECT_FALSE(opens(subjectKey_, kWorkspace, entry_, changed, good.commitment.digest)) << at;
  }
}

TEST_F(FingerprintTest, EqualValuesHaveEqualCommitmentsOnlyInOnePlace) {
  const auto digest = [&](std::uint64_t workspace, std::uint8_t entry, std::string_view path) {
    return committed(WorkspaceNumber{workspace}, EntryId{{entry}}, path, "value").commitment.digest;
  };
  EXPECT_EQ(digest(1, 1, "/reason"), digest(1, 1, "/reason"));
  EXPECT_NE(digest(1, 1, "/reason"), digest(2, 1, "/reason"));
  EXPECT_NE(digest(1, 1, "/reason"), digest(1, 2, "/reason"));
  EXPECT_NE(digest(1, 1, "/reason"), digest(1, 1, "/comment"));
}

struct AddressCase {
  std::string_view given;
  std::string_view normal;  // empty: no address
};

// RFC 5952 sections 4 and 5, and the forms in which programs write addresses.
constexpr AddressCase kAddresses[] = {
    {"192.0.2.1", "192.0.2.1"},
    {"192.0.2.1:443", "192.0.2.1"},
    {"0.0.0.0", "0.0.0.0"},
    {"255.255.255.255:65535", "255.255.255.255"},
    {"::", "::"},
    {"::1", "::1"},
    {"1::", "1::"},
    {"2001:db8::1", "2001:db8::1"},
    {"2001:0db8::0001", "2001:db8::1"},
    {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
    {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
    {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
    {"2001:DB8::ABCD", "2001:db8::abcd"},
    {"0:0:0:0:0:0:0:0", "::"},
    {"1:0:0:0:0:0:0:0", "1::"},
    {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
    {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
    {"0:0:3:4:5:6:7:8", "::3:4:5:6:7:8"},
    {"::ffff:192.0.2.1", "192.0.2.1"},
    {"::ffff:c000:0201", "192.0.2.1"},
    {"[::ffff:192.0.2.1]:80", "192.0.2.1"},
    {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
    {"[2001:db8::1]", "2001:db8::1"},
    {"[2001:db8::1]:8080", "2001:db8::1"},
    {"fe80::1%eth0", "fe80::1"},
    {"[fe80::1%eth0]:22", "fe80::1"},
    {"", ""},
    {"ec2.amazonaws.com", ""},
    {"192.0.2", ""},
    {"192.0.2.256", ""},
    {"192.0.02.1", ""},
    {"0x7f.1", ""},
    {"2130706433", ""},
    {"192.0.2.1:", ""},
    {"192.0.2.1:65536", ""},
    {"192.0.2.1:port", ""},
    {"192.0.2.1/24", ""},
    {" 192.0.2.1", ""},
    {"192.0.2.1 ", ""},
    {"1.2.3.4%eth0", ""},
    {":::", ""},
    {"1::2::3", ""},
    {"1:2:3:4:5:6:7", ""},
    {"1:2:3:4:5:6:7:8:9", ""},
    {"12345::", ""},
    {"g::1", ""},
    {"fe80::1%", ""},
    {"[::1", ""},
    {"::1]", ""},
    {"[::1]80", ""},
    {"[::1]:", ""},
    {"[192.0.2.1]", ""},
    {"AWS Internal", ""},
    {"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111", ""},
};

TEST(NormaliseAddress, GivesTheOneFormOfRfc5952) {
  for (const AddressCase& row : kAddresses) {
    const auto normal = normaliseAddress(row.given);
    EXPECT_EQ(normal.value_or(""), row.normal) << row.given;
    EXPECT_EQ(normal.has_value(), !row.normal.empty()) << row.given;
    if (normal) {
      EXPECT_EQ(normaliseAddress(*normal), normal) << row.given;
    }
  }
  EXPECT_FALSE(normaliseAddress(std::string_view("::1\0", 4)));
  EXPECT_FALSE(normaliseAddress(std::string(100'000, ':')));
}

}  // namespace
}  // namespace counterfoil::redact

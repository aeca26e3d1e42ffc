// After redaction no secret of the request is left in the process: not in an arena, not on the stack, not in freed memory.
#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "tests/ledger/crypto/memory_scan.h"
#include "tests/ledger/redact/redaction_fixture.h"

namespace counterfoil::redact {
namespace {

using crypto::test::Needle;

class RedactedMemoryTest : public test::RedactionTest {
 protected:
  static constexpr std::size_t kSecretBytes = 40;

  // An event whose secret stands in the secret field, in a scanned text, in an id (unless strict) and in a personal text.
  [[gnu::noinline]] Event eventWithSecret(std::optional<Needle>& needle, bool inId) {
    constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    std::array<char, 8 + kSecretBytes + 8> text;
    text.fill(' ');
    for (std::size_t index = 0; index < kSecretBytes; ++index) text[8 + index] = kAlphabet[random_.bytes<1>()[0] % kAlphabet.size()];
    const std::string_view whole(text.data(), text.size());
    const std::string_view secret = whole.substr(8, kSecretBytes);
    // The middle of it: parts must be gone as well.
    needle.emplace(crypto::Bytes(reinterpret_cast<const std::uint8_t*>(secret.data()) + 8, 20));
    Event made = event(Kind::leaseGranted);
    made.lenient = true;
    setSecret(made, Field::secret, secret, SecretForm::value);
    made.body.setText(made.arena, Field::upstreamId, whole);
    made.body.setText(made.arena, Field::reason, whole);
    if (inId) made.body.setText(made.arena, Field::leaseId, secret);
    crypto::wipe(text.data(), text.size());
    return made;
  }
};

TEST_F(RedactedMemoryTest, HoldsNoSecretAfterwards) {
  if (!crypto::test::kCanScanMemory) GTEST_SKIP() << "a sanitizer keeps freed memory";
  know("something-else-that-is-known");
  std::optional<Needle> needle;
  Event made = eventWithSecret(needle, true);
  EXPECT_GE(needle->occurrences(), 4u) << "the watcher sees nothing";
  const RedactedEvent kept = redact(std::move(made));
  EXPECT_EQ(kept.body().text(Field::leaseId), kept.body().text(Field::secret));
  EXPECT_EQ(needle->occurrences(), 0u);
}

TEST_F(RedactedMemoryTest, HoldsNoSecretOfARefusedRequest) {
  if (!crypto::test::kCanScanMemory) GTEST_SKIP() << "a sanitizer keeps freed memory";
  std::optional<Needle> needle;
  Event made = eventWithSecret(needle, false);
  made.lenient = false;
  made.body.setText(made.arena, Field::issuer, "not an id");
  EXPECT_GE(needle->occurrences(), 3u) << "the watcher sees nothing";
  EXPECT_THROW(redact(std::move(made)), Fault);
  EXPECT_EQ(needle->occurrences(), 0u);
}

}  // namespace
}  // namespace counterfoil::redact

// The provider over real sockets and TLS, against tests/support/test_kms.h.
#include "ledger/keys/http_kms_provider.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <functional>
#include <thread>

#include "ledger/core/encoding.h"
#include "tests/contract/key_provider_contract.h"
#include "tests/support/manual_clock.h"
#include "tests/support/test_kms.h"

namespace counterfoil::keys::test {

using counterfoil::test::CertificateFiles;
using counterfoil::test::Certificates;
using counterfoil::test::KmsMood;
using counterfoil::test::TestKms;
using counterfoil::test::TestKmsOptions;

// A service, what it is reached with, and a provider.
class KmsHarness {
 public:
  static constexpr const char* kToken = "s.test-token-of-the-ledger";

  KmsHarness() {
    if (!Certificates::available()) return;
    authority_ = certificates_.authority("authority");
    TestKmsOptions options;
    options.certificate = certificates_.certificate("kms", authority_);
    kms_ = std::make_unique<TestKms>(options);
    certificates_.file("token", std::string(kToken) + "\n");
    restart();
  }
  static bool available() { return Certificates::available(); }
  HttpKmsOptions options() const {
    HttpKmsOptions options;
    options.transport.url = kms_->url();
    options.transport.authorities = authority_.certificate.string();
    options.transport.tokenFile = (certificates_.folder() / "token").string();
    options.transport.timeoutMs = 30'000;
    options.prefix = kmsKeyPrefix("ledger.example.com/prod");
    return options;
  }
  void use(const HttpKmsOptions& options) { provider_ = std::make_unique<HttpKmsProvider>(options, clock_); }
  void restart() { use(options()); }
  HttpKmsProvider& provider() { return *provider_; }
  TestKms& kms() { return *kms_; }
  Certificates& certificates() { return certificates_; }
  const CertificateFiles& authority() const { return authority_; }
  counterfoil::test::ManualClock& clock() { return clock_; }
  static std::string keyName(std::uint64_t number) { return kmsKeyPrefix("ledger.example.com/prod") + "-w" + std::to_string(number); }

 private:
  Certificates certificates_;
  CertificateFiles authority_;
  std::unique_ptr<TestKms> kms_;
  counterfoil::test::ManualClock clock_;
  std::unique_ptr<HttpKmsProvider> provider_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(HttpKms, KeyProviderContract, KmsHarness);

namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr WorkspaceNumber kWorkspace{7};

crypto::Bytes bytesOf(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

class HttpKmsProviderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!KmsHarness::available()) GTEST_SKIP() << "there is no openssl program here, which makes the certificates";
    harness_ = std::make_unique<KmsHarness>();
  }
  KmsHarness& harness() { return *harness_; }
  TestKms& kms() { return harness_->kms(); }
  HttpKmsProvider& provider() { return harness_->provider(); }

  std::vector<Wrapped> wrap(std::initializer_list<std::string_view> texts, WorkspaceNumber workspace = kWorkspace) {
    std::vector<WrapRequest> requests;
    for (const std::string_view text : texts) requests.push_back({bytesOf("place"), bytesOf(text)});
    return provider().wrap(workspace, kNewestVersion, requests);
  }
  std::vector<Unwrapped> unwrap(const std::vector<Wrapped>& wrapped, WorkspaceNumber workspace = kWorkspace) {
    std::vector<UnwrapRequest> requests;
    for (const Wrapped& each : wrapped) requests.push_back({workspace, each.version, each.nonce, bytesOf("place"), each.sealed});
    return provider().unwrap(requests);
  }
  template <class Call>
  static Fault faultOf(const Call& call) {
    try {
      call();
    } catch (const Fault& fault) {
      // Whatever happened: nothing of what was sent is in what is told.
      const std::string told = fault.detail() + fault.hint() + fault.what();
      EXPECT_THAT(told, Not(HasSubstr(KmsHarness::kToken)));
      EXPECT_THAT(told, Not(HasSubstr("plain text of a key")));
      EXPECT_THAT(told, Not(HasSubstr(toBase64(bytesOf("plain text of a key")).substr(0, 20))));
      EXPECT_THAT(told, Not(HasSubstr("127.0.0.1")));
      return fault;
    }
    return Fault(ErrorCode::internal, "no fault");
  }
  Fault faultOfCreate() {
    return faultOf([&] { provider().createVersion(kWorkspace); });
  }

  std::unique_ptr<KmsHarness> harness_;
};

TEST_F(HttpKmsProviderTest, NamesKeysByOriginAndNumber) {
  provider().createVersion(kWorkspace);
  EXPECT_THAT(kms().keyNames(), ElementsAre(KmsHarness::keyName(7)));
  EXPECT_EQ(kmsKeyPrefix("ledger.example.com/prod").size(), 12u + 16);
  EXPECT_NE(kmsKeyPrefix("ledger.example.com/prod"), kmsKeyPrefix("ledger.example.com/test"));
}

// What is stored is AES-256-GCM under the very key of the service: with an export of it the log opens without the service.
TEST_F(HttpKmsProviderTest, StoresPlainAesGcm) {
  provider().createVersion(kWorkspace);
  const auto wrapped = wrap({"plain text of a key"});
  ASSERT_EQ(wrapped.size(), 1u);
  const std::string key = kms().keyBytes(KmsHarness::keyName(7), 1);
  ASSERT_EQ(key.size(), 32u);
  const auto opened = crypto::AeadKey(bytesOf(key)).open(wrapped[0].nonce, bytesOf("place"), wrapped[0].sealed);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->text(), "plain text of a key");
}

// Two nodes, or two data folders, of one origin.
TEST_F(HttpKmsProviderTest, SharesKeysBetweenProvidersOfOneOrigin) {
  HttpKmsProvider other(harness().options(), harness().clock());
  EXPECT_EQ(provider().createVersion(kWorkspace), 1u);
  EXPECT_EQ(other.currentVersion(kWorkspace), 1u);
  const auto wrapped = wrap({"plain text of a key"});
  const UnwrapRequest request{kWorkspace, 1, wrapped[0].nonce, bytesOf("place"), wrapped[0].sealed};
  EXPECT_EQ(other.unwrap({&request, 1}).at(0).plaintext.text(), "plain text of a key");
  EXPECT_EQ(other.createVersion(kWorkspace), 2u);
  EXPECT_EQ(wrap({"x"}).at(0).version, 2u) << "the newest is asked for, not remembered";
  HttpKmsOptions elsewhere = harness().options();
  elsewhere.prefix = kmsKeyPrefix("another origin");
  HttpKmsProvider stranger(elsewhere, harness().clock());
  EXPECT_EQ(stranger.currentVersion(kWorkspace), 0u);
  EXPECT_EQ(stranger.unwrap({&request, 1}).at(0).outcome, UnwrapOutcome::missing);
}

TEST_F(HttpKmsProviderTest, TrimsWhatItDestroys) {
  for (int version = 1; version <= 3; ++version) provider().createVersion(kWorkspace);
  provider().destroyVersion(kWorkspace, 2);
  EXPECT_EQ(kms().keyBytes(KmsHarness::keyName(7), 1), "");
  EXPECT_EQ(kms().keyBytes(KmsHarness::keyName(7), 2), "");
  EXPECT_NE(kms().keyBytes(KmsHarness::keyName(7), 3), "");
  provider().destroyVersion(kWorkspace, 3);
  EXPECT_EQ(kms().keyBytes(KmsHarness::keyName(7), 3), "");
}

TEST_F(HttpKmsProviderTest, MakesNoKeyByEncrypting) {
  EXPECT_EQ(faultOf([&] { wrap({"plain text of a key"}); }).code(), ErrorCode::keyMissing);
  provider().createVersion(kWorkspace);
  wrap({"plain text of a key"});
  EXPECT_EQ(kms().upserts(), 0u);
}

TEST_F(HttpKmsProviderTest, AsksInBatchesAndKeepsItsConnections) {
  constexpr std::uint64_t kWorkspaces = 60;
  std::vector<std::vector<Wrapped>> wrapped;
  for (std::uint64_t number = 1; number <= kWorkspaces; ++number) {
    provider().createVersion(WorkspaceNumber{number});
    wrapped.push_back(wrap({"one", "two", "three"}, WorkspaceNumber{number}));
  }
  EXPECT_LE(kms().connections(), 8u);
  std::vector<UnwrapRequest> requests;
  for (std::uint64_t number = 1; number <= kWorkspaces; ++number) {
    for (const Wrapped& each : wrapped[number - 1]) {
      requests.push_back({WorkspaceNumber{number}, each.version, each.nonce, bytesOf("place"), each.sealed});
    }
  }
  kms().takeLog();
  kms().setLatencyMs(20);
  const auto opened = provider().unwrap(requests);
  const auto log = kms().takeLog();
  EXPECT_EQ(log.size(), kWorkspaces) << "one request for all keys of a workspace";
  EXPECT_THAT(log, Each("POST decrypt"));
  EXPECT_EQ(kms().mostAtOnce(), 8);
  for (const Unwrapped& one : opened) EXPECT_EQ(one.outcome, UnwrapOutcome::opened);
  EXPECT_LE(kms().connections(), 16u);
}

// ---- troubles ----

TEST_F(HttpKmsProviderTest, LeavesAServiceThatIsDownAloneAndComesBackByItself) {
  provider().createVersion(kWorkspace);
  const auto wrapped = wrap({"plain text of a key"});
  EXPECT_FALSE(provider().trouble());
  kms().stop();
  const Fault fault = faultOf([&] { wrap({"another"}); });
  EXPECT_EQ(fault.code(), ErrorCode::notReady);
  EXPECT_THAT(fault.detail(), HasSubstr("does not answer"));
  ASSERT_TRUE(provider().trouble());
  EXPECT_EQ(provider().trouble()->code(), ErrorCode::notReady);
  kms().start();
  // Not yet: it is left alone for a quarter of a second.
  const std::uint64_t before = kms().requests();
  const Fault again = faultOf([&] { unwrap(wrapped); });
  EXPECT_EQ(again.code(), ErrorCode::notReady);
  EXPECT_EQ(again.askAgainSeconds(), 1u);
  EXPECT_EQ(kms().requests(), before);
  harness().clock().advance(kNanosecondsPerSecond / 4);
  EXPECT_EQ(unwrap(wrapped).at(0).plaintext.text(), "plain text of a key");
  EXPECT_FALSE(provider().trouble());
}

TEST_F(HttpKmsProviderTest, WaitsLongerEachTime) {
  kms().setMood(KmsMood::sealed);
  faultOfCreate();
  std::vector<int> quarters;  // of a second, until it is asked again
  for (int turn = 0; turn < 8; ++turn) {
    const std::uint64_t before = kms().requests();
    int pause = 0;
    while (kms().requests() == before && pause < 100) {
      harness().clock().advance(kNanosecondsPerSecond / 4);
      ++pause;
      EXPECT_EQ(faultOfCreate().code(), ErrorCode::notReady);
    }
    quarters.push_back(pause);
  }
  EXPECT_THAT(quarters, ElementsAre(1, 2, 4, 8, 16, 32, 40, 40));
  kms().setMood(KmsMood::willing);
  harness().clock().advance(10 * kNanosecondsPerSecond);
  provider().probe();
  EXPECT_FALSE(provider().trouble());
}

TEST_F(HttpKmsProviderTest, GivesUpOnASlowService) {
  HttpKmsOptions options = harness().options();
  options.transport.timeoutMs = 200;
  harness().use(options);
  kms().setMood(KmsMood::slow);
  const auto started = std::chrono::steady_clock::now();
  const Fault fault = faultOfCreate();
  const auto took = std::chrono::steady_clock::now() - started;
  EXPECT_EQ(fault.code(), ErrorCode::notReady);
  EXPECT_THAT(fault.detail(), HasSubstr("kms_timeout_ms"));
  EXPECT_GE(took, std::chrono::milliseconds(190));
  EXPECT_LT(took, std::chrono::milliseconds(20'000)) << "not the timeout of the other tests";
  kms().setMood(KmsMood::willing);
}

TEST_F(HttpKmsProviderTest, TellsARefusalOnceAndDoesNotInsist) {
  provider().createVersion(kWorkspace);
  kms().setMood(KmsMood::refusing);
  EXPECT_EQ(faultOf([&] { wrap({"plain text of a key"}); }).code(), ErrorCode::keyPermissions);
  const std::uint64_t before = kms().requests();
  for (int turn = 0; turn < 39; ++turn) {
    harness().clock().advance(kNanosecondsPerSecond / 4);
    EXPECT_EQ(faultOf([&] { wrap({"plain text of a key"}); }).code(), ErrorCode::keyPermissions);
  }
  EXPECT_EQ(kms().requests(), before);
  kms().setMood(KmsMood::willing);
  harness().clock().advance(kNanosecondsPerSecond / 4);
  EXPECT_EQ(wrap({"plain text of a key"}).size(), 1u);
}

TEST_F(HttpKmsProviderTest, ReadsTheTokenAnewForEveryCall) {
  provider().createVersion(kWorkspace);
  kms().setToken("s.the-next-token");
  EXPECT_EQ(faultOf([&] { wrap({"plain text of a key"}); }).code(), ErrorCode::keyPermissions);
  harness().certificates().file("token", "s.the-next-token");
  harness().clock().advance(10 * kNanosecondsPerSecond);
  EXPECT_EQ(wrap({"plain text of a key"}).size(), 1u);
}

TEST_F(HttpKmsProviderTest, RefusesTokenFilesThatAreNone) {
  using Perms = std::filesystem::perms;
  const auto fault = [&](const std::string& content, Perms mode) {
    harness().certificates().file("token", content, mode);
    harness().restart();
    return faultOfCreate();
  };
  EXPECT_THAT(fault("", Perms::owner_read).detail(), HasSubstr("holds no token"));
  EXPECT_THAT(fault("two words", Perms::owner_read).detail(), HasSubstr("holds no token"));
  EXPECT_THAT(fault("with\r\nX-Header: y", Perms::owner_read).detail(), HasSubstr("holds no token"));
  EXPECT_THAT(fault(std::string(9'000, 'x'), Perms::owner_read).detail(), HasSubstr("holds no token"));
  EXPECT_THAT(fault(KmsHarness::kToken, Perms::owner_read | Perms::others_read).detail(), HasSubstr("read by everybody"));
  EXPECT_EQ(fault(KmsHarness::kToken, Perms::owner_read | Perms::group_read).detail(), "no fault");
  std::filesystem::remove(harness().certificates().folder() / "token");
  harness().restart();
  const Fault missing = faultOfCreate();
  EXPECT_EQ(missing.code(), ErrorCode::keyPermissions);
  EXPECT_THAT(missing.detail(), HasSubstr("cannot be read"));
}

TEST_F(HttpKmsProviderTest, BelievesNoAnswerThatIsNotOfTheApi) {
  provider().createVersion(kWorkspace);
  const auto wrapped = wrap({"plain text of a key", "plain text of a key, another"});
  for (const KmsMood mood :
       {KmsMood::garbage, KmsMood::foreign, KmsMood::endless, KmsMood::redirecting, KmsMood::cutting, KmsMood::sealed}) {
    kms().setMood(mood);
    const std::vector<std::function<void()>> calls = {
        [&] { provider().currentVersion(kWorkspace); },
        [&] { provider().createVersion(kWorkspace); },
        [&] { wrap({"plain text of a key"}); },
        [&] { unwrap(wrapped); },
        [&] { provider().destroyVersion(kWorkspace, 1); },
        [&] { provider().probe(); },
    };
    for (std::size_t call = 0; call < calls.size(); ++call) {
      harness().clock().advance(10 * kNanosecondsPerSecond);
      EXPECT_EQ(faultOf(calls[call]).code(), ErrorCode::notReady) << "mood " << static_cast<int>(mood) << ", call " << call;
    }
  }
  kms().setMood(KmsMood::willing);
  harness().clock().advance(10 * kNanosecondsPerSecond);
  EXPECT_EQ(unwrap(wrapped).at(1).plaintext.text(), "plain text of a key, another");
  EXPECT_EQ(provider().currentVersion(kWorkspace), 1u);
}

TEST_F(HttpKmsProviderTest, EntrustsNothingToAServiceThatDoesNotOpenWhatItSealed) {
  provider().createVersion(kWorkspace);
  for (const auto& [mood, words] : {std::pair{KmsMood::forgetful, "does not open what it has just sealed"},
                                    std::pair{KmsMood::loosePlaces, "does not bind associated data"}}) {
    kms().setMood(mood);
    harness().clock().advance(10 * kNanosecondsPerSecond);
    const Fault fault = faultOf([&] { wrap({"plain text of a key"}); });
    EXPECT_EQ(fault.code(), ErrorCode::notReady);
    EXPECT_THAT(fault.detail(), HasSubstr(words));
  }
}

TEST_F(HttpKmsProviderTest, TakesNoBatchInAnotherOrder) {
  provider().createVersion(kWorkspace);
  const auto wrapped = wrap({"one", "two", "three"});
  kms().setMood(KmsMood::mixedUp);
  EXPECT_EQ(faultOf([&] { unwrap(wrapped); }).code(), ErrorCode::notReady);
  harness().clock().advance(10 * kNanosecondsPerSecond);
  EXPECT_EQ(faultOf([&] { wrap({"one", "two", "three"}); }).code(), ErrorCode::notReady);
}

// Somebody else's key of another kind, or a wrong path: never "there is no such key".
TEST_F(HttpKmsProviderTest, TellsAWrongMountFromAKeyThatIsGone) {
  provider().createVersion(kWorkspace);
  const auto wrapped = wrap({"plain text of a key"});
  HttpKmsOptions options = harness().options();
  options.mount = "transit/elsewhere";
  harness().use(options);
  EXPECT_EQ(faultOf([&] { unwrap(wrapped); }).code(), ErrorCode::notReady);
  harness().restart();
  kms().deleteKey(KmsHarness::keyName(7));
  EXPECT_EQ(unwrap(wrapped).at(0).outcome, UnwrapOutcome::missing);
}

TEST_F(HttpKmsProviderTest, BelievesOnlyItsAuthorityAndNames) {
  HttpKmsOptions options = harness().options();
  options.transport.authorities = harness().certificates().authority("another").certificate.string();
  harness().use(options);
  EXPECT_THAT(faultOfCreate().detail(), HasSubstr("not to be trusted"));
  options.transport.authorities = (harness().certificates().folder() / "nothing").string();
  harness().use(options);
  EXPECT_EQ(faultOfCreate().code(), ErrorCode::notReady);
  EXPECT_EQ(kms().requests(), 0u);
}

TEST_F(HttpKmsProviderTest, ShowsItsCertificate) {
  TestKmsOptions strict;
  strict.certificate = harness().certificates().certificate("strict", harness().authority());
  strict.clientAuthority = harness().authority().certificate.string();
  TestKms service(strict);
  HttpKmsOptions options = harness().options();
  options.transport.url = service.url();
  harness().use(options);
  EXPECT_EQ(faultOfCreate().code(), ErrorCode::notReady);
  EXPECT_EQ(service.requests(), 0u);
  const CertificateFiles own = harness().certificates().certificate("ledger", harness().authority(), "clientAuth");
  options.transport.certificate = own.certificate.string();
  options.transport.certificateKey = own.key.string();
  harness().use(options);
  EXPECT_EQ(provider().createVersion(kWorkspace), 1u);
}

TEST_F(HttpKmsProviderTest, TakesOnlyUrlsThatKeepKeysSecret) {
  const auto codeFor = [&](const std::string& url) {
    HttpKmsOptions options = harness().options();
    options.transport.url = url;
    return faultOf([&] { harness().use(options); }).code();
  };
  for (const char* url : {"", "kms", "http://kms.example.com", "http://127.0.0.1.example.com", "https://", "https://kms/path",
                          "ftp://127.0.0.1", "https://user@kms", "https://kms?x"}) {
    EXPECT_EQ(codeFor(url), ErrorCode::invalidValue) << url;
  }
  for (const char* url : {"https://kms.example.com:8200", "http://127.0.0.1:8200", "http://localhost", "http://[::1]:8200"}) {
    EXPECT_EQ(codeFor(url), ErrorCode::internal) << url;
  }
  HttpKmsOptions half = harness().options();
  half.transport.certificate = "certificate.pem";
  EXPECT_EQ(faultOf([&] { harness().use(half); }).code(), ErrorCode::invalidValue);
  for (const char* mount : {"", "/transit", "transit/", "a/../b", "a b", "a?b"}) {
    HttpKmsOptions options = harness().options();
    options.mount = mount;
    EXPECT_EQ(faultOf([&] { harness().use(options); }).code(), ErrorCode::invalidValue) << mount;
  }
}

TEST_F(HttpKmsProviderTest, ServesManyThreads) {
  constexpr int kThreads = 8;
  std::vector<std::thread> threads;
  std::array<int, kThreads> good{};
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const WorkspaceNumber workspace{static_cast<std::uint64_t>(thread % 3)};
      for (int turn = 0; turn < 10; ++turn) {
        if (provider().currentVersion(workspace) == 0) provider().createVersion(workspace);
        const auto opened = unwrap(wrap({"plain text of a key"}, workspace), workspace);
        good[static_cast<std::size_t>(thread)] += opened.at(0).plaintext.text() == "plain text of a key" ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(good, Each(10));
}

}  // namespace
}  // namespace counterfoil::keys::test

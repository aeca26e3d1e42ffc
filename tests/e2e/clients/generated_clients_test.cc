// The Python and TypeScript clients: made from the committed document by ops/clients, installed, and used against a running server over
// TLS.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/e2e/ledger_folder.h"
#include "tests/e2e/running_server.h"
#include "tests/e2e/tls_server.h"
#include "tests/support/certificates.h"
#include "tests/support/program.h"

namespace counterfoil::test {
namespace {

const std::filesystem::path kSource = COUNTERFOIL_SOURCE_DIR;
// What ops/clients says when a tool or the packages it takes are not to be had.
constexpr int kAbsent = 3;
// From nothing, with other builds beside it.
constexpr int kMakeTimeoutMs = 600'000;

std::filesystem::path clientsFolder() {
  return std::filesystem::path(COUNTERFOIL_BINARY).parent_path().parent_path() / "clients";
}

struct Made {
  int status = -1;
  std::string said;
};

// Once for all tests, both clients at the same time.
const Made& clients() {
  static const Made made = [] {
    Program program({kSource / "ops/clients", "--install", "--out", clientsFolder()});
    program.closeInput();
    const int status = program.finish(kMakeTimeoutMs);
    return Made{status, program.out + program.error};
  }();
  return made;
}

bool isAbsent(const std::string& client) {
  return clients().status == kAbsent && clients().said.find("the " + client + " client could not be made") != std::string::npos;
}

TEST(ClientsDocument, IsWhatTheServerServes) {
  const LedgerFolder ledger;
  RunningServer server(ledger);
  HttpClient nobody = server.anonymous();
  const HttpAnswer served = nobody.get("/openapi.json");
  ASSERT_EQ(served.status, 200) << served;
  boost::system::error_code failed;
  const boost::json::value kept = boost::json::parse(readBytes(kSource / "docs/openapi.json"), failed);
  ASSERT_FALSE(failed) << "docs/openapi.json is no JSON";
  EXPECT_TRUE(kept == served.json()) << "the clients are made from docs/openapi.json: write it anew with ops/clients --document";
  EXPECT_EQ(server.stop(), 0);
}

class Clients : public testing::Test {
 protected:
  void SetUp() override {
    if (!Certificates::available()) GTEST_SKIP() << "there is no openssl program here";
  }

  // The client's own tests against this server, as somebody who installed the client would use it.
  void expectPasses(std::vector<std::string> words) {
    const CertificateFiles authority = certificates_.authority("authority");
    const CertificateFiles own = certificates_.certificate("server", authority);
    const LedgerFolder ledger;
    ServeProcess server(ledger, {"--tls-cert", own.certificate, "--tls-key", own.key});
    const std::filesystem::path token = certificates_.file("token", server.token("owner") + "\n");
    ProgramOptions options;
    options.environment = {"COUNTERFOIL_URL=" + server.url(), "COUNTERFOIL_TOKEN_FILE=" + token.string(),
                           "COUNTERFOIL_CA=" + authority.certificate.string(), "PYTHONDONTWRITEBYTECODE=1"};
    options.folder = clientsFolder();
    Program tests(std::move(words), options);
    tests.closeInput();
    EXPECT_EQ(tests.finish(), 0) << tests.out << tests.error;
    EXPECT_EQ(server.stop(), 0);
    expectVerified(ledger);
  }

  Certificates certificates_;
};

TEST_F(Clients, PythonUsesALedger) {
  if (isAbsent("python")) GTEST_SKIP() << clients().said;
  const std::filesystem::path python = clientsFolder() / "python/bin/python";
  ASSERT_TRUE(std::filesystem::exists(python)) << clients().said;
  expectPasses({python, "-W", "error", "-m", "unittest", "discover", "-s", kSource / "clients/python/tests"});
}

TEST_F(Clients, TypescriptUsesALedger) {
  if (isAbsent("typescript")) GTEST_SKIP() << clients().said;
  const std::filesystem::path tests = clientsFolder() / "node/tests";
  ASSERT_TRUE(std::filesystem::exists(tests)) << clients().said;
  expectPasses({findProgram("node"), "--test", tests / "ledger.test.mjs", tests / "retries.test.mjs"});
}

}  // namespace
}  // namespace counterfoil::test

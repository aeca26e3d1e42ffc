// I6 in a core dump: after a thousand leases with secrets over TLS, an image of the server's whole memory holds none of them, in no form
// they can be read back from. What a request under way holds must be in it: that is the proof that the search finds what is there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "ledger/core/encoding.h"
#include "ledger/crypto/digest.h"
#include "tests/e2e/tls_server.h"

namespace counterfoil::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

crypto::Bytes bytesOf(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string upperCase(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

// Every character as \u00xx, as JSON may have it.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) result += "\\u00" + toHex(bytesOf(std::string_view(&c, 1)));
  return result;
}

// `mark` and the forms it takes inside a longer text: by name.
std::map<std::string, std::string> formsOf(const std::string& mark) {
  std::map<std::string, std::string> forms;
  forms["in clear"] = mark;
  forms["in hex"] = toHex(bytesOf(mark));
  forms["in hex, upper case"] = upperCase(toHex(bytesOf(mark)));
  forms["JSON-escaped"] = escaped(mark);
  for (std::size_t lead = 0; lead < 3; ++lead) {
    // Four characters hold three bytes; those that hold a part of a neighbour are left out.
    const std::string whole = toBase64(bytesOf(std::string(lead, 'x') + mark));
    const std::size_t first = (lead * 8 + 5) / 6;
    const std::size_t last = (lead + mark.size()) * 8 / 6;
    forms["in base64, " + std::to_string(lead) + " bytes on"] = whole.substr(first, last - first);
  }
  return forms;
}

// Every secret of the test begins and ends with these; neither is anywhere else.
constexpr const char* kHead = "k4mQ8wT7";
constexpr const char* kTail = "vXp2LrYs";
constexpr const char* kPlanted = "hN3pZ9cB";  // of the one secret that is under way

std::string secretOf(int number) {
  return kHead + std::to_string(10'000'000 + number) + kTail;
}

// Which of the marks are in `bytes`, in which form.
std::set<std::string> findIn(std::string_view bytes, const std::vector<std::string>& marks) {
  std::set<std::string> found;
  for (const std::string& mark : marks) {
    for (const auto& [name, form] : formsOf(mark)) {
      const void* const at = ::memmem(bytes.data(), bytes.size(), form.data(), form.size());
      if (at == nullptr) continue;
      const auto offset = static_cast<std::size_t>(static_cast<const char*>(at) - bytes.data());
      found.insert(mark + " " + name + " at " + std::to_string(offset));
    }
  }
  return found;
}

TEST(CoreDump, TheSearchFindsEveryForm) {
  const std::string secret = secretOf(4711);
  for (std::size_t lead = 0; lead < 6; ++lead) {
    const std::string text = std::string(lead, '#') + secret + "#";
    for (const std::string& form : {text, toHex(bytesOf(text)), upperCase(toHex(bytesOf(text))), toBase64(bytesOf(text)), escaped(text)}) {
      EXPECT_EQ(findIn("before " + form + " behind", {kHead, kTail}).size(), 2U) << form;
    }
  }
  EXPECT_THAT(findIn("k4mQ8wT vXp2LrY", {kHead, kTail}), IsEmpty());
}

class CoreDumpOfTheServer : public testing::Test {
 protected:
  void SetUp() override {
    if (!Certificates::available()) GTEST_SKIP() << "there is no openssl program here";
    const std::string pattern = readBytes("/proc/sys/kernel/core_pattern");
    kernelDumps_ = !pattern.empty() && pattern.front() != '|' && pattern.find('/') == std::string::npos;
    if (!kernelDumps_ && findProgram("gcore").empty()) GTEST_SKIP() << "core dumps go elsewhere here (core_pattern), and there is no gcore";
  }

  // An image of its memory; the process is gone then. Empty if none can be made here.
  std::string dump(ServeProcess& server, const std::filesystem::path& folder) const {
    if (!kernelDumps_) {
      Program gcore({findProgram("gcore"), "-o", folder / "core", std::to_string(server.program().pid())});
      gcore.closeInput();
      gcore.finish();
    }
    server.program().signal(SIGABRT);
    EXPECT_EQ(server.program().finish(), 128 + SIGABRT);
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
      if (file.path().filename().string().starts_with("core")) return readBytes(file.path());
    }
    return {};
  }

  // Leases whose secrets come in clear and escaped, in their requests and in the reports and uses that follow.
  static void lease(TlsClient& client, const std::string& token, int number) {
    const std::string secret = secretOf(number);
    const std::string written = number % 2 == 0 ? secret : escaped(secret);
    const std::string given = ",\"secret\":{\"value\":\"" + written + "\"}";
    const HttpAnswer granted = client.post("/v1/workspaces/w1/leases", token,
                                           R"({"credential":"git_token","grantee":{"kind":"agent","id":"fixer"},"scope":["contents:read"],)"
                                           R"("ttlSeconds":600,"reason":"no. )" +
                                               std::to_string(number) + "\"" + (number % 3 == 0 ? given : "") + "}");
    ASSERT_EQ(granted.status, 201) << number;
    const std::string path = "/v1/workspaces/w1/leases/" + granted.at({"lease", "id"});
    if (number % 3 != 0) {
      ASSERT_EQ(client.post(path + "/issued", token, R"({"outcome":"issued")" + given + "}").status, 200) << number;
    }
    const HttpAnswer used =
        client.post(path + "/consume", token, R"({"operation":"clone https://x:)" + written + R"(@git.example.com/shop"})");
    ASSERT_EQ(used.status, 200) << number;
    ASSERT_THAT(findIn(granted.body + used.body, {kHead, kTail}), IsEmpty()) << number;
  }

  bool kernelDumps_ = false;
};

TEST_F(CoreDumpOfTheServer, HoldsNoSecretOfAThousandLeasesOverTls) {
  Certificates certificates;
  const CertificateFiles authority = certificates.authority("authority");
  const CertificateFiles own = certificates.certificate("server", authority);
  const LedgerFolder ledger;
  const TemporaryFolder folder;
  ProgramOptions options;
  options.folder = folder.path();
  options.dumpsCore = true;
  ServeProcess server(ledger, {"--tls-cert", own.certificate, "--tls-key", own.key}, options);
  const std::string token = server.token("owner");
  TlsClient client(server.address(), authority.certificate);
  const HttpAnswer policy = client.ask("PUT", "/v1/workspaces/w1/policy", token,
                                       "name = \"p\"\n[[rule]]\nname = \"r\"\neffect = \"allow\"\nmaxTtlSeconds = 900\n", "text/toml");
  ASSERT_EQ(policy.status, 200) << policy;
  for (int number = 0; number < 1'000; ++number) {
    lease(client, token, number);
    if (HasFatalFailure()) return;
  }
  // Read and searched for as well: what passes through a reader is a secret too.
  const HttpAnswer looked = client.post("/v1/workspaces/w1/secrets/lookup", token, R"({"secret":{"value":")" + secretOf(7) + "\"}}");
  EXPECT_EQ(looked.status, 200) << looked;
  // A bulk body that stops in the middle of its second line: the first one is on the record, so the piece with both has arrived.
  TlsClient half(server.address(), authority.certificate);
  Ids ids(6);
  const std::string id = ids.next();
  half.send("POST /v1/workspaces/w1/facts HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 5000\r\n" +
            ("Authorization: Bearer " + server.token("member")) + "\r\n\r\n" + plainFact(id) + R"({"kind":"tool.invoked","tool":")" +
            kPlanted);
  ASSERT_TRUE(server.program().until(
      [&] { return client.get("/v1/workspaces/w1/entries?kind=tool.invoked", token).body.find(id) != std::string::npos; }));
  // What a request held is wiped before the next one on its connection is looked at: without this one, which holds no token, the dump could
  // come between an answer and the wiping.
  ASSERT_EQ(client.get("/openapi.json", "").status, 200);

  const std::string image = dump(server, folder.path());
  if (image.empty()) GTEST_SKIP() << "this machine makes no core dumps (file size limit, container)";
  EXPECT_EQ(findIn(image, {kPlanted}).size(), 1U) << "the search does not find what a request under way holds";
  EXPECT_THAT(image, HasSubstr("maxTtlSeconds = 900")) << "nor what the server keeps";
  EXPECT_THAT(findIn(image, {kHead, kTail}), IsEmpty()) << image.size() << " bytes";
  const std::string signature = token.substr(token.rfind('.') + 1);
  EXPECT_EQ(image.find(signature), std::string::npos) << "the token of a request that was answered";
  EXPECT_THAT(findIn(server.program().out + server.program().error, {kHead, kTail, kPlanted}), IsEmpty());
  for (const auto& root : {ledger.data(), ledger.keys()}) {
    for (const auto& file : std::filesystem::recursive_directory_iterator(root)) {
      if (!file.is_regular_file()) continue;
      EXPECT_THAT(findIn(readBytes(file.path()), {kHead, kTail, kPlanted}), IsEmpty()) << file.path();
    }
  }
}

}  // namespace
}  // namespace counterfoil::test

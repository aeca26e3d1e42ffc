// TLS of the running server, seen with other people's clients: versions, certificates that do not fit, SIGHUP, client certificates, and
// what is no handshake at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/e2e/tls_server.h"

namespace counterfoil::test {
namespace {

using testing::AnyOf;
using testing::Eq;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr int kSoonMs = 9'000;  // below the handshake's limit of 10 s

class ServerTls : public testing::Test {
 protected:
  void SetUp() override {
    if (!Certificates::available()) GTEST_SKIP() << "there is no openssl program here";
    authority_ = certificates_.authority("authority");
    own_ = certificates_.certificate("server", authority_);
    ledger_ = std::make_unique<LedgerFolder>();
  }

  static std::vector<std::string> flagsOf(const CertificateFiles& files) {
    return {"--tls-cert", files.certificate, "--tls-key", files.key};
  }
  // A client that believes the authority all servers here are vouched for by.
  TlsClient client(const ServeProcess& server, const std::vector<std::string>& more = {}) const {
    return TlsClient(server.address(), authority_.certificate, more);
  }
  // A new connection is served.
  void expectServed(const ServeProcess& server) const {
    TlsClient fresh = client(server);
    const HttpAnswer answer = fresh.get("/openapi.json", {});
    EXPECT_EQ(answer.status, 200) << answer << fresh.program().error;
  }

  Certificates certificates_;
  CertificateFiles authority_, own_;
  std::unique_ptr<LedgerFolder> ledger_;
};

// ---- Versions ----

TEST_F(ServerTls, SpeaksTls13WithOpenssl) {
  ServeProcess server(*ledger_, flagsOf(own_));
  EXPECT_THAT(server.url(), StartsWith("https://127.0.0.1:"));
  TlsClient openssl = client(server);
  const std::string token = server.token("reader", {"--workspace", "w1"});
  EXPECT_EQ(openssl.get("/v1/workspaces/w1", token).status, 200) << openssl.program().error;
  EXPECT_EQ(openssl.get("/v1/workspaces/w1", token + "x").status, 401) << "on the same connection";
  EXPECT_EQ(server.stop(), 0);
}

TEST_F(ServerTls, SpeaksTls13WithCurl) {
  const std::string curl = findProgram("curl");
  if (curl.empty()) GTEST_SKIP() << "there is no curl here";
  ServeProcess server(*ledger_, flagsOf(own_));
  const auto ask = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {curl, "-sS", "--cacert", authority_.certificate, "-o", "/dev/null"});
    words.insert(words.end(), {"-w", "%{http_code} %{ssl_verify_result}", server.url() + "/openapi.json"});
    Program run(words);
    const int status = run.finish();
    return std::to_string(status) + " " + run.out;
  };
  EXPECT_EQ(ask({"--tlsv1.3"}), "0 200 0");
  EXPECT_THAT(ask({"--tls-max", "1.2"}), StartsWith("35 000")) << "35: the handshake failed";
}

TEST_F(ServerTls, RefusesWhatIsOlderThanTls13) {
  ServeProcess server(*ledger_, flagsOf(own_));
  for (const char* version : {"-tls1_2", "-tls1_1"}) {
    TlsClient old = client(server, {version, "-cipher", "ALL:@SECLEVEL=0"});
    EXPECT_NE(old.program().finish(), 0) << version;
    // The server's own word for it: alert 70, protocol version.
    EXPECT_THAT(old.program().error, HasSubstr("SSL alert number 70")) << version;
  }
  expectServed(server);
}

TEST_F(ServerTls, PlainHttpGetsACleanEndAndNoAnswer) {
  ServeProcess server(*ledger_, flagsOf(own_));
  for (const char* text : {"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\n", "POST"}) {
    RawClient plain(server.address());
    plain.send(text);
    plain.finishSending();
    const std::string answer = plain.read({}, kSoonMs);
    EXPECT_TRUE(plain.closed()) << text;
    EXPECT_THAT(answer, AnyOf(Eq(""), StartsWith("\x15\x03"), StartsWith("HTTP/1.1 400"))) << "an end, an alert or a refusal";
  }
  expectServed(server);
}

TEST_F(ServerTls, TheCommandLineTrustsTheServerOfItsFolderAndWhoeverItIsTold) {
  std::ofstream(ledger_->data() / "counterfoil.toml", std::ios::app)
      << "tls_cert = \"" << own_.certificate.string() << "\"\ntls_key = \"" << own_.key.string() << "\"\n";
  ServeProcess server(*ledger_, {});
  ASSERT_THAT(server.url(), StartsWith("https://"));
  const Result shown = ledger_->run({"workspace", "show", "w1"});
  EXPECT_EQ(shown.status, 0) << "by the key of the certificate in the folder's settings: " << shown;
  const Result named = ledger_->run({"workspace", "list", "--url", server.url(), "--ca", authority_.certificate}, {},
                                    {"COUNTERFOIL_TOKEN=" + server.token("owner")});
  EXPECT_EQ(named.status, 0) << named;
  const CertificateFiles stranger = certificates_.authority("stranger");
  const Result distrusted = ledger_->run({"workspace", "list", "--url", server.url(), "--ca", stranger.certificate}, {},
                                         {"COUNTERFOIL_TOKEN=" + server.token("owner")});
  expectFault(distrusted, "not_allowed", 4);
}

// Plain HTTP is for this machine: a token does not leave it in clear.
TEST_F(ServerTls, WithoutACertificateTokensStayOnThisMachine) {
  ServeProcess server(*ledger_, {});
  EXPECT_THAT(server.url(), StartsWith("http://127.0.0.1:"));
  const Result here = ledger_->run({"workspace", "list"});
  EXPECT_EQ(here.status, 0) << here;
  const Result elsewhere =
      ledger_->run({"workspace", "list", "--url", "http://ledger.invalid:8780"}, {}, {"COUNTERFOIL_TOKEN=" + server.token("owner")});
  expectFault(elsewhere, "usage", 2);
}

// ---- Files that do not fit ----

struct BadFiles {
  const char* what;
  std::vector<std::string> flags;
  std::string code;
  int status;
};

std::vector<BadFiles> badFiles(Certificates& certificates, const CertificateFiles& authority, const CertificateFiles& good) {
  const CertificateFiles other = certificates.certificate("other", authority);
  const CertificateFiles expired = certificates.certificate("expired", authority, "serverAuth", "20200101000000Z", "20200201000000Z");
  const std::string empty = certificates.file("empty.pem", "");
  const std::string noise =
      certificates.file("noise.pem", "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n");
  const std::string open = certificates.file("open.key", readBytes(good.key), std::filesystem::perms::all);
  const std::string locked = certificates.folder() / "locked.key";
  certificates.openssl({"pkey", "-in", good.key, "-aes256", "-passout", "pass:something", "-out", locked});
  std::filesystem::permissions(locked, std::filesystem::perms::owner_read);
  const std::string missing = certificates.folder() / "missing.pem";
  const auto pair = [](const std::string& certificate, const std::string& key) {
    return std::vector<std::string>{"--tls-cert", certificate, "--tls-key", key};
  };
  const auto withClients = [&](const std::string& file) {
    std::vector<std::string> flags = pair(good.certificate, good.key);
    flags.insert(flags.end(), {"--tls-client-ca", file});
    return flags;
  };
  return {{"no certificate file", pair(missing, good.key), "key_missing", 5},
          {"no key file", pair(good.certificate, missing), "key_missing", 5},
          {"an empty certificate file", pair(empty, good.key), "key_damaged", 5},
          {"an empty key file", pair(good.certificate, empty), "key_damaged", 5},
          {"no certificate in the file", pair(noise, good.key), "key_damaged", 5},
          {"a key where the certificate belongs", pair(good.key, good.key), "key_damaged", 5},
          {"a key of another certificate", pair(good.certificate, other.key), "key_damaged", 5},
          {"a key with a passphrase", pair(good.certificate, locked), "key_damaged", 5},
          {"a key that everybody may read", pair(good.certificate, open), "key_permissions", 5},
          {"an expired certificate", pair(expired.certificate, expired.key), "key_damaged", 5},
          {"no file of client authorities", withClients(missing), "key_missing", 5},
          {"an empty file of client authorities", withClients(empty), "key_damaged", 5},
          {"a certificate without its key", {"--tls-cert", good.certificate}, "usage", 2},
          {"client authorities without a certificate", {"--tls-client-ca", authority.certificate}, "usage", 2}};
}

TEST_F(ServerTls, FilesThatDoNotFitAreOneClearErrorAtTheStart) {
  for (const BadFiles& bad : badFiles(certificates_, authority_, own_)) {
    std::vector<std::string> words = {"serve", "--json", "--data", ledger_->data(), "--listen", "127.0.0.1:0", "--admin-listen", "none"};
    words.insert(words.end(), bad.flags.begin(), bad.flags.end());
    const Result result = runProgram(words);
    EXPECT_EQ(result.code(), bad.code) << bad.what << '\n' << result;
    EXPECT_EQ(result.status, bad.status) << bad.what;
    EXPECT_EQ(result.out, "") << bad.what;
    EXPECT_EQ(std::count(result.error.begin(), result.error.end(), '\n'), 1) << bad.what << '\n' << result;
    EXPECT_FALSE(std::filesystem::exists(ledger_->data() / "server.json")) << bad.what;
  }
}

// ---- SIGHUP ----

TEST_F(ServerTls, ANewCertificateIsForNewConnectionsAndTheOldOnesGoOn) {
  const CertificateFiles live = {certificates_.folder() / "live.pem", certificates_.folder() / "live.key"};
  const CertificateFiles later = certificates_.authority("later-authority");
  const CertificateFiles renewed = certificates_.certificate("renewed", later);
  const auto put = [&](const CertificateFiles& files) {
    for (const auto& [from, to] : {std::pair(files.certificate, live.certificate), std::pair(files.key, live.key)}) {
      std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
    }
  };
  put(own_);
  ServeProcess server(*ledger_, flagsOf(live));
  TlsClient old = client(server);
  ASSERT_EQ(old.get("/openapi.json", {}).status, 200) << old.program().error;
  put(renewed);
  expectServed(server);
  server.program().signal(SIGHUP);
  ASSERT_TRUE(server.program().untilError("certificates read again")) << server.program().error;
  TlsClient fresh(server.address(), later.certificate);
  EXPECT_EQ(fresh.get("/openapi.json", {}).status, 200) << fresh.program().error;
  TlsClient disappointed = client(server);
  EXPECT_EQ(disappointed.get("/openapi.json", {}).status, 0) << "the old certificate is still shown";
  EXPECT_EQ(old.get("/openapi.json", {}).status, 200) << old.program().error;
  EXPECT_EQ(server.stop(), 0);
}

TEST_F(ServerTls, FilesThatDoNotFitLeaveTheOldOnesInForceAndOneLineInTheLog) {
  const CertificateFiles live = {certificates_.folder() / "live.pem", certificates_.folder() / "live.key"};
  const std::filesystem::path clients = certificates_.folder() / "clients.pem";
  const auto put = [](const std::filesystem::path& from, const std::filesystem::path& to) {
    std::filesystem::remove(to);
    if (std::filesystem::exists(from)) std::filesystem::copy_file(from, to);
  };
  put(own_.certificate, live.certificate);
  put(own_.key, live.key);
  put(authority_.certificate, clients);
  ServeProcess server(*ledger_, {"--tls-cert", live.certificate, "--tls-key", live.key, "--tls-client-ca", clients});
  for (const BadFiles& bad : badFiles(certificates_, authority_, own_)) {
    if (bad.status == 2) continue;  // a matter of flags
    put(bad.flags[1], live.certificate);
    put(bad.flags[3], live.key);
    put(bad.flags.size() > 5 ? std::filesystem::path(bad.flags[5]) : authority_.certificate, clients);
    server.program().error.clear();
    server.program().signal(SIGHUP);
    ASSERT_TRUE(server.program().untilError("not read again")) << bad.what << server.program().error;
    ASSERT_TRUE(server.program().untilError("\n"));
    EXPECT_THAT(server.program().error, HasSubstr(bad.code + ": ")) << bad.what;
    EXPECT_EQ(std::count(server.program().error.begin(), server.program().error.end(), '\n'), 1) << server.program().error;
    EXPECT_THAT(server.program().error, HasSubstr("\"level\":\"error\""));
    expectServed(server);
  }
}

// ---- Client certificates ----

class ServerTlsClients : public ServerTls {
 protected:
  void SetUp() override {
    ServerTls::SetUp();
    if (IsSkipped()) return;
    clients_ = certificates_.authority("client-authority");
    broker_ = certificates_.certificate("broker", clients_, "clientAuth");
  }
  std::vector<std::string> flags() const {
    std::vector<std::string> result = flagsOf(own_);
    result.insert(result.end(), {"--tls-client-ca", clients_.certificate});
    return result;
  }
  // What a producer's bound token is worth on a connection with this certificate; 0: there is no connection.
  int statusWith(const ServeProcess& server, const std::vector<std::string>& certificate, const std::string& token) {
    TlsClient asking = client(server, certificate);
    return asking.get("/v1/workspaces/w1/producers/broker", token).status;
  }
  static std::vector<std::string> shown(const CertificateFiles& files) { return {"-cert", files.certificate, "-key", files.key}; }

  CertificateFiles clients_, broker_;
};

TEST_F(ServerTlsClients, ABoundTokenIsGoodWithItsCertificateAlone) {
  ServeProcess server(*ledger_, flags());
  const std::string bound =
      server.token("producer", {"--workspace", "w1", "--subject", "service:broker", "--cert", broker_.certificate.string()});
  const std::string unbound = server.token("producer", {"--workspace", "w1", "--subject", "service:broker"});
  EXPECT_EQ(statusWith(server, shown(broker_), bound), 200);
  EXPECT_EQ(statusWith(server, {}, bound), 401) << "a stolen copy";
  EXPECT_EQ(statusWith(server, shown(certificates_.certificate("thief", clients_, "clientAuth")), bound), 401);
  EXPECT_EQ(statusWith(server, shown(certificates_.certificate("broker-again", clients_, "clientAuth")), bound), 401)
      << "another certificate of the same authority";
  EXPECT_EQ(statusWith(server, shown(broker_), bound), 200) << "also from the cache of verified tokens";
  EXPECT_EQ(statusWith(server, {}, unbound), 200);
  EXPECT_EQ(statusWith(server, shown(broker_), unbound), 200);
  // The same certificate on a plain server is no certificate.
  EXPECT_EQ(server.stop(), 0);
  ServeProcess plain(*ledger_, {});
  HttpClient unprotected(plain.address(), bound);
  EXPECT_EQ(unprotected.get("/v1/workspaces/w1/producers/broker").status, 401);
}

TEST_F(ServerTlsClients, ABoundTokenIsRenewedWithItsCertificate) {
  ServeProcess server(*ledger_, flags());
  const std::vector<std::string> order = {"--workspace", "w1", "--subject", "service:broker", "--ttl", "60s"};
  std::vector<std::string> boundOrder = order;
  boundOrder.insert(boundOrder.end(), {"--cert", broker_.certificate.string()});
  const std::string bound = server.token("producer", boundOrder);
  TlsClient broker = client(server, shown(broker_));
  const HttpAnswer renewed = broker.post("/v1/token/refresh", bound, "");
  ASSERT_EQ(renewed.status, 201) << renewed;
  EXPECT_EQ(renewed.at({"role"}), "producer");
  EXPECT_EQ(renewed.at({"workspace"}), "w1");
  EXPECT_EQ(renewed.at({"subject"}), "service:broker");
  const std::string next = renewed.at({"token"});
  EXPECT_NE(next, bound);
  EXPECT_EQ(statusWith(server, shown(broker_), next), 200);
  EXPECT_EQ(statusWith(server, {}, next), 401) << "bound as the one before";
  EXPECT_EQ(statusWith(server, shown(broker_), bound), 200) << "which is good until it expires";
  // On the record, as given out by who has it now.
  const std::string owner = server.token("owner");
  TlsClient reader = client(server, {});
  HttpAnswer entries;
  const auto isThere = [&] {
    entries = reader.get("/v1/workspaces/_system/entries?kind=access.token_issued&actor=service:broker", owner);
    return entries.body.find(renewed.at({"tokenId"})) != std::string::npos;
  };
  EXPECT_TRUE(server.program().until(isThere, kSoonMs)) << entries;
  EXPECT_EQ(entries.body.find(next.substr(next.rfind('.'))), std::string::npos);

  EXPECT_EQ(reader.post("/v1/token/refresh", bound, "").status, 401) << "a stolen copy";
  TlsClient thief = client(server, shown(certificates_.certificate("thief", clients_, "clientAuth")));
  EXPECT_EQ(thief.post("/v1/token/refresh", bound, "").status, 401);
  const HttpAnswer unbound = broker.post("/v1/token/refresh", server.token("producer", order), "");
  EXPECT_EQ(unbound.status, 403) << unbound;
  EXPECT_EQ(unbound.at({"code"}), "not_allowed");
  EXPECT_EQ(broker.post("/v1/token/refresh", next, R"({"role":"owner"})").status, 400);
  EXPECT_EQ(broker.post("/v1/token/refresh?ttl=1", next, "").status, 400);

  // What is revoked is not renewed; the subject's revocation takes what was renewed as well.
  const Result revoked = runProgram({"token", "revoke", "service:broker", "--data", ledger_->data().string()});
  ASSERT_EQ(revoked.status, 0) << revoked;
  EXPECT_EQ(broker.post("/v1/token/refresh", bound, "").status, 401);
  EXPECT_EQ(broker.post("/v1/token/refresh", next, "").status, 401);

  // Somebody who renews and renews fills the record of the ledger, so not for long.
  const std::string again = server.token("producer", boundOrder);
  int given = 0;
  HttpAnswer answer;
  for (int round = 0; round < 40; ++round) {
    answer = broker.post("/v1/token/refresh", again, "");
    if (answer.status != 201) break;
    ++given;
  }
  EXPECT_LE(given, 30);
  EXPECT_GE(given, 20);
  EXPECT_EQ(answer.status, 429) << answer;
  EXPECT_EQ(server.stop(), 0);
}

TEST_F(ServerTlsClients, ACertificateThatDoesNotVerifyEndsTheHandshake) {
  ServeProcess server(*ledger_, flags());
  const std::string token = server.token("producer", {"--workspace", "w1", "--subject", "service:broker"});
  const CertificateFiles self = certificates_.authority("self-signed");
  EXPECT_EQ(statusWith(server, shown(self), token), 0);
  EXPECT_EQ(statusWith(server, shown(certificates_.certificate("foreign", authority_, "clientAuth")), token), 0) << "of another authority";
  EXPECT_EQ(statusWith(server, shown(certificates_.certificate("no-client", clients_, "serverAuth")), token), 0) << "for another purpose";
  EXPECT_EQ(
      statusWith(server, shown(certificates_.certificate("expired-client", clients_, "clientAuth", "20200101000000Z", "20200201000000Z")),
                 token),
      0)
      << "expired";
  EXPECT_EQ(statusWith(server, shown(broker_), token), 200);
}

// A resumed session has no certificate on the wire; the one of its first handshake counts.
TEST_F(ServerTlsClients, AResumedSessionKeepsItsCertificateAndGivesNobodyAnothers) {
  ServeProcess server(*ledger_, flags());
  const std::string bound =
      server.token("producer", {"--workspace", "w1", "--subject", "service:broker", "--cert", broker_.certificate.string()});
  const std::string session = certificates_.folder() / "session";
  for (const bool isBroker : {true, false}) {
    std::vector<std::string> first = isBroker ? shown(broker_) : std::vector<std::string>();
    first.insert(first.end(), {"-sess_out", session});
    EXPECT_EQ(statusWith(server, first, bound), isBroker ? 200 : 401);
    ASSERT_TRUE(std::filesystem::exists(session));
    EXPECT_EQ(statusWith(server, {"-sess_in", session}, bound), isBroker ? 200 : 401);
    std::filesystem::remove(session);
  }
}

TEST_F(ServerTlsClients, NewClientAuthoritiesCountAfterSighup) {
  const std::filesystem::path live = certificates_.file("live-clients.pem", readBytes(clients_.certificate));
  std::vector<std::string> words = flagsOf(own_);
  words.insert(words.end(), {"--tls-client-ca", live});
  ServeProcess server(*ledger_, words);
  const std::string token = server.token("producer", {"--workspace", "w1", "--subject", "service:broker"});
  const std::string session = certificates_.folder() / "session";
  std::vector<std::string> first = shown(broker_);
  first.insert(first.end(), {"-sess_out", session});
  ASSERT_EQ(statusWith(server, first, token), 200);
  const CertificateFiles next = certificates_.authority("next-clients");
  certificates_.file("live-clients.pem", readBytes(next.certificate));
  server.program().signal(SIGHUP);
  ASSERT_TRUE(server.program().untilError("certificates read again")) << server.program().error;
  EXPECT_EQ(statusWith(server, shown(broker_), token), 0) << "of an authority that is not believed any more";
  EXPECT_EQ(statusWith(server, shown(certificates_.certificate("next", next, "clientAuth")), token), 200);
  // Nor does a session of before bring the old certificate back.
  const std::string bound =
      server.token("producer", {"--workspace", "w1", "--subject", "service:broker", "--cert", broker_.certificate.string()});
  EXPECT_EQ(statusWith(server, {"-sess_in", session}, bound), 401);
}

// ---- What is no handshake ----

class ServerTlsHostile : public ServerTls {
 protected:
  // The first message of a real client, as it goes over the wire.
  std::string clientHello() {
    const int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(name);
    EXPECT_EQ(::bind(listening, reinterpret_cast<const sockaddr*>(&name), size), 0);
    EXPECT_EQ(::listen(listening, 1), 0);
    ::getsockname(listening, reinterpret_cast<sockaddr*>(&name), &size);
    TlsClient real("127.0.0.1:" + std::to_string(ntohs(name.sin_port)), authority_.certificate, {"-tls1_3"});
    const int accepted = ::accept(listening, nullptr, nullptr);
    std::string hello;
    char piece[4'096];
    // A record: type, version, two bytes of length, content.
    while (hello.size() < 5 || hello.size() < 5U + static_cast<unsigned char>(hello[3]) * 256U + static_cast<unsigned char>(hello[4])) {
      const ssize_t got = ::recv(accepted, piece, sizeof(piece), 0);
      if (got <= 0) break;
      hello.append(piece, static_cast<std::size_t>(got));
    }
    ::close(accepted);
    ::close(listening);
    return hello;
  }
  // Sends it and an end; the server's answer. Fails if the server does not end in turn.
  std::string sendAndEnd(const ServeProcess& server, std::string_view bytes, const std::string& what) {
    RawClient raw(server.address());
    raw.send(bytes);
    raw.finishSending();
    const std::string answer = raw.read({}, kSoonMs);
    EXPECT_TRUE(raw.closed()) << what;
    return answer;
  }
  // 300 connections: some say nothing, some a part, the others all and then nothing to the server's answer.
  std::vector<std::unique_ptr<RawClient>> halfOf(ServeProcess& server, const std::string& hello) {
    constexpr std::size_t kHalves = 300;
    std::vector<std::unique_ptr<RawClient>> halves;
    for (std::size_t index = 0; index < kHalves; ++index) {
      halves.push_back(std::make_unique<RawClient>(server.address()));
      halves.back()->send(std::string_view(hello).substr(0, index % 3 * hello.size() / 2));
    }
    EXPECT_TRUE(server.program().until([&] { return server.connections() >= static_cast<int>(kHalves); }, kSoonMs));
    return halves;
  }
};

TEST_F(ServerTlsHostile, AClientHelloCutOrSpoiltAtAnyByteDoesNoHarm) {
  ServeProcess server(*ledger_, flagsOf(own_));
  const std::string hello = clientHello();
  ASSERT_GT(hello.size(), 150U);
  EXPECT_THAT(sendAndEnd(server, hello, "whole"), StartsWith("\x16\x03\x03")) << "the message is one that a server answers";
  for (std::size_t cut = 0; cut < hello.size(); ++cut) {
    EXPECT_THAT(sendAndEnd(server, hello.substr(0, cut), "cut"), Not(StartsWith("\x16"))) << "cut at " << cut;
    if (HasFailure()) return;
  }
  for (std::size_t at = 0; at < hello.size(); ++at) {
    for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
      std::string spoilt = hello;
      spoilt[at] = static_cast<char>(static_cast<unsigned char>(spoilt[at]) ^ flip);
      sendAndEnd(server, spoilt, "spoilt at " + std::to_string(at));
      if (HasFailure()) return;
    }
  }
  expectServed(server);
  EXPECT_TRUE(server.untilConnections(0, kSoonMs)) << server.connections() << " are left";
  EXPECT_EQ(server.program().error, "") << "not a line in the log for each of them";
  EXPECT_EQ(server.stop(), 0);
}

TEST_F(ServerTlsHostile, GarbageDoesNoHarm) {
  ServeProcess server(*ledger_, flagsOf(own_));
  const std::string hello = clientHello();
  std::vector<std::string> shapes = {
      std::string("\x80\x2e\x01\x00\x02", 5) + std::string(44, 'a'),      // SSL 2
      std::string("\x16\x03\x01\xff\xff", 5) + std::string(70'000, 'a'),  // a record longer than records can be
      std::string("\x16\x03\x01\x00\x00", 5),                             // an empty record
      std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'a'),      // data before the handshake
      std::string("\x15\x03\x03\x00\x02\x02\x28", 7),                     // an alert
      std::string("\x14\x03\x03\x00\x01\x01", 6),                         // a change of cipher
      hello + hello,                                                      // twice
      hello + std::string("\x16\x03\x03\x00\x04\x00\x00\x00\x00", 9),     // and a request to begin again
      hello + std::string("\x17\x03\x03\x40\x00", 5) + std::string(16'384, 'a'),
  };
  // One byte a record: the handshake in as many pieces as there can be.
  std::string pieces;
  for (std::size_t at = 5; at < hello.size(); ++at) pieces += std::string("\x16\x03\x01\x00\x01", 5) + hello[at];
  shapes.push_back(pieces);
  std::string empties;
  for (int count = 0; count < 5'000; ++count) empties += std::string("\x16\x03\x01\x00\x00", 5);
  shapes.push_back(empties);
  std::mt19937_64 engine(53);
  for (int count = 0; count < 200; ++count) {
    std::string noise(engine() % 3'000 + 1, '\0');
    for (char& byte : noise) byte = static_cast<char>(engine());
    shapes.push_back((count % 2 == 0 ? hello : std::string()) + noise);
  }
  for (std::size_t index = 0; index < shapes.size(); ++index) {
    EXPECT_THAT(sendAndEnd(server, shapes[index], std::to_string(index)), Not(HasSubstr("HTTP/1.1"))) << index;
  }
  expectServed(server);
  EXPECT_TRUE(server.untilConnections(0, kSoonMs)) << server.connections() << " are left";
  EXPECT_EQ(server.stop(), 0);
}

// New keys in the middle of a connection are TLS 1.3's renegotiation.
TEST_F(ServerTlsHostile, AConnectionGoesOnWithNewKeys) {
  ServeProcess server(*ledger_, flagsOf(own_));
  Program program({findProgram("openssl"), "s_client", "-connect", server.address(), "-CAfile", authority_.certificate});
  ASSERT_TRUE(program.until([&] { return program.out.find("Verify return code: 0 (ok)") != std::string::npos; })) << program.out;
  const std::string request = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
  for (int round = 0; round < 20; ++round) {
    program.out.clear();
    // A command letter of s_client counts at the beginning of what it reads at once.
    ASSERT_TRUE(program.sendAll("K\n"));
    ASSERT_TRUE(program.untilError("KEYUPDATE")) << program.error;
    program.error.clear();
    ASSERT_TRUE(program.sendAll(request));
    ASSERT_TRUE(program.until([&] { return program.out.find("\"openapi\"") != std::string::npos; })) << round << program.error;
    EXPECT_THAT(program.out, HasSubstr("HTTP/1.1 200"));
  }
}

TEST_F(ServerTlsHostile, HandshakesThatStopHalfWayStopNobodyElse) {
  ServeProcess server(*ledger_, flagsOf(own_));
  const std::vector<std::unique_ptr<RawClient>> halves = halfOf(server, clientHello());
  TlsClient honest = client(server);
  const std::string token = server.token("member", {"--workspace", "w1"});
  Ids ids(5);
  const std::int64_t from = nowMicroseconds();
  for (int count = 0; count < 20; ++count) {
    EXPECT_EQ(honest.post("/v1/workspaces/w1/facts", token, plainFact(ids.next())).status, 201) << honest.program().error;
  }
  EXPECT_LT(nowMicroseconds() - from, 9'000'000) << "somebody waited for the handshake's limit";
}

TEST_F(ServerTlsHostile, HandshakesThatStopHalfWayAreEndedAfterTenSeconds) {
  if (std::getenv("COUNTERFOIL_TEST_LONG") == nullptr) GTEST_SKIP() << "takes as long as they: set COUNTERFOIL_TEST_LONG";
  ServeProcess server(*ledger_, flagsOf(own_));
  const std::string hello = clientHello();
  TlsClient honest = client(server);
  ASSERT_EQ(honest.get("/openapi.json", {}).status, 200);
  const std::int64_t from = nowMicroseconds();
  std::vector<std::unique_ptr<RawClient>> halves = halfOf(server, hello);
  // A byte now and then buys no time.
  RawClient drip(server.address());
  const auto dripped = [&, at = std::size_t{0}]() mutable {
    return !drip.send(std::string_view(hello).substr(at++ % hello.size(), 1)) || !drip.read({}, 200).empty() || drip.closed();
  };
  EXPECT_TRUE(server.program().until(dripped, 14'000));
  for (const auto& half : halves) {
    half->read({}, 14'000);
    ASSERT_TRUE(half->closed());
  }
  EXPECT_GT(nowMicroseconds() - from, 8'000'000) << "slow networks have that much time";
  EXPECT_TRUE(server.untilConnections(1, kSoonMs)) << server.connections();
  EXPECT_EQ(honest.get("/openapi.json", {}).status, 200) << "the one that speaks stays";
}

// What never became a request is not waited for.
TEST_F(ServerTlsHostile, HandshakesThatStopHalfWayDoNotHoldUpTheEnd) {
  ServeProcess server(*ledger_, flagsOf(own_));
  const std::string hello = clientHello();
  RawClient silent(server.address());
  RawClient half(server.address());
  half.send(hello);
  ASSERT_THAT(half.read("\x16\x03\x03", kSoonMs), StartsWith("\x16\x03\x03"));
  ASSERT_TRUE(server.untilConnections(2, kSoonMs));
  const std::int64_t from = nowMicroseconds();
  EXPECT_EQ(server.stop(), 0);
  EXPECT_LT(nowMicroseconds() - from, kSoonMs * 1'000) << "the end waited for the handshake's limit";
}

}  // namespace
}  // namespace counterfoil::test

// Several whole nodes with real TLS: who writes answers, whoever was asked; a caller's certificate counts behind a node as it does before
// it; and nobody but a node is believed about it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/json/parse.hpp>
#include <mutex>

#include "ledger/crypto/digest.h"
#include "server/token_relay.h"
#include "tests/e2e/tls_server.h"
#include "tests/server/node_under_test.h"
#include "tests/support/chunked.h"
#include "tests/support/log_lines.h"

namespace counterfoil::server {
namespace {

using test::CertificateFiles;
using test::Certificates;
using test::HttpAnswer;
using test::HttpClient;
using test::NodeUnderTest;
using test::TlsClient;
using testing::HasSubstr;
using testing::Not;

std::string problemCode(const HttpAnswer& answer) {
  return answer.at({"code"});
}

// `a` writes, `b` does not; both show certificates of the authority of nodes. Clients have one of their own.
class NodeForward : public testing::Test {
 protected:
  void SetUp() override {
    if (!Certificates::available()) GTEST_SKIP() << "there is no openssl program here";
    nodes_ = nodeFiles_.authority("nodes");
    clients_ = clientFiles_.authority("clients");
    client_ = clientFiles_.certificate("broker", clients_, "clientAuth");
    a_ = std::make_unique<NodeUnderTest>(options("node-a", nodeCertificate("node-a")));
    setOwner(a_->url());
    b_ = std::make_unique<NodeUnderTest>(options("node-b", nodeCertificate("node-b")));
  }

  CertificateFiles nodeCertificate(const std::string& name) { return nodeFiles_.certificate(name, nodes_, "serverAuth,clientAuth"); }
  ServerOptions options(const std::string& name, const CertificateFiles& shown) {
    ServerOptions result;
    result.certificate = result.forward.certificate = shown.certificate;
    result.certificateKey = result.forward.certificateKey = shown.key;
    result.clientAuthorities = clients_.certificate;
    result.forward.authorities = nodes_.certificate;
    result.forward.nodeName = name;
    result.nodeSubjects = {"CN=node-a", "CN=node-b"};
    result.role = [this, name](PartitionId) {
      NodeRole role = roleNow();
      role.owner = role.ownerName == name;
      return role;
    };
    return result;
  }
  NodeRole roleNow() {
    const std::lock_guard lock(mutex_);
    return role_;
  }
  void setOwner(const std::string& url, const std::string& name = "node-a") {
    const std::lock_guard lock(mutex_);
    role_ = {false, url, name};
  }

  TlsClient to(const NodeUnderTest& node, const CertificateFiles& shown = {}) const {
    std::vector<std::string> words;
    if (!shown.certificate.empty()) words = {"-cert", shown.certificate, "-key", shown.key};
    return TlsClient(node.address(), nodes_.certificate, words);
  }
  static HttpAnswer get(TlsClient& client, const std::string& path, const std::string& token, const std::string& headers = {}) {
    std::string text = "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + headers;
    if (!token.empty()) text += "Authorization: Bearer " + token + "\r\n";
    client.send(text + "\r\n");
    return client.read();
  }
  std::string digestOf(const CertificateFiles& files) {
    const std::string der = nodeFiles_.folder() / "one.der";
    nodeFiles_.openssl({"x509", "-in", files.certificate, "-outform", "DER", "-out", der});
    const std::string bytes = test::readBytes(der);
    return toHex(crypto::sha256(crypto::Bytes(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size())));
  }
  void makeWorkspace() {
    TlsClient direct = to(*a_);
    const HttpAnswer made = direct.post("/v1/workspaces", a_->token("owner"), R"({"id":"acme","region":"eu"})");
    ASSERT_EQ(made.status, 201) << made << direct.program().error;
  }

  Certificates nodeFiles_, clientFiles_;
  CertificateFiles nodes_, clients_, client_;
  std::mutex mutex_;
  NodeRole role_;
  std::unique_ptr<NodeUnderTest> a_, b_;
};

constexpr const char* kFact = R"({"kind":"tool.invoked","tool":"git","operation":"clone","outcome":"ok"})";

TEST_F(NodeForward, TheNodeThatWritesAnswersWhoeverIsAsked) {
  const std::string token = a_->token("owner");
  TlsClient other = to(*b_);
  const HttpAnswer made = other.post("/v1/workspaces", token, R"({"id":"acme","region":"eu"})");
  ASSERT_EQ(made.status, 201) << made << other.program().error;
  EXPECT_THAT(made.head, HasSubstr("X-Counterfoil-Node: node-a"));
  const HttpAnswer fact = other.post("/v1/workspaces/acme/facts", token, kFact);
  ASSERT_EQ(fact.status, 201) << fact;
  const HttpAnswer read = get(other, "/v1/workspaces/acme/entries?kind=tool.*&wait=" + fact.at({"receipt", "seq"}), token);
  EXPECT_EQ(read.status, 200) << read;
  EXPECT_THAT(read.body, HasSubstr("\"operation\":\"clone\""));
  EXPECT_TRUE(a_->ledger().findWorkspace("acme"));
  EXPECT_FALSE(b_->ledger().findWorkspace("acme"));
  // The reading is on the record of the node that writes, under the caller's name.
  const HttpAnswer audit = get(other, "/v1/workspaces/acme/entries?kind=audit.*&wait=2", token);
  EXPECT_THAT(audit.body, HasSubstr("audit.queried"));
  EXPECT_EQ(get(other, "/v1/workspaces/acme", token + "x").status, 401) << "the node that writes checks the token";
}

TEST_F(NodeForward, ManyFactsPass) {
  makeWorkspace();
  std::string body;
  for (int line = 0; line < 2'000; ++line) body += std::string(kFact) + "\n";
  TlsClient other = to(*b_);
  const HttpAnswer answer = other.ask("POST", "/v1/workspaces/acme/facts", a_->token("owner"), body, "application/x-ndjson");
  EXPECT_THAT(answer.head, HasSubstr("200 OK"));
  std::string& rest = other.program().out;
  ASSERT_TRUE(other.program().until([&] { return rest.find("\r\n0\r\n\r\n") != std::string::npos; })) << rest.substr(0, 500);
  const std::string results = test::unchunked("\r\n\r\n" + rest);
  std::size_t receipts = 0;
  for (std::size_t at = results.find("\"receipt\""); at != std::string::npos; at = results.find("\"receipt\"", at + 1)) ++receipts;
  EXPECT_EQ(receipts, 2'000U);
}

TEST_F(NodeForward, EntriesStreamThroughAnotherNodeAndEndWithIt) {
  makeWorkspace();
  const std::string token = a_->token("owner");
  TlsClient listener = to(*b_);
  listener.send("GET /v1/workspaces/acme/stream?kind=tool.* HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n\r\n");
  std::string& seen = listener.program().out;
  ASSERT_TRUE(listener.program().until([&] { return seen.find("retry:") != std::string::npos; })) << seen;
  TlsClient direct = to(*a_);
  ASSERT_EQ(direct.post("/v1/workspaces/acme/facts", token, kFact).status, 201);
  EXPECT_TRUE(listener.program().until([&] { return seen.find("tool.invoked") != std::string::npos; })) << seen;
  b_->stop();
  EXPECT_TRUE(listener.program().until([&] { return seen.find("\r\n0\r\n\r\n") != std::string::npos; })) << seen;
}

TEST_F(NodeForward, WhatEveryNodeKnowsItAnswersItself) {
  TlsClient other = to(*b_);
  const HttpAnswer document = get(other, "/openapi.json", {});
  EXPECT_EQ(document.status, 200);
  EXPECT_THAT(document.head, HasSubstr("X-Counterfoil-Node: node-b"));
  const HttpAnswer nothing = get(other, "/nothing", {});
  EXPECT_EQ(nothing.status, 404);
  EXPECT_THAT(nothing.head, HasSubstr("X-Counterfoil-Node: node-b"));
  const HttpAnswer unknown = get(other, "/v1/nothing", {});
  EXPECT_EQ(unknown.status, 404) << "the other node may be newer";
  EXPECT_THAT(unknown.head, HasSubstr("X-Counterfoil-Node: node-a"));
  const HttpAnswer token = get(other, "/v1/workspaces?token=x", {});
  EXPECT_EQ(problemCode(token), "token_in_url");
  EXPECT_THAT(token.head, HasSubstr("X-Counterfoil-Node: node-b")) << "it goes no further";
  HttpClient admin(b_->adminAddress(), {});
  EXPECT_EQ(admin.get("/healthz").status, 200);
  const std::string metrics = admin.get("/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("counterfoil_forwarded_requests_total{outcome=\"answered\"} 1"));
  EXPECT_THAT(metrics, HasSubstr("counterfoil_forward_duration_seconds_count 1"));
  EXPECT_THAT(metrics, HasSubstr("counterfoil_open_forwards 0"));
}

TEST_F(NodeForward, WhoAsksForItIsSentToTheNodeThatWrites) {
  TlsClient other = to(*b_);
  const HttpAnswer answer = get(other, "/v1/workspaces?limit=2", {}, "X-Counterfoil-Redirect: yes\r\n");
  EXPECT_EQ(answer.status, 307);
  EXPECT_THAT(answer.head, HasSubstr("Location: " + a_->url() + "/v1/workspaces?limit=2"));
}

// ---- certificates of callers ----

TEST_F(NodeForward, ATokenBoundToACertificateIsGoodBehindAnotherNode) {
  const std::string bound = a_->token("owner", digestOf(client_));
  TlsClient withIt = to(*b_, client_);
  const HttpAnswer good = get(withIt, "/v1/workspaces", bound);
  EXPECT_EQ(good.status, 200) << good << withIt.program().error;
  EXPECT_THAT(good.head, HasSubstr("X-Counterfoil-Node: node-a"));
  TlsClient without = to(*b_);
  EXPECT_EQ(get(without, "/v1/workspaces", bound).status, 401) << "a stolen copy";
  TlsClient another = to(*b_, clientFiles_.certificate("thief", clients_, "clientAuth"));
  EXPECT_EQ(get(another, "/v1/workspaces", bound).status, 401);
}

TEST_F(NodeForward, ATokenIsRenewedThroughAnotherNode) {
  TlsClient withIt = to(*b_, client_);
  const HttpAnswer renewed = withIt.post("/v1/token/refresh", a_->token("member", digestOf(client_)), "");
  ASSERT_EQ(renewed.status, 201) << renewed << withIt.program().error;
  TlsClient direct = to(*a_, client_);
  EXPECT_EQ(get(direct, "/v1/workspaces", renewed.at({"token"})).status, 200);
  TlsClient without = to(*b_);
  EXPECT_EQ(get(without, "/v1/workspaces", renewed.at({"token"})).status, 401);
}

TEST_F(NodeForward, ANodesOwnCertificateIsNotTheCallers) {
  const std::string bound = a_->token("owner", digestOf({nodeFiles_.folder() / "node-b.pem", {}}));
  TlsClient caller = to(*b_);
  EXPECT_EQ(get(caller, "/v1/workspaces", bound).status, 401);
}

TEST_F(NodeForward, NobodyElseSaysWhichCertificateACallerShowed) {
  const std::string token = a_->token("owner", digestOf(client_));
  const std::string claim = "X-Counterfoil-Forwarded-By: node-b\r\nX-Counterfoil-Client-Certificate: " + digestOf(client_) + "\r\n";
  const std::string half = "X-Counterfoil-Client-Certificate: " + digestOf(client_) + "\r\n";
  // The one that may, so that the others are refused for what they are.
  TlsClient node = to(*a_, {nodeFiles_.folder() / "node-b.pem", nodeFiles_.folder() / "node-b.key"});
  EXPECT_EQ(get(node, "/v1/workspaces", token, claim).status, 200) << node.program().error;
  // The same name, vouched for by the authority of clients.
  const CertificateFiles impostor = clientFiles_.certificate("node-b", clients_, "clientAuth");
  const CertificateFiles unlisted = nodeCertificate("node-x");
  struct Teller {
    const char* what;
    CertificateFiles shown;
    const NodeUnderTest& asked;
  };
  const Teller tellers[] = {{"without a certificate", {}, *a_},
                            {"a client", client_, *a_},
                            {"a client with a node's name", impostor, *a_},
                            {"a node that is not on the list", unlisted, *a_},
                            {"a client of the other node", client_, *b_}};
  for (const Teller& teller : tellers) {
    TlsClient client = to(teller.asked, teller.shown);
    const HttpAnswer answer = get(client, "/v1/workspaces", token, claim);
    EXPECT_EQ(answer.status, 503) << teller.what << "\n" << answer << client.program().error;
    EXPECT_EQ(problemCode(answer), "not_ready") << teller.what;
    TlsClient plainly = to(teller.asked, teller.shown);
    EXPECT_EQ(get(plainly, "/v1/workspaces", token, half).status, 400) << teller.what;
    EXPECT_THAT(answer.body, Not(HasSubstr(digestOf(client_)))) << teller.what;
  }
  TlsClient again = to(*a_, {nodeFiles_.folder() / "node-b.pem", nodeFiles_.folder() / "node-b.key"});
  EXPECT_EQ(get(again, "/v1/workspaces", token, half).status, 400) << "a node says that it passed the request on";
  const std::string noDigest = "X-Counterfoil-Forwarded-By: node-b\r\nX-Counterfoil-Client-Certificate: abc\r\n";
  EXPECT_EQ(get(again, "/v1/workspaces", token, noDigest).status, 400);
  const std::string twice = claim + half;
  EXPECT_EQ(get(again, "/v1/workspaces", token, twice).status, 400);
}

// ---- tokens ----

// What the token socket of node b asks the node that writes.
class NodeTokens : public NodeForward {
 protected:
  // The answer to an order that came in at b, which has `keys` in its keys folder.
  boost::json::object order(const std::string& request, const TokenKeys& keys, const ForwardOptions& shown) {
    EventLoops loops(1);
    crypto::SystemRandom random;
    const test::RealClock clock;
    TokenRelay relay(*loops.all().front(), shown, keys, clock, random, NodeUnderTest::kOrigin);
    auto asked = asio::co_spawn(loops.first(), relay.ask(roleNow(), request, "operator:alice"), asio::use_future);
    const std::string answer = asked.get();
    loops.stop();
    const boost::json::value json = boost::json::parse(answer);
    EXPECT_TRUE(json.is_object()) << answer;
    return json.get_object();
  }
  boost::json::object order(const std::string& request) {
    return order(request, a_->tokenKeys(), options("node-b", nodeCertificate("node-b")).forward);
  }
  static std::string textOf(const boost::json::object& object, std::string_view name) {
    const boost::json::value* const value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
  }
  static std::string errorOf(const boost::json::object& answer) {
    const boost::json::value* const error = answer.if_contains("error");
    return error == nullptr ? "none" : textOf(error->get_object(), "code") + ": " + textOf(error->get_object(), "detail");
  }
};

constexpr const char* kMint = R"({"request":"mint","role":"owner","ttlSeconds":60})";

TEST_F(NodeTokens, AreMintedListedAndRevokedAtTheNodeThatWrites) {
  const boost::json::object minted = order(kMint);
  ASSERT_EQ(errorOf(minted), "none");
  EXPECT_EQ(textOf(minted, "subject"), "operator:alice") << "whom the socket of b let in";
  TlsClient direct = to(*a_);
  const std::string token = textOf(minted, "token");
  EXPECT_EQ(get(direct, "/v1/workspaces", token).status, 200);
  const HttpAnswer recorded = get(direct, "/v1/workspaces/_system/entries?kind=access.token_issued", token);
  EXPECT_THAT(recorded.body, HasSubstr(textOf(minted, "tokenId")));
  const boost::json::object listed = order(R"({"request":"list"})");
  ASSERT_EQ(listed.at("tokens").as_array().size(), 1U);
  EXPECT_EQ(textOf(order(R"({"request":"revoke","tokenId":")" + textOf(minted, "tokenId") + "\"}"), "revoked"), "token");
  EXPECT_EQ(get(direct, "/v1/workspaces", token).status, 401);
  EXPECT_THAT(textOf(order(R"({"request":"rotate"})"), "keyId"), testing::SizeIs(43));
}

TEST_F(NodeTokens, WhatTheDeskRefusesIsToldAsItIs) {
  EXPECT_THAT(errorOf(order(R"({"request":"mint","role":"king"})")), HasSubstr("invalid_value: role must be"));
  EXPECT_THAT(errorOf(order("{")), HasSubstr("malformed_json"));
  EXPECT_THAT(errorOf(order(R"({"request":"mint","role":"owner","workspace":"nowhere"})")), HasSubstr("there is no such workspace"));
}

TEST_F(NodeTokens, OnlyANodeOfThisLedgerIsBelieved) {
  const ForwardOptions shown = options("node-b", nodeCertificate("node-b")).forward;
  EXPECT_THAT(errorOf(order(kMint, b_->tokenKeys(), shown)), HasSubstr("bad_token")) << "b has other token keys";
  // No token of the API opens it, not even an owner's.
  TlsClient direct = to(*a_);
  EXPECT_EQ(direct.post("/node/token-desk", a_->token("owner"), kMint).status, 401);
  EXPECT_EQ(direct.post("/node/token-desk", {}, kMint).status, 401);
  EXPECT_EQ(order(R"({"request":"list"})").at("tokens").as_array().size(), 0U);
}

TEST_F(NodeTokens, ANodeThatDoesNotWriteGivesNone) {
  setOwner(a_->url(), "somebody");  // b takes a for the writer, which a itself does not
  EXPECT_THAT(errorOf(order(kMint)), HasSubstr("not_ready: the order was passed on to a node that does not write"));
}

TEST_F(NodeTokens, SayWhereTheyWouldHaveBeenRecorded) {
  setOwner("https://127.0.0.1:9", "node-a");
  EXPECT_THAT(errorOf(order(kMint)), HasSubstr("not_ready: tokens are recorded by node node-a at https://127.0.0.1:9"));
  setOwner("http://ledger.example.com:8780", "node-a");
  EXPECT_THAT(errorOf(order(kMint)), HasSubstr("plain HTTP to another machine"));
  setOwner(a_->url());
  EXPECT_THAT(errorOf(order(kMint, a_->tokenKeys(), ForwardOptions{})), HasSubstr("this node has no certificate to show"));
  Certificates strangeFiles;
  ForwardOptions strange = options("node-b", nodeCertificate("node-b")).forward;
  strange.authorities = strangeFiles.authority("strangers").certificate;
  EXPECT_THAT(errorOf(order(kMint, a_->tokenKeys(), strange)), HasSubstr("its certificate is not believed"));
}

// A server of a version before this one, or of another program.
TEST_F(NodeTokens, AnAnswerOfSomethingElseIsNoToken) {
  ServerOptions alone;
  NodeUnderTest single(alone);  // has no such route
  setOwner(single.url(), "node-a");
  EXPECT_THAT(errorOf(order(kMint)), HasSubstr("no_such_route"));
}

// ---- nodes that cannot be believed ----

TEST_F(NodeForward, NothingIsSentToANodeThatCannotShowThatItIsOne) {
  const std::string token = a_->token("owner");
  Certificates strangeFiles;
  const CertificateFiles strangers = strangeFiles.authority("strangers");
  NodeUnderTest stranger(options("node-s", strangeFiles.certificate("node-s", strangers, "serverAuth,clientAuth")));
  setOwner(stranger.url(), "node-s");
  TlsClient other = to(*b_);
  const HttpAnswer answer = get(other, "/v1/workspaces", token);
  EXPECT_EQ(answer.status, 503) << answer;
  EXPECT_EQ(problemCode(answer), "not_ready");
  // Known to the authority, under another name than the one in the URL.
  const CertificateFiles named{nodeFiles_.folder() / "elsewhere.pem", nodeFiles_.folder() / "elsewhere.key"};
  nodeFiles_.openssl({"req",
                      "-x509",
                      "-subj",
                      "/CN=node-e",
                      "-days",
                      "30",
                      "-CA",
                      nodes_.certificate,
                      "-CAkey",
                      nodes_.key,
                      "-addext",
                      "subjectAltName=DNS:elsewhere.example.com",
                      "-newkey",
                      "ec",
                      "-pkeyopt",
                      "ec_paramgen_curve:P-256",
                      "-nodes",
                      "-keyout",
                      named.key,
                      "-out",
                      named.certificate});
  NodeUnderTest elsewhere(options("node-e", named));
  setOwner(elsewhere.url(), "node-e");
  EXPECT_EQ(get(other, "/v1/workspaces", elsewhere.token("owner")).status, 503);
  setOwner("https://localhost:" + a_->url().substr(a_->url().rfind(':') + 1));
  EXPECT_EQ(get(other, "/v1/workspaces", token).status, 200) << "a name that the certificate has";
}

// Its authority is another one than the writer's peer_ca names: the writer ends the handshake when it has seen the certificate, and by then
// the node has sent the request. Nothing of it was read, so it is no case of `indeterminate`.
TEST_F(NodeForward, ACertificateThatTheWriterDoesNotBelieveIsSaidToBe) {
  Certificates otherFiles;
  const CertificateFiles others = otherFiles.authority("others");
  ServerOptions wanted = options("node-o", nodeCertificate("node-o"));
  const CertificateFiles shown = otherFiles.certificate("node-o", others, "serverAuth,clientAuth");
  wanted.forward.certificate = shown.certificate;
  wanted.forward.certificateKey = shown.key;
  NodeUnderTest unbelieved(std::move(wanted));
  test::LogLines lines;
  TlsClient client = to(unbelieved);
  for (int round = 0; round < 20; ++round) {
    const HttpAnswer answer = client.post("/v1/workspaces", a_->token("owner"), R"({"id":"acme"})");
    ASSERT_EQ(answer.status, 503) << answer << client.program().error;
    ASSERT_EQ(problemCode(answer), "not_ready");
    EXPECT_THAT(answer.body, testing::AllOf(HasSubstr("does not believe this node's certificate"), HasSubstr("peer_ca")));
  }
  EXPECT_FALSE(a_->ledger().findWorkspace("acme"));
  const auto told = [&] { return lines.with("certificate_not_believed") != 0; };
  EXPECT_TRUE(client.program().until(told)) << "the writer may say so after its answer has come";
  EXPECT_EQ(lines.with("certificate_not_believed"), 1U) << "once a minute, at the writer";
  EXPECT_EQ(lines.with("writer_unreached: the node that writes is not reached: it does not believe this node's certificate"), 1U);
}

// Its authority is known, its name is not on the writer's list: only what a caller's certificate is needed for is concerned.
TEST_F(NodeForward, ANodeThatIsNotOnTheListIsSaidToBe) {
  NodeUnderTest unlisted(options("node-u", nodeCertificate("node-u")));
  test::LogLines lines;
  TlsClient withIt = to(unlisted, client_);
  for (int round = 0; round < 2; ++round) {
    const HttpAnswer answer = get(withIt, "/v1/workspaces", a_->token("owner", digestOf(client_)));
    EXPECT_EQ(answer.status, 503) << answer << withIt.program().error;
    EXPECT_EQ(problemCode(answer), "not_ready");
    EXPECT_THAT(answer.body, HasSubstr("peer_subjects"));
  }
  EXPECT_EQ(lines.with("node_not_believed"), 1U);
  EXPECT_EQ(lines.with("names CN=node-u, which peer_subjects does not"), 1U);
  TlsClient without = to(unlisted);
  EXPECT_EQ(get(without, "/v1/workspaces", a_->token("owner")).status, 200);
}

TEST_F(NodeForward, ARequestIsPassedOnOnce) {
  NodeUnderTest c(options("node-c", nodeCertificate("node-c")));
  setOwner(c.url(), "nobody");  // b takes c for the writer, and c itself as well
  TlsClient other = to(*b_);
  const HttpAnswer answer = other.post("/v1/workspaces", a_->token("owner"), R"({"id":"acme"})");
  EXPECT_EQ(answer.status, 503) << answer;
  EXPECT_EQ(problemCode(answer), "not_ready");
  EXPECT_THAT(answer.body, HasSubstr("passed on to a node that does not write"));
  EXPECT_THAT(answer.head, testing::AllOf(HasSubstr("Retry-After: 1"), HasSubstr("X-Counterfoil-Node: node-c")));
  setOwner(a_->url());
  EXPECT_EQ(other.post("/v1/workspaces", a_->token("owner"), R"({"id":"acme"})").status, 201);
}

TEST_F(NodeForward, ASingleNodeForwardsNothingAndBelievesNobody) {
  ServerOptions options;
  NodeUnderTest alone(options);
  HttpClient client(alone.address(), alone.token("owner"));
  const HttpAnswer answer = client.get("/v1/workspaces");
  EXPECT_EQ(answer.status, 200) << answer;
  EXPECT_THAT(answer.head, Not(HasSubstr("X-Counterfoil-Node")));
  EXPECT_EQ(client.ask("GET", "/v1/workspaces", {}, {}, "X-Counterfoil-Redirect: yes\r\nX-Counterfoil-Forwarded-By: x\r\n").status, 200);
  const std::string claim = "X-Counterfoil-Forwarded-By: x\r\nX-Counterfoil-Client-Certificate: " + std::string(64, 'a') + "\r\n";
  EXPECT_EQ(client.ask("GET", "/v1/workspaces", {}, {}, claim).status, 503);
  EXPECT_EQ(client.ask("GET", "/v1/workspaces", {}, {}, claim.substr(claim.find("X-Counterfoil-Client"))).status, 400);
}

}  // namespace
}  // namespace counterfoil::server

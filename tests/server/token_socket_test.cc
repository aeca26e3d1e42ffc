// The token socket over a real ledger: who is let in, what is minted, revoked, listed, and what the record keeps of it.
#include "tests/server/token_socket_fixture.h"

namespace counterfoil::server {
namespace {

// ---- the socket ----

TEST_F(TokenSocketTest, IsAPrivateSocketThatGoesWithTheServer) {
  struct stat facts {};
  ASSERT_EQ(::lstat(socketPath().c_str(), &facts), 0);
  EXPECT_TRUE(S_ISSOCK(facts.st_mode));
  EXPECT_EQ(facts.st_mode & 07777, 0600U);
  closeServer();
  EXPECT_FALSE(std::filesystem::exists(socketPath()));
}

TEST_F(TokenSocketTest, TakesThePlaceOfADeadOneButOfNothingElse) {
  closeServer();
  const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socketPath().c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(dead, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(dead);
  openServer();
  EXPECT_FALSE(mint().empty());
  closeServer();
  std::ofstream(socketPath()) << "somebody's notes";
  try {
    const TokenSocket socket(folder_.path(), asio::system_executor(), *pool_, *desk_);
    FAIL() << "it took a file's place";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.code(), ErrorCode::alreadyExists);
  }
  EXPECT_TRUE(std::filesystem::is_regular_file(socketPath()));
}

TEST_F(TokenSocketTest, WorksInAFolderWhosePathIsTooLongForASocket) {
  const std::filesystem::path deep = folder_.path() / std::string(120, 'd');
  std::filesystem::create_directory(deep);
  asio::io_context io;
  {
    const TokenSocket socket(deep, io.get_executor(), *pool_, *desk_);
    EXPECT_TRUE(std::filesystem::is_socket(deep / kTokenSocketName));
  }
  EXPECT_FALSE(std::filesystem::exists(deep / kTokenSocketName));
}

TEST(TokenSocketPeers, AreTheServersUserAndRoot) {
  EXPECT_TRUE(mayUseTokenSocket(1000, 1000));
  EXPECT_TRUE(mayUseTokenSocket(0, 1000));
  EXPECT_TRUE(mayUseTokenSocket(0, 0));
  EXPECT_FALSE(mayUseTokenSocket(1001, 1000));
  EXPECT_FALSE(mayUseTokenSocket(1000, 0));
  EXPECT_FALSE(mayUseTokenSocket(65534, 1000));
}

TEST_F(TokenSocketTest, AnotherUserGetsNoAnswerEvenWhereTheModeLetsItIn) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  // What the file system would have refused: the kernel's word for the peer must be enough.
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(socketPath().c_str(), 0666), 0);
  const std::string request = R"({"request":"mint","role":"owner"})"
                              "\n";
  const pid_t child = ::fork();
  if (child == 0) {
    // 0: connected and got nothing; 1: an answer; 2: not even connected.
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(3);
    const int socket = connectTo(socketPath());
    if (socket < 0) ::_exit(2);
    (void)::send(socket, request.data(), request.size(), MSG_NOSIGNAL);
    char byte = 0;
    ::_exit(::read(socket, &byte, 1) > 0 ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(recorded("access.token_issued").size(), 0U);
  EXPECT_FALSE(mint().empty());  // others are served as before
}

TEST_F(TokenSocketTest, PeersThatSayNothingHoldNobodyUp) {
  std::vector<int> silent;
  for (int index = 0; index < 40; ++index) {
    silent.push_back(connectTo(socketPath()));
    ASSERT_GE(silent.back(), 0);
    ASSERT_EQ(::send(silent.back(), "{\"request\"", 10, MSG_NOSIGNAL), 10);
  }
  EXPECT_FALSE(mint().empty());
  // closeServer() joins the thread: it ends them.
  closeServer();
  for (const int socket : silent) EXPECT_EQ(readAll(socket), "");
}

TEST_F(TokenSocketTest, MoreThanItsPlacesAreServedInTurn) {
  std::vector<int> peers;
  for (int index = 0; index < 100; ++index) {
    peers.push_back(connectTo(socketPath()));
    ASSERT_GE(peers.back(), 0);
  }
  // Each of them, also those that wait for a place, when the ones before are done.
  for (const int peer : peers) {
    const std::string_view request = "{\"request\":\"list\"}\n";
    ASSERT_EQ(::send(peer, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
    EXPECT_EQ(readAll(peer), "{\"tokens\":[]}\n");
  }
}

TEST_F(TokenSocketTest, RefusesWhatIsNoRequest) {
  for (const auto& [request, code] : std::vector<std::pair<std::string, std::string>>{
           {"", "malformed_json"},
           {"list", "malformed_json"},
           {"[]", "invalid_value"},
           {"{}", "invalid_value"},
           {R"({"request":"list"} {})", "malformed_json"},
           {R"({"request":"burn"})", "invalid_value"},
           {R"({"request":7})", "invalid_value"},
           {R"({"request":"list","request":"list"})", "duplicate_field"},
           {R"({"request":"rotate","\u0072equest":"list"})", "duplicate_field"},
           {R"({"request":"list","role":"owner"})", "unknown_field"},
           {R"({"request":"mint","role":"owner","admin":"x"})", "unknown_field"},
           {R"({"request":"mint","role":{"a":{}}})", "too_deep"},
           {R"({"request":"mint","role":null})", "invalid_value"},
           {"{\"request\":\"mint\",\"role\":\"\xff\"}", "invalid_utf8"},
       }) {
    EXPECT_EQ(errorOf(request), code) << request;
  }
  EXPECT_NE(askRaw(std::string(kDeskOrderBytesMax + 1, ' ')).find("malformed_json"), std::string::npos);
  EXPECT_EQ(recorded("access.*").size(), 0U);
}

// ---- minting ----

TEST_F(TokenSocketTest, MintsATokenThatTheServerTakes) {
  const json::object answer = ask(R"({"request":"mint","role":"member","workspace":"alpha","subject":"human:alice","ttlSeconds":300})");
  const std::string token = text(answer, "token");
  const Caller caller = authenticator_->authenticate(token, "");
  EXPECT_EQ(caller.role, Role::member);
  EXPECT_EQ(caller.subject, "human:alice");
  EXPECT_EQ(caller.workspace, "alpha");
  EXPECT_EQ(caller.tokenId, text(answer, "tokenId"));
  EXPECT_EQ(text(answer, "expiresAt"), toRfc3339(caller.expiresAt));
  EXPECT_EQ(caller.expiresAt.nanoseconds / kNanosecondsPerSecond - clock_.wall().nanoseconds / kNanosecondsPerSecond, 300);
}

TEST_F(TokenSocketTest, FillsInWhatIsLeftOut) {
  const Caller owner = authenticator_->authenticate(mint(R"("role":"owner")"), "");
  EXPECT_EQ(owner.workspace, "*");
  EXPECT_EQ(owner.kind, PrincipalKind::operatorPerson);
  EXPECT_FALSE(owner.subjectId.empty());
  const auto lifetime = [](const std::string& token) {
    const TokenClaims claims = readToken(token)->claims;
    return claims.expiresAt - claims.issuedAt;
  };
  EXPECT_EQ(lifetime(mint(R"("role":"owner")")), 3600);
  EXPECT_EQ(lifetime(mint(R"("role":"producer","workspace":"alpha","subject":"service:broker")")), 900);
}

TEST_F(TokenSocketTest, RefusesWhatNoTokenMaySayAndRecordsNothing) {
  for (const auto& [more, code] : std::vector<std::pair<std::string, std::string>>{
           {R"("workspace":"alpha")", "invalid_value"},
           {R"("role":"root")", "invalid_value"},
           {R"("role":"Owner")", "invalid_value"},
           {R"("role":["owner"])", "invalid_value"},
           {R"("role":"producer")", "invalid_value"},
           {R"("role":"producer","workspace":"*")", "invalid_value"},
           {R"("role":"producer","workspace":"alpha","ttlSeconds":901)", "invalid_value"},
           {R"("role":"member","ttlSeconds":3601)", "invalid_value"},
           {R"("role":"member","ttlSeconds":0)", "invalid_value"},
           {R"("role":"member","ttlSeconds":-1)", "invalid_value"},
           {R"("role":"member","ttlSeconds":60.0)", "invalid_value"},
           {R"("role":"member","ttlSeconds":"60")", "invalid_value"},
           {R"("role":"member","ttlSeconds":9223372036854775807)", "invalid_value"},
           {R"("role":"member","workspace":"beta")", "no_such_item"},
           {R"("role":"member","workspace":"_system")", "invalid_value"},
           {R"("role":"member","workspace":"al pha")", "invalid_value"},
           {R"("role":"member","workspace":"")", "invalid_value"},
           {R"("role":"member","subject":"alice")", "invalid_value"},
           {R"("role":"member","subject":"ledger:x")", "invalid_value"},
           {R"("role":"member","subject":"human:")", "invalid_value"},
           {R"("role":"member","subject":"human:a\nb")", "invalid_value"},
           {R"("role":"member","certificate":"abcd")", "invalid_value"},
           {R"("role":"member","certificate":")" + std::string(64, 'g') + "\"", "invalid_value"},
           // What the record cannot keep is not given out either.
           {R"("role":"member","subject":"service:AKIAQ3EGR7TB2XN5KD4L")", "secret_in_identifier"},
       }) {
    EXPECT_EQ(errorOf(R"({"request":"mint",)" + more + "}"), code) << more;
  }
  EXPECT_EQ(recorded("access.*").size(), 0U);
  EXPECT_EQ(listed(), 0U);
}

TEST_F(TokenSocketTest, BindsATokenToACertificate) {
  const std::string digest(64, 'B');
  const std::string token = mint(R"("role":"member","certificate":")" + digest + "\"");
  EXPECT_EQ(refusal(token), ErrorCode::badToken);
  EXPECT_EQ(authenticator_->authenticate(token, std::string(64, 'b')).role, Role::member);
}

TEST_F(TokenSocketTest, RecordsEveryMintWithoutTheTokenAndWithoutThePersonsName) {
  const std::string token = mint();
  const auto entries = recorded("access.token_issued");
  ASSERT_EQ(entries.size(), 1U);
  const json::object& entry = entries.front();
  EXPECT_EQ(text(entry, "jti"), idOf(token));
  EXPECT_EQ(text(entry, "role"), "member");
  EXPECT_EQ(text(entry, "expiresAt"), toRfc3339({readToken(token)->claims.expiresAt * kNanosecondsPerSecond}));
  EXPECT_EQ(text(entry.at("actor").as_object(), "kind"), "operator");
  EXPECT_EQ(text(entry.at("principal").as_object(), "kind"), "human");
  EXPECT_TRUE(text(entry.at("principal").as_object(), "id").starts_with("p2:"));
  const std::string whole = json::serialize(entry);
  EXPECT_EQ(whole.find("alice"), std::string::npos);
  EXPECT_EQ(whole.find(token.substr(token.rfind('.') + 1, 20)), std::string::npos);
}

TEST_F(TokenSocketTest, NoTokenLeavesThatCouldNotBeRecorded) {
  ledger_->drain();
  provider_.setReachable(false);
  // A person the ledger does not know yet needs a key, and its provider does not answer.
  const json::object answer = ask(R"({"request":"mint","role":"member","subject":"human:stranger"})");
  provider_.setReachable(true);
  EXPECT_TRUE(answer.contains("error")) << json::serialize(answer);
  EXPECT_FALSE(answer.contains("token"));
  EXPECT_EQ(listed(), 0U);
}

// ---- revoking ----

TEST_F(TokenSocketTest, ARevokedTokenIsOutAtOnceAndAfterARestart) {
  const std::string revoked = mint();
  const std::string kept = mint();
  EXPECT_EQ(refusal(revoked), std::nullopt);
  EXPECT_EQ(text(ask(R"({"request":"revoke","tokenId":")" + idOf(revoked) + "\"}"), "revoked"), "token");
  EXPECT_EQ(refusal(revoked), ErrorCode::badToken);
  EXPECT_EQ(refusal(kept), std::nullopt);
  const auto entries = recorded("access.token_revoked");
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(text(entries.front(), "jti"), idOf(revoked));
  restart();
  EXPECT_EQ(refusal(revoked), ErrorCode::badToken);
  EXPECT_EQ(refusal(kept), std::nullopt);
}

TEST_F(TokenSocketTest, ARevokedPersonStaysOutAfterARestartUntilGivenANewToken) {
  const std::string alice = mint();
  const std::string service = mint(R"("role":"producer","workspace":"alpha","subject":"service:broker")");
  const std::string bob = mint(R"("role":"member","subject":"human:bob")");
  EXPECT_EQ(text(ask(R"({"request":"revoke","subject":"human:alice"})"), "revoked"), "subject");
  EXPECT_EQ(text(ask(R"({"request":"revoke","subject":"service:broker"})"), "revoked"), "subject");
  EXPECT_EQ(json::serialize(recorded("access.token_revoked").front()).find("alice"), std::string::npos);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(refusal(alice), ErrorCode::badToken);
    EXPECT_EQ(refusal(service), ErrorCode::badToken);
    EXPECT_EQ(refusal(bob), std::nullopt);
    // A new one works, also within the second of the revocation.
    EXPECT_EQ(refusal(mint()), std::nullopt);
    restart();
  }
}

TEST_F(TokenSocketTest, ARenewedTokenFallsUnderTheRevocationOfItsSecond) {
  const std::string first = mint(R"("role":"member","workspace":"alpha","subject":"human:alice","ttlSeconds":60)");
  clock_.advanceSeconds(20);
  const auto renewed = [&](const std::string& token) {
    return std::string(json::parse(desk_->refresh(readToken(token)->claims)).at("token").as_string());
  };
  const std::string second = renewed(first);
  const TokenClaims claims = readToken(second)->claims;
  EXPECT_EQ(claims.issuedAt, readToken(first)->claims.issuedAt + 20);
  EXPECT_EQ(claims.expiresAt - claims.issuedAt, 60) << "as long as the one before, from now on";
  EXPECT_EQ(claims.role, "member");
  EXPECT_EQ(claims.workspace, "alpha");
  EXPECT_EQ(claims.subject, "human:alice");
  EXPECT_NE(claims.tokenId, idOf(first));
  EXPECT_EQ(refusal(second), std::nullopt);
  EXPECT_EQ(recorded("access.token_issued").size(), 2U);
  // Somebody renews while the subject is being revoked.
  ask(R"({"request":"revoke","subject":"human:alice"})");
  EXPECT_EQ(refusal(renewed(second)), ErrorCode::badToken);
  // What was given out after that, in the same second, is good; so is what it is renewed to.
  const std::string third = mint();
  EXPECT_EQ(refusal(third), std::nullopt);
  EXPECT_EQ(refusal(renewed(third)), std::nullopt);
}

TEST_F(TokenSocketTest, ARevocationHoldsEvenIfItCannotBeRecorded) {
  TokenClaims claims = readToken(mint())->claims;
  claims.subject = "human:stranger";
  const std::string token = keys_->sign(claims);
  EXPECT_EQ(refusal(token), std::nullopt);
  ledger_->drain();
  provider_.setReachable(false);
  EXPECT_NE(errorOf(R"({"request":"revoke","subject":"human:stranger"})"), "");
  provider_.setReachable(true);
  EXPECT_EQ(refusal(token), ErrorCode::badToken);
  EXPECT_EQ(recorded("access.token_revoked").size(), 0U);
}

TEST_F(TokenSocketTest, RefusesRevocationsOfNothing) {
  for (const char* more : {"", R"(,"tokenId":"7")", R"(,"tokenId":"")", R"(,"subject":"alice")",
                           R"(,"tokenId":"01890000-0000-7000-8000-000000000001","subject":"human:alice")"}) {
    EXPECT_EQ(errorOf(std::string(R"({"request":"revoke")") + more + "}"), "invalid_value") << more;
  }
  EXPECT_EQ(recorded("access.token_revoked").size(), 0U);
}

// ---- another node writes ----

TEST_F(TokenSocketTest, WhileAnotherNodeWritesItIsAsked) {
  std::vector<std::string> passed;
  bool elsewhere = true;
  closeServer();
  passOn_ = [&](std::string_view request, std::string_view by) -> std::optional<asio::awaitable<std::string>> {
    if (!elsewhere) return std::nullopt;
    passed.push_back(std::string(by) + " " + std::string(request));
    return []() -> asio::awaitable<std::string> { co_return R"({"token":"from the other"})"; }();
  };
  openServer();
  EXPECT_EQ(mint(), "from the other");
  ASSERT_EQ(passed.size(), 1U);
  EXPECT_TRUE(passed.front().starts_with("operator:"));
  EXPECT_NE(passed.front().find(R"( {"request":"mint","role":"member","workspace":"alpha","subject":"human:alice"})"), std::string::npos);
  EXPECT_EQ(recorded("access.token_issued").size(), 0U);
  elsewhere = false;
  const std::string token = mint();
  EXPECT_EQ(refusal(token), std::nullopt);
  EXPECT_EQ(recorded("access.token_issued").size(), 1U);
  // In force here at once, whatever becomes of it there.
  elsewhere = true;
  ask(R"({"request":"revoke","tokenId":")" + idOf(token) + "\"}");
  EXPECT_EQ(refusal(token), ErrorCode::badToken);
  ask(R"({"request":"revoke","subject":"human:bob"})");
  ask(R"({"request":"revoke","tokenId":"7"})");
  askRaw("no json\n");
  EXPECT_EQ(passed.size(), 5U) << "what is wrong with a request, the other node says";
  EXPECT_EQ(recorded("access.token_revoked").size(), 0U);
  EXPECT_EQ(refusal(keys_->sign(readToken(token)->claims)), ErrorCode::badToken);
}

// ---- listing and rotating ----

TEST_F(TokenSocketTest, ListsWhatIsAliveAndNeverATokenItself) {
  const std::string first = mint(R"("role":"member","workspace":"alpha","subject":"human:alice","ttlSeconds":60)");
  const std::string second = mint(R"("role":"reader","subject":"agent:fixer","ttlSeconds":600)");
  const std::string revoked = mint(R"("role":"reader","subject":"agent:gone")");
  ask(R"({"request":"revoke","tokenId":")" + idOf(revoked) + "\"}");
  const json::object answer = ask(R"({"request":"list"})");
  const json::array& tokens = answer.at("tokens").as_array();
  ASSERT_EQ(tokens.size(), 2U);
  EXPECT_EQ(text(tokens[0].as_object(), "tokenId"), idOf(first));
  EXPECT_EQ(text(tokens[0].as_object(), "subject"), "human:alice");
  EXPECT_EQ(text(tokens[0].as_object(), "workspace"), "alpha");
  EXPECT_EQ(text(tokens[1].as_object(), "role"), "reader");
  EXPECT_EQ(json::serialize(answer).find(first.substr(first.find('.') + 1, 30)), std::string::npos);
  EXPECT_EQ(json::serialize(answer).find(first.substr(first.rfind('.') + 1, 30)), std::string::npos);
  clock_.advanceSeconds(60);
  EXPECT_EQ(listed(), 1U);
  // After a restart the record tells, under the names it has.
  restart();
  const json::object later = ask(R"({"request":"list"})");
  ASSERT_EQ(later.at("tokens").as_array().size(), 1U);
  EXPECT_EQ(text(later.at("tokens").as_array()[0].as_object(), "tokenId"), idOf(second));
}

TEST_F(TokenSocketTest, RotatesTheKeyAndRecordsIt) {
  const std::string first = mint();
  const std::string keyId = text(ask(R"({"request":"rotate"})"), "keyId");
  const std::string second = mint();
  EXPECT_EQ(readToken(second)->keyId, keyId);
  EXPECT_EQ(refusal(first), std::nullopt);
  EXPECT_EQ(listed(), 2U);
  ask(R"({"request":"rotate"})");
  EXPECT_EQ(refusal(first), ErrorCode::badToken);
  EXPECT_EQ(refusal(second), std::nullopt);
  EXPECT_EQ(listed(), 1U);
  const auto entries = recorded("key.rotated");
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(text(entries.front(), "keyId"), keyId);
  EXPECT_EQ(text(entries.front(), "purpose"), "token");
}

}  // namespace
}  // namespace counterfoil::server

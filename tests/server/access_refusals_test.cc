// What the record keeps of refused requests: one entry a reason, principal and minute, whatever their number.
#include "tests/server/token_socket_fixture.h"

namespace counterfoil::server {
namespace {

TEST_F(TokenSocketTest, AFloodOfRefusalsMakesOneEntryAReasonAndPrincipal) {
  Caller alice;
  alice.authenticated = true;
  alice.subject = "human:alice";
  alice.tokenId = "01890000-0000-7000-8000-000000000001";
  Caller pretender = alice;  // said so, proved nothing
  pretender.authenticated = false;
  for (int index = 0; index < 5000; ++index) access_->refused(ErrorCode::badToken, pretender);
  for (int index = 0; index < 3; ++index) access_->refused(ErrorCode::notAllowed, alice);
  access_->refused(ErrorCode::rateLimited, alice);
  alice.tokenId = "01890000-0000-7000-8000-000000000002";
  access_->refused(ErrorCode::rateLimited, alice);
  EXPECT_EQ(recorded("access.refused").size(), 0U);
  access_->flush();
  ledger_->drain();
  access_->flush();  // nothing is left to tell
  ledger_->drain();
  std::map<std::string, json::object> entries;
  for (const json::object& entry : recorded("access.refused")) EXPECT_TRUE(entries.emplace(text(entry, "reason"), entry).second);
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries["bad_token"].at("count").to_number<int>(), 5000);
  EXPECT_FALSE(entries["bad_token"].contains("principal"));
  EXPECT_FALSE(entries["bad_token"].contains("jti"));
  EXPECT_EQ(entries["not_allowed"].at("count").to_number<int>(), 3);
  EXPECT_EQ(text(entries["not_allowed"], "jti"), "01890000-0000-7000-8000-000000000001");
  EXPECT_TRUE(text(entries["not_allowed"].at("principal").as_object(), "id").starts_with("p2:"));
  EXPECT_EQ(entries["rate_limited"].at("count").to_number<int>(), 2);
  EXPECT_FALSE(entries["rate_limited"].contains("jti"));  // of several tokens none is named
}

TEST_F(TokenSocketTest, RefusalsThatTheLedgerDoesNotTakeAreCountedOn) {
  Caller stranger;
  stranger.authenticated = true;
  stranger.subject = "human:stranger";
  access_->refused(ErrorCode::notAllowed, stranger);
  ledger_->drain();
  provider_.setReachable(false);
  access_->flush();
  ledger_->drain();
  provider_.setReachable(true);
  access_->refused(ErrorCode::notAllowed, stranger);
  for (int round = 0; round < 3; ++round) {  // the key that was dropped may cost one more try
    access_->flush();
    ledger_->drain();
  }
  const auto entries = recorded("access.refused");
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries.front().at("count").to_number<int>(), 2);
}

}  // namespace
}  // namespace counterfoil::server

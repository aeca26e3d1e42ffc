// The whole table of who may do what, spelt out: a change of it must change this file.
#include "server/auth/roles.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace counterfoil::server {
namespace {

constexpr std::array kRoles = {Role::owner, Role::admin, Role::member, Role::reader, Role::auditor, Role::producer};

struct Row {
  Action action;
  std::string_view name;
  std::array<bool, 6> permitted;  // in the order of kRoles
};

constexpr bool o = true;
constexpr bool x = false;
//                                                        owner admin member reader auditor producer
constexpr std::array<Row, 23> kTable = {{
    {Action::open, "open", {o, o, o, o, o, o}},
    {Action::readRecord, "readRecord", {o, o, o, o, x, x}},
    {Action::discloseRecord, "discloseRecord", {o, o, x, x, x, x}},
    {Action::useLeases, "useLeases", {o, o, o, x, x, o}},
    {Action::revokeLease, "revokeLease", {o, o, o, x, x, o}},
    {Action::revoke, "revoke", {o, o, o, x, x, x}},
    {Action::reportFacts, "reportFacts", {o, o, o, x, x, o}},
    {Action::readProducer, "readProducer", {o, o, o, o, x, o}},
    {Action::decideApprovals, "decideApprovals", {o, o, o, x, x, x}},
    {Action::managePolicy, "managePolicy", {o, o, x, x, x, x}},
    {Action::readPolicy, "readPolicy", {o, o, o, o, x, x}},
    {Action::lookUpSecrets, "lookUpSecrets", {o, o, x, x, x, x}},
    {Action::resolvePersons, "resolvePersons", {o, o, x, x, x, x}},
    {Action::manageWorkspaces, "manageWorkspaces", {o, o, x, x, x, x}},
    {Action::listWorkspaces, "listWorkspaces", {o, o, o, o, o, x}},
    {Action::readProofs, "readProofs", {o, o, o, o, o, x}},
    {Action::manageTokens, "manageTokens", {o, o, x, x, x, x}},
    {Action::importFacts, "importFacts", {o, o, x, x, x, x}},
    {Action::refreshToken, "refreshToken", {o, o, o, o, o, o}},
    {Action::manageHolds, "manageHolds", {o, o, x, x, x, x}},
    {Action::erase, "erase", {o, x, x, x, x, x}},
    {Action::manageKeys, "manageKeys", {o, x, x, x, x, x}},
    {Action::setRetention, "setRetention", {o, x, x, x, x, x}},
}};
static_assert(kTable.size() == static_cast<std::size_t>(Action::setRetention) + 1, "a row for every action");

Caller caller(Role role, std::string workspace) {
  Caller result;
  result.authenticated = true;
  result.role = role;
  result.subject = "human:alice";
  result.workspace = std::move(workspace);
  return result;
}

TEST(Roles, PermitWhatTheTableSaysAndNothingElse) {
  for (std::size_t index = 0; index < kTable.size(); ++index) {
    const Row& row = kTable[index];
    ASSERT_EQ(static_cast<std::size_t>(row.action), index) << row.name;
    for (std::size_t role = 0; role < kRoles.size(); ++role) {
      EXPECT_EQ(permits(kRoles[role], row.action), row.permitted[role]) << roleName(kRoles[role]) << " " << row.name;
    }
  }
}

TEST(Roles, AreLimitedToTheTokensWorkspace) {
  for (const Row& row : kTable) {
    for (std::size_t role = 0; role < kRoles.size(); ++role) {
      const bool permitted = row.permitted[role];
      const bool free = row.action == Action::open;
      const Caller ofOne = caller(kRoles[role], "alpha");
      const Caller ofAll = caller(kRoles[role], "*");
      const std::string what = std::string(roleName(kRoles[role])) + " " + std::string(row.name);
      EXPECT_EQ(ofOne.may(row.action, "alpha"), permitted) << what;
      // Of another tenant, of nobody, almost the same, everything: one answer.
      for (const char* other : {"beta", "no-such-workspace", "alph", "alphaa", "ALPHA", "*", ""}) {
        // Of no workspace there is only the list of those the token reaches, and the token itself.
        const bool own = (row.action == Action::listWorkspaces || row.action == Action::refreshToken) && *other == '\0';
        EXPECT_EQ(ofOne.may(row.action, other), free || (own && permitted)) << what << " in " << other;
      }
      EXPECT_EQ(ofAll.may(row.action, "alpha"), permitted) << what;
      EXPECT_EQ(ofAll.may(row.action, ""), permitted) << what;
    }
  }
}

TEST(Roles, NobodyWithoutATokenMayAnythingButWhatIsOpen) {
  for (const Row& row : kTable) {
    for (const Role role : kRoles) {
      Caller nobody = caller(role, "*");
      nobody.authenticated = false;
      EXPECT_EQ(nobody.may(row.action, "alpha"), row.action == Action::open) << row.name;
    }
  }
}

TEST(Roles, TheLedgersOwnWorkspaceIsReadByOwnersAndAdminsOfAll) {
  for (const Row& row : kTable) {
    if (row.action == Action::open) continue;
    const bool reads = row.action == Action::readRecord || row.action == Action::discloseRecord || row.action == Action::resolvePersons ||
                       row.action == Action::listWorkspaces || row.action == Action::readProofs;
    for (const Role role : kRoles) {
      const bool ofRecord = (role == Role::owner || role == Role::admin) && reads;
      const bool ofProofs = role == Role::auditor && row.action == Action::readProofs;
      EXPECT_EQ(caller(role, "*").may(row.action, "_system"), ofRecord || ofProofs) << roleName(role) << " " << row.name;
      EXPECT_FALSE(caller(role, "alpha").may(row.action, "_system")) << roleName(role) << " " << row.name;
      EXPECT_FALSE(caller(role, "_system").may(row.action, "_system")) << roleName(role) << " " << row.name;
    }
  }
}

TEST(Roles, TokensOfAdminsAreTheOwnersBusiness) {
  for (const Role of : kRoles) {
    EXPECT_TRUE(caller(Role::owner, "*").mayManageTokensOf(of, "human:bob"));
    EXPECT_EQ(caller(Role::admin, "*").mayManageTokensOf(of, "human:bob"), of != Role::owner && of != Role::admin) << roleName(of);
    EXPECT_EQ(caller(Role::admin, "*").mayManageTokensOf(of, "human:alice"), of != Role::owner) << roleName(of);
    EXPECT_FALSE(caller(Role::member, "*").mayManageTokensOf(of, "human:alice"));
    EXPECT_FALSE(caller(Role::producer, "*").mayManageTokensOf(of, "human:alice"));
  }
}

TEST(Roles, HaveNamesThatReadBack) {
  for (const Role role : kRoles) EXPECT_EQ(roleOf(roleName(role)), role);
  for (const char* text : {"", "Owner", "owner ", "root", "operator"}) EXPECT_FALSE(roleOf(text)) << text;
}

TEST(Subjects, AreAKindAndAnId) {
  const auto alice = parseSubject("human:alice@example.com");
  ASSERT_TRUE(alice);
  EXPECT_EQ(alice->kind, PrincipalKind::human);
  EXPECT_EQ(alice->id, "alice@example.com");
  EXPECT_EQ(parseSubject("operator:root")->kind, PrincipalKind::operatorPerson);
  EXPECT_EQ(parseSubject("service:a:b")->id, "a:b");
  const std::string longest(128, 'a');
  EXPECT_TRUE(parseSubject("agent:" + longest));
  for (const std::string& text :
       {std::string("human"), std::string("human:"), std::string(":alice"), std::string("unspecified:alice"), std::string("ledger:x"),
        std::string("Human:alice"), std::string("human:al ice"), std::string("human:-alice"), std::string("human:al\nice"),
        std::string("human:\xc3\xa4"), "agent:" + longest + "a"}) {
    EXPECT_FALSE(parseSubject(text)) << text;
  }
}

TEST(Subjects, WorkspacesOfTokensAreIdsOrAll) {
  for (const char* text : {"*", "alpha", "a/b", "Acme-1.prod"}) EXPECT_TRUE(isTokenWorkspace(text)) << text;
  for (const char* text : {"", "**", "alpha*", "_system", "-a", "a b", "a,b"}) EXPECT_FALSE(isTokenWorkspace(text)) << text;
}

}  // namespace
}  // namespace counterfoil::server

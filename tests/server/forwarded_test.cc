// Whose word of a caller's certificate counts: the list of nodes, and what a request says of itself.
#include "server/forwarded.h"

#include <gmock/gmock.h>

#include "ledger/core/outcome.h"

namespace counterfoil::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(NodeSubjects, AreSeparatedBySemicolons) {
  EXPECT_THAT(nodeSubjectsOf("CN=ledger-1,O=Example"), ElementsAre("CN=ledger-1,O=Example"));
  EXPECT_THAT(nodeSubjectsOf("CN=a,O=Example;CN=b,O=Example;CN=c"), ElementsAre("CN=a,O=Example", "CN=b,O=Example", "CN=c"));
  EXPECT_THAT(nodeSubjectsOf(""), IsEmpty());
  EXPECT_THAT(nodeSubjectsOf(" ; ;; "), IsEmpty()) << "an empty name would be that of whoever shows none";
}

TEST(NodeSubjects, SpacesAroundANameAreNotItsOwn) {
  EXPECT_THAT(nodeSubjectsOf("  CN=a b ;  CN=c;  "), ElementsAre("CN=a b", "CN=c"));
  EXPECT_THAT(nodeSubjectsOf("CN=a\\  ; CN=b"), ElementsAre("CN=a\\ ", "CN=b")) << "RFC 2253 writes a name's own last space so";
}

TEST(NodeSubjects, ABackslashKeepsWhatFollows) {
  EXPECT_THAT(nodeSubjectsOf("CN=a\\;b,O=x\\,y;CN=c"), ElementsAre("CN=a\\;b,O=x\\,y", "CN=c"));
  EXPECT_THAT(nodeSubjectsOf("CN=a\\\\;CN=b"), ElementsAre("CN=a\\\\", "CN=b")) << "a backslash of the name's own ends nothing";
  EXPECT_THAT(nodeSubjectsOf("CN=Caf\\C3\\A9;CN=b"), ElementsAre("CN=Caf\\C3\\A9", "CN=b"));
  EXPECT_THAT(nodeSubjectsOf("CN=a\\"), ElementsAre("CN=a\\"));
}

RequestHead head(const std::string& subject, bool passedOn, const std::string& certificate) {
  RequestHead result;
  result.nodeSubject = subject;
  result.peerCertificate = "own";
  if (passedOn) result.headers.emplace_back(kForwardedBy, "node-b");
  if (!certificate.empty()) result.headers.emplace_back(kForwardedCertificate, certificate);
  return result;
}

std::optional<ErrorCode> refusal(const RequestHead& given, const std::vector<std::string>& nodes) {
  try {
    forwardedOf(given, nodes);
  } catch (const Fault& fault) {
    return fault.code();
  }
  return std::nullopt;
}

TEST(Forwarded, OnlyANodeOnTheListSaysWhichCertificateACallerShowed) {
  const std::vector<std::string> nodes = nodeSubjectsOf("CN=a ; CN=b");
  const std::string digest(64, 'a');
  const Forwarded believed = forwardedOf(head("CN=a", true, digest), nodes);
  EXPECT_TRUE(believed.passedOn);
  EXPECT_EQ(believed.clientCertificate, digest);
  EXPECT_EQ(refusal(head("CN=x", true, digest), nodes), ErrorCode::notReady);
  EXPECT_EQ(refusal(head("", true, digest), nodes), ErrorCode::notReady) << "no authority of nodes vouches for it";
  EXPECT_EQ(refusal(head("CN=a", false, digest), nodes), ErrorCode::invalidValue);
  EXPECT_EQ(refusal(head("CN=x", false, digest), nodes), ErrorCode::invalidValue);
  EXPECT_EQ(refusal(head("CN=a", true, "abc"), nodes), ErrorCode::invalidValue);
  EXPECT_EQ(forwardedOf(head("CN=a", true, ""), nodes).clientCertificate, "") << "the connection's is the node's, not the caller's";
  EXPECT_EQ(forwardedOf(head("CN=x", true, ""), nodes).clientCertificate, "own");
  EXPECT_EQ(forwardedOf(head("", false, ""), nodes).clientCertificate, "own");
}

}  // namespace
}  // namespace counterfoil::server

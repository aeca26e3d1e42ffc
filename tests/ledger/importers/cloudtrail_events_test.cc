// What one record becomes; the sample's exact numbers are in cloudtrail_sample_test.
#include "ledger/importers/cloudtrail_events.h"

#include <gmock/gmock.h>

#include "tests/ledger/importers/cloudtrail_fixture.h"

namespace counterfoil::importers::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kIssued = "ASIAEXAMPLEEXAMPLE07";

class CloudTrailEvents : public testing::Test {
 protected:
  // The record's events, grants first.
  std::vector<Event> events(const std::string& json) {
    const CloudTrailRecord read = readCloudTrailRecord(json);
    std::deque<ImportedEvent> made;
    const CloudTrailParts parts = partsOf(read);
    if (parts.grants) granted = appendGrant(read, leases, made);
    appendRest(read, leases, made);
    EXPECT_EQ(parts.grants || parts.rest, !made.empty() || !granted);
    std::vector<Event> result;
    for (ImportedEvent& event : made) result.push_back(std::move(event.event));
    return result;
  }
  Event event(const std::string& json) {
    auto made = events(json);
    EXPECT_EQ(made.size(), 1U);
    return made.empty() ? Event{} : std::move(made.front());
  }
  static std::string call(const std::string& source, const std::string& name, const std::string& more, const std::string& key = "") {
    return record({3, 20, source, name, key, "AssumedRole", more});
  }

  CloudTrailLeases leases{nullptr};
  bool granted = true;
};

TEST_F(CloudTrailEvents, AnAssumedRoleIsALease) {
  const Event lease = event(grant(7, 61, kIssued));
  EXPECT_EQ(lease.kind, Kind::leaseGranted);
  EXPECT_TRUE(lease.lenient);
  EXPECT_EQ(lease.id, makeUuidV8("import/cloudtrail\n" + eventId(7) + "\n1"));
  EXPECT_EQ(lease.common.text(Field::source), "import/cloudtrail");
  EXPECT_EQ(lease.common.text(Field::producer), "aws:123456789012");
  EXPECT_EQ(lease.common.text(Field::correlation), eventId(7));
  EXPECT_EQ(toRfc3339(lease.common.time(Field::occurredAt)), "2024-05-01T10:01:01Z");
  EXPECT_EQ(lease.body.text(Field::leaseId), "aws-" + eventId(7));
  EXPECT_EQ(lease.body.number(Field::credential), static_cast<std::uint64_t>(Credential::cloudIdentity));
  EXPECT_EQ(lease.body.text(Field::credentialName), kRoleArn);
  EXPECT_EQ(principalOf(lease.body, Field::grantee).id, "lambda.amazonaws.com");
  EXPECT_EQ(principalOf(lease.common, Field::actor).kind, PrincipalKind::service);
  EXPECT_THAT(textsOf(lease.body, Field::scope), ElementsAre("role:deploy"));
  EXPECT_THAT(textsOf(lease.body, Field::resources), ElementsAre(std::string(kRoleArn)));
  EXPECT_EQ(toRfc3339(lease.body.time(Field::issuedAt)), "2024-05-01T10:01:01Z");
  EXPECT_EQ(toRfc3339(lease.body.time(Field::expiresAt)), "2024-05-01T11:00:00Z");
  EXPECT_EQ(lease.body.text(Field::secret), kIssued);
  EXPECT_EQ(lease.body.get(Field::secret).secretForm, SecretForm::value);
  EXPECT_EQ(lease.body.text(Field::upstreamId), "arn:aws:sts::123456789012:assumed-role/deploy/build-7");
  EXPECT_EQ(lease.body.text(Field::issuer), "sts.amazonaws.com");
  EXPECT_EQ(lease.body.text(Field::sourceAddress), "192.0.2.7");
}

TEST_F(CloudTrailEvents, AnEndThatCannotBeReadIsUnknown) {
  std::string json = grant(7, 61, kIssued);
  json.replace(json.find("May 1, 2024"), 11, "soon-ish...");
  EXPECT_EQ(event(json).body.number(Field::expiresAt), 0U);
}

TEST_F(CloudTrailEvents, OneIssueSeenByTwoAccountsIsOneLease) {
  ASSERT_EQ(events(grant(7, 61, kIssued)).size(), 1U);
  ASSERT_EQ(events(grant(7, 61, kIssued)).size(), 1U) << "the same record again gives the same event";
  EXPECT_TRUE(events(grant(8, 61, kIssued)).empty());
  EXPECT_FALSE(granted);
}

TEST_F(CloudTrailEvents, UsesOfAnIssuedKeyAreOfItsLease) {
  events(grant(7, 61, kIssued));
  const Event used = event(call("ec2.amazonaws.com", "RunInstances", R"("resources":[{"ARN":"arn:aws:ec2:::instance/i-1"}])", kIssued));
  EXPECT_EQ(used.kind, Kind::leaseConsumed);
  EXPECT_EQ(used.id, makeUuidV8("import/cloudtrail\n" + eventId(3) + "\n0"));
  EXPECT_EQ(used.body.text(Field::leaseId), "aws-" + eventId(7));
  EXPECT_EQ(used.body.text(Field::fingerprint), kIssued);
  EXPECT_EQ(used.body.get(Field::fingerprint).secretForm, SecretForm::value);
  EXPECT_EQ(used.body.text(Field::operation), "ec2:RunInstances");
  EXPECT_THAT(textsOf(used.body, Field::resources), ElementsAre("arn:aws:ec2:::instance/i-1"));
  EXPECT_EQ(used.body.number(Field::outcome), static_cast<std::uint64_t>(Outcome::ok));
  EXPECT_EQ(used.body.text(Field::userAgent), "aws-cli/2");

  const Event broken = event(call("ec2.amazonaws.com", "RunInstances", R"("errorCode":"Client.VcpuLimitExceeded")", kIssued));
  EXPECT_EQ(broken.kind, Kind::leaseConsumed);
  EXPECT_EQ(broken.body.number(Field::outcome), static_cast<std::uint64_t>(Outcome::error));
  EXPECT_EQ(broken.body.text(Field::errorCode), "Client.VcpuLimitExceeded");
}

TEST_F(CloudTrailEvents, RefusedUsesAreDenials) {
  events(grant(7, 61, kIssued));
  for (const char* const code : {"Client.UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation",
                                 "AuthorizationError", "ExpiredTokenException"}) {
    const Event denied = event(
        call("iam.amazonaws.com", "CreateUser", R"("errorCode":")" + std::string(code) + R"(","errorMessage":"no: policy p")", kIssued));
    EXPECT_EQ(denied.kind, Kind::leaseDenied) << code;
    EXPECT_EQ(denied.body.number(Field::step), static_cast<std::uint64_t>(LeaseStep::consume));
    EXPECT_EQ(denied.body.number(Field::reasonCode), static_cast<std::uint64_t>(ReasonCode::upstreamRefused));
    EXPECT_EQ(denied.body.text(Field::leaseId), "aws-" + eventId(7));
    EXPECT_EQ(denied.body.text(Field::explanation), "no: policy p");
    EXPECT_EQ(denied.body.text(Field::errorCode), code);
  }
}

TEST_F(CloudTrailEvents, KeysOfEarlierImportsAreAskedForByDigestOnce) {
  std::vector<crypto::Digest> asked;
  leases = CloudTrailLeases([&](const crypto::Digest& digest) -> std::optional<std::string> {
    asked.push_back(digest);
    if (digest == CloudTrailLeases::digestOf(kIssued)) return "aws-earlier";
    return std::nullopt;
  });
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(event(call("ec2.amazonaws.com", "RunInstances", "", kIssued)).body.text(Field::leaseId), "aws-earlier");
    EXPECT_EQ(event(call("ec2.amazonaws.com", "RunInstances", "", "ASIAOTHEROTHEROTHER1")).kind, Kind::credentialUsed);
    EXPECT_EQ(event(call("ec2.amazonaws.com", "RunInstances", "", "AKIAEXAMPLEEXAMPLE01")).kind, Kind::credentialUsed);
  }
  EXPECT_EQ(asked.size(), 2U) << "once each, and never for a long-lived key";
}

TEST_F(CloudTrailEvents, OtherKeysAreUsedOutsideLeases) {
  const Event used = event(record({.more = R"("errorCode":"AccessDenied")"}));
  EXPECT_EQ(used.kind, Kind::credentialUsed);
  EXPECT_EQ(principalOf(used.body, Field::principal).id, kUserArn);
  EXPECT_EQ(principalOf(used.body, Field::principal).kind, PrincipalKind::human);
  EXPECT_EQ(used.body.number(Field::outcome), static_cast<std::uint64_t>(Outcome::error));
}

TEST_F(CloudTrailEvents, CallsWithoutKeyGiveNothing) {
  EXPECT_TRUE(events(call("ec2.amazonaws.com", "RunInstances", "")).empty());
}

TEST_F(CloudTrailEvents, ARefusedRoleIsNamedByTheMessageOnly) {
  const auto made =
      events(record({.source = "sts.amazonaws.com",
                     .name = "AssumeRole",
                     .more = R"("requestParameters":null,"errorCode":"AccessDenied","errorMessage":"User: )" + std::string(kUserArn) +
                             " is not authorized to perform: sts:AssumeRole on resource: " + std::string(kRoleArn) +
                             R"( because erika.muster has no policy, erika.muster2 has")"}));
  ASSERT_EQ(made.size(), 2U);
  EXPECT_EQ(made[0].kind, Kind::credentialUsed);
  const Event& denied = made[1];
  EXPECT_EQ(denied.kind, Kind::leaseDenied);
  EXPECT_EQ(denied.body.number(Field::step), static_cast<std::uint64_t>(LeaseStep::grant));
  EXPECT_THAT(textsOf(denied.body, Field::resources), ElementsAre(std::string(kRoleArn)));
  EXPECT_THAT(textsOf(denied.body, Field::scope), ElementsAre("role:deploy"));
  EXPECT_EQ(principalOf(denied.body, Field::grantee).id, kUserArn);
  EXPECT_EQ(denied.body.text(Field::explanation), "User: [caller] is not authorized to perform: sts:AssumeRole on resource: " +
                                                      std::string(kRoleArn) + " because [caller] has no policy, erika.muster2 has")
      << "the pseudonym would be worth nothing beside the name";
}

TEST_F(CloudTrailEvents, VaultCalls) {
  struct Row {
    const char* name;
    const char* more;
    VaultOperation operation;
    const char* secret;
  };
  const std::string secrets = "secretsmanager.amazonaws.com";
  for (const Row& row : std::initializer_list<Row>{
           {"CreateSecret", R"("requestParameters":{"name":"db"},"responseElements":{"versionId":"v1"})", VaultOperation::set, "db"},
           {"PutSecretValue", R"("requestParameters":{"secretId":"db"},"responseElements":{"versionId":"v1"})", VaultOperation::set, "db"},
           {"RotateSecret", R"("requestParameters":{"secretId":"db"},"responseElements":{"versionId":"v1"})", VaultOperation::rotate, "db"},
           {"RestoreSecret", R"("requestParameters":{"secretId":"db"},"responseElements":{"versionId":"v1"})", VaultOperation::recover,
            "db"},
           {"DeleteSecret", R"("requestParameters":{"secretId":"db"},"responseElements":{"versionId":"v1"})", VaultOperation::softDelete,
            "db"},
           {"DeleteSecret",
            R"("requestParameters":{"secretId":"db","forceDeleteWithoutRecovery":true},"responseElements":{"versionId":"v1"})",
            VaultOperation::purge, "db"}}) {
    const Event written = event(call(secrets, row.name, row.more));
    EXPECT_EQ(written.kind, Kind::vaultWritten) << row.name;
    EXPECT_EQ(written.body.text(Field::secretName), row.secret);
    EXPECT_EQ(written.body.text(Field::version), "v1");
    EXPECT_EQ(written.body.number(Field::operation), static_cast<std::uint64_t>(row.operation)) << row.name;
    EXPECT_EQ(written.body.number(Field::outcome), static_cast<std::uint64_t>(Outcome::ok));
  }
  const Event planned = event(call(
      secrets, "DeleteSecret", R"("requestParameters":{"secretId":"db"},"responseElements":{"deletionDate":"Jun 1, 2024, 8:00:00 AM"})"));
  EXPECT_EQ(toRfc3339(planned.body.time(Field::scheduledPurgeAt)), "2024-06-01T08:00:00Z");
  const Event throttled = event(call("ssm.amazonaws.com", "DeleteParameter",
                                     R"("requestParameters":null,"errorCode":"ThrottlingException","errorMessage":"Rate exceeded")"));
  EXPECT_EQ(throttled.body.text(Field::secretName), "(not recorded)");
  EXPECT_EQ(throttled.body.number(Field::outcome), static_cast<std::uint64_t>(Outcome::error));
  EXPECT_EQ(event(call(secrets, "GetSecretValue", R"("errorCode":"AccessDenied","errorMessage":"x on resource: db because")"))
                .body.text(Field::secretName),
            "db");
}

TEST_F(CloudTrailEvents, ReadingManySecretsIsOneEventEach) {
  const auto made = events(call("ssm.amazonaws.com", "GetParameters", R"("requestParameters":{"names":["/a","/b","/c"]})"));
  ASSERT_EQ(made.size(), 3U);
  for (std::size_t index = 0; index < made.size(); ++index) {
    EXPECT_EQ(made[index].kind, Kind::vaultRead);
    EXPECT_EQ(made[index].body.text(Field::secretName), std::string("/") + static_cast<char>('a' + index));
    EXPECT_EQ(made[index].id, makeUuidV8("import/cloudtrail\n" + eventId(3) + "\n" + std::to_string(2 + index)));
  }
  EXPECT_EQ(event(call("ssm.amazonaws.com", "GetParametersByPath", R"("requestParameters":{"path":"/prod"})")).body.text(Field::secretName),
            "/prod");
}

TEST_F(CloudTrailEvents, ResourcesComeFromParametersTooAndAreBounded) {
  const Event used = event(call("s3.amazonaws.com", "GetObject",
                                R"("requestParameters":{"bucketName":"b","key":"k/1","functionName":"f","userName":"paul"},)"
                                R"("resources":[{"ARN":"arn:x"},{"ARN":"arn:x"}])",
                                "ASIAOTHEROTHEROTHER1"));
  EXPECT_THAT(textsOf(used.body, Field::resources), ElementsAre("arn:x", "arn:aws:s3:::b/k/1", "functionName/f"));
  std::string many;
  for (int index = 0; index < 500; ++index)
    many += (index == 0 ? "" : ",") + std::string(R"({"ARN":"arn:)") + std::to_string(index) + "\"}";
  const auto resources =
      textsOf(event(call("s3.amazonaws.com", "GetObject", R"("resources":[)" + many + "]", "ASIAOTHEROTHEROTHER1")).body, Field::resources);
  ASSERT_EQ(resources.size(), 32U);
  EXPECT_EQ(resources.back(), "and 469 more");
}

TEST_F(CloudTrailEvents, WhoIsAPersonAndWhoIsNone) {
  const auto actor = [&](const std::string& identity) {
    const Event used =
        event(R"({"eventID":"a1","eventTime":"2024-05-01T10:00:00Z","eventSource":"s3.amazonaws.com","eventName":"X","userIdentity":{)" +
              identity + R"(,"accessKeyId":"AKIAEXAMPLEEXAMPLE01"}})");
    const PrincipalValue found = principalOf(used.common, Field::actor);
    return std::string(found.kind == PrincipalKind::human ? "human " : "service ") + std::string(found.id);
  };
  EXPECT_EQ(actor(R"("type":"IAMUser","arn":"arn:aws:iam::1:user/e")"), "human arn:aws:iam::1:user/e");
  EXPECT_EQ(actor(R"("type":"IAMUser","accountId":"1","userName":"e")"), "human arn:aws:iam::1:user/e");
  EXPECT_EQ(actor(R"("type":"Root","arn":"arn:aws:iam::1:root")"), "human arn:aws:iam::1:root");
  EXPECT_EQ(actor(R"("type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/ci/run")"), "service arn:aws:sts::1:assumed-role/ci/run");
  EXPECT_EQ(actor(R"("type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_0a/erika")"),
            "human arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_0a/erika");
  EXPECT_EQ(actor(R"("type":"SAMLUser","userName":"erika","principalId":"x:y")"), "human erika");
  EXPECT_EQ(actor(R"("type":"IdentityCenterUser","onBehalfOf":{"userId":"u-1"})"), "human u-1");
  EXPECT_EQ(actor(R"("type":"AWSAccount","accountId":"1","principalId":"AIDA:x")"), "service aws-account:1");
  EXPECT_EQ(actor(R"("type":"AWSService","invokedBy":"rds.amazonaws.com")"), "service rds.amazonaws.com");
  EXPECT_EQ(actor(R"("invokedBy":"AWS Internal")"), "service s3.amazonaws.com");
  EXPECT_EQ(actor(R"("type":"SAMLUser","invokedBy":"rds.amazonaws.com")"), "human aws:unknown");
}

TEST_F(CloudTrailEvents, CutsGiantsBetweenCharacters) {
  std::string giant = "x";
  for (int index = 0; index < 5000; ++index) giant += "\u20ac";
  std::string json = record({.key = giant});
  json.replace(json.find("192.0.2.7"), 9, giant);
  const Event used = event(json);
  EXPECT_EQ(used.body.text(Field::sourceAddress).size(), 511U);
  EXPECT_EQ(used.body.text(Field::fingerprint).size(), 8191U);
  EXPECT_TRUE(isUtf8(used.body.text(Field::sourceAddress)) && isUtf8(used.body.text(Field::fingerprint)));
}

TEST_F(CloudTrailEvents, ProducersAreAccounts) {
  EXPECT_EQ(producerOf(readCloudTrailRecord(record({}))), "aws:123456789012");
  EXPECT_EQ(producerOf(readCloudTrailRecord(R"({"eventID":"a1","eventTime":"2024-05-01T10:00:00Z","recipientAccountId":"x y"})")),
            "aws:unknown");
}

TEST(CloudTrailLeases, ForgetsSessionsThatEndedLongAgo) {
  CloudTrailLeases leases(nullptr);
  const std::int64_t hour = 3600 * kNanosecondsPerSecond;
  for (std::int64_t index = 0; index < 600'000; ++index) {
    leases.add("ASIA" + std::to_string(index), "l", {index * hour / 1000}, {index * hour / 1000 + hour});
  }
  EXPECT_LT(leases.size(), 400'000U);
  EXPECT_TRUE(leases.find("ASIA599999").has_value());
  EXPECT_FALSE(leases.find("ASIA0").has_value());
}

}  // namespace
}  // namespace counterfoil::importers::test

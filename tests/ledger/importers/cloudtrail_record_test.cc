#include "ledger/importers/cloudtrail_record.h"

#include "ledger/core/outcome.h"
#include "tests/ledger/importers/cloudtrail_fixture.h"

namespace counterfoil::importers::test {
namespace {

using RT = RecordText;

ErrorCode faultOf(const std::string& json) {
  try {
    readCloudTrailRecord(json);
  } catch (const Fault& fault) {
    EXPECT_EQ(std::string(fault.what()).find("hush"), std::string::npos) << "a value in: " << fault.what();
    return fault.code();
  }
  ADD_FAILURE() << "no fault";
  return ErrorCode::internal;
}

std::string with(const std::string& more) {
  RecordSpec spec;
  spec.more = more;
  return record(spec);
}

TEST(CloudTrailRecord, ReadsWhatBecomesEvents) {
  const CloudTrailRecord read = readCloudTrailRecord(grant(7, 61, "ASIAEXAMPLEEXAMPLE07"));
  EXPECT_EQ(read.text(RT::eventId), eventId(7));
  EXPECT_EQ(toRfc3339(read.occurredAt), "2024-05-01T10:01:01Z");
  EXPECT_EQ(read.text(RT::eventName), "AssumeRole");
  EXPECT_EQ(read.text(RT::roleArn), kRoleArn);
  EXPECT_EQ(read.text(RT::issuedKey), "ASIAEXAMPLEEXAMPLE07");
  EXPECT_EQ(read.text(RT::issuedExpiration), "May 1, 2024, 11:00:00 AM");
  EXPECT_EQ(read.text(RT::callerInvokedBy), "lambda.amazonaws.com");
  EXPECT_EQ(read.text(RT::callerKey), "");
  EXPECT_EQ(read.text(RT::recipientAccount), "123456789012");
}

TEST(CloudTrailRecord, ReadsMembersInTheirOwnPlaceOnly) {
  const CloudTrailRecord read = readCloudTrailRecord(
      with(R"("responseElements":{"userIdentity":{"accessKeyId":"hush"},"accessKeyId":"hush","credentials":[["hush"]]},)"
           R"("other":{"eventID":"x","requestParameters":{"roleArn":"hush"}},"requestParameters":{"secretId":["hush"],)"
           R"("name":{"name":"hush"},"key":7})"));
  EXPECT_EQ(read.text(RT::eventId), eventId(1));
  EXPECT_EQ(read.text(RT::callerKey), "AKIAEXAMPLEEXAMPLE01");
  for (const RT which : {RT::issuedKey, RT::roleArn, RT::secretId, RT::name, RT::objectKey}) EXPECT_EQ(read.text(which), "");
}

TEST(CloudTrailRecord, ReadsListsAndNumbersAndWords) {
  const CloudTrailRecord read = readCloudTrailRecord(
      with(R"("requestParameters":{"names":["a","b\u0063"],"durationSeconds":900,"forceDeleteWithoutRecovery":true,)"
           R"("instancesSet":{"items":[{"instanceId":"i-1"},{"instanceId":"i-2"}]},"policyArn":"arn:aws:iam::aws:policy/X"},)"
           R"("responseElements":{"version":3},"resources":[{"ARN":"arn:1"},{"arn":"arn:2","type":"T"}])"));
  EXPECT_EQ(read.names, (std::vector<std::string_view>{"a", "bc"}));
  EXPECT_EQ(read.durationSeconds, 900U);
  EXPECT_TRUE(read.deletesAtOnce);
  ASSERT_EQ(read.parameters.size(), 3U);
  EXPECT_EQ(read.parameters[1].name, "instanceId");
  EXPECT_EQ(read.parameters[1].value, "i-2");
  EXPECT_EQ(read.parameters[2].value, "arn:aws:iam::aws:policy/X");
  EXPECT_EQ(read.resources, (std::vector<std::string_view>{"arn:1", "arn:2"}));
  EXPECT_EQ(read.text(RT::writtenVersion), "3");
}

TEST(CloudTrailRecord, DecodesEscapesOfAnyLength) {
  std::string escaped;
  std::string plain;
  for (int index = 0; index < 3000; ++index) {
    escaped += "\\u00e9\\n";
    plain += "\u00e9 ";
  }
  const CloudTrailRecord read = readCloudTrailRecord(with(R"("errorMessage":")" + escaped + R"(","errorCode":"a\u0000b\u001f")"));
  EXPECT_EQ(read.text(RT::errorMessage), plain);
  EXPECT_EQ(read.text(RT::errorCode), "a b ") << "control characters become blanks";
}

TEST(CloudTrailRecord, CutsGiantTextsBetweenCharacters) {
  std::string giant;
  for (int index = 0; index < 40'000; ++index) giant += "\u20ac";
  const CloudTrailRecord read = readCloudTrailRecord(with(R"("errorMessage":")" + giant + '"'));
  EXPECT_LE(read.text(RT::errorMessage).size(), 64U * 1024);
  EXPECT_GT(read.text(RT::errorMessage).size(), 64U * 1024 - 4);
  EXPECT_TRUE(isUtf8(read.text(RT::errorMessage)));
}

TEST(CloudTrailRecord, RefusesBadRecordsWithoutRepeatingTheirValues) {
  EXPECT_EQ(faultOf(R"({"hush":})"), ErrorCode::malformedJson);
  EXPECT_EQ(faultOf(with(R"("a":"hush)")), ErrorCode::malformedJson);
  EXPECT_EQ(faultOf(with("\"a\":\"hush\nhush\"")), ErrorCode::malformedJson);
  EXPECT_EQ(faultOf(record({}) + " hush"), ErrorCode::malformedJson);
  EXPECT_EQ(faultOf(with("\"a\":\"hush\xff\"")), ErrorCode::invalidUtf8);
  EXPECT_EQ(faultOf("[\"hush\"]"), ErrorCode::invalidValue);
  EXPECT_EQ(faultOf("{}"), ErrorCode::invalidValue);
  EXPECT_EQ(faultOf(R"({"eventID":"hush hush","eventTime":"2024-05-01T10:00:00Z"})"), ErrorCode::invalidValue);
  EXPECT_EQ(faultOf(R"({"eventID":"a1","eventTime":"hush"})"), ErrorCode::invalidValue);
  EXPECT_EQ(faultOf(R"({"eventID":"a1","eventTime":"2024-02-30T10:00:00Z"})"), ErrorCode::invalidValue);
  EXPECT_EQ(faultOf(with(R"("eventID":"hush")")), ErrorCode::duplicateField);
  EXPECT_EQ(faultOf(with(R"("userIdentity":{"accessKeyId":"hush"})")), ErrorCode::duplicateField);
  EXPECT_EQ(faultOf(with(R"("requestParameters":{"roleArn":"hush"},"requestParameters":{"secretId":"hush"})")), ErrorCode::duplicateField);
  EXPECT_EQ(faultOf(with("\"a\":" + std::string(40, '[') + std::string(40, ']'))), ErrorCode::tooDeep);
}

TEST(CloudTrailRecord, MakesUuidsLowerCase) {
  EXPECT_EQ(
      readCloudTrailRecord(R"({"eventID":"ABCDEF00-1111-4111-8111-000000000001","eventTime":"2024-05-01T10:00:00Z"})").text(RT::eventId),
      "abcdef00-1111-4111-8111-000000000001");
  EXPECT_EQ(readCloudTrailRecord(R"({"eventID":"Other-1","eventTime":"2024-05-01T10:00:00Z"})").text(RT::eventId), "Other-1");
}

std::string timeOf(std::string_view text) {
  const auto time = cloudTrailTime(text);
  return time ? toRfc3339(*time) : "none";
}

TEST(CloudTrailTime, ReadsBothForms) {
  EXPECT_EQ(timeOf("Jul 10, 2023, 12:09:47 PM"), "2023-07-10T12:09:47Z");
  EXPECT_EQ(timeOf("Jul 9, 2023, 12:00:00 AM"), "2023-07-09T00:00:00Z");
  EXPECT_EQ(timeOf("Dec 31, 2023, 11:59:59 PM"), "2023-12-31T23:59:59Z");
  EXPECT_EQ(timeOf("Jan 1, 2024 1:02:03 AM"), "2024-01-01T01:02:03Z");
  EXPECT_EQ(timeOf("Feb 29, 2024, 1:02:03\u202fPM"), "2024-02-29T13:02:03Z");
  EXPECT_EQ(timeOf("2024-02-29T13:02:03Z"), "2024-02-29T13:02:03Z");
}

TEST(CloudTrailTime, RefusesEverythingElse) {
  for (const char* const text :
       {"", "Jul", "Jul 10, 2023", "Jul 10, 2023, 12:09:47", "Jul 10, 2023, 13:09:47 PM", "Jul 10, 2023, 0:09:47 AM",
        "Feb 29, 2023, 1:02:03 PM", "Jul 32, 2023, 1:02:03 PM", "Jul 10, 2023, 1:60:03 PM", "Jul 10, 2023, 1:02:61 PM",
        "ulA 10, 2023, 1:02:03 PM", "Jul 10, 2023, 1:02:03 PM ", "Jul 10, 2023, 1:02:03 XM", "Jul -1, 2023, 1:02:03 PM",
        "Jul 10, 99999, 1:02:03 PM"}) {
    EXPECT_EQ(timeOf(text), "none") << text;
  }
}

}  // namespace
}  // namespace counterfoil::importers::test

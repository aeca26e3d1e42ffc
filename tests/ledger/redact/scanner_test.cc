#include "ledger/redact/scanner.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "ledger/redact/scanner_engine.h"

namespace counterfoil::redact {
namespace {

struct Found {
  std::string text;
  std::string rule;
};

std::vector<Found> scan(std::string_view text, bool contacts = true) {
  std::vector<ScanHit> hits;
  scanText(text, ScanOptions{contacts}, hits);
  std::vector<Found> found;
  for (const ScanHit& hit : hits) found.push_back({std::string(text.substr(hit.begin, hit.end - hit.begin)), std::string(hit.rule)});
  return found;
}

// The only hit is exactly `secret`, by `rule`.
void expectOnly(std::string_view text, std::string_view secret, std::string_view rule) {
  const std::vector<Found> found = scan(text);
  ASSERT_EQ(found.size(), 1U) << text;
  EXPECT_EQ(found[0].text, secret) << text;
  EXPECT_EQ(found[0].rule, rule) << text;
}

void expectNone(std::string_view text) {
  for (const Found& found : scan(text)) ADD_FAILURE() << text << " -> " << found.rule << " " << found.text;
}

// Written in two parts so that the sources scan clean.
std::string joined(std::string_view left, std::string_view right) {
  return std::string(left) + std::string(right);
}

const std::string kAwsId = joined("AKIA", "WXJKFLFWLQZMZDCZ");
const std::string kAwsSecret = joined("kq7Zt0VwP3sR9yLm/4bXhD1c", "GfN8uJ6aTe+KoQiB");
const std::string kGithub = joined("ghp_", "89nl46b74mvu02we4ulkx3w8xzxlrngph9z2");
const std::string kJwt =
    joined("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJydW4tNzEiLCJleHAiOjE3MDB9.", "PtfDS1niGoZ7pV6kplI-_q1fVKLnknQ3IwcrLZhoVCU");

TEST(ScannerFormats, CloudKeyIdsAndTheSecretBesideThem) {
  expectOnly("used " + kAwsId + " for it", kAwsId, "aws-access-key-id");
  expectOnly("ASIA3ZYRM7SRG7XWVKQT", "ASIA3ZYRM7SRG7XWVKQT", "aws-access-key-id");
  const std::vector<Found> pair = scan(kAwsId + "," + kAwsSecret);
  ASSERT_EQ(pair.size(), 2U);
  EXPECT_EQ(pair[1].text, kAwsSecret);
  EXPECT_EQ(pair[1].rule, "aws-secret-access-key");
  expectOnly("aws_secret_access_key = " + kAwsSecret, kAwsSecret, "high-entropy-assignment");
  const std::string session =
      "IQoJb3JpZ2luX2Vj" + std::string("EC0aCXVzLWVhc3QtMSJGMEQCIA1WvvO33hNpdeMvNTIFeHr+L0OTquG8zEldpYBYabcd8Jx0PqLmZ7wT5==");
  expectOnly("token " + session, session, "aws-session-token");
}

TEST(ScannerFormats, KeyIdsThatAreNone) {
  expectNone("AKIAXXXXXXXXXXXXXXXX");
  expectNone("AKIAIOSFODNN7EXAMPLE");
  expectNone("TODAYINASIAASACKOFRICEFELLOVER");
  expectNone("akiawxjkflfwlqzmzdcz");
  expectNone("AIDATFQR7NSC5AU2ZV3IE");  // a user id
  expectNone("AROATFQR7NSCYGNOX4QAJ");  // a role id
}

TEST(ScannerFormats, GitChatCiAndInstallKeys) {
  expectOnly("push with " + kGithub + ".", kGithub, "github-token");
  expectOnly("pat=glpat-1hendq14gijgaw3pb5td", "glpat-1hendq14gijgaw3pb5td", "gitlab-token");
  expectOnly("xoxb-781236542736-2364535789652-GkwFDQoHqzXDVsC6GzqYUypD", "xoxb-781236542736-2364535789652-GkwFDQoHqzXDVsC6GzqYUypD",
             "slack-token");
  expectOnly("npm_6802nrxd2on3y8uywv4ba430pbpbepdddssb", "npm_6802nrxd2on3y8uywv4ba430pbpbepdddssb", "npm-token");
  expectOnly("key opk_9fKq2LxV0sTzR7mWb3Yd8Jh1 used", "opk_9fKq2LxV0sTzR7mWb3Yd8Jh1", "install-key");
  expectOnly("\\nghp_89nl46b74mvu02we4ulkx3w8xzxlrngph9z2\\n", kGithub, "github-token");
  expectOnly("q%3D" + kGithub, kGithub, "github-token");
}

TEST(ScannerFormats, NearMisses) {
  expectNone("ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
  expectNone("ghp_short");
  expectNone("prefix0" + kGithub);  // part of a longer word
  expectNone("glpat-XXXXXXXXXXX-XXXXXXXX");
  expectNone("xoxb-my-bot-token");
  expectNone("opk_rotation_policy");
  expectNone("media_box.ico-7a388b69018576d24b59331fd60aab0c.png");
}

TEST(ScannerStructures, Jwt) {
  expectOnly("got " + kJwt + " back", kJwt, "jwt");
  expectNone("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9");
  expectNone("eyJhbGciOiJIUzI1NiJ9.short");
}

TEST(ScannerStructures, PrivateKeys) {
  const std::string body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDAC4AWkdwKYSd8\nKs14IReLcYgADhoXk56ZzXI=\n";
  const std::string begin = joined("-----BEGIN ", "PRIVATE KEY-----\n");
  const std::string block = begin + body + joined("-----END ", "PRIVATE KEY-----");
  expectOnly("a " + block + " b", block, "private-key");
  EXPECT_EQ(scan("a " + begin + body).size(), 1U) << "cut off before its end";
  expectNone("-----BEGIN CERTIFICATE-----\n" + body + "-----END CERTIFICATE-----");
  expectNone(begin + "anything\n" + joined("-----END ", "PRIVATE KEY-----"));
}

TEST(ScannerStructures, UrlUserinfoAndConnectionStrings) {
  expectOnly("postgres://app:Xk29fLq7@db.internal:5432/ledger", "Xk29fLq7", "url-userinfo");
  expectOnly("https://u:p4ss/w0rd@host.example/x", "p4ss/w0rd", "url-userinfo");
  expectOnly("Server=db;User Id=app;Password=Xk29fLq7;Encrypt=true", "Xk29fLq7", "password-assignment");
  expectOnly("AccountKey=" + kAwsSecret + ";EndpointSuffix=x", kAwsSecret, "high-entropy-assignment");
  expectNone("https://host.example:8443/path/to/x");
  expectNone("postgres://app:${DB_PASSWORD}@db.internal/ledger");
  expectNone("https://user:password@host/");
}

TEST(ScannerStructures, AuthorizationValues) {
  expectOnly("Authorization: Bearer 7hJk29sLq0PzXw81mNvB", "7hJk29sLq0PzXw81mNvB", "bearer-token");
  expectOnly("-H 'Authorization: Basic YnJvd3Nlcjo='", "YnJvd3Nlcjo=", "basic-credential");
  expectOnly("sent Bearer 7hJk29sLq0PzXw81mNvB twice", "7hJk29sLq0PzXw81mNvB", "bearer-token");
  expectOnly("curl -s --user 'api:d2LkV78zLx!t' http", "d2LkV78zLx!t", "command-line-password");
  expectNone("Authorization: Bearer $API_KEY");
  expectNone("Authorization: Bearer <token>");
  expectNone("Authorization: Basic ...");
  expectNone("the bearer authentication failed");
  expectNone("curl -u username:token");
}

TEST(ScannerAssignments, SpellingsOfAnAssignment) {
  const std::string value = "qhsu4dhha5d2r3zato5ug9bttmytri";
  for (const char* form :
       {"fooToken = %", "foo_token: '%'", "FOO_TOKEN=%", "{\"foo_token\": \"%\"}", "\"fooToken\" => \"%\"", "var fooToken string = \"%\"",
        "foo_TOKEN :::= \"%\"", "<fooToken>\n    %\n</fooToken>", "System.setProperty(\"FOO_TOKEN\", \"%\")", "--foo-token %",
        "name: FOO_TOKEN\n  value: %", "{\"name\":\"foo_token\",\"value\":\"%\"}", "?access_token=%&x=1", "{\\\"foo_token\\\": \\\"%\\\"}",
        "foo_token%3D%%26x", "$fooToken .= \"%\"", "<add key=\"fooToken\" value=\"%\"/>"}) {
    std::string text = form;
    const std::size_t first = text.find("%3D") == std::string::npos ? text.find('%') : text.find("%3D") + 3;
    text.replace(first, 1, value);
    expectOnly(text, value, "high-entropy-assignment");
  }
  expectOnly("password=hunter2!", "hunter2!", "password-assignment");
  expectOnly("\"db_password\": \"Tr0ub4dor&3\"", "Tr0ub4dor&3", "password-assignment");
  expectOnly("snyk_token=12345678-ABCD-ABCD-ABCD-1234567890AB", "12345678-ABCD-ABCD-ABCD-1234567890AB", "high-entropy-assignment");
  expectOnly("X-Api-Key: 6fe4476ee5a1832882e326b506d14126", "6fe4476ee5a1832882e326b506d14126", "high-entropy-assignment");
  expectOnly("token=" + kGithub, kGithub, "github-token");
}

TEST(ScannerAssignments, DescriptionsAndStandIns) {
  for (const char* text :
       {"token=${TOKEN}", "password: xxxxxxxx", "secret = <your-secret>", "token: changeme", "password: Required",
        "secret_length = X25519.secret_length", "credentialsId: 'f4aeb6bc-2a25-458a-8111-9be9e502c0e7'",
        "csrf-token=Mj2qykJO5rELyHgezQ69nzUX0i3OH67V7", "nextToken=Mj2qykJO5rELyHgezQ69nzUX0i3OH67V7",
        "clientRequestToken: 25B7F231-8BFB-4010-941D-0FDE22294458", "public_token = 9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9",
        "arn:aws:secretsmanager:us-east-1:123837392027:secret:Xk29fLq7aW0pZ3vB", "token expired", "password = getPassword(user1)",
        "secret: projects/p1/secrets/db-main", "key=czePeIPPytXjiixwv3WglJcZX5yLlS", "ops_token=ops_eyJzaWduSW5BZGRyZXNzIjoiaHR0cHM6..."}) {
    expectNone(text);
  }
}

TEST(ScannerOrdinary, IdentifiersAndDigestsPass) {
  const std::vector<std::string> texts = {"3f2504e0-4f89-11d3-9a0c-0305e82c3301",
                                          "9a038989604e8da62ecddbe2094b16ce1b778be1",
                                          "registry/app@sha256:eaaa7b11777babe28e6133a8b19ff71cea687e0d7f05158dee95a71f76ce3d00",
                                          "lease-01HZX5V9QK3T7M2N8P4R6S1W0Y",
                                          "fp2:3:aGVsbG8td29ybGQtZmluZ2VycHJpbnQ",
                                          "p2:7f3kq9x2m4",
                                          "arn:aws:iam::123837392027:role/stratus-red-team-role",
                                          "aws-cli/2.11.2 Python/3.11.2 Linux/5.15 exe/x86_64 prompt/off command/ec2.describe-instances",
                                          "i-0dbc91f429e48eeed",
                                          "ip-10-0-1-10.ec2.internal",
                                          "2023-07-10T12:26:56.000+0000",
                                          "s3://bucket/key/part-00001-7a388b69.parquet",
                                          "run-7/host_3:attempt-2"};
  for (const std::string& text : texts) {
    expectNone(text);
    EXPECT_EQ(secretShapeRule(text), "") << text;
  }
}

TEST(ScannerShape, ShapesButNotAssignments) {
  EXPECT_EQ(secretShapeRule("id-" + kGithub), "github-token");
  EXPECT_EQ(secretShapeRule(kAwsId), "aws-access-key-id");
  EXPECT_TRUE(hasSecretShape(kJwt));
  EXPECT_TRUE(hasSecretShape("x/opk_9fKq2LxV0sTzR7mWb3Yd8Jh1"));
  EXPECT_FALSE(hasSecretShape("token:qhsu4dhha5d2r3zato5ug9bttmytri"));
  EXPECT_FALSE(hasSecretShape("a.b@c.example"));
}

TEST(ScannerContacts, EmailAddresses) {
  expectOnly("mail Jo.Ann+x@mail.example.org, now", "Jo.Ann+x@mail.example.org", "email");
  expectOnly("arn:aws:sts::1:assumed-role/r/ann@corp.example", "ann@corp.example", "email");
  expectOnly("<mailto:m\xC3\xBCller@ex\xC3\xA4mple.de>", "m\xC3\xBCller@ex\xC3\xA4mple.de", "email");
  EXPECT_TRUE(looksLikeEmail("host/ann@corp.example"));
  for (const char* text :
       {"image@sha256", "user@host", "git@github.com:org/repo", "icon@2x.png", "@scope/pkg@1.2.3", "a@.b", "@", "a@b.c1"}) {
    expectNone(text);
    EXPECT_FALSE(looksLikeEmail(text)) << text;
  }
  EXPECT_TRUE(scan("ann@corp.example", false).empty());
}

TEST(ScannerContacts, TelephoneNumbers) {
  expectOnly("call +49 30 901820 today", "+49 30 901820", "telephone");
  expectOnly("tel:+1-212-555-0123.", "+1-212-555-0123", "telephone");
  expectOnly("or (212) 555-0123!", "(212) 555-0123", "telephone");
  expectOnly("at 212-555-0123", "212-555-0123", "telephone");
  for (const char* text : {"1.0.0+20230710115959", "2023-07-10", "GMT+0200", "10.0.1.10", "123837392027", "a+12345678b", "111-222-3333",
                           "id-212-555-0123", "ami-212-555-01234", "+1", "+123 4"}) {
    expectNone(text);
  }
}

// Contacts are searched sixteen bytes at a time: every place in a block, and several in one text.
TEST(ScannerContacts, AtEveryOffset) {
  for (const char* contact : {"ann@corp.example", "+49 30 901820", "212-555-0123"}) {
    for (std::size_t before = 0; before < 40; ++before) {
      std::string text(before, ' ');
      for (int i = 0; i < 3; ++i) text += std::string(contact) + std::string(before % 5 + 1, ' ');
      EXPECT_EQ(scan(text).size(), 3U) << contact << " after " << before;
    }
  }
}

TEST(ScannerContacts, ASecretWinsOverAnAddress) {
  const std::vector<Found> found = scan("https://ann:Xk29fLq7@host.example mail bo@host.example");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].text, "Xk29fLq7");
  EXPECT_EQ(found[1].text, "bo@host.example");
}

// Hits are ordered, inside the text, never empty, and what is left after taking them out raises no fault.
TEST(ScannerProperties, AnyBytes) {
  const std::vector<std::string> pieces = {"password=",
                                           "token: \"",
                                           "eyJ",
                                           "-----BEGIN PRIVATE KEY-----",
                                           "://",
                                           "@",
                                           "curl -u ",
                                           "AKIA",
                                           "'",
                                           "\\",
                                           "%3D",
                                           ":AA",
                                           "8Q~",
                                           "-us1",
                                           "facebook",
                                           "hooks.",
                                           "Bearer ",
                                           "+49",
                                           "212-555-0123",
                                           kGithub,
                                           kJwt,
                                           "\n",
                                           " ",
                                           ".",
                                           "value",
                                           ",",
                                           ">",
                                           "xoxb-",
                                           std::string(1, '\0'),
                                           "\xF0\x9D",
                                           "<",
                                           "a1B2c3D4e5F6g7H8"};
  std::mt19937 random(20260101);
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    const std::size_t count = random() % 12;
    for (std::size_t i = 0; i < count; ++i) {
      text += pieces[random() % pieces.size()];
      if (random() % 4 == 0) text += static_cast<char>(random() & 0xffU);
    }
    // A copy of exact size, so that a sanitizer sees a read past the end.
    const std::vector<char> exact(text.begin(), text.end());
    std::vector<ScanHit> hits;
    scanText(std::string_view(exact.data(), exact.size()), ScanOptions{}, hits);
    std::size_t last = 0;
    for (const ScanHit& hit : hits) {
      ASSERT_LE(last, hit.begin) << round;
      ASSERT_LT(hit.begin, hit.end) << round;
      ASSERT_LE(hit.end, text.size()) << round;
      ASSERT_FALSE(hit.rule.empty()) << round;
      last = hit.end;
    }
  }
}

// Work counts characters that rules read. The bound a byte holds whatever is repeated, and does not grow with the length.
TEST(ScannerProperties, WorkPerByteIsBounded) {
  for (const char* unit : {"A",
                           "password=",
                           "password=\"",
                           "eyJ",
                           "eyJa.",
                           "@",
                           "a@",
                           "a@b.c",
                           "-----BEGIN",
                           "-----BEGIN PRIVATE KEY-----",
                           "://",
                           "://a:",
                           "token",
                           "token=a1",
                           "token'",
                           "AKIA",
                           "xoxb-1234567890-",
                           "-u a:b curl ",
                           "curl -u ",
                           ":AA",
                           "bearer ",
                           "Authorization: Bearer ",
                           "secret: ",
                           "+1",
                           "1-1",
                           "hooks./",
                           "_pass",
                           "\"name\":\"token\",",
                           "ghp_",
                           "facebook 1",
                           "?sig=",
                           "password>",
                           "sha256~",
                           "8Q~",
                           "-us1",
                           ".atlasv1.",
                           "_key",
                           "a."}) {
    double perByte[2] = {0, 0};
    for (int size = 0; size < 2; ++size) {
      std::string text;
      while (text.size() < (size == 0 ? 20'000U : 200'000U)) text += unit;
      std::vector<ScanHit> hits;
      std::size_t work = 0;
      scanEngine().scan(text, ScanEngine::Rules::kAll, true, hits, work);
      perByte[size] = static_cast<double>(work) / static_cast<double>(text.size());
    }
    EXPECT_LE(perByte[1], 160.0) << unit;
    EXPECT_LE(perByte[1], perByte[0] * 1.2 + 1.0) << unit << ": grows with the length";
  }
}

}  // namespace
}  // namespace counterfoil::redact

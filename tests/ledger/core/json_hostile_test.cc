// What the JSON reader refuses, what it says then, and what it leaves behind.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/mman.h>

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"
#include "ledger/crypto/random.h"
#include "ledger/crypto/wiping.h"
#include "tests/ledger/crypto/memory_scan.h"

namespace counterfoil {
namespace {

constexpr std::string_view kRequired = R"("credential":"git_token","grantee":{"kind":"agent","id":"a"},"scope":["s"],"ttlSeconds":9)";

std::string repeated(std::string_view text, std::size_t count) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) result += text;
  return result;
}

// A lease request whose only mistake can be in `members`.
std::string request(const std::string& members) {
  return "{" + std::string(kRequired) + (members.empty() ? "" : ",") + members + "}";
}

std::optional<Fault> faultOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const Fault& fault) {
    return fault;
  }
  return std::nullopt;
}
std::optional<Fault> commandFault(const std::string& json) {
  return faultOf([&] { parseCommand(CommandKind::leaseRequest, json); });
}
std::optional<Fault> factFault(const std::string& json) {
  return faultOf([&] { parseFact(json); });
}

struct Case {
  std::string json;
  ErrorCode code;
  std::string field;
  std::string saying;  // part of the detail
};

void expectCommandFaults(const std::vector<Case>& cases) {
  for (const Case& row : cases) {
    const auto fault = commandFault(row.json);
    const std::string shown = row.json.substr(0, 300);
    ASSERT_TRUE(fault.has_value()) << shown;
    EXPECT_EQ(factsOf(fault->code()).text, factsOf(row.code).text) << shown << "\n" << fault->detail();
    EXPECT_EQ(fault->field(), row.field) << shown << "\n" << fault->detail();
    EXPECT_NE(fault->detail().find(row.saying), std::string::npos) << shown << "\n" << fault->detail();
  }
}

TEST(HostileJson, TheBaseOfTheseTestsIsAccepted) {
  EXPECT_FALSE(commandFault(request("")).has_value());
}

TEST(HostileJson, WhatIsNoJson) {
  const ErrorCode malformed = ErrorCode::malformedJson;
  expectCommandFaults({
      {"", malformed, "", "byte 0"},
      {"  ", malformed, "", "byte 2"},
      {"{", malformed, "", "byte 1"},
      {request("") + "x", malformed, "", "byte " + std::to_string(request("").size())},
      {request("") + "{}", malformed, "", ""},
      {request("") + std::string(1, '\0'), malformed, "", ""},
      {request("\"maxUses\":1,"), malformed, "", ""},
      {request("\"resources\":[\"a\",]"), malformed, "", ""},
      {request("/* why */\"maxUses\":1"), malformed, "", ""},
      {request("\"maxUses\":1") + "// end", malformed, "", ""},
      {request("\"maxUses\":01"), malformed, "", ""},
      {request("\"maxUses\":+1"), malformed, "", ""},
      {request("\"maxUses\":.5"), malformed, "", ""},
      {request("\"maxUses\":NaN"), malformed, "", ""},
      {request("\"maxUses\":Infinity"), malformed, "", ""},
      {request("maxUses:1"), malformed, "", ""},
      {request("'run':'r'"), malformed, "", ""},
      {request("\"run\":\"a\tb\""), malformed, "", ""},
      {request("\"run\":\"a\nb\""), malformed, "", ""},
      {request(std::string("\"run\":\"a\0b\"", 11)), malformed, "", ""},
      {request("\"run\":\"\\x41\""), malformed, "", ""},
      {request("\"run\":\"\\\\ud800\t\""), malformed, "", ""},
      {request("\"run\":\"\\u12g4\""), malformed, "", ""},
      {"\xef\xbb\xbf" + request(""), malformed, "", "byte 0"},
      // Not our member's fault first, but the document's.
      {"{\"nobodyKnows\":1,", malformed, "", ""},
      {request("\"credential\":null") + "]", malformed, "", ""},
  });
}

TEST(HostileJson, AFactOfNoKindIsFirstOfAllNoJson) {
  for (const char* document :
       {R"({"kind":"nobody"} x)", R"({"kind":"nobody",)", R"({"kind":"policy.set"}])", R"({"a":1} {})", "[] x", R"({"kind":)"}) {
    EXPECT_EQ(factFault(document).value().code(), ErrorCode::malformedJson) << document;
  }
  EXPECT_EQ(factFault("{\"kind\":\"nobody\",\"a\":\"\xff\"}").value().code(), ErrorCode::invalidUtf8);
}

TEST(HostileJson, WhatIsNoUtf8) {
  const ErrorCode code = ErrorCode::invalidUtf8;
  std::vector<Case> cases;
  for (const char* bytes :
       {"\xff", "\xc3", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\x80", "\xf0\x80\x80\x80"}) {
    cases.push_back({request(std::string("\"run\":\"") + bytes + "\""), code, "", ""});
    cases.push_back({request(std::string("\"run\":\"\\n") + bytes + "\""), code, "", ""});
    cases.push_back({request(std::string("\"") + bytes + "\":1"), code, "", ""});
    cases.push_back({request(std::string("\"nobodyKnows\":\"") + bytes + "\""), code, "", ""});
    cases.push_back({request(std::string("\"run\":\"") + bytes), code, "", ""});
  }
  for (const char* escape : {"\\ud800", "\\udfff", "\\ud800\\ud800", "\\ud800x", "\\ud800\\n", "\\udc00\\ud800", "x\\uDBFF"}) {
    cases.push_back({request(std::string("\"run\":\"") + escape + "\""), code, "", "surrogate"});
  }
  expectCommandFaults(cases);
  EXPECT_FALSE(commandFault(request("\"run\":\"\\ud83d\\udd11\"")).has_value()) << "a whole pair is a character";
}

TEST(HostileJson, MembersThatAreUnknownTwiceOrNotTheCallers) {
  expectCommandFaults({
      {request("\"nobodyKnows\":1"), ErrorCode::unknownField, "", "number 5"},
      {"{\"nobodyKnows\":1," + std::string(kRequired) + "}", ErrorCode::unknownField, "", "number 1"},
      {request("\"\":1"), ErrorCode::unknownField, "", ""},
      {request("\"Run\":\"r\""), ErrorCode::unknownField, "", ""},
      {request("\"run\\u0000\":\"r\""), ErrorCode::unknownField, "", ""},
      {request("\"kind\":\"lease.granted\""), ErrorCode::unknownField, "", ""},
      {request("\"operation\":{}"), ErrorCode::unknownField, "", ""},
      {request("\"leafHash\":\"00\""), ErrorCode::unknownField, "", ""},
      {request("\"" + std::string(65, 'k') + "\":1"), ErrorCode::unknownField, "", ""},
      {request("\"" + std::string(70'000, 'k') + "\":1"), ErrorCode::unknownField, "", ""},
      {request("\"\\u006b" + std::string(70'000, 'k') + "\":1"), ErrorCode::unknownField, "", ""},
      {request("\"source\":\"api\""), ErrorCode::unknownField, "/source", "filled by the ledger"},
      {request("\"sourceAddressPseudonym\":\"n2:x\""), ErrorCode::unknownField, "/sourceAddressPseudonym", "filled by the ledger"},
      {request("\"actor\":{\"kind\":\"agent\",\"id\":\"a\",\"name\":\"b\"}"), ErrorCode::unknownField, "/actor", "number 3"},
      {request("\"secret\":{\"Value\":\"x\"}"), ErrorCode::unknownField, "/secret", "number 1"},
      {request("\"ttlSeconds\":9"), ErrorCode::duplicateField, "/ttlSeconds", ""},
      {request("\"ttl\\u0053econds\":9"), ErrorCode::duplicateField, "/ttlSeconds", ""},
      {request("\"run\":\"r\",\"run\":\"r\""), ErrorCode::duplicateField, "/run", ""},
      {request("\"id\":\"0195f3a0-7c00-7abc-8def-0123456789ab\",\"id\":1"), ErrorCode::duplicateField, "/id", ""},
      {request("\"actor\":{\"kind\":\"agent\",\"id\":\"a\",\"id\":\"b\"}"), ErrorCode::duplicateField, "/actor/id", ""},
      {request("\"secret\":{\"value\":\"x\",\"v\\u0061lue\":\"x\"}"), ErrorCode::duplicateField, "/secret/value", ""},
  });
  EXPECT_EQ(factFault(R"({"kind":"run.started","run":"r","kind":"run.started"})").value().code(), ErrorCode::duplicateField);
  EXPECT_EQ(factFault(R"({"kind":"run.started","run":"r","k\u0069nd":"run.finished"})").value().field(), "/kind");
  EXPECT_EQ(factFault(R"({"run":"r","uses":1,"kind":"lease.consumed"})").value().field(), "/uses");
}

TEST(HostileJson, NumbersThatAreNoCounts) {
  std::vector<Case> cases;
  for (const char* number : {"-1",
                             "-0",
                             "1.0",
                             "900.0",
                             "1e3",
                             "1E0",
                             "1e400",
                             "-1e400",
                             "0.1",
                             "1e-400",
                             "9007199254740992",
                             "9223372036854775808",
                             "18446744073709551615",
                             "18446744073709551616",
                             "1e99999999999",
                             "1e2147483648",
                             "\"9\"",
                             "true",
                             "false",
                             "null",
                             "[9]",
                             "{}",
                             "[]",
                             "{\"value\":9}"}) {
    cases.push_back(
        {request("\"maxUses\":" + std::string(number)), ErrorCode::invalidValue, "/maxUses", "whole number from 0 to 9007199254740991"});
  }
  cases.push_back({request("\"maxUses\":" + std::string(5000, '9')), ErrorCode::invalidValue, "/maxUses", ""});
  expectCommandFaults(cases);
  const Command command = parseCommand(CommandKind::leaseRequest, request("\"maxUses\":9007199254740991,\"renewableForSeconds\":0"));
  EXPECT_EQ(command.body.number(Field::maxUses), limits::kJsonIntegerMax);
}

TEST(HostileJson, ValuesOfTheWrongType) {
  std::vector<Case> cases;
  const auto wrong = [&](const std::string& name, const std::vector<const char*>& values, const char* saying) {
    for (const char* value : values) cases.push_back({request("\"" + name + "\":" + value), ErrorCode::invalidValue, "/" + name, saying});
  };
  wrong("run", {"1", "-1", "1.5", "true", "null", "[]", "{}", "[\"r\"]", "{\"value\":\"r\"}"}, "must be a text");
  wrong("resources", {"1", "true", "null", "{}", "\"r\""}, "must be a list of texts");
  wrong("actor", {"1", "null", "[]", "\"agent:a\""}, "must be an object");
  wrong("occurredAt",
        {"1", "null", "{}", "\"\"", "\"2026-03-01\"", "\"2026-03-01T09:30:00\"", "\"2026-02-29T00:00:00Z\"", "\"2026-03-01T09:30:60Z\"",
         "\"9999-01-01T00:00:00Z\"", "1772357400"},
        "must be an RFC 3339 time");
  wrong("occurredAt", {"\"1970-01-01T00:00:00Z\"", "\"1970-01-01T01:00:00+01:00\""}, "1970");
  wrong("id",
        {"1", "null", "{}", "\"\"", "\"lease-1\"", "\"0195f3a0-7c00-4abc-8def-0123456789ab\"", "\"0195f3a0-7c00-8abc-8def-0123456789ab\""},
        "must be a UUID of version 7");
  wrong("secret", {"\"bare\"", "1", "null", "[]"}, "must be an object with one member");
  wrong("secret", {"{}"}, "must be an object with one member");
  wrong("secret", {"{\"value\":\"a\",\"sha256\":\"b\"}", "{\"fingerprint\":\"fp2:1:AAECAwQFBgcICQoLDA0ODw\",\"value\":\"a\"}"}, "");
  expectCommandFaults(cases);
  for (const char* document : {"[]", "\"text\"", "1", "true", "null", "[{}]"}) {
    expectCommandFaults({{document, ErrorCode::invalidValue, "", "the document must be an object"}});
    EXPECT_EQ(factFault(document).value().code(), ErrorCode::invalidValue) << document;
  }
}

TEST(HostileJson, ValuesThatTheirFieldDoesNotTake) {
  const ErrorCode code = ErrorCode::invalidValue;
  std::vector<Case> cases = {
      {request("\"resources\":[\"a\",1]"), code, "/resources/1", "must be a text"},
      {request("\"resources\":[null]"), code, "/resources/0", ""},
      {request("\"resources\":[[\"a\"]]"), code, "/resources/0", ""},
      {request("\"resources\":[{}]"), code, "/resources/0", ""},
      {request("\"actor\":{\"kind\":\"ledger\",\"id\":\"a\"}"), code, "/actor/kind", "one of human, agent, service, operator"},
      {request("\"actor\":{\"kind\":\"unspecified\",\"id\":\"a\"}"), code, "/actor/kind", ""},
      {request("\"actor\":{\"kind\":\"\",\"id\":\"a\"}"), code, "/actor/kind", ""},
      {request("\"actor\":{\"kind\":1,\"id\":\"a\"}"), code, "/actor/kind", ""},
      {request("\"actor\":{\"kind\":{},\"id\":\"a\"}"), code, "/actor/kind", ""},
      {request("\"actor\":{\"kind\":\"agent\",\"id\":[]}"), code, "/actor/id", ""},
      {request("\"actor\":{\"kind\":\"agent\"}"), code, "/actor/id", "is required"},
      {request("\"actor\":{\"kind\":\"agent\",\"id\":\"\"}"), code, "/actor/id", "is required"},
      {request("\"actor\":{\"id\":\"a\"}"), code, "/actor/kind", "is required"},
      {request("\"actor\":{}"), code, "/actor/kind", "is required"},
      {"{\"credential\":\"gitToken\"}", code, "/credential", "one of git_token, tool_token"},
      {"{\"credential\":\"unspecified\"}", code, "/credential", ""},
      {"{\"credential\":1}", code, "/credential", ""},
      {request("\"secret\":{\"value\":\"\"}"), code, "/secret/value", "not empty"},
      {request("\"secret\":{\"value\":1}"), code, "/secret/value", ""},
      {request("\"secret\":{\"value\":null}"), code, "/secret/value", ""},
      {request("\"secret\":{\"value\":{\"value\":\"a\"}}"), code, "/secret/value", ""},
      {request("\"secret\":{\"sha256\":\"" + std::string(63, 'a') + "\"}"), code, "/secret/sha256", "64 hexadecimal"},
      {request("\"secret\":{\"sha256\":\"" + std::string(65, 'a') + "\"}"), code, "/secret/sha256", ""},
      {request("\"secret\":{\"sha256\":\"" + std::string(64, 'g') + "\"}"), code, "/secret/sha256", ""},
  };
  for (const char* fingerprint :
       {"", "fp2:", "fp2:1", "fp2:1:", "fp1:1:AAECAwQFBgcICQoLDA0ODw", "fp2::AAECAwQFBgcICQoLDA0ODw", "fp2:01:AAECAwQFBgcICQoLDA0ODw",
        "fp2:x:AAECAwQFBgcICQoLDA0ODw", "fp2:4294967296:AAECAwQFBgcICQoLDA0ODw",
        "fp2:1:AAECAwQFBgcICQoLDA0ODw==", "fp2:1:AAECAwQFBgcICQoLDA0OD", "fp2:1:AAECAwQFBgcICQoLDA0ODx", "fp2:1:AAECAwQFBgcICQoLDA0ODxA"}) {
    cases.push_back({request("\"secret\":{\"fingerprint\":\"" + std::string(fingerprint) + "\"}"), code, "/secret/fingerprint", ""});
  }
  expectCommandFaults(cases);
}

TEST(HostileJson, ControlCharactersInTexts) {
  std::vector<Case> cases;
  for (int control = 0; control < 0x20; ++control) {
    std::array<char, 8> escape;
    std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(control));
    const std::string text = "\"a" + std::string(escape.data()) + "b\"";
    const std::vector<std::pair<std::string, std::string>> places = {{"\"reason\":" + text, "/reason"},
                                                                     {"\"resources\":[\"x\"," + text + "]", "/resources/1"},
                                                                     {"\"secret\":{\"value\":" + text + "}", "/secret/value"},
                                                                     {"\"actor\":{\"kind\":\"agent\",\"id\":" + text + "}", "/actor/id"}};
    for (const auto& [members, path] : places) {
      if (control == '\t' || control == '\n') {
        EXPECT_FALSE(commandFault(request(members)).has_value()) << members;
      } else {
        cases.push_back({request(members), ErrorCode::invalidValue, path, "control character"});
      }
    }
  }
  for (const char* escape : {"\\b", "\\f", "\\r"}) {
    cases.push_back({request("\"reason\":\"" + std::string(escape) + "\""), ErrorCode::invalidValue, "/reason", "control character"});
    cases.push_back(
        {request("\"reason\":\"" + std::string(5000, 'x') + escape + "\""), ErrorCode::invalidValue, "/reason", "control character"});
  }
  expectCommandFaults(cases);
}

TEST(HostileJson, RequiredMembersAreGivenAndNotEmpty) {
  expectCommandFaults({
      {"{}", ErrorCode::invalidValue, "/credential", "is required"},
      {R"({"grantee":{"kind":"agent","id":"a"},"scope":["s"],"ttlSeconds":9})", ErrorCode::invalidValue, "/credential", "is required"},
      {R"({"credential":"other","scope":["s"],"ttlSeconds":9})", ErrorCode::invalidValue, "/grantee", "is required"},
      {R"({"credential":"other","grantee":{"kind":"agent","id":"a"},"ttlSeconds":9})", ErrorCode::invalidValue, "/scope", "is required"},
      {R"({"credential":"other","grantee":{"kind":"agent","id":"a"},"scope":[],"ttlSeconds":9})", ErrorCode::invalidValue, "/scope",
       "is required"},
      {R"({"credential":"other","grantee":{"kind":"agent","id":"a"},"scope":["s"],"ttlSeconds":0})", ErrorCode::invalidValue, "/ttlSeconds",
       "is required"},
      {R"({"credential":"other","grantee":{"kind":"agent","id":"a"},"scope":["s"]})", ErrorCode::invalidValue, "/ttlSeconds",
       "is required"},
  });
  EXPECT_EQ(factFault(R"({"kind":"tool.invoked","tool":""})").value().field(), "/tool");
  EXPECT_EQ(factFault(R"({"leaseId":"l"})").value().field(), "/kind");
  EXPECT_EQ(factFault(R"({"kind":7,"leaseId":"l"})").value().field(), "/kind");
  EXPECT_EQ(factFault(R"({"kind":["run.started"],"run":"r"})").value().field(), "/kind");
  EXPECT_EQ(factFault(R"({"kind":{"kind":"run.started"},"run":"r"})").value().field(), "/kind");
  EXPECT_EQ(factFault(R"([{"kind":"run.started"}])").value().code(), ErrorCode::invalidValue);
}

TEST(HostileJson, EachLimitIsTheLastThatPasses) {
  const auto nested = [](std::size_t levels) {
    return request("\"nobodyKnows\":" + repeated("[", levels - 1) + repeated("]", levels - 1));
  };
  EXPECT_EQ(commandFault(nested(limits::kJsonDepthMax)).value().code(), ErrorCode::unknownField);
  EXPECT_EQ(commandFault(nested(limits::kJsonDepthMax + 1)).value().code(), ErrorCode::tooDeep);
  EXPECT_EQ(commandFault(repeated("{\"a\":", 100'000)).value().code(), ErrorCode::tooDeep);
  EXPECT_EQ(factFault(repeated("[", limits::kJsonBodyBytesMax)).value().code(), ErrorCode::tooDeep);

  const auto items = [](std::size_t count) { return request("\"resources\":[" + repeated("\"r\",", count - 1) + "\"r\"]"); };
  EXPECT_FALSE(commandFault(items(limits::kListItemsMax)).has_value());
  EXPECT_EQ(parseCommand(CommandKind::leaseRequest, items(limits::kListItemsMax)).body.texts(Field::resources).size(),
            limits::kListItemsMax);
  expectCommandFaults({{items(limits::kListItemsMax + 1), ErrorCode::tooLong, "/resources", "more than 256 items"}});

  for (const std::string start : {"", "\\u0078", "\\n"}) {
    const std::size_t decoded = start.empty() ? 0 : 1;
    const auto text = [&](std::size_t size) { return "\"" + start + std::string(size - decoded, 'x') + "\""; };
    EXPECT_EQ(parseCommand(CommandKind::leaseRequest, request("\"reason\":" + text(kJsonTextBytesMax))).body.text(Field::reason).size(),
              kJsonTextBytesMax);
    expectCommandFaults({{request("\"reason\":" + text(kJsonTextBytesMax + 1)), ErrorCode::tooLong, "/reason", "65536 bytes"},
                         {request("\"resources\":[\"a\"," + text(kJsonTextBytesMax + 1) + "]"), ErrorCode::tooLong, "/resources/1", ""},
                         {request("\"secret\":{\"value\":" + text(kJsonTextBytesMax + 1) + "}"), ErrorCode::tooLong, "/secret/value", ""}});
  }

  std::string whole = request("");
  whole += std::string(limits::kJsonBodyBytesMax - whole.size(), ' ');
  EXPECT_FALSE(commandFault(whole).has_value());
  EXPECT_EQ(commandFault(whole + " ").value().code(), ErrorCode::tooLarge);
  EXPECT_EQ(factFault(whole + " ").value().code(), ErrorCode::tooLarge);
}

constexpr std::string_view kEverything =
    R"({"kind":"lease.granted","id":"0195f3a0-7c00-7abc-8def-0123456789ab","occurredAt":"2026-03-01T09:30:00Z","producer":"p","producerSeq":4,)"
    R"("actor":{"kind":"human","id":"ann"},"leaseId":"l","credential":"other","grantee":{"kind":"agent","id":"b"},"scope":["a","b\n"],)"
    R"("maxUses":5,"reason":"\u0041 \ud83d\udd11","secret":{"value":"\\s3cret"},"expiresAt":"2026-03-01T09:45:00+00:00"})";

TEST(HostileJson, NoPrefixAndNoChangedByteDoesMoreThanAFault) {
  ASSERT_FALSE(factFault(std::string(kEverything)).has_value());
  for (std::size_t size = 0; size < kEverything.size(); ++size) {
    const auto fault = factFault(std::string(kEverything.substr(0, size)));
    ASSERT_TRUE(fault.has_value()) << size;
    EXPECT_EQ(fault->code(), ErrorCode::malformedJson) << size;
  }
  std::size_t refused = 0;
  for (std::size_t at = 0; at < kEverything.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed(kEverything);
      changed[at] = static_cast<char>(byte);
      const auto fault = factFault(changed);
      if (!fault) continue;
      ++refused;
      EXPECT_EQ(factsOf(fault->code()).exitStatus, 2) << changed;
    }
  }
  EXPECT_GT(refused, kEverything.size() * 128);
}

// The canary stands in place of each string and number of a fact, and beside it as a name.
TEST(HostileJson, NoFaultRepeatsWhatTheCallerSent) {
  const std::string canary = "CanaryThatNobodyMayRepeat";
  std::size_t faults = 0;
  const auto check = [&](const std::string& json) {
    const auto fault = factFault(json);
    if (!fault) return;
    ++faults;
    for (const std::string& text : {fault->detail(), fault->hint(), fault->field(), std::string(fault->what())}) {
      EXPECT_EQ(text.find(canary.substr(0, 8)), std::string::npos) << text;
    }
  };
  for (std::size_t at = 0; at < kEverything.size(); ++at) {
    const char c = kEverything[at];
    const std::string before(kEverything.substr(0, at));
    if (c == '"') check(before + "\"" + canary + "\":1," + std::string(kEverything.substr(at)));
    if (c == '"') check(before + "\"" + canary + std::string(kEverything.substr(at + 1)));
    if (c == ':')
      check(before + ":\"" + canary + "\"" +
            std::string(kEverything.substr(std::min(kEverything.find_first_of(",}", at), kEverything.size()))));
    check(before + canary + std::string(kEverything.substr(at)));
  }
  EXPECT_GT(faults, 300u);
}

// ---- What is left behind ----

// Forty bytes without a repeated window of eight.
constexpr std::string_view kSecret = "q8Z-kV3xN0pTw7Lr2Yb6Jm1Gd5Hs9Fc4KaEiOuX!";

// How many windows of eight bytes of the secret stand on the stack of a thread that ran `body`.
std::size_t piecesOnStackAfter(void* (*body)(void*)) {
  constexpr std::size_t kStackBytes = 512 * 1024;
  void* const stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  EXPECT_EQ(pthread_attr_setstack(&attributes, stack, kStackBytes), 0);
  pthread_t thread;
  EXPECT_EQ(pthread_create(&thread, &attributes, body, nullptr), 0);
  EXPECT_EQ(pthread_join(thread, nullptr), 0);
  pthread_attr_destroy(&attributes);
  const std::string_view memory(static_cast<const char*>(stack), kStackBytes);
  std::size_t found = 0;
  for (std::size_t at = 0; at + 8 <= kSecret.size(); ++at) found += memory.find(kSecret.substr(at, 8)) == std::string_view::npos ? 0 : 1;
  munmap(stack, kStackBytes);
  return found;
}

// Documents that make the parser decode the secret on its stack: as a value, over several buffers, as a name, as a kind, where nothing is
// kept, and as deep as documents go.
const std::vector<std::string>& documentsWithSecret() {
  static const std::vector<std::string> kDocuments = [] {
    const std::string text = "\"\\u0020" + std::string(kSecret) + "\"";
    const std::string deep = repeated("[", limits::kJsonDepthMax - 1) + text + repeated("]", limits::kJsonDepthMax - 1);
    const std::string deepObjects =
        repeated("{\"a\":", limits::kJsonDepthMax - 1) + "{" + text + ":1" + repeated("}", limits::kJsonDepthMax);
    return std::vector<std::string>{
        R"({"kind":"token.minted","tokenId":"t","secret":{"value":)" + text + "}}",
        R"({"tokenId":"t","secret":{"value":)" + text + R"(},"kind":"token.minted"})",
        R"({"kind":"token.minted","tokenId":"t","secret":{"value":"\t)" + repeated(kSecret, 400) + "\"}}",
        R"({"kind":"token.minted","tokenId":"t",)" + text + ":1}",
        R"({"kind":"token.minted","tokenId":"t","secret":{)" + text + ":1}}",
        R"({"kind":"token.minted","tokenId":"t","secret":)" + text + "}",
        R"({"kind":)" + text + "}",
        R"({"kind":"token.minted","tokenId":"t","nobodyKnows":)" + deep + "}",
        "{\"a\":" + deepObjects + R"(,"kind":"token.minted"})",
        R"({"kind":"token.minted","tokenId":"t","secret":{"value":)" + text + "}} x",
        R"({"kind":"token.minted","secret":{"value":)" + text,
    };
  }();
  return kDocuments;
}

std::size_t documentToParse = 0;

void* parseDocument(void*) {
  const auto fault = factFault(documentsWithSecret()[documentToParse]);
  return fault ? nullptr : nullptr;
}

[[gnu::noinline]] void leaveSecretOnStack() {
  volatile char deep[4'000];
  for (std::size_t i = 0; i < sizeof(deep); ++i) deep[i] = kSecret[i % kSecret.size()];
}
void* leaveSecret(void*) {
  leaveSecretOnStack();
  return nullptr;
}

TEST(JsonMemory, TheStackKeepsNothingOfASecret) {
  if (!crypto::test::kCanScanMemory) GTEST_SKIP() << "a sanitized program keeps locals elsewhere";
  ASSERT_EQ(piecesOnStackAfter(leaveSecret), kSecret.size() - 7) << "the search does not find what is there";
  for (documentToParse = 0; documentToParse < documentsWithSecret().size(); ++documentToParse) {
    EXPECT_EQ(piecesOnStackAfter(parseDocument), 0u) << documentsWithSecret()[documentToParse].substr(0, 120);
  }
}

// The whole process, once the caller has wiped the document and let go of the event.
TEST(JsonMemory, NothingIsLeftOnceTheEventIsGone) {
  if (!crypto::test::kCanScanMemory) GTEST_SKIP() << "memory of a sanitized program cannot be scanned";
  crypto::SystemRandom random;
  for (const std::string_view start : {"", "\\n"}) {
    auto secret = random.bytes<48>();
    for (std::uint8_t& byte : secret) byte = static_cast<std::uint8_t>('a' + byte % 26);
    const crypto::test::Needle needle(secret);
    static std::array<char, 40'000> document;
    std::size_t size = 0;
    const auto put = [&](std::string_view text) { size += text.copy(document.data() + size, text.size()); };
    put(R"({"kind":"token.minted","tokenId":"t","secret":{"value":")");
    put(start);
    for (int i = 0; i < 500; ++i) put({reinterpret_cast<const char*>(secret.data()), secret.size()});
    put("\"}}");
    crypto::wipe(secret.data(), secret.size());
    std::optional<Event> event(parseFact({document.data(), size}));
    EXPECT_EQ(event->body.text(Field::secret).size(), 500 * secret.size() + start.size() / 2);
    crypto::wipe(document.data(), document.size());
    EXPECT_EQ(needle.occurrences(), 500u) << "in the event's arena only";
    event.reset();
    EXPECT_EQ(needle.occurrences(), 0u);
  }
}

}  // namespace
}  // namespace counterfoil

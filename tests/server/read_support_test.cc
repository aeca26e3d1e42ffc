// Parameters of readings and the JSON of lists, with what callers and the record may put into them.
#include "server/routes/read_support.h"

#include <gtest/gtest.h>

#include <string>

#include "ledger/core/outcome.h"

namespace counterfoil::server {
namespace {

template <class What>
ErrorCode refusalCodeOf(What&& what) {
  try {
    what();
  } catch (const Fault& fault) {
    return fault.code();
  }
  ADD_FAILURE() << "no fault";
  return ErrorCode::internal;
}

RequestHead headWith(std::vector<Parameter> query) {
  RequestHead head;
  head.method = "GET";
  head.query = std::move(query);
  return head;
}

TEST(ReadSupportNumbers, AreWholeAndBelowTwoToTheFiftyThird) {
  EXPECT_EQ(wholeNumber("0", "wait"), 0U);
  EXPECT_EQ(wholeNumber("007", "wait"), 7U);
  EXPECT_EQ(wholeNumber("9007199254740991", "wait"), 9'007'199'254'740'991U);
  for (const char* text : {"", " 1", "1 ", "+1", "-1", "1.0", "1e3", "0x10", "9007199254740992", "9999999999999999", "18446744073709551617",
                           "00000000000000001", "\xd9\xa3"}) {
    EXPECT_EQ(refusalCodeOf([&] { wholeNumber(text, "wait"); }), ErrorCode::invalidValue) << text;
  }
  try {
    wholeNumber("hunter2", "Last-Event-ID");
    FAIL();
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.field(), "Last-Event-ID");
    EXPECT_EQ((fault.detail() + fault.hint()).find("hunter2"), std::string::npos);
  }
}

TEST(ReadSupportParameters, AreSortedIntoThoseOfAllReadingsAndFilters) {
  const ReadParameters got = readParameters(headWith({{"kind", "lease.*"}, {"wait", "12"}, {"kind", "run.*"}, {"disclose", "true"}}), true);
  EXPECT_EQ(got.wait, 12U);
  EXPECT_TRUE(got.disclose);
  ASSERT_EQ(got.filters.size(), 2U);
  EXPECT_EQ(got.filters[0], (query::Parameter{"kind", "lease.*"}));
  EXPECT_EQ(got.filters[1], (query::Parameter{"kind", "run.*"}));
  const ReadParameters none = readParameters(headWith({}), true);
  EXPECT_FALSE(none.wait || none.disclose);
}

TEST(ReadSupportParameters, DisclosureIsNeverTakenWhereItIsNotAllowed) {
  const ReadParameters got = readParameters(headWith({{"disclose", "true"}}), false);
  EXPECT_FALSE(got.disclose);
  ASSERT_EQ(got.filters.size(), 1U);  // for the list to refuse
  EXPECT_FALSE(readParameters(headWith({{"disclose", "false"}}), true).disclose);
  for (const char* text : {"", "1", "TRUE", "yes"}) {
    EXPECT_EQ(refusalCodeOf([&] { readParameters(headWith({{"disclose", text}}), true); }), ErrorCode::invalidValue) << text;
  }
}

TEST(ReadSupportParameters, RefuseWhatComesTwiceAndTokens) {
  EXPECT_EQ(refusalCodeOf([] { readParameters(headWith({{"wait", "1"}, {"wait", "1"}})); }), ErrorCode::duplicateField);
  EXPECT_EQ(refusalCodeOf([] {
              readParameters(headWith({{"disclose", "false"}, {"disclose", "true"}}), true);
            }),
            ErrorCode::duplicateField);
  for (const char* name : {"token", "access_token"}) {
    try {
      readParameters(headWith({{name, "secret-value"}}));
      FAIL();
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.code(), ErrorCode::tokenInUrl);
      EXPECT_EQ((fault.detail() + fault.hint()).find("secret-value"), std::string::npos);
    }
  }
}

TEST(ReadSupportParameters, OfRoutesThatAreNoListsAreOnlyThoseKnownEachOnce) {
  requireKnown({{"after", "1"}, {"limit", "2"}}, {"after", "limit"});
  requireKnown({}, {});
  EXPECT_EQ(refusalCodeOf([] { requireKnown({{"after", "1"}, {"after", "1"}}, {"after"}); }), ErrorCode::duplicateField);
  try {
    requireKnown({{"<hunter2>", "hunter3"}}, {"after"});
    FAIL();
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.code(), ErrorCode::unknownField);
    EXPECT_EQ((fault.detail() + fault.hint() + fault.field()).find("hunter"), std::string::npos);
  }
}

constexpr const char* kAsOfText = R"({"seq":9,"leafHash":"00","recordedAt":"2026-03-01T09:30:00Z","viewSeq":9})";

std::string page(const std::string& items, const std::string& next = "null") {
  return R"({"items":[)" + items + R"(],"next":)" + next + R"(,"asOf":)" + kAsOfText + "}";
}

TEST(ReadSupportPages, GiveTheirItemsNextAndAsOf) {
  const std::string three = page(R"({"seq":1},{"seq":2,"actor":{"id":"a"}},{"seq":3,"scope":["a",["b"]]})", R"("Y3Vyc29y")");
  const auto items = itemsOf(three);
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(items[0], R"({"seq":1})");
  EXPECT_EQ(items[1], R"({"seq":2,"actor":{"id":"a"}})");
  EXPECT_EQ(items[2], R"({"seq":3,"scope":["a",["b"]]})");
  EXPECT_EQ(nextOf(three), "Y3Vyc29y");
  EXPECT_EQ(asOfOf(three), kAsOfText);
  EXPECT_TRUE(itemsOf(page("")).empty());
  EXPECT_EQ(nextOf(page("")), "");
}

TEST(ReadSupportPages, AreNotMisledByTextsOfTheRecord) {
  // Brackets, quotes, backslashes and the page's own punctuation, as JSON has them in a text.
  const std::string hostile =
      R"({"seq":1,"run":"}],\"next\":\"x\",\"asOf\":{}}","host":"\\","sandbox":"\\\"","operation":"{[","kind":"],"},{"seq":2,"text":"\"},{"})";
  const std::string all = page(hostile, R"("real")");
  const auto items = itemsOf(all);
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(std::string(items[0]) + "," + std::string(items[1]), hostile);
  EXPECT_EQ(nextOf(all), "real");
  EXPECT_EQ(asOfOf(all), kAsOfText);
}

TEST(ReadSupportPages, OfOneThingBecomeThatThing) {
  EXPECT_EQ(onlyItem(page(R"({"id":"L1","state":"active"})"), "there is no such lease"),
            std::string(R"({"id":"L1","state":"active","asOf":)") + kAsOfText + "}");
  EXPECT_EQ(refusalCodeOf([] { onlyItem(page(""), "there is no such lease"); }), ErrorCode::noSuchItem);
}

}  // namespace
}  // namespace counterfoil::server

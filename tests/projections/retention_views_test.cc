// Views of a workspace of which a month went: they show nothing of it any more, and are what a fresh reading makes of what is left.
#include <gmock/gmock.h>

#include <fstream>

#include "projections/query/view_reader.h"
#include "projections/runner.h"
#include "projections/views/view_schema.h"
#include "tests/support/retention_fixture.h"

namespace counterfoil::views {
namespace {

using test::kAlpha;
using testing::HasSubstr;
using testing::Not;

class RetentionViewsTest : public test::RetentionFixture {
 protected:
  ViewRunnerOptions options(const char* folder, bool keysComplete) {
    ViewRunnerOptions options;
    options.files.folder = folder_.path() / folder;
    options.keysComplete = keysComplete;
    return options;
  }
  static std::string entriesOf(const std::filesystem::path& folder) {
    query::Filters filters;
    filters.limit = 1'000;
    filters.order = query::Order::ascending;
    return query::ViewReader(folder, kAlpha).list(query::ListKind::entries, filters, {});
  }
  static std::string statsOf(const std::filesystem::path& folder) { return query::ViewReader(folder, kAlpha).stats(); }
  // In the bytes of the view's files.
  bool shows(const char* view, std::string_view text) const {
    for (const auto& file : std::filesystem::directory_iterator(folder_.path() / view)) {
      std::ifstream stream(file.path(), std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
      if (bytes.find(text) != std::string::npos) return true;
    }
    return false;
  }
  static std::size_t occurrences(const std::string& text, std::string_view what) {
    std::size_t count = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
    return count;
  }
};

TEST_F(RetentionViewsTest, AMonthThatGoesIsTakenOutOfTheViewAndOfItsFile) {
  liveTwoMonths();
  ViewRunner runner(log_, ledger_->keyRing(), options("live", true));
  runner.catchUp();
  EXPECT_THAT(entriesOf(folder_.path() / "live"), HasSubstr("january-lease"));
  EXPECT_TRUE(shows("live", "january-lease"));
  pass(28);
  grant("three", "carol");
  ledger_->drain();
  runner.catchUp();
  const std::string live = entriesOf(folder_.path() / "live");
  EXPECT_THAT(live, Not(HasSubstr("january-lease")));
  EXPECT_THAT(live, HasSubstr("\"three\""));
  EXPECT_EQ(occurrences(live, "\"withheld\":true"), january_);
  EXPECT_FALSE(shows("live", "january-lease"));
  // Whoever comes later, with keys of his own, makes the same of it.
  keys::KeyRing ring(provider_, random_);
  ViewRunner fresh(log_, ring, options("fresh", false));
  fresh.catchUp();
  EXPECT_EQ(statsOf(folder_.path() / "fresh"), statsOf(folder_.path() / "live"));
  EXPECT_EQ(entriesOf(folder_.path() / "fresh"), live);
  // And what happened since then is added to it as ever.
  grant("four", "dave");
  EXPECT_TRUE(consume("long"));
  ledger_->drain();
  runner.catchUp();
  fresh.catchUp();
  EXPECT_THAT(entriesOf(folder_.path() / "live"), HasSubstr("\"four\""));
  EXPECT_EQ(statsOf(folder_.path() / "fresh"), statsOf(folder_.path() / "live"));
}

TEST_F(RetentionViewsTest, AViewThatStoodStillMeanwhileShowsNothingOfItEither) {
  liveTwoMonths();
  {
    ViewRunner runner(log_, ledger_->keyRing(), options("live", true));
    runner.catchUp();
  }
  pass(28);
  ledger_->drain();
  crash();  // a process that never had the key
  ViewRunner runner(log_, ledger_->keyRing(), options("live", true));
  runner.catchUp();
  const std::string live = entriesOf(folder_.path() / "live");
  EXPECT_THAT(live, Not(HasSubstr("january-lease")));
  EXPECT_EQ(occurrences(live, "\"withheld\":true"), january_);
}

// It began before the month went, as its keys tell, and ends behind that.
TEST_F(RetentionViewsTest, ARebuildThatMeetsTheEndOfAMonthIsBegunAnew) {
  liveTwoMonths();
  keys::KeyRing ring(provider_, random_);
  ViewRunner early(log_, ring, options("rebuilt", false));
  early.catchUp();
  EXPECT_TRUE(shows("rebuilt", "january-lease"));
  pass(28);
  ledger_->drain();
  early.requestRebuildAll();
  early.catchUp();
  EXPECT_FALSE(shows("rebuilt", "january-lease"));
  EXPECT_EQ(occurrences(entriesOf(folder_.path() / "rebuilt"), "\"withheld\":true"), january_);
  EXPECT_TRUE(early.troubled().empty());
  early.requestRebuild(kAlpha);
  early.catchUp();
  EXPECT_EQ(occurrences(entriesOf(folder_.path() / "rebuilt"), "\"withheld\":true"), january_);
}

// The entry that says that January went is itself gone when the view comes back.
TEST_F(RetentionViewsTest, AViewThatStoodStillForMonthsShowsNothingOfThem) {
  retain(30);
  grantFor("january-lease", 60);
  pass(2);
  ledger_->drain();
  {  // its last entry is of January
    ViewRunner runner(log_, ledger_->keyRing(), options("live", true));
    runner.catchUp();
  }
  for (int round = 0; round < 4; ++round) {
    pass(45);
    grant("round-" + std::to_string(round), "dave");
    ledger_->drain();
  }
  crash();
  ViewRunner runner(log_, ledger_->keyRing(), options("live", true));
  runner.catchUp();
  EXPECT_FALSE(shows("live", "january-lease"));
  EXPECT_TRUE(runner.troubled().empty());
  EXPECT_EQ(runner.status(kAlpha).size, size());
}

TEST_F(RetentionViewsTest, AViewThatFollowsIsMadeAnewByItself) {
  liveTwoMonths();
  ViewRunner runner(log_, ledger_->keyRing(), options("live", true));
  runner.follow();
  ASSERT_TRUE(runner.waitFor(kAlpha, Sequence{size() - 1}, 10'000));
  pass(28);
  ledger_->drain();
  const std::uint64_t length = size();
  ASSERT_TRUE(runner.waitFor(kAlpha, Sequence{length - 1}, 10'000)) << "the view stands still";
  EXPECT_EQ(occurrences(entriesOf(folder_.path() / "live"), "\"withheld\":true"), january_);
  runner.stop();
}

}  // namespace
}  // namespace counterfoil::views

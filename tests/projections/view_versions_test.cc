// Views that another version of this program left behind.
#include "tests/projections/view_fixture.h"

namespace counterfoil::views {
namespace {

using ViewVersions = ViewFixture;

// As a newer program finds them: with the place that its predecessor saved, which it does not take, or without.
TEST_F(ViewVersions, ViewsOfAnotherVersionAreMadeAnewByWhoeverKeepsThem) {
  for (const WorkspaceNumber workspace : {kOne, kTwo, kThree}) ledger.addSamples(workspace, 30);
  ledger.append();
  runner()->catchUp();
  const std::string before = digest();
  for (const bool follows : {false, true}) {
    for (const WorkspaceNumber workspace : {kOne, kTwo}) {
      Database database = Database::open(path(workspace));
      database.execute("UPDATE position SET format = format - 1");
    }
    overwrite(folder() / "place.0", 0, "counterfoil view place 1\n");
    auto made = runner();
    EXPECT_EQ(made->status(kOne).fault.value().code(), ErrorCode::viewDamaged) << "nobody reads them as they are";
    if (follows) {
      made->follow();
      for (const WorkspaceNumber workspace : {kOne, kTwo}) EXPECT_TRUE(made->waitFor(workspace, Sequence{29}, 30'000)) << workspace.value;
      made->stop();
    } else {
      made->catchUp();
    }
    EXPECT_TRUE(made->troubled().empty());
    EXPECT_EQ(made->status(kOne).size, 30u);
    EXPECT_EQ(digest(), before);
    for (const WorkspaceNumber workspace : {kOne, kTwo, kThree}) EXPECT_EQ(problems(workspace), std::vector<std::string>{});
  }
  // One of this version stays, also when the place is lost.
  {
    Database database = Database::open(path());
    database.execute("PRAGMA user_version = 7");
  }
  std::filesystem::remove(folder() / "place.0");
  runner()->catchUp();
  EXPECT_EQ(one("PRAGMA user_version"), "7");
}

}  // namespace
}  // namespace counterfoil::views

// A ledger in memory, a folder of views, and short ways to run and question them.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "ledger/core/encoding.h"
#include "projections/runner.h"
#include "projections/views/view_check.h"
#include "tests/support/ledger_fixture.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::views {

class ViewFixture : public ::testing::Test {
 protected:
  using Common = test::Common;
  static constexpr WorkspaceNumber kOne{1};
  static constexpr WorkspaceNumber kTwo{2};
  static constexpr WorkspaceNumber kThree{3};

  std::filesystem::path folder() const { return scratch.path() / "views"; }
  std::filesystem::path path(WorkspaceNumber workspace = kOne) const { return viewPath(folder(), workspace); }
  ViewRunnerOptions options() const {
    ViewRunnerOptions result;
    result.files.folder = folder();
    result.workers = 2;
    return result;
  }
  // A new runner with a ring of its own, as a new process has.
  std::unique_ptr<ViewRunner> runner(const ViewRunnerOptions& given) {
    rings.push_back(ledger.newRing());
    return std::make_unique<ViewRunner>(ledger.log(), *rings.back(), given);
  }
  std::unique_ptr<ViewRunner> runner() { return runner(options()); }
  // Everything in the log is in the views when it returns.
  void project() {
    ledger.append();
    runner()->catchUp();
  }
  void rebuildAll() {
    const auto made = runner();
    made->requestRebuildAll();
    made->catchUp();
    ASSERT_TRUE(made->troubled().empty());
  }
  std::string digest(WorkspaceNumber workspace = kOne) const {
    Database database = Database::openReadOnly(path(workspace));
    return toHex(readPosition(database).digest());
  }
  ViewPosition position(WorkspaceNumber workspace = kOne) const {
    Database database = Database::openReadOnly(path(workspace));
    return readPosition(database).position;
  }
  // Rows of a query, columns parted by `|`, NULL as nothing.
  std::vector<std::string> rows(const std::string& sql, WorkspaceNumber workspace = kOne) const {
    Database database = Database::openReadOnly(path(workspace));
    Statement statement = database.prepare(sql);
    std::vector<std::string> result;
    while (statement.step()) {
      std::string row;
      for (int column = 0; column < sqlite3_column_count(statement.get()); ++column) {
        if (column != 0) row += '|';
        row += statement.text(column);
      }
      result.push_back(row);
    }
    return result;
  }
  std::string one(const std::string& sql, WorkspaceNumber workspace = kOne) const {
    const auto all = rows(sql, workspace);
    EXPECT_EQ(all.size(), 1u) << sql;
    return all.empty() ? "" : all.front();
  }
  std::vector<std::string> problems(WorkspaceNumber workspace = kOne) const { return checkView(path(workspace)).problems; }
  // The files' bytes written over as a failing disk or a careless hand would.
  static void overwrite(const std::filesystem::path& file, std::size_t at, const std::string& bytes) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(at));
    stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(stream.good());
  }
  static std::size_t placeOf(const std::filesystem::path& file, const std::string& bytes) {
    std::ifstream stream(file, std::ios::binary);
    const std::string all((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    return all.find(bytes);
  }
  // Everything from the write-ahead log into the main file.
  void checkpoint(WorkspaceNumber workspace = kOne) const {
    Database database = Database::open(path(workspace));
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  test::LedgerFixture ledger;
  test::TemporaryFolder scratch;
  std::vector<std::unique_ptr<keys::KeyRing>> rings;
};

}  // namespace counterfoil::views

// Views over time: batches, restarts, crashes, damage, full disks, cut logs; whatever happens, a view equals a fresh one.
#include <chrono>
#include <thread>

#include "projections/views/view_file.h"
#include "tests/projections/view_fixture.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/manual_clock.h"

namespace counterfoil::views {
namespace {

namespace fs = std::filesystem;

class ViewRunning : public ViewFixture {
 protected:
  void samples(std::size_t count) {
    for (const WorkspaceNumber workspace : {kOne, kTwo, kThree}) ledger.addSamples(workspace, count);
    ledger.append();
  }
  // Digests of views made at once from the whole log, elsewhere.
  std::map<std::uint64_t, std::string> fresh() {
    ViewRunnerOptions elsewhere = options();
    elsewhere.files.folder = scratch.path() / "fresh";
    fs::remove_all(elsewhere.files.folder);
    const auto made = runner(elsewhere);
    made->requestRebuildAll();
    made->catchUp();
    EXPECT_TRUE(made->troubled().empty());
    std::map<std::uint64_t, std::string> result;
    for (const WorkspaceNumber workspace : made->workspaces()) {
      const ViewCheck check = checkView(viewPath(elsewhere.files.folder, workspace));
      EXPECT_TRUE(check.sound()) << check.problems.front();
      result[workspace.value] = toHex(check.stored.digest());
    }
    return result;
  }
  void expectAllFresh() {
    for (const auto& [workspace, expected] : fresh()) {
      EXPECT_EQ(digest({workspace}), expected) << "workspace " << workspace;
      EXPECT_EQ(problems({workspace}), std::vector<std::string>{}) << "workspace " << workspace;
    }
  }
};

TEST_F(ViewRunning, BatchesRestartsAndARebuildGiveOneDigest) {
  samples(7);
  auto first = runner();
  first->catchUp();
  samples(50);
  first->catchUp();
  samples(1);
  first.reset();
  runner()->catchUp();
  samples(300);
  runner()->catchUp();
  EXPECT_EQ(position(kTwo).size, 358u);
  EXPECT_EQ(position(kTwo).leaf, ledger.leaf(kTwo));
  expectAllFresh();
  const std::string before = digest(kThree);
  rebuildAll();
  EXPECT_EQ(digest(kThree), before);
}

// More names, leases and rows than are kept in memory between batches.
TEST_F(ViewRunning, WhatMemoryForgetsIsReadAgain) {
  const auto made = runner();
  for (int batch = 0; batch < 4; ++batch) {
    ledger.addTraffic(kOne, 1'501);
    ledger.append();
    made->catchUp();
  }
  EXPECT_TRUE(made->troubled().empty());
  expectAllFresh();
}

TEST_F(ViewRunning, FilesAreForTheirOwnerAloneAndTaggedAsACache) {
  samples(1);
  runner()->catchUp();
  EXPECT_EQ(fs::status(folder()).permissions(), fs::perms::owner_all);
  EXPECT_EQ(fs::status(path()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(placeOf(folder() / "CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55"), 0u);
  EXPECT_EQ(one("SELECT journal_mode FROM pragma_journal_mode"), "wal");
  rebuildAll();
  EXPECT_EQ(fs::status(path()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_FALSE(fs::exists(folder() / "1.db.new"));
}

TEST_F(ViewRunning, FewOpenFilesAreEnoughForManyWorkspaces) {
  ViewRunnerOptions few = options();
  few.openMax = 2;
  few.rebuildBytes = 1;
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t workspace = 0; workspace < 12; ++workspace) ledger.addSamples({workspace}, 9);
    ledger.append();
    runner(few)->catchUp();
  }
  expectAllFresh();
  const auto made = runner(few);
  made->requestRebuildAll();
  made->catchUp();
  EXPECT_TRUE(made->troubled().empty());
  expectAllFresh();
}

// Power is lost somewhere while entries are committed one by one; rows and position never part.
TEST_F(ViewRunning, ACrashBetweenTwoWritesPartsNothing) {
  ledger.addSamples(kOne, 12);
  makeViewFolder(folder());
  std::size_t partly = 0;
  for (std::uint64_t round = 0; round < 60; ++round) {
    removeView(folder(), kOne);
    test::FaultVfs disk;
    ViewFileOptions files = options().files;
    files.vfs = disk.name();
    const auto write = [&](bool untilLost) {
      const auto file = ViewFile::open(files, kOne);
      if (untilLost) disk.loseAfter(round * 5);
      for (std::size_t index = file->position().size; index < ledger.entries(kOne).size(); ++index) {
        Arena arena;
        EntryView view;
        const auto& bytes = ledger.entries(kOne)[index];
        ASSERT_EQ(readEntry(bytes, Strictness::strict, arena, view), nullptr);
        file->apply(view, leafHash(bytes), bytes, Position{index});
        file->commit();
      }
    };
    bool lost = false;
    try {
      write(true);
    } catch (const Fault&) {
      lost = true;
    }
    disk.lose();
    disk.restart(1 + round % 7);
    if (fs::exists(path()) && fs::file_size(path()) != 0 &&
        Database::open(path()).ask("SELECT 1 FROM sqlite_schema WHERE name = 'position'")) {
      EXPECT_EQ(problems(), std::vector<std::string>{}) << "round " << round;
      if (lost && position().size != 0) ++partly;
    }
    write(false);
    EXPECT_EQ(position().size, 12u);
    EXPECT_EQ(problems(), std::vector<std::string>{}) << "round " << round;
  }
  EXPECT_GE(partly, 5u);
}

// The same through the runner.
TEST_F(ViewRunning, ACrashAnywhereLeavesRowsAndPositionTogether) {
  samples(40);
  const auto expected = fresh();
  for (std::uint64_t round = 0; round < 24; ++round) {
    fs::remove_all(folder());
    test::FaultVfs disk;
    ViewRunnerOptions unsafe = options();
    unsafe.workers = 1;
    unsafe.files.vfs = disk.name();
    disk.loseAfter(round * round * 2);
    runner(unsafe)->catchUp();
    disk.restart(round);
    for (const WorkspaceNumber workspace : {kOne, kTwo, kThree}) {
      if (!fs::exists(path(workspace)) || fs::file_size(path(workspace)) == 0) continue;
      Database database = Database::open(path(workspace));
      if (!database.ask("SELECT 1 FROM sqlite_schema LIMIT 1")) continue;
      EXPECT_EQ(problems(workspace), std::vector<std::string>{}) << "round " << round;
    }
    const auto again = runner();
    again->catchUp();
    EXPECT_TRUE(again->troubled().empty()) << "round " << round;
    for (const auto& [workspace, digestOf] : expected) EXPECT_EQ(digest({workspace}), digestOf) << "round " << round;
  }
}

TEST_F(ViewRunning, AFlippedByteIsFound) {
  ledger.add(kOne, Kind::runStarted, {.at = 1, .run = "run-aaaa"}, [](Arena&, StructValue&) {});
  project();
  checkpoint();
  EXPECT_TRUE(problems().empty());
  // A name, and an entry's content.
  const std::size_t name = placeOf(path(), "run-aaaa");
  ASSERT_NE(name, std::string::npos);
  const std::string bytes(ledger.entries(kOne)[0].begin(), ledger.entries(kOne)[0].end());
  const std::size_t content = placeOf(path(), bytes);
  ASSERT_NE(content, std::string::npos);
  overwrite(path(), name, "run-aaab");
  EXPECT_FALSE(problems().empty());
  overwrite(path(), name, "run-aaaa");
  EXPECT_TRUE(problems().empty());
  overwrite(path(), content, std::string(1, static_cast<char>(bytes[0] ^ 1)));
  EXPECT_EQ(problems(), std::vector<std::string>{"entry 0 does not hash to its leaf"});
  rebuildAll();
  EXPECT_TRUE(problems().empty());
}

TEST_F(ViewRunning, EveryTableIsInTheDigest) {
  samples(300);
  runner()->catchUp();
  for (const Table& table : viewTables()) {
    if (one("SELECT count(*) FROM " + table.name) == "0") continue;
    const auto copy = scratch.path() / "copy.db";
    checkpoint();
    fs::copy_file(path(), copy, fs::copy_options::overwrite_existing);
    Database database = Database::open(copy);
    database.execute("DELETE FROM " + table.name + " WHERE (" + table.columns[table.key[0]].name + ") = (SELECT max(" +
                     table.columns[table.key[0]].name + ") FROM " + table.name + ")");
    EXPECT_FALSE(checkView(copy).sound()) << table.name;
  }
}

TEST_F(ViewRunning, ABrokenFileStopsItsOwnWorkspaceOnly) {
  samples(30);
  runner()->catchUp();
  checkpoint();
  overwrite(path(), 0, "this is no database");
  samples(30);
  auto made = runner();
  made->catchUp();
  const ViewStatus broken = made->status(kOne);
  ASSERT_TRUE(broken.fault.has_value());
  EXPECT_EQ(broken.fault->code(), ErrorCode::viewDamaged);
  EXPECT_EQ(made->status(kTwo).size, 60u);
  EXPECT_EQ(made->status(kTwo).lag, 0u);
  EXPECT_FALSE(made->waitFor(kOne, Sequence{0}, 0));
  EXPECT_EQ(made->troubled().size(), 1u);
  // Still so for the next process, until somebody asks for a rebuild.
  made = runner();
  made->catchUp();
  EXPECT_TRUE(made->status(kOne).fault.has_value());
  made->requestRebuild(kOne);
  made->catchUp();
  EXPECT_FALSE(made->status(kOne).fault.has_value());
  EXPECT_EQ(made->status(kOne).size, 60u);
  EXPECT_EQ(made->status(kOne).lag, 0u);
  expectAllFresh();
}

TEST_F(ViewRunning, ACutLogIsNamedAndNeverFollowedSilently) {
  ViewRunnerOptions whole = options();
  samples(20);
  const Position cut = ledger.partitions().end(PartitionId{0});
  ledger.addSamples(kTwo, 5);
  ledger.append();
  runner(whole)->catchUp();
  ledger.partitions().truncate(PartitionId{0}, cut);
  for (const bool placeLost : {false, true}) {
    if (placeLost) fs::remove(folder() / "place.0");
    const auto made = runner(whole);
    made->catchUp();
    const ViewStatus two = made->status(kTwo);
    ASSERT_TRUE(two.fault.has_value());
    EXPECT_EQ(two.fault->code(), ErrorCode::logTruncated);
    EXPECT_NE(two.fault->detail().find("workspace 2"), std::string::npos);
    EXPECT_EQ(position(kTwo).size, 25u);
    EXPECT_FALSE(made->status(kOne).fault.has_value());
  }
}

TEST_F(ViewRunning, AnotherLogUnderAViewIsNotFollowed) {
  samples(20);
  runner()->catchUp();
  test::LedgerFixture other(99);
  for (const WorkspaceNumber workspace : {kOne, kTwo, kThree}) other.addSamples(workspace, 30);
  other.append();
  const auto ring = other.newRing();
  fs::remove(folder() / "place.0");
  const std::string before = digest();
  ViewRunner made(other.log(), *ring, options());
  made.catchUp();
  ASSERT_TRUE(made.status(kOne).fault.has_value());
  EXPECT_EQ(made.status(kOne).fault->code(), ErrorCode::logTruncated);
  EXPECT_EQ(digest(), before);
}

TEST_F(ViewRunning, AFullDiskStopsOneViewUntilThereIsRoom) {
  samples(10);
  test::FaultVfs disk;
  ViewRunnerOptions given = options();
  given.files.vfs = disk.name();
  {
    const auto made = runner(given);
    made->catchUp();
    disk.failOnly("2.db-wal");
    disk.fail(test::DiskOperation::write, 1, SQLITE_FULL, true);
    samples(10);
    made->catchUp();
    const ViewStatus full = made->status(kTwo);
    ASSERT_TRUE(full.fault.has_value());
    EXPECT_EQ(full.fault->code(), ErrorCode::diskFull);
    EXPECT_EQ(full.lag, 10u);
    EXPECT_EQ(made->lag(), 10u);
    EXPECT_EQ(made->status(kThree).size, 20u);
  }
  // The next process knows of it, although its place in the log is behind the records that were missed.
  ViewRunnerOptions complete = given;
  complete.keysComplete = true;
  rings.push_back(ledger.newRing());
  {
    ViewRunner feeding(ledger.log(), *rings.back(), given);  // only to have the ring complete
    feeding.catchUp();
  }
  disk.heal();
  ViewRunner made(ledger.log(), *rings.back(), complete);
  made.catchUp();
  EXPECT_TRUE(made.troubled().empty());
  EXPECT_EQ(made.status(kTwo).size, 20u);
}

TEST_F(ViewRunning, AMissingFileIsMadeAnewBehindTheSavedPlace) {
  samples(25);
  runner()->catchUp();
  const std::string before = digest(kTwo);
  removeView(folder(), kTwo);
  rings.push_back(ledger.newRing());
  ViewRunnerOptions elsewhere = options();
  elsewhere.files.folder = scratch.path() / "other";
  ViewRunner(ledger.log(), *rings.back(), elsewhere).catchUp();  // the ring is complete now
  ViewRunnerOptions complete = options();
  complete.keysComplete = true;
  ViewRunner made(ledger.log(), *rings.back(), complete);
  std::uint64_t read = 0;
  made.catchUp([&](const ViewProgress& progress) { read = progress.records; });
  EXPECT_EQ(made.status(kTwo).size, 25u);
  EXPECT_EQ(digest(kTwo), before);
  EXPECT_LE(read, 80u);
}

TEST_F(ViewRunning, WithNothingNewNothingIsReadAgain) {
  samples(25);
  rings.push_back(ledger.newRing());
  ViewRunnerOptions complete = options();
  complete.keysComplete = true;
  ViewRunner(ledger.log(), *rings.back(), complete).catchUp();
  std::uint64_t read = 0;
  ViewRunner again(ledger.log(), *rings.back(), complete);
  again.catchUp([&](const ViewProgress& progress) { read = progress.records; });
  EXPECT_EQ(read, 0u);
  EXPECT_EQ(again.status(kOne).size, 25u);
}

TEST_F(ViewRunning, EntriesWhoseKeyIsGoneCountAsWithheld) {
  samples(20);
  ledger.provider().destroyVersion(kTwo, 1);
  rebuildAll();
  EXPECT_EQ(position(kTwo).size, 20u);
  EXPECT_EQ(position(kTwo).leaf, ledger.leaf(kTwo));
  EXPECT_EQ(one("SELECT count(*), sum(withheld) FROM entries", kTwo), "20|20");
  EXPECT_EQ(one("SELECT value FROM counters WHERE what = 'withheld'", kTwo), "20");
  EXPECT_EQ(one("SELECT count(*) FROM content", kTwo), "0");
  EXPECT_TRUE(problems(kTwo).empty());
  EXPECT_EQ(one("SELECT sum(withheld) FROM entries", kOne), "0");
  expectAllFresh();
}

TEST_F(ViewRunning, ARecordThatContradictsItsHeaderStopsItsView) {
  samples(5);
  auto stored = *ledger.partitions().at(PartitionId{0}, Position{2});
  ASSERT_EQ(stored.header.kind, log::RecordKind::entry);
  log::RecordHeader header = stored.header;
  // The next valid place in the chain of that workspace, with the content of an older entry.
  const WorkspaceNumber workspace = header.workspace;
  const auto last = ledger.partitions().at(PartitionId{0}, Position{ledger.partitions().end(PartitionId{0}).value - 1});
  header.pseq = last->header.pseq + 1;
  header.seq = Sequence{ledger.size(workspace)};
  header.previous = ledger.leaf(workspace);
  header.leaf.bytes.fill(7);
  ledger.partitions().inject(PartitionId{0}, header, stored.value);
  const auto made = runner();
  made->catchUp();
  ASSERT_EQ(made->troubled().size(), 1u);
  EXPECT_EQ(made->troubled()[0].first, workspace);
  EXPECT_EQ(made->troubled()[0].second.fault->code(), ErrorCode::logDamaged);
  EXPECT_EQ(made->troubled()[0].second.size, 0u);  // its whole batch was given up
}

TEST_F(ViewRunning, AnUnknownKindStaysOpaque) {
  ledger.add(kOne, Kind::checkpointWitnessed, {.at = 1}, [](Arena&, StructValue& body) { body.setNumber(Field::size, 12'345); });
  std::vector<std::uint8_t> bytes = ledger.entries(kOne)[0];
  std::size_t changed = 0;
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    const std::array<std::uint8_t, 8> word{static_cast<std::uint8_t>(Kind::checkpointWitnessed)};
    if (!std::equal(word.begin(), word.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at))) continue;
    bytes[at] = 0x2c;
    bytes[at + 1] = 0x01;
    ++changed;
  }
  ASSERT_EQ(changed, 1u);
  Arena arena;
  EntryView view;
  ASSERT_EQ(readEntry(bytes, Strictness::lenient, arena, view), nullptr);
  makeViewFolder(folder());
  {
    const auto file = ViewFile::open(options().files, kOne);
    file->apply(view, leafHash(bytes), bytes, Position{1});
    file->commit();
  }
  EXPECT_EQ(one("SELECT kind FROM entries"), "unknown (300)");
  EXPECT_EQ(one("SELECT value FROM counters WHERE what = 'kind unknown (300)'"), "1");
  EXPECT_TRUE(problems().empty());
}

TEST_F(ViewRunning, AnEntryThatDoesNotFollowIsRefusedAndNothingOfItsBatchStays) {
  samples(3);
  test::LedgerFixture other(77);  // the same events, another chain
  other.addSamples(kOne, 3);
  makeViewFolder(folder());
  Arena arena;
  const auto apply = [&](ViewFile& file, const std::vector<std::uint8_t>& bytes) {
    EntryView view;
    ASSERT_EQ(readEntry(bytes, Strictness::strict, arena, view), nullptr);
    file.apply(view, leafHash(bytes), bytes, Position{1});
  };
  const std::vector<std::vector<std::uint8_t>> wrong{ledger.entries(kOne)[0], other.entries(kOne)[2], ledger.entries(kTwo)[2]};
  for (const auto& bytes : wrong) {
    removeView(folder(), kOne);
    {
      const auto file = ViewFile::open(options().files, kOne);
      apply(*file, ledger.entries(kOne)[0]);
      file->commit();
      apply(*file, ledger.entries(kOne)[1]);
      try {
        apply(*file, bytes);
        ADD_FAILURE() << "taken";
      } catch (const Fault& fault) {
        EXPECT_EQ(fault.code(), ErrorCode::logDamaged);
      }
    }
    EXPECT_EQ(position().size, 1u);
    EXPECT_TRUE(problems().empty());
  }
}

TEST_F(ViewRunning, FollowingKeepsUpAndARebuildRunsBeside) {
  const auto made = runner();
  made->follow();
  samples(10);
  EXPECT_TRUE(made->waitFor(kOne, Sequence{9}, 20'000));
  made->requestRebuild(kOne);
  samples(10);
  EXPECT_TRUE(made->waitFor(kTwo, Sequence{19}, 20'000)) << (made->status(kTwo).fault ? made->status(kTwo).fault->what() : "too late");
  EXPECT_TRUE(made->waitFor(kOne, Sequence{19}, 20'000));
  EXPECT_FALSE(made->waitFor(kOne, Sequence{20}, 0));
  made->stop();
  EXPECT_FALSE(made->fault().has_value());
  made->catchUp();  // the rebuild, if it was not through yet
  EXPECT_EQ(made->status(kOne).lag, 0u);
  expectAllFresh();
}

// While the clock stands still nothing becomes due by itself.
TEST_F(ViewRunning, WhoLooksAtAViewGetsItAtOnceTheOthersWait) {
  test::ManualClock clock;
  ViewRunnerOptions given = options();
  given.clock = &clock;
  const auto made = runner(given);
  made->catchUp();  // at its first end of the log nothing waits
  made->follow();
  samples(10);
  EXPECT_TRUE(made->waitFor(kOne, Sequence{9}, 10'000));
  EXPECT_EQ(made->status(kTwo).size, 0u);
  EXPECT_EQ(made->status(kTwo).lag, 10u);
  // Who looked is thought to look on: what comes now waits for nothing.
  samples(1);
  EXPECT_TRUE(made->waitFor(kOne, Sequence{10}, 10'000));
  EXPECT_EQ(made->status(kThree).size, 0u);
  made->want(kTwo);
  EXPECT_TRUE(made->waitFor(kTwo, Sequence{10}, 10'000));
  EXPECT_EQ(made->status(kThree).lag, 11u);
  made->stop();  // what is still to be done is done
  EXPECT_EQ(made->lag(), 0u);
  EXPECT_FALSE(made->fault().has_value());
  expectAllFresh();
}

TEST_F(ViewRunning, WhatNobodyLooksAtIsDoneWhenItsTimeHasCome) {
  test::ManualClock clock;
  ViewRunnerOptions given = options();
  given.clock = &clock;
  const auto made = runner(given);
  made->catchUp();  // at its first end of the log nothing waits
  made->follow();
  samples(10);
  EXPECT_TRUE(made->waitFor(kOne, Sequence{9}, 20'000));  // so the others were read too
  EXPECT_EQ(made->lag(), 20u);
  clock.advance(given.pace.waitMaxNanoseconds);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (made->lag() != 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(made->lag(), 0u);
  made->stop();
  expectAllFresh();
}

TEST_F(ViewRunning, TheBusiestWorkersFilesAreNotClosedWhileOthersHaveRoom) {
  constexpr std::uint64_t kWorkspaces = 12;
  ViewRunnerOptions given = options();
  given.openMax = kWorkspaces;
  const auto made = runner(given);
  for (int round = 0; round < 3; ++round) {
    // As much in one workspace as in all others: it takes one worker, they take the other.
    ledger.addSamples({0}, 900);
    for (std::uint64_t workspace = 1; workspace < kWorkspaces; ++workspace) ledger.addSamples({workspace}, 1);
    ledger.append();
    made->catchUp();
  }
  EXPECT_EQ(made->filesOpened(), kWorkspaces);
  expectAllFresh();
}

TEST(OpenViewFiles, AnEqualShareIsAlwaysThereAndMoreWhileOthersNeedLess) {
  OpenFiles files(10, 2);
  for (int file = 0; file < 9; ++file) files.opened();  // of one worker
  EXPECT_FALSE(files.crowded(9));
  files.opened();
  EXPECT_TRUE(files.crowded(10));
  EXPECT_FALSE(files.beyond(10));
  EXPECT_FALSE(files.crowded(0));  // the other one
  files.opened();
  EXPECT_TRUE(files.beyond(10));
  EXPECT_FALSE(files.beyond(1));
  files.closed();
  EXPECT_FALSE(files.beyond(9));
}

TEST_F(ViewRunning, TheWriteAheadLogStaysSmall) {
  constexpr std::uintmax_t kLimit = 4'194'304;
  constexpr std::uintmax_t kOneTransaction = 1'048'576;
  const auto made = runner();
  std::uintmax_t greatest = 0;
  for (int round = 0; round < 120; ++round) {
    ledger.addTraffic(kOne, 20);
    ledger.append();
    made->catchUp();
    greatest = std::max(greatest, fs::file_size(path().concat("-wal")));
  }
  EXPECT_GT(greatest, kLimit / 2);  // enough was written to tell
  EXPECT_LE(greatest, kLimit + kOneTransaction);
}

TEST_F(ViewRunning, ACooledViewKeepsItsContentAndGivesItsPagesBack) {
  ledger.addTraffic(kOne, 300);
  makeViewFolder(folder());
  const std::int64_t without = databaseMemory();
  const auto file = ViewFile::open(options().files, kOne);
  Arena arena;
  const auto apply = [&](std::size_t from, std::size_t to) {
    for (std::size_t index = from; index < to; ++index) {
      const auto& bytes = ledger.entries(kOne)[index];
      EntryView view;
      arena.reset();
      ASSERT_EQ(readEntry(bytes, Strictness::strict, arena, view), nullptr);
      file->apply(view, leafHash(bytes), bytes, Position{index});
    }
    file->commit();
  };
  apply(0, 200);
  const std::int64_t before = databaseMemory();
  file->cool();
  EXPECT_LT(databaseMemory(), before - 200'000);
  EXPECT_LT(databaseMemory(), without + 600'000);  // what a thousand open views cost a thousand times: schema and statements
  apply(200, 300);
  EXPECT_EQ(position().size, 300u);
  EXPECT_TRUE(problems().empty());
}

TEST_F(ViewRunning, TwoLedgersThatRecordedTheSameCompareEqual) {
  const auto tell = [](test::LedgerFixture& to, std::int64_t late, const char* run) {
    for (std::uint8_t number = 1; number < 40; ++number) {
      RedactedEvent event = RedactedEvent::ofLedger(Kind::vaultRead, EntryId{{number}});
      event.common().setText(event.arena(), Field::run, run);
      event.common().setText(event.arena(), Field::source, "import/vault");
      event.common().setTime(Field::occurredAt, to.time(number));
      event.body().setText(event.arena(), Field::secretName, "prod/db");
      to.add(kOne, std::move(event), to.time(100 + late + number));
    }
    to.append();
  };
  const auto compare = [&](test::LedgerFixture& of, const char* name) {
    ViewRunnerOptions given = options();
    given.files.folder = scratch.path() / name;
    const auto ring = of.newRing();
    ViewRunner(of.log(), *ring, given).catchUp();
    return std::pair(toHex(comparableDigest(viewPath(given.files.folder, kOne))),
                     toHex(checkView(viewPath(given.files.folder, kOne)).stored.digest()));
  };
  test::LedgerFixture second(5), third(6);
  tell(ledger, 0, "run-1");
  tell(second, 77, "run-1");
  tell(third, 0, "run-2");
  const auto one = compare(ledger, "a"), two = compare(second, "b"), other = compare(third, "c");
  EXPECT_EQ(one.first, two.first);
  EXPECT_NE(one.second, two.second);
  EXPECT_NE(one.first, other.first);
}

}  // namespace
}  // namespace counterfoil::views

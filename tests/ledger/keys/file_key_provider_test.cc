#include "ledger/keys/file_key_provider.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "ledger/core/encoding.h"
#include "tests/contract/key_provider_contract.h"
#include "tests/support/memory_key_provider.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::keys::test {

class FileHarness {
 public:
  FileHarness() { restart(); }
  KeyProvider& provider() { return *provider_; }
  void restart() { provider_ = std::make_unique<FileKeyProvider>(folder_.path(), random_); }

 private:
  counterfoil::test::TemporaryFolder folder_;
  crypto::SystemRandom random_;
  std::unique_ptr<FileKeyProvider> provider_;
};

// The test double must keep the same promises; it has nothing to restart from.
class MemoryHarness {
 public:
  KeyProvider& provider() { return provider_; }
  void restart() {}

 private:
  crypto::SystemRandom random_;
  counterfoil::test::MemoryKeyProvider provider_{random_};
};

INSTANTIATE_TYPED_TEST_SUITE_P(File, KeyProviderContract, FileHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, KeyProviderContract, MemoryHarness);

namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr WorkspaceNumber kWorkspace{3};

class FileKeyProviderTest : public ::testing::Test {
 protected:
  fs::path numberFolder() const { return folder_.path() / "kek" / "3"; }
  fs::path keyFile(int version = 1) const { return numberFolder() / (std::to_string(version) + ".key"); }
  FileKeyProvider fresh() { return FileKeyProvider(folder_.path(), random_); }
  static Wrapped use(FileKeyProvider& provider, std::uint32_t version = 1) {
    const WrapRequest nothing;
    return provider.wrap(kWorkspace, version, {&nothing, 1}).at(0);
  }
  // The fault of a fresh provider's use of version 1.
  Fault faultOfUse() {
    try {
      FileKeyProvider provider = fresh();
      use(provider);
    } catch (const Fault& fault) {
      return fault;
    }
    return Fault(ErrorCode::internal, "no fault");
  }
  static std::string contentOf(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  static void write(const fs::path& path, const std::string& content) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    ::chmod(path.c_str(), 0600);
  }
  static mode_t modeOf(const fs::path& path) {
    struct stat facts {};
    EXPECT_EQ(::lstat(path.c_str(), &facts), 0);
    return facts.st_mode & 07777;
  }
  std::vector<std::string> namesIn(const fs::path& path) const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path)) names.push_back(entry.path().filename().string());
    return names;
  }

  counterfoil::test::TemporaryFolder folder_;
  crypto::SystemRandom random_;
};

TEST_F(FileKeyProviderTest, WritesFilesNobodyElseCanRead) {
  const mode_t old = ::umask(0);
  fresh().createVersion(kWorkspace);
  ::umask(old);
  EXPECT_EQ(modeOf(folder_.path() / "kek"), 0700u);
  EXPECT_EQ(modeOf(numberFolder()), 0700u);
  EXPECT_EQ(modeOf(keyFile()), 0600u);
  EXPECT_THAT(namesIn(numberFolder()), UnorderedElementsAre("1.key"));
}

TEST_F(FileKeyProviderTest, WritesTheDocumentedText) {
  fresh().createVersion(kWorkspace);
  const std::string text = contentOf(keyFile());
  const std::string head = "counterfoil key-encryption key v1\nworkspace 3\nversion 1\nkey ";
  ASSERT_TRUE(text.starts_with(head));
  const std::string key = text.substr(head.size(), 44);
  const auto bytes = fromBase64(key);
  ASSERT_TRUE(bytes && bytes->size() == 32);
  const std::string checked = head + key + "\n";
  const auto digest = crypto::sha256(crypto::Bytes(reinterpret_cast<const std::uint8_t*>(checked.data()), checked.size()));
  EXPECT_EQ(text, checked + "check " + toHex(digest) + "\n");
  // The file holds the very key that wraps.
  FileKeyProvider provider = fresh();
  const Wrapped wrapped = use(provider);
  EXPECT_EQ(wrapped.sealed, crypto::AeadKey(crypto::Bytes(*bytes)).seal(wrapped.nonce, {}, {}));
}

TEST_F(FileKeyProviderTest, RefusesEveryFlippedByte) {
  fresh().createVersion(kWorkspace);
  const std::string good = contentOf(keyFile());
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    write(keyFile(), bad);
    const Fault fault = faultOfUse();
    ASSERT_EQ(fault.code(), ErrorCode::keyDamaged) << "byte " << at;
    ASSERT_THAT(fault.detail(), HasSubstr(keyFile().string()));
    ASSERT_THAT(fault.hint(), HasSubstr("backup"));
    ASSERT_THAT(fault.detail() + fault.hint(), ::testing::Not(HasSubstr(good.substr(good.find("key ", 40) + 4, 12))));
  }
  for (const std::string& bad : {std::string(), good.substr(0, good.size() - 1), good + "\n", good + std::string(4096, 'x')}) {
    write(keyFile(), bad);
    EXPECT_EQ(faultOfUse().code(), ErrorCode::keyDamaged) << bad.size();
  }
  write(keyFile(), good);
  EXPECT_EQ(faultOfUse().detail(), "no fault");
}

TEST_F(FileKeyProviderTest, RefusesAKeyOfAnotherPlace) {
  fresh().createVersion(kWorkspace);
  fresh().createVersion(kWorkspace);
  fs::copy_file(keyFile(2), keyFile(1), fs::copy_options::overwrite_existing);
  EXPECT_EQ(faultOfUse().code(), ErrorCode::keyDamaged);
  fresh().createVersion(WorkspaceNumber{4});
  fs::copy_file(folder_.path() / "kek" / "4" / "1.key", keyFile(1), fs::copy_options::overwrite_existing);
  EXPECT_EQ(faultOfUse().code(), ErrorCode::keyDamaged);
}

TEST_F(FileKeyProviderTest, RefusesFilesAndFoldersOpenToOthers) {
  fresh().createVersion(kWorkspace);
  for (const mode_t bit : {0040, 0020, 0010, 0004, 0002, 0001}) {
    ::chmod(keyFile().c_str(), 0600 | bit);
    const Fault fault = faultOfUse();
    EXPECT_EQ(fault.code(), ErrorCode::keyPermissions) << bit;
    EXPECT_THAT(fault.hint(), HasSubstr("chmod 600 " + keyFile().string()));
  }
  ::chmod(keyFile().c_str(), 0600);
  for (const fs::path& folder : {folder_.path() / "kek", numberFolder()}) {
    ::chmod(folder.c_str(), 0750);
    const Fault fault = faultOfUse();
    EXPECT_EQ(fault.code(), ErrorCode::keyPermissions) << folder;
    EXPECT_THAT(fault.hint(), HasSubstr("chmod 700 " + folder.string()));
    ::chmod(folder.c_str(), 0700);
  }
  EXPECT_EQ(faultOfUse().detail(), "no fault");
}

TEST_F(FileKeyProviderTest, RefusesAnotherOwner) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  fresh().createVersion(kWorkspace);
  ASSERT_EQ(::chown(keyFile().c_str(), 1, static_cast<gid_t>(-1)), 0);
  const Fault fault = faultOfUse();
  EXPECT_EQ(fault.code(), ErrorCode::keyPermissions);
  EXPECT_THAT(fault.hint(), HasSubstr("chown"));
}

TEST_F(FileKeyProviderTest, FollowsNoLinks) {
  fresh().createVersion(kWorkspace);
  const fs::path elsewhere = folder_.path() / "elsewhere";
  for (const fs::path& path : {keyFile(), numberFolder(), folder_.path() / "kek"}) {
    fs::rename(path, elsewhere);
    fs::create_symlink(elsewhere, path);
    const Fault fault = faultOfUse();
    EXPECT_EQ(fault.code(), ErrorCode::keyPermissions) << path;
    EXPECT_THAT(fault.detail(), HasSubstr("symbolic link"));
    fs::remove(path);
    fs::rename(elsewhere, path);
  }
  EXPECT_EQ(faultOfUse().detail(), "no fault");
}

TEST_F(FileKeyProviderTest, NoticesAKeyThatAnotherProcessDestroyed) {
  FileKeyProvider provider = fresh();
  provider.createVersion(kWorkspace);
  use(provider);
  fresh().destroyVersion(kWorkspace, 1);
  EXPECT_THROW(use(provider), Fault);
}

TEST_F(FileKeyProviderTest, OverwritesWhatItDestroys) {
  fresh().createVersion(kWorkspace);
  // A second name for the same file shows what became of its bytes.
  const fs::path witness = folder_.path() / "witness";
  fs::create_hard_link(keyFile(), witness);
  const std::string before = contentOf(witness);
  fresh().destroyVersion(kWorkspace, 1);
  EXPECT_EQ(contentOf(witness), std::string(before.size(), '\0'));
  EXPECT_THAT(namesIn(numberFolder()), UnorderedElementsAre("1.destroyed"));
}

TEST_F(FileKeyProviderTest, FinishesAnInterruptedDestruction) {
  fresh().createVersion(kWorkspace);
  write(numberFolder() / "1.destroyed", "");
  EXPECT_EQ(fresh().currentVersion(kWorkspace), 0u);
  EXPECT_EQ(faultOfUse().code(), ErrorCode::keyMissing);
  EXPECT_EQ(fresh().createVersion(kWorkspace), 2u);
  EXPECT_THAT(namesIn(numberFolder()), UnorderedElementsAre("1.destroyed", "2.key"));
}

TEST_F(FileKeyProviderTest, ClearsWhatAnInterruptedCreationLeft) {
  fresh().createVersion(kWorkspace);
  const fs::path unfinished = numberFolder() / ".new-0011223344556677";
  write(unfinished, contentOf(keyFile()).substr(0, 100));
  const fs::path witness = folder_.path() / "witness";
  fs::create_hard_link(unfinished, witness);
  EXPECT_EQ(fresh().currentVersion(kWorkspace), 1u);
  EXPECT_EQ(fresh().createVersion(kWorkspace), 2u);
  EXPECT_THAT(namesIn(numberFolder()), UnorderedElementsAre("1.key", "2.key"));
  EXPECT_EQ(contentOf(witness), std::string(100, '\0'));
}

TEST_F(FileKeyProviderTest, IgnoresForeignNames) {
  fresh().createVersion(kWorkspace);
  for (const char* const name : {"01.key", "9.key.bak", "-2.key", "x.key", "99999999999.key", "7.KEY", ".key"})
    write(numberFolder() / name, "x");
  EXPECT_EQ(fresh().currentVersion(kWorkspace), 1u);
  EXPECT_EQ(fresh().createVersion(kWorkspace), 2u);
}

TEST_F(FileKeyProviderTest, SaysWhereTheKeysFolderIsMissing) {
  FileKeyProvider provider(folder_.path() / "none", random_);
  EXPECT_EQ(provider.currentVersion(kWorkspace), 0u);
  try {
    provider.createVersion(kWorkspace);
    FAIL() << "a keys folder was made up";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.code(), ErrorCode::keyMissing);
    EXPECT_THAT(fault.detail(), HasSubstr((folder_.path() / "none").string()));
  }
}

// In a child: a limit on file sizes is what a full disk looks like to a process that is not root.
TEST_F(FileKeyProviderTest, LeavesNothingHalfMadeOnAFullDisk) {
  fresh().createVersion(kWorkspace);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{50, 50};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      fresh().createVersion(kWorkspace);
      ::_exit(1);
    } catch (const Fault& fault) {
      ::_exit(fault.code() == ErrorCode::diskFull ? 0 : 2);
    }
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_THAT(namesIn(numberFolder()), UnorderedElementsAre("1.key"));
  EXPECT_EQ(fresh().createVersion(kWorkspace), 2u);
}

// The same limit kills a process that does not ignore the signal: here after the first 50 bytes of the file were written.
TEST_F(FileKeyProviderTest, IsNotThereWhenItsWriterDiedHalfWay) {
  fresh().createVersion(kWorkspace);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const rlimit noCore{0, 0};
    ::setrlimit(RLIMIT_CORE, &noCore);
    const rlimit limit{50, 50};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    fresh().createVersion(kWorkspace);
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ) << status;
  ASSERT_EQ(namesIn(numberFolder()).size(), 2u) << "the half-written file is what this is about";
  EXPECT_EQ(fresh().currentVersion(kWorkspace), 1u);
  EXPECT_EQ(fresh().createVersion(kWorkspace), 2u);
  EXPECT_THAT(namesIn(numberFolder()), UnorderedElementsAre("1.key", "2.key"));
}

// A child makes and destroys keys until it is killed at some instruction; whatever it left must be whole.
TEST_F(FileKeyProviderTest, SurvivesKillAtAnyMoment) {
  for (int round = 1; round <= 12; ++round) {
    int pipeEnds[2];
    ASSERT_EQ(::pipe(pipeEnds), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      FileKeyProvider provider = fresh();
      for (;;) {
        const std::uint32_t version = provider.createVersion(kWorkspace);
        if (::write(pipeEnds[1], &version, sizeof(version)) != sizeof(version)) ::_exit(1);
        if (version > 2) provider.destroyVersion(kWorkspace, version - 2);
      }
    }
    ::close(pipeEnds[1]);
    std::uint32_t acknowledged = 0;
    for (int made = 0; made < round; ++made) ASSERT_EQ(::read(pipeEnds[0], &acknowledged, sizeof(acknowledged)), 4);
    ::kill(child, SIGKILL);
    // What it told of before it died counts too.
    while (::read(pipeEnds[0], &acknowledged, sizeof(acknowledged)) == 4) {
    }
    ::close(pipeEnds[0]);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);

    FileKeyProvider provider = fresh();
    const std::uint32_t current = provider.currentVersion(kWorkspace);
    ASSERT_GE(current, acknowledged);
    ASSERT_LE(current, acknowledged + 1);
    EXPECT_NO_THROW(use(provider, acknowledged));
    EXPECT_NO_THROW(use(provider, current));
    ASSERT_EQ(provider.createVersion(kWorkspace), current + 1);
    for (const std::string& name : namesIn(numberFolder())) EXPECT_FALSE(name.starts_with(".new-")) << name;
  }
}

}  // namespace
}  // namespace counterfoil::keys::test

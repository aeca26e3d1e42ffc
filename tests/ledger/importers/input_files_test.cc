#include "ledger/importers/input_files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/ledger/crypto/memory_scan.h"
#include "tests/ledger/importers/cloudtrail_fixture.h"

namespace counterfoil::importers::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

constexpr std::string_view kSuffixes[] = {".json", ".json.gz"};

class InputFiles : public testing::Test {
 protected:
  InputList list(std::vector<fs::path> inputs) {
    InputList found = listInputs(inputs, kSuffixes, limits);
    return found;
  }
  std::vector<std::string> names(const InputList& found) {
    std::vector<std::string> result;
    for (const fs::path& file : found.files) result.push_back(file.lexically_relative(fs::canonical(folder.path())).string());
    return result;
  }
  std::string read(const fs::path& file) {
    InputStream stream(file, limits);
    std::string text;
    for (auto piece = stream.next(); !piece.empty(); piece = stream.next()) text.append(piece.begin(), piece.end());
    EXPECT_EQ(stream.offset(), text.size());
    return text;
  }
  std::string readFailure(std::string_view content) {
    write(file(), content);
    try {
      read(file());
    } catch (const Fault& fault) {
      return std::string(fault.what());
    }
    return "none";
  }
  fs::path file() { return folder.path() / "file"; }

  TemporaryFolder folder;
  InputLimits limits;
};

// Text that hardly compresses.
std::string noise(std::size_t bytes) {
  std::string text(bytes, '\0');
  std::uint64_t state = 1;
  for (char& c : text) c = static_cast<char>((state = state * 6364136223846793005ULL + 1442695040888963407ULL) >> 56);
  return text;
}

TEST_F(InputFiles, WalksFoldersAndTakesNamesOfTheRightKind) {
  write(folder.path() / "b/2024/x.json", "x");
  write(folder.path() / "b/2024/y.JSON.GZ", "x");
  write(folder.path() / "a.json", "x");
  write(folder.path() / "notes.txt", "x");
  write(folder.path() / "._a.json", "x");
  write(folder.path() / ".json", "x");
  const InputList found = list({folder.path()});
  EXPECT_THAT(names(found), ElementsAre("a.json", "b/2024/x.json", "b/2024/y.JSON.GZ"));
  EXPECT_EQ(found.otherNames, 3U);
  EXPECT_TRUE(found.problems.empty());
}

TEST_F(InputFiles, TakesAFileOnceHoweverOftenItIsNamed) {
  write(folder.path() / "b/x.json", "x");
  fs::create_symlink(folder.path() / "b/x.json", folder.path() / "link");
  const InputList found = list({folder.path() / "b", folder.path() / "b/../b/x.json", folder.path() / "link", folder.path()});
  EXPECT_THAT(names(found), ElementsAre("b/x.json"));
}

TEST_F(InputFiles, DoesNotFollowLinksInsideFolders) {
  TemporaryFolder outside;
  write(outside.path() / "secret.json", "x");
  write(folder.path() / "a/x.json", "x");
  fs::create_directory_symlink(folder.path(), folder.path() / "a/loop");
  fs::create_directory_symlink(outside.path(), folder.path() / "a/outside");
  fs::create_symlink(outside.path() / "secret.json", folder.path() / "a/secret.json");
  fs::create_symlink("/nowhere", folder.path() / "a/broken.json");
  const InputList found = list({folder.path()});
  EXPECT_THAT(names(found), ElementsAre("a/x.json"));
  EXPECT_EQ(found.links, 4U);
  EXPECT_EQ(list({folder.path() / "a/outside"}).files.size(), 1U) << "a link that is named itself is followed";
}

TEST_F(InputFiles, CountsPipesAndRefusesThemByName) {
  ASSERT_EQ(::mkfifo((folder.path() / "pipe.json").c_str(), 0600), 0);
  EXPECT_EQ(list({folder.path()}).special, 1U);
  EXPECT_THROW(list({folder.path() / "pipe.json"}), Fault);
  EXPECT_THROW(InputStream(folder.path() / "pipe.json", limits), Fault) << "must not wait for a writer";
}

TEST_F(InputFiles, RefusesInputsThatDoNotExist) {
  EXPECT_THROW(list({folder.path() / "none"}), Fault);
  fs::create_symlink(folder.path() / "self", folder.path() / "self");
  EXPECT_THROW(list({folder.path() / "self"}), Fault);
}

TEST_F(InputFiles, ReportsFoldersThatCannotBeRead) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads every folder";
  write(folder.path() / "closed/x.json", "x");
  write(folder.path() / "y.json", "x");
  fs::permissions(folder.path() / "closed", fs::perms::none);
  const InputList found = list({folder.path()});
  fs::permissions(folder.path() / "closed", fs::perms::owner_all);
  EXPECT_THAT(names(found), ElementsAre("y.json"));
  ASSERT_EQ(found.problems.size(), 1U);
  EXPECT_EQ(found.problems[0].code, ErrorCode::unreadableInput);
}

TEST_F(InputFiles, BoundsDepthAndNumber) {
  limits.folderDepthMax = 2;
  write(folder.path() / "1/2/x.json", "x");
  write(folder.path() / "1/2/3/y.json", "x");
  const InputList found = list({folder.path()});
  EXPECT_THAT(names(found), ElementsAre("1/2/x.json"));
  ASSERT_EQ(found.problems.size(), 1U);
  EXPECT_EQ(found.problems[0].code, ErrorCode::tooDeep);
  limits.filesMax = 0;
  EXPECT_THROW(list({folder.path()}), Fault);
}

TEST_F(InputFiles, ReadsStoredAndCompressedText) {
  const std::string text = noise(1'000'000);
  write(file(), text);
  EXPECT_EQ(read(file()), text);
  write(file(), gzip(text));
  EXPECT_EQ(read(file()), text);
  write(file(), gzip(text.substr(0, 7)) + gzip("") + gzip(text.substr(7)) + std::string(600'000, '\0'));
  EXPECT_EQ(read(file()), text) << "members are one text, padding is none";
  write(file(), "");
  EXPECT_EQ(read(file()), "");
}

TEST_F(InputFiles, SkipsToAnyPlace) {
  const std::string text = noise(2'000'000);
  for (const std::string& content : {text, gzip(text)}) {
    write(file(), content);
    InputStream stream(file(), limits);
    ASSERT_FALSE(stream.next().empty());
    for (const std::size_t place : {700'001UL, 700'002UL + 262'144, 1'999'999UL}) {
      stream.skipTo(place);
      const auto piece = stream.next();
      const std::uint64_t begin = stream.offset() - piece.size();
      EXPECT_EQ(begin, place);
      EXPECT_EQ(std::string(piece.begin(), piece.end()), text.substr(begin, piece.size()));
    }
    stream.skipTo(5'000'000);
    EXPECT_TRUE(stream.next().empty());
  }
}

TEST_F(InputFiles, EveryBeginningOfACompressedFileIsCutOff) {
  const std::string whole = gzip("{\"Records\":[]}");
  for (std::size_t bytes = 2; bytes < whole.size(); ++bytes) {
    EXPECT_THAT(readFailure(whole.substr(0, bytes)), testing::HasSubstr("cut off")) << bytes;
  }
}

TEST_F(InputFiles, EveryDamageOfACompressedFileIsSeen) {
  const std::string whole = gzip("{\"Records\":[]}");
  // Bytes 4 to 9 of the head are time, flags and system: they change nothing.
  for (std::size_t byte = 10; byte < whole.size(); ++byte) {
    std::string damaged = whole;
    damaged[byte] = static_cast<char>(damaged[byte] ^ 0xff);
    EXPECT_NE(readFailure(damaged), "none") << byte;
  }
  EXPECT_THAT(readFailure(whole + "something else"), testing::HasSubstr("damaged"));
  EXPECT_NE(readFailure(whole + "x"), "none");
  EXPECT_THAT(readFailure(whole + std::string(2, '\0') + "x"), testing::HasSubstr("something else"));
}

TEST_F(InputFiles, StopsBombsAndGiants) {
  EXPECT_THAT(readFailure(gzip(std::string(64'000'000, 'a'))), testing::HasSubstr("times its size"));
  limits.fileBytesMax = 1000;
  EXPECT_THAT(readFailure(std::string(1001, 'a')), testing::HasSubstr("too_large"));
  EXPECT_THAT(readFailure(gzip(std::string(1001, 'a'))), testing::HasSubstr("too_large"));
  EXPECT_EQ(readFailure(gzip(std::string(1000, 'a'))), "none");
}

TEST_F(InputFiles, StopsAFileThatGrowsWhileItIsRead) {
  limits.fileBytesMax = 300'000;
  write(file(), std::string(10, 'a'));
  InputStream stream(file(), limits);
  write(file(), std::string(400'000, 'a'));
  EXPECT_FALSE(stream.next().empty());
  EXPECT_THROW(stream.next(), Fault);
}

TEST_F(InputFiles, ToleratesWellCompressedShortFiles) {
  EXPECT_EQ(readFailure(gzip(std::string(900'000, 'a'))), "none");
}

// Writes stored blocks, so that the text stands in the file as it is, and neither a compressor nor a buffer of this test has held it.
void writeStoredGzip(const fs::path& file, std::span<const std::uint8_t> text) {
  const int out = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const auto put = [&](const void* data, std::size_t size) { ASSERT_EQ(::write(out, data, size), static_cast<ssize_t>(size)); };
  const auto number = [&](std::uint32_t value, std::size_t bytes) { put(&value, bytes); };  // little-endian, as this machine
  constexpr std::size_t kBlock = 60'000;
  put("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", 10);
  for (std::size_t at = 0; at < text.size(); at += kBlock) {
    const auto size = static_cast<std::uint32_t>(std::min(kBlock, text.size() - at));
    number(at + size == text.size() ? 1 : 0, 1);
    number(size, 2);
    number(~size, 2);
    put(text.data() + at, size);
  }
  number(static_cast<std::uint32_t>(crc32(crc32(0, nullptr, 0), text.data(), static_cast<unsigned>(text.size()))), 4);
  number(static_cast<std::uint32_t>(text.size()), 4);
  ::close(out);
}

TEST_F(InputFiles, LeavesNothingOfTheTextInMemory) {
  if (!crypto::test::kCanScanMemory) GTEST_SKIP() << "sanitizers keep freed memory";
  crypto::WipingVector text;
  std::uint64_t state = 7;
  for (std::size_t index = 0; index < 300'000; ++index) {
    text.push_back(static_cast<std::uint8_t>((state = state * 6364136223846793005ULL + 1442695040888963407ULL) >> 56));
  }
  const crypto::test::Needle needle(std::span<const std::uint8_t>(text).subspan(250'000, 64));
  writeStoredGzip(file(), text);
  crypto::WipingVector().swap(text);
  ASSERT_EQ(needle.occurrences(), 0U);
  auto stream = std::make_unique<InputStream>(file(), limits);
  EXPECT_EQ(stream->next().size(), 262'144U);
  EXPECT_EQ(needle.occurrences(), 3U) << "the control: as stored, as given, and in zlib's window";
  // Keeps the heap from giving the freed blocks back to the system, where nobody could look at them.
  const std::vector<char> lid(100'000);
  stream.reset();
  EXPECT_EQ(needle.occurrences(), 0U);
}

TEST_F(InputFiles, DoesNotOpenALinkThatTookAFilesPlace) {
  write(folder.path() / "target", "x");
  fs::create_symlink(folder.path() / "target", file());
  EXPECT_THROW(InputStream(file(), limits), Fault);
}

}  // namespace
}  // namespace counterfoil::importers::test

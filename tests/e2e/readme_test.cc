// What the documents tell people to type works, and prints what they say: every fenced block `sh` that begins with the line `# tour` is
// run, in order, in one fresh folder; a block `text` right behind it is its whole output. A line that ends in `# exit N` ends with that
// status. Blocks that begin with `# cluster` are run likewise, with a Kafka of their own where there is one to be had.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <array>
#include <boost/json/parse.hpp>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "tests/e2e/process.h"
#include "tests/support/free_port.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::test {
namespace {

constexpr std::string_view kShownFolder = "/home/you/tour";

struct Block {
  std::size_t line = 0;  // of the document, for people
  std::string commands;
  std::string output;  // empty: anything will do
};

std::vector<std::string> linesOf(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// The lines of the fenced block that begins at `at`; `at` then stands behind its end.
std::string takeFenced(const std::vector<std::string>& lines, std::size_t& at) {
  std::string text;
  for (++at; at < lines.size() && lines[at] != "```"; ++at) text += lines[at] + "\n";
  ++at;
  return text;
}

std::vector<Block> tourOf(const std::vector<std::string>& lines, std::string_view mark = "# tour") {
  std::vector<Block> blocks;
  for (std::size_t at = 0; at < lines.size();) {
    if (lines[at] != "```sh" || at + 1 >= lines.size() || lines[at + 1] != mark) {
      ++at;
      continue;
    }
    Block block;
    block.line = at + 1;
    block.commands = takeFenced(lines, at);
    if (at < lines.size() && lines[at] == "```text") block.output = takeFenced(lines, at);
    blocks.push_back(std::move(block));
  }
  return blocks;
}

// A command that must end with another status than 0 becomes one that fails if it does not.
std::string scriptOf(const Block& block) {
  constexpr std::string_view kMark = " # exit ";
  std::string script = "set -euo pipefail\n";
  std::string_view rest = block.commands;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t mark = line.rfind(kMark);
    if (mark == std::string_view::npos) {
      script += std::string(line) + "\n";
    } else {
      const std::string status(line.substr(mark + kMark.size()));
      script += "status=0\n" + std::string(line.substr(0, mark)) + " || status=$?\n";
      script += "[[ $status == " + status + " ]] || { echo \"ended with $status\"; exit 99; }\n";
    }
  }
  return script;
}

struct Ran {
  int status = -1;
  std::string output;  // standard output and error
};

Ran run(const std::string& command) {
  Ran ran;
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return ran;
  std::array<char, 4096> buffer{};
  for (std::size_t read = 0; (read = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) ran.output.append(buffer.data(), read);
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) ran.status = WEXITSTATUS(status);
  return ran;
}

bool isIn(char byte, std::string_view set) {
  return std::isdigit(static_cast<unsigned char>(byte)) != 0 || set.find(byte) != std::string_view::npos;
}

// `text` without what differs from run to run: times, hashes, fingerprints and the user become one word each,
// the scratch folder the one shown.
std::string comparable(std::string text, const std::string& folder) {
  for (std::size_t at = text.find(folder); at != std::string::npos; at = text.find(folder, at))
    text.replace(at, folder.size(), kShownFolder);
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && isIn(text[end], "abcdef")) ++end;
    if (end - at == 64) {
      result += "HASH";
      at = end;
      continue;
    }
    const std::string_view rest = std::string_view(text).substr(at);
    if (rest.size() > 20 && rest[4] == '-' && rest[7] == '-' && (rest[10] == 'T' || rest[10] == ' ') && rest[13] == ':' &&
        isIn(rest[0], "")) {
      for (end = at + 11; end < text.size() && isIn(text[end], ":."); ++end) continue;
      if (end < text.size() && text[end] == 'Z') ++end;
      result += "TIME";
      at = end;
      continue;
    }
    if (rest.starts_with("fp2:")) {
      for (end = at + 4; end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || isIn(text[end], ":-_")); ++end)
        continue;
      result += "FINGERPRINT";
      at = end;
      continue;
    }
    if (rest.starts_with("operator:")) {
      for (end = at + 9; end < text.size() && std::isspace(static_cast<unsigned char>(text[end])) == 0; ++end) continue;
      result += "operator:you";
      at = end;
      continue;
    }
    // Editors take blanks off the ends of lines.
    if (text[at] == '\n') result.erase(result.find_last_not_of(" \t") + 1);
    result += text[at++];
  }
  return result;
}

TEST(Readme, TheComparisonForgivesOnlyWhatDiffers) {
  const std::string hash(64, 'a');
  EXPECT_EQ(comparable("leaf " + hash + ", at 2026-11-21T01:10:26.850465504Z\n", "/x"), "leaf HASH, at TIME\n");
  EXPECT_EQ(comparable("in /tmp/a1/var", "/tmp/a1"), "in /home/you/tour/var");
  EXPECT_EQ(comparable("[redacted:known-secret:fp2:1:AbC_-0]", "/x"), "[redacted:known-secret:FINGERPRINT]");
  EXPECT_EQ(comparable("uses 1 of 3, seq 4", "/x"), "uses 1 of 3, seq 4");
  EXPECT_EQ(comparable("5\toperator:root\trenewed\t \n", "/x"), "5\toperator:you\trenewed\n");
}

// A tour may start a server: it must not outlive a tour that failed.
void stopServer(const std::filesystem::path& data) {
  std::ifstream file(data / "server.json");
  boost::system::error_code failed;
  const boost::json::value json = boost::json::parse(file, failed);
  if (failed || !json.is_object() || !json.get_object().contains("pid")) return;
  ::kill(static_cast<pid_t>(json.at("pid").to_number<std::int64_t>()), SIGTERM);
}

struct Tour {
  const char* document;
  std::size_t blocksMin;
};

void PrintTo(const Tour& tour, std::ostream* out) {
  *out << tour.document;
}

// Where a tour is played.
class Stage {
 public:
  Stage() {
    const std::filesystem::path binary = std::filesystem::absolute(binaryPath());
    EXPECT_TRUE(std::filesystem::exists(binary)) << "build the program first: " << binary;
    std::filesystem::create_directory(bin());
    std::filesystem::create_directory(folder());
    std::filesystem::create_symlink(binary, bin() / "counterfoil");
  }
  std::filesystem::path scratch() const { return scratch_.path(); }
  std::filesystem::path folder() const { return scratch() / "tour"; }
  Ran play(const Block& block) const {
    const std::filesystem::path script = scratch() / "block.sh";
    std::ofstream(script, std::ios::trunc) << scriptOf(block);
    return run("cd '" + folder().string() + "' && env -i PATH='" + bin().string() + "':/usr/bin:/bin HOME='" + scratch().string() +
               "' LC_ALL=C.UTF-8 bash '" + script.string() + "' 2>&1 </dev/null");
  }
  void compare(const Block& block, const Ran& ran, const std::string& document) const {
    if (block.output.empty()) return;
    const std::string here = folder().string();
    EXPECT_EQ(comparable(ran.output, here), comparable(block.output, here)) << document << ", line " << block.line;
  }

 private:
  std::filesystem::path bin() const { return scratch() / "bin"; }
  TemporaryFolder scratch_;
};

class DocumentedTour : public testing::TestWithParam<Tour> {};

TEST_P(DocumentedTour, WorksAsShown) {
  const std::string document = GetParam().document;
  const std::vector<Block> tour = tourOf(linesOf(std::string(COUNTERFOIL_SOURCE_DIR) + "/" + document));
  ASSERT_GE(tour.size(), GetParam().blocksMin) << document << " has lost its tour";
  const Stage stage;
  const std::filesystem::path data = stage.folder() / "var";
  for (const Block& block : tour) {
    const Ran ran = stage.play(block);
    if (ran.status != 0) stopServer(data);
    ASSERT_EQ(ran.status, 0) << document << ", line " << block.line << ":\n" << ran.output;
    stage.compare(block, ran, document);
  }
  EXPECT_FALSE(std::filesystem::exists(data / "server.json")) << document << " leaves a server behind";
  stopServer(data);
}

INSTANTIATE_TEST_SUITE_P(Documents, DocumentedTour, testing::Values(Tour{"README.md", 5}, Tour{"docs/server.md", 9}, Tour{"docs/erasure.md", 4}),
                         [](const auto& tour) { std::string name = std::filesystem::path(tour.param.document).stem().string();
                           name.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(name.front())));
                           return name == "README" ? std::string("Readme") : name;
                         });

// ---- the cluster ----

void replaceAll(std::string& text, std::string_view from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
}

// The brokers and nodes of a tour end with it, however it went.
struct ClusterEnd {
  const Stage& stage;
  ~ClusterEnd() {
    for (const char* node : {"a", "b"}) stopServer(stage.folder() / node);
    run("'" COUNTERFOIL_SOURCE_DIR "/ops/kafka/cluster' stop --remove --folder '" + (stage.scratch() / "kafka").string() + "' 2>&1");
  }
};

TEST(DocumentedCluster, WorksAsShown) {
  const std::vector<std::string> lines = linesOf(std::string(COUNTERFOIL_SOURCE_DIR) + "/README.md");
  std::vector<Block> tour = tourOf(lines, "# cluster");
  ASSERT_GE(tour.size(), 3U) << "README.md has lost its cluster";
  const Stage stage;
  const ClusterEnd end{stage};
  // The scripts as they are, with a folder and ports of this test's own.
  const std::filesystem::path scripts = stage.folder() / "ops" / "kafka";
  std::filesystem::create_directories(scripts);
  const std::string folder = " --folder '" + (stage.scratch() / "kafka").string() + "'";
  std::ofstream(scripts / "cluster") << "#!/bin/bash\nport=\n[[ $1 != start ]] || port='--port auto'\n"
                                     << "exec '" COUNTERFOIL_SOURCE_DIR "/ops/kafka/cluster' \"$@\" $port" << folder << "\n";
  std::ofstream(scripts / "topics") << "#!/bin/bash\nexec '" COUNTERFOIL_SOURCE_DIR "/ops/kafka/topics' \"$@\"" << folder << "\n";
  for (const char* name : {"cluster", "topics"}) std::filesystem::permissions(scripts / name, std::filesystem::perms::owner_all);
  for (const char* port : {"8780", "8781", "8790", "8791"}) {
    const std::string mine = std::to_string(freePort());
    for (Block& block : tour) replaceAll(block.commands, std::string("127.0.0.1:") + port, "127.0.0.1:" + mine);
  }
  for (const Block& block : tourOf(lines)) {
    const std::size_t begin = block.commands.find("cat > policy.toml");
    if (begin == std::string::npos) continue;
    const std::size_t length = block.commands.find("\nEOF\n", begin) + 5 - begin;
    ASSERT_EQ(stage.play({block.line, block.commands.substr(begin, length), {}}).status, 0);
  }
  for (const Block& block : tour) {
    const Ran ran = stage.play(block);
    // As ops/kafka/cluster says that there is no Kafka to be had here.
    if (&block == &tour.front() && ran.status == 3) GTEST_SKIP() << ran.output;
    ASSERT_EQ(ran.status, 0) << "README.md, line " << block.line << ":\n" << ran.output;
    stage.compare(block, ran, "README.md");
  }
}

}  // namespace
}  // namespace counterfoil::test

// Runs one fuzz target without libFuzzer: each file of its corpus, then a fixed number of seeded mutations of them. With file names as
// arguments only those are run, which is how a saved input is looked at again. An input that ends the process is written to
// <target>-crash in the working folder first.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;

constexpr std::size_t kMutations = 5'000;
constexpr std::size_t kMutationsLong = 250'000;
// The longest line intake accepts; longer inputs test nothing new.
constexpr std::size_t kInputBytesMax = 128 * 1024;
constexpr const char* kCrashFile = COUNTERFOIL_FUZZ_NAME "-crash";

// What a signal handler can still see of the input that runs.
const std::uint8_t* volatile runningData = nullptr;
volatile std::size_t runningSize = 0;

// Async-signal-safe.
void saveRunningInput() {
  const std::uint8_t* const data = runningData;
  if (data == nullptr) {
    return;
  }
  runningData = nullptr;
  const int file = ::open(kCrashFile, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) {
    return;
  }
  const bool saved = ::write(file, data, runningSize) == static_cast<ssize_t>(runningSize);
  static constexpr char kMessage[] = "replay: the input is saved as " COUNTERFOIL_FUZZ_NAME "-crash\n";
  if (saved && ::write(STDERR_FILENO, kMessage, sizeof(kMessage) - 1) < 0) {
    ::_exit(1);
  }
  ::close(file);
}

void onSignal(int signal) {
  saveRunningInput();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void watchCrashes() {
  std::signal(SIGABRT, onSignal);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_set_death_callback(saveRunningInput);
#else
  std::signal(SIGSEGV, onSignal);
  std::signal(SIGFPE, onSignal);
  std::signal(SIGBUS, onSignal);
  std::signal(SIGILL, onSignal);
#endif
}

// The target gets an exact-size copy, so that a read past its end is one past an allocation.
void run(const Input& input, const std::string& name) {
  const Input exact(input.begin(), input.end());
  runningData = exact.data();
  runningSize = exact.size();
  try {
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
  } catch (const std::exception&) {
    saveRunningInput();
    ADD_FAILURE() << "an exception escaped the target on " << name << ", saved as " << kCrashFile;
  }
  runningData = nullptr;
}

Input readFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << "cannot read " << path;
  return Input(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

// Corpus files in name order: the same mutations on every machine.
std::vector<std::filesystem::path> corpusFiles() {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(COUNTERFOIL_FUZZ_CORPUS)) {
    for (const auto& item : std::filesystem::directory_iterator(COUNTERFOIL_FUZZ_CORPUS)) {
      if (item.is_regular_file()) {
        files.push_back(item.path());
      }
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

// splitmix64: small, fixed for ever, so that a mutation's number names its bytes.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  // Uniform enough in [0, bound); bound > 0.
  std::size_t below(std::size_t bound) {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebULL;
    return static_cast<std::size_t>((mixed ^ (mixed >> 31U)) % bound);
  }

 private:
  std::uint64_t state_;
};

void mutateOnce(Input& input, const std::vector<Input>& corpus, Dice& dice) {
  static constexpr std::uint8_t kEdges[] = {0x00, 0x01, 0x7f, 0x80, 0xff, '"', '\\', '{', '[', ',', '\n', '0', '-', 0xc0, 0xed, 0xf4};
  const std::size_t at = input.empty() ? 0 : dice.below(input.size());
  const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
  const std::size_t length = input.empty() ? 0 : 1 + dice.below(std::min<std::size_t>(input.size() - at, 64));
  const Input slice(place, place + static_cast<std::ptrdiff_t>(length));
  switch (input.empty() ? 4 : dice.below(7)) {
    case 0:
      *place ^= static_cast<std::uint8_t>(1U << dice.below(8));
      break;
    case 1:
      *place = kEdges[dice.below(std::size(kEdges))];
      break;
    case 2:
      input.resize(at);
      break;
    case 3:
      input.erase(place, place + static_cast<std::ptrdiff_t>(length));
      break;
    case 4:
      input.insert(place, kEdges[dice.below(std::size(kEdges))]);
      break;
    case 5:
      input.insert(place, slice.begin(), slice.end());
      break;
    default: {
      const Input& other = corpus[dice.below(corpus.size())];
      const std::size_t from = other.empty() ? 0 : dice.below(other.size());
      input.resize(at);
      input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
    }
  }
}

TEST(Replay, CorpusRuns) {
  const auto files = corpusFiles();
  ASSERT_FALSE(files.empty()) << "no inputs in " << COUNTERFOIL_FUZZ_CORPUS << ": a target without a corpus tests next to nothing";
  for (const auto& file : files) {
    run(readFile(file), file.filename().string());
  }
  run({}, "the empty input");
}

TEST(Replay, SeededMutationsOfTheCorpusRun) {
  const auto files = corpusFiles();
  ASSERT_FALSE(files.empty()) << "no inputs in " << COUNTERFOIL_FUZZ_CORPUS;
  std::vector<Input> corpus(files.size());
  std::transform(files.begin(), files.end(), corpus.begin(), readFile);
  const std::size_t count = std::getenv("COUNTERFOIL_TEST_LONG") == nullptr ? kMutations : kMutationsLong;
  for (std::size_t number = 0; number < count && !testing::Test::HasFailure(); ++number) {
    Dice dice(number);
    Input input = corpus[number % corpus.size()];
    for (std::size_t rounds = 1 + dice.below(4); rounds > 0; --rounds) {
      mutateOnce(input, corpus, dice);
    }
    input.resize(std::min(input.size(), kInputBytesMax));
    run(input, "mutation " + std::to_string(number) + " of " + files[number % files.size()].filename().string());
  }
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const std::vector<std::string> filesGiven(argv + 1, argv + argc);
  watchCrashes();
  if (filesGiven.empty()) {
    return RUN_ALL_TESTS();
  }
  for (const std::string& file : filesGiven) {
    run(readFile(file), file);
  }
  return testing::UnitTest::GetInstance()->ad_hoc_test_result().Failed() ? 1 : 0;
}

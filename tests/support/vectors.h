// Test data that lies beside the repository (`../shared`, or where COUNTERFOIL_SHARED points): read in place, never copied in.
// A test that misses it skips visibly:
//
//   const auto path = test::sharedPath("vectors/transparency/rfc6962/inclusion.json");
//   if (!path) GTEST_SKIP() << test::kSharedMissing;
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

namespace counterfoil::test {

inline constexpr const char* kSharedMissing = "the shared test data is not there (set COUNTERFOIL_SHARED to its folder)";

// The folder of shared test data. COUNTERFOIL_SHARED decides if it is set, even when it names nothing.
inline std::optional<std::filesystem::path> sharedFolder() {
  const char* const fromEnvironment = std::getenv("COUNTERFOIL_SHARED");
  const std::filesystem::path folder = fromEnvironment != nullptr && *fromEnvironment != '\0'
                                           ? std::filesystem::path(fromEnvironment)
                                           : std::filesystem::path(COUNTERFOIL_SOURCE_DIR) / ".." / "shared";
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) return std::nullopt;
  return folder.lexically_normal();
}

// A file or folder below it; nullopt if it does not exist.
inline std::optional<std::filesystem::path> sharedPath(std::string_view relative) {
  const auto folder = sharedFolder();
  if (!folder) return std::nullopt;
  std::error_code error;
  const std::filesystem::path path = *folder / relative;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  return path;
}

// The bytes of a file; nullopt if it cannot be read.
inline std::optional<std::string> readFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) return std::nullopt;
  return bytes;
}

// The bytes of a file below the shared folder; nullopt if it is not there.
inline std::optional<std::string> readShared(std::string_view relative) {
  const auto path = sharedPath(relative);
  return path ? readFile(*path) : std::nullopt;
}

}  // namespace counterfoil::test

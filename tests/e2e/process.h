// The program under test as a process.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/support/program.h"

namespace counterfoil::test {

// The program: what the environment variable COUNTERFOIL_BIN names, else the binary built beside these tests.
inline std::string binaryPath() {
  const char* named = std::getenv("COUNTERFOIL_BIN");
  return named != nullptr && *named != '\0' ? named : COUNTERFOIL_BINARY;
}

class Process : public Program {
 public:
  // `words` without the program's name.
  explicit Process(const std::vector<std::string>& words, const std::vector<std::string>& environment = {})
      : Program(argumentsOf(words), optionsOf(environment)) {}

 private:
  static std::vector<std::string> argumentsOf(const std::vector<std::string>& words) {
    std::vector<std::string> arguments = {binaryPath()};
    arguments.insert(arguments.end(), words.begin(), words.end());
    return arguments;
  }
  static ProgramOptions optionsOf(const std::vector<std::string>& environment) {
    ProgramOptions options;
    options.environment = environment;
    return options;
  }
};

}  // namespace counterfoil::test

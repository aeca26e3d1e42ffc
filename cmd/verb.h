// The command line as verbs declare it: their names, options and what --help says of them. The one door to the library that parses it: that
// is large, and only verb.cc pays for it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace counterfoil::cmd {

// A handle; the parser owns the option. Every method gives the same option back.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}
  Option required();
  // Read from this variable if the command line does not have it.
  Option environment(const char* variable);
  // --help shows the value that the variable has now.
  Option showDefault();
  Option oneOf(const std::vector<std::string>& values);
  // Inclusive.
  Option within(std::uint64_t least, std::uint64_t most);
  Option between(double least, double most);
  Option existingFolder();
  Option separatedByCommas();
  Option excludes(Option other);

 private:
  CLI::Option* option_;
};

// A handle; the parser owns the verb. What options are bound to must outlive parsing. `names` are "--long", "--long,-s", or without dashes
// an argument by its place.
class Verb {
 public:
  explicit Verb(CLI::App* app) : app_(app) {}
  Verb verb(const char* name, const char* description);
  // One of its verbs must follow.
  void requireVerb();
  Option option(const char* names, std::string& value, const char* description);
  Option option(const char* names, std::vector<std::string>& values, const char* description);  // repeatable
  Option option(const char* names, std::uint64_t& value, const char* description);
  Option option(const char* names, unsigned& value, const char* description);
  Option option(const char* names, double& value, const char* description);
  Option option(const char* names, std::optional<std::uint64_t>& value, const char* description);
  // `take` gets the text.
  Option option(const char* names, std::function<void(const std::string&)> take, const char* description);
  Option flag(const char* names, bool& value, const char* description);
  // `then` is called once everything was parsed, if this verb was named.
  void whenGiven(std::function<void()> then);

 private:
  CLI::App* app_;
};

// What parsing came to.
struct Parsed {
  std::optional<int> exitStatus;       // --help or --version was answered: end with it
  std::optional<std::string> problem;  // a sentence without any value that was typed
};
// Declares the program's verbs and parses. Thread: main.
Parsed parseCommandLine(int argc, char** argv, const char* description, const std::string& version,
                        const std::function<void(Verb)>& declare);

}  // namespace counterfoil::cmd

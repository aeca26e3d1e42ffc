#include "cmd/verb.h"

#include <CLI/CLI.hpp>

namespace counterfoil::cmd {

Option Option::required() {
  option_->required();
  return *this;
}

Option Option::environment(const char* variable) {
  option_->envname(variable);
  return *this;
}

Option Option::showDefault() {
  option_->capture_default_str();
  return *this;
}

Option Option::oneOf(const std::vector<std::string>& values) {
  option_->check(CLI::IsMember(values));
  return *this;
}

Option Option::within(std::uint64_t least, std::uint64_t most) {
  option_->check(CLI::Range(least, most));
  return *this;
}

Option Option::between(double least, double most) {
  option_->check(CLI::Range(least, most));
  return *this;
}

Option Option::existingFolder() {
  option_->check(CLI::ExistingDirectory);
  return *this;
}

Option Option::separatedByCommas() {
  option_->delimiter(',');
  return *this;
}

Option Option::excludes(Option other) {
  option_->excludes(other.option_);
  return *this;
}

Verb Verb::verb(const char* name, const char* description) {
  return Verb(app_->add_subcommand(name, description));
}

void Verb::requireVerb() {
  app_->require_subcommand(1);
}

Option Verb::option(const char* names, std::string& value, const char* description) {
  return Option(app_->add_option(names, value, description));
}

Option Verb::option(const char* names, std::vector<std::string>& values, const char* description) {
  return Option(app_->add_option(names, values, description));
}

Option Verb::option(const char* names, std::uint64_t& value, const char* description) {
  return Option(app_->add_option(names, value, description));
}

Option Verb::option(const char* names, unsigned& value, const char* description) {
  return Option(app_->add_option(names, value, description));
}

Option Verb::option(const char* names, double& value, const char* description) {
  return Option(app_->add_option(names, value, description));
}

Option Verb::option(const char* names, std::optional<std::uint64_t>& value, const char* description) {
  return Option(app_->add_option(names, value, description));
}

Option Verb::option(const char* names, std::function<void(const std::string&)> take, const char* description) {
  return Option(app_->add_option_function<std::string>(names, take, description));
}

Option Verb::flag(const char* names, bool& value, const char* description) {
  return Option(app_->add_flag(names, value, description));
}

void Verb::whenGiven(std::function<void()> then) {
  app_->callback(std::move(then));
}

namespace {

// The parser quotes what was typed, and that may be a secret in the wrong place: only its sentences without values are passed on.
std::string sentence(const CLI::ParseError& error) {
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) return error.what();
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) return "an argument was not expected here";
  return "an argument has a value that it cannot have, or none";
}

}  // namespace

Parsed parseCommandLine(int argc, char** argv, const char* description, const std::string& version,
                        const std::function<void(Verb)>& declare) {
  CLI::App app{description};
  app.name("counterfoil");
  app.set_version_flag("--version", version);
  app.require_subcommand(1);
  declare(Verb(&app));
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return {app.exit(success), std::nullopt};
  } catch (const CLI::ParseError& error) {
    return {std::nullopt, sentence(error)};
  }
  return {};
}

}  // namespace counterfoil::cmd

// What can go wrong when a program talks to a Counterfoil server: one exception type. A denied request is an answer, not an error.
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace counterfoil::client {

// Codes of the library itself; every other code is the server's own (docs/server.md, errors). Stable: match on them.
inline constexpr std::string_view kUsage = "usage";                       // an option or a request that cannot be sent
inline constexpr std::string_view kUnreadableInput = "unreadable_input";  // a file named in the options
inline constexpr std::string_view kBadToken = "bad_token";                // what should hold a token holds none; the server's code as well
inline constexpr std::string_view kUntrustedServer = "untrusted_server";  // its certificate does not hold: nothing was sent
inline constexpr std::string_view kNotReady = "not_ready";                // nobody answers, or a reading was cut; the server's code as well
// A command was sent and its answer never came: it may be recorded or not, and the same again with the same id says which.
inline constexpr std::string_view kIndeterminate = "indeterminate";
inline constexpr std::string_view kTooLarge = "too_large";            // an answer past what the library takes; the server's code as well
inline constexpr std::string_view kForeignAnswer = "foreign_answer";  // no Counterfoil server, or one of another version

struct ErrorFacts {
  std::string code;
  std::string detail;     // what happened
  std::string hint;       // what to do; may be empty
  std::string field;      // RFC 6901 pointer into the request, or the name of an option; empty when no single one is to blame
  std::string requestId;  // of the server's log; empty if no server answered
  int status = 0;         // HTTP; 0 if no server answered
};

// Its texts are the server's problem details or the library's own sentences: they never hold a token, a secret or a value of a request.
class Error : public std::exception {
 public:
  explicit Error(ErrorFacts facts);
  Error(std::string_view code, std::string detail, std::string hint = {}, std::string field = {});

  const std::string& code() const { return facts_.code; }
  const std::string& detail() const { return facts_.detail; }
  const std::string& hint() const { return facts_.hint; }
  const std::string& field() const { return facts_.field; }
  const std::string& requestId() const { return facts_.requestId; }
  int status() const { return facts_.status; }
  const ErrorFacts& facts() const { return facts_; }
  // Nothing is wrong with the request: the same again, with the same id, may go well later.
  bool isPassing() const;
  // "code: detail".
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  ErrorFacts facts_;
  std::string what_;
};

// Of an answer that is no success: its problem details, or what its status alone says. `body` of any kind.
Error errorOf(int status, std::string_view body, std::string_view requestId);

// "what answers at this URL is no server of this version".
Error foreignAnswer();

}  // namespace counterfoil::client

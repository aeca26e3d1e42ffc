#include "ledger/core/policy_syntax.h"

#include <cstddef>
#include <string>

#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"

namespace counterfoil {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kLanguageHint = "a policy is made of comments, [[rule]] headers and `key = value` lines; see docs/policy.md";

bool isWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+';
}

bool isKeyStart(char c) {
  return (isWord(c) && c != '+') || c == '"' || c == '\'';
}

class SyntaxCheck {
 public:
  explicit SyntaxCheck(std::string_view text) : text_(text) {
    if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
  }

  void run() {
    refuseControls();
    while (at_ < text_.size()) {
      if (lineStart_ && !inList_) startLine();
      if (at_ < text_.size()) step();
    }
    if (inList_) refuse(ErrorCode::invalidValue, "a list is not closed");
  }

 private:
  [[noreturn]] void refuse(ErrorCode code, std::string_view what, std::string_view hint = kLanguageHint) const {
    throw Fault(code, "policy, line " + std::to_string(line_) + ": " + std::string(what), std::string(hint));
  }

  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  void skipBlanks() {
    while (peek() == ' ' || peek() == '\t') ++at_;
  }

  void refuseControls() {
    for (std::size_t i = 0; i < text_.size(); ++i) {
      const auto byte = static_cast<unsigned char>(text_[i]);
      if (byte == '\n') ++line_;
      const bool lineEnd = byte == '\n' || (byte == '\r' && i + 1 < text_.size() && text_[i + 1] == '\n');
      if ((byte < 0x20 && byte != '\t' && !lineEnd) || byte == 0x7f) {
        refuse(ErrorCode::invalidValue, "a control character", "use line feeds, tabs and printable characters only");
      }
    }
    line_ = 1;
  }

  // At the first character of a line outside a list. Leaves at_ behind an opening `[` or `[[`, else at the first character that counts.
  void startLine() {
    lineStart_ = false;
    inHeader_ = false;
    inValue_ = false;
    skipBlanks();
    if (at_ == text_.size() || peek() == '\n' || peek() == '\r' || peek() == '#') return;
    if (peek() == '[') {
      inHeader_ = true;
      at_ += peek(1) == '[' ? 2 : 1;
      skipBlanks();
      // A few more than there may be rules: the exact count is taken later, this one bounds the library's work.
      if (++headers_ > limits::kPolicyRulesMax + 8) refuse(ErrorCode::tooLarge, "more than 1,000 rules", "merge rules, or use patterns");
    }
    if (!isKeyStart(peek())) refuse(ErrorCode::invalidValue, "neither a key nor a header");
  }

  [[noreturn]] void refuseDot() const {
    refuse(ErrorCode::invalidValue, "a dotted key or a fraction", "keys have no dots outside of strings, numbers are whole");
  }

  // Behind a string or a word: nothing may stand right next to it. (The library would go on reading, at places that are not made for it.)
  void refuseNeighbour() const {
    if (at_ < text_.size() && std::string_view(" \t\r\n,]=#").find(peek()) == std::string_view::npos) {
      refuse(ErrorCode::invalidValue, "two values without anything between them");
    }
  }

  void skipString(char quote) {
    if (peek(1) == quote && peek(2) == quote) refuse(ErrorCode::invalidValue, "a string of several lines", "write the string on one line");
    for (++at_; peek() != quote; ++at_) {
      if (at_ >= text_.size() || peek() == '\n') refuse(ErrorCode::invalidValue, "a string is not closed", "close it on the same line");
      if (quote == '"' && peek() == '\\') ++at_;
    }
    ++at_;
    refuseNeighbour();
  }

  // A word outside of quotation marks: on the left of `=` a key, on the right only a whole number. (Dates, times, fractions and booleans
  // are no values of a policy, and the library's parser of dates has reachable assertions.)
  void skipWord() {
    const std::size_t start = at_;
    while (isWord(peek())) ++at_;
    if (peek() == '.') refuseDot();
    refuseNeighbour();
    if (!inValue_) return;
    std::string_view word = text_.substr(start, at_ - start);
    if (word.front() == '+' || word.front() == '-') word.remove_prefix(1);
    if (word.empty() || word.find_first_not_of("0123456789_") != std::string_view::npos) {
      refuse(ErrorCode::invalidValue, "a value that is neither a string nor a whole number", "put strings between quotation marks");
    }
  }

  void openBracket() {
    if (inHeader_) refuse(ErrorCode::invalidValue, "a bracket inside a header");
    if (inList_) refuse(ErrorCode::tooDeep, "a list inside a list");
    if (!inValue_) refuse(ErrorCode::invalidValue, "a list without a key");
    inList_ = true;
    ++at_;
  }

  void closeBracket() {
    if (!inHeader_ && !inList_) refuse(ErrorCode::invalidValue, "a closing bracket without an opening one");
    inList_ = false;
    ++at_;
  }

  void step() {
    const char c = peek();
    switch (c) {
      case '\n':
        ++line_;
        lineStart_ = true;
        ++at_;
        return;
      case '#':
        while (at_ < text_.size() && peek() != '\n') ++at_;
        return;
      case '"':
      case '\'':
        return skipString(c);
      case '[':
        return openBracket();
      case ']':
        return closeBracket();
      case '{':
      case '}':
        refuse(ErrorCode::tooDeep, "an inline table", "write a [[rule]] header and one key a line");
      case '.':
        refuseDot();
      case ' ':
      case '\t':
      case '\r':
      case ',':
        ++at_;
        return;
      case '=':
        if (inHeader_ || inValue_) refuse(ErrorCode::invalidValue, "an `=` too many", "write one key a line");
        inValue_ = true;
        ++at_;
        return;
      default:
        if (!isWord(c)) refuse(ErrorCode::invalidValue, "a character outside of a string that has no meaning in a policy");
        skipWord();
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t headers_ = 0;
  bool lineStart_ = true;
  bool inHeader_ = false;
  bool inValue_ = false;  // behind the `=` of a line
  bool inList_ = false;
};

}  // namespace

void checkPolicySyntax(std::string_view text) {
  if (text.size() > limits::kPolicyBytesMax) throw Fault(ErrorCode::tooLarge, "policy: more than 48 KiB", "merge rules, or use patterns");
  if (!isUtf8(text)) throw Fault(ErrorCode::invalidUtf8, "policy: not UTF-8", "save the document as UTF-8");
  SyntaxCheck(text).run();
}

}  // namespace counterfoil

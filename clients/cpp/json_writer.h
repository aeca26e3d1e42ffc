// JSON for requests, written into memory that is wiped. Texts must be UTF-8: the server says so if they are not.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "clients/cpp/wiping_string.h"

namespace counterfoil::client {

inline void appendJsonText(std::string_view text, WipingString& out) {
  constexpr char kDigits[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += kDigits[static_cast<unsigned char>(c) >> 4];
      out += kDigits[static_cast<unsigned char>(c) & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

// One object: begins with its brace, ends with end().
class JsonObjectWriter {
 public:
  explicit JsonObjectWriter(WipingString& out) : out_(out) { out_ += '{'; }
  // The member whose value is written next.
  void name(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    appendJsonText(name, out_);
    out_ += ':';
  }
  // A member, left out if it is empty.
  void text(std::string_view memberName, std::string_view value) {
    if (value.empty()) return;
    name(memberName);
    appendJsonText(value, out_);
  }
  void number(std::string_view memberName, std::uint64_t value) {
    name(memberName);
    out_ += std::to_string(value);
  }
  void end() { out_ += '}'; }

 private:
  WipingString& out_;
  bool first_ = true;
};

}  // namespace counterfoil::client

// The first look at a policy document, before the TOML library sees it; private to policy_parse.cc.
#pragma once

#include <string_view>

namespace counterfoil {

// Throws Fault unless `text` keeps to the small part of TOML a policy needs: comments, `[[rule]]` headers, `key = value` lines with plain
// keys, one-line strings, whole numbers, and lists without lists inside. The library still decides whether the document is TOML; what this
// keeps from it is what would end or stall the process: its assertions stay on and some are reachable (`[=]`), and its recursion follows
// the nesting of lists, inline tables and dotted keys.
// Codes: tooLarge (bytes, headers), invalidUtf8, tooDeep, invalidValue. The detail names the line, never text.
void checkPolicySyntax(std::string_view text);

}  // namespace counterfoil

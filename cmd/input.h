// Files and standard input as verbs take them; bytes that may hold secrets stay in wiping memory.
#pragma once

#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "ledger/core/event.h"
#include "ledger/crypto/wiping.h"

namespace counterfoil::cmd {

// A whole file, or standard input for "-". Throws Fault(unreadableInput | tooLarge).
crypto::SecretBytes readAll(const std::string& path, std::size_t bytesMax);

// A secret from standard input: everything up to the end, without one trailing newline (the shell's, not the secret's).
crypto::SecretBytes readSecret();

// Calls `line` for each line of a file or of standard input, without its newline; stops when it returns false. Lines longer than
// `bytesMax` are given as nullopt. Lines are given as they arrive; `idle`, if any, is called each time before it waits for more. Wipes its
// buffers.
void forEachLine(const std::string& path, std::size_t bytesMax, const std::function<bool(std::optional<std::string_view>)>& line,
                 const std::function<void()>& idle = nullptr);

// "agent:fixer" into a principal. Throws Fault(invalidValue) naming `flag`.
PrincipalValue parsePrincipal(std::string_view text, const char* flag);

// "90", "90s", "15m", "2h", "7d" in seconds. Throws Fault(invalidValue) naming `flag`.
std::uint64_t parseDuration(const std::string& text, const char* flag);

// The number of an enumeration's text, or Fault(invalidValue) listing the choices.
std::uint16_t enumNumber(const StructValue& value, Field field, const std::string& text, const char* flag);

}  // namespace counterfoil::cmd

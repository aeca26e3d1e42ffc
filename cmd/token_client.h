// The other end of the server's token socket: for `token`, and for verbs that talk to a server and have no token.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace counterfoil::cmd {

struct TokenOrder {
  std::string role;
  std::string workspace;         // empty: all
  std::string subject;           // empty: the operator who asks
  std::uint64_t ttlSeconds = 0;  // 0: the longest allowed
  std::string certificate;       // hex SHA-256 of the client certificate the token is bound to; empty: none
};

// One request (server/auth/token_desk.h) to the server that runs on the data folder, and its answer, a JSON object. Blocks, at most 30 s.
// Throws Fault: notReady if no server listens there (its hint: `counterfoil serve`), keyPermissions if the socket is another user's; the
// server's own fault if it answers with one.
std::string askTokenSocket(const std::filesystem::path& dataFolder, std::string_view request);

// Asks for a token and gives its answer, the JSON of a mint. Throws as askTokenSocket().
std::string mintToken(const std::filesystem::path& dataFolder, const TokenOrder& order);

// The token alone; what verbs send as `Authorization: Bearer`.
std::string requestToken(const std::filesystem::path& dataFolder, const TokenOrder& order);

// The SHA-256, as hex, of the first certificate of a PEM file. Throws Fault(unreadableInput | tooLarge | invalidValue).
std::string certificateDigest(const std::string& pemFile);

}  // namespace counterfoil::cmd

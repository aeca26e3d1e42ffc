#include <algorithm>
#include <cstdio>
#include <memory>

#include "clients/cpp/error.h"
#include "clients/cpp/http_client.h"

namespace counterfoil::client {
namespace {

constexpr std::size_t kTokenBytesMax = 8 * 1024;

Secret readToken(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
  if (!file) throw Error(kUnreadableInput, "the token file cannot be read", "check its path and permissions", "tokenFile");
  // Unbuffered: the C library's buffer would not be wiped.
  std::setvbuf(file.get(), nullptr, _IONBF, 0);
  crypto::WipingVector bytes(kTokenBytesMax + 3);
  const std::size_t count = std::fread(bytes.data(), 1, bytes.size(), file.get());
  if (std::ferror(file.get()) != 0) throw Error(kUnreadableInput, "the token file cannot be read", "check that it is a file", "tokenFile");
  return Secret(std::span<const std::uint8_t>(bytes.data(), count));
}

}  // namespace

std::string_view tokenIn(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~+/=").find(c) != std::string_view::npos;
  };
  if (text.empty() || text.size() > kTokenBytesMax || !std::all_of(text.begin(), text.end(), allowed)) {
    throw Error(kBadToken, "what was given as token is none", "`counterfoil token mint` prints one", "token");
  }
  return text;
}

std::function<Secret()> tokenFile(std::string path) {
  return [path = std::move(path)] { return readToken(path); };
}

}  // namespace counterfoil::client

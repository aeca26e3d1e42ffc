#include "cmd/input.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"

namespace counterfoil::cmd {
namespace {

struct Closer {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};
using File = std::unique_ptr<std::FILE, Closer>;

File openInput(const std::string& path) {
  // Unbuffered: the C library's buffer would not be wiped.
  File file(path == "-" ? stdin : std::fopen(path.c_str(), "rbe"));
  if (!file)
    throw Fault(ErrorCode::unreadableInput, "cannot read " + path + ": " + std::strerror(errno), "check the path and its permissions");
  std::setvbuf(file.get(), nullptr, _IONBF, 0);
  return file;
}

}  // namespace

crypto::SecretBytes readAll(const std::string& path, std::size_t bytesMax) {
  const File file = openInput(path);
  crypto::WipingVector bytes;
  std::size_t used = 0;
  for (;;) {
    bytes.resize(used + 65'536);
    const std::size_t count = std::fread(bytes.data() + used, 1, 65'536, file.get());
    used += count;
    if (used > bytesMax) throw Fault(ErrorCode::tooLarge, path + " is larger than " + std::to_string(bytesMax) + " bytes", "");
    if (count == 0) break;
  }
  if (std::ferror(file.get()) != 0) throw Fault(ErrorCode::unreadableInput, "cannot read " + path, "check that it is a file");
  return crypto::SecretBytes(std::span<const std::uint8_t>(bytes.data(), used));
}

crypto::SecretBytes readSecret() {
  const crypto::SecretBytes all = readAll("-", limits::kSecretBytesMax + 1);
  std::string_view text = all.text();
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.empty())
    throw Fault(ErrorCode::invalidValue, "standard input holds no secret",
                "pipe it in: printf %s \"$SECRET\" | counterfoil ... --secret-stdin");
  return crypto::SecretBytes(text);
}

void forEachLine(const std::string& path, std::size_t bytesMax, const std::function<bool(std::optional<std::string_view>)>& line,
                 const std::function<void()>& idle) {
  const File file = openInput(path);
  crypto::WipingVector buffer(256 * 1024);
  crypto::WipingVector pending;
  bool overlong = false;
  const auto finish = [&]() {
    const bool go = overlong ? line(std::nullopt) : line(std::string_view(reinterpret_cast<const char*>(pending.data()), pending.size()));
    crypto::wipe(pending.data(), pending.size());
    pending.clear();
    overlong = false;
    return go;
  };
  for (;;) {
    pollfd input{::fileno(file.get()), POLLIN, 0};
    if (idle && ::poll(&input, 1, 0) == 0) idle();
    // Not fread: it would wait until the whole buffer is full.
    const ssize_t got = ::read(input.fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Fault(ErrorCode::unreadableInput, "cannot read " + path, "check that it is a file");
    if (got == 0) break;
    const auto count = static_cast<std::size_t>(got);
    for (std::size_t at = 0; at < count;) {
      const auto* newline = static_cast<const std::uint8_t*>(std::memchr(buffer.data() + at, '\n', count - at));
      const std::size_t end = newline == nullptr ? count : static_cast<std::size_t>(newline - buffer.data());
      if (pending.size() + (end - at) > bytesMax) {
        overlong = true;
      } else {
        pending.insert(pending.end(), buffer.begin() + static_cast<std::ptrdiff_t>(at), buffer.begin() + static_cast<std::ptrdiff_t>(end));
      }
      at = end + 1;
      if (newline != nullptr && !finish()) return;
    }
  }
  if (!pending.empty() || overlong) finish();
}

PrincipalValue parsePrincipal(std::string_view text, const char* flag) {
  const auto colon = text.find(':');
  const auto& texts = schemaTables().principal->find(Field::kind)->enumeration;
  const auto kind = colon == std::string_view::npos ? std::nullopt : texts->find(text.substr(0, colon));
  if (!kind || static_cast<PrincipalKind>(*kind) == PrincipalKind::ledger || colon + 1 == text.size()) {
    throw Fault(ErrorCode::invalidValue, std::string(flag) + " must be kind:id with kind human, agent, service or operator",
                "for example agent:fixer", flag);
  }
  return {static_cast<PrincipalKind>(*kind), text.substr(colon + 1)};
}

std::uint64_t parseDuration(const std::string& text, const char* flag) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  const std::string_view unit(at, static_cast<std::size_t>(end - at));
  const std::uint64_t factor = unit.empty() || unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : unit == "d" ? 86'400 : 0;
  if (error != std::errc() || factor == 0 || number > static_cast<std::uint64_t>(limits::kTtlSecondsMax)) {
    throw Fault(ErrorCode::invalidValue, std::string(flag) + " must be a duration such as 90s, 15m, 2h or 7d", "", flag);
  }
  return number * factor;
}

std::uint16_t enumNumber(const StructValue& value, Field field, const std::string& text, const char* flag) {
  const FieldTable& table = *value.table->find(field);
  if (const auto number = table.enumeration->find(text)) return *number;
  std::string choices;
  for (std::size_t index = 1; index < table.enumeration->texts.size(); ++index)
    choices += (index == 1 ? "" : ", ") + table.enumeration->texts[index];
  throw Fault(ErrorCode::invalidValue, std::string(flag) + " is not one of its values", "choose one of: " + choices, flag);
}

}  // namespace counterfoil::cmd

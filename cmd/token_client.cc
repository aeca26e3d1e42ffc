#include "cmd/token_client.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <system_error>
#include <thread>

#include "cmd/input.h"
#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "ledger/core/outcome.h"
#include "ledger/crypto/digest.h"
#include "ledger/keys/key_file.h"
#include "server/token_socket.h"

namespace counterfoil::cmd {
namespace {

constexpr time_t kAnswerSeconds = 30;
constexpr std::size_t kAnswerBytesMax = 16 * 1024 * 1024;
constexpr std::size_t kCertificateFileMax = 256 * 1024;

[[noreturn]] void failConnection(int error) {
  if (error == ENOENT || error == ENOTDIR || error == ECONNREFUSED) {
    throw Fault(ErrorCode::notReady, "no server runs on this data folder", "start it with `counterfoil serve`", "--data");
  }
  if (error == EACCES || error == EPERM) {
    throw Fault(ErrorCode::keyPermissions, "the token socket belongs to another user", "run this as the user the server runs as");
  }
  throw Fault(ErrorCode::notReady, "the server does not answer: " + std::generic_category().message(error),
              "try again, or look at its log");
}

keys::Descriptor connectTo(const std::filesystem::path& folder) {
  const keys::Descriptor directory(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) failConnection(errno);
  std::string path = (folder / server::kTokenSocketName).string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    path = "/proc/self/fd/" + std::to_string(directory.get()) + "/" + std::string(server::kTokenSocketName);
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  keys::Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval wait{kAnswerSeconds, 0};
  if (!socket || ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0 ||
      ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) != 0) {
    failConnection(errno);
  }
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) failConnection(errno);
  return socket;
}

void sendAll(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) failConnection(errno);
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string receiveLine(int socket) {
  std::string answer;
  std::array<char, 4096> part{};
  while (answer.empty() || answer.back() != '\n') {
    const ssize_t got = ::recv(socket, part.data(), part.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) failConnection(errno);
    if (got == 0 || answer.size() > kAnswerBytesMax) {
      throw Fault(ErrorCode::notReady, "the server ended the conversation", "is it stopping? Look at its log");
    }
    answer.append(part.data(), static_cast<std::size_t>(got));
  }
  answer.pop_back();
  return answer;
}

std::string textIn(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

[[noreturn]] void throwAnswered(const boost::json::object& error) {
  const ErrorCode code = errorCodeOf(textIn(error, "code")).value_or(ErrorCode::internal);
  throw Fault(code, textIn(error, "detail"), textIn(error, "hint"), textIn(error, "field"));
}

// The fault that the server answers with, if it does; connection faults are thrown.
std::optional<boost::json::object> faultOf(const std::filesystem::path& dataFolder, std::string_view request, std::string& answer) {
  const keys::Descriptor socket = connectTo(dataFolder);
  sendAll(socket.get(), std::string(request) + "\n");
  answer = receiveLine(socket.get());
  boost::json::error_code error;
  const boost::json::value json = boost::json::parse(answer, error);
  if (error || !json.is_object()) throw Fault(ErrorCode::notReady, "what listens on the token socket is no server of this version");
  const boost::json::value* fault = json.get_object().if_contains("error");
  if (fault != nullptr && fault->is_object()) return fault->get_object();
  return std::nullopt;
}

std::string orderText(const TokenOrder& order) {
  std::string request;
  JsonObject object(request);
  object.text("request", "mint").text("role", order.role);
  if (!order.workspace.empty()) object.text("workspace", order.workspace);
  if (!order.subject.empty()) object.text("subject", order.subject);
  if (order.ttlSeconds != 0) object.number("ttlSeconds", order.ttlSeconds);
  if (!order.certificate.empty()) object.text("certificate", order.certificate);
  object.end();
  return request;
}

}  // namespace

std::string askTokenSocket(const std::filesystem::path& dataFolder, std::string_view request) {
  std::string answer;
  if (const auto fault = faultOf(dataFolder, request, answer)) throwAnswered(*fault);
  return answer;
}

std::string mintToken(const std::filesystem::path& dataFolder, const TokenOrder& order) {
  return askTokenSocket(dataFolder, orderText(order));
}

std::string requestToken(const std::filesystem::path& dataFolder, const TokenOrder& order) {
  // Between two writers nobody can record an order for some seconds.
  constexpr int kTriesMax = 10;
  constexpr std::chrono::milliseconds kBetween{500};
  std::string answer;
  for (int tries = 1;; ++tries) {
    const auto fault = faultOf(dataFolder, orderText(order), answer);
    if (!fault) break;
    if (tries == kTriesMax || errorCodeOf(textIn(*fault, "code")) != ErrorCode::notReady) throwAnswered(*fault);
    std::this_thread::sleep_for(kBetween);
  }
  std::string token = textIn(boost::json::parse(answer).get_object(), "token");
  if (token.empty()) throw Fault(ErrorCode::notReady, "what listens on the token socket is no server of this version");
  return token;
}

std::string certificateDigest(const std::string& pemFile) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
  const crypto::SecretBytes content = readAll(pemFile, kCertificateFileMax);
  const std::string_view text = content.text();
  const std::size_t begin = text.find(kBegin);
  const std::size_t end = begin == std::string_view::npos ? begin : text.find(kEnd, begin);
  std::optional<std::vector<std::uint8_t>> der;
  if (end != std::string_view::npos) {
    std::string digits(text.substr(begin + kBegin.size(), end - begin - kBegin.size()));
    std::erase_if(digits, [](char digit) { return digit == '\n' || digit == '\r' || digit == ' ' || digit == '\t'; });
    der = fromBase64(digits);
  }
  if (!der || der->empty() || der->front() != 0x30) {
    throw Fault(ErrorCode::invalidValue, "the file holds no certificate in PEM form", "it begins with -----BEGIN CERTIFICATE-----",
                "--cert");
  }
  return toHex(crypto::sha256(*der));
}

}  // namespace counterfoil::cmd

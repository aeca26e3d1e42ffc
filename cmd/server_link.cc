#include "cmd/server_link.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cerrno>
#include <cstdlib>
#include <fstream>

#include "cmd/command_json.h"
#include "cmd/input.h"
#include "cmd/token_client.h"
#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"
#include "ledger/crypto/digest.h"
#include "ledger/keys/key_file.h"
#include "server/http/tls.h"
#include "server/token_socket.h"

namespace counterfoil::cmd {
namespace {

constexpr std::size_t kServerFileBytesMax = 64 * 1024;
constexpr std::size_t kTokenBytesMax = 8 * 1024;
constexpr std::uint64_t kTokenSeconds = 300;
constexpr std::chrono::seconds kTokenOld{240};
// A person waits for the answer, and may try again.
constexpr client::RetryLimits kLimits{std::chrono::seconds(120), 4, std::chrono::seconds(5)};
constexpr std::string_view kWorkspaces = "/v1/workspaces/";
constexpr const char* kTokenVariable = "COUNTERFOIL_TOKEN";

bool listens(const std::filesystem::path& folder) {
  const keys::Descriptor directory(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const keys::Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!directory || !socket) return false;
  // Through the folder's descriptor: the path itself may be longer than an address takes.
  const std::string path = "/proc/self/fd/" + std::to_string(directory.get()) + "/" + std::string(server::kTokenSocketName);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), address.sun_path);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
  return errno == EACCES || errno == EPERM;  // there, but another user's
}

// "sha256//..." of the public key of the first certificate in a PEM file. Throws Fault(unreadableInput).
std::string pinOf(const std::string& file) {
  const crypto::SecretBytes content = readAll(file, kServerFileBytesMax * 4);
  const std::vector<std::uint8_t> key = server::publicKeyOf(content.text());
  if (key.empty()) {
    throw Fault(ErrorCode::unreadableInput, "the configured certificate (tls_cert) holds none", "`counterfoil config` shows its path");
  }
  const crypto::Digest digest = crypto::sha256(key);
  return "sha256//" + toBase64(digest);
}

HttpOptions optionsOf(const CommonOptions& common, const std::string& url) {
  HttpOptions options;
  options.url = url;
  options.authorities = common.authorities;
  options.limits = kLimits;
  return options;
}

// Who can read the folder knows the server by its very key: the address it listens on need not be a name in its certificate.
HttpOptions optionsOf(const CommonOptions& common, const RunningServer& running) {
  HttpOptions options = optionsOf(common, running.url);
  if (!options.authorities.empty() || running.certificate.empty()) return options;
  options.authorities = running.certificate;
  options.pinnedKey = pinOf(running.certificate);
  return options;
}

Fault noWorkspace() {
  return Fault(ErrorCode::noSuchItem, "there is no such workspace",
               "`counterfoil workspace list` shows them; `workspace create` makes one");
}

bool isOfTenant(const std::string& target) {
  return target.starts_with(kWorkspaces) && !target.substr(kWorkspaces.size()).starts_with("_system");
}

}  // namespace

std::optional<RunningServer> runningServer(const std::filesystem::path& dataFolder) {
  std::ifstream file(dataFolder / "server.json", std::ios::binary);
  if (!file) return std::nullopt;
  std::string text(kServerFileBytesMax, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  boost::json::error_code failed;
  const boost::json::value json = boost::json::parse(text, failed);
  if (failed || !json.is_object()) return std::nullopt;
  const boost::json::value* url = json.get_object().if_contains("url");
  const boost::json::value* pid = json.get_object().if_contains("pid");
  if (url == nullptr || !url->is_string() || pid == nullptr || !pid->is_int64() || pid->get_int64() <= 0) return std::nullopt;
  if (::kill(static_cast<pid_t>(pid->get_int64()), 0) != 0 && errno != EPERM) return std::nullopt;
  if (!listens(dataFolder)) return std::nullopt;
  const boost::json::value* certificate = json.get_object().if_contains("certificate");
  RunningServer running;
  running.url = std::string(url->get_string());
  if (certificate != nullptr && certificate->is_string()) running.certificate = std::string(certificate->get_string());
  running.pid = static_cast<std::uint64_t>(pid->get_int64());
  return running;
}

std::unique_ptr<ServerLink> ServerLink::find(const CommonOptions& common) {
  const auto running = runningServer(common.data);
  const bool own = running && (common.url.empty() || common.url == running->url);
  if (common.url.empty() && !own) return nullptr;
  const char* variable = std::getenv(kTokenVariable);
  TokenFrom from = own ? TokenFrom::socket : TokenFrom::nowhere;
  if (variable != nullptr && *variable != '\0') from = TokenFrom::environment;
  if (!common.tokenFile.empty()) from = TokenFrom::file;
  TokenOrder order;
  order.role = "owner";
  order.ttlSeconds = kTokenSeconds;
  std::unique_ptr<ServerLink> link(
      new ServerLink(common, own ? optionsOf(common, *running) : optionsOf(common, common.url), from, std::move(order)));
  link->refreshToken();
  return link;
}

std::unique_ptr<ServerLink> ServerLink::as(const CommonOptions& common, TokenOrder order) {
  const auto running = runningServer(common.data);
  if (!running) throw Fault(ErrorCode::notReady, "no server runs on this data folder", "start it: `counterfoil serve`");
  order.ttlSeconds = kTokenSeconds;
  std::unique_ptr<ServerLink> link(new ServerLink(common, optionsOf(common, *running), TokenFrom::socket, std::move(order)));
  link->refreshToken();
  return link;
}

ServerLink::ServerLink(const CommonOptions& common, HttpOptions options, TokenFrom from, TokenOrder order)
    : common_(common),
      client_([&] {
        if (from != TokenFrom::nowhere) options.token = [common, from, order] { return tokenOf(common, from, order); };
        return std::move(options);
      }()),
      tokenFrom_(from) {}

client::Secret ServerLink::tokenOf(const CommonOptions& common, TokenFrom from, const TokenOrder& order) {
  switch (from) {
    case TokenFrom::nowhere:
      break;
    case TokenFrom::environment: {
      const char* text = std::getenv(kTokenVariable);
      return client::Secret(std::string_view(text == nullptr ? "" : text));
    }
    case TokenFrom::file:
      return readAll(common.tokenFile, kTokenBytesMax + 2);
    case TokenFrom::socket: {
      std::string token = requestToken(common.data, order);
      client::Secret secret{std::string_view(token)};
      crypto::wipe(token.data(), token.size());
      return secret;
    }
  }
  return {};
}

void ServerLink::refreshToken() {
  tokenSince_ = std::chrono::steady_clock::now();
  try {
    client_.refreshToken();
  } catch (const Fault& fault) {
    if (fault.code() != ErrorCode::badToken) throw;
    const char* from = tokenFrom_ == TokenFrom::file     ? "the token file"
                       : tokenFrom_ == TokenFrom::socket ? "the server's answer"
                                                         : kTokenVariable;
    throw Fault(ErrorCode::badToken, std::string(from) + " holds no token", fault.hint());
  }
}

void ServerLink::refreshWhenOld() {
  if (tokenFrom_ == TokenFrom::socket && std::chrono::steady_clock::now() - tokenSince_ > kTokenOld) refreshToken();
}

template <class Ask>
auto ServerLink::ask(const HttpRequest& request, const Ask& ask) {
  refreshWhenOld();
  try {
    return ask();
  } catch (const Fault& fault) {
    if (fault.code() == ErrorCode::notAllowed && fault.field().empty() && tokenFrom_ == TokenFrom::socket && lacksWorkspace(request.target))
      throw noWorkspace();
    throw;
  }
}

// What an owner may not do is forbidden for a reason of its own, or there is no such workspace; only then is its very head refused.
bool ServerLink::lacksWorkspace(const std::string& target) {
  if (!isOfTenant(target)) return false;
  HttpRequest head;
  head.target = target.substr(0, target.find_first_of("/?", kWorkspaces.size()));
  try {
    client_.send(head);
    return false;
  } catch (const Fault& fault) {
    return fault.code() == ErrorCode::notAllowed;
  }
}

HttpAnswer ServerLink::send(const HttpRequest& request) {
  return ask(request, [&] { return client_.send(request); });
}

void ServerLink::stream(const HttpRequest& request, const std::function<bool(std::string_view)>& chunk, const std::stop_token& stop) {
  ask(request, [&] { client_.stream(request, chunk, stop); });
}

std::string ServerLink::target(std::string_view behind) const {
  if (common_.workspace.empty()) throw noWorkspace();
  return "/v1/workspaces/" + percentEncoded(common_.workspace) + std::string(behind);
}

std::string ServerLink::recordAs(ServerRequest wanted, const EntryId& id) {
  const bool given = id != EntryId{};
  const std::string key = given ? toUuid(id) : client::makeCommandId(client::Surroundings::real());
  HttpRequest request;
  request.method = wanted.method;
  request.target = wanted.target;
  request.contentType = wanted.contentType;
  request.body = wanted.body;
  request.headers.emplace_back("Idempotency-Key", key);
  try {
    HttpAnswer answer = send(request);
    boost::json::error_code failed;
    const boost::json::value json = boost::json::parse(answer.body, failed);
    if (failed || !json.is_object() || !json.get_object().contains("outcome")) {
      throw Fault(ErrorCode::indeterminate, "what answers at this URL is no server of this version", "look at the URL");
    }
    return std::move(answer.body);
  } catch (const Fault& fault) {
    if (fault.code() != ErrorCode::indeterminate || given) throw;
    throw Fault(fault.code(), fault.detail(), "ask again with --id " + key + ": a repeat gets the first answer", fault.field());
  }
}

std::string ServerLink::record(const Command& command) {
  return recordAs(requestOf(command, common_.workspace), command.id);
}

std::string ServerLink::record(const Event& fact) {
  return recordAs(requestOf(fact, common_.workspace), fact.id);
}

}  // namespace counterfoil::cmd

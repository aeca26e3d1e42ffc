// The server a verb talks to, if there is one (INTERFACE: server or not): where it is, and the token it takes.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "cmd/http_client.h"
#include "cmd/options.h"
#include "cmd/token_client.h"
#include "ledger/core/event.h"

namespace counterfoil::cmd {

// What <data>/server.json says of a server that lives: its process is there and listens on its token socket.
struct RunningServer {
  std::string url;
  std::string certificate;  // path of the PEM file it started with; empty: plain HTTP
  std::uint64_t pid = 0;
};
// nullopt: none. Does not throw for a file that is damaged or left over.
std::optional<RunningServer> runningServer(const std::filesystem::path& dataFolder);

// Owned by one thread.
class ServerLink final : public client::Requests {
 public:
  // --url, else the server of the data folder; nullptr: there is none, and the folder itself is to be opened. The token is that of
  // --token-file or COUNTERFOIL_TOKEN, else, of the folder's own server, one of five minutes as owner over its token socket. Throws Fault:
  // usage for the URL, unreadableInput or badToken for the token, and those of the socket.
  static std::unique_ptr<ServerLink> find(const CommonOptions& common);
  // To the server of the data folder, with tokens made to order over its token socket. Throws Fault: notReady if none runs, and those of
  // the socket.
  static std::unique_ptr<ServerLink> as(const CommonOptions& common, TokenOrder order);

  // As those of HttpClient, with Fault for its errors and a new token when the old one's time is over. Of a token that may do everything,
  // "not allowed" of a workspace means that there is none: noSuchItem.
  HttpAnswer send(const HttpRequest& request) override;
  void stream(const HttpRequest& request, const std::function<bool(std::string_view)>& chunk, const std::stop_token& stop) override;

  // A command or a fact of --workspace as one request, recorded once however often it is sent; the answer's JSON.
  std::string record(const Command& command);
  std::string record(const Event& fact);

  // "/v1/workspaces/<id>" and what stands behind it.
  std::string target(std::string_view behind) const;

 private:
  enum class TokenFrom { nowhere, environment, file, socket };
  ServerLink(const CommonOptions& common, HttpOptions options, TokenFrom from, TokenOrder order);
  static client::Secret tokenOf(const CommonOptions& common, TokenFrom from, const TokenOrder& order);
  void refreshToken();
  void refreshWhenOld();
  bool lacksWorkspace(const std::string& target);
  template <class Ask>
  auto ask(const HttpRequest& request, const Ask& ask);
  std::string recordAs(struct ServerRequest request, const EntryId& id);

  CommonOptions common_;
  HttpClient client_;
  TokenFrom tokenFrom_;
  std::chrono::steady_clock::time_point tokenSince_;
};

}  // namespace counterfoil::cmd

// The token socket: a Unix socket in the data folder through which whoever runs the ledger gets tokens, without having one.
#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/auth/token_desk.h"

namespace counterfoil::server {

namespace asio = boost::asio;

inline constexpr std::string_view kTokenSocketName = "token.sock";

// Who may use the socket: the user the server runs as, and root, by the kernel's word (SO_PEERCRED).
constexpr bool mayUseTokenSocket(uid_t peer, uid_t server) {
  return peer == server || peer == 0;
}

// Who answers a request if it is not the desk here: the node that writes, while that is another one. nullopt: the desk. On the socket's
// executor; both texts live until the answer, which is as TokenDesk's. What the request revokes is in force here before it is passed on.
using PassOn = std::function<std::optional<asio::awaitable<std::string>>(std::string_view request, std::string_view by)>;

// One line with a request of TokenDesk in, one line with its answer out, then the connection ends. A peer that may not use the socket, or
// sends no line within ten seconds, gets none. At most 64 connections at a time; more wait.
class TokenSocket {
 public:
  // Makes `<folder>/token.sock`, mode 0600, in place of one that an earlier server left: the caller holds the data folder's lock. `desk`
  // and `blocking`, where its work is done, must outlive the run of `executor`. Throws Fault(notReady | alreadyExists), the latter if
  // something that is no socket has the name.
  TokenSocket(const std::filesystem::path& folder, asio::any_io_executor executor, asio::thread_pool& blocking, TokenDesk& desk,
              PassOn passOn = {});
  // stop(), and the file is gone.
  ~TokenSocket();
  // Ends accepting and every connection that waits for its request, soon; thread safe. Answers that are being made are still sent.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace counterfoil::server

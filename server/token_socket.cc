#include "server/token_socket.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <chrono>
#include <optional>
#include <set>
#include <system_error>
#include <vector>

#include "ledger/core/outcome.h"
#include "ledger/keys/key_file.h"
#include "server/await.h"

namespace counterfoil::server {
namespace {

using Unix = asio::local::stream_protocol;
using boost::system::error_code;

constexpr std::size_t kConnectionsMax = 64;
constexpr std::chrono::seconds kPeerTime{10};
constexpr std::chrono::milliseconds kAcceptPause{100};

// Errors come as values: one that is thrown out of co_await costs more than it tells here.
constexpr auto asValue = asio::as_tuple(asio::use_awaitable);

[[noreturn]] void failSystem(const std::filesystem::path& path, const char* what, int error) {
  throw Fault(ErrorCode::notReady, std::string(what) + " " + path.string() + ": " + std::generic_category().message(error),
              "check the data folder and its permissions");
}

// "operator:<user name>" of a peer that may use the socket; nullopt for others.
std::optional<std::string> nameOfPeer(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || !mayUseTokenSocket(peer.uid, ::geteuid())) return std::nullopt;
  std::array<char, 4096> room{};
  passwd entry{};
  passwd* found = nullptr;
  std::string name = "uid-" + std::to_string(peer.uid);
  if (::getpwuid_r(peer.uid, &entry, room.data(), room.size(), &found) == 0 && found != nullptr) name = found->pw_name;
  name = "operator:" + name;
  // A user name that the record cannot hold as an id is told by its number.
  return parseSubject(name) ? name : "operator:uid-" + std::to_string(peer.uid);
}

// A path that fits a socket's address: a long one goes through the folder's descriptor.
class SocketAddress {
 public:
  explicit SocketAddress(const std::filesystem::path& folder) : folder_(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    if (!folder_) failSystem(folder, "cannot open", errno);
    path_ = (folder / kTokenSocketName).string();
    if (path_.size() >= sizeof(sockaddr_un::sun_path)) {
      path_ = "/proc/self/fd/" + std::to_string(folder_.get()) + "/" + std::string(kTokenSocketName);
    }
  }
  int folder() const { return folder_.get(); }
  const std::string& path() const { return path_; }

 private:
  keys::Descriptor folder_;
  std::string path_;
};

}  // namespace

// Everything but the desk's work happens on one strand. Coroutines that nobody waits for hold the state as their own parameter.
struct TokenSocket::State {
  using Strand = asio::strand<asio::any_io_executor>;

  State(const std::filesystem::path& where, asio::any_io_executor executor, asio::thread_pool& pool, TokenDesk& tokens, PassOn elsewhere)
      : address(where),
        strand(asio::make_strand(std::move(executor))),
        acceptor(strand),
        turn(strand),
        blocking(pool),
        desk(tokens),
        passOn(std::move(elsewhere)) {}

  SocketAddress address;
  Strand strand;
  Unix::acceptor acceptor;
  asio::steady_timer turn;  // the accepting coroutine waits on it for a free place, or a little
  asio::thread_pool& blocking;
  TokenDesk& desk;
  const PassOn passOn;
  std::set<Unix::socket*> waiting;  // connections whose request is not there yet
  std::size_t connections = 0;
  bool stopped = false;

  void listen(const std::filesystem::path& path);
  void unlink() const { ::unlinkat(address.folder(), kTokenSocketName.data(), 0); }
  static asio::awaitable<void> accept(std::shared_ptr<State> state);
  static asio::awaitable<void> serve(std::shared_ptr<State> state, Unix::socket socket);
  asio::awaitable<void> converse(Unix::socket& socket);
  asio::awaitable<std::string> answerTo(std::string_view request, std::string_view by);
};

void TokenSocket::State::listen(const std::filesystem::path& path) {
  struct stat facts {};
  if (::fstatat(address.folder(), kTokenSocketName.data(), &facts, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!S_ISSOCK(facts.st_mode)) {
      throw Fault(ErrorCode::alreadyExists, path.string() + " is no socket", "move it away; the server makes a socket of that name");
    }
    unlink();
  }
  error_code error;
  acceptor.open(Unix(), error);
  if (!error) acceptor.bind(Unix::endpoint(address.path()), error);
  if (error) failSystem(path, "cannot make", error.value());
  // Nobody can connect before listen(), so the mode is right before the first peer comes.
  const bool isPrivate = ::fchmodat(address.folder(), kTokenSocketName.data(), S_IRUSR | S_IWUSR, 0) == 0;
  const int reason = errno;
  if (isPrivate) acceptor.listen(static_cast<int>(kConnectionsMax), error);
  if (!isPrivate || error) {
    unlink();
    failSystem(path, "cannot open to its peers", isPrivate ? error.value() : reason);
  }
}

asio::awaitable<void> TokenSocket::State::accept(std::shared_ptr<State> state) {
  while (!state->stopped) {
    if (state->connections >= kConnectionsMax) {
      state->turn.expires_at(asio::steady_timer::time_point::max());
      co_await state->turn.async_wait(asValue);
      continue;
    }
    Unix::socket socket(state->strand);
    const auto [error] = co_await state->acceptor.async_accept(socket, asValue);
    if (state->stopped) co_return;
    if (error) {  // no descriptors left, or the peer is gone again
      state->turn.expires_after(kAcceptPause);
      co_await state->turn.async_wait(asValue);
      continue;
    }
    ++state->connections;
    asio::co_spawn(state->strand, serve(state, std::move(socket)), asio::detached);
  }
}

asio::awaitable<void> TokenSocket::State::serve(std::shared_ptr<State> state, Unix::socket socket) {
  try {
    co_await state->converse(socket);
  } catch (const std::exception&) {
    // No memory, or the pool is going: the peer sees the connection end without an answer.
  }
  state->waiting.erase(&socket);
  --state->connections;
  state->turn.cancel();
}

asio::awaitable<void> TokenSocket::State::converse(Unix::socket& socket) {
  const std::optional<std::string> peer = nameOfPeer(socket.native_handle());
  if (!peer) co_return;
  waiting.insert(&socket);
  // Ends the socket's operation when the peer takes too long. The strand runs this between two steps of the coroutine, never after it
  // ended: the timer is cancelled by then, and a handler that was queued already looks at `over`.
  const auto over = std::make_shared<bool>(false);
  struct AtEnd {
    std::shared_ptr<bool> flag;
    ~AtEnd() { *flag = true; }
  } const atEnd{over};
  asio::steady_timer timer(strand);
  const auto arm = [&socket, &timer, over] {
    timer.expires_after(kPeerTime);
    timer.async_wait([&socket, over](const error_code& error) {
      error_code ignored;
      if (!error && !*over) socket.close(ignored);
    });
  };
  arm();
  crypto::WipingVector line;
  auto buffer = asio::dynamic_buffer(line, kDeskOrderBytesMax);
  const auto [readError, bytes] = co_await asio::async_read_until(socket, buffer, '\n', asValue);
  timer.cancel();
  waiting.erase(&socket);
  std::string_view request;
  if (readError == asio::error::not_found) {
    request = "";  // too long: no JSON, says the desk
  } else if (readError) {
    co_return;
  } else {
    request = {reinterpret_cast<const char*>(line.data()), bytes - 1};
  }
  std::string answer = co_await answerTo(request, *peer);
  const std::array<asio::const_buffer, 2> sent = {asio::buffer(answer), asio::buffer("\n", 1)};
  arm();
  co_await asio::async_write(socket, sent, asValue);
  timer.cancel();
  crypto::wipe(answer.data(), answer.size());
}

asio::awaitable<std::string> TokenSocket::State::answerTo(std::string_view request, std::string_view by) {
  std::optional<asio::awaitable<std::string>> elsewhere;
  if (passOn) elsewhere = passOn(request, by);
  if (elsewhere) {
    desk.enforce(request);
    co_return co_await std::move(*elsewhere);
  }
  // Named first: the compiler's coroutines are not to be trusted with temporaries in the call.
  auto work = [this, request, by] { return desk.answer(request, by); };
  co_return co_await onPool(blocking, std::move(work));
}

TokenSocket::TokenSocket(const std::filesystem::path& folder, asio::any_io_executor executor, asio::thread_pool& blocking, TokenDesk& desk,
                         PassOn passOn)
    : state_(std::make_shared<State>(folder, std::move(executor), blocking, desk, std::move(passOn))) {
  state_->listen(folder / kTokenSocketName);
  asio::co_spawn(state_->strand, State::accept(state_), asio::detached);
}

TokenSocket::~TokenSocket() {
  stop();
  state_->unlink();
}

void TokenSocket::stop() {
  asio::post(state_->strand, [state = state_] {
    state->stopped = true;
    error_code ignored;
    state->acceptor.close(ignored);
    state->turn.cancel();
    for (Unix::socket* socket : state->waiting) socket->close(ignored);
  });
}

}  // namespace counterfoil::server

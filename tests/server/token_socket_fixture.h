// A token socket over a real ledger with its views, and what its tests ask of it.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <thread>

#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"
#include "ledger/log/embedded_log.h"
#include "ledger/write/ledger.h"
#include "projections/runner.h"
#include "projections/views/view_file.h"
#include "server/auth/strict_jwt.h"
#include "server/token_socket.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_key_provider.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::server {

namespace json = boost::json;
inline constexpr std::string_view kOrigin = "ledger.example/prod";

class TokenSocketTest : public testing::Test {
 protected:
  void SetUp() override {
    log::EmbeddedLogOptions options;
    options.directory = folder_.path() / "log";
    log::EmbeddedLog::create(options, {"ledger", std::string(kOrigin), clock_.wall()});
    openLedger();
    Command create = Command::make(CommandKind::workspaceCreate);
    create.body.setText(create.arena, Field::workspaceId, "alpha");
    ledger_->execute("", std::move(create));
    views::makeViewFolder(views());
    openServer();
  }
  void TearDown() override {
    closeServer();
    if (ledger_ != nullptr) ledger_->stop();
  }

  std::filesystem::path views() const { return folder_.path() / "views"; }
  std::filesystem::path socketPath() const { return folder_.path() / kTokenSocketName; }

  void openLedger() {
    log::EmbeddedLogOptions options;
    options.directory = folder_.path() / "log";
    log_ = log::EmbeddedLog::open(options);
    ledger_ = std::make_unique<write::Ledger>(*log_, provider_, clock_, random_, write::LedgerOptions{});
    ledger_->start([](const std::string&) {});
  }
  void openServer() {
    desk_.reset();
    AuthenticatorOptions options;
    options.audience = kOrigin;
    options.recordedName = [this](const std::string& subject) { return recordedSubject(ledger_->keyRing(), subject); };
    keys_ = std::make_unique<TokenKeys>(folder_.path() / "keys", random_);
    authenticator_ = std::make_unique<Authenticator>(*keys_, clock_, options);
    access_ = std::make_unique<AccessRecorder>(*ledger_, clock_);
    project();
    query::ViewReader system(views(), kSystemWorkspace);
    TokenDeskParts parts{*keys_, *authenticator_, *access_, clock_, random_, std::string(kOrigin), [this](std::string_view id) {
                           return ledger_->findWorkspace(id).has_value();
                         }};
    desk_ = std::make_unique<TokenDesk>(parts, restoreTokens(system, clock_.wall(), *authenticator_));
    io_ = std::make_unique<asio::io_context>();
    pool_ = std::make_unique<asio::thread_pool>(2);
    socket_ = std::make_unique<TokenSocket>(folder_.path(), io_->get_executor(), *pool_, *desk_, passOn_);
    thread_ = std::thread([this] { io_->run(); });
  }
  void closeServer() {
    if (socket_ == nullptr) return;
    socket_->stop();
    thread_.join();  // nothing is left to do: no connection holds it up
    pool_->join();
    socket_.reset();
    io_.reset();
  }
  // Everything in memory is gone; what is left is the record and the keys.
  void restart() {
    closeServer();
    desk_.reset();
    ledger_->stop();
    ledger_.reset();
    log_.reset();
    openLedger();
    openServer();
  }
  void project() {
    views::ViewRunnerOptions options;
    options.files.folder = views();
    options.workers = 1;
    views::ViewRunner runner(*log_, ledger_->keyRing(), options);
    runner.catchUp();
  }

  // -1 if nobody lets us in.
  int connectTo(const std::filesystem::path& path) const {
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
    ::close(socket);
    return -1;
  }
  // Everything the server sends until it ends the connection.
  static std::string readAll(int socket) {
    std::string answer;
    char part[4096];
    for (ssize_t got = 0; (got = ::read(socket, part, sizeof part)) > 0;) answer.append(part, static_cast<std::size_t>(got));
    ::close(socket);
    return answer;
  }
  std::string askRaw(std::string_view bytes) const {
    const int socket = connectTo(socketPath());
    EXPECT_GE(socket, 0);
    EXPECT_EQ(::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    return readAll(socket);
  }
  json::object ask(const std::string& request) const {
    const std::string answer = askRaw(request + "\n");
    EXPECT_TRUE(answer.ends_with("\n"));
    json::error_code error;
    const json::value value = json::parse(answer.substr(0, answer.size() - 1), error);
    EXPECT_FALSE(error) << answer;
    return value.is_object() ? value.get_object() : json::object();
  }
  static std::string text(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
  }
  // The error's code, or "" for none.
  std::string errorOf(const std::string& request) const {
    const json::object answer = ask(request);
    const json::value* error = answer.if_contains("error");
    return error == nullptr ? "" : text(error->as_object(), "code");
  }
  std::string mint(const std::string& more = R"("role":"member","workspace":"alpha","subject":"human:alice")") const {
    const std::string token = text(ask(R"({"request":"mint",)" + more + "}"), "token");
    EXPECT_FALSE(token.empty()) << more;
    return token;
  }
  static std::string idOf(const std::string& token) { return readToken(token)->claims.tokenId; }
  std::optional<ErrorCode> refusal(const std::string& token) {
    try {
      authenticator_->authenticate(token, "");
      return std::nullopt;
    } catch (const Fault& fault) {
      return fault.code();
    }
  }
  // The entries of `_system` of these kinds, oldest first.
  std::vector<json::object> recorded(const std::string& kind) {
    project();
    query::ViewReader reader(views(), kSystemWorkspace);
    const query::Parameter asked[] = {{"kind", kind}, {"order", "asc"}, {"limit", "1000"}};
    const json::value page =
        json::parse(reader.list(query::ListKind::entries, query::parseFilters(query::ListKind::entries, asked), nullptr));
    std::vector<json::object> result;
    for (const json::value& item : page.at("items").as_array()) result.push_back(item.as_object());
    return result;
  }
  std::size_t listed() const { return ask(R"({"request":"list"})").at("tokens").as_array().size(); }

  test::TemporaryFolder folder_;
  test::ManualClock clock_{{1'772'000'000LL * kNanosecondsPerSecond + 500}};
  crypto::SystemRandom random_;
  test::MemoryKeyProvider provider_{random_};
  std::unique_ptr<log::EmbeddedLog> log_;
  std::unique_ptr<write::Ledger> ledger_;
  std::unique_ptr<TokenKeys> keys_;
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<AccessRecorder> access_;
  std::unique_ptr<TokenDesk> desk_;
  PassOn passOn_;
  std::unique_ptr<asio::io_context> io_;
  std::unique_ptr<asio::thread_pool> pool_;
  std::unique_ptr<TokenSocket> socket_;
  std::thread thread_;
};

}  // namespace counterfoil::server

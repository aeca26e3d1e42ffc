// The server under a service manager: sockets that are passed to it, and what it says to the notify socket. The tests play the manager.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/un.h>

#include <cstddef>

#include "tests/e2e/tls_server.h"

namespace counterfoil::test {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr int kManagerSoonMs = 5'000;

// A descriptor of the manager's.
class Held {
 public:
  explicit Held(int descriptor) : descriptor_(descriptor) {}
  ~Held() { ::close(descriptor_); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

// A TCP socket of the manager's on a free port.
class PassedSocket : public Held {
 public:
  explicit PassedSocket(bool listens = true) : Held(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(name);
    EXPECT_EQ(::bind(get(), reinterpret_cast<const sockaddr*>(&name), size), 0);
    EXPECT_EQ(listens ? ::listen(get(), 64) : 0, 0);
    ::getsockname(get(), reinterpret_cast<sockaddr*>(&name), &size);
    address_ = "127.0.0.1:" + std::to_string(ntohs(name.sin_port));
  }
  const std::string& address() const { return address_; }

 private:
  std::string address_;
};

// What $NOTIFY_SOCKET names; `name` with '@' in front is an abstract one.
class NotifySocket : public Held {
 public:
  explicit NotifySocket(const std::string& name) : Held(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)), name_(name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name.front() == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(::bind(get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  }
  std::string variable() const { return "NOTIFY_SOCKET=" + name_; }
  // The next message; empty if none comes in time.
  std::string next(int milliseconds = 30'000) const {
    pollfd waiting{get(), POLLIN, 0};
    if (::poll(&waiting, 1, milliseconds) <= 0) return {};
    char text[512];
    const ssize_t got = ::recv(get(), text, sizeof(text), 0);
    return got < 0 ? std::string() : std::string(text, static_cast<std::size_t>(got));
  }

 private:
  std::string name_;
};

class ServiceManager : public testing::Test {
 protected:
  LedgerFolder ledger_;
};

// ---- Sockets ----

TEST_F(ServiceManager, ThePassedSocketIsServedAndListenIsNot) {
  const PassedSocket socket;
  const PassedSocket unused(false);
  ProgramOptions options;
  options.sockets = {socket.get()};
  options.environment = {"LISTEN_FDNAMES=counterfoil.socket"};
  ServeProcess server(ledger_, {"--listen", unused.address()}, options);
  EXPECT_EQ(server.url(), "http://" + socket.address());
  HttpClient reader(socket.address(), server.token("reader", {"--workspace", "w1"}));
  EXPECT_EQ(reader.get("/v1/workspaces/w1/stats").status, 200);
  EXPECT_THROW(RawClient{unused.address()}, std::runtime_error);
  EXPECT_EQ(server.stop(), 0);
}

// The socket outlives the server: who connects meanwhile waits, and is answered by the next one.
TEST_F(ServiceManager, ConnectionsWaitWhileTheServerRestarts) {
  const PassedSocket socket;
  ProgramOptions options;
  options.sockets = {socket.get()};
  for (int start = 0; start < 3; ++start) {
    RawClient early(socket.address());
    early.send("GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    ServeProcess server(ledger_, {}, options);
    EXPECT_THAT(early.read({}, kManagerSoonMs), StartsWith("HTTP/1.1 200"));
    if (start == 1) {
      server.program().signal(SIGKILL);
      EXPECT_EQ(server.program().finish(), 128 + SIGKILL);
    } else {
      EXPECT_EQ(server.stop(), 0);
    }
  }
}

TEST_F(ServiceManager, ThePassedSocketSpeaksTlsAsWell) {
  if (!Certificates::available()) GTEST_SKIP() << "there is no openssl program here";
  Certificates certificates;
  const CertificateFiles authority = certificates.authority("authority");
  const CertificateFiles own = certificates.certificate("server", authority);
  const PassedSocket socket;
  ProgramOptions options;
  options.sockets = {socket.get()};
  ServeProcess server(ledger_, {"--tls-cert", own.certificate, "--tls-key", own.key}, options);
  EXPECT_EQ(server.url(), "https://" + socket.address());
  TlsClient client(socket.address(), authority.certificate);
  EXPECT_EQ(client.get("/openapi.json", {}).status, 200) << client.program().error;
}

TEST_F(ServiceManager, ASocketForAnotherProcessIsLeftAlone) {
  const PassedSocket socket;
  ProgramOptions options;
  options.sockets = {socket.get()};
  options.socketsForAnother = true;
  ServeProcess server(ledger_, {}, options);
  EXPECT_NE(server.url(), "http://" + socket.address());
  EXPECT_EQ(HttpClient(server.address(), {}).get("/openapi.json").status, 200);
}

TEST_F(ServiceManager, SocketsThatCannotBeServedAreOneClearErrorAtTheStart) {
  const PassedSocket first, second, deaf(false);
  const Held unix(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Held file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<std::vector<int>> cases = {{first.get(), second.get()}, {deaf.get()}, {unix.get()}, {file.get()}};
  for (std::size_t index = 0; index < cases.size(); ++index) {
    ProgramOptions options;
    options.sockets = cases[index];
    Program program({std::filesystem::absolute(binaryPath()), "serve", "--json", "--data", ledger_.data(), "--admin-listen", "none"},
                    options);
    EXPECT_EQ(program.finish(), 2) << index << program.error;
    EXPECT_THAT(program.error, HasSubstr("\"code\":\"usage\"")) << index;
    EXPECT_THAT(program.error, HasSubstr("passed")) << index;
  }
}

// ---- Messages ----

TEST_F(ServiceManager, ReadyComesWhenRequestsAreAnsweredAndStoppingBeforeTheEnd) {
  for (const std::string& name : {(ledger_.root() / "notify").string(), "@counterfoil-test-" + std::to_string(::getpid())}) {
    const NotifySocket notify(name);
    const PassedSocket socket;
    ProgramOptions options;
    options.environment = {notify.variable()};
    options.sockets = {socket.get()};
    // Not ServeProcess: it waits for more than READY=1.
    Program program({std::filesystem::absolute(binaryPath()), "serve", "--data", ledger_.data(), "--admin-listen", "127.0.0.1:0"}, options);
    ASSERT_EQ(notify.next(), "READY=1") << program.error;
    const std::string facts = readBytes(ledger_.data() / "server.json");
    ASSERT_THAT(facts, HasSubstr(socket.address()));
    const std::string admin = textAt(boost::json::parse(facts), {"adminUrl"}).substr(7);
    EXPECT_EQ(HttpClient(admin, {}).get("/readyz").status, 200);
    EXPECT_EQ(HttpClient(socket.address(), {}).get("/openapi.json").status, 200);
    EXPECT_EQ(notify.next(1), "") << "nobody asked for a watchdog";
    program.signal(SIGTERM);
    EXPECT_EQ(notify.next(), "STOPPING=1");
    EXPECT_EQ(program.finish(), 0);
    EXPECT_EQ(notify.next(1), "") << "nothing after the end";
  }
}

TEST_F(ServiceManager, NothingIsReadyWhenTheStartFails) {
  const NotifySocket notify(ledger_.root() / "notify");
  ServeProcess first(ledger_, {});
  ProgramOptions options;
  options.environment = {notify.variable()};
  Program second({std::filesystem::absolute(binaryPath()), "serve", "--data", ledger_.data(), "--listen", "127.0.0.1:0"}, options);
  EXPECT_EQ(second.finish(), 3) << second.error;
  EXPECT_EQ(notify.next(1), "");
}

TEST_F(ServiceManager, AReloadBeginsAndEndsWhetherItSucceedsOrNot) {
  if (!Certificates::available()) GTEST_SKIP() << "there is no openssl program here";
  Certificates certificates;
  const CertificateFiles authority = certificates.authority("authority");
  const CertificateFiles own = certificates.certificate("server", authority);
  const NotifySocket notify(ledger_.root() / "notify");
  ProgramOptions options;
  options.environment = {notify.variable()};
  ServeProcess server(ledger_, {"--tls-cert", own.certificate, "--tls-key", own.key}, options);
  ASSERT_EQ(notify.next(), "READY=1");
  std::int64_t before = 0;
  for (const char* expected : {"certificates read again", "the old ones stay"}) {
    server.program().signal(SIGHUP);
    const std::string begun = notify.next();
    ASSERT_THAT(begun, StartsWith("RELOADING=1\nMONOTONIC_USEC="));
    const std::int64_t at = std::stoll(begun.substr(begun.rfind('=') + 1));
    EXPECT_GT(at, before);
    EXPECT_LE(at, nowMicroseconds());
    before = at;
    EXPECT_EQ(notify.next(), "READY=1");
    EXPECT_TRUE(server.program().untilError(expected)) << server.program().error;
    certificates.file("server.pem", "not a certificate");
  }
}

TEST_F(ServiceManager, TheWatchdogIsFedWithinItsInterval) {
  const NotifySocket notify(ledger_.root() / "notify");
  ProgramOptions options;
  constexpr std::int64_t kInterval = 600'000;
  options.environment = {notify.variable(), "WATCHDOG_USEC=" + std::to_string(kInterval)};
  ServeProcess server(ledger_, {}, options);
  ASSERT_EQ(notify.next(), "READY=1");
  std::int64_t last = nowMicroseconds();
  for (int count = 0; count < 5; ++count) {
    ASSERT_EQ(notify.next(2'000), "WATCHDOG=1");
    EXPECT_LT(nowMicroseconds() - last, kInterval) << count;
    last = nowMicroseconds();
  }
  EXPECT_EQ(server.stop(), 0);
  std::vector<std::string> rest;
  for (std::string message = notify.next(1); !message.empty(); message = notify.next(1)) rest.push_back(message);
  ASSERT_FALSE(rest.empty());
  EXPECT_EQ(rest.back(), "STOPPING=1");
}

TEST_F(ServiceManager, AWatchdogOfAnotherProcessIsNotFed) {
  const NotifySocket notify(ledger_.root() / "notify");
  ProgramOptions options;
  options.environment = {notify.variable(), "WATCHDOG_USEC=20000", "WATCHDOG_PID=1"};
  ServeProcess server(ledger_, {}, options);
  ASSERT_EQ(notify.next(), "READY=1");
  EXPECT_EQ(notify.next(1'200), "") << "the main thread looks round every second";
}

TEST_F(ServiceManager, ANotifySocketThatIsNotThereDoesNoHarm) {
  ProgramOptions options;
  for (const std::string& name : {(ledger_.root() / "nobody").string(), std::string(), std::string(300, 'x')}) {
    options.environment = {"NOTIFY_SOCKET=" + name, "WATCHDOG_USEC=100000"};
    ServeProcess server(ledger_, {}, options);
    EXPECT_EQ(HttpClient(server.address(), {}).get("/openapi.json").status, 200);
    EXPECT_EQ(server.stop(), 0);
  }
}

}  // namespace
}  // namespace counterfoil::test

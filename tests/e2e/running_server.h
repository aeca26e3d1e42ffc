// `counterfoil serve` as a real process on a free port, and a plain HTTP client for it.
#pragma once

#include <cctype>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/e2e/ledger_folder.h"
#include "tests/support/raw_client.h"

namespace counterfoil::test {

struct HttpAnswer {
  int status = 0;  // 0: the connection ended without one
  std::string head;
  std::string body;
  boost::json::value json() const {
    boost::system::error_code failed;
    boost::json::value value = boost::json::parse(body, failed);
    return failed ? boost::json::value() : value;
  }
  std::string at(std::initializer_list<const char*> path) const { return textAt(json(), path); }
};

inline std::ostream& operator<<(std::ostream& out, const HttpAnswer& answer) {
  return out << answer.head.substr(0, 300) << '\n' << answer.body.substr(0, 1'000);
}

// One keep-alive connection. Throws nothing: a connection that ends gives status 0.
class HttpClient {
 public:
  HttpClient(std::string address, std::string token) : address_(std::move(address)), token_(std::move(token)) {}

  HttpAnswer ask(std::string_view method, std::string_view path, std::string_view body = {},
                 std::string_view mediaType = "application/json", std::string_view headers = {}) {
    std::string text = std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: " + address_ + "\r\n";
    if (!token_.empty()) text += "Authorization: Bearer " + token_ + "\r\n";
    if (!body.empty()) text += "Content-Type: " + std::string(mediaType) + "\r\n";
    text += headers;
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    text += body;
    try {
      if (!client_) client_ = std::make_unique<RawClient>(address_);
    } catch (const std::runtime_error&) {
      return {};
    }
    if (!client_->send(text)) return lost();
    return read();
  }
  HttpAnswer get(std::string_view path) { return ask("GET", path); }
  HttpAnswer post(std::string_view path, std::string_view body) { return ask("POST", path, body); }
  void setToken(std::string token) { token_ = std::move(token); }

 private:
  HttpAnswer lost() {
    client_.reset();
    return {};
  }
  HttpAnswer read() {
    HttpAnswer answer;
    std::string text = client_->read("\r\n\r\n", 30'000);
    const std::size_t end = text.find("\r\n\r\n");
    if (end == std::string::npos) return lost();
    answer.head = text.substr(0, end);
    answer.body = text.substr(end + 4);
    const std::size_t at = answer.head.find("Content-Length: ");
    const std::size_t size = at == std::string::npos ? 0 : std::stoul(answer.head.substr(at + 16));
    if (answer.body.size() < size) answer.body += client_->readBytes(size - answer.body.size(), 30'000);
    if (answer.body.size() < size) return lost();
    answer.status = std::stoi(answer.head.substr(9, 3));
    if (answer.head.find("Connection: close") != std::string::npos) client_.reset();
    return answer;
  }

  std::string address_;
  std::string token_;
  std::unique_ptr<RawClient> client_;
};

class RunningServer {
 public:
  explicit RunningServer(const LedgerFolder& ledger, const std::vector<std::string>& environment = {}) : ledger_(ledger) {
    process_ = std::make_unique<Process>(
        std::vector<std::string>{"serve", "--data", ledger.data().string(), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"},
        environment);
    while (process_->out.find('\n') == std::string::npos && process_->pump(30'000)) {
    }
    const boost::json::value facts = boost::json::parse(readBytes(ledger.data() / "server.json"));
    address_ = textAt(facts, {"url"}).substr(7);
    adminAddress_ = textAt(facts, {"adminUrl"}).substr(7);
  }
  Process& process() { return *process_; }
  const std::string& address() const { return address_; }
  const std::string& adminAddress() const { return adminAddress_; }
  std::string token(const std::string& role, const std::string& workspace = "*", const std::string& subject = {}) const {
    std::vector<std::string> words = {"token", "mint", "--role", role, "--workspace", workspace, "--data", ledger_.data().string()};
    if (!subject.empty()) words.insert(words.end(), {"--subject", subject});
    const Result minted = runProgram(words);
    EXPECT_EQ(minted.status, 0) << minted;
    return minted.out.substr(0, minted.out.find('\n'));
  }
  HttpClient client(const std::string& role, const std::string& workspace = "*", const std::string& subject = {}) const {
    return HttpClient(address_, token(role, workspace, subject));
  }
  HttpClient anonymous() const { return HttpClient(address_, {}); }
  HttpClient admin() const { return HttpClient(adminAddress_, {}); }
  // SIGTERM; the exit status.
  int stop() {
    process_->signal(SIGTERM);
    return process_->finish();
  }
  void kill() {
    process_->signal(SIGKILL);
    process_->finish();
  }

 private:
  const LedgerFolder& ledger_;
  std::unique_ptr<Process> process_;
  std::string address_;
  std::string adminAddress_;
};

}  // namespace counterfoil::test

// `counterfoil serve` under any flags, sockets and environment, and a client that speaks TLS to it: `openssl s_client` as a process.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/ledger_folder.h"
#include "tests/e2e/running_server.h"
#include "tests/support/certificates.h"

namespace counterfoil::test {

// Serves on a free port unless `flags` say otherwise.
class ServeProcess {
 public:
  ServeProcess(const LedgerFolder& ledger, const std::vector<std::string>& flags, const ProgramOptions& options = {})
      : ledger_(ledger), program_(wordsOf(ledger, flags), options) {
    const bool serves = program_.until([this] { return program_.out.find('\n') != std::string::npos; });
    EXPECT_TRUE(serves) << program_.error;
    const boost::json::value facts = boost::json::parse(serves ? readBytes(ledger.data() / "server.json") : "{}");
    url_ = textAt(facts, {"url"});
    adminAddress_ = addressOf(textAt(facts, {"adminUrl"}));
  }
  Program& program() { return program_; }
  const std::string& url() const { return url_; }
  std::string address() const { return addressOf(url_); }
  HttpClient admin() const { return HttpClient(adminAddress_, {}); }
  std::string token(const std::string& role, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"token", "mint", "--role", role, "--data", ledger_.data().string()};
    words.insert(words.end(), more.begin(), more.end());
    const Result minted = runProgram(words);
    EXPECT_EQ(minted.status, 0) << minted;
    return minted.out.substr(0, minted.out.find('\n'));
  }
  // Open connections of the API, as the metrics say; -1 if they do not.
  int connections() const {
    const std::string text = admin().get("/metrics").body;
    const std::string_view name = "\ncounterfoil_connections ";
    const std::size_t at = text.find(name);
    return at == std::string::npos ? -1 : std::stoi(text.substr(at + name.size()));
  }
  bool untilConnections(int count, int timeoutMs) {
    return program_.until([&] { return connections() == count; }, timeoutMs);
  }
  // SIGTERM; the exit status.
  int stop() {
    program_.signal(SIGTERM);
    return program_.finish();
  }

 private:
  static std::vector<std::string> wordsOf(const LedgerFolder& ledger, const std::vector<std::string>& flags) {
    std::vector<std::string> words = {std::filesystem::absolute(binaryPath()).string(), "serve", "--data", ledger.data().string()};
    words.insert(words.end(), flags.begin(), flags.end());
    for (const char* flag : {"--listen", "--admin-listen"}) {
      if (std::find(flags.begin(), flags.end(), flag) == flags.end()) words.insert(words.end(), {flag, "127.0.0.1:0"});
    }
    return words;
  }
  static std::string addressOf(const std::string& url) {
    const std::size_t at = url.find("://");
    return at == std::string::npos ? std::string() : url.substr(at + 3);
  }

  const LedgerFolder& ledger_;
  Program program_;
  std::string url_;
  std::string adminAddress_;
};

// One keep-alive connection. Throws nothing: one that does not come about, or ends, gives status 0.
class TlsClient {
 public:
  // Believes a server that shows a certificate for 127.0.0.1 of one of these authorities. `more`: words for s_client.
  TlsClient(const std::string& address, const std::filesystem::path& authorities, const std::vector<std::string>& more = {})
      : address_(address), program_(wordsOf(address, authorities, more)) {}

  Program& program() { return program_; }
  // Bytes as they are, and whether they were taken.
  bool send(std::string_view bytes) { return program_.sendAll(bytes); }

  HttpAnswer ask(std::string_view method, std::string_view path, const std::string& token, std::string_view body = {},
                 std::string_view mediaType = "application/json") {
    std::string text = std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: " + address_ + "\r\n";
    if (!token.empty()) text += "Authorization: Bearer " + token + "\r\n";
    if (!body.empty()) text += "Content-Type: " + std::string(mediaType) + "\r\n";
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    text += body;
    send(text);
    return read();
  }
  HttpAnswer get(std::string_view path, const std::string& token) { return ask("GET", path, token); }
  HttpAnswer post(std::string_view path, const std::string& token, std::string_view body) { return ask("POST", path, token, body); }

  HttpAnswer read() {
    HttpAnswer answer;
    std::string& text = program_.out;
    if (!program_.until([&] { return text.find("\r\n\r\n") != std::string::npos; })) return answer;
    const std::size_t end = text.find("\r\n\r\n");
    answer.head = text.substr(0, end);
    const std::size_t at = answer.head.find("Content-Length: ");
    const std::size_t size = at == std::string::npos ? 0 : std::stoul(answer.head.substr(at + 16));
    if (!program_.until([&] { return text.size() >= end + 4 + size; })) return answer;
    answer.body = text.substr(end + 4, size);
    answer.status = std::stoi(answer.head.substr(9, 3));
    text.erase(0, end + 4 + size);
    return answer;
  }

 private:
  static std::vector<std::string> wordsOf(const std::string& address, const std::filesystem::path& authorities,
                                          const std::vector<std::string>& more) {
    std::vector<std::string> words = {findProgram("openssl"),
                                      "s_client",
                                      "-quiet",
                                      "-no_ign_eof",
                                      "-nocommands",
                                      "-connect",
                                      address,
                                      "-CAfile",
                                      authorities,
                                      "-verify_ip",
                                      "127.0.0.1",
                                      "-verify_return_error"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  std::string address_;
  Program program_;
};

}  // namespace counterfoil::test

#include "tests/support/test_kms.h"

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>
#include <charconv>
#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "ledger/core/encoding.h"
#include "ledger/crypto/aead.h"
#include "ledger/crypto/random.h"
#include "tests/support/free_port.h"

namespace counterfoil::test {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace json = boost::json;
using Tcp = asio::ip::tcp;

struct NamedKey {
  std::map<std::uint32_t, std::array<std::uint8_t, 32>> versions;
  std::uint32_t latest = 0;
  std::uint32_t minDecryption = 1;
  std::uint32_t minEncryption = 0;
  std::uint32_t minAvailable = 0;
  bool deletionAllowed = false;
};

struct Reply {
  int status = 200;
  std::string body;
};

Reply errors(int status, std::string_view words) {
  json::array list;
  if (!words.empty()) list.emplace_back(words);
  return {status, json::serialize(json::object{{"errors", list}})};
}

std::uint32_t numberAt(const json::object& object, const char* name, std::uint32_t otherwise) {
  const json::value* value = object.if_contains(name);
  return value == nullptr ? otherwise : static_cast<std::uint32_t>(value->to_number<std::int64_t>());
}

std::string textAt(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

crypto::Bytes bytesOf(const std::vector<std::uint8_t>& bytes) {
  return bytes;
}

}  // namespace

struct TestKms::State {
  explicit State(TestKmsOptions wanted) : options(std::move(wanted)), tls(asio::ssl::context::tls_server) {
    tls.set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1 | asio::ssl::context::no_tlsv1_2);
    tls.use_certificate_chain_file(options.certificate.certificate.string());
    tls.use_private_key_file(options.certificate.key.string(), asio::ssl::context::pem);
    if (!options.clientAuthority.empty()) {
      tls.load_verify_file(options.clientAuthority);
      tls.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
    }
  }

  struct Connection {
    int descriptor = -1;  // -1: it has ended
    std::thread thread;
  };

  // ---- connections ----

  void start() {
    acceptor.emplace(context);
    acceptor->open(Tcp::v4());
    acceptor->set_option(asio::socket_base::reuse_address(true));
    acceptor->bind(Tcp::endpoint(asio::ip::address_v4::loopback(), port));
    acceptor->listen();
    accepting = std::thread([this] { acceptAll(); });
  }

  void stop() {
    {
      const std::scoped_lock lock(mutex);
      stopping = true;
      if (acceptor) ::shutdown(acceptor->native_handle(), SHUT_RDWR);
      for (Connection& connection : connections) {
        if (connection.descriptor >= 0) ::shutdown(connection.descriptor, SHUT_RDWR);
      }
    }
    changed.notify_all();
    if (accepting.joinable()) accepting.join();
    for (Connection& connection : connections) connection.thread.join();
    connections.clear();
    acceptor.reset();
    stopping = false;
  }

  void acceptAll() {
    for (;;) {
      boost::system::error_code error;
      Tcp::socket socket(context);
      acceptor->accept(socket, error);
      const std::scoped_lock lock(mutex);
      if (stopping) return;
      if (error) continue;
      ++accepted;
      socket.set_option(Tcp::no_delay(true));
      Connection& connection = connections.emplace_back();
      connection.descriptor = socket.native_handle();
      connection.thread = std::thread([this, &connection, held = std::move(socket)]() mutable {
        try {
          serve(asio::ssl::stream<Tcp::socket>(std::move(held), tls), connection);
        } catch (const std::exception&) {
          // A peer that went away.
        }
      });
    }
  }

  void serve(asio::ssl::stream<Tcp::socket> stream, Connection& connection) {
    struct Ended {
      State& state;
      Connection& connection;
      ~Ended() {
        const std::scoped_lock lock(state.mutex);
        connection.descriptor = -1;
      }
    } const ended{*this, connection};
    stream.handshake(asio::ssl::stream_base::server);
    boost::beast::flat_buffer buffer;
    for (;;) {
      http::request_parser<http::string_body> parser;
      parser.body_limit(32 * 1024 * 1024);
      http::read(stream, buffer, parser);
      const auto& request = parser.get();
      const std::string_view target(request.target().data(), request.target().size());
      const auto authorization = request[http::field::authorization];
      const Reply reply = answer(request.method() == http::verb::post, target, std::string_view(authorization.data(), authorization.size()),
                                 request.body());
      if (reply.status == 0) return;
      http::response<http::string_body> response(static_cast<http::status>(reply.status), 11);
      response.set(http::field::content_type, "application/json");
      if (reply.status == 307) response.set(http::field::location, "https://127.0.0.1:1/elsewhere");
      response.body() = reply.body;
      response.prepare_payload();
      http::write(stream, response);
    }
  }

  // ---- answers; status 0: none ----

  Reply answer(bool post, std::string_view target, std::string_view authorization, const std::string& body) {
    std::unique_lock lock(mutex);
    ++requestCount;
    most = std::max(most, ++underWay);
    struct Leaving {
      int& count;
      ~Leaving() { --count; }
    } const leaving{underWay};
    if (latencyMs > 0) changed.wait_for(lock, std::chrono::milliseconds(latencyMs), [this] { return stopping; });
    changed.wait(lock, [this] { return stopping || mood != KmsMood::slow; });
    if (stopping || mood == KmsMood::cutting) return {0, {}};
    if (mood == KmsMood::sealed) return errors(503, "Vault is sealed");
    if (mood == KmsMood::garbage) return {200, "\xff\x00<html>it works</html>"};
    if (mood == KmsMood::foreign) return {200, R"({"data":{"batch_results":[{"plaintext":7}],"latest_version":"one"},"keys":[1,2,3]})"};
    if (mood == KmsMood::endless) return {200, std::string(6 * 1024 * 1024, 'x')};
    if (mood == KmsMood::redirecting) return {307, "{}"};
    if (mood == KmsMood::refusing || authorization != "Bearer " + options.token) return errors(403, "permission denied");
    const std::string prefix = "/v1/" + options.mount + "/";
    if (!target.starts_with(prefix)) return errors(404, "no handler for route. route entry not found.");
    target.remove_prefix(prefix.size());
    const std::size_t slash = target.find('/');
    const std::string_view what = target.substr(0, slash);
    std::string_view name = slash == std::string_view::npos ? std::string_view() : target.substr(slash + 1);
    const std::size_t second = name.find('/');
    const std::string_view verb = second == std::string_view::npos ? std::string_view() : name.substr(second + 1);
    name = name.substr(0, second);
    log.push_back((post ? "POST " : "GET ") + std::string(what) + (verb.empty() ? "" : " " + std::string(verb)));
    boost::system::error_code failed;
    const json::value parsed = post ? json::parse(body, failed) : json::value(json::object());
    if (failed || !parsed.is_object()) return errors(400, "failed to parse JSON input");
    if (what == "keys") return keys(post, std::string(name), verb, parsed.get_object());
    if (what == "encrypt" && post) return encrypt(std::string(name), parsed.get_object());
    if (what == "decrypt" && post) return decrypt(std::string(name), parsed.get_object());
    return errors(404, "unsupported path");
  }

  static Reply shown(const std::string& name, const NamedKey& key) {
    const json::object data{{"name", name},
                            {"type", "aes256-gcm96"},
                            {"derived", false},
                            {"exportable", false},
                            {"deletion_allowed", key.deletionAllowed},
                            {"latest_version", key.latest},
                            {"min_decryption_version", key.minDecryption},
                            {"min_encryption_version", key.minEncryption},
                            {"min_available_version", key.minAvailable}};
    return {200, json::serialize(json::object{{"request_id", "x"}, {"data", data}})};
  }

  void addVersion(NamedKey& key) { random.fill(key.versions[++key.latest]); }

  Reply keys(bool post, const std::string& name, std::string_view verb, const json::object& body) {
    const auto found = named.find(name);
    if (!post) return found == named.end() ? errors(404, "") : shown(name, found->second);
    if (verb.empty()) {
      NamedKey& key = named[name];
      if (key.latest == 0) addVersion(key);
      return shown(name, key);
    }
    if (found == named.end()) return errors(400, "key not found");
    NamedKey& key = found->second;
    if (verb == "rotate") {
      addVersion(key);
      return shown(name, key);
    }
    if (verb == "config") return configure(name, key, body);
    if (verb != "trim") return errors(404, "unsupported path");
    const std::uint32_t available = numberAt(body, "min_available_version", 0);
    if (available < key.minAvailable) return errors(400, "minimum available version cannot be decremented");
    if (key.minEncryption == 0) {
      return errors(400, "minimum available version cannot be set when minimum encryption version is not set");
    }
    if (available == 0 || available > key.minEncryption || available > key.minDecryption) {
      return errors(400, "minimum available version cannot be greater than minimum decryption version");
    }
    key.minAvailable = available;
    key.versions.erase(key.versions.begin(), key.versions.lower_bound(available));
    return shown(name, key);
  }

  static Reply configure(const std::string& name, NamedKey& key, const json::object& body) {
    NamedKey next = key;
    next.minDecryption = std::max(1U, numberAt(body, "min_decryption_version", key.minDecryption));
    next.minEncryption = numberAt(body, "min_encryption_version", key.minEncryption);
    if (const json::value* allowed = body.if_contains("deletion_allowed")) next.deletionAllowed = allowed->as_bool();
    if (next.minDecryption > next.latest || next.minEncryption > next.latest) return errors(400, "cannot set min version");
    if (next.minEncryption > 0 && next.minEncryption < next.minDecryption)
      return errors(400, "cannot set min encryption/decryption values");
    if (next.minAvailable > next.minEncryption || next.minAvailable > next.minDecryption) {
      return errors(400, "min encryption version should not be less than min available version");
    }
    key = std::move(next);
    return shown(name, key);
  }

  Reply encrypt(const std::string& name, const json::object& body) {
    const auto found = named.find(name);
    if (found == named.end()) {
      ++upsertCount;
      return errors(403, "permission denied");
    }
    const NamedKey& key = found->second;
    json::array results;
    bool bad = false;
    for (const json::value& item : body.at("batch_input").as_array()) {
      const json::object& each = item.as_object();
      std::uint32_t version = numberAt(each, "key_version", 0);
      if (version == 0) version = key.latest;
      const auto plaintext = fromBase64(textAt(each, "plaintext"));
      const auto material = key.versions.find(version);
      if (!plaintext || material == key.versions.end() || version < key.minEncryption) {
        bad = true;
        results.push_back(json::object{{"error", "requested version for encryption is not allowed"}, {"reference", ""}});
        continue;
      }
      std::array<std::uint8_t, 32> bytes = material->second;
      if (mood == KmsMood::forgetful) random.fill(bytes);
      const auto nonce = random.bytes<12>();
      const auto sealed = crypto::AeadKey(bytes).seal(nonce, associatedData(each), *plaintext);
      std::vector<std::uint8_t> whole(nonce.begin(), nonce.end());
      whole.insert(whole.end(), sealed.begin(), sealed.end());
      results.push_back(json::object{{"ciphertext", "vault:v" + std::to_string(version) + ":" + toBase64(bytesOf(whole))},
                                     {"key_version", version},
                                     {"reference", ""}});
    }
    return batch(std::move(results), bad, false, body);
  }

  Reply decrypt(const std::string& name, const json::object& body) {
    const auto found = named.find(name);
    if (found == named.end()) return errors(400, "encryption key not found");
    json::array results;
    bool bad = false;
    bool good = false;
    for (const json::value& item : body.at("batch_input").as_array()) {
      std::string words;
      const auto plaintext = open(found->second, item.as_object(), words);
      const std::string reference = textAt(item.as_object(), "reference");
      bad = bad || !plaintext;
      good = good || plaintext;
      if (plaintext) {
        results.push_back(json::object{{"plaintext", toBase64(plaintext->bytes())}, {"reference", reference}});
      } else {
        results.push_back(json::object{{"plaintext", ""}, {"error", words}, {"reference", reference}});
      }
    }
    return batch(std::move(results), bad, good, body);
  }

  std::optional<crypto::SecretBytes> open(const NamedKey& key, const json::object& item, std::string& words) const {
    const std::string text = textAt(item, "ciphertext");
    std::uint32_t version = 0;
    const std::string_view prefix = "vault:v";
    if (!text.starts_with(prefix)) {
      words = "invalid ciphertext: no prefix";
      return std::nullopt;
    }
    const char* const end = std::from_chars(text.data() + prefix.size(), text.data() + text.size(), version).ptr;
    const auto whole = fromBase64(std::string_view(end + 1, text.data() + text.size()));
    if (version > key.latest) {
      words = "invalid ciphertext: version is too new";
      return std::nullopt;
    }
    const auto material = key.versions.find(version);
    if (version < key.minDecryption || material == key.versions.end()) {
      words = "ciphertext or signature version is disallowed by policy (too old)";
      return std::nullopt;
    }
    if (!whole || whole->size() < 12) {
      words = "invalid ciphertext length";
      return std::nullopt;
    }
    crypto::AeadNonce nonce;
    std::copy_n(whole->begin(), nonce.size(), nonce.begin());
    auto plaintext = crypto::AeadKey(material->second).open(nonce, associatedData(item), crypto::Bytes(*whole).subspan(12));
    if (!plaintext) words = "cipher: message authentication failed";
    return plaintext;
  }

  std::vector<std::uint8_t> associatedData(const json::object& item) const {
    if (mood == KmsMood::loosePlaces) return {};
    return fromBase64(textAt(item, "associated_data")).value_or(std::vector<std::uint8_t>{});
  }

  Reply batch(json::array results, bool bad, bool good, const json::object& body) const {
    if (mood == KmsMood::mixedUp) std::reverse(results.begin(), results.end());
    int status = bad ? 400 : 200;
    if (bad && good) status = static_cast<int>(numberAt(body, "partial_failure_response_code", 400));
    return {status, json::serialize(json::object{{"data", json::object{{"batch_results", std::move(results)}}}})};
  }

  TestKmsOptions options;
  asio::io_context context;
  asio::ssl::context tls;
  std::optional<Tcp::acceptor> acceptor;
  std::thread accepting;
  const std::uint16_t port = freePort();  // the same after a stop
  mutable std::mutex mutex;               // guards what follows
  std::condition_variable changed;
  std::list<Connection> connections;
  bool stopping = false;
  KmsMood mood = KmsMood::willing;
  int latencyMs = 0;
  std::uint64_t requestCount = 0;
  std::uint64_t accepted = 0;
  int underWay = 0;
  int most = 0;
  std::uint64_t upsertCount = 0;
  std::vector<std::string> log;
  crypto::SystemRandom random;
  std::map<std::string, NamedKey> named;
};

TestKms::TestKms(TestKmsOptions options) : state_(std::make_unique<State>(std::move(options))) {
  state_->start();
}

TestKms::~TestKms() {
  state_->stop();
}

std::string TestKms::url() const {
  return "https://127.0.0.1:" + std::to_string(state_->port);
}

void TestKms::setMood(KmsMood mood) {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->mood = mood;
  }
  state_->changed.notify_all();
}

void TestKms::setToken(std::string token) {
  const std::scoped_lock lock(state_->mutex);
  state_->options.token = std::move(token);
}

void TestKms::setLatencyMs(int milliseconds) {
  const std::scoped_lock lock(state_->mutex);
  state_->latencyMs = milliseconds;
}

void TestKms::stop() {
  state_->stop();
}

void TestKms::start() {
  state_->start();
}

std::uint64_t TestKms::requests() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->requestCount;
}

std::uint64_t TestKms::connections() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->accepted;
}

int TestKms::mostAtOnce() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->most;
}

std::vector<std::string> TestKms::takeLog() {
  const std::scoped_lock lock(state_->mutex);
  return std::exchange(state_->log, {});
}

std::vector<std::string> TestKms::keyNames() const {
  const std::scoped_lock lock(state_->mutex);
  std::vector<std::string> names;
  for (const auto& [name, key] : state_->named) names.push_back(name);
  return names;
}

std::string TestKms::keyBytes(const std::string& name, std::uint32_t version) const {
  const std::scoped_lock lock(state_->mutex);
  const auto found = state_->named.find(name);
  if (found == state_->named.end()) return {};
  const auto material = found->second.versions.find(version);
  return material == found->second.versions.end() ? std::string() : std::string(material->second.begin(), material->second.end());
}

void TestKms::deleteKey(const std::string& name) {
  const std::scoped_lock lock(state_->mutex);
  state_->named.erase(name);
}

std::uint64_t TestKms::upserts() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->upsertCount;
}

}  // namespace counterfoil::test

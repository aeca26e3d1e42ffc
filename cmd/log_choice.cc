#include "cmd/log_choice.h"

#include <fstream>

#include "cmd/server_link.h"
#include "ledger/log/embedded_log.h"

namespace counterfoil::cmd {
namespace {

constexpr std::string_view kKafkaScheme = "kafka://";
constexpr const char* kStandardTopic = "counterfoil";

// As Java's and kcat's clients take them: name=value lines, # for comments.
std::vector<std::pair<std::string, std::string>> readProperties(const std::string& path) {
  std::vector<std::pair<std::string, std::string>> properties;
  if (path.empty()) return properties;
  std::ifstream file(path);
  if (!file) throw Fault(ErrorCode::unreadableInput, "cannot read " + path, "setting kafka_properties names it; check its permissions");
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    const auto begin = line.find_first_not_of(" \t\r");
    if (begin == std::string::npos || line[begin] == '#') continue;
    const auto equals = line.find('=', begin);
    if (equals == std::string::npos) {
      throw Fault(ErrorCode::invalidValue, path + ": line " + std::to_string(number) + " is not of the form name=value", "");
    }
    const auto trimmed = [&](std::size_t from, std::size_t to) {
      const std::string part = line.substr(from, to - from);
      const auto first = part.find_first_not_of(" \t\r");
      return first == std::string::npos ? std::string() : part.substr(first, part.find_last_not_of(" \t\r") + 1 - first);
    };
    properties.emplace_back(trimmed(begin, equals), trimmed(equals + 1, line.size()));
  }
  return properties;
}

log::EmbeddedLogOptions embeddedOptions(const Config& config, const log::WriterIdentity& identity) {
  log::EmbeddedLogOptions options;
  options.directory = config.logFolder();
  options.identity = identity;
  return options;
}

[[noreturn]] void nameHolder(const Fault& fault, const std::filesystem::path& data) {
  const auto server = fault.code() == ErrorCode::dataInUse ? runningServer(data) : std::nullopt;
  if (!server) throw Fault(fault);
  throw Fault(ErrorCode::dataInUse, "a server holds this data: process " + std::to_string(server->pid) + ", at " + server->url,
              "this verb needs the folder to itself: stop the server first, or use another data folder");
}

}  // namespace

bool isKafka(const std::string& log) {
  if (log == kEmbedded) return false;
  const std::string_view rest = log.starts_with(kKafkaScheme) ? std::string_view(log).substr(kKafkaScheme.size()) : std::string_view();
  const std::string_view brokers = rest.substr(0, rest.find('/'));
  if (brokers.empty() || rest.find_first_of(" ?#@") != std::string_view::npos) {
    throw Fault(ErrorCode::invalidValue, "the log must be embedded or kafka://HOST:PORT,...[/TOPIC]",
                "passwords and certificates are settings of their own: see `counterfoil config`", "--log");
  }
  return true;
}

log::KafkaSettings kafkaSettings(const Config& config) {
  log::KafkaSettings settings;
  const std::string rest = config.log.substr(kKafkaScheme.size());
  const auto slash = rest.find('/');
  settings.brokers = rest.substr(0, slash);
  settings.topic = slash == std::string::npos || slash + 1 == rest.size() ? kStandardTopic : rest.substr(slash + 1);
  settings.certificateAuthority = config.kafkaAuthority;
  settings.certificate = config.kafkaCertificate;
  settings.certificateKey = config.kafkaCertificateKey;
  settings.properties = readProperties(config.kafkaProperties);
  settings.lanes = config.kafkaLanes;
  return settings;
}

log::LedgerFacts createLog(const Config& config, const log::WriterIdentity& identity, const log::LedgerFacts& facts) {
  if (isKafka(config.log)) {
    const log::KafkaSettings settings = kafkaSettings(config);
    return log::KafkaLog::create(settings, identity, facts);
  }
  log::EmbeddedLog::create(embeddedOptions(config, identity), facts);
  return facts;
}

OpenLog openForWriting(const Config& config, const log::WriterIdentity& identity) {
  OpenLog open;
  try {
    if (isKafka(config.log)) {
      open.lock = std::make_unique<log::LockFile>(config.data / "lock");
      auto kafka = log::KafkaLog::open(kafkaSettings(config), identity);
      open.kafka = kafka.get();
      open.log = std::move(kafka);
    } else {
      auto embedded = log::EmbeddedLog::open(embeddedOptions(config, identity));
      open.embedded = embedded.get();
      open.log = std::move(embedded);
    }
  } catch (const Fault& fault) {
    nameHolder(fault, config.data);
  }
  return open;
}

OpenLog openForReading(const Config& config) {
  OpenLog open;
  if (isKafka(config.log)) {
    auto kafka = log::KafkaLog::open(kafkaSettings(config), {});
    open.kafka = kafka.get();
    open.log = std::move(kafka);
  } else {
    open.log = log::EmbeddedLog::openReadOnly(config.logFolder());
  }
  return open;
}

}  // namespace counterfoil::cmd

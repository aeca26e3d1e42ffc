#include "cmd/config.h"

#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "cmd/log_choice.h"
#include "ledger/core/outcome.h"
#include "ledger/core/policy_syntax.h"
#include "server/forwarded.h"

namespace counterfoil::cmd {
namespace {

struct Known {
  const char* name;
  const char* standard;
  const char* description;
  bool number;
};

constexpr Known kKnown[] = {
    {"origin", "localhost/counterfoil", "Name of this ledger: a URL without scheme", false},
    {"keys", "", "Keys folder; relative to the data folder", false},
    {"log", "embedded", "Where entries go: embedded or kafka://HOST:PORT,...[/TOPIC]", false},
    {"kafka_ca", "", "PEM authorities of the brokers' certificates: the connection is TLS with it", false},
    {"kafka_cert", "", "PEM certificate chain that brokers know this node by", false},
    {"kafka_key", "", "PEM key of that certificate", false},
    {"kafka_properties", "", "File of further librdkafka properties, such as sasl.*; name=value lines", false},
    {"kafka_session_ms", "6000", "Silence of a node after which another takes over", true},
    {"kafka_lanes", "4", "Producers of this node, each with connections of its own", true},
    {"key_provider", "file", "Where key-encryption keys live: file (the keys folder) or http_kms (a key service)", false},
    {"kms_url", "", "Key service that speaks the Transit API (OpenBao, Vault): https://HOST:PORT", false},
    {"kms_mount", "transit", "Path of its Transit engine", false},
    {"kms_token_file", "", "File with the token for it, read for every request; empty if an agent adds one", false},
    {"kms_ca", "", "PEM authorities that vouch for its certificate; empty: the system's", false},
    {"kms_client_cert", "", "PEM certificate to show it", false},
    {"kms_client_key", "", "PEM key of that certificate", false},
    {"kms_timeout_ms", "2000", "How long one request to it may take", true},
    {"intake_bytes", "67108864", "Bytes of requests that may wait", true},
    {"idempotency_entries", "1000000", "Requests remembered for repeats", true},
    {"snapshot_every_entries", "2000000", "Entries between snapshots of the writer's state", true},
    {"view_workers", "2", "Threads that fold entries into views", true},
    {"listen", "127.0.0.1:8780", "Address of the API", false},
    {"admin_listen", "127.0.0.1:8781", "Address of health and metrics; none to have none", false},
    {"tls_cert", "", "PEM certificate chain: the API speaks TLS 1.3 with it", false},
    {"tls_key", "", "PEM key of the certificate, readable by its owner alone", false},
    {"tls_client_ca", "", "PEM authorities of client certificates that tokens are bound to", false},
    {"node_name", "", "Name of this node among several on one log; empty: the host's name", false},
    {"node_url", "", "Where other nodes and redirected callers reach this one; empty: `listen`, as it is", false},
    {"peer_ca", "", "PEM authorities of the nodes' certificates", false},
    {"peer_cert", "", "PEM certificate chain that this node shows to the others", false},
    {"peer_key", "", "PEM key of peer_cert, readable by its owner alone", false},
    {"peer_subjects", "", "Names in certificates of nodes that may pass requests on (RFC 2253), a semicolon between them", false},
    {"server_threads", "2", "Threads that serve connections", true},
    {"connections_max", "20000", "Connections open at once", true},
    {"workspace_entries_per_second", "20000", "Entries a second that one workspace may record", true},
    {"principal_entries_per_second", "10000", "Entries a second that one caller may record in a workspace", true},
};

std::map<std::string, std::string> readFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    if (!std::filesystem::exists(path)) {
      throw Fault(ErrorCode::noLedger, "there is no ledger in " + path.parent_path().string() + " (no counterfoil.toml)",
                  "make one with `counterfoil init --data " + path.parent_path().string() + "`, or name its folder with --data");
    }
    throw Fault(ErrorCode::unreadableInput, "cannot read " + path.string(), "check its permissions");
  }
  std::stringstream text;
  text << file.rdbuf();
  std::map<std::string, std::string> values;
  toml::table table;
  try {
    checkPolicySyntax(text.str());
    table = toml::parse(text.str());
  } catch (const Fault& fault) {
    throw Fault(ErrorCode::invalidValue, path.string() + ": " + fault.detail(), "the file holds plain lines of the form name = value");
  } catch (const toml::parse_error& error) {
    throw Fault(ErrorCode::invalidValue, path.string() + ": line " + std::to_string(error.source().begin.line) + " is not TOML",
                "the file holds plain lines of the form name = value");
  }
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    if (std::none_of(std::begin(kKnown), std::end(kKnown), [&](const Known& known) { return known.name == name; })) {
      throw Fault(ErrorCode::unknownField,
                  path.string() + ": line " + std::to_string(node.source().begin.line) + " names a setting that is not known",
                  "`counterfoil config` lists all settings");
    }
    if (const auto text_value = node.value<std::string>(); text_value && node.is_string()) {
      values[name] = *text_value;
    } else if (const auto number = node.value<std::int64_t>(); number && node.is_integer()) {
      values[name] = std::to_string(*number);
    } else {
      throw Fault(ErrorCode::invalidValue, path.string() + ": setting " + name + " must be a text or a whole number", "");
    }
  }
  return values;
}

std::uint64_t numberOf(const Setting& setting) {
  std::uint64_t number = 0;
  const char* end = setting.value.data() + setting.value.size();
  const auto [at, error] = std::from_chars(setting.value.data(), end, number);
  if (error != std::errc() || at != end || setting.value.empty()) {
    throw Fault(ErrorCode::invalidValue, "setting " + setting.name + " (from the " + setting.from + ") is not a whole number",
                "`counterfoil config` shows what is in force");
  }
  return number;
}

std::string hostName() {
  char name[256] = {};
  return ::gethostname(name, sizeof(name) - 1) == 0 ? std::string(name) : std::string();
}

}  // namespace

namespace {

Config configOf(const std::filesystem::path& data, const std::map<std::string, std::string>& file) {
  Config config;
  config.data = data;
  std::map<std::string, Setting> settings;
  for (const Known& known : kKnown) {
    Setting setting{known.name, known.standard, "default", known.description};
    if (const auto found = file.find(known.name); found != file.end()) {
      setting.value = found->second;
      setting.from = "file";
    }
    std::string variable = "COUNTERFOIL_";
    for (const char* at = known.name; *at != '\0'; ++at) variable += static_cast<char>(std::toupper(static_cast<unsigned char>(*at)));
    if (const char* value = std::getenv(variable.c_str())) {
      setting.value = value;
      setting.from = "environment";
    }
    config.settings.push_back(setting);
    settings[known.name] = setting;
  }
  config.origin = settings["origin"].value;
  config.log = settings["log"].value;
  static_cast<void>(isKafka(config.log));
  config.kafkaSessionMilliseconds = std::clamp<std::uint64_t>(numberOf(settings["kafka_session_ms"]), 1'000, 300'000);
  config.kafkaLanes = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(numberOf(settings["kafka_lanes"]), 1, 64));
  const std::filesystem::path keys = settings["keys"].value;
  config.keys = keys.empty() ? std::filesystem::path(std::filesystem::absolute(config.data).lexically_normal().string() + ".keys")
                             : (config.data / keys).lexically_normal();
  config.intakeBytes = numberOf(settings["intake_bytes"]);
  config.idempotencyEntries = numberOf(settings["idempotency_entries"]);
  config.snapshotEveryEntries = numberOf(settings["snapshot_every_entries"]);
  config.listen = settings["listen"].value;
  config.adminListen = settings["admin_listen"].value == "none" ? std::string() : settings["admin_listen"].value;
  const auto fileOf = [&](const char* name) -> std::string {
    return settings[name].value.empty() ? std::string() : (config.data / settings[name].value).lexically_normal().string();
  };
  config.kafkaAuthority = fileOf("kafka_ca");
  config.kafkaCertificate = fileOf("kafka_cert");
  config.kafkaCertificateKey = fileOf("kafka_key");
  config.kafkaProperties = fileOf("kafka_properties");
  config.keyProvider = settings["key_provider"].value;
  if (config.keyProvider != "file" && config.keyProvider != "http_kms")
    throw Fault(ErrorCode::invalidValue, "setting key_provider must be file or http_kms", "`counterfoil config` shows what is in force");
  config.kmsUrl = settings["kms_url"].value;
  config.kmsMount = settings["kms_mount"].value;
  config.kmsAuthorities = fileOf("kms_ca");
  config.kmsCertificate = fileOf("kms_client_cert");
  config.kmsCertificateKey = fileOf("kms_client_key");
  config.kmsTokenFile = fileOf("kms_token_file");
  config.kmsTimeoutMs = static_cast<std::int64_t>(std::clamp<std::uint64_t>(numberOf(settings["kms_timeout_ms"]), 100, 60'000));
  config.certificate = fileOf("tls_cert");
  config.certificateKey = fileOf("tls_key");
  config.clientAuthorities = fileOf("tls_client_ca");
  config.nodeName = settings["node_name"].value.empty() ? hostName() : settings["node_name"].value;
  config.nodeUrl = settings["node_url"].value;
  config.peerAuthorities = fileOf("peer_ca");
  config.peerCertificate = fileOf("peer_cert");
  config.peerKey = fileOf("peer_key");
  config.peerSubjects = server::nodeSubjectsOf(settings["peer_subjects"].value);
  config.serverThreads = static_cast<unsigned>(std::clamp<std::uint64_t>(numberOf(settings["server_threads"]), 1, 256));
  config.connectionsMax = numberOf(settings["connections_max"]);
  config.workspacePerSecond = numberOf(settings["workspace_entries_per_second"]);
  config.principalPerSecond = numberOf(settings["principal_entries_per_second"]);
  config.viewWorkers = static_cast<unsigned>(std::clamp<std::uint64_t>(numberOf(settings["view_workers"]), 1, 64));
  return config;
}

}  // namespace

Config readConfig(const CommonOptions& common) {
  return configOf(common.data, readFile(std::filesystem::path(common.data) / kConfigFile));
}

Config configBefore(const std::filesystem::path& data, const std::string& log) {
  return configOf(data, {{"log", log}});
}

std::string configText(const std::string& origin, const std::filesystem::path& keys, const std::string& log,
                       const std::vector<std::pair<std::string, std::string>>& more) {
  std::string text =
      "# Counterfoil. `counterfoil config` shows what is in force and where it came from; environment variables COUNTERFOIL_<NAME> win.\n";
  text += "origin = \"" + origin + "\"\n";
  text += "keys = \"" + keys.string() + "\"\n";
  if (log != kEmbedded) text += "log = \"" + log + "\"\n";
  for (const auto& [name, value] : more) {
    const auto isPlain = [](char byte) { return static_cast<unsigned char>(byte) >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f; };
    if (!std::all_of(value.begin(), value.end(), isPlain)) {
      throw Fault(ErrorCode::invalidValue, "setting " + name + " holds a quote, a backslash or a control character", "choose another path");
    }
    text += name + " = \"" + value + "\"\n";
  }
  return text;
}

}  // namespace counterfoil::cmd

// Configuration: <data>/counterfoil.toml < environment COUNTERFOIL_* < flags (INTERFACE: Conventions).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "cmd/options.h"

namespace counterfoil::cmd {

struct Setting {
  std::string name;   // as in the file; COUNTERFOIL_<NAME> in the environment
  std::string value;  // in force
  std::string from;   // "default", "file" or "environment"
  std::string description;
};

struct Config {
  std::filesystem::path data;
  std::filesystem::path keys;  // absolute, or relative to the data folder in the file
  std::string origin;
  std::string log;  // "embedded" or "kafka://..." (cmd/log_choice.h)
  // Of a Kafka cluster: paths, relative ones start at the data folder; empty: none
  std::string kafkaAuthority, kafkaCertificate, kafkaCertificateKey, kafkaProperties;
  std::uint32_t kafkaLanes = 0;
  std::uint64_t kafkaSessionMilliseconds = 0;
  std::string keyProvider;  // "file" or "http_kms"
  // http_kms; paths as those of certificates below
  std::string kmsUrl, kmsMount, kmsAuthorities, kmsCertificate, kmsCertificateKey, kmsTokenFile;
  std::int64_t kmsTimeoutMs = 0;
  std::uint64_t intakeBytes = 0;
  std::uint64_t snapshotEveryEntries = 0;
  std::uint64_t idempotencyEntries = 0;
  unsigned viewWorkers = 0;
  // serve
  std::string listen, adminListen;                             // adminListen empty: none
  std::string certificate, certificateKey, clientAuthorities;  // paths; empty: none. Relative ones start at the data folder
  // of several nodes on one log
  std::string nodeName, nodeUrl;                          // nodeUrl empty: as the server listens
  std::string peerAuthorities, peerCertificate, peerKey;  // paths; empty: none
  std::vector<std::string> peerSubjects;                  // RFC 2253 names in certificates of nodes
  unsigned serverThreads = 0;
  std::uint64_t connectionsMax = 0;
  std::uint64_t workspacePerSecond = 0;
  std::uint64_t principalPerSecond = 0;
  std::vector<Setting> settings;

  bool hasKeyService() const { return keyProvider == "http_kms"; }
  std::filesystem::path logFolder() const { return data / "log"; }
  std::filesystem::path viewsFolder() const { return data / "views"; }
  std::filesystem::path tokenSocket() const { return data / "token.sock"; }
  std::filesystem::path serverFile() const { return data / "server.json"; }
  std::filesystem::path snapshotsFolder() const { return data / "snapshots"; }
};

inline constexpr std::string_view kConfigFile = "counterfoil.toml";

// Reads what is in force. Throws Fault: noLedger (no such file; hint `init`), invalidValue, unknownField, unreadableInput.
Config readConfig(const CommonOptions& common);
// What will be in force in `data`, whose file is still to be written: the given log, the environment, else what is standard.
Config configBefore(const std::filesystem::path& data, const std::string& log);
// The text of a new configuration file: origin, keys folder, `log` as for Config, and further settings by name. Throws Fault(invalidValue)
// for a value of those with a quote, a backslash or a control character in it.
std::string configText(const std::string& origin, const std::filesystem::path& keys, const std::string& log,
                       const std::vector<std::pair<std::string, std::string>>& more = {});

}  // namespace counterfoil::cmd

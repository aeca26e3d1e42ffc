// Which log a ledger has: the one place that names the concrete ones.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cmd/config.h"
#include "ledger/log/embedded_log.h"
#include "ledger/log/event_log.h"
#include "ledger/log/kafka/kafka_settings.h"
#include "ledger/log/kafka_log.h"
#include "ledger/log/lock_file.h"
#include "ledger/log/partition_content.h"

namespace counterfoil::cmd {

inline constexpr std::string_view kEmbedded = "embedded";

// `embedded` or `kafka://HOST:PORT[,HOST:PORT...][/TOPIC]`. Throws Fault(invalidValue) for anything else.
bool isKafka(const std::string& log);
// Of a log that isKafka(): the brokers, the topic and what the configuration adds.
log::KafkaSettings kafkaSettings(const Config& config);

// An opened log, and what keeps another process from the data folder beside it.
struct OpenLog {
  std::unique_ptr<log::LockFile> lock;  // Kafka: of the data folder; the embedded log has its own
  std::unique_ptr<log::EventLog> log;
  log::KafkaLog* kafka = nullptr;  // the same, if it is one
  log::EmbeddedLog* embedded = nullptr;
};

// Makes a new log; the facts in force (Kafka: of the ledger that is there, if a creation was cut off). Throws what the logs' create()
// throws.
log::LedgerFacts createLog(const Config& config, const log::WriterIdentity& identity, const log::LedgerFacts& facts);
// Throws what the logs' open() throws; dataInUse names the server that holds the data.
OpenLog openForWriting(const Config& config, const log::WriterIdentity& identity);
// Beside a running writer.
OpenLog openForReading(const Config& config);

}  // namespace counterfoil::cmd

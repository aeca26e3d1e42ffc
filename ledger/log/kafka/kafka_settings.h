// How a node reaches its Kafka cluster, and the properties of librdkafka that the ledger's safety rests on. Every property here is
// explained in docs/kafka.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ledger/core/outcome.h"

namespace counterfoil::log {

struct KafkaSettings {
  std::string brokers;  // host:port, separated by commas: where to ask for the cluster
  std::string topic;
  std::string clientId = "counterfoil";
  // Paths of PEM files. Without any the connection is in clear: for a loopback listener only.
  std::string certificateAuthority;
  std::string certificate;
  std::string certificateKey;
  // More properties of librdkafka, by its names (`sasl.mechanisms`, ...). The ones the ledger decides itself are refused.
  std::vector<std::pair<std::string, std::string>> properties;
  std::uint32_t lanes = 4;                         // producers of a node; a partition belongs to lane (partition mod lanes)
  std::chrono::milliseconds answerWithin{10'000};  // longest wait for an answer of the cluster when one is needed to go on
  // A writer that was silent for so long sends its next record alone: the brokers may have forgotten its producer.
  std::chrono::milliseconds aloneAfter{60'000};
};

namespace kafka {

// What went wrong, without a value of any record. `doing`: "reading", "becoming the writer", ...
Fault faultOf(int code, const std::string& doing);
Fault faultOf(const std::string& reason, const std::string& doing);

}  // namespace kafka
}  // namespace counterfoil::log

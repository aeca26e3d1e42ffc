// Looks at a cluster with the eyes of an operator: what keeps a ledger from working there, or will.
#pragma once

#include <string>
#include <vector>

#include "ledger/log/kafka/kafka_settings.h"

namespace counterfoil::log {

struct KafkaFinding {
  enum class State : std::uint8_t { ok, warning, problem };
  std::string check;
  State state = State::ok;
  std::string detail;
  std::string hint;  // what to do; empty if nothing is
};

// Asks the cluster; writes nothing. Never throws for what it finds; stops where going on makes no sense (no broker answers, no topic).
// `patience`: the longest wait for one answer.
std::vector<KafkaFinding> examineKafka(KafkaSettings settings, std::chrono::milliseconds patience);

}  // namespace counterfoil::log

// kafka_admin: what ops/kafka/cluster and ops/kafka/topics ask of brokers. `kafka_admin --help` lists the requests.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>
#include <string_view>

#include "ops/kafka/admin/broker_client.h"
#include "ops/kafka/admin/topic_check.h"

namespace counterfoil::kafka_admin {
namespace {

constexpr std::string_view kHelp =
    R"(kafka_admin [--bootstrap HOST:PORT,...] [--config FILE] [--set KEY=VALUE]... [--timeout SECONDS] REQUEST
  --config   properties of librdkafka, `key=value` a line, as kcat -F takes them; --set: one more
  --timeout  how long one request may take; default 30

  ready COUNT [ID...]                waits until COUNT brokers, and those with these ids, are registered and a record is acknowledged by
                                     min.insync.replicas of them (topic `counterfoil.ready`)
  brokers                            prints the ids of the brokers, one a line
  create TOPIC PARTITIONS REPLICAS FILE   makes the topic with the settings of FILE (ops/kafka/ledger_topic.properties)
  check TOPIC PARTITIONS REPLICAS FILE [WRITER AUDITOR GROUP]
                                     prints what differs from that, one a line; with principals ACLs are compared too. 0: any count will do
  allow PRINCIPAL topic|group NAME OPERATION...   READ, WRITE, DESCRIBE
  append TOPIC PARTITION VALUE       prints the offset
  set TOPIC KEY=VALUE...             changes settings of the topic and keeps the others
  delete-records TOPIC PARTITION OFFSET
  delete-topic TOPIC
Exit status: 0 done; 1 refused, not answered, or something differs; 2 not understood.
)";

struct Misuse : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

using Words = std::vector<std::string>;

int numberOf(const std::string& word) {
  std::size_t end = 0;
  int number = -1;
  try {
    number = std::stoi(word, &end);
  } catch (const std::exception&) {
    end = 0;
  }
  if (end != word.size() || number < 0) throw Misuse("a count is a number from 0 on");
  return number;
}

std::int64_t offsetOf(const std::string& word) {
  if (word.empty() || word.size() > 18 || word.find_first_not_of("0123456789") != std::string::npos)
    throw Misuse("an offset is a number from 0 on");
  return std::stoll(word);
}

void addSetting(Settings& settings, const std::string& line) {
  const std::size_t equals = line.find('=');
  if (equals == 0 || equals == std::string::npos) throw Misuse("a setting is KEY=VALUE");
  settings[line.substr(0, equals)] = line.substr(equals + 1);
}

Settings readSettings(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Misuse("cannot read " + path);
  Settings settings;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.front() != '#') addSetting(settings, line);
  }
  return settings;
}

struct Call {
  Settings settings;
  int timeoutMs = 30'000;
  Words words;  // the request and its arguments

  const std::string& word(std::size_t at) const {
    if (at >= words.size()) throw Misuse("the request lacks an argument");
    return words[at];
  }
};

// A cluster that starts refuses and disconnects in many ways before it works: any refusal is one until the time is over.
template <class Try>
auto untilItWorks(const BrokerClient& client, std::chrono::steady_clock::time_point deadline, const Try& attempt) {
  constexpr int kPauseMs = 50;
  for (;;) {
    try {
      return attempt();
    } catch (const Refusal&) {
      if (std::chrono::steady_clock::now() >= deadline) throw;
      client.serve(kPauseMs);
    }
  }
}

int ready(const Call& call) {
  static const std::string kTopic = "counterfoil.ready";
  // A request to a broker that is not up yet must not take the time in which it comes up.
  constexpr int kTryMs = 1'000;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(call.timeoutMs);
  const int count = numberOf(call.word(1));
  Settings settings = call.settings;
  settings.insert({{"acks", "all"}, {"message.timeout.ms", std::to_string(kTryMs)}, {"topic.metadata.refresh.fast.interval.ms", "50"}});
  const BrokerClient client(settings, kTryMs);
  untilItWorks(client, deadline, [&] {
    const std::vector<std::int32_t> there = client.brokers();
    bool all = static_cast<int>(there.size()) >= count;
    for (std::size_t at = 2; at < call.words.size(); ++at)
      all = all && std::binary_search(there.begin(), there.end(), numberOf(call.words[at]));
    if (!all) throw Refusal(RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, std::to_string(there.size()) + " brokers are registered");
  });
  untilItWorks(client, deadline, [&] {
    try {
      client.createTopic(kTopic, 1, count, {});
    } catch (const Refusal& refusal) {
      if (refusal.error() != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) throw;
    }
  });
  untilItWorks(client, deadline, [&] { return client.append(kTopic, 0, "ready"); });
  return 0;
}

int listBrokers(const BrokerClient& client) {
  for (const std::int32_t id : client.brokers()) std::cout << id << '\n';
  return 0;
}

int create(const BrokerClient& client, const Call& call) {
  client.createTopic(call.word(1), numberOf(call.word(2)), numberOf(call.word(3)), readSettings(call.word(4)));
  return 0;
}

int checkTopic(const BrokerClient& client, const Call& call) {
  Wanted wanted{call.word(1), numberOf(call.word(2)), numberOf(call.word(3)), readSettings(call.word(4)), std::nullopt};
  if (call.words.size() > 5) wanted.people = People{call.word(5), call.word(6), call.word(7)};
  const std::vector<std::string> found = differences(client, wanted);
  for (const std::string& one : found) std::cout << one << '\n';
  return found.empty() ? 0 : 1;
}

int allow(const BrokerClient& client, const Call& call) {
  Grant grant;
  grant.principal = call.word(1);
  if (call.word(2) != "topic" && call.word(2) != "group") throw Misuse("rights are given on a topic or a group");
  grant.resource = call.word(2) == "topic" ? RD_KAFKA_RESOURCE_TOPIC : RD_KAFKA_RESOURCE_GROUP;
  grant.name = call.word(3);
  std::vector<rd_kafka_AclOperation_t> operations;
  for (std::size_t at = 4; at < call.words.size(); ++at) {
    const auto operation = grantableOperation(call.words[at]);
    if (!operation) throw Misuse("a ledger's topic takes READ, WRITE and DESCRIBE, no other right");
    operations.push_back(*operation);
  }
  if (operations.empty()) throw Misuse("the request lacks an operation");
  for (const auto operation : operations) {
    grant.operation = operation;
    client.allow(grant);
  }
  return 0;
}

int append(const BrokerClient& client, const Call& call) {
  std::cout << client.append(call.word(1), numberOf(call.word(2)), call.word(3)) << '\n';
  return 0;
}

int set(const BrokerClient& client, const Call& call) {
  Settings changed;
  for (std::size_t at = 2; at < call.words.size(); ++at) addSetting(changed, call.words[at]);
  if (changed.empty()) throw Misuse("the request lacks a setting");
  client.setTopicConfig(call.word(1), changed);
  return 0;
}

int perform(const Call& call) {
  const std::string& request = call.word(0);
  if (request == "ready") return ready(call);
  Settings settings = call.settings;
  settings.insert({{"acks", "all"}, {"message.timeout.ms", std::to_string(call.timeoutMs)}});
  const BrokerClient client(settings, call.timeoutMs);
  if (request == "brokers") return listBrokers(client);
  if (request == "create") return create(client, call);
  if (request == "check") return checkTopic(client, call);
  if (request == "allow") return allow(client, call);
  if (request == "append") return append(client, call);
  if (request == "set") return set(client, call);
  if (request == "delete-records") {
    client.deleteRecords(call.word(1), numberOf(call.word(2)), offsetOf(call.word(3)));
    return 0;
  }
  if (request == "delete-topic") {
    client.deleteTopic(call.word(1));
    return 0;
  }
  throw Misuse("there is no such request");
}

// Nothing if only the help was asked for.
std::optional<Call> callOf(const Words& arguments) {
  Call call;
  for (std::size_t at = 0; at < arguments.size(); ++at) {
    const std::string& one = arguments[at];
    if (!call.words.empty() || !one.starts_with("-")) {
      call.words.push_back(one);
      continue;
    }
    if (one == "--help" || one == "-h") return std::nullopt;
    if (at + 1 == arguments.size()) throw Misuse("a flag lacks its value");
    const std::string& value = arguments[++at];
    if (one == "--bootstrap") {
      call.settings["bootstrap.servers"] = value;
    } else if (one == "--config") {
      for (const auto& [key, setting] : readSettings(value)) call.settings[key] = setting;
    } else if (one == "--set") {
      addSetting(call.settings, value);
    } else if (one == "--timeout") {
      call.timeoutMs = numberOf(value) * 1'000;
    } else {
      throw Misuse("there is no such flag");
    }
  }
  return call;
}

int run(const Words& arguments) {
  try {
    const std::optional<Call> call = callOf(arguments);
    if (!call) {
      std::cout << kHelp;
      return 0;
    }
    return perform(*call);
  } catch (const std::invalid_argument& misuse) {
    std::cerr << "kafka_admin: " << misuse.what() << "; see kafka_admin --help\n";
    return 2;
  } catch (const std::exception& failure) {
    std::cerr << "kafka_admin: " << failure.what() << '\n';
    return 1;
  }
}

}  // namespace
}  // namespace counterfoil::kafka_admin

int main(int count, char** words) {
  return counterfoil::kafka_admin::run({words + 1, words + count});
}

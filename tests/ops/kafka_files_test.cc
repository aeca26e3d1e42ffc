// ops/kafka/compose.yaml and kubernetes.yaml: that they are YAML, name fixed versions, run nothing with rights it does not need, and say of
// brokers and topic what the properties beside them say. Read with PyYAML and jq, their scripts with bash.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/support/program.h"

namespace counterfoil::test {
namespace {

const std::filesystem::path kRoot = COUNTERFOIL_SOURCE_DIR;
const std::filesystem::path kOps = kRoot / "ops/kafka";

std::string textOf(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// What stands between two marks; empty if they are not there.
std::string between(const std::string& text, const std::string& open, const std::string& close) {
  const std::size_t from = text.find(open);
  const std::size_t end = from == std::string::npos ? from : text.find(close, from + open.size());
  return end == std::string::npos ? std::string() : text.substr(from + open.size(), end - from - open.size());
}

struct Ran {
  int status = -1;
  std::string out;
};

Ran run(const std::vector<std::string>& words, const std::string& input) {
  Program program(words);
  program.send(input);
  program.closeInput();
  const int status = program.finish();
  return {status, program.out + program.error};
}

class KafkaFiles : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    for (const char* const candidate : {"python3", "/usr/bin/python3"}) {
      const std::string path = *candidate == '/' ? candidate : findProgram(candidate);
      if (python_.empty() && !path.empty() && std::filesystem::exists(path) && run({path, "-c", "import yaml"}, "").status == 0)
        python_ = path;
    }
    if (python_.empty()) return;
    compose_ = documents("compose.yaml");
    kubernetes_ = documents("kubernetes.yaml");
  }
  void SetUp() override {
    if (python_.empty()) GTEST_SKIP() << "there is no Python with PyYAML here (package python3-yaml)";
    if (findProgram("jq").empty()) GTEST_SKIP() << "jq is not installed";
  }

  // All documents of a file as one JSON list.
  static std::string documents(const std::string& name) {
    const Ran read =
        run({python_, "-c", "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))"}, textOf(kOps / name));
    EXPECT_EQ(read.status, 0) << name << ": " << read.out;
    return read.status == 0 ? read.out : "[]";
  }

  static std::string ask(const std::string& json, const std::string& question) {
    const Ran answer = run({findProgram("jq"), "-r", question}, json);
    EXPECT_EQ(answer.status, 0) << question << ": " << answer.out;
    return answer.out;
  }

  static inline std::string python_;
  static inline std::string compose_;
  static inline std::string kubernetes_;
};

const std::string kPods = ".[] | select(.spec.template.spec) | .metadata.name as $name | .spec.template.spec";
const std::string kContainers = kPods + " | (.containers + (.initContainers // []))[]";

TEST_F(KafkaFiles, ThereAreThreeBrokersAndTwoNodes) {
  EXPECT_EQ(ask(compose_, ".[0].services | keys | map(select(test(\"^(kafka|node)-\"))) | join(\" \")"),
            "kafka-1 kafka-2 kafka-3 node-1 node-2\n");
  EXPECT_EQ(ask(kubernetes_, ".[] | select(.kind == \"StatefulSet\") | \"\\(.metadata.name) \\(.spec.replicas)\""),
            "kafka 3\ncounterfoil 2\n");
}

TEST_F(KafkaFiles, VersionsAreThoseOfTheTree) {
  const std::string broker = "apache/kafka:" + between(textOf(kOps / "pom.xml"), "<kafka>", "</kafka>");
  const std::string program = "counterfoil:" + between(textOf(kRoot / "CMakeLists.txt"), "project(counterfoil VERSION ", " ");
  EXPECT_EQ(ask(compose_, "[.[0].services[].image] | unique | join(\" \")"), broker + " " + program + "\n");
  EXPECT_EQ(ask(kubernetes_, "[" + kContainers + " | .image] | unique | join(\" \")"), broker + " " + program + "\n");
}

TEST_F(KafkaFiles, KubernetesHasThePropertiesOfTheFiles) {
  for (const std::string name : {"broker.properties", "ledger_topic.properties"}) {
    const std::string carried = ask(kubernetes_, ".[] | select(.kind == \"ConfigMap\") | .data[\"" + name + "\"] // empty");
    EXPECT_EQ(carried, textOf(kOps / name) + "\n") << "kubernetes.yaml has other " << name;
  }
  EXPECT_EQ(ask(compose_, "[.[0].services[\"kafka-1\", \"kafka-2\", \"kafka-3\"].volumes[0]] | unique | join(\" \")"),
            "./broker.properties:/etc/counterfoil/broker.properties:ro\n");
}

TEST_F(KafkaFiles, NothingRunsWithRightsItDoesNotNeed) {
  EXPECT_EQ(ask(kubernetes_, "[" + kContainers +
                                 " | select(.securityContext | .allowPrivilegeEscalation == false and .readOnlyRootFilesystem "
                                 "and .capabilities.drop == [\"ALL\"] | not) | .name] | join(\" \")"),
            "\n");
  EXPECT_EQ(
      ask(kubernetes_,
          "[" + kPods + " | select(.securityContext.runAsNonRoot and .automountServiceAccountToken == false | not) | $name] | join(\" \")"),
      "\n");
  EXPECT_EQ(ask(compose_,
                "[.[0].services | to_entries[] | select(.value | .read_only and .cap_drop == [\"ALL\"] and "
                ".security_opt == [\"no-new-privileges:true\"] and (has(\"privileged\") | not) | not) | .key] | join(\" \")"),
            "\n");
  // One prepares the files' owners: as root, and without a network.
  EXPECT_EQ(ask(compose_,
                "[.[0].services | to_entries[] | select(.value.user | test(\"^[1-9]\") | not) | \"\\(.key) \\(.value.network_mode)\"] | "
                "join(\", \")"),
            "secrets none\n");
  EXPECT_EQ(ask(compose_, "[.[0].services[].ports // [] | .[] | select(startswith(\"127.0.0.1:\") | not)] | length"), "0\n");
}

TEST_F(KafkaFiles, WhatServesIsProbedAndKeptFromGoingAllAtOnce) {
  EXPECT_EQ(ask(kubernetes_,
                "[.[] | select(.kind == \"StatefulSet\") | .metadata.name as $name | .spec.template.spec.containers[] | "
                "select(.startupProbe and .livenessProbe and .readinessProbe | not) | $name] | join(\" \")"),
            "\n");
  EXPECT_EQ(ask(kubernetes_,
                "([.[] | select(.kind == \"StatefulSet\") | .spec.selector.matchLabels]) - "
                "([.[] | select(.kind == \"PodDisruptionBudget\" and .spec.maxUnavailable == 1) | .spec.selector.matchLabels]) | length"),
            "0\n");
  EXPECT_EQ(ask(compose_, "[.[0].services[\"kafka-1\", \"kafka-2\", \"kafka-3\"].healthcheck.test | length] | join(\" \")"), "2 2 2\n");
}

TEST_F(KafkaFiles, TheirScriptsAreScripts) {
  const std::string inCompose = ask(compose_, ".[0].services[] | select(.entrypoint) | .command[0] | gsub(\"[$][$]\"; \"$\")");
  const std::string inKubernetes = ask(kubernetes_, kContainers + " | select(.command) | .args[0]");
  for (const std::string& scripts : {inCompose, inKubernetes}) {
    EXPECT_GT(scripts.size(), 500U);
    const Ran read = run({"/bin/bash", "-n"}, scripts);
    EXPECT_EQ(read.status, 0) << read.out;
  }
}

TEST_F(KafkaFiles, NoSecretStandsInThem) {
  for (const char* const name : {"compose.yaml", "kubernetes.yaml", "broker.properties", "ledger_topic.properties"}) {
    const std::string text = textOf(kOps / name);
    EXPECT_FALSE(text.empty()) << name;
    EXPECT_EQ(text.find("BEGIN "), std::string::npos) << name;
    EXPECT_EQ(text.find("password="), std::string::npos) << name;
  }
  EXPECT_EQ(ask(kubernetes_, "[.[] | select(.kind == \"Secret\")] | length"), "0\n") << "secrets are made by commands, from files";
}

}  // namespace
}  // namespace counterfoil::test

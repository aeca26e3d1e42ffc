// Each rule must be able to fail: what it refuses, and what looks alike and is fine.
#include "tests/tidy/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tidy/own_names.h"
#include "tests/tidy/shape.h"
#include "tests/tidy/source_tree.h"

namespace counterfoil::tidy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// The lines a rule complains about.
std::vector<std::size_t> linesOfOffences(const Offences& offences) {
  std::vector<std::size_t> lines;
  for (const Offence& offence : offences) {
    lines.push_back(offence.line);
  }
  return lines;
}

template <class Rule>
std::vector<std::size_t> offended(const Rule& rule, const std::string& path, const std::string& text) {
  return linesOfOffences(rule(makeSource(path, text)));
}

std::string including(const std::string& header) {
  return "#include " + header + "\n";
}

std::vector<std::size_t> includes(const std::string& path, const std::string& header) {
  return offended(includeTable, path, including('"' + header + '"'));
}

TEST(Lexer, LiteralsAndCommentsAreBlankAndKeepTheirPlaces) {
  const std::string text =
      "int a = 1'000; // rand()\n/* rand()\n */ auto b = \"rand() \\\" rand()\"; char c = '\"';\nauto d = R\"x(rand()\n)\" rand() )x\"; "
      "rand();";
  const Source source = makeSource("ledger/core/a.cc", text);
  ASSERT_EQ(source.code.size(), text.size());
  EXPECT_THAT(findWord(source.code, "rand"), ElementsAre(text.rfind("rand")));
  EXPECT_EQ(lineCount(source.code), lineCount(text));
  EXPECT_THAT(findWord(source.code, "000"), testing::SizeIs(1)) << "a digit separator opens no literal";
}

TEST(Lexer, WordsEndAtWordBoundaries) {
  EXPECT_THAT(findWord("rand strand rand_r brand(rand)", "rand"), ElementsAre(0U, 25U));
}

TEST(IncludeTable, RefusesWhatTheTableDoesNotAllow) {
  EXPECT_THAT(includes("ledger/crypto/a.cc", "ledger/core/ids.h"), ElementsAre(1U));
  EXPECT_THAT(includes("ledger/core/a.h", "ledger/redact/redact.h"), ElementsAre(1U));
  EXPECT_THAT(includes("ledger/redact/a.h", "ledger/keys/key_ring.h"), ElementsAre(1U));
  EXPECT_THAT(includes("ledger/write/a.h", "ledger/log/embedded_log.h"), ElementsAre(1U));
  EXPECT_THAT(includes("ledger/log/a.h", "ledger/write/sequencer.h"), ElementsAre(1U));
  EXPECT_THAT(includes("ledger/importers/a.cc", "ledger/redact/redact.h"), ElementsAre(1U));
  EXPECT_THAT(includes("projections/a.cc", "ledger/crypto/digest.h"), ElementsAre(1U));
  EXPECT_THAT(includes("projections/views/a.cc", "ledger/write/intake.h"), ElementsAre(1U));
  EXPECT_THAT(includes("replay/a.cc", "ledger/write/intake.h"), ElementsAre(1U));
  EXPECT_THAT(includes("server/a.cc", "cmd/main.h"), ElementsAre(1U));
  EXPECT_THAT(includes("tests/a_test.cc", "cmd/main.h"), ElementsAre(1U));
  EXPECT_THAT(includes("ledger/core/a.cc", "tests/support/clock.h"), ElementsAre(1U));
  EXPECT_THAT(includes("ledger/core/a.cc", "ids.h"), ElementsAre(1U)) << "not by its path from the root";
  EXPECT_THAT(includes("ledger/fresh/a.cc", "ledger/core/ids.h"), ElementsAre(1U)) << "a folder without a row";
  EXPECT_THAT(offended(includeTable, "ledger/core/a.cc", "#  include <ledger/keys/key_ring.h>\n"), ElementsAre(1U)) << "in brackets";
}

TEST(IncludeTable, AllowsTheTable) {
  EXPECT_THAT(includes("ledger/core/a.cc", "ledger/crypto/digest.h"), IsEmpty());
  EXPECT_THAT(includes("ledger/core/a.cc", "schemas/entry.capnp.h"), IsEmpty());
  EXPECT_THAT(includes("ledger/write/a.cc", "ledger/log/event_log.h"), IsEmpty());
  EXPECT_THAT(includes("ledger/write/a.cc", "ledger/write/b.h"), IsEmpty());
  EXPECT_THAT(includes("projections/views/a.cc", "projections/runner.h"), IsEmpty());
  EXPECT_THAT(includes("replay/a.cc", "ledger/write/snapshot.h"), IsEmpty());
  EXPECT_THAT(includes("cmd/a.cc", "ledger/log/embedded_log.h"), IsEmpty());
  EXPECT_THAT(includes("cmd/a.cc", "cmd/b.h"), IsEmpty());
  EXPECT_THAT(includes("tests/ledger/core/a_test.cc", "ledger/log/embedded_log.h"), IsEmpty());
  EXPECT_THAT(offended(includeTable, "ledger/core/a.cc", "// #include \"cmd/a.h\"\nauto a = R\"(\n#include \"cmd/a.h\"\n)\";\n"),
              IsEmpty());
}

TEST(ForeignHeaders, StayWithTheirOwners) {
  EXPECT_THAT(offended(foreignHeaders, "ledger/crypto/a.h", including("<openssl/evp.h>")), ElementsAre(1U));
  EXPECT_THAT(offended(foreignHeaders, "ledger/keys/a.cc", including("<openssl/evp.h>")), ElementsAre(1U));
  EXPECT_THAT(offended(foreignHeaders, "tests/ledger/keys/a_test.cc", including("<openssl/evp.h>")), ElementsAre(1U));
  EXPECT_THAT(offended(foreignHeaders, "ledger/crypto/a.cc", including("<openssl/evp.h>")), IsEmpty());
  EXPECT_THAT(offended(foreignHeaders, "tests/ledger/crypto/a_test.cc", including("<openssl/evp.h>")), IsEmpty());
  EXPECT_THAT(offended(foreignHeaders, "server/http/tls.cc", including("<openssl/ssl.h>")), IsEmpty());
  EXPECT_THAT(offended(foreignHeaders, "server/http/tls.h", including("<openssl/ssl.h>")), ElementsAre(1U));
  EXPECT_THAT(offended(foreignHeaders, "ledger/core/lease.cc", including("<capnp/message.h>")), ElementsAre(1U));
  EXPECT_THAT(offended(foreignHeaders, "ledger/redact/codec.cc", including("<kj/array.h>")), ElementsAre(1U));
  EXPECT_THAT(offended(foreignHeaders, "ledger/core/codec.cc", including("<capnp/message.h>")), IsEmpty());
  EXPECT_THAT(offended(foreignHeaders, "ledger/core/schema_tables.h", including("<kj/array.h>")), IsEmpty());
  EXPECT_THAT(offended(foreignHeaders, "tests/ledger/core/a_test.cc", including("<kj/compat/gtest.h>")), ElementsAre(1U));
  EXPECT_THAT(offended(foreignHeaders, "cmd/a.cc", including("<regex>")), ElementsAre(1U));
}

TEST(BannedCalls, AreFoundOutsideTheirOwners) {
  const auto inCore = [](const std::string& line) { return offended(bannedCalls, "ledger/core/a.cc", "\n" + line + "\n"); };
  for (const char* const line :
       {"auto t = std::chrono::system_clock::now();", "steady_clock::now();", "using C = std::chrono::steady_clock;",
        "clock_gettime(0, &t);", "gettimeofday(&t, nullptr);", "std::time(nullptr);", "::time(&t);", "std::this_thread::sleep_for(1s);",
        "usleep(5);", "::sleep(1);", "nanosleep(&t, nullptr);", "std::thread t(run);", "std::vector<std::jthread> v;", "std::async(run);",
        "int a = rand();", "std::random_device d;", "std::mt19937 g(1);", "std::regex r(x);"}) {
    EXPECT_THAT(inCore(line), ElementsAre(2U)) << line;
  }
  for (const char* const line : {"auto t = clock.wall();", "// std::thread", "auto s = \"system_clock::now()\";", "strand(x);",
                                 "std::thread::id id;", "std::thread::hardware_concurrency();", "entry.time(&x);", "dice.rand();",
                                 "bool sleep = true;", "std::chrono::system_clock::time_point p;"}) {
    EXPECT_THAT(inCore(line), IsEmpty()) << line;
  }
}

TEST(BannedCalls, AreAllowedToTheirOwners) {
  const std::string clock = "steady_clock::now();";
  EXPECT_THAT(offended(bannedCalls, "cmd/a.cc", clock), IsEmpty());
  EXPECT_THAT(offended(bannedCalls, "tests/bench/a.cc", clock), IsEmpty());
  EXPECT_THAT(offended(bannedCalls, "ledger/write/a.cc", clock), ElementsAre(1U));
  const std::string thread = "std::thread t(run);";
  EXPECT_THAT(offended(bannedCalls, "ledger/log/embedded_log_writer.cc", thread), IsEmpty());
  EXPECT_THAT(offended(bannedCalls, "ledger/log/memory_log.cc", thread), ElementsAre(1U));
  EXPECT_THAT(offended(bannedCalls, "projections/runner.cc", thread), IsEmpty());
  EXPECT_THAT(offended(bannedCalls, "ledger/importers/a.cc", thread), ElementsAre(1U));
  EXPECT_THAT(offended(bannedCalls, "tests/a_test.cc", "sleep_for(1s);"), ElementsAre(1U)) << "tests do not sleep either";
  EXPECT_THAT(offended(bannedCalls, "tests/a_test.cc", "std::mt19937 g(1);"), IsEmpty());
}

std::string longFunction(std::size_t lines) {
  return "int f(int a) {\n" + std::string(lines - 2, '\n') + "}\n";
}

TEST(Sizes, FilesAndFunctionsHaveLimits) {
  EXPECT_THAT(offended(fileSizes, "a.h", std::string(kHeaderLinesMax, '\n')), IsEmpty());
  EXPECT_THAT(offended(fileSizes, "a.h", std::string(kHeaderLinesMax + 1, '\n')), ElementsAre(kHeaderLinesMax + 1));
  EXPECT_THAT(offended(fileSizes, "a.cc", std::string(kSourceLinesMax, '\n') + "x"), ElementsAre(kSourceLinesMax + 1));
  EXPECT_THAT(offended(fileSizes, "a.md", std::string(kSourceLinesMax + 1, '\n')), IsEmpty());
  EXPECT_THAT(offended(functionSizes, "a.cc", longFunction(kFunctionLinesMax)), IsEmpty());
  EXPECT_THAT(offended(functionSizes, "a.cc", "\n" + longFunction(kFunctionLinesMax + 1)), ElementsAre(2U));
}

TEST(Sizes, FunctionsAreFoundWhereverTheyStand) {
  const std::string longOne = longFunction(kFunctionLinesMax + 1);
  EXPECT_THAT(offended(functionSizes, "a.cc", "namespace a::b {\nnamespace {\n" + longOne + "}\n}\n"), ElementsAre(3U));
  EXPECT_THAT(offended(functionSizes, "a.cc", "class alignas(8) A : public B {\n public:\n  int x = 0;\n" + longOne + "};\n"),
              ElementsAre(4U));
  EXPECT_THAT(offended(functionSizes, "a.cc", "template <class T, struct U>\n" + longOne), ElementsAre(1U));
  EXPECT_THAT(offended(functionSizes, "a.cc", "A::A(int a) : x_{a}, y_{2} {\n" + std::string(kFunctionLinesMax, '\n') + "}\n"),
              ElementsAre(1U));
  EXPECT_THAT(offended(functionSizes, "a.cc", "void g() {}\n#define M {\\\n {\n" + longOne), ElementsAre(4U))
      << "a macro's braces count nowhere";
  EXPECT_THAT(offended(functionSizes, "a.cc", "TEST(A, B) {\n" + std::string(kFunctionLinesMax, '\n') + "}\n"), ElementsAre(1U));
}

TEST(OwnNames, OfOneSourceAreNotThoseOfAnotherOneThatIsCompiledWithIt) {
  const auto source = [](const std::string& path, const std::string& inside) {
    return makeSource(path, "namespace a {\nnamespace {\n\n" + inside + "\n}  // namespace\n\nint outside() { return 1; }\n}\n");
  };
  const auto found = [&](const std::string& one, const std::string& other, const std::string& path = "server/routes/b.cc") {
    return sharedOwnNames({source("server/a.cc", one), source(path, other)}).size();
  };
  EXPECT_EQ(found("int x(int a) {\n  return a;\n}", "std::string x(const std::string& b, int c = 2) { return b; }"), 1U);
  EXPECT_EQ(found("constexpr int kMax = 1;", "constexpr std::size_t kMax{2};"), 1U);
  EXPECT_EQ(found("struct S {\n  int x;\n};", "class S final : public T {\n};"), 1U);
  EXPECT_EQ(found("using B = std::vector<int>;", "template <class T>\nB* B(T t);"), 1U);
  EXPECT_EQ(found("template <class T> T x(T t) { return t; }", "[[noreturn]] void x();"), 1U);
  EXPECT_EQ(found("int x();\nint x() { if (y(1)) { z(); } return 2; }", "int y(int); void z();"), 0U) << "calls are no declarations";
  EXPECT_EQ(found("int x();", "int x();", "cmd/b.cc"), 0U) << "another program";
  EXPECT_EQ(found("int x();", "int x();", "server/b.h"), 0U) << "no source";
  EXPECT_EQ(found("TEST(A, B) {}", "TEST(A, C) {}"), 0U);
  EXPECT_EQ(found("void A::x() {}", "void B::x() {}"), 0U) << "members";
  EXPECT_EQ(sharedOwnNames({source("ledger/core/a.cc", "int x();"), source("ledger/log/a.cc", "int x();")}).size(), 0U);
  EXPECT_EQ(sharedOwnNames({source("tests/e2e/a_test.cc", "int x();"), source("tests/e2e/b_test.cc", "int x();")}).size(), 1U);
}

TEST(Sizes, TablesAndNamespacesAreNoFunctions) {
  const std::string body = std::string(kFunctionLinesMax + 5, '\n') + "}";
  EXPECT_THAT(offended(functionSizes, "a.cc", "const int kTable[] = {" + body + ";\n"), IsEmpty());
  EXPECT_THAT(offended(functionSizes, "a.cc", "namespace a {" + body + "\n"), IsEmpty());
  EXPECT_THAT(offended(functionSizes, "a.cc", "enum class A : int {" + body + ";\n"), IsEmpty());
  EXPECT_THAT(offended(functionSizes, "a.cc", "extern \"C\" {" + body + "\n"), IsEmpty());
}

TEST(EmptyTests, AreFound) {
  EXPECT_THAT(offended(emptyTests, "tests/a_test.cc", "TEST(A, B) {}\nTEST_F(A, C) { /* later */\n}\nTEST_P(A, D) { EXPECT_TRUE(x); }\n"),
              ElementsAre(1U, 2U));
  EXPECT_THAT(offended(emptyTests, "tests/a_test.cc", "// TEST(A, B) {}\n"), IsEmpty());
}

TEST(Registration, ForgottenFilesAreFound) {
  const std::string cmake = "counterfoil_tests(core tests/ledger/core LINK counterfoil_core)\ncounterfoil_tests(tidy tests/tidy)\n";
  const auto forgotten = [&](const std::string& path) { return linesOfOffences(unregisteredTests(makeSource(path, ""), cmake)); };
  EXPECT_THAT(forgotten("tests/ledger/core/a_test.cc"), IsEmpty());
  EXPECT_THAT(forgotten("tests/tidy/a_test.cc"), IsEmpty());
  EXPECT_THAT(forgotten("tests/ledger/core/deeper/a_test.cc"), ElementsAre(1U)) << "folders are not searched";
  EXPECT_THAT(forgotten("tests/replay/a_test.cc"), ElementsAre(1U));
  const std::string root = "counterfoil_library(core ledger/core LINK x)\ncounterfoil_program(counterfoil cmd LINK y)\n";
  const auto unbuilt = [&](const std::string& path) { return linesOfOffences(unbuiltSources(makeSource(path, ""), root)); };
  EXPECT_THAT(unbuilt("ledger/core/deeper/a.cc"), IsEmpty());
  EXPECT_THAT(unbuilt("cmd/main.cc"), IsEmpty());
  EXPECT_THAT(unbuilt("ledger/transparency/a.cc"), ElementsAre(1U));
}

TEST(Forms, HeadersAndScripts) {
  EXPECT_THAT(offended(headerForm, "a.h", "// What it is for.\n#pragma once\n"), IsEmpty());
  EXPECT_THAT(offended(headerForm, "a.h", "#pragma once\n"), ElementsAre(1U));
  EXPECT_THAT(offended(headerForm, "a.h", "// What it is for.\n// #pragma once\n"), ElementsAre(1U));
  const auto script = [](const std::string& text, bool executable) {
    return linesOfOffences(scriptForm(makeSource("ops/x", text, executable)));
  };
  EXPECT_THAT(script("#!/usr/bin/env bash\nset -euo pipefail\n", true), IsEmpty());
  EXPECT_THAT(script("#!/usr/bin/env bash\nset -eu\n", true), ElementsAre(1U));
  EXPECT_THAT(script("#!/usr/bin/env bash\nset -euo pipefail\n", false), ElementsAre(1U));
  EXPECT_THAT(script("echo\n", true), ElementsAre(1U));
  EXPECT_THAT(script("# sourced\n", false), IsEmpty());
}

TEST(ForbiddenWords, AreFoundInAnyText) {
  const std::string mark = std::string("TO") + "DO";
  EXPECT_THAT(offended(forbiddenWords, "docs/a.md", "one\n" + mark + ": two\n"), ElementsAre(2U));
  EXPECT_THAT(offended(forbiddenWords, "a.cc", "// " + std::string("FIX") + "ME\n"), ElementsAre(1U));
  EXPECT_THAT(offended(forbiddenWords, "a.cc", "auto a = \"/wo" + std::string("rk/main\";\n")), ElementsAre(1U));
  EXPECT_THAT(offended(forbiddenWords, "a.cc", "mkTO" + std::string("DOs(); \"") + std::string(6, 'X') + "\"\n"), IsEmpty());
  EXPECT_THAT(offended(forbiddenWords, "corpus/a", mark + std::string(1, '\0')), IsEmpty()) << "binary";
}

TEST(Tree, ReadsItsOwnFilesWithTheirModes) {
  const std::vector<Source> sources = readTree(COUNTERFOIL_SOURCE_DIR);
  const auto find = [&](std::string_view path) {
    return std::find_if(sources.begin(), sources.end(), [&](const Source& source) { return source.path == path; });
  };
  ASSERT_NE(find("ops/test"), sources.end());
  EXPECT_TRUE(find("ops/test")->executable);
  ASSERT_NE(find("tests/tidy/rules_test.cc"), sources.end());
  EXPECT_FALSE(find("tests/tidy/rules_test.cc")->executable);
}

}  // namespace
}  // namespace counterfoil::tidy

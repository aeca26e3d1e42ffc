// kill -9 of the real program under load. The promises it made (an answer per fact) are kept here, in another process; after each kill the
// log must hold every one of them exactly once, and a program started again must keep them too.
//
// A share of the kills falls inside a commit: the process is stopped (SIGSTOP), and only if one of its threads stands in a write or a sync
// of the log's own files it is killed there and then. COUNTERFOIL_TEST_LONG in the environment makes it 100 kills instead of 12.
#include <gtest/gtest.h>

#include <cstdio>
#include <deque>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>

#include "tests/e2e/ledger_folder.h"
#include "tests/e2e/log_evidence.h"

namespace counterfoil::test {
namespace {

struct Acknowledged {
  std::uint64_t seq = 0;
  std::string leaf;
};

struct Totals {
  unsigned kills = 0;
  unsigned insideWrite = 0;
  unsigned insideSync = 0;
  unsigned beforeAnyAnswer = 0;
  std::uint64_t facts = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t repeated = 0;
  std::uint64_t adopted = 0;    // recorded, though the program was killed before it could say so
  std::uint64_t underLoad = 0;  // answers to new facts, between the first of a process and its kill
  std::int64_t underLoadMicroseconds = 0;
  double processorSeconds = 0;

  double rate() const {
    return underLoadMicroseconds == 0 ? 0 : static_cast<double>(underLoad) * 1e6 / static_cast<double>(underLoadMicroseconds);
  }
  double processorRate() const { return processorSeconds > 0 ? static_cast<double>(underLoad) / processorSeconds : 0; }
};

// Does a thread of this (stopped) process stand in a write or sync of the log? Linux tells each thread's call and its first argument.
enum class Inside : std::uint8_t { no, write, sync };

Inside insideCommit(pid_t pid) {
  const std::filesystem::path process = "/proc/" + std::to_string(pid);
  for (const auto& thread : std::filesystem::directory_iterator(process / "task")) {
    std::ifstream file(thread.path() / "syscall");
    long number = -1;
    std::string descriptor;
    if (!(file >> number >> descriptor)) continue;
    if (number != SYS_fsync && number != SYS_fdatasync && number != SYS_pwrite64) continue;
    std::error_code gone;
    const auto target =
        std::filesystem::read_symlink(process / "fd" / std::to_string(std::stoull(descriptor, nullptr, 16)), gone).filename().string();
    if (target == "log.db" || target == "log.db-wal") return number == SYS_pwrite64 ? Inside::write : Inside::sync;
  }
  return Inside::no;
}

double processorSecondsOf(pid_t pid) {
  const std::string stat = readBytes("/proc/" + std::to_string(pid) + "/stat");
  unsigned long long user = 0, system = 0;
  // After the name in parentheses: state, 10 numbers, then the times.
  const std::size_t name = stat.rfind(')');
  if (name == std::string::npos ||
      std::sscanf(stat.c_str() + name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2) {
    return 0;
  }
  return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

// One producer over many lives of the program: it sends facts, keeps the answers, and repeats what was not answered.
class Producer {
 public:
  // Adds what it sees to `totals`, which must outlive it.
  Producer(LedgerFolder& ledger, std::uint64_t seed, Totals& sum) : totals(sum), ledger_(ledger), ids_(seed) {}

  // Starts the program and kills it: after `answers` more answers, or, if that is 0, after `startMicroseconds`, whatever it does then.
  void live(std::uint64_t answers, std::int64_t startMicroseconds, bool insideACommit) {
    start();
    const std::int64_t began = nowMicroseconds();
    while (answers == 0 ? nowMicroseconds() - began < startMicroseconds : answered_ < answers) {
      ASSERT_TRUE(step()) << "it ended by itself: " << process_->error;
      ASSERT_LT(nowMicroseconds() - began, std::int64_t{kProcessTimeoutMs} * 1'000) << "no answers: " << process_->error;
    }
    Inside inside = Inside::no;
    while (insideACommit && inside == Inside::no) {
      ASSERT_LT(nowMicroseconds() - began, std::int64_t{kProcessTimeoutMs} * 1'000) << "never inside a commit";
      ASSERT_TRUE(process_->stop()) << "it ended by itself: " << process_->error;
      inside = insideCommit(process_->pid());
      if (inside != Inside::no) break;
      process_->signal(SIGCONT);
      for (std::uint64_t some = 1 + ids_.below(3); some > 0; --some) ASSERT_TRUE(step());
    }
    if (firstNewAnswer_ != 0) {
      totals.underLoadMicroseconds += nowMicroseconds() - firstNewAnswer_;
      totals.processorSeconds += processorSecondsOf(process_->pid()) - processorAtFirst_;
    }
    process_->signal(SIGKILL);
    ASSERT_EQ(process_->finish(), 128 + SIGKILL);
    // What it had written before it died was an answer, too.
    takeAnswers();
    ++totals.kills;
    totals.insideWrite += inside == Inside::write ? 1 : 0;
    totals.insideSync += inside == Inside::sync ? 1 : 0;
    totals.beforeAnyAnswer += answered_ == 0 ? 1 : 0;
    unanswered_.assign(sent_.begin(), sent_.end());
  }

  // Starts the program, repeats what is unanswered and what was answered last, and lets it end in order.
  void liveToTheEnd() {
    start();
    process_->closeInput();
    ASSERT_EQ(process_->finish(), 0) << process_->error;
    takeAnswers();
    EXPECT_TRUE(sent_.empty()) << sent_.size() << " facts have no answer";
    unanswered_.clear();
  }

  // Every promise is in the log, once, where it was promised; and nothing that was never sent.
  void check() {
    const LogEvidence evidence = readEvidence(ledger_.data() / "log", ledger_.keys());
    expectSound(evidence);
    std::uint64_t found = 0;
    std::uint64_t wrong = 0;
    for (const auto& [id, promise] : promises_) {
      const auto at = evidence.byId.find(id);
      if (at == evidence.byId.end()) {
        ASSERT_FALSE(promise) << "an acknowledged fact is not in the log: seq " << promise->seq;
        continue;
      }
      ++found;
      if (promise && (at->second.workspace != 1 || at->second.seq != promise->seq || at->second.leaf != promise->leaf)) ++wrong;
      if (!promise) inLogUnanswered_.insert({id, {at->second.seq, at->second.leaf}});
    }
    EXPECT_EQ(wrong, 0U) << "acknowledged facts stand elsewhere than promised";
    EXPECT_EQ(evidence.sizeOf(1), found + 1) << "the chain holds workspace.created and what was sent, nothing else";
  }

  Totals& totals;

 private:
  void start() {
    process_ = std::make_unique<Process>(ledger_.words({"fact", "append", "-", "--workspace", "w1"}));
    sent_.clear();
    answered_ = 0;
    firstNewAnswer_ = 0;
    std::string lines;
    for (const std::string& id : lastAnswered_) lines += factOf(id);
    for (const std::string& id : unanswered_) lines += factOf(id);
    sent_.insert(sent_.end(), lastAnswered_.begin(), lastAnswered_.end());
    sent_.insert(sent_.end(), unanswered_.begin(), unanswered_.end());
    totals.repeated += sent_.size();
    lastAnswered_.clear();
    process_->send(lines);
  }

  // The same id makes the same fact: a repeat must be the same request.
  std::string factOf(const std::string& id) const {
    const std::string common = "\"id\":\"" + id + "\",\"run\":\"run-" + id.substr(24, 2) + "\",\"host\":\"host-" + id.substr(26, 1) + "\"";
    switch (id.back() % 3) {
      case 0:
        return "{\"kind\":\"tool.invoked\"," + common +
               ",\"tool\":\"git\",\"operation\":\"clone\",\"outcome\":\"ok\",\"summary\":\"cloned " + id.substr(24) + "\"}\n";
      case 1:
        return "{\"kind\":\"vault.written\"," + common + ",\"secretName\":\"db/" + id.substr(24, 3) +
               "\",\"operation\":\"rotate\",\"value\":{\"value\":\"value-" + id + "\"},\"outcome\":\"ok\"}\n";
      default:
        return "{\"kind\":\"egress.observed\"," + common + ",\"destination\":\"https://api.example.com/" + id.substr(24) +
               "\",\"allowed\":true}\n";
    }
  }

  // One round of input and output; keeps the program's pipe full.
  bool step() {
    while (process_->unsent() < 64 * 1024) {
      std::string lines;
      for (std::uint64_t some = 1 + ids_.below(200); some > 0; --some) {
        const std::string id = ids_.next();
        promises_.try_emplace(id);
        ++totals.facts;
        sent_.push_back(id);
        lines += factOf(id);
      }
      process_->send(lines);
    }
    const bool lives = process_->pump(5);
    takeAnswers();
    return lives;
  }

  void takeAnswers() {
    std::string& out = process_->out;
    std::size_t at = 0;
    for (std::size_t end = out.find('\n'); end != std::string::npos; at = end + 1, end = out.find('\n', at)) {
      takeAnswer(std::string_view(out).substr(at, end - at));
    }
    out.erase(0, at);
  }

  // Answers come in the order of the lines.
  void takeAnswer(std::string_view line) {
    ASSERT_FALSE(sent_.empty()) << "an answer to nothing";
    const std::string id = sent_.front();
    sent_.pop_front();
    ++answered_;
    boost::system::error_code failed;
    const boost::json::value answer = boost::json::parse(line, failed);
    ASSERT_FALSE(failed) << line;
    ASSERT_EQ(textAt(answer, {"receipt", "id"}), id) << line;
    const bool replayed = textAt(answer, {"replayed"}) == "true";
    const Acknowledged given{std::stoull(textAt(answer, {"receipt", "seq"})), textAt(answer, {"receipt", "leafHash"})};
    std::optional<Acknowledged>& promise = promises_[id];
    const auto recorded = inLogUnanswered_.find(id);
    EXPECT_EQ(replayed, promise.has_value() || recorded != inLogUnanswered_.end()) << line;
    if (recorded != inLogUnanswered_.end() && !promise) {
      promise = recorded->second;
      ++totals.adopted;
    }
    if (promise) {
      EXPECT_EQ(promise->seq, given.seq);
      EXPECT_EQ(promise->leaf, given.leaf);
    } else {
      promise = given;
      countNew();
    }
    inLogUnanswered_.erase(id);
    ++totals.acknowledged;
    lastAnswered_.push_back(id);
    if (lastAnswered_.size() > 100) lastAnswered_.pop_front();
  }

  void countNew() {
    if (firstNewAnswer_ == 0) {
      firstNewAnswer_ = nowMicroseconds();
      processorAtFirst_ = processorSecondsOf(process_->pid());
    } else {
      ++totals.underLoad;
    }
  }

  LedgerFolder& ledger_;
  Ids ids_;
  std::unique_ptr<Process> process_;
  std::map<std::string, std::optional<Acknowledged>> promises_;  // every id ever sent
  std::map<std::string, Acknowledged> inLogUnanswered_;          // seen in the log after a kill, without an answer before it
  std::deque<std::string> sent_;                                 // to this process, unanswered, in order
  std::deque<std::string> lastAnswered_;
  std::vector<std::string> unanswered_;
  std::uint64_t answered_ = 0;
  std::int64_t firstNewAnswer_ = 0;  // of this process
  double processorAtFirst_ = 0;
};

// The views, folded as the entries came, equal a fresh projection of the log.
void checkViews(const LedgerFolder& ledger) {
  const Result before = ledger.run({"verify"});
  EXPECT_EQ(before.status, 0) << before;
  const Result first = ledger.run({"rebuild"});
  const Result second = ledger.run({"rebuild"});
  EXPECT_EQ(first.status, 0) << first;
  EXPECT_EQ(first.out, second.out);
  const Result after = ledger.run({"verify"});
  EXPECT_EQ(after.status, 0) << after;
}

// One ledger's life: so many kills, one check of everything after each.
void killAgainAndAgain(unsigned kills, std::uint64_t seed, std::uint64_t answersMax, Totals& totals) {
  LedgerFolder ledger;
  Producer producer(ledger, seed, totals);
  Ids dice(seed + 1);
  for (unsigned kill = 0; kill < kills; ++kill) {
    SCOPED_TRACE("kill " + std::to_string(kill));
    // Every third one inside a commit; some while it starts, before it could answer anything.
    const bool inside = kill % 3 == 1;
    const bool early = !inside && kill % 6 == 5;
    const std::uint64_t answers = early ? 0 : 200 + dice.below(answersMax);
    ASSERT_NO_FATAL_FAILURE(producer.live(answers, static_cast<std::int64_t>(dice.below(60'000)), inside));
    ASSERT_NO_FATAL_FAILURE(producer.check());
    // Now and then a life that ends in order, and views that are caught up, so that both are started from at every age.
    if (kill % 4 == 3) {
      ASSERT_NO_FATAL_FAILURE(producer.liveToTheEnd());
      expectVerified(ledger);
    }
  }
  ASSERT_NO_FATAL_FAILURE(producer.liveToTheEnd());
  ASSERT_NO_FATAL_FAILURE(producer.check());
  expectVerified(ledger);
  checkViews(ledger);
}

TEST(Kill, WhateverWasAcknowledgedIsInTheLogExactlyOnce) {
  const bool isLong = std::getenv("COUNTERFOIL_TEST_LONG") != nullptr;
  const unsigned ledgers = isLong ? 5 : 1;
  const unsigned killsOfEach = isLong ? 20 : 12;
  const char* const seedText = std::getenv("COUNTERFOIL_TEST_SEED");
  const std::uint64_t seed = seedText != nullptr ? std::strtoull(seedText, nullptr, 10) : 20'260'301;
  SCOPED_TRACE("COUNTERFOIL_TEST_SEED=" + std::to_string(seed));
  Totals totals;
  for (unsigned ledger = 0; ledger < ledgers; ++ledger) {
    SCOPED_TRACE("ledger " + std::to_string(ledger));
    ASSERT_NO_FATAL_FAILURE(killAgainAndAgain(killsOfEach, seed + 100 * ledger, isLong ? 6'000 : 2'000, totals));
  }
  EXPECT_EQ(totals.kills, ledgers * killsOfEach);
  EXPECT_GE(totals.insideWrite + totals.insideSync, isLong ? 20U : 4U);
  std::printf(
      "kills %u, inside a commit %u (in a write %u, in a sync %u), before any answer %u; facts %llu, answers %llu, repeated %llu, "
      "recorded without an answer and adopted %llu; %.0f answers/s under load, %.0f per second of the program's processor time\n",
      totals.kills, totals.insideWrite + totals.insideSync, totals.insideWrite, totals.insideSync, totals.beforeAnyAnswer,
      static_cast<unsigned long long>(totals.facts), static_cast<unsigned long long>(totals.acknowledged),
      static_cast<unsigned long long>(totals.repeated), static_cast<unsigned long long>(totals.adopted), totals.rate(),
      totals.processorRate());
}

}  // namespace
}  // namespace counterfoil::test

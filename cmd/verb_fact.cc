// `fact append`: facts, one JSON object per line.
#include <deque>
#include <future>

#include "cmd/fact_upload.h"
#include "cmd/input.h"
#include "cmd/output.h"
#include "cmd/recorder.h"
#include "ledger/core/json.h"
#include "ledger/core/limits.h"
#include "ledger/write/answer_json.h"

namespace counterfoil::cmd {
namespace {

constexpr std::size_t kFactsOutstandingMax = 2'000;

struct LineResult {
  std::string json;  // the receipt or the problem
  bool recorded = false;
};

class Appender {
 public:
  Appender(const CommonOptions& common, Session& session) : common_(common), session_(session) {}

  void line(std::optional<std::string_view> text) {
    ++lines_;
    auto result = std::make_shared<std::promise<LineResult>>();
    pending_.push_back(result->get_future());
    const auto done = [result, workspace = common_.workspace, ack = session_.log().durability()](const write::Answer* answer,
                                                                                                 const Fault* fault) {
      if (fault != nullptr) {
        result->set_value({write::problemJson(*fault, {}), false});
      } else {
        result->set_value({write::answerJson(*answer, workspace, ack), true});
      }
    };
    try {
      if (!text) throw Fault(ErrorCode::tooLarge, "the line is longer than 128 KiB", "split the fact, or cut its texts");
      Event fact = parseFact(*text);
      if (principalOf(fact.common, Field::actor).kind == PrincipalKind::unspecified) {
        setPrincipal(fact.arena, fact.common, Field::actor, {PrincipalKind::operatorPerson, fact.arena.copy(Session::operatorName())});
      }
      session_.ledger().append(common_.workspace, std::move(fact), done);
    } catch (const Fault& fault) {
      done(nullptr, &fault);
    }
    while (pending_.size() > kFactsOutstandingMax) print();
  }

  // Answers everything that was read so far.
  void answerAll() {
    while (!pending_.empty()) print();
  }

  int finish() {
    answerAll();
    if (!common_.json) note(common_, grouped(recorded_) + " recorded, " + grouped(printed_ - recorded_) + " refused");
    return recorded_ == printed_ ? 0 : 2;
  }

 private:
  // In the order of the lines, whatever order they became durable in.
  void print() {
    const LineResult result = pending_.front().get();
    pending_.pop_front();
    ++printed_;
    if (result.recorded) ++recorded_;
    if (common_.json || !result.recorded)
      cmd::print((common_.json ? std::string() : "line " + std::to_string(printed_) + ": ") + visible(result.json));
  }

  const CommonOptions& common_;
  Session& session_;
  std::deque<std::future<LineResult>> pending_;
  std::uint64_t lines_ = 0;
  std::uint64_t printed_ = 0;
  std::uint64_t recorded_ = 0;
};

int uploadAll(const CommonOptions& common, ServerLink& server, const std::string& path) {
  FactUpload upload(common, server);
  forEachLine(
      path, limits::kJsonLineBytesMax,
      [&](std::optional<std::string_view> text) {
        if (text && text->find_first_not_of(" \t\r") == std::string_view::npos) return true;
        upload.line(text);
        return true;
      },
      [&] { upload.flush(); });
  return upload.finish();
}

int append(const CommonOptions& common, const std::string& path) {
  Recorder recorder(common);
  if (recorder.server() != nullptr) return uploadAll(common, *recorder.server(), path);
  Session& session = *recorder.session();
  if (!session.ledger().findWorkspace(common.workspace)) {
    throw Fault(ErrorCode::noSuchItem, "there is no such workspace",
                "`counterfoil workspace list` shows them; `workspace create` makes one");
  }
  Appender appender(common, session);
  forEachLine(
      path, limits::kJsonLineBytesMax,
      [&](std::optional<std::string_view> text) {
        if (text && text->find_first_not_of(" \t\r") == std::string_view::npos) return true;
        appender.line(text);
        return true;
      },
      [&] { appender.answerAll(); });  // who waits for an answer before sending more must get it
  const int status = appender.finish();
  session.close();
  return status;
}

}  // namespace

void addFact(Verb app, Program& program) {
  Verb verb = app.verb("fact", "Facts: what happened elsewhere");
  verb.requireVerb();
  auto path = std::make_shared<std::string>("-");
  Verb appendVerb = verb.verb("append", "Append facts, one JSON object per line; a bad line does not stop the others");
  addCommonFlags(appendVerb, program.common, true);
  appendVerb.option("file", *path, "NDJSON file, - for standard input");
  appendVerb.whenGiven([&program, path] { program.run = [&program, path] { return append(program.common, *path); }; });
}

}  // namespace counterfoil::cmd

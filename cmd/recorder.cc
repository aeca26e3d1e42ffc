#include "cmd/recorder.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "cmd/output.h"
#include "ledger/write/answer_json.h"

namespace counterfoil::cmd {
namespace {

std::string textOf(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  if (value == nullptr) return {};
  return value->is_string() ? std::string(value->get_string()) : boost::json::serialize(*value);
}

// A word for what the lease has come to.
bool isEndedState(std::string_view state) {
  return state != leaseStateName(LeaseState::granted) && state != leaseStateName(LeaseState::active);
}

std::string leaseText(const boost::json::object& lease) {
  std::string text = " lease " + textOf(lease, "id") + " (" + textOf(lease, "state");
  const std::string expires = textOf(lease, "expiresAt");
  if (!isEndedState(textOf(lease, "state")) && !expires.empty()) text += ", until " + expires;
  text += ", uses " + textOf(lease, "uses");
  if (textOf(lease, "maxUses") != "0") text += " of " + textOf(lease, "maxUses");
  return text + ")";
}

void printText(const CommonOptions& common, const boost::json::object& answer, bool denied) {
  std::string line = textOf(answer, "outcome");
  if (denied) line += ": " + textOf(answer, "reasonCode");
  const boost::json::value* lease = answer.if_contains("lease");
  if (lease != nullptr && lease->is_object()) line += leaseText(lease->get_object());
  if (answer.contains("approvalId")) line += " approval " + textOf(answer, "approvalId");
  if (answer.contains("revocationId"))
    line += " revocation " + textOf(answer, "revocationId") + ", leases hit: " + textOf(answer, "matched");
  if (answer.contains("holdId")) line += " hold " + textOf(answer, "holdId");
  if (answer.contains("version")) line += " version " + textOf(answer, "version");
  if (answer.contains("number")) line += " number " + textOf(answer, "number");
  print(visible(line));
  const boost::json::value* receipt = answer.if_contains("receipt");
  if (receipt == nullptr || !receipt->is_object() || common.quiet) return;
  const boost::json::object& shown = receipt->get_object();
  print(visible("receipt: seq " + textOf(shown, "seq") + ", leaf " + textOf(shown, "leafHash") + ", at " + textOf(shown, "recordedAt") +
                (answer.contains("replayed") ? ", repeated" : "")));
}

}  // namespace

Recorder::Recorder(const CommonOptions& common) : common_(common), link_(ServerLink::find(common)) {
  if (link_ == nullptr) session_ = std::make_unique<Session>(common, Access::write);
}

std::string Recorder::execute(Command command) {
  if (link_ != nullptr) return link_->record(command);
  return write::answerJson(session_->execute(std::move(command)), common_.workspace, session_->log().durability());
}

std::string Recorder::append(Event fact) {
  if (link_ != nullptr) return link_->record(fact);
  return write::answerJson(session_->append(std::move(fact)), common_.workspace, session_->log().durability());
}

void Recorder::close() {
  if (session_ != nullptr) session_->close();
}

int recordAndPrint(const CommonOptions& common, Command command) {
  Recorder recorder(common);
  const std::string json = recorder.execute(std::move(command));
  recorder.close();
  const boost::json::value answer = boost::json::parse(json);
  const bool denied = textOf(answer.as_object(), "outcome") == "denied";
  if (common.json) {
    print(json);
  } else {
    printText(common, answer.as_object(), denied);
  }
  return denied ? 1 : 0;
}

void refuseUrl(const CommonOptions& common, const char* verb) {
  if (common.url.empty()) return;
  throw Fault(ErrorCode::usage, std::string("`") + verb + "` works on a data folder, not through a server",
              "leave --url and COUNTERFOIL_URL away, and name the folder with --data", "--url");
}

}  // namespace counterfoil::cmd

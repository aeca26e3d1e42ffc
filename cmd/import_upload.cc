#include "cmd/import_upload.h"

#include <boost/json/parse.hpp>
#include <charconv>
#include <chrono>

#include "clients/cpp/error.h"
#include "clients/cpp/fact_sender.h"
#include "clients/cpp/json_writer.h"
#include "cmd/command_json.h"
#include "cmd/json_text.h"
#include "cmd/output.h"
#include "ledger/core/encoding.h"
#include "ledger/core/json.h"

namespace counterfoil::cmd {
namespace {

constexpr std::chrono::milliseconds kPause{1'000};
// A killed import gives way after half a minute.
constexpr int kOtherImportSecondsMax = 60;
// Tries in which not one fact of a batch was taken.
constexpr int kFruitlessTriesMax = 60;
constexpr int kFinishTriesMax = 30;

void pause() {
  client::Surroundings::real().pause(kPause, {});
}

std::uint64_t numberIn(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// A text member, for texts without escapes: codes, ids.
std::string plainText(std::string_view object, std::string_view name) {
  std::string_view value = rawMember(object, name);
  if (value.size() < 2 || value.front() != '"') return {};
  return std::string(value.substr(1, value.size() - 2));
}

bool isForLater(std::string_view error) {
  const std::uint64_t status = numberIn(rawMember(error, "status"));
  return status == 429 || status == 503 || status == 507;
}

std::string textBody(std::string_view name, std::string_view value) {
  std::string out;
  JsonObject(out).text(name, value).end();
  return out;
}

bool isUnknownImport(const Fault& fault) {
  return fault.code() == ErrorCode::noSuchItem && fault.field() == "import";
}

}  // namespace

ImportUpload::ImportUpload(const CommonOptions& common, ServerLink& server, std::string source)
    : common_(common), server_(server), source_(std::move(source)) {}

ImportUpload::~ImportUpload() {
  if (import_.empty()) return;
  try {
    HttpRequest request;
    request.method = "POST";
    request.target = server_.target("/imports/" + import_ + "/finish");
    request.repeatable = false;
    server_.send(request);
  } catch (const Fault&) {
    // It gives way by itself.
  }
}

void ImportUpload::begin() {
  for (int waited = 0; import_.empty(); ++waited) {
    std::string body;
    JsonObject object(body);
    object.text("source", source_);
    if (begunBefore_) object.number("since", since_);
    object.end();
    HttpRequest request;
    request.method = "POST";
    request.target = server_.target("/imports");
    request.contentType = "application/json";
    request.body = body;
    try {
      const HttpAnswer answer = server_.send(request);
      import_ = plainText(answer.body, "import");
      if (import_.empty())
        throw Fault(ErrorCode::indeterminate, "what answers at this URL is no server of this version", "look at the URL");
      if (!begunBefore_) since_ = numberIn(rawMember(answer.body, "since"));
      begunBefore_ = true;
    } catch (const Fault& fault) {
      if (fault.code() != ErrorCode::importRunning || waited >= kOtherImportSecondsMax) throw;
      if (waited == 0) note(common_, "another import of this source is under way in the workspace: waiting for its end");
      pause();
    }
  }
}

HttpAnswer ImportUpload::send(std::string_view behind, std::string_view contentType, std::string_view body) {
  for (bool anew = false;; anew = true) {
    begin();
    HttpRequest request;
    request.method = "POST";
    const bool isFacts = behind.empty();
    request.target = server_.target(isFacts ? "/facts?import=" + import_ : "/imports/" + import_ + std::string(behind));
    request.contentType = contentType;
    request.body = body;
    if (isFacts) request.accept = "application/x-ndjson, application/json";
    try {
      return server_.send(request);
    } catch (const Fault& fault) {
      if (!isUnknownImport(fault) || anew) throw;
      import_.clear();
    }
  }
}

importers::KnownLease ImportUpload::knownLease() {
  return [this](const crypto::Digest& credential) -> std::optional<std::string> {
    const std::string body = "{\"secret\":" + textBody("sha256", toHex(credential)) + "}";
    const HttpAnswer answer = send("/leases", "application/json", body);
    boost::json::error_code failed;
    const boost::json::value json = boost::json::parse(answer.body, failed);
    if (failed || !json.is_object()) {
      throw Fault(ErrorCode::indeterminate, "what answers at this URL is no server of this version", "look at the URL");
    }
    const boost::json::value* lease = json.get_object().if_contains("lease");
    if (lease == nullptr || !lease->is_string()) return std::nullopt;
    return std::string(lease->get_string());
  };
}

ImportResult ImportUpload::run(importers::Importer& importer) {
  importers::ImportedEvent event;
  while (importer.next(event)) add(std::move(event));
  flush();
  finish();
  return result_;
}

void ImportUpload::add(importers::ImportedEvent imported) {
  const Event& fact = imported.event;
  if (batch_.capacity() == 0) batch_.reserve(client::kFactBytesMax / 16);
  appendImportLine(fact, batch_);
  batch_ += '\n';
  ends_.push_back(batch_.size());
  kinds_.push_back(fact.kind);
  producers_.emplace(fact.common.text(Field::producer));
  if (ends_.size() >= client::kFactLinesMax || batch_.size() >= client::kFactBytesMax) flush();
}

void ImportUpload::flush() {
  std::size_t first = 0;
  for (int fruitless = 0; first < ends_.size();) {
    const std::size_t begin = first == 0 ? 0 : ends_[first - 1];
    const HttpAnswer answer = send("", "application/x-ndjson", std::string_view(batch_).substr(begin));
    const std::size_t next = take(answer.body, first);
    fruitless = next > first ? 0 : fruitless + 1;
    first = next;
    if (first == ends_.size()) break;
    if (fruitless >= kFruitlessTriesMax)
      throw faultOf(client::errorOf(static_cast<int>(numberIn(rawMember(refusal_, "status"))), refusal_, {}));
    pause();
  }
  crypto::wipe(batch_.data(), batch_.size());
  batch_.clear();
  ends_.clear();
  kinds_.clear();
}

std::size_t ImportUpload::take(std::string_view answers, std::size_t first) {
  std::size_t place = first;
  for (std::size_t at = 0; at < answers.size() && place < ends_.size();) {
    const std::size_t end = answers.find('\n', at);
    // Without its end it may be cut.
    if (end == std::string_view::npos) break;
    const std::string_view result = answers.substr(at, end - at);
    const std::string_view error = rawMember(result, "error");
    if (!error.empty() && isForLater(error)) {
      refusal_ = error;
      return place;
    }
    takeOne(result, place++);
    at = end + 1;
  }
  if (place < ends_.size()) {
    throw Fault(ErrorCode::indeterminate, "the server did not answer every line", "import again: what is recorded is known again");
  }
  return place;
}

void ImportUpload::takeOne(std::string_view result, std::size_t place) {
  if (const std::string_view error = rawMember(result, "error"); !error.empty()) {
    ++result_.failed;
    ++result_.refusals[plainText(error, "code")];
    return;
  }
  const std::string_view receipt = rawMember(result, "receipt");
  // Known, but since this run began: its first answer was lost on the way.
  const bool ours = rawMember(result, "replayed") != "true" || numberIn(rawMember(receipt, "seq")) >= since_;
  if (!ours) {
    ++result_.duplicates;
    return;
  }
  ++result_.recorded;
  ++result_.byKind[std::string(kindName(kinds_[place]))];
}

void ImportUpload::finish() {
  if (!begunBefore_) {
    // Without a fact the workspace is asked for all the same: one that is not there is an error.
    HttpRequest request;
    request.target = server_.target("");
    server_.send(request);
    return;
  }
  for (const std::string& producer : producers_) send("/finish", "application/json", textBody("producer", producer));
  for (int tries = 1;; ++tries) {
    try {
      const HttpAnswer answer = send("/finish", "application/json", "{}");
      import_.clear();
      const boost::json::value json = boost::json::parse(answer.body);
      for (const auto& [kind, count] : json.at("byKind").as_object()) result_.byKind[kind] += count.to_number<std::uint64_t>();
      return;
    } catch (const Fault& fault) {
      // Many leases may end with an import.
      if (fault.code() != ErrorCode::notReady || tries >= kFinishTriesMax) throw;
    }
  }
}

}  // namespace counterfoil::cmd

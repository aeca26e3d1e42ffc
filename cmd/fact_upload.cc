#include "cmd/fact_upload.h"

#include <boost/json/parse.hpp>
#include <chrono>
#include <numeric>
#include <thread>

#include "cmd/json_text.h"
#include "cmd/output.h"
#include "ledger/core/outcome.h"
#include "ledger/write/answer_json.h"

namespace counterfoil::cmd {
namespace {

// Enough for a few commits, few enough that a lost connection leaves little unknown.
constexpr std::size_t kBatchLines = 2'000;
constexpr std::size_t kBatchBytes = 4 * 1024 * 1024;
constexpr int kTries = 10;
constexpr std::chrono::seconds kPause{1};

// Nothing of it was recorded, and later it may be.
bool isForLater(std::string_view result) {
  const std::string_view code = rawMember(rawMember(result, "error"), "code");
  return code == "\"rate_limited\"" || code == "\"intake_full\"";
}

}  // namespace

void FactUpload::line(std::optional<std::string_view> text) {
  if (!text) {
    flush();
    const Fault fault(ErrorCode::tooLarge, "the line is longer than 128 KiB", "split the fact, or cut its texts");
    print("{\"error\":" + write::problemJson(fault, {}) + "}");
    return;
  }
  if (batch_.capacity() == 0) batch_.reserve(kBatchBytes / 16);
  batch_.append(*text).append(1, '\n');
  ends_.push_back(batch_.size());
  if (ends_.size() >= kBatchLines || batch_.size() >= kBatchBytes) flush();
}

std::vector<std::string> FactUpload::send(std::string_view lines, std::size_t count) {
  HttpRequest request;
  request.method = "POST";
  request.target = server_.target("/facts");
  request.contentType = "application/x-ndjson";
  request.body = lines;
  request.accept = "application/x-ndjson, application/json";
  request.repeatable = false;
  sent_ = true;
  const HttpAnswer answer = server_.send(request);
  std::vector<std::string> results;
  for (std::size_t at = 0; at < answer.body.size();) {
    const std::size_t end = std::min(answer.body.find('\n', at), answer.body.size());
    results.push_back(answer.body.substr(at, end - at));
    boost::json::error_code failed;
    boost::json::parse(results.back(), failed);
    if (failed || results.back().front() != '{') results.clear();
    if (failed) break;
    at = end + 1;
  }
  if (results.size() != count) {
    throw Fault(ErrorCode::indeterminate,
                "the server did not answer every line: what the last " + std::to_string(count) + " came to is not known",
                "send them again with the same ids");
  }
  return results;
}

void FactUpload::flush() {
  if (ends_.empty()) return;
  std::vector<std::string> results(ends_.size());
  std::vector<std::size_t> open(ends_.size());
  std::iota(open.begin(), open.end(), 0);
  for (int left = kTries; !open.empty(); --left) {
    WipingString again;
    again.reserve(batch_.size());
    for (const std::size_t index : open) {
      const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
      again.append(batch_, begin, ends_[index] - begin);
    }
    std::vector<std::string> got = send(again, open.size());
    std::vector<std::size_t> later;
    for (std::size_t place = 0; place < got.size(); ++place) {
      if (left > 1 && isForLater(got[place])) {
        later.push_back(open[place]);
      } else {
        results[open[place]] = std::move(got[place]);
      }
    }
    open = std::move(later);
    if (!open.empty()) std::this_thread::sleep_for(kPause);
  }
  crypto::wipe(batch_.data(), batch_.size());
  batch_.clear();
  ends_.clear();
  for (const std::string& result : results) print(result);
}

void FactUpload::print(std::string_view result) {
  ++printed_;
  const std::string_view error = rawMember(result, "error");
  if (error.empty()) ++recorded_;
  if (!common_.json && error.empty()) return;
  cmd::print((common_.json ? std::string() : "line " + std::to_string(printed_) + ": ") + visible(error.empty() ? result : error));
}

int FactUpload::finish() {
  flush();
  // Without a line the workspace is asked for all the same: one that is not there is an error.
  HttpRequest request;
  request.target = server_.target("");
  if (!sent_) server_.send(request);
  if (!common_.json) note(common_, grouped(recorded_) + " recorded, " + grouped(printed_ - recorded_) + " refused");
  return recorded_ == printed_ ? 0 : 2;
}

}  // namespace counterfoil::cmd

#include "cmd/fact_upload.h"

#include "clients/cpp/fact_sender.h"
#include "cmd/json_text.h"
#include "cmd/output.h"
#include "ledger/core/outcome.h"
#include "ledger/write/answer_json.h"

namespace counterfoil::cmd {

void FactUpload::line(std::optional<std::string_view> text) {
  if (!text) {
    flush();
    const Fault fault(ErrorCode::tooLarge, "the line is longer than 128 KiB", "split the fact, or cut its texts");
    print("{\"error\":" + write::problemJson(fault, {}) + "}");
    return;
  }
  if (batch_.capacity() == 0) batch_.reserve(client::kFactBytesMax / 16);
  batch_.append(*text);
  ends_.push_back(batch_.size());
  if (ends_.size() >= client::kFactLinesMax || batch_.size() >= client::kFactBytesMax) flush();
}

void FactUpload::flush() {
  if (ends_.empty()) return;
  std::vector<std::string_view> lines;
  std::size_t begin = 0;
  for (const std::size_t end : ends_) {
    lines.push_back(std::string_view(batch_).substr(begin, end - begin));
    begin = end;
  }
  sent_ = true;
  // Lines may have no ids: what they came to must not be asked for by sending them again.
  const auto send = [&] { return client::sendFacts(server_, server_.target(""), lines, false, client::Surroundings::real()); };
  const std::vector<std::string> results = withFaults(send);
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

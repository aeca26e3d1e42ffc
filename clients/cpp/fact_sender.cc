#include "clients/cpp/fact_sender.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <numeric>

#include "clients/cpp/answers.h"

namespace counterfoil::client {
namespace {

constexpr int kTries = 10;
constexpr std::chrono::milliseconds kPause{1'000};

// Nothing of it was recorded, and later it may be. Throws foreign_answer if it is no result at all.
bool isForLater(std::string_view result) {
  const boost::json::object answer = objectIn(result);
  const boost::json::value* error = answer.if_contains("error");
  if (error == nullptr || !error->is_object()) return false;
  const std::string code = textAt(error->get_object(), "code");
  return code == "rate_limited" || code == "intake_full";
}

std::vector<std::string> resultsOf(Requests& requests, const std::string& workspace, std::string_view body, std::size_t count,
                                   bool repeatable) {
  HttpRequest request;
  request.method = "POST";
  request.target = workspace + "/facts";
  request.contentType = "application/x-ndjson";
  request.body = body;
  request.accept = "application/x-ndjson, application/json";
  request.repeatable = repeatable;
  const HttpAnswer answer = requests.send(request);
  std::vector<std::string> results;
  for (std::size_t at = 0; at < answer.body.size();) {
    const std::size_t end = std::min(answer.body.find('\n', at), answer.body.size());
    results.push_back(answer.body.substr(at, end - at));
    at = end + 1;
  }
  // The last one may be cut.
  const auto isResult = [](const std::string& result) {
    boost::json::error_code failed;
    return boost::json::parse(result, failed).is_object() && !failed;
  };
  if (results.size() != count || !std::all_of(results.begin(), results.end(), isResult)) {
    throw Error(kIndeterminate, "the server did not answer every line: what the last " + std::to_string(count) + " came to is not known",
                "send them again with the same ids");
  }
  return results;
}

}  // namespace

std::vector<std::string> sendFacts(Requests& requests, const std::string& workspace, std::span<const std::string_view> lines,
                                   bool repeatable, const Surroundings& surroundings) {
  std::vector<std::string> results(lines.size());
  std::vector<std::size_t> open(lines.size());
  std::iota(open.begin(), open.end(), 0);
  for (int left = kTries; !open.empty(); --left) {
    std::size_t bytes = 0;
    for (const std::size_t index : open) bytes += lines[index].size() + 1;
    WipingString body;
    body.reserve(std::max<std::size_t>(bytes, 64));
    for (const std::size_t index : open) body.append(lines[index]).append(1, '\n');
    std::vector<std::string> got = resultsOf(requests, workspace, body, open.size(), repeatable);
    std::vector<std::size_t> later;
    for (std::size_t place = 0; place < got.size(); ++place) {
      if (left > 1 && isForLater(got[place])) {
        later.push_back(open[place]);
      } else {
        results[open[place]] = std::move(got[place]);
      }
    }
    open = std::move(later);
    if (!open.empty()) surroundings.pause(kPause, {});
  }
  return results;
}

}  // namespace counterfoil::client

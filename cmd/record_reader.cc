#include "cmd/record_reader.h"

#include <boost/json/parse.hpp>

#include "ledger/core/json.h"

namespace counterfoil::cmd {
namespace {

std::string checkedObject(std::string body) {
  boost::json::error_code failed;
  const boost::json::value json = boost::json::parse(body, failed);
  if (failed || !json.is_object()) {
    throw Fault(ErrorCode::notReady, "what answers at this URL is no server of this version", "look at the URL");
  }
  return body;
}

}  // namespace

std::string queryText(const std::vector<query::Parameter>& parameters) {
  std::string text;
  for (const auto& [name, value] : parameters) text += (text.empty() ? "?" : "&") + percentEncoded(name) + "=" + percentEncoded(value);
  return text;
}

RecordReader::RecordReader(const CommonOptions& common) : link_(ServerLink::find(common)) {
  if (link_ == nullptr) {
    views_ = std::make_unique<ViewSession>(common);
  } else {
    wait_ = newestSeq();
  }
}

// Views follow the log a little behind; a folder's verb would bring them up to it before it reads.
std::optional<std::uint64_t> RecordReader::newestSeq() {
  HttpRequest request;
  request.target = link_->target("");
  const boost::json::value workspace = boost::json::parse(checkedObject(link_->send(request).body));
  const boost::json::value* at = workspace.get_object().if_contains("asOf");
  const boost::json::value* seq = at != nullptr && at->is_object() ? at->get_object().if_contains("seq") : nullptr;
  if (seq == nullptr || !seq->is_int64()) return std::nullopt;
  return static_cast<std::uint64_t>(seq->get_int64());
}

std::string RecordReader::get(std::string target, std::vector<query::Parameter> parameters) {
  if (wait_) parameters.emplace_back("wait", std::to_string(*wait_));
  HttpRequest request;
  request.target = std::move(target) + queryText(parameters);
  return checkedObject(link_->send(request).body);
}

std::string RecordReader::list(query::ListKind list, const std::vector<query::Parameter>& parameters, bool disclose) {
  if (link_ != nullptr) {
    std::vector<query::Parameter> asked = parameters;
    if (disclose) asked.emplace_back("disclose", "true");
    return get(link_->target("/" + std::string(query::listName(list))), std::move(asked));
  }
  const query::Filters filters = query::parseFilters(list, parameters);
  const auto disclosures = disclose ? views_->disclosures() : nullptr;
  return views_->reader().list(list, filters, views_->resolver(), disclosures.get());
}

std::string RecordReader::lease(const std::string& id, const std::vector<query::Parameter>& parameters) {
  if (link_ != nullptr) return get(link_->target("/leases/" + percentEncoded(id)), parameters);
  return views_->reader().lease(id, query::parseFilters(query::ListKind::leases, parameters));
}

std::string RecordReader::query(const std::string& sql) {
  if (link_ == nullptr) return views_->reader().query(sql, {}, views_->session().clock()).json();
  std::string body;
  JsonObject object(body);
  object.text("sql", sql).end();
  HttpRequest request;
  request.method = "POST";
  request.target = link_->target("/query");
  if (wait_) request.target += queryText({{"wait", std::to_string(*wait_)}});
  request.contentType = "application/json";
  request.body = body;
  return checkedObject(link_->send(request).body);
}

}  // namespace counterfoil::cmd

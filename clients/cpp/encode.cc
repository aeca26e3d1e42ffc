#include "clients/cpp/encode.h"

#include "clients/cpp/json_writer.h"

namespace counterfoil::client {
namespace {

constexpr std::size_t kRoomBytes = 4096;

class RequestWriter {
 public:
  RequestWriter() {
    out_.reserve(kRoomBytes);
    object_.emplace(out_);
  }
  RequestWriter& text(std::string_view name, std::string_view value) {
    object_->text(name, value);
    return *this;
  }
  RequestWriter& number(std::string_view name, std::optional<std::uint64_t> value) {
    if (value) object_->number(name, *value);
    return *this;
  }
  RequestWriter& texts(std::string_view name, const std::vector<std::string>& values) {
    if (values.empty()) return *this;
    object_->name(name);
    char before = '[';
    for (const std::string& value : values) {
      out_ += std::exchange(before, ',');
      appendJsonText(value, out_);
    }
    out_ += ']';
    return *this;
  }
  RequestWriter& principal(std::string_view name, const Principal& value) {
    object_->name(name);
    JsonObjectWriter inner(out_);
    inner.text("kind", value.kind);
    inner.text("id", value.id);
    inner.end();
    return *this;
  }
  RequestWriter& secret(std::string_view name, const SecretOf& secret) {
    if (secret.value.empty() && secret.sha256.empty()) return *this;
    if (!secret.value.empty() && !secret.sha256.empty()) {
      throw Error(kUsage, "a secret is given by its value or by its digest, not by both", "leave one of them empty",
                  "/" + std::string(name));
    }
    object_->name(name);
    JsonObjectWriter inner(out_);
    inner.text("value", secret.value.text());
    inner.text("sha256", secret.sha256);
    inner.end();
    return *this;
  }
  RequestWriter& context(const CommandContext& context) {
    if (context.actor) principal("actor", *context.actor);
    text("run", context.run).text("host", context.host).text("sandbox", context.sandbox);
    return text("correlation", context.correlation).text("traceparent", context.traceparent);
  }
  WipingString end() {
    object_->end();
    return std::move(out_);
  }

 private:
  WipingString out_;
  std::optional<JsonObjectWriter> object_;
};

void writeSelector(const ByRun& by, RequestWriter& out) {
  out.text("run", by.run);
}
void writeSelector(const ByHost& by, RequestWriter& out) {
  out.text("host", by.host);
}
void writeSelector(const ByPrincipal& by, RequestWriter& out) {
  out.principal("principal", by.principal);
}
void writeSelector(const ByBundle& by, RequestWriter& out) {
  out.text("bundle", by.bundle);
}
void writeSelector(const ByCredential& by, RequestWriter& out) {
  out.secret("credential", by.credential);
}
void writeSelector(const ByLease& by, RequestWriter& out) {
  out.text("lease", by.lease);
}

}  // namespace

WipingString jsonOf(const GrantRequest& request) {
  RequestWriter out;
  out.text("leaseId", request.leaseId).text("credential", request.credential).text("credentialName", request.credentialName);
  out.principal("grantee", request.grantee).texts("scope", request.scope).texts("resources", request.resources);
  out.number("ttlSeconds", request.ttlSeconds).number("maxUses", request.maxUses);
  out.number("renewableForSeconds", request.renewableForSeconds);
  out.text("parentLease", request.parentLease).text("approval", request.approval).text("issuer", request.issuer);
  out.text("reason", request.reason).secret("secret", request.secret).context(request.context);
  return out.end();
}

WipingString jsonOf(const IssuedReport& report) {
  RequestWriter out;
  out.text("outcome", report.outcome).text("upstreamId", report.upstreamId).text("upstreamExpiresAt", report.upstreamExpiresAt);
  out.text("errorCode", report.errorCode).secret("secret", report.secret).context(report.context);
  return out.end();
}

WipingString jsonOf(const ConsumeRequest& request) {
  RequestWriter out;
  out.text("operation", request.operation).texts("scope", request.scope).texts("resources", request.resources);
  out.text("outcome", request.outcome).text("errorCode", request.errorCode).text("sourceAddress", request.sourceAddress);
  out.text("sourceService", request.sourceService).text("userAgent", request.userAgent).context(request.context);
  return out.end();
}

WipingString jsonOf(const RenewRequest& request) {
  RequestWriter out;
  out.number("ttlSeconds", request.ttlSeconds).context(request.context);
  return out.end();
}

WipingString jsonOf(const RevokeRequest& request) {
  RequestWriter out;
  out.text("reasonCode", request.reasonCode).text("reason", request.reason).context(request.context);
  return out.end();
}

WipingString jsonOf(const RevokeAllRequest& request) {
  RequestWriter out;
  const auto write = [&](const auto& by) { writeSelector(by, out); };
  std::visit(write, request.what);
  out.text("reasonCode", request.reasonCode).text("reason", request.reason);
  return out.end();
}

WipingString lineOf(const Fact& fact, std::string_view id) {
  std::string_view json = fact.json;
  const auto isSpace = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  while (!json.empty() && isSpace(json.front())) json.remove_prefix(1);
  while (!json.empty() && isSpace(json.back())) json.remove_suffix(1);
  if (!json.starts_with('{') || !json.ends_with('}') || json.find_first_of("\r\n") != std::string_view::npos) {
    throw Error(kUsage, "a fact is one JSON object on one line", "write it without line ends between its members");
  }
  json.remove_prefix(1);
  std::string_view rest = json;
  while (!rest.empty() && isSpace(rest.front())) rest.remove_prefix(1);
  WipingString line;
  line.reserve(fact.json.size() + 64);
  line.append("{\"id\":");
  appendJsonText(id, line);
  if (!rest.starts_with('}')) line += ',';
  line.append(json);
  return line;
}

}  // namespace counterfoil::client

// `token mint | revoke | list | rotate`, over the token socket of the server that runs on the data folder.
#include <boost/json/parse.hpp>

#include "cmd/config.h"
#include "cmd/input.h"
#include "cmd/output.h"
#include "cmd/token_client.h"
#include "ledger/core/json.h"
#include "ledger/core/outcome.h"

namespace counterfoil::cmd {
namespace {

struct TokenOptions {
  std::string role, workspace, subject, ttl, certificate;
  std::string revoked;
};

// A folder that is no ledger is told as such, before its server is missed.
std::filesystem::path dataFolder(const CommonOptions& common) {
  return readConfig(common).data;
}

std::string field(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

int mint(const CommonOptions& common, const TokenOptions& options) {
  TokenOrder order;
  order.role = options.role;
  order.workspace = options.workspace;
  order.subject = options.subject;
  if (!options.ttl.empty()) {
    order.ttlSeconds = parseDuration(options.ttl, "--ttl");
    if (order.ttlSeconds == 0) throw Fault(ErrorCode::invalidValue, "--ttl must be longer than nothing", "", "--ttl");
  }
  if (!options.certificate.empty()) order.certificate = certificateDigest(options.certificate);
  const std::filesystem::path folder = dataFolder(common);
  print(common.json ? mintToken(folder, order) : requestToken(folder, order));
  return 0;
}

int revoke(const CommonOptions& common, const TokenOptions& options) {
  std::string request;
  JsonObject object(request);
  // A UUID has no colon, a subject always has one.
  const bool isSubject = options.revoked.find(':') != std::string::npos;
  object.text("request", "revoke").text(isSubject ? "subject" : "tokenId", options.revoked).end();
  const std::string answer = askTokenSocket(dataFolder(common), request);
  if (common.json) {
    print(answer);
  } else {
    print(isSubject ? "revoked: every token the subject was given until now" : "revoked");
  }
  return 0;
}

int listTokens(const CommonOptions& common) {
  const boost::json::value answer = boost::json::parse(askTokenSocket(dataFolder(common), R"({"request":"list"})"));
  Table table({"TOKEN", "SUBJECT", "ROLE", "WORKSPACE", "EXPIRES"});
  const boost::json::value* tokens = answer.as_object().if_contains("tokens");
  if (tokens == nullptr || !tokens->is_array()) throw Fault(ErrorCode::notReady, "the server's answer holds no tokens");
  for (const boost::json::value& item : tokens->get_array()) {
    const boost::json::object& token = item.as_object();
    if (common.json) {
      std::string line;
      JsonObject object(line);
      for (const auto& member : token) object.text({member.key().data(), member.key().size()}, field(token, member.key()));
      object.end();
      print(line);
    } else {
      table.row({visible(field(token, "tokenId")), visible(field(token, "subject")), visible(field(token, "role")),
                 visible(field(token, "workspace")), visible(field(token, "expiresAt"))});
    }
  }
  if (!common.json) table.print(common);
  return 0;
}

int rotate(const CommonOptions& common) {
  const std::string answer = askTokenSocket(dataFolder(common), R"({"request":"rotate"})");
  if (common.json) {
    print(answer);
  } else {
    print("a new key signs: " + visible(field(boost::json::parse(answer).as_object(), "keyId")));
    note(common, "tokens of the key before it stay valid until they expire, older ones are void");
  }
  return 0;
}

}  // namespace

void addToken(Verb app, Program& program) {
  Verb verb = app.verb("token", "Tokens for the server's API: mint, revoke, list, rotate their key");
  verb.requireVerb();
  auto options = std::make_shared<TokenOptions>();
  const auto add = [&](const char* name, const char* what, auto&& function) {
    Verb sub = verb.verb(name, what);
    addCommonFlags(sub, program.common, false);
    sub.whenGiven([&program, function] { program.run = function; });
    return sub;
  };
  Verb mintVerb = add("mint", "Print a new token; the server records that it was issued",
                      [&program, options] { return mint(program.common, *options); });
  mintVerb.option("--role", options->role, "owner, admin, member, reader, auditor or producer").required();
  mintVerb.option("--workspace,-w", options->workspace, "Workspace id, or * for all (default; a producer names one)");
  mintVerb.option("--subject", options->subject, "Who it is for, such as human:alice (default: you, as operator)");
  mintVerb.option("--ttl", options->ttl, "How long it lasts: at most 1h, 15m for producers (default: that)");
  mintVerb.option("--cert", options->certificate, "PEM file of the client certificate it is bound to");
  add("revoke", "End a token, or all of a subject, at once", [&program, options] { return revoke(program.common, *options); })
      .option("id", options->revoked, "The token's id as `token list` shows it, or a subject such as human:alice")
      .required();
  add("list", "Tokens that are out, never the tokens themselves", [&program] { return listTokens(program.common); });
  add("rotate", "Sign with a new key; tokens of the last one stay valid", [&program] { return rotate(program.common); });
}

}  // namespace counterfoil::cmd

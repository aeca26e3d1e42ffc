#include "ledger/keys/http_kms_provider.h"

#include <algorithm>
#include <array>
#include <map>

#include "ledger/core/check.h"
#include "ledger/core/encoding.h"
#include "ledger/crypto/digest.h"

namespace counterfoil::keys {
namespace {

constexpr std::size_t kBatchKeys = 250;
constexpr std::int64_t kFirstPause = kNanosecondsPerSecond / 4;
constexpr std::int64_t kLongestPause = 10 * kNanosecondsPerSecond;

Fault notTransit() {
  return Fault(ErrorCode::notReady, "what answers at kms_url does not speak the Transit API as it should",
               "check kms_url and kms_mount, and what stands between; `counterfoil doctor` asks it");
}

Fault refused() {
  return Fault(
      ErrorCode::keyPermissions, "the key service refuses the token",
      "is the token in kms_token_file valid, and does its policy allow what docs/keys.md lists? The file is read for every request");
}

Fault faultOf(KmsTrouble trouble) {
  switch (trouble) {
    case KmsTrouble::slow:
      return Fault(ErrorCode::notReady, "the key service did not answer within kms_timeout_ms",
                   "look at the service; it is asked again by itself");
    case KmsTrouble::untrusted:
      return Fault(ErrorCode::notReady, "the key service's certificate is not to be trusted: nothing was sent",
                   "name the authority that vouches for it in kms_ca, and the service in kms_url by a name in its certificate");
    case KmsTrouble::tooLarge:
      return Fault(ErrorCode::notReady, "the key service's answer is larger than is taken", "is kms_url right?");
    case KmsTrouble::badFile:
      return Fault(ErrorCode::notReady, "a file that kms_ca, kms_client_cert or kms_client_key names cannot be used", "they hold PEM");
    case KmsTrouble::unreachable:
    case KmsTrouble::none:
      break;
  }
  return Fault(ErrorCode::notReady, "the key service does not answer",
               "is it running, unsealed, and kms_url right? It is asked again by itself");
}

// Whatever no operation has an own meaning for.
void checkStatus(const KmsAnswer& answer) {
  if (answer.trouble != KmsTrouble::none) throw faultOf(answer.trouble);
  if (answer.status == 401 || answer.status == 403) throw refused();
  if (answer.status == 429 || answer.status >= 500) {
    throw Fault(ErrorCode::notReady, "the key service answers that it cannot do this now (status " + std::to_string(answer.status) + ")",
                "is it unsealed and active? It is asked again by itself");
  }
  if (answer.status < 200 || (answer.status >= 300 && answer.status != 400 && answer.status != 404)) throw notTransit();
}

[[noreturn]] void failMissing() {
  throw Fault(ErrorCode::keyMissing, "the key service has no such version of the workspace's key-encryption key",
              "restore the key service's storage from its backup; if the key was destroyed on purpose, what it protected is gone");
}

std::string_view textOf(const KmsText& body) {
  return {body.data(), body.size()};
}

bool isPlainPath(std::string_view path) {
  return !path.empty() && path.front() != '/' && path.back() != '/' && path.find("..") == std::string_view::npos &&
         path.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/") == std::string_view::npos;
}

}  // namespace

std::string kmsKeyPrefix(std::string_view origin) {
  const crypto::Digest digest = crypto::sha256({reinterpret_cast<const std::uint8_t*>(origin.data()), origin.size()});
  return "counterfoil-" + toHex(crypto::Bytes(digest).first(8));
}

struct HttpKmsProvider::Part {
  WorkspaceNumber workspace;
  std::vector<std::size_t> places;  // in the caller's requests
  std::vector<transit::Sealed> items;
};

HttpKmsProvider::HttpKmsProvider(HttpKmsOptions options, const Clock& clock)
    : mount_(std::move(options.mount)), prefix_(std::move(options.prefix)), clock_(clock), transport_(std::move(options.transport)) {
  if (!isPlainPath(mount_)) {
    throw Fault(ErrorCode::invalidValue, "setting kms_mount must be the path of a Transit engine", "such as transit, without /v1/");
  }
}

HttpKmsProvider::~HttpKmsProvider() = default;

// ---- asking ----

template <class Ask>
auto HttpKmsProvider::guarded(const Ask& ask) {
  {
    const std::scoped_lock lock(mutex_);
    const std::int64_t now = clock_.monotonicNanoseconds();
    if (trouble_ && now < retryAt_) {
      const std::int64_t left = (retryAt_ - now + kNanosecondsPerSecond - 1) / kNanosecondsPerSecond;
      throw trouble_->askAgainAfter(static_cast<std::uint64_t>(left));
    }
    // Who comes while this one tries is told what was wrong before, and does not wait.
    if (trouble_) retryAt_ = now + kLongestPause;
  }
  try {
    auto result = ask();
    const std::scoped_lock lock(mutex_);
    trouble_.reset();
    pauseNanoseconds_ = 0;
    return result;
  } catch (const Fault& fault) {
    leaveAlone(fault);
    throw;
  }
}

void HttpKmsProvider::leaveAlone(const Fault& fault) {
  const std::scoped_lock lock(mutex_);
  if (fault.code() != ErrorCode::notReady && fault.code() != ErrorCode::keyPermissions) {
    // The service answered, and what it said is about one key.
    trouble_.reset();
    pauseNanoseconds_ = 0;
    return;
  }
  pauseNanoseconds_ =
      fault.code() == ErrorCode::keyPermissions ? kLongestPause : std::clamp(2 * pauseNanoseconds_, kFirstPause, kLongestPause);
  trouble_ = fault;
  retryAt_ = clock_.monotonicNanoseconds() + pauseNanoseconds_;
}

std::vector<KmsAnswer> HttpKmsProvider::askAll(std::span<const KmsRequest> requests) {
  std::vector<KmsAnswer> answers = transport_.send(requests);
  for (const KmsAnswer& answer : answers) checkStatus(answer);
  return answers;
}

KmsAnswer HttpKmsProvider::ask(KmsRequest request) {
  return std::move(askAll({&request, 1}).at(0));
}

std::string HttpKmsProvider::pathOf(WorkspaceNumber workspace, std::string_view before, std::string_view behind) const {
  std::string path = "/v1/" + mount_ + "/";
  path.append(before).append("/").append(prefix_).append("-w").append(std::to_string(workspace.value)).append(behind);
  return path;
}

// nullopt: there is no such key.
std::optional<transit::KeyFacts> HttpKmsProvider::facts(WorkspaceNumber workspace) {
  const KmsAnswer answer = ask({false, pathOf(workspace, "keys"), {}});
  if (answer.status == 404 && transit::saysNothingThere(textOf(answer.body))) {
    const std::scoped_lock lock(mutex_);
    known_.erase(workspace.value);
    return std::nullopt;
  }
  const auto result = answer.status == 200 ? transit::keyFacts(textOf(answer.body)) : std::nullopt;
  if (!result) throw notTransit();
  const std::scoped_lock lock(mutex_);
  if (result->finished) {
    known_.erase(workspace.value);
  } else {
    known_.insert(workspace.value);
  }
  return result;
}

transit::KeyFacts HttpKmsProvider::factsAfter(WorkspaceNumber workspace, KmsRequest change) {
  const KmsAnswer answer = ask(std::move(change));
  if (answer.status >= 300) throw notTransit();
  // Some versions of the service answer with the key, some with nothing.
  const auto result = facts(workspace);
  if (!result) throw notTransit();
  return *result;
}

// ---- versions ----

std::uint32_t HttpKmsProvider::currentVersion(WorkspaceNumber workspace) {
  const auto look = [&] {
    const auto key = facts(workspace);
    return key && !key->finished ? key->latest : 0;
  };
  return guarded(look);
}

std::uint32_t HttpKmsProvider::createVersion(WorkspaceNumber workspace) {
  const auto make = [&] {
    const auto key = facts(workspace);
    if (!key) return factsAfter(workspace, {true, pathOf(workspace, "keys"), transit::createBody()}).latest;
    if (key->finished) return factsAfter(workspace, {true, pathOf(workspace, "keys", "/config"), transit::finishedBody(false)}).latest;
    const transit::KeyFacts now = factsAfter(workspace, {true, pathOf(workspace, "keys", "/rotate"), KmsText("{}")});
    if (now.latest <= key->latest) throw notTransit();
    return now.latest;
  };
  return guarded(make);
}

void HttpKmsProvider::destroyVersion(WorkspaceNumber workspace, std::uint32_t version) {
  const auto destroy = [&] {
    const auto key = facts(workspace);
    if (!key || version == 0 || version > key->latest || key->trimmed > version || (key->finished && version == key->latest)) return true;
    const bool finished = key->finished || version == key->latest;
    if (version == key->latest) factsAfter(workspace, {true, pathOf(workspace, "keys", "/rotate"), KmsText("{}")});
    const std::uint32_t oldest = std::max(version + 1, key->oldest);
    factsAfter(workspace, {true, pathOf(workspace, "keys", "/config"), transit::floorBody(oldest, finished)});
    // The floor alone could be lowered again: only this deletes.
    const transit::KeyFacts now = factsAfter(workspace, {true, pathOf(workspace, "keys", "/trim"), transit::trimBody(oldest)});
    if (now.trimmed < oldest) throw notTransit();
    return true;
  };
  guarded(destroy);
}

// ---- keys ----

std::vector<Wrapped> HttpKmsProvider::wrap(WorkspaceNumber workspace, std::uint32_t version, std::span<const WrapRequest> requests) {
  const auto wrapAll = [&] {
    bool isKnown = false;
    {
      const std::scoped_lock lock(mutex_);
      isKnown = known_.contains(workspace.value);
    }
    // A key that lives no more, or only a spare: the service itself would go on encrypting.
    const auto check = [&] {
      const auto key = facts(workspace);
      if (!key || key->finished || version > key->latest || (version != kNewestVersion && version < key->sealing)) failMissing();
    };
    if (!isKnown) check();
    std::vector<KmsRequest> messages;
    for (std::size_t at = 0; at < requests.size(); at += kBatchKeys) {
      messages.push_back({true, pathOf(workspace, "encrypt"),
                          transit::encryptBody(version, requests.subspan(at, std::min(kBatchKeys, requests.size() - at)))});
    }
    std::vector<Wrapped> result;
    for (const KmsAnswer& answer : askAll(messages)) {
      if (answer.status >= 300) {
        check();
        throw notTransit();
      }
      auto part = transit::encrypted(textOf(answer.body), std::min(kBatchKeys, requests.size() - result.size()));
      if (!part) throw notTransit();
      std::move(part->begin(), part->end(), std::back_inserter(result));
    }
    checkWrapped(workspace, requests, result);
    if (version == kNewestVersion ||
        std::all_of(result.begin(), result.end(), [&](const Wrapped& each) { return each.version == version; })) {
      return result;
    }
    throw notTransit();
  };
  return requests.empty() ? std::vector<Wrapped>() : guarded(wrapAll);
}

void HttpKmsProvider::checkWrapped(WorkspaceNumber workspace, std::span<const WrapRequest> requests, std::span<const Wrapped> wrapped) {
  static constexpr std::array<std::uint8_t, 9> kElsewhere = {'e', 'l', 's', 'e', 'w', 'h', 'e', 'r', 'e'};
  std::vector<transit::Sealed> items;
  for (std::size_t index = 0; index < wrapped.size(); ++index) {
    items.push_back({wrapped[index].version, wrapped[index].nonce, wrapped[index].sealed, requests[index].associatedData});
  }
  items.push_back(items.front());
  items.back().associatedData = kElsewhere;
  std::vector<KmsRequest> messages;
  for (std::size_t at = 0; at < items.size(); at += kBatchKeys) {
    messages.push_back(
        {true, pathOf(workspace, "decrypt"), transit::decryptBody(std::span(items).subspan(at, std::min(kBatchKeys, items.size() - at)))});
  }
  std::size_t at = 0;
  for (const KmsAnswer& answer : askAll(messages)) {
    const auto opened = transit::decrypted(textOf(answer.body), std::min(kBatchKeys, items.size() - at));
    if (!opened) throw notTransit();
    for (const transit::Decrypted& one : *opened) {
      const bool elsewhere = at == wrapped.size();
      if (elsewhere && one.outcome == transit::DecryptOutcome::opened) {
        throw Fault(ErrorCode::notReady, "the key service does not bind associated data: it is too old for this ledger",
                    "OpenBao, or Vault 1.12 and later, do");
      }
      const bool same = one.outcome == transit::DecryptOutcome::opened && !elsewhere &&
                        crypto::equalConstantTime(one.plaintext.bytes(), requests[at].plaintext);
      if (!elsewhere && !same) {
        throw Fault(ErrorCode::notReady, "the key service does not open what it has just sealed: nothing was recorded under it",
                    "look at the service before anything else is entrusted to it");
      }
      ++at;
    }
  }
}

std::vector<Unwrapped> HttpKmsProvider::unwrap(std::span<const UnwrapRequest> requests) {
  std::vector<Unwrapped> result(requests.size());
  std::map<std::uint64_t, std::size_t> open;  // the part that still takes keys of a workspace
  std::vector<Part> parts;
  for (std::size_t index = 0; index < requests.size(); ++index) {
    const UnwrapRequest& request = requests[index];
    if (request.version == 0) continue;
    const auto [found, isNew] = open.try_emplace(request.workspace.value, parts.size());
    if (!isNew && parts[found->second].items.size() == kBatchKeys) found->second = parts.size();
    if (found->second == parts.size()) parts.push_back({request.workspace, {}, {}});
    Part& part = parts[found->second];
    part.places.push_back(index);
    part.items.push_back({request.version, request.nonce, request.sealed, request.associatedData});
  }
  if (parts.empty()) return result;
  const auto unwrapAll = [&] {
    std::vector<KmsRequest> messages;
    messages.reserve(parts.size());
    for (const Part& part : parts) messages.push_back({true, pathOf(part.workspace, "decrypt"), transit::decryptBody(part.items)});
    std::vector<KmsAnswer> answers = askAll(messages);
    for (std::size_t index = 0; index < parts.size(); ++index) takePart(parts[index], std::move(answers[index]), result);
    return true;
  };
  guarded(unwrapAll);
  return result;
}

void HttpKmsProvider::takePart(const Part& part, KmsAnswer answer, std::vector<Unwrapped>& result) {
  auto opened = transit::decrypted(textOf(answer.body), part.items.size());
  std::optional<std::optional<transit::KeyFacts>> key;  // asked at most once
  for (std::size_t index = 0; index < part.items.size(); ++index) {
    Unwrapped& to = result[part.places[index]];
    if (opened && (*opened)[index].outcome == transit::DecryptOutcome::opened) {
      to.outcome = UnwrapOutcome::opened;
      to.plaintext = std::move((*opened)[index].plaintext);
      continue;
    }
    // "Gone" and "changed" end in entries that are withheld or a ledger that stops: only what the key itself shows decides.
    if (!key) key = facts(part.workspace);
    const std::uint32_t version = part.items[index].version;
    if (!*key || version > (*key)->latest || version < (*key)->oldest) {
      to.outcome = UnwrapOutcome::missing;
    } else if (opened && (*opened)[index].outcome == transit::DecryptOutcome::notAuthentic) {
      to.outcome = UnwrapOutcome::notAuthentic;
    } else {
      throw notTransit();
    }
  }
}

std::optional<Fault> HttpKmsProvider::trouble() const {
  const std::scoped_lock lock(mutex_);
  return trouble_;
}

void HttpKmsProvider::probe() {
  currentVersion(kSystemWorkspace);
}

}  // namespace counterfoil::keys

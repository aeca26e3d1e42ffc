#include "ledger/redact/text_redaction.h"

#include <algorithm>

#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"

namespace counterfoil::redact {
namespace {

constexpr std::string_view kWithheld = "[redacted:withheld]";
constexpr std::string_view kTooManyRule = "too-many-candidates";
// What an entry's list may hold (kStructuresMax of the schema tables), the last one kept for "and more".
constexpr std::size_t kRedactionsMax = 1'000;

bool isContact(std::string_view rule) {
  return rule == "email" || rule == "telephone";
}

[[noreturn]] void failTooLong(const FieldPath& path, std::size_t bytesMax) {
  const std::string field = path.text();
  throw Fault(ErrorCode::tooLong, field + " has more than " + std::to_string(bytesMax) + " bytes", "shorten it", field);
}

}  // namespace

TextRedaction::TextRedaction(RedactionKeys& keys, const KnownSecrets* known, crypto::RandomSource& random, const EntryId& entry,
                             bool lenient, Arena& kept, RedactionResult& result)
    : keys_(keys), random_(random), entry_(entry), lenient_(lenient), kept_(kept), result_(result), search_(keys, known) {}

std::string_view TextRedaction::secret(const FieldValue& value, const FieldPath& path) {
  const std::string_view text = value.text();
  if (value.secretForm == SecretForm::fingerprint) {
    const auto parsed = parseFingerprint(text);
    if (!parsed) {
      throw Fault(ErrorCode::invalidValue, path.text() + " is no fingerprint", "copy it from an entry: fp2:<generation>:<22 letters>",
                  path.text());
    }
    search_.own(*parsed);
    return kept_.copy(text);
  }
  if (value.secretForm == SecretForm::sha256) {
    const auto bytes = fromHex(text);
    crypto::Digest digest;
    if (!bytes || bytes->size() != digest.size()) {
      throw Fault(ErrorCode::invalidValue, path.text() + " is no SHA-256", "send 64 hex digits", path.text());
    }
    std::copy(bytes->begin(), bytes->end(), digest.begin());
    search_.own(digest);
    return kept_.copy(fingerprint(digest));
  }
  if (text.size() > limits::kSecretBytesMax) failTooLong(path, limits::kSecretBytesMax);
  search_.own(text);
  return kept_.copy(fingerprint(crypto::sha256(crypto::bytesOf(text))));
}

std::string_view TextRedaction::identifier(std::string_view text, const FieldPath& path, std::size_t bytesMax, bool person) {
  // A person's id is not kept, so in a record of another system it may be any text.
  const bool formed = text.size() <= bytesMax && hasIdForm(text);
  if (!formed && !lenient_) {
    throw Fault(ErrorCode::invalidValue, path.text() + " is no id",
                "1 to " + std::to_string(bytesMax) + " of A-Z a-z 0-9 . _ : @ / + -, beginning with a letter or digit", path.text());
  }
  checkCharacters(text, path);
  if (const std::string_view rule = secretShapeRule(text); !rule.empty()) {
    if (!lenient_) {
      throw Fault(ErrorCode::secretInIdentifier, path.text() + " looks like a secret", "name things by ids that open nothing", path.text());
    }
    result_.secretFound = true;
    return asFingerprint(text, path, rule);
  }
  findings_.clear();
  if (!search_.search(text, false, findings_)) return asFingerprint(text, path, kTooManyRule);
  if (!findings_.empty()) {
    result_.secretFound = true;
    return asFingerprint(text, path, kKnownSecretRule);
  }
  if (person || looksLikeEmail(text)) {
    if (text.size() > limits::kPersonalBytesMax) return asFingerprint(text, path, "identifier-form");
    const auto key = personKey(text);
    commit(key, path, text);
    return kept_.copy(pseudonymOf(*key));
  }
  return formed ? kept_.copy(text) : asFingerprint(text, path, "identifier-form");
}

std::string_view TextRedaction::publicDigest(std::string_view text, const FieldPath& path) {
  findings_.clear();
  const bool searched = search_.search(text, false, findings_);
  if (searched && findings_.empty() && hasPublicDigestForm(text)) return kept_.copy(text);
  if (searched && findings_.empty() && !lenient_) {
    throw Fault(ErrorCode::invalidValue, path.text() + " is no digest", "send it in hex or base64, with or without sha256: before it",
                path.text());
  }
  if (!findings_.empty()) result_.secretFound = true;
  return asFingerprint(text, path, !searched ? kTooManyRule : findings_.empty() ? "digest-form" : kKnownSecretRule);
}

std::string_view TextRedaction::keyedDigest(std::string_view text, const FieldPath& path, std::size_t bytesMax) {
  if (text.size() > bytesMax) failTooLong(path, bytesMax);
  return kept_.copy(toHex(keyedDigest(crypto::bytesOf(text))));
}

std::string_view TextRedaction::scanned(std::string_view text, const FieldPath& path, std::size_t bytesMax) {
  checkCharacters(text, path);
  const bool document = bytesMax > limits::kScannedBytesMax;
  if (text.size() > bytesMax && (document || !lenient_)) failTooLong(path, bytesMax);
  // A policy names persons by their ids, which may be e-mail addresses.
  if (!find(text, !document, document)) {
    note(path, kTooManyRule);
    return kept_.copy(kWithheld);
  }
  if (document && !findings_.empty()) {
    throw Fault(ErrorCode::secretInPolicy, path.text() + " contains something that looks like a secret",
                "a policy names credentials, never holds one", path.text());
  }
  if (findings_.empty() && text.size() <= bytesMax) return kept_.copy(text);
  const std::string clean = replaced(text, path);
  return kept_.copy(clean.size() <= bytesMax ? clean : cut(clean, bytesMax, text.size(), path));
}

void TextRedaction::personal(std::string_view text, const FieldPath& path, std::size_t bytesMax,
                             const std::shared_ptr<const SubjectKey>& key) {
  checkCharacters(text, path);
  if (text.size() > bytesMax && !lenient_) failTooLong(path, bytesMax);
  if (!find(text, false, false)) {
    note(path, kTooManyRule);
    commit(key, path, kWithheld);
    return;
  }
  if (findings_.empty() && text.size() <= bytesMax) {
    commit(key, path, text);
    return;
  }
  std::string clean = replaced(text, path);
  std::string shorter = clean.size() <= bytesMax ? clean : cut(clean, bytesMax, text.size(), path);
  const crypto::SecretBytes& lasting = rewritten_.emplace_back(std::string_view(shorter));
  commit(key, path, lasting.text());
  crypto::wipe(clean.data(), clean.size());
  crypto::wipe(shorter.data(), shorter.size());
}

std::shared_ptr<const SubjectKey> TextRedaction::personKey(std::string_view id) {
  const auto known = std::find_if(persons_.begin(), persons_.end(), [&](const auto& person) { return person.first == id; });
  if (known != persons_.end()) return known->second;
  auto key = keys_.subject(PrincipalKind::human, id);
  persons_.emplace_back(id, key);
  return key;
}

std::shared_ptr<const SubjectKey> TextRedaction::workspaceKey() {
  return keys_.workspaceSubject();
}

crypto::Digest TextRedaction::keyedDigest(crypto::Bytes bytes) {
  KeyId used;
  const crypto::Digest digest = keys_.keyedDigest({bytes}, used);
  use(used);
  return digest;
}

void TextRedaction::note(const FieldPath& path, std::string_view rule) {
  if (result_.redactions.size() > kRedactionsMax) return;
  if (result_.redactions.size() == kRedactionsMax) {
    result_.redactions.push_back({"", "and-more"});
    return;
  }
  FieldRedaction redaction{path.text(), std::string(rule)};
  const auto same = [&](const FieldRedaction& other) { return other.path == redaction.path && other.rule == redaction.rule; };
  // The same rule twice in one field says nothing new; what is older than a field cannot be of the same path.
  if (!result_.redactions.empty() && same(result_.redactions.back())) return;
  result_.redactions.push_back(std::move(redaction));
}

void TextRedaction::checkCharacters(std::string_view text, const FieldPath& path) const {
  if (!isUtf8(text)) throw Fault(ErrorCode::invalidUtf8, path.text() + " is not valid UTF-8", "", path.text());
  if (text.find('\0') != std::string_view::npos)
    throw Fault(ErrorCode::invalidValue, path.text() + " contains a NUL", "take it out", path.text());
}

std::string TextRedaction::fingerprint(const crypto::Digest& valueDigest) {
  if (fingerprintKey_ == nullptr) {
    fingerprintKey_ = keys_.currentFingerprint();
    use(fingerprintKey_->id());
    result_.fingerprintGeneration = fingerprintKey_->generation();
  }
  return fingerprintText(*fingerprintKey_, valueDigest);
}

std::string_view TextRedaction::asFingerprint(std::string_view text, const FieldPath& path, std::string_view rule) {
  note(path, rule);
  // The secret's own fingerprint, if the whole text is nothing but that; else one of the text, so that equal ids stay equal.
  return kept_.copy(fingerprint(crypto::sha256(crypto::bytesOf(text))));
}

bool TextRedaction::find(std::string_view text, bool contacts, bool document) {
  findings_.clear();
  hits_.clear();
  if (!search_.search(text, document, findings_)) return false;
  scanText(text, ScanOptions{contacts}, hits_);
  for (const ScanHit& hit : hits_) findings_.push_back({hit.begin, hit.end, hit.rule, std::nullopt});
  if (findings_.size() < 2) return true;
  std::stable_sort(findings_.begin(), findings_.end(), [](const Finding& left, const Finding& right) { return left.begin < right.begin; });
  std::size_t last = 0;
  for (std::size_t index = 1; index < findings_.size(); ++index) {
    const Finding& next = findings_[index];
    Finding& merged = findings_[last];
    if (next.begin >= merged.end) {
      findings_[++last] = next;
      continue;
    }
    // They overlap: what either covers goes out, under the name of a known secret if one is, because its fingerprint leads to its lease.
    merged.end = std::max(merged.end, next.end);
    if (next.secret && !merged.secret) {
      merged.rule = next.rule;
      merged.secret = next.secret;
    }
  }
  findings_.resize(last + 1);
  return true;
}

std::string TextRedaction::replaced(std::string_view text, const FieldPath& path) {
  std::string result;
  result.reserve(text.size() + findings_.size() * 64);
  std::size_t from = 0;
  for (const Finding& finding : findings_) {
    result.append(text, from, finding.begin - from);
    const std::string_view taken = text.substr(finding.begin, finding.end - finding.begin);
    result += "[redacted:";
    result += finding.rule;
    result += ':';
    result += fingerprint(finding.secret ? *finding.secret : crypto::sha256(crypto::bytesOf(taken)));
    result += ']';
    from = finding.end;
    note(path, finding.rule);
    if (!isContact(finding.rule)) result_.secretFound = true;
  }
  result.append(text, from);
  return result;
}

std::string TextRedaction::cut(std::string_view text, std::size_t bytesMax, std::size_t originalBytes, const FieldPath& path) {
  note(path, "truncated:" + std::to_string(originalBytes));
  std::string result(cutAtCharacter(text, bytesMax - kEllipsis.size()));
  result += kEllipsis;
  return result;
}

void TextRedaction::commit(const std::shared_ptr<const SubjectKey>& key, const FieldPath& path, std::string_view value) {
  use(key->id());
  personal_.push_back({key, path.text(), value, random_.bytes<crypto::kAeadNonceSize>()});
}

void TextRedaction::commitAll() {
  std::vector<PersonalText> values;
  values.reserve(personal_.size());
  for (const Personal& each : personal_) values.push_back({each.key.get(), each.path, each.value, each.nonce});
  for (PersonalValue& personal : commitTo(keys_.workspace(), entry_, values)) {
    result_.commitments.push_back(std::move(personal.commitment));
    result_.disclosures.push_back(std::move(personal.disclosure));
  }
  personal_.clear();
  rewritten_.clear();
}

void TextRedaction::use(const KeyId& id) {
  if (std::find(result_.keysUsed.begin(), result_.keysUsed.end(), id) == result_.keysUsed.end()) result_.keysUsed.push_back(id);
}

}  // namespace counterfoil::redact

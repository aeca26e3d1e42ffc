// What is kept about bundles, the vault, approvals, findings, and the workspace itself.
#include <algorithm>

#include "projections/views/projector_step.h"

namespace counterfoil::views {
namespace {

struct BundleColumns {
  const Table& table = viewTable("bundle");
  COUNTERFOIL_COLUMN(state);
  COUNTERFOIL_COLUMN(fingerprint);
  COUNTERFOIL_COLUMN(redeemed_seq);
  COUNTERFOIL_COLUMN(redeemed_at);
  COUNTERFOIL_COLUMN(redemptions);
  COUNTERFOIL_COLUMN(refusals);
  COUNTERFOIL_COLUMN(retired_seq);
  COUNTERFOIL_COLUMN(retired_at);
  COUNTERFOIL_COLUMN(retired_by);
  COUNTERFOIL_COLUMN(last_seq);
};

const BundleColumns& bundleColumns() {
  static const BundleColumns columns;
  return columns;
}

Cell bytesCell(std::string_view bytes) {
  return bytes.empty() ? Cell{} : Cell::of(bytes);
}
Cell timeCell(std::int64_t nanoseconds) {
  return nanoseconds == 0 ? Cell{} : Cell::of(nanoseconds);
}

bool succeeded(const EntryFields& fields) {
  const auto outcome = static_cast<Outcome>(fields.number(Field::outcome));
  return outcome == Outcome::unspecified || outcome == Outcome::ok || outcome == Outcome::partial;
}

}  // namespace

void Projector::foldRecords(Step& step) {
  switch (step.kind()) {
    case Kind::bundleIssued:
    case Kind::bundleRedeemed:
    case Kind::bundleRefused:
    case Kind::bundleRetired:
      return foldBundle(step);
    case Kind::vaultProvisioned:
    case Kind::vaultWritten:
    case Kind::vaultRead:
      return foldVault(step);
    case Kind::leaseGranted:
    case Kind::approvalRequested:
    case Kind::approvalDecided:
      return foldApproval(step);
    case Kind::findingRaised:
    case Kind::findingResolved:
      return foldFinding(step);
    case Kind::workspaceCreated:
    case Kind::workspaceClosed:
    case Kind::workspaceErased:
      return foldWorkspace(step);
    case Kind::policySet:
      return foldPolicy(step);
    case Kind::holdPlaced:
    case Kind::holdReleased:
    case Kind::retentionSet:
      return foldHold(step);
    case Kind::accessTokenIssued:
    case Kind::accessTokenRevoked:
      return foldToken(step);
    default:
      return;
  }
}

void Projector::foldBundle(Step& step) {
  const BundleColumns& at = bundleColumns();
  const EntryFields& fields = step.fields;
  const Kind kind = step.kind();
  std::string_view id = fields.text(Field::bundleId);
  if (id.empty() && !fields.text(Field::fingerprint).empty()) {
    // Whoever redeems may name the key alone.
    bundle_.flush();
    if (const auto key = names_.find(fields.text(Field::fingerprint))) {
      bundleByFingerprint_->bindNumber(1, *key);
      if (bundleByFingerprint_->step()) {
        const NameId bundle = bundleByFingerprint_->number(0);
        bundleByFingerprint_->reset();
        id = names_.text(bundle);
      }
    }
  }
  if (id.empty()) return;
  const auto [row, fresh] = bundle_.get({names_.intern(id)});
  if (fresh) {
    row.set(at.redemptions, 0);
    row.set(at.refusals, 0);
  }
  row.set(at.last_seq, step.seq);
  if (kind == Kind::bundleIssued) {
    const auto name = [&](const char* column, std::string_view text) { setName(row, at.table.column(column), text); };
    if (row.isNull(at.state)) name("state", "issued");
    if (step.host != 0) row.set(at.table.column("host"), step.host);
    name("operator_version", fields.text(Field::operatorVersion));
    name("fingerprint", fields.text(Field::installKey));
    name("retires", fields.text(Field::retires));
    name("issued_by", fields.principal(Field::issuedBy));
    if (!fields.text(Field::manifestDigest).empty()) row.setText(at.table.column("manifest_digest"), fields.text(Field::manifestDigest));
    row.setOnce(at.table.column("issued_seq"), step.seq);
    row.setOnce(at.table.column("issued_at"), step.occurredAt);
    setTime(row, at.table.column("expires_at"), fields.time(Field::expiresAt));
    retireByKey(step, fields.text(Field::retires), id);
  } else if (kind == Kind::bundleRedeemed) {
    row.increase(at.redemptions);
    row.setOnce(at.redeemed_seq, step.seq);
    row.setOnce(at.redeemed_at, step.occurredAt);
    if (step.host != 0) row.set(at.table.column("host"), step.host);
    if (row.isNull(at.retired_seq)) setName(row, at.state, "redeemed");
  } else if (kind == Kind::bundleRefused) {
    row.increase(at.refusals);
  } else {
    retire(step, row);
  }
}

void Projector::retire(Step& step, Row& bundle) {
  const BundleColumns& at = bundleColumns();
  setName(bundle, at.state, "retired");
  bundle.setOnce(at.retired_seq, step.seq);
  bundle.setOnce(at.retired_at, step.occurredAt);
  if (bundle.isNull(at.retired_by)) setName(bundle, at.retired_by, step.fields.firstPrincipal({Field::by, Field::issuedBy}));
  bundle.set(at.last_seq, step.seq);
}

// A new bundle's key retires the one it names.
void Projector::retireByKey(Step& step, std::string_view fingerprint, std::string_view except) {
  const auto key = fingerprint.empty() ? std::nullopt : names_.find(fingerprint);
  if (!key) return;
  bundle_.flush();
  std::vector<NameId> retired;
  bundleByFingerprint_->bindNumber(1, *key);
  while (bundleByFingerprint_->step()) retired.push_back(bundleByFingerprint_->number(0));
  for (const NameId id : retired) {
    if (names_.text(id) == except) continue;
    if (Row* row = bundle_.find({id})) retire(step, *row);
  }
}

void Projector::foldVault(Step& step) {
  const EntryFields& fields = step.fields;
  if (step.kind() == Kind::vaultProvisioned) {
    const Table& table = vault_.table();
    Row& row = vault_.get({names_.intern(fields.text(Field::vaultId))}).first;
    setName(row, table.column("identity"), fields.text(Field::identity));
    row.set(table.column("purge_protection"), fields.body().flag(Field::purgeProtection) ? 1 : 0);
    row.set(table.column("provisioned_seq"), step.seq);
    row.set(table.column("provisioned_at"), step.occurredAt);
    return;
  }
  const std::string_view secret = fields.text(Field::secretName);
  if (secret.empty()) return;
  static const Table& table = viewTable("vault_secret");
  static const std::size_t state = table.column("state"), version = table.column("version"), writes = table.column("writes"),
                           reads = table.column("reads"), failures = table.column("failures"), purgeAt = table.column("scheduled_purge_at"),
                           firstSeq = table.column("first_seq"), lastSeq = table.column("last_seq"), writtenAt = table.column("written_at"),
                           readAt = table.column("read_at"), fingerprint = table.column("fingerprint");
  const auto [row, fresh] = vaultSecret_.get({names_.intern(secret)});
  if (fresh) {
    for (const std::size_t column : {writes, reads, failures}) row.set(column, 0);
    row.set(firstSeq, step.seq);
    setName(row, state, "unknown");
  }
  row.set(lastSeq, step.seq);
  const bool done = succeeded(fields);
  if (!done) row.increase(failures);
  if (step.kind() == Kind::vaultRead) {
    row.increase(reads);
    if (done) row.set(readAt, step.occurredAt);
    return;
  }
  row.increase(writes);
  vaultVersion_.insert({Cell::of(step.seq), nameCell(secret), nameCell(fields.text(Field::version)),
                        nameCell(fields.text(Field::operation)), nameCell(fields.text(Field::outcome)), nameCell(fields.text(Field::value)),
                        timeCell(fields.time(Field::scheduledPurgeAt)), nameCell(fields.text(Field::errorCode))});
  if (!done) return;
  row.set(writtenAt, step.occurredAt);
  const auto operation = static_cast<VaultOperation>(fields.number(Field::operation));
  setName(row, state, operation == VaultOperation::softDelete ? "soft_deleted" : operation == VaultOperation::purge ? "purged" : "active");
  row.setNull(purgeAt);
  setTime(row, purgeAt, fields.time(Field::scheduledPurgeAt));
  if (operation == VaultOperation::set || operation == VaultOperation::rotate) {
    row.setNull(version);
    row.setNull(fingerprint);
  }
  setName(row, version, fields.text(Field::version));
  setName(row, fingerprint, fields.text(Field::value));
}

void Projector::foldApproval(Step& step) {
  const EntryFields& fields = step.fields;
  const Table& table = approval_.table();
  const std::size_t state = table.column("state");
  if (step.kind() == Kind::leaseGranted) {
    // Single use: by a lease the ledger granted.
    const std::string_view used = fields.text(Field::approval);
    if (used.empty() || fields.body().structure(Field::policy).table == nullptr) return;
    const auto id = names_.find(used);
    Row* row = id ? approval_.find({*id}) : nullptr;
    if (row == nullptr) return;
    setName(*row, state, "used");
    setName(*row, table.column("lease"), fields.text(Field::leaseId));
    row->set(table.column("last_seq"), step.seq);
    return;
  }
  const std::string_view id = fields.text(Field::approvalId);
  if (id.empty()) return;
  Row& row = approval_.get({names_.intern(id)}).first;
  row.set(table.column("last_seq"), step.seq);
  if (!fields.text(Field::requestDigest).empty()) row.setText(table.column("request_digest"), fields.text(Field::requestDigest));
  if (step.kind() == Kind::approvalRequested) {
    setName(row, state, "requested");
    setName(row, table.column("requested_by"), principalKey(principalOf(step.view().entry, Field::actor)));
    setName(row, table.column("on_behalf_of"), fields.principal(Field::onBehalfOf));
    setName(row, table.column("operation"), fields.text(Field::operation));
    row.set(table.column("requested_seq"), step.seq);
    row.set(table.column("requested_at"), step.occurredAt);
    setTime(row, table.column("expires_at"), fields.time(Field::expiresAt));
    for (const char* column : {"decision", "decided_by", "decided_seq", "decided_at", "lease"}) row.setNull(table.column(column));
    return;
  }
  setName(row, state, fields.text(Field::decision));
  setName(row, table.column("decision"), fields.text(Field::decision));
  setName(row, table.column("decided_by"), fields.principal(Field::decidedBy));
  row.set(table.column("decided_seq"), step.seq);
  row.set(table.column("decided_at"), step.occurredAt);
}

void Projector::foldFinding(Step& step) {
  const EntryFields& fields = step.fields;
  const Table& table = finding_.table();
  const std::string_view id = fields.text(Field::findingId);
  if (id.empty()) return;
  const NameId name = names_.intern(id);
  Row& row = finding_.get({name}).first;
  const bool raised = step.kind() == Kind::findingRaised;
  setName(row, table.column("rule"), fields.text(Field::rule));
  setName(row, table.column("severity"), fields.text(Field::severity));
  setName(row, table.column("state"), raised ? "raised" : "resolved");
  if (!raised) {
    row.set(table.column("resolved_seq"), step.seq);
    row.set(table.column("resolved_at"), step.occurredAt);
    return;
  }
  if (!fields.text(Field::explanation).empty()) row.setText(table.column("explanation"), fields.text(Field::explanation));
  const bool again = !row.isNull(table.column("raised_seq"));
  row.set(table.column("raised_seq"), step.seq);
  row.set(table.column("raised_at"), step.occurredAt);
  if (again) return;  // the same id: the same evidence
  std::vector<std::uint64_t> cited;
  for (const StructValue& evidence : fields.body().structures(Field::evidence)) {
    const std::uint64_t seq = evidence.number(Field::seq);
    if (std::find(cited.begin(), cited.end(), seq) != cited.end()) continue;
    cited.push_back(seq);
    evidence_.insert({{false, name, id}, Cell::of(static_cast<std::int64_t>(seq)), bytesCell(evidence.text(Field::leafHash))});
  }
}

void Projector::foldWorkspace(Step& step) {
  const EntryFields& fields = step.fields;
  const Table& table = workspace_.table();
  // `_system` tells about all workspaces, every other chain about its own.
  const bool system = step.view().workspace == kSystemWorkspace;
  const std::uint64_t number = system ? fields.number(Field::number) : step.view().workspace.value;
  Row& row = workspace_.get({static_cast<std::int64_t>(number)}).first;
  setName(row, table.column("workspace"), fields.text(Field::workspaceId));
  const char* what = step.kind() == Kind::workspaceCreated ? "created" : step.kind() == Kind::workspaceClosed ? "closed" : "erased";
  setName(row, table.column("state"), step.kind() == Kind::workspaceCreated ? "open" : what);
  if (step.kind() == Kind::workspaceCreated) setName(row, table.column("region"), fields.text(Field::region));
  row.set(table.column(std::string(what) + "_seq"), step.seq);
  row.set(table.column(std::string(what) + "_at"), step.occurredAt);
}

void Projector::foldPolicy(Step& step) {
  const EntryFields& fields = step.fields;
  policy_.insert({Cell::of(step.seq), nameCell(fields.text(Field::name)),
                  Cell::of(static_cast<std::int64_t>(fields.number(Field::version))), bytesCell(fields.text(Field::document)),
                  bytesCell(fields.body().text(Field::documentDigest))});
}

void Projector::foldHold(Step& step) {
  const EntryFields& fields = step.fields;
  const auto days = static_cast<std::int64_t>(fields.number(Field::days));
  const std::string by = fields.principal(Field::by);
  if (step.kind() == Kind::retentionSet) {
    retention_.insert({Cell::of(step.seq), nameCell(fields.text(Field::scope)), Cell::of(days), nameCell(by)});
    return;
  }
  const std::string_view id = fields.text(Field::holdId);
  if (id.empty()) return;
  const Table& table = hold_.table();
  Row& row = hold_.get({names_.intern(id)}).first;
  const bool placed = step.kind() == Kind::holdPlaced;
  const std::string what = placed ? "placed" : "released";
  setName(row, table.column("state"), what);
  setName(row, table.column("scope"), fields.text(Field::scope));
  if (placed) {
    row.set(table.column("days"), days);
    // Of an id that is used again.
    for (const char* column : {"released_seq", "released_at", "released_by"}) row.setNull(table.column(column));
  }
  row.set(table.column(what + "_seq"), step.seq);
  row.set(table.column(what + "_at"), step.occurredAt);
  setName(row, table.column(what + "_by"), by);
}

void Projector::foldToken(Step& step) {
  const EntryFields& fields = step.fields;
  const std::string_view jti = fields.text(Field::jti);
  if (jti.empty()) return;
  const Table& table = accessToken_.table();
  Row& row = accessToken_.get({names_.intern(jti)}).first;
  setName(row, table.column("principal"), fields.principal(Field::principal));
  if (step.kind() == Kind::accessTokenIssued) {
    setName(row, table.column("role"), fields.text(Field::role));
    row.set(table.column("issued_seq"), step.seq);
    row.set(table.column("issued_at"), step.occurredAt);
    setTime(row, table.column("expires_at"), fields.time(Field::expiresAt));
  } else {
    row.set(table.column("revoked_seq"), step.seq);
    row.set(table.column("revoked_at"), step.occurredAt);
  }
}

}  // namespace counterfoil::views

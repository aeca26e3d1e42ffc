#include "projections/views/projector.h"

#include <algorithm>

#include "ledger/core/check.h"
#include "projections/views/projector_step.h"

namespace counterfoil::views {
namespace {

// A word no text holds, between the fields of one entry: a phrase must not run from one field into the next.
constexpr std::string_view kFieldBorder = " \xEE\x80\x80 ";  // U+E000, which the tokenizer takes for a letter

struct EntryColumns {
  const Table& table = viewTable("entry");
  COUNTERFOIL_COLUMN(seq);
  COUNTERFOIL_COLUMN(id);
  COUNTERFOIL_COLUMN(kind);
  COUNTERFOIL_COLUMN(recorded_at);
  COUNTERFOIL_COLUMN(occurred_at);
  COUNTERFOIL_COLUMN(source);
  COUNTERFOIL_COLUMN(producer);
  COUNTERFOIL_COLUMN(producer_seq);
  COUNTERFOIL_COLUMN(actor);
  COUNTERFOIL_COLUMN(run);
  COUNTERFOIL_COLUMN(host);
  COUNTERFOIL_COLUMN(sandbox);
  COUNTERFOIL_COLUMN(correlation);
  COUNTERFOIL_COLUMN(lease);
  COUNTERFOIL_COLUMN(bundle);
  COUNTERFOIL_COLUMN(principal);
  COUNTERFOIL_COLUMN(object);
  COUNTERFOIL_COLUMN(operation);
  COUNTERFOIL_COLUMN(outcome);
  COUNTERFOIL_COLUMN(reason);
  COUNTERFOIL_COLUMN(error);
  COUNTERFOIL_COLUMN(credential);
  COUNTERFOIL_COLUMN(address);
  COUNTERFOIL_COLUMN(state);
  COUNTERFOIL_COLUMN(uses);
  COUNTERFOIL_COLUMN(expires_at);
  COUNTERFOIL_COLUMN(flags);
  COUNTERFOIL_COLUMN(leaf);
};

const EntryColumns& entryColumns() {
  static const EntryColumns columns;
  return columns;
}

std::int64_t flagsOf(const EntryFields& fields) {
  const EntryView& view = fields.view();
  std::int64_t flags = 0;
  if (view.body.flag(Field::terminal)) flags |= kFlagTerminal;
  if (view.body.flag(Field::late)) flags |= kFlagLate;
  if (!view.known) flags |= kFlagUnknownKind;
  if (view.entry.get(Field::commitments).count != 0) flags |= kFlagCommitments;
  if (view.entry.get(Field::redactions).count != 0) flags |= kFlagRedactions;
  return flags;
}

}  // namespace

Projector::Projector(Database& database, const ProjectorLimits& limits)
    : database_(database),
      names_(database, limits.nameBytes),
      entry_(database, viewTable("entry")),
      resource_(database, viewTable("entry_resource")),
      scope_(database, viewTable("entry_scope")),
      fingerprint_(database, viewTable("entry_fingerprint")),
      denial_(database, viewTable("denial")),
      vaultVersion_(database, viewTable("vault_version")),
      evidence_(database, viewTable("finding_evidence")),
      policy_(database, viewTable("policy")),
      retention_(database, viewTable("retention")),
      lease_(database, viewTable("lease"), names_, limits.leases),
      revocation_(database, viewTable("revocation"), names_, limits.rows),
      run_(database, viewTable("run"), names_, limits.rows),
      runReach_(database, viewTable("run_reach"), names_, limits.rows),
      principal_(database, viewTable("principal"), names_, limits.rows),
      host_(database, viewTable("host"), names_, limits.rows),
      connection_(database, viewTable("connection"), names_, limits.rows),
      sandbox_(database, viewTable("sandbox"), names_, limits.rows),
      bundle_(database, viewTable("bundle"), names_, limits.rows),
      vaultSecret_(database, viewTable("vault_secret"), names_, limits.rows),
      vault_(database, viewTable("vault"), names_, limits.rows),
      approval_(database, viewTable("approval"), names_, limits.rows),
      producer_(database, viewTable("producer"), names_, limits.rows),
      producerGap_(database, viewTable("producer_gap"), names_, limits.rows),
      finding_(database, viewTable("finding"), names_, limits.rows),
      hold_(database, viewTable("hold"), names_, limits.rows),
      workspace_(database, viewTable("workspace"), names_, limits.rows),
      accessToken_(database, viewTable("access_token"), names_, limits.rows),
      counter_(database, viewTable("counter"), names_, limits.rows),
      block_(database, viewTable("entry_block"), names_, limits.rows),
      content_(database, "INSERT INTO content(seq, log_position, bytes) VALUES(?, ?, ?)"),
      text_(database, "INSERT INTO entry_text(rowid, text) VALUES(?, ?)"),
      leaseByName_(database, "SELECT max(granted_seq) FROM lease WHERE lease = ?"),
      leaseByFingerprint_(database, "SELECT max(granted_seq) FROM lease WHERE fingerprint = ? AND reported = 1"),
      bundleByFingerprint_(database, "SELECT bundle FROM bundle WHERE fingerprint = ?"),
      gapAround_(database,
                 "SELECT lowest, highest, seen_seq FROM producer_gap WHERE source = ? AND producer = ? AND lowest <= ? "
                 "ORDER BY lowest DESC LIMIT 1"),
      lowestGap_(database, "SELECT min(lowest) FROM producer_gap WHERE source = ? AND producer = ?"),
      kindCounters_(kKindCount, 0),
      leasesMax_(limits.leases),
      cells_(viewTable("entry").columns.size()) {
  for (RowWriter* writer : {&entry_, &resource_, &scope_, &fingerprint_, &denial_, &vaultVersion_, &evidence_, &policy_, &retention_}) {
    sums_.emplace_back(&writer->table(), &writer->sum());
  }
  caches_ = {&lease_,       &revocation_, &run_,      &runReach_, &principal_,   &host_,    &connection_, &sandbox_,   &bundle_,
             &vaultSecret_, &vault_,      &approval_, &producer_, &producerGap_, &finding_, &hold_,       &workspace_, &accessToken_, &counter_, &block_};
  for (RowCache* cache : caches_) sums_.emplace_back(&cache->table(), &cache->sum());
  std::sort(sums_.begin(), sums_.end(), [](const auto& left, const auto& right) { return left.first->name < right.first->name; });
  COUNTERFOIL_CHECK(sums_.size() == viewTables().size());
}

std::vector<TableSum> Projector::sums() {
  std::vector<TableSum> sums;
  for (const auto& [table, sum] : sums_) sums.push_back({table->name, *sum});
  return sums;
}

void Projector::start(const std::vector<RowSum>& sums) {
  COUNTERFOIL_CHECK(sums.empty() || sums.size() == sums_.size());
  for (std::size_t index = 0; index < sums.size(); ++index) *sums_[index].second = sums[index];
  for (RowCache* cache : caches_) cache->reset(cache->sum(), sums.empty());
  leasesComplete_ = sums.empty();
}

std::size_t Projector::memory() const {
  constexpr std::size_t kRowBytes = 400;  // with its place in the cache
  std::size_t rows = leaseByNameCache_.size() / 8 + leaseByFingerprintCache_.size() / 8;
  for (const RowCache* cache : caches_) rows += cache->size();
  return rows * kRowBytes + names_.memory();
}

void Projector::flush() {
  for (RowCache* cache : caches_) cache->flush();
}

void Projector::trim() {
  for (RowCache* cache : caches_) cache->trim();
  names_.trim();
  if (leaseByNameCache_.size() > leasesMax_ * 4 || leaseByFingerprintCache_.size() > leasesMax_ * 4) {
    leaseByNameCache_.clear();
    leaseByFingerprintCache_.clear();
    leasesComplete_ = false;
  }
}

Cell Projector::nameCell(std::string_view text) {
  if (text.empty()) return {};
  return {false, names_.intern(text), text};
}

void Projector::setName(Row& row, std::size_t column, std::string_view text) {
  if (!text.empty()) row.set(column, names_.intern(text));
}

void Projector::setTime(Row& row, std::size_t column, std::int64_t nanoseconds) {
  if (nanoseconds != 0) row.set(column, nanoseconds);
}

void Projector::countId(NameId what, std::uint64_t seq, std::int64_t by) {
  Row& row = counter_.get({what}).first;
  row.increase(1, by);
  row.set(2, static_cast<std::int64_t>(seq));
}

void Projector::count(std::string_view what, std::uint64_t seq, std::int64_t by) { countId(names_.intern(what), seq, by); }

void Projector::applyWithheld(Sequence seq, const LeafHash& leaf) {
  const EntryColumns& at = entryColumns();
  cells_.assign(cells_.size(), Cell{});
  cells_[at.seq] = Cell::of(static_cast<std::int64_t>(seq.value));
  cells_[at.flags] = Cell::of(kFlagWithheld);
  cells_[at.leaf] = Cell::of(crypto::Bytes(leaf.bytes));
  entry_.insert(cells_);
  count("withheld", seq.value);
}

void Projector::apply(const EntryView& view, const LeafHash& leaf, crypto::Bytes bytes, Position log) {
  Step step(view);
  step.actor = principalKey(principalOf(view.entry, Field::actor));
  step.redacted = view.entry.get(Field::redactions).count != 0;
  noteKind(step);
  noteTime(step.place(), step.occurredAt);
  if (const std::string_view run = step.common(Field::run); !run.empty()) step.run = names_.intern(run);
  if (const std::string_view host = step.common(Field::host); !host.empty()) step.host = names_.intern(host);
  if (view.known) {
    foldLease(step);
    foldRecords(step);
    foldActors(step);
  }
  writeEntry(step, leaf, bytes, log);
  writeValues(step);
  writeText(step);
}

void Projector::noteKind(Step& step) {
  const EntryView& view = step.view();
  if (!view.known) {
    const std::string name = kindName(view.kindNumber);
    step.kindName = names_.intern(name);
    count("kind " + name, step.place());
    return;
  }
  NameId& counter = kindCounters_[view.kindNumber];
  if (counter == 0) counter = names_.intern("kind " + std::string(kindName(view.kind())));
  step.kindName = names_.intern(kindName(view.kind()));
  countId(counter, step.place(), 1);
  if (step.redacted) count("redactions", step.place());
}

void Projector::noteTime(std::uint64_t seq, std::int64_t time) {
  const auto [row, fresh] = block_.get({static_cast<std::int64_t>(seq / kBlockEntries)});
  row.set(1, fresh ? time : std::min(row.number(1), time));
  row.set(2, fresh ? time : std::max(row.number(2), time));
}

void Projector::writeEntry(Step& step, const LeafHash& leaf, crypto::Bytes bytes, Position log) {
  const EntryColumns& at = entryColumns();
  const EntryFields& fields = step.fields;
  const EntryView& view = step.view();
  const std::string principal =
      fields.firstPrincipal({Field::grantee, Field::decidedBy, Field::by, Field::principal, Field::onBehalfOf, Field::issuedBy, Field::who, Field::requestedBy});
  const auto name = [&](std::size_t column, std::string_view text) { cells_[column] = nameCell(text); };
  const auto known = [&](std::size_t column, NameId id) { cells_[column] = id == 0 ? Cell{} : Cell{false, id, names_.text(id)}; };

  cells_[at.seq] = Cell::of(step.seq);
  cells_[at.id] = Cell::of(crypto::Bytes(view.id.bytes));
  known(at.kind, step.kindName);
  cells_[at.recorded_at] = Cell::of(step.recordedAt);
  cells_[at.occurred_at] = Cell::of(step.occurredAt);
  name(at.source, step.common(Field::source));
  name(at.producer, step.common(Field::producer));
  const std::uint64_t producerSeq = view.entry.number(Field::producerSeq);
  cells_[at.producer_seq] = producerSeq == 0 ? Cell{} : Cell::of(static_cast<std::int64_t>(producerSeq));
  name(at.actor, step.actor);
  known(at.run, step.run);
  known(at.host, step.host);
  name(at.sandbox, step.common(Field::sandbox));
  name(at.correlation, step.common(Field::correlation));
  if (step.lease != 0) {
    known(at.lease, step.lease);
  } else {
    name(at.lease, fields.text(Field::leaseId));
  }
  name(at.bundle, fields.text(Field::bundleId));
  name(at.principal, principal);
  name(at.object, fields.firstOf({Field::secretName, Field::approvalId, Field::tool, Field::tokenId, Field::findingId, Field::holdId, Field::vaultId,
                                  Field::revocationId, Field::jti, Field::destination, Field::fingerprint, Field::name, Field::key, Field::keyId}));
  name(at.operation, fields.text(Field::operation));
  name(at.outcome, fields.firstOf({Field::outcome, Field::decision}));
  name(at.reason, fields.firstOf({Field::reasonCode, Field::reason}));
  name(at.error, fields.text(Field::errorCode));
  name(at.credential, fields.text(Field::credential));
  name(at.address, fields.text(Field::sourceAddressPseudonym));
  known(at.state, step.state);
  cells_[at.uses] = step.state == 0 ? Cell{} : Cell::of(step.uses);
  cells_[at.expires_at] = step.state == 0 || step.expiresAt == 0 ? Cell{} : Cell::of(step.expiresAt);
  cells_[at.flags] = Cell::of(flagsOf(fields));
  cells_[at.leaf] = Cell::of(crypto::Bytes(leaf.bytes));
  entry_.insert(cells_);
  content_->bindNumber(1, step.seq);
  content_->bindNumber(2, static_cast<std::int64_t>(log.value));
  content_->bindBlob(3, bytes);
  content_->run();
}

void Projector::writeValues(Step& step) {
  if (!step.view().known) return;
  const bool granted = step.kind() == Kind::leaseGranted;
  std::vector<Cell>& row = link_;
  row.assign({Cell::of(step.seq), Cell{}, Cell::of(static_cast<std::int64_t>(granted))});
  const auto link = [&](RowWriter& writer, std::string_view text) {
    if (text.empty()) return;
    row[1] = nameCell(text);
    if (std::find(seen_.begin(), seen_.end(), row[1].number) != seen_.end()) return;
    seen_.push_back(row[1].number);
    writer.insert(row);
  };
  seen_.clear();
  for (const std::string_view resource : step.fields.texts(Field::resources)) link(resource_, resource);
  link(resource_, step.fields.text(Field::secretName));
  link(resource_, step.fields.text(Field::destination));
  seen_.clear();
  for (const std::string_view scope : step.fields.texts(Field::scope)) link(scope_, scope);

  std::vector<std::pair<NameId, NameId>>& shown = shown_;
  shown.clear();
  forEachFingerprint(step.fields.body(), step.redacted, [&](const FieldTable& field, std::string_view fingerprint) {
    const std::pair place(names_.intern(fingerprint), names_.intern(field.name));
    if (std::find(shown.begin(), shown.end(), place) != shown.end()) return;
    shown.push_back(place);
    row.assign({{false, place.first, fingerprint}, Cell::of(step.seq), {false, place.second, field.name}});
    fingerprint_.insert(row);
  });
}

void Projector::writeText(Step& step) {
  scratch_.clear();
  forEachScanned(step.fields.body(), [&](const FieldTable&, std::string_view text) {
    if (!scratch_.empty()) scratch_ += kFieldBorder;
    scratch_ += text;
  });
  if (scratch_.empty()) return;
  text_->bindNumber(1, step.seq);
  text_->bindText(2, scratch_);
  text_->run();
}

}  // namespace counterfoil::views

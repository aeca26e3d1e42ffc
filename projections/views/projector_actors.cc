// Who did it and from where: principals, runs and what they reached, hosts, sandboxes, producers.
#include <algorithm>

#include "projections/views/projector_step.h"

namespace counterfoil::views {
namespace {

struct RunColumns {
  const Table& table = viewTable("run");
  COUNTERFOIL_COLUMN(agent);
  COUNTERFOIL_COLUMN(trigger);
  COUNTERFOIL_COLUMN(outcome);
  COUNTERFOIL_COLUMN(started_seq);
  COUNTERFOIL_COLUMN(started_at);
  COUNTERFOIL_COLUMN(finished_seq);
  COUNTERFOIL_COLUMN(finished_at);
  COUNTERFOIL_COLUMN(entries);
  COUNTERFOIL_COLUMN(leases);
  COUNTERFOIL_COLUMN(denials);
  COUNTERFOIL_COLUMN(first_seq);
  COUNTERFOIL_COLUMN(last_seq);
};

struct ReachColumns {
  const Table& table = viewTable("run_reach");
  COUNTERFOIL_COLUMN(count);
  COUNTERFOIL_COLUMN(refused);
  COUNTERFOIL_COLUMN(first_seq);
  COUNTERFOIL_COLUMN(last_seq);
};

struct HostColumns {
  const Table& table = viewTable("host");
  COUNTERFOIL_COLUMN(state);
  COUNTERFOIL_COLUMN(connection);
  COUNTERFOIL_COLUMN(connected_seq);
  COUNTERFOIL_COLUMN(connected_at);
  COUNTERFOIL_COLUMN(disconnected_at);
  COUNTERFOIL_COLUMN(cause);
  COUNTERFOIL_COLUMN(token_expires_at);
  COUNTERFOIL_COLUMN(sandboxes_alive);
  COUNTERFOIL_COLUMN(sandboxes_cleaned);
  COUNTERFOIL_COLUMN(entries);
  COUNTERFOIL_COLUMN(first_seq);
  COUNTERFOIL_COLUMN(last_seq);
  COUNTERFOIL_COLUMN(last_at);
};

struct GapColumns {
  const Table& table = viewTable("producer_gap");
  COUNTERFOIL_COLUMN(highest);
  COUNTERFOIL_COLUMN(seen_seq);
};

const RunColumns& runColumns() {
  static const RunColumns columns;
  return columns;
}
const ReachColumns& reachColumns() {
  static const ReachColumns columns;
  return columns;
}
const HostColumns& hostColumns() {
  static const HostColumns columns;
  return columns;
}
const GapColumns& gapColumns() {
  static const GapColumns columns;
  return columns;
}

bool isRefused(const EntryFields& fields) {
  switch (static_cast<Outcome>(fields.has(Field::outcome) ? fields.number(Field::outcome) : 0)) {
    case Outcome::error:
    case Outcome::failed:
    case Outcome::denied: return true;
    default: return false;
  }
}

}  // namespace

Row& Projector::touchPrincipal(std::string_view principal, std::uint64_t seq) {
  const PrincipalColumns& at = principalColumns();
  const auto [row, fresh] = principal_.get({names_.intern(principal)});
  if (fresh) {
    for (const std::size_t column : {at.entries, at.grants, at.live, at.uses, at.denials}) row.set(column, 0);
    row.set(at.first_seq, static_cast<std::int64_t>(seq));
  }
  row.set(at.last_seq, static_cast<std::int64_t>(seq));
  return row;
}

void Projector::foldActors(Step& step) {
  const Kind kind = step.kind();
  if (!step.actor.empty()) {
    Row& row = touchPrincipal(step.actor, step.place());
    row.increase(principalColumns().entries);
    if (kind == Kind::leaseConsumed || kind == Kind::credentialUsed) row.increase(principalColumns().uses);
  }
  if (step.run != 0) foldRun(step);
  if (step.host != 0) foldHost(step);
  if (kind == Kind::sandboxStarted || kind == Kind::sandboxStopped) foldSandbox(step);
  foldProducer(step);
}

void Projector::foldRun(Step& step) {
  const RunColumns& at = runColumns();
  const EntryFields& fields = step.fields;
  const Kind kind = step.kind();
  const auto [row, fresh] = run_.get({step.run});
  if (fresh) {
    for (const std::size_t column : {at.entries, at.leases, at.denials}) row.set(column, 0);
    row.set(at.first_seq, step.seq);
  }
  row.increase(at.entries);
  row.set(at.last_seq, step.seq);
  switch (kind) {
    case Kind::runStarted:
      setName(row, at.agent, fields.text(Field::agent));
      setName(row, at.trigger, fields.text(Field::trigger));
      row.setOnce(at.started_seq, step.seq);
      row.setOnce(at.started_at, step.occurredAt);
      break;
    case Kind::runFinished:
      if (row.isNull(at.agent)) setName(row, at.agent, fields.text(Field::agent));
      setName(row, at.outcome, fields.text(Field::outcome));
      row.set(at.finished_seq, step.seq);
      row.set(at.finished_at, step.occurredAt);
      break;
    case Kind::leaseGranted: row.increase(at.leases); return;
    case Kind::leaseDenied: row.increase(at.denials); break;
    case Kind::approvalRequested: return;
    default: break;
  }
  const bool refused = kind == Kind::leaseDenied || isRefused(fields) || (kind == Kind::egressObserved && !fields.body().flag(Field::allowed));
  for (const std::string_view resource : fields.texts(Field::resources)) reach(step.run, "resource", resource, refused, step.place());
  reach(step.run, "secret", fields.text(Field::secretName), refused, step.place());
  reach(step.run, "destination", fields.text(Field::destination), refused, step.place());
  reach(step.run, "tool", fields.text(Field::tool), refused, step.place());
  reach(step.run, "host", step.common(Field::host), false, step.place());
}

void Projector::reach(NameId run, std::string_view what, std::string_view value, bool refused, std::uint64_t seq) {
  if (value.empty()) return;
  const ReachColumns& at = reachColumns();
  const auto [row, fresh] = runReach_.get({run, names_.intern(what), names_.intern(value)});
  if (fresh) {
    row.set(at.count, 0);
    row.set(at.refused, 0);
    row.set(at.first_seq, static_cast<std::int64_t>(seq));
  }
  row.increase(at.count);
  if (refused) row.increase(at.refused);
  row.set(at.last_seq, static_cast<std::int64_t>(seq));
}

void Projector::foldHost(Step& step) {
  const HostColumns& at = hostColumns();
  const EntryFields& fields = step.fields;
  const auto [host, fresh] = host_.get({step.host});
  if (fresh) {
    host.set(at.entries, 0);
    host.set(at.first_seq, step.seq);
  }
  host.increase(at.entries);
  host.set(at.last_seq, step.seq);
  host.set(at.last_at, host.isNull(at.last_at) ? step.occurredAt : std::max(host.number(at.last_at), step.occurredAt));
  switch (step.kind()) {
    case Kind::hostConnected:
    case Kind::hostDisconnected: connectHost(step, host); break;
    case Kind::hostReconciled:
      host.set(at.sandboxes_alive, static_cast<std::int64_t>(fields.number(Field::sandboxesAlive)));
      host.set(at.sandboxes_cleaned, static_cast<std::int64_t>(fields.number(Field::sandboxesCleaned)));
      break;
    default: break;
  }
}

void Projector::connectHost(Step& step, Row& host) {
  const HostColumns& at = hostColumns();
  const EntryFields& fields = step.fields;
  const Table& table = connection_.table();
  const std::string_view id = fields.text(Field::connectionId);
  if (step.kind() == Kind::hostConnected) {
    setName(host, at.state, "connected");
    host.setNull(at.connection);
    setName(host, at.connection, id);
    host.set(at.connected_seq, step.seq);
    host.set(at.connected_at, step.occurredAt);
    host.setNull(at.disconnected_at);
    host.setNull(at.cause);
    host.setNull(at.token_expires_at);
    setTime(host, at.token_expires_at, fields.time(Field::tokenExpiresAt));
    Row& connection = connection_.get({step.seq}).first;
    connection.set(table.column("host"), step.host);
    setName(connection, table.column("connection"), id);
    connection.set(table.column("connected_at"), step.occurredAt);
    return;
  }
  // A late word about an older connection must not end the present one.
  const bool ours = id.empty() || host.isNull(at.connection) || names_.text(host.number(at.connection)) == id;
  if (!ours) return;
  setName(host, at.state, "disconnected");
  host.set(at.disconnected_at, step.occurredAt);
  host.setNull(at.cause);
  setName(host, at.cause, fields.text(Field::cause));
  if (host.isNull(at.connected_seq)) return;
  Row* connection = connection_.find({host.number(at.connected_seq)});
  if (connection == nullptr || !connection->isNull(table.column("disconnected_seq"))) return;
  connection->set(table.column("disconnected_seq"), step.seq);
  connection->set(table.column("disconnected_at"), step.occurredAt);
  setName(*connection, table.column("cause"), fields.text(Field::cause));
}

void Projector::foldSandbox(Step& step) {
  const std::string_view id = step.common(Field::sandbox);
  if (id.empty()) return;
  const Table& table = sandbox_.table();
  const EntryFields& fields = step.fields;
  Row& row = sandbox_.get({names_.intern(id)}).first;
  if (step.host != 0) row.set(table.column("host"), step.host);
  if (step.run != 0) row.set(table.column("run"), step.run);
  setName(row, table.column("image"), fields.text(Field::image));
  setName(row, table.column("outcome"), fields.text(Field::outcome));
  if (step.kind() == Kind::sandboxStarted) {
    row.set(table.column("started_seq"), step.seq);
    row.set(table.column("started_at"), step.occurredAt);
  } else {
    row.set(table.column("stopped_seq"), step.seq);
    row.set(table.column("stopped_at"), step.occurredAt);
    row.set(table.column("disk_wiped"), fields.body().flag(Field::diskWiped) ? 1 : 0);
  }
}

// Which entries say how far a producer has come: as the writer's own fold (ledger/core/workspace_apply.cc, applyProducer).
void Projector::foldProducer(Step& step) {
  const Kind kind = step.kind();
  const bool summary = kind == Kind::importFinished || kind == Kind::producerClosed;
  const std::string_view source = summary ? step.fields.text(Field::source) : step.common(Field::source);
  const std::string_view producer = summary ? step.fields.text(Field::producer) : step.common(Field::producer);
  if (source == "ledger" || (source == "api" && producer.empty())) return;
  if (isLedgerDecided(kind) && !summary) return;
  const ProducerColumns& at = producerColumns();
  const RowKey key{names_.intern(source), names_.intern(producer)};
  const auto [row, fresh] = producer_.get(key);
  if (fresh) {
    for (const std::size_t column : {at.contiguous, at.greatest, at.facts, at.finished, at.closed}) row.set(column, 0);
    row.set(at.first_seq, step.seq);
  }
  row.set(at.last_seq, step.seq);
  if (kind == Kind::importFinished) row.set(at.finished, 1);
  if (kind == Kind::producerClosed) row.set(at.closed, 1);
  if (summary) return;
  row.set(at.finished, 0);
  row.increase(at.facts);
  row.set(at.greatest_occurred_at,
          row.isNull(at.greatest_occurred_at) ? step.occurredAt : std::max(row.number(at.greatest_occurred_at), step.occurredAt));
  const std::uint64_t number = step.view().entry.number(Field::producerSeq);
  if (number == 0 || number > static_cast<std::uint64_t>(INT64_MAX)) return;
  const auto given = static_cast<std::int64_t>(number);
  const std::int64_t greatest = row.number(at.greatest);
  if (given > greatest) {
    if (given > greatest + 1) {
      Row& gap = producerGap_.get({key[0], key[1], greatest + 1}).first;
      gap.set(gapColumns().highest, given - 1);
      gap.set(gapColumns().seen_seq, step.seq);
    } else if (row.number(at.contiguous) == greatest) {
      row.set(at.contiguous, given);
    }
    row.set(at.greatest, given);
  } else if (given > row.number(at.contiguous)) {
    fillGap(key, given);
  }
}

// A missing number came after all: its gap shrinks, splits or goes.
void Projector::fillGap(const RowKey& producer, std::int64_t given) {
  producerGap_.flush();  // the look-up below asks the database
  gapAround_->bindNumber(1, producer[0]);
  gapAround_->bindNumber(2, producer[1]);
  gapAround_->bindNumber(3, given);
  if (!gapAround_->step()) return;
  const std::int64_t lowest = gapAround_->number(0);
  const std::int64_t highest = gapAround_->number(1);
  const std::int64_t seen = gapAround_->number(2);
  gapAround_->reset();
  if (highest < given) return;
  const auto keep = [&](std::int64_t from, std::int64_t to) {
    Row& gap = producerGap_.get({producer[0], producer[1], from}).first;
    gap.set(gapColumns().highest, to);
    gap.set(gapColumns().seen_seq, seen);
  };
  if (lowest == given) producerGap_.erase({producer[0], producer[1], lowest});
  if (lowest < given) keep(lowest, given - 1);
  if (given < highest) keep(given + 1, highest);
  producerGap_.flush();
  lowestGap_->bindNumber(1, producer[0]);
  lowestGap_->bindNumber(2, producer[1]);
  lowestGap_->step();
  const bool none = lowestGap_->isNull(0);
  const std::int64_t first = lowestGap_->number(0);
  lowestGap_->reset();
  Row& row = producer_.get(producer).first;
  row.set(producerColumns().contiguous, none ? row.number(producerColumns().greatest) : first - 1);
}

}  // namespace counterfoil::views

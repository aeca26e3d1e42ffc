// What the parts of the projector share: the entry on its way, and the columns of the tables by their names.
#pragma once

#include "projections/views/projector.h"

namespace counterfoil::views {

struct Projector::Step {
  explicit Step(const EntryView& view)
      : fields(view), seq(static_cast<std::int64_t>(view.seq.value)), recordedAt(view.recordedAt.nanoseconds), occurredAt(view.occurredAt.nanoseconds) {}
  const EntryView& view() const { return fields.view(); }
  std::string_view common(Field field) const { return fields.view().entry.text(field); }
  Kind kind() const { return fields.view().kind(); }
  std::uint64_t place() const { return fields.view().seq.value; }

  EntryFields fields;
  std::int64_t seq;
  std::int64_t recordedAt;
  std::int64_t occurredAt;
  std::string actor;  // "kind:id"
  NameId kindName = 0;
  NameId run = 0;   // 0: none
  NameId host = 0;
  std::string_view error;
  bool redacted = false;
  // The lease this entry touched, as it is after it.
  NameId lease = 0;
  NameId state = 0;
  std::int64_t uses = 0;
  std::int64_t expiresAt = 0;
};

// Column indexes, looked up by name once.
#define COUNTERFOIL_COLUMN(named) const std::size_t named = table.column(#named)

struct LeaseColumns {
  const Table& table = viewTable("lease");
  COUNTERFOIL_COLUMN(granted_seq);
  COUNTERFOIL_COLUMN(lease);
  COUNTERFOIL_COLUMN(reported);
  COUNTERFOIL_COLUMN(grantee);
  COUNTERFOIL_COLUMN(credential);
  COUNTERFOIL_COLUMN(credential_name);
  COUNTERFOIL_COLUMN(run);
  COUNTERFOIL_COLUMN(host);
  COUNTERFOIL_COLUMN(sandbox);
  COUNTERFOIL_COLUMN(parent);
  COUNTERFOIL_COLUMN(bundle);
  COUNTERFOIL_COLUMN(approval);
  COUNTERFOIL_COLUMN(issuer);
  COUNTERFOIL_COLUMN(address);
  COUNTERFOIL_COLUMN(source);
  COUNTERFOIL_COLUMN(producer);
  COUNTERFOIL_COLUMN(policy);
  COUNTERFOIL_COLUMN(policy_version);
  COUNTERFOIL_COLUMN(fingerprint);
  COUNTERFOIL_COLUMN(upstream);
  COUNTERFOIL_COLUMN(granted_recorded_at);
  COUNTERFOIL_COLUMN(valid_from);
  COUNTERFOIL_COLUMN(valid_to);
  COUNTERFOIL_COLUMN(reach_to);
  COUNTERFOIL_COLUMN(span);
  COUNTERFOIL_COLUMN(expires_at);
  COUNTERFOIL_COLUMN(renewable_until);
  COUNTERFOIL_COLUMN(max_uses);
  COUNTERFOIL_COLUMN(uses);
  COUNTERFOIL_COLUMN(state);
  COUNTERFOIL_COLUMN(issued_seq);
  COUNTERFOIL_COLUMN(renewals);
  COUNTERFOIL_COLUMN(ended_seq);
  COUNTERFOIL_COLUMN(ended_recorded_at);
  COUNTERFOIL_COLUMN(ended_at);
  COUNTERFOIL_COLUMN(end_reason);
  COUNTERFOIL_COLUMN(cascade_of);
  COUNTERFOIL_COLUMN(upstream_outcome);
  COUNTERFOIL_COLUMN(upstream_attempts);
  COUNTERFOIL_COLUMN(last_seq);
};

struct PrincipalColumns {
  const Table& table = viewTable("principal");
  COUNTERFOIL_COLUMN(entries);
  COUNTERFOIL_COLUMN(grants);
  COUNTERFOIL_COLUMN(live);
  COUNTERFOIL_COLUMN(uses);
  COUNTERFOIL_COLUMN(denials);
  COUNTERFOIL_COLUMN(first_seq);
  COUNTERFOIL_COLUMN(last_seq);
};

struct ProducerColumns {
  const Table& table = viewTable("producer");
  COUNTERFOIL_COLUMN(contiguous);
  COUNTERFOIL_COLUMN(greatest);
  COUNTERFOIL_COLUMN(facts);
  COUNTERFOIL_COLUMN(greatest_occurred_at);
  COUNTERFOIL_COLUMN(finished);
  COUNTERFOIL_COLUMN(closed);
  COUNTERFOIL_COLUMN(first_seq);
  COUNTERFOIL_COLUMN(last_seq);
};

inline const LeaseColumns& leaseColumns() {
  static const LeaseColumns columns;
  return columns;
}
inline const PrincipalColumns& principalColumns() {
  static const PrincipalColumns columns;
  return columns;
}
inline const ProducerColumns& producerColumns() {
  static const ProducerColumns columns;
  return columns;
}

}  // namespace counterfoil::views

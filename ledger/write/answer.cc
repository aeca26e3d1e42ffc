#include "ledger/write/answer.h"

namespace counterfoil::write {

LeaseSummary summaryOf(const Lease& lease) {
  LeaseSummary summary;
  summary.id = lease.id;
  summary.state = lease.state;
  summary.issuedAt = lease.issuedAt;
  summary.expiresAt = lease.expiresAt;
  summary.renewableUntil = lease.renewableUntil;
  summary.uses = lease.uses;
  summary.maxUses = lease.maxUses;
  return summary;
}

Answer answerOf(const EntryView& view, const LeafHash& leaf, const WorkspaceState& state) {
  Answer answer;
  answer.kind = view.kind();
  answer.receipt = Receipt{view.workspace, view.seq, leaf, view.id, view.recordedAt};
  answer.denied = view.kind() == Kind::leaseDenied;
  if (answer.denied) answer.reasonCode = static_cast<ReasonCode>(view.body.number(Field::reasonCode));
  if (view.kind() == Kind::revocationOrdered) {
    answer.revocationId = view.body.text(Field::revocationId);
    answer.matched = view.body.number(Field::matched);
  }
  if (view.kind() == Kind::approvalRequested || view.kind() == Kind::approvalDecided) answer.approvalId = view.body.text(Field::approvalId);
  if (view.kind() == Kind::holdPlaced || view.kind() == Kind::holdReleased) answer.holdId = view.body.text(Field::holdId);
  if (view.kind() == Kind::policySet) answer.policyVersion = view.body.number(Field::version);
  if (view.kind() == Kind::workspaceCreated) answer.workspaceNumber = view.body.number(Field::number);
  const Lease* lease = state.findLease(view.body.text(Field::leaseId));
  if (lease != nullptr) answer.lease = summaryOf(*lease);
  return answer;
}

}  // namespace counterfoil::write

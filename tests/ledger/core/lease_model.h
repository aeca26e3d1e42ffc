// The rules of EVENTS "Leases" once more, written from their text, simple and slow: what the real state is held against.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/lease_fixture.h"

namespace counterfoil::test {

inline constexpr std::int64_t kForever = 24 * kHour;  // how long an ended lease is spoken of

struct ModelLease {
  Ask ask;
  std::string secret;
  std::string producer;  // of a reported one: source and producer
  bool reported = false;
  bool issued = false;
  std::int64_t issuedAt = 0, expiresAt = 0, renewableUntil = 0, endedAt = 0;
  std::uint64_t uses = 0;
  std::optional<LeaseState> end;   // on the record
  std::optional<LeaseState> owed;  // follows from another's end
  std::string owedBecause;
};

struct ModelApproval {
  Ask ask;
  std::string asker;
  std::int64_t expiresAt = 0;
  Decision decision = Decision::unspecified;
  bool used = false;
};

struct ModelProducer {
  std::int64_t greatest = 0;
  bool finished = false;
};

enum class ModelPolicy { none, ordinary, strict };

class LeaseModel {
 public:
  std::map<std::string, ModelLease> leases;
  std::map<std::string, ModelApproval> approvals;
  std::map<std::string, ModelProducer> producers;
  ModelPolicy policy = ModelPolicy::none;
  std::uint64_t policyVersion = 0;
  bool closed = false;

  ModelLease* find(const std::string& id) {
    const auto found = leases.find(id);
    return found == leases.end() ? nullptr : &found->second;
  }

  // Why a lease refuses use at `now`; nothing if it does not.
  std::optional<ReasonCode> refusal(const std::string& id, std::int64_t now) {
    const ModelLease* lease = find(id);
    if (lease == nullptr || lease->reported) return ReasonCode::unknownLease;
    const auto state = lease->end ? lease->end : lease->owed;
    if (state) {
      switch (*state) {
        case LeaseState::consumedOut:
          return ReasonCode::usedUp;
        case LeaseState::revoked:
          return ReasonCode::revoked;
        case LeaseState::failed:
          return ReasonCode::notActive;
        default:
          return ReasonCode::expired;
      }
    }
    if (now >= lease->expiresAt) return ReasonCode::expired;
    if (lease->issued) return std::nullopt;
    return now >= issueBy(*lease) ? ReasonCode::expired : ReasonCode::notActive;
  }
  static std::int64_t issueBy(const ModelLease& lease) { return lease.issuedAt + 60 * kSecond; }
  // When a commanded lease ends by itself.
  static std::int64_t dueAt(const ModelLease& lease) { return lease.issued ? lease.expiresAt : std::min(lease.expiresAt, issueBy(lease)); }

  static bool isSameRequest(const Ask& left, const Ask& right) {
    return left.grantee == right.grantee && left.scope == right.scope && left.resources == right.resources && left.ttl == right.ttl;
  }
  static bool isWithin(const std::vector<std::string>& bound, const std::vector<std::string>& wanted) {
    return std::all_of(wanted.begin(), wanted.end(),
                       [&](const std::string& one) { return std::find(bound.begin(), bound.end(), one) != bound.end(); });
  }
  int depth(const std::string& id) { return id.empty() ? 0 : 1 + depth(leases.at(id).ask.parent); }

  std::optional<ReasonCode> refusalOfGrant(const Ask& ask, std::int64_t now) {
    if (closed) return ReasonCode::workspaceClosed;
    if (policy != ModelPolicy::ordinary || ask.grantee == "banned") return ReasonCode::policy;
    const ModelApproval* approval = approvals.contains(ask.approval) ? &approvals.at(ask.approval) : nullptr;
    if (approval != nullptr && (approval->used || !isSameRequest(approval->ask, ask))) approval = nullptr;
    if (ask.scope.front().starts_with("danger:")) {
      if (approval != nullptr && approval->decision == Decision::rejected) return ReasonCode::approvalRejected;
      if (approval == nullptr || approval->decision != Decision::approved || now >= approval->expiresAt) return ReasonCode::approvalMissing;
    } else if (ask.ttl > 86'400) {
      return ReasonCode::ttlExceeded;
    }
    if (ask.parent.empty()) return std::nullopt;
    if (const auto why = refusal(ask.parent, now)) return why;
    const ModelLease& parent = leases.at(ask.parent);
    if (depth(ask.parent) >= 8) return ReasonCode::scopeExceeded;
    const std::int64_t expiresAt = now + static_cast<std::int64_t>(ask.ttl) * kSecond;
    const std::int64_t renewableUntil = ask.renewable == 0 ? 0 : now + static_cast<std::int64_t>(ask.renewable) * kSecond;
    if (expiresAt > parent.expiresAt || renewableUntil > std::max(parent.expiresAt, parent.renewableUntil)) return ReasonCode::ttlExceeded;
    if (!isWithin(parent.ask.scope, ask.scope)) return ReasonCode::scopeExceeded;
    const bool bound = !parent.ask.resources.empty();
    if (bound && (ask.resources.empty() || !isWithin(parent.ask.resources, ask.resources))) return ReasonCode::scopeExceeded;
    return std::nullopt;
  }
  void grant(const std::string& id, const Ask& ask, std::int64_t now) {
    ModelLease lease;
    lease.ask = ask;
    lease.secret = ask.secret;
    lease.issued = !ask.secret.empty();
    lease.issuedAt = now;
    lease.expiresAt = now + static_cast<std::int64_t>(ask.ttl) * kSecond;
    if (ask.renewable != 0) lease.renewableUntil = now + static_cast<std::int64_t>(ask.renewable) * kSecond;
    leases[id] = lease;
    if (approvals.contains(ask.approval)) {
      ModelApproval& approval = approvals.at(ask.approval);
      if (!approval.used && isSameRequest(approval.ask, ask) && approval.decision == Decision::approved && now < approval.expiresAt)
        approval.used = true;
    }
  }

  std::optional<ReasonCode> refusalOfUse(const std::string& id, std::int64_t now) {
    const ModelLease* lease = find(id);
    if (lease == nullptr || lease->reported) return ReasonCode::unknownLease;
    return closed ? ReasonCode::workspaceClosed : refusal(id, now);
  }
  std::optional<ReasonCode> refusalOfRenewal(const std::string& id, std::uint64_t ttl, std::int64_t now) {
    if (const auto why = refusalOfUse(id, now)) return why;
    const ModelLease& lease = leases.at(id);
    const std::int64_t until = std::max(lease.expiresAt, now + static_cast<std::int64_t>(ttl) * kSecond);
    if (until > lease.renewableUntil) return ReasonCode::ttlExceeded;
    if (!lease.ask.parent.empty() && until > leases.at(lease.ask.parent).expiresAt) return ReasonCode::ttlExceeded;
    return std::nullopt;
  }

  bool isBelow(const std::string& id, const std::string& above) {
    for (std::string at = leases.at(id).ask.parent; !at.empty(); at = leases.at(at).ask.parent) {
      if (at == above) return true;
    }
    return false;
  }
  bool isOpen(const ModelLease& lease) const { return !lease.reported && !lease.end && !lease.owed; }

  // The lease's end is on the record; what lies below it is owed one.
  void end(const std::string& id, LeaseState how, std::int64_t now) {
    ModelLease& lease = leases.at(id);
    lease.end = how;
    lease.owed.reset();
    lease.endedAt = now;
    if (lease.reported) return;
    for (auto& [other, below] : leases) {
      if (!isOpen(below) || !isBelow(other, id)) continue;
      below.owed = how == LeaseState::revoked ? LeaseState::revoked : LeaseState::expired;
      below.owedBecause = id;
    }
  }
  // How many leases a bulk revocation hits.
  template <class Matches>
  std::uint64_t order(const std::string& revocation, Matches&& matches) {
    std::vector<std::string> hit;
    for (const auto& [id, lease] : leases) {
      if (isOpen(lease) && matches(id, lease)) hit.push_back(id);
    }
    std::uint64_t count = 0;
    for (auto& [id, lease] : leases) {
      const bool isHit = std::any_of(hit.begin(), hit.end(), [&](const std::string& above) { return id == above || isBelow(id, above); });
      if (!isOpen(lease) || !isHit) continue;
      lease.owed = LeaseState::revoked;
      lease.owedBecause = revocation;
      ++count;
    }
    return count;
  }

  void tell(const std::string& producer, std::int64_t occurredAt) {
    ModelProducer& state = producers[producer];
    state.greatest = std::max(state.greatest, occurredAt);
    state.finished = false;
  }
  std::int64_t watermark(const std::string& producer, std::int64_t now) {
    const ModelProducer& state = producers.at(producer);
    return state.finished ? now : std::min(state.greatest - 15 * kMinute, now);
  }
  bool isReportedDue(const ModelLease& lease, std::int64_t now) {
    return lease.reported && !lease.end && lease.expiresAt != 0 && watermark(lease.producer, now) >= lease.expiresAt;
  }
  std::uint64_t outstanding(const std::string& grantee) const {
    return static_cast<std::uint64_t>(std::count_if(
        leases.begin(), leases.end(), [&](const auto& each) { return !each.second.end && each.second.ask.grantee == grantee; }));
  }
  // May the writer have forgotten it?
  static bool isOld(const ModelLease& lease, std::int64_t now) { return lease.end && lease.endedAt + kForever <= now; }
};

}  // namespace counterfoil::test

// Every limit of the ledger in one place, each with its reason; the assertions tie them to each other.
#pragma once

#include <cstddef>
#include <cstdint>

namespace counterfoil::limits {

// Canonical Cap'n Proto bytes of one entry: stays below 64 KiB so that a C2SP tlog-tiles entry bundle can carry it (16-bit length).
inline constexpr std::size_t kEntryBytesMax = 65'528;
// All sealed disclosures of one record together.
inline constexpr std::size_t kDisclosureBytesMax = 256 * 1024;
// One record with header, entry, disclosures and new keys; well below the 1 MiB a Kafka broker takes by default.
inline constexpr std::size_t kRecordBytesMax = 512 * 1024;

// An `id` field: long enough for any ARN-free machine name, short enough to index.
inline constexpr std::size_t kIdBytesMax = 128;
// A `scanned` field: a name, operation, resource or scope.
inline constexpr std::size_t kScannedBytesMax = 512;
// What an importer keeps of a longer scanned text, before the ellipsis (3 bytes of UTF-8).
inline constexpr std::size_t kTruncatedBytes = 509;
// A `personal` text as received.
inline constexpr std::size_t kPersonalBytesMax = 8 * 1024;
// A secret as received: the largest tokens and PEM keys in use.
inline constexpr std::size_t kSecretBytesMax = 8 * 1024;
// Items of any list.
inline constexpr std::size_t kListItemsMax = 256;
// A policy document: fits an entry with room for its common fields.
inline constexpr std::size_t kPolicyBytesMax = 48 * 1024;
inline constexpr std::size_t kPolicyRulesMax = 1'000;

// JSON as received.
inline constexpr std::size_t kJsonDepthMax = 32;
inline constexpr std::size_t kJsonBodyBytesMax = 1024 * 1024;
inline constexpr std::size_t kJsonLineBytesMax = 128 * 1024;
inline constexpr std::uint64_t kJsonIntegerMax = (1ULL << 53) - 1;

// Known-secret candidates of one entry; a text with more is withheld whole.
inline constexpr std::size_t kSecretCandidatesMax = 256;
inline constexpr std::size_t kSecretCandidateBytesMin = 8;
inline constexpr std::size_t kSecretCandidateBytesMax = 512;

// Leases.
inline constexpr std::size_t kLeaseDepthMax = 8;
inline constexpr std::size_t kCascadeMax = 100'000;
inline constexpr std::int64_t kIssueWithinSecondsDefault = 60;
inline constexpr std::int64_t kEndedLeaseKeptSeconds = 24 * 3600;
inline constexpr std::int64_t kWatermarkLagSeconds = 15 * 60;
inline constexpr std::int64_t kTtlSecondsMax = 366LL * 24 * 3600;

// Holds that stand in a workspace at once, and how long one may stand without being released.
inline constexpr std::size_t kHoldsMax = 1'000;
inline constexpr std::uint64_t kHoldDaysMax = 36'500;

// How long content may be kept after the end of its month, and how long an order to keep it for less stands before anything goes.
inline constexpr std::uint64_t kRetentionDaysMax = 36'500;
inline constexpr std::int64_t kRetentionNoticeSeconds = 24 * 3600;
// What a workspace's state may take in `state.carried` entries, which are recorded all at once, and how many leases (of some 150 bytes) it
// may have for that to be tried.
inline constexpr std::uint64_t kCarriedLeasesMax = 250'000;
inline constexpr std::size_t kCarriedPartBytes = 48 * 1024;
inline constexpr std::size_t kCarriedPartsMax = 1'024;

// Idempotency window of a partition.
inline constexpr std::size_t kIdWindowEntries = 1'000'000;
inline constexpr std::int64_t kIdWindowSeconds = 15 * 60;
inline constexpr std::int64_t kIdAheadSeconds = 60;

// Importer input.
inline constexpr std::size_t kImportFileBytesMax = 512ULL * 1024 * 1024;
inline constexpr std::size_t kImportInflateRatioMax = 200;

static_assert(kPolicyBytesMax < kEntryBytesMax - 4096, "a policy document must fit its entry");
static_assert(kTruncatedBytes + 3 <= kScannedBytesMax, "a truncated text with its ellipsis is a scanned text");
static_assert(kEntryBytesMax + kDisclosureBytesMax + 64 * 1024 <= kRecordBytesMax, "entry, disclosures and new keys fit a record");
static_assert(kEntryBytesMax % 8 == 0, "canonical Cap'n Proto comes in words");
static_assert(kLeaseDepthMax < 64);

}  // namespace counterfoil::limits

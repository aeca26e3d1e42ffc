// Ids of the annotations in annotations.capnp, which Cap'n Proto 0.9 does not generate. A test holds them against the compiled schema.
#pragma once

#include <cstdint>

namespace counterfoil::schema::annotation {

inline constexpr std::uint64_t kClass = 0x8d1f5c3a7e90b241ULL;
inline constexpr std::uint64_t kSubject = 0x8d1f5c3a7e90b242ULL;
inline constexpr std::uint64_t kAddress = 0x8d1f5c3a7e90b243ULL;
inline constexpr std::uint64_t kKind = 0x8d1f5c3a7e90b244ULL;
inline constexpr std::uint64_t kFact = 0x8d1f5c3a7e90b245ULL;
inline constexpr std::uint64_t kRequired = 0x8d1f5c3a7e90b246ULL;
inline constexpr std::uint64_t kRequires = 0x8d1f5c3a7e90b247ULL;
inline constexpr std::uint64_t kLedger = 0x8d1f5c3a7e90b248ULL;
inline constexpr std::uint64_t kLimit = 0x8d1f5c3a7e90b249ULL;

}  // namespace counterfoil::schema::annotation

#include "ledger/core/lease.h"

#include <array>

#include "ledger/core/bytes.h"

namespace counterfoil {

std::string_view leaseStateName(LeaseState state) {
  static constexpr std::array<std::string_view, 6> kNames = {"granted", "active", "consumed_out", "revoked", "expired", "failed"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string packTerms(const LeaseTerms& terms) {
  std::vector<std::uint8_t> bytes;
  ByteWriter writer(bytes);
  writer.number(static_cast<std::uint64_t>(terms.granteeKind));
  for (std::string_view text : {terms.grantee, terms.run, terms.host, terms.bundle, terms.source, terms.producer}) writer.text(text);
  for (const auto* list : {&terms.scope, &terms.resources}) {
    writer.number(list->size());
    for (std::string_view text : *list) writer.text(text);
  }
  return {bytes.begin(), bytes.end()};
}

namespace {

LeaseTerms readOwner(ByteReader& reader) {
  LeaseTerms terms;
  terms.granteeKind = static_cast<PrincipalKind>(reader.number());
  for (std::string_view* text : {&terms.grantee, &terms.run, &terms.host, &terms.bundle, &terms.source, &terms.producer})
    *text = reader.text();
  return terms;
}

}  // namespace

LeaseTerms unpackOwner(std::string_view packed) {
  ByteReader reader({reinterpret_cast<const std::uint8_t*>(packed.data()), packed.size()});
  return readOwner(reader);
}

LeaseTerms unpackTerms(std::string_view packed) {
  ByteReader reader({reinterpret_cast<const std::uint8_t*>(packed.data()), packed.size()});
  LeaseTerms terms = readOwner(reader);
  for (auto* list : {&terms.scope, &terms.resources}) {
    const std::uint64_t count = reader.count(1);
    list->reserve(count);
    for (std::uint64_t index = 0; index < count; ++index) list->push_back(reader.text());
  }
  return terms;
}

bool areTerms(std::string_view packed) {
  ByteReader reader({reinterpret_cast<const std::uint8_t*>(packed.data()), packed.size()});
  readOwner(reader);
  for (int list = 0; list < 2; ++list) {
    for (std::uint64_t left = reader.count(1); left > 0; --left) reader.text();
  }
  return reader.complete();
}

}  // namespace counterfoil

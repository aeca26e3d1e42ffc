// What tests of leases expect again and again.
#pragma once

#include <gtest/gtest.h>

#include "tests/support/lease_fixture.h"

namespace counterfoil::test {

// Every refusal is a value and an entry.
inline void expectDenied(const Desk& desk, const Ruling& ruling, LeaseStep step, ReasonCode reason) {
  EXPECT_TRUE(ruling.denied);
  EXPECT_EQ(ruling.reasonCode, reason);
  const auto entry = desk.last();
  ASSERT_EQ(entry.view.kind(), Kind::leaseDenied);
  EXPECT_EQ(entry.body().number(Field::step), static_cast<std::uint64_t>(step));
  EXPECT_EQ(entry.reason(), reason);
  EXPECT_FALSE(entry.text(Field::explanation).empty());
  EXPECT_FALSE(entry.terminal());
}

template <class Function>
void expectFault(ErrorCode code, Function&& function) {
  try {
    function();
    ADD_FAILURE() << "no fault";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.code(), code) << fault.what();
  }
}

inline PrincipalValue agent(std::string_view id) {
  return {PrincipalKind::agent, id};
}

}  // namespace counterfoil::test

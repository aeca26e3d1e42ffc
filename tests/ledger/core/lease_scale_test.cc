// Nothing costs more a lease when there are more leases: eight times as many take about eight times as long, never sixty-four.
#include <gtest/gtest.h>

#include <ctime>

#include "tests/support/lease_expectations.h"

namespace counterfoil {
namespace {

using test::Desk;
using test::kHour;
using test::kMinute;
using test::kSecond;
using test::operator+;

// Processor time: other work on the machine does not count.
template <class Function>
double secondsOf(Function&& function) {
  const std::clock_t start = std::clock();
  function();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

// Measures `run` on what `prepare` set up, for few and for many.
template <class Prepare, class Run>
void expectLinear(const char* what, Prepare&& prepare, Run&& run, int few = 2'000) {
  const int many = 8 * few;
  const auto measure = [&](int count) {
    Desk desk;
    desk.keepLog = false;
    prepare(desk, count);
    return secondsOf([&] { run(desk, count); });
  };
  double small = measure(few);
  double large = measure(many);
  // A busy machine may spoil one measurement, not three.
  for (int attempt = 0; attempt < 2 && large > 24 * small; ++attempt) {
    small = std::max(small, measure(few));
    large = std::min(large, measure(many));
  }
  ::testing::Test::RecordProperty(std::string(what) + " ns", static_cast<int>(large / many * 1e9));
  EXPECT_LE(large, 24 * small + 0.05) << what << ": " << few << " took " << small << " s, " << many << " took " << large << " s";
}

void grantMany(Desk& desk, int count, std::uint64_t ttl = 3'600, const std::string& parent = {}) {
  for (int number = 0; number < count; ++number) {
    desk.grant({.id = "l" + std::to_string(number), .run = "r1", .parent = parent, .secret = test::secretText(1), .ttl = ttl});
  }
}

// Entries that concern no lease, until nothing is left to forget.
void passTime(Desk& desk, int entries) {
  for (int entry = 0; entry < entries; ++entry) {
    desk.fact({.kind = Kind::runStarted, .occurredAt = desk.now, .source = "openbao"}, [](Arena&, StructValue&) {});
  }
}

TEST(LeaseScale, grantsAndSimultaneousExpiries) {
  expectLinear(
      "grants", [](Desk&, int) {}, [](Desk& desk, int count) { grantMany(desk, count); });
  expectLinear(
      "expiries",
      [](Desk& desk, int count) {
        grantMany(desk, count);
        desk.now = desk.now + kHour;
      },
      [](Desk& desk, int count) { EXPECT_EQ(desk.settle(), static_cast<std::size_t>(count)); });
}

TEST(LeaseScale, cascadeToManyChildren) {
  const auto prepare = [](Desk& desk, int count) {
    desk.grant({.id = "root", .ttl = 3'600});
    grantMany(desk, count, 3'600, "root");
  };
  expectLinear("cascade", prepare, [](Desk& desk, int count) {
    desk.revoke("root");
    EXPECT_EQ(desk.settle(), static_cast<std::size_t>(count));
  });
  expectLinear("rollback of a cascade", prepare, [](Desk& desk, int) {
    desk.state().mark();
    desk.revoke("root");
    desk.settle(1'000);
    desk.state().rollback();
    EXPECT_FALSE(desk.state().hasOwed());
  });
}

TEST(LeaseScale, bulkRevocation) {
  expectLinear(
      "bulk revocation", [](Desk& desk, int count) { grantMany(desk, count); },
      [](Desk& desk, int count) {
        EXPECT_EQ(desk.revokeAll(RevocationSelector::run, "r1").matched, static_cast<std::uint64_t>(count));
        EXPECT_EQ(desk.settle(), static_cast<std::size_t>(count));
      });
}

TEST(LeaseScale, forgettingManyChildrenOfALivingParent) {
  expectLinear(
      "forgetting children",
      [](Desk& desk, int count) {
        desk.grant({.id = "root", .ttl = 86'400, .renewable = 172'800});
        for (int number = 0; number < count; ++number) {
          // The oldest child is the farthest from the parent's first.
          desk.grant({.id = "l" + std::to_string(number), .parent = "root", .secret = test::secretText(1)});
        }
        for (int number = 0; number < count; ++number) desk.revoke("l" + std::to_string(number));
        desk.now = desk.now + 23 * kHour;
        desk.renew("root", 86'400);
        desk.now = desk.now + kHour;
      },
      [](Desk& desk, int count) {
        passTime(desk, count / 64 + 2);
        EXPECT_EQ(desk.state().slotOf("l" + std::to_string(count - 1)), kNoLease);
        EXPECT_NE(desk.state().slotOf("root"), kNoLease);
      });
}

TEST(LeaseScale, reportedLeasesWithSecrets) {
  const auto prepare = [](Desk& desk, int count) {
    for (int number = 0; number < count; ++number) {
      FingerprintTag tag{};
      std::memcpy(tag.data(), &number, sizeof number);
      desk.reportGrant("f" + std::to_string(number), desk.now, desk.now + kMinute, "fp2:1:" + toBase64Url(tag));
    }
  };
  expectLinear("reported ends", prepare, [](Desk& desk, int count) {
    desk.importFinished("openbao", "p1");
    desk.now = desk.now + kMinute;
    EXPECT_EQ(desk.settle(), static_cast<std::size_t>(count));
    desk.now = desk.now + 25 * kHour;
    passTime(desk, count / 64 + 2000);
    std::size_t kept = 0;
    desk.state().forEachLease([&](LeaseSlot, const Lease&) { ++kept; });
    EXPECT_EQ(kept, 0U);
  });
}

TEST(LeaseScale, saveAndLoad) {
  expectLinear(
      "save and load", [](Desk& desk, int count) { grantMany(desk, count); }, [](Desk& desk, int) { desk.restart(); });
}

}  // namespace
}  // namespace counterfoil

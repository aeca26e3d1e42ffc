// Row sums and their encoding, against values worked out by hand.
#include <gtest/gtest.h>

#include "ledger/core/encoding.h"
#include "projections/views/digest.h"

namespace counterfoil::views {
namespace {

crypto::Digest filled(std::uint8_t first, std::uint8_t rest) {
  crypto::Digest digest;
  digest.fill(rest);
  digest[0] = first;
  return digest;
}

TEST(ViewDigest, SumsAreModuloTwoToThe256) {
  RowSum sum;
  sum.add(filled(0xff, 0xff));  // 2^256 - 1
  crypto::Digest two{};
  two[31] = 2;
  sum.add(two);
  crypto::Digest one{};
  one[31] = 1;
  EXPECT_EQ(sum.bytes(), one);
  sum.subtract(two);
  EXPECT_EQ(sum.bytes(), filled(0xff, 0xff));
}

TEST(ViewDigest, CarriesGoThroughEveryWord) {
  crypto::Digest low{};
  std::fill(low.begin() + 8, low.end(), 0xff);  // 2^192 - 1
  crypto::Digest one{};
  one[31] = 1;
  RowSum sum;
  sum.add(low);
  sum.add(one);
  crypto::Digest expected{};
  expected[7] = 1;
  EXPECT_EQ(sum.bytes(), expected);
}

TEST(ViewDigest, OrderDoesNotMatterAndTakingAwayUndoes) {
  const auto a = crypto::sha256(crypto::Bytes(filled(1, 2))), b = crypto::sha256(crypto::Bytes(filled(3, 4)));
  RowSum left, right;
  left.add(a);
  left.add(b);
  right.add(b);
  right.add(a);
  EXPECT_EQ(left, right);
  left.subtract(b);
  EXPECT_NE(left, right);
  right.subtract(b);
  EXPECT_EQ(left, right);
  EXPECT_EQ(RowSum::fromBytes(left.bytes()), left);
}

// RFC 8949, appendix A: 0, 23, 24, 1000, 1000000000000, -1, -1000, "IETF", h'01020304', null.
TEST(ViewDigest, RowsAreCanonicalCbor) {
  RowEncoder encoder("t");
  encoder.begin(10);
  for (const std::int64_t number : {0LL, 23LL, 24LL, 1000LL, 1'000'000'000'000LL, -1LL, -1000LL}) encoder.integer(number);
  encoder.text("IETF");
  encoder.blob(std::array<std::uint8_t, 4>{1, 2, 3, 4});
  encoder.null();
  const auto expected = fromHex("74" "8a" "00" "17" "1818" "1903e8" "1b000000e8d4a51000" "20" "3903e7" "6449455446" "4401020304" "f6");
  EXPECT_EQ(encoder.hash(), crypto::sha256(*expected));
}

TEST(ViewDigest, ExtremeNumbersKeepTheirSign) {
  RowEncoder encoder("t");
  encoder.begin(2);
  encoder.integer(INT64_MIN);
  encoder.integer(INT64_MAX);
  const auto expected = fromHex("74" "82" "3b7fffffffffffffff" "1b7fffffffffffffff");
  EXPECT_EQ(encoder.hash(), crypto::sha256(*expected));
}

TEST(ViewDigest, TableNamesBelongToIt) {
  std::vector<TableSum> sums{{"a", {}}, {"b", {}}};
  const auto before = viewDigest(sums);
  std::swap(sums[0].table, sums[1].table);
  EXPECT_NE(viewDigest(sums), before);
}

}  // namespace
}  // namespace counterfoil::views

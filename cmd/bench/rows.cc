#include "cmd/bench/rows.h"

#include <array>

namespace counterfoil::cmd::bench {

std::span<const Row> allRows() {
  static constexpr std::array<Row, 10> kRows = {{{"append-one", appendOne},
                                                 {"append-64", append64},
                                                 {"append-batch", appendBatch},
                                                 {"cpu-entry", cpuEntry},
                                                 {"verify", verifyRate},
                                                 {"rebuild", rebuildViews},
                                                 {"lag", viewLag},
                                                 {"leases", leases},
                                                 {"query", queries},
                                                 {"scanner", scanner}}};
  return kRows;
}

std::span<const Row> httpRows() {
  static constexpr std::array<Row, 7> kRows = {{{"http-append-one", httpAppendOne},
                                                {"http-append-64", httpAppend64},
                                                {"http-batch-full", httpBatchFull},
                                                {"http-batch-bare", httpBatchBare},
                                                {"http-lag", httpLag},
                                                {"http-query", httpQuery},
                                                {"http-leases", httpLeases}}};
  return kRows;
}

std::span<const Row> kafkaRows() {
  static constexpr std::array<Row, 1> kRows = {{{"kafka-append", kafkaAppend}}};
  return kRows;
}

}  // namespace counterfoil::cmd::bench

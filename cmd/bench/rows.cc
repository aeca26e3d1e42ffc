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

}  // namespace counterfoil::cmd::bench

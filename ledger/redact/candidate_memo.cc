#include "ledger/redact/candidate_memo.h"

namespace counterfoil::redact {

CandidateMemo& CandidateMemo::ofThread() {
  thread_local CandidateMemo memo;
  return memo;
}

}  // namespace counterfoil::redact

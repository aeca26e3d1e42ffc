// The views held against the log, for `verify`.
#pragma once

#include "cmd/session.h"
#include "cmd/verify_report.h"

namespace counterfoil::cmd {

// Brings the views up to the log (unless another process keeps them), re-sums every view's rows against its stored digests, compares where
// each stands with what the verifier found in the log, and fills in the workspaces' ids. Problems are those of copy "views". `session`
// must have its keys at hand.
void checkViews(Session& session, VerifyOutcome& outcome);

}  // namespace counterfoil::cmd

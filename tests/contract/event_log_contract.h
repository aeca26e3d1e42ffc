// What every EventLog must do, whatever it stores records in. A log's test gives the suites a harness and instantiates them:
//
//   using Harnesses = ::testing::Types<EmbeddedHarness>;
//   INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, EventLogReading, Harnesses);
//   INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, EventLogFinding, Harnesses);
//   INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, EventLogWriting, Harnesses);
#pragma once

#include "tests/contract/event_log_contract_finding.h"
#include "tests/contract/event_log_contract_reading.h"
#include "tests/contract/event_log_contract_writing.h"

// One CloudTrail record, as much of it as becomes events. Members that are not listed here, session tokens and secret keys among them, are
// passed over where they stand: their values are copied nowhere.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/arena.h"
#include "ledger/core/ids.h"

namespace counterfoil::importers {

enum class RecordText : std::uint8_t {
  eventId,  // a UUID is made lower-case
  eventTime,
  eventSource,
  eventName,
  sharedEventId,
  sourceAddress,
  userAgent,
  errorCode,
  errorMessage,
  recipientAccount,
  callerType,
  callerPrincipalId,
  callerArn,
  callerAccount,
  callerKey,  // secret
  callerName,
  callerInvokedBy,
  callerOnBehalfOf,  // IAM Identity Center user id
  roleArn,
  bucketName,
  objectKey,
  name,
  secretId,
  parameterPath,
  requestedVersion,
  issuedKey,  // secret
  issuedExpiration,
  assumedRoleArn,
  federatedArn,
  deletionDate,
  writtenVersion,
  responseName,
  count
};

struct CloudTrailRecord {
  Arena arena;  // holds every text below
  std::array<std::string_view, static_cast<std::size_t>(RecordText::count)> texts{};
  std::vector<std::string_view> names;      // requestParameters.names
  std::vector<std::string_view> resources;  // ARNs of the `resources` list
  struct Parameter {
    std::string_view name;
    std::string_view value;
  };
  std::vector<Parameter> parameters;  // those of requestParameters that name a resource
  std::uint64_t durationSeconds = 0;
  bool deletesAtOnce = false;
  Timestamp occurredAt;

  std::string_view text(RecordText which) const { return texts[static_cast<std::size_t>(which)]; }
};

// Reads the JSON text of one record; control characters in texts become blanks, texts of more than 64 KiB are cut. Faults, none with a
// value of the record: malformedJson, tooDeep, invalidUtf8, duplicateField (a member that is used here stands twice), invalidValue (no
// object; no or no usable eventID or eventTime). What the parser leaves on the stack is wiped.
CloudTrailRecord readCloudTrailRecord(std::string_view json);

// A time as CloudTrail writes it inside responses: RFC 3339, or "Jul 10, 2023, 12:09:47 PM" (UTC; newer ones with a narrow no-break space).
std::optional<Timestamp> cloudTrailTime(std::string_view text);

}  // namespace counterfoil::importers

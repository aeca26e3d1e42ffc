// The one table of what can go wrong: stable code, HTTP status, exit status (INTERFACE: Errors, exit status).
//
// Three kinds of "no": an outcome is a value (a denied lease is an answer, and an entry); a fault is an exception the caller may retry
// or mend (class Fault); fatal means the ledger is damaged or would have to guess (ErrorCode of exit status 5): the sequencer stops.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

namespace counterfoil {

// name, text, HTTP status, exit status
#define COUNTERFOIL_ERROR_CODES(X)                          \
  X(malformedJson, "malformed_json", 400, 2)                \
  X(unknownField, "unknown_field", 400, 2)                  \
  X(duplicateField, "duplicate_field", 400, 2)              \
  X(invalidValue, "invalid_value", 400, 2)                  \
  X(invalidUtf8, "invalid_utf8", 400, 2)                    \
  X(kindNotAFact, "kind_not_a_fact", 400, 2)                \
  X(tooDeep, "too_deep", 400, 2)                            \
  X(badCursor, "bad_cursor", 400, 2)                        \
  X(badQuery, "bad_query", 400, 2)                          \
  X(noToken, "no_token", 401, 4)                            \
  X(badToken, "bad_token", 401, 4)                          \
  X(expiredToken, "expired_token", 401, 4)                  \
  X(tokenInUrl, "token_in_url", 401, 4)                     \
  X(notAllowed, "not_allowed", 403, 4)                      \
  X(noSuchItem, "no_such_item", 404, 1)                     \
  X(noSuchRoute, "no_such_route", 404, 2)                   \
  X(methodNotAllowed, "method_not_allowed", 405, 2)         \
  X(notAcceptable, "not_acceptable", 406, 2)                \
  X(tooSlow, "too_slow", 408, 3)                            \
  X(idempotencyConflict, "idempotency_conflict", 409, 2)    \
  X(alreadyExists, "already_exists", 409, 2)                \
  X(workspaceClosed, "workspace_closed", 409, 2)            \
  X(holdInForce, "hold_in_force", 409, 2)                   \
  X(commandedLease, "commanded_lease", 409, 2)              \
  X(importRunning, "import_running", 409, 3)                \
  X(tooLarge, "too_large", 413, 2)                          \
  X(unsupportedMediaType, "unsupported_media_type", 415, 2) \
  X(idTooOld, "id_too_old", 422, 2)                         \
  X(tooLong, "too_long", 422, 2)                            \
  X(secretInIdentifier, "secret_in_identifier", 422, 2)     \
  X(secretInPolicy, "secret_in_policy", 422, 2)             \
  X(rateLimited, "rate_limited", 429, 3)                    \
  X(headerTooLarge, "header_too_large", 431, 2)             \
  X(internal, "internal", 500, 5)                           \
  X(intakeFull, "intake_full", 503, 3)                      \
  X(notReady, "not_ready", 503, 3)                          \
  X(logUnavailable, "log_unavailable", 503, 3)              \
  X(clockBehind, "clock_behind", 503, 3)                    \
  X(indeterminate, "indeterminate", 503, 3)                 \
  X(diskFull, "disk_full", 507, 3)                          \
  /* Command line only: */                                  \
  X(usage, "usage", 400, 2)                                 \
  X(dataInUse, "data_in_use", 503, 3)                       \
  X(noLedger, "no_ledger", 404, 2)                          \
  X(unreadableInput, "unreadable_input", 400, 2)            \
  X(keyMissing, "key_missing", 503, 5)                      \
  X(keyPermissions, "key_permissions", 503, 5)              \
  X(keyDamaged, "key_damaged", 503, 5)                      \
  X(noFileLocks, "no_file_locks", 503, 5)                   \
  X(logDamaged, "log_damaged", 500, 5)                      \
  X(logTruncated, "log_truncated", 503, 5)                  \
  X(viewDamaged, "view_damaged", 500, 5)                    \
  X(interrupted, "interrupted", 503, 130)

enum class ErrorCode {
#define COUNTERFOIL_ERROR_ENUM(name, text, http, exitStatus) name,
  COUNTERFOIL_ERROR_CODES(COUNTERFOIL_ERROR_ENUM)
#undef COUNTERFOIL_ERROR_ENUM
};

struct ErrorFacts {
  std::string_view text;  // the stable code people and programs match on
  int httpStatus;
  int exitStatus;
};

// The row of the table for `code`.
const ErrorFacts& factsOf(ErrorCode code);
// The code whose text this is, as another ledger's error names it.
std::optional<ErrorCode> errorCodeOf(std::string_view text);

// A fault: what happened, what to do, and the field concerned. Holds names of fields and files, never a value of a request.
class Fault : public std::exception {
 public:
  Fault(ErrorCode code, std::string detail, std::string hint = {}, std::string field = {});

  ErrorCode code() const { return code_; }
  const std::string& detail() const { return detail_; }
  const std::string& hint() const { return hint_; }
  // RFC 6901 pointer of the field in the caller's JSON; empty when no single field is to blame.
  const std::string& field() const { return field_; }
  // The same, with when it has a meaning to ask again.
  Fault askAgainAfter(std::uint64_t seconds) const {
    Fault fault = *this;
    fault.askAgainSeconds_ = seconds;
    return fault;
  }
  std::uint64_t askAgainSeconds() const { return askAgainSeconds_; }
  // "code: detail" for logs.
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  ErrorCode code_;
  std::string detail_;
  std::string hint_;
  std::string field_;
  std::string what_;
  std::uint64_t askAgainSeconds_ = 1;
};

}  // namespace counterfoil

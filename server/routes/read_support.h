// What the routes that read have in common: parameters, the workspace, persons, waiting for the view, the record of the reading.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "projections/query/filters.h"
#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

// The query parameters of a reading.
struct ReadParameters {
  std::vector<query::Parameter> filters;  // all others, for parseFilters
  std::optional<std::uint64_t> wait;      // seq
  bool disclose = false;
};

// Throws Fault: tokenInUrl, duplicateField, invalidValue. `disclose` is one of the filters where `mayDisclose` is false.
ReadParameters readParameters(const RequestHead& head, bool mayDisclose = false);
// Throws unknownField for a filter that is not among `known`, duplicateField for one that comes twice. For routes that are no lists.
void requireKnown(const std::vector<query::Parameter>& filters, std::initializer_list<std::string_view> known);

// A whole number below 2^53. Throws Fault(invalidValue) that names `field`.
std::uint64_t wholeNumber(std::string_view text, const std::string& field);

// The number of the route's {workspace}. Throws Fault(notAllowed) if there is none: it says no more than the check of the token does.
WorkspaceNumber workspaceOf(const Service& service, const Call& call);

// Persons as the record knows them, while their keys exist; makes no key. Thread safe.
query::PrincipalResolver resolverOf(Service& service, WorkspaceNumber workspace);

// Returns when the view holds the entry `wait`, at once without one. Throws Fault: notReady after 5 s, or the fault that the view stands
// still with; a view that only cannot go on now (disk full) is read as it is.
asio::awaitable<void> waitForView(Service& service, WorkspaceNumber workspace, std::optional<std::uint64_t> wait);

// Records the reading; see AuditRecorder. `what`: the list or thing ("entries", "leases/L1"); of `parameters` those that select. One that
// disclosed personal values says so and has an entry of its own each time.
asio::awaitable<void> recordReading(Service& service, const Call& call, WorkspaceNumber workspace, std::string what,
                                    const std::vector<query::Parameter>& parameters, std::uint64_t rows, bool disclosed = false);

// ---- the JSON of lists, as query/page_json.h writes it ----
// The items' texts, in order.
std::vector<std::string_view> itemsOf(std::string_view page);
// The object behind "asOf".
std::string_view asOfOf(std::string_view page);
// The text of "next"; empty for null.
std::string_view nextOf(std::string_view page);
// The first item with "asOf" put in. Throws Fault(noSuchItem) with `detail` if there is none.
std::string onlyItem(std::string_view page, const char* detail);

}  // namespace counterfoil::server

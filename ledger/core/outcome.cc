#include "ledger/core/outcome.h"

#include <iterator>
#include <utility>

namespace counterfoil {
namespace {

constexpr ErrorFacts kFacts[] = {
#define COUNTERFOIL_ERROR_FACTS(name, text, http, exitStatus) {text, http, exitStatus},
    COUNTERFOIL_ERROR_CODES(COUNTERFOIL_ERROR_FACTS)
#undef COUNTERFOIL_ERROR_FACTS
};

}  // namespace

const ErrorFacts& factsOf(ErrorCode code) {
  return kFacts[static_cast<std::size_t>(code)];
}

std::optional<ErrorCode> errorCodeOf(std::string_view text) {
  for (std::size_t index = 0; index < std::size(kFacts); ++index) {
    if (text == kFacts[index].text) return static_cast<ErrorCode>(index);
  }
  return std::nullopt;
}

Fault::Fault(ErrorCode code, std::string detail, std::string hint, std::string field)
    : code_(code), detail_(std::move(detail)), hint_(std::move(hint)), field_(std::move(field)) {
  what_ = std::string(factsOf(code).text) + ": " + detail_;
}

}  // namespace counterfoil

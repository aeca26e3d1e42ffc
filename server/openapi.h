// The OpenAPI 3.1 document of the routes: paths from the route table, bodies from the schema tables, errors from the error table. What the
// server does and what it says it does come from the same place.
#pragma once

#include <string>

#include "server/http/router.h"

namespace counterfoil::server {

// JSON text. `version`: of the program.
std::string openApi(const Router& router, std::string_view version);

}  // namespace counterfoil::server

// Imports through the server: another system's records, as facts under their own source and producers (docs/server.md, Imports).
#pragma once

#include <memory>
#include <string_view>

#include "server/http/router.h"
#include "server/routes/fact_lines.h"
#include "server/service.h"

namespace counterfoil::server {

// `service` outlives the routes.
void addImportRoutes(Router& router, Service& service);

// The lines of POST .../facts?import=<import>: facts with ids that their importer made, recorded once however often they come. They are
// taken in order: behind one that there is no room for now, none is. Throws Fault: notAllowed, and those of Imports::use().
std::unique_ptr<FactLines> importedLines(Call& call, Service& service, std::shared_ptr<FactResults> results, std::string_view import);

}  // namespace counterfoil::server

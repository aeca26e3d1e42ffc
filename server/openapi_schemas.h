// The schemas of the OpenAPI document: what callers may send, from the schema tables, and what they get.
#pragma once

#include <boost/json/object.hpp>
#include <string_view>

namespace counterfoil::server {

// {"$ref": ...} to the schema of this name.
boost::json::object schemaReference(std::string_view name);
// A text of a URL or a header: not empty, without control characters.
boost::json::object urlTextSchema();
// What names a thing of the ledger (ids of leases, runs, hosts, workspaces): the letters that an id may have.
boost::json::object idSchema();
boost::json::object timeSchema();
// A UUIDv7, as ids of requests must be.
boost::json::object requestIdSchema();

// Adds the bodies of requests: LeaseRequest, Fact, Secret, ... A text without limit in the catalogue gets the one of its class.
void addRequestSchemas(boost::json::object& schemas);
// Adds the bodies of answers: Answer, Problem, EntryPage, ... Rows of views name the members that are always there; docs/query.md has all.
void addAnswerSchemas(boost::json::object& schemas);

}  // namespace counterfoil::server

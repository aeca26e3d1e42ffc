// What every verb that reads goes through: the running server if there is one, else the views in the folder. Both give the same JSON.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cmd/server_link.h"
#include "cmd/view_session.h"
#include "projections/query/filters.h"

namespace counterfoil::cmd {

// Of --workspace. Everything that was recorded before the reader was made is in what it reads.
class RecordReader {
 public:
  // Throws the faults of ServerLink::find() and of ViewSession.
  explicit RecordReader(const CommonOptions& common);

  // A page: {"items":[...],"next":cursor|null,...}. `parameters` as parseFilters() takes them. Throws what it and ViewReader::list() throw.
  // `disclose`, of entries only: with personal values; a server wants an administrator's token for it, and records it.
  std::string list(query::ListKind list, const std::vector<query::Parameter>& parameters, bool disclose = false);
  // A lease with its history. Throws noSuchItem.
  std::string lease(const std::string& id, const std::vector<query::Parameter>& parameters);
  // {"columns":[...],"rows":[[...],...],"truncated"?,...}. Throws badQuery.
  std::string query(const std::string& sql);

 private:
  // Throws Fault(notReady) for an answer that is no JSON object.
  std::string get(std::string target, std::vector<query::Parameter> parameters);
  std::optional<std::uint64_t> newestSeq();

  std::unique_ptr<ServerLink> link_;
  std::unique_ptr<ViewSession> views_;
  std::optional<std::uint64_t> wait_;  // what the server's view must have reached
};

// `parameters` as the query of a URL, with its '?'; empty without any.
std::string queryText(const std::vector<query::Parameter>& parameters);

}  // namespace counterfoil::cmd

// Several nodes on one log: which of them writes a partition now, as each node sees it.
#pragma once

#include <functional>
#include <string>

#include "ledger/core/ids.h"

namespace counterfoil::server {

struct NodeRole {
  bool owner = true;        // this node is the writer
  std::string ownerUrl;     // "https://node-1.example.com:8780": where the writer is reached; empty: nobody is known
  std::string ownerName;    // its node_name
  PartitionId partition{};  // of which
};

// Asked for every request. Cheap, never blocks, any thread. Null: a single node, which forwards nothing.
using RoleOf = std::function<NodeRole(PartitionId)>;

}  // namespace counterfoil::server

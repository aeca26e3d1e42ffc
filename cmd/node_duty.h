// The part that a serving process plays among the nodes of its ledger: of each partition it is the writer, or follows and could take over.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cmd/session.h"

namespace counterfoil::cmd {

class NodeDuty {
 public:
  // `refresh` brings what files hold of this ledger's tokens (rotated keys) up to date; it waits for nothing. It is called before this node
  // claims a partition, again before it answers as its writer, and within a second of a new entry of `_system` while another node writes
  // that; may throw Fault, then it is called again later. Where the log has one node only, it is the writer from the start and nothing is
  // called. All must outlive this.
  // `acknowledged`: how long each append took, in seconds, on a thread of the log.
  NodeDuty(Session& session, std::function<void(double)> acknowledged, std::function<void()> refresh);
  // Leaves the writing to others first.
  ~NodeDuty();

  struct Now {
    bool writer = false;     // this node decides
    std::string writerName;  // of the node that does, as far as known
    std::string writerUrl;
  };
  // Any thread; cheap.
  Now now(PartitionId partition) const;
  // Partitions this node writes.
  std::size_t written() const;
  // Why the log is not the one it was: the ledger stands still until this process is started with the whole log again.
  std::optional<Fault> logBroken() const;
  // The same, or why the log takes and gives nothing for now.
  std::optional<Fault> logTrouble() const;
  // Why this node is never given the log, in the cluster's words; empty while all is well.
  std::string fault() const;

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace counterfoil::cmd

// Entries as they are recorded, each once and in order, over as many connections as it takes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "clients/cpp/http_client.h"
#include "clients/cpp/types.h"

namespace counterfoil::client {

// Where one reader is. Owned by one thread.
class EntryTail {
 public:
  // `next`: the first seq to show; nothing: what is recorded from the first connection on.
  EntryTail(std::vector<std::string> kinds, std::optional<std::uint64_t> next) : kinds_(std::move(kinds)), next_(next) {}

  // One connection to the stream of a workspace ("/v1/workspaces/<id>", percent-encoded), beginning where the last one ended. True when the
  // server has ended it or `stop` was asked for; false when `entry` has returned false, and that entry counts as shown. Throws as
  // Requests::stream(), foreign_answer for what is no entry, and what `entry` throws: then the entry counts as shown as well. `heard`, if
  // any, is called for every sign of life.
  bool follow(Requests& requests, const std::string& workspace, const std::function<bool(const Entry&)>& entry,
              const std::function<void()>& heard, const std::stop_token& stop);

  // The first seq that was not shown; nothing: it has not begun.
  std::optional<std::uint64_t> next() const { return next_; }
  void setNext(std::uint64_t next) { next_ = next; }

 private:
  bool begin(Requests& requests, const std::string& workspace, const std::function<bool(const Entry&)>& entry);

  std::vector<std::string> kinds_;
  std::optional<std::uint64_t> next_;
};

}  // namespace counterfoil::client

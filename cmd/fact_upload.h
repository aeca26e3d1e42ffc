// `fact append` through a server: lines in batches, results in the order of the lines.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/server_link.h"

namespace counterfoil::cmd {

class FactUpload {
 public:
  FactUpload(const CommonOptions& common, ServerLink& server) : common_(common), server_(server) {}
  // Not blank; nullopt: a line that was too long to be read. Sends when enough has come together.
  void line(std::optional<std::string_view> text);
  // Sends what is there and prints its results. Lines that the server had no room for are sent again a little later, behind the others of
  // their batch. Throws Fault; indeterminate if the connection was lost: what lines without an id came to is not known then.
  void flush();
  // The exit status.
  int finish();

 private:
  void print(std::string_view result);

  const CommonOptions& common_;
  ServerLink& server_;
  WipingString batch_;             // lines without their ends
  std::vector<std::size_t> ends_;  // of each line in it
  std::uint64_t printed_ = 0;
  std::uint64_t recorded_ = 0;
  bool sent_ = false;
};

}  // namespace counterfoil::cmd

// The open readers of the workspaces' views, least recently used ones closed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>

#include "projections/query/view_reader.h"

namespace counterfoil::server {

// Thread safe. A reader stays usable while somebody holds it.
class ViewReaders {
 public:
  ViewReaders(std::filesystem::path folder, std::size_t openMax);
  ~ViewReaders();
  std::shared_ptr<query::ViewReader> of(WorkspaceNumber workspace);
  std::size_t open() const;
  const std::filesystem::path& folder() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::server

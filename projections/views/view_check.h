// Reading a view's position and digest, and checking its rows against them. Beside a running writer or not: everything here opens the file
// for reading only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "projections/database.h"
#include "projections/views/view_file.h"

namespace counterfoil::views {

// The position row: where the view stands, and its tables' sums in order of their names.
struct StoredPosition {
  WorkspaceNumber workspace;
  ViewPosition position;
  std::vector<RowSum> sums;

  std::vector<TableSum> tableSums() const;
  crypto::Digest digest() const { return viewDigest(tableSums()); }
};

// Throws Fault(viewDamaged) if there is none, or it was made by another version.
StoredPosition readPosition(Database& database);

struct ViewCheck {
  StoredPosition stored;
  std::vector<std::string> problems;  // static texts with table names and seqs; empty: the file is what it says
  bool sound() const { return problems.empty(); }
};

// Re-sums every row, hashes every entry's bytes again, and lets SQLite check its own structures and indexes. In one read transaction.
// Throws Fault(viewDamaged | notReady) if the file cannot be read to its end.
ViewCheck checkView(const std::filesystem::path& path, const std::string& vfs = {});

// The digest without what places an entry in its ledger (seq, leaf, recorded time): equal for two ledgers that recorded the same. Re-sums
// all rows.
crypto::Digest comparableDigest(const std::filesystem::path& path, const std::string& vfs = {});

}  // namespace counterfoil::views

#include "projections/views/view_place.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "ledger/core/bytes.h"
#include "ledger/core/merkle.h"
#include "projections/views/view_schema.h"

namespace counterfoil::views {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "counterfoil view place 2\n";
static_assert(kViewFormat == 2, "a place of an older form must not speak for views of this one: both numbers are raised together");

bool writeWhole(const fs::path& path, crypto::Bytes bytes) {
  const int file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) return false;
  bool done = true;
  for (std::size_t at = 0; done && at < bytes.size();) {
    const ssize_t written = ::write(file, bytes.data() + at, bytes.size() - at);
    done = written > 0;
    if (done) at += static_cast<std::size_t>(written);
  }
  done = done && ::fsync(file) == 0;
  ::close(file);
  return done;
}

}  // namespace

bool syncFile(const fs::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno == ENOENT;
  const bool done = ::fsync(file) == 0;
  ::close(file);
  return done;
}

bool savePlace(const fs::path& file, const ViewPlace& place) {
  std::vector<std::uint8_t> bytes(kMagic.begin(), kMagic.end());
  ByteWriter writer(bytes);
  writer.number(place.troubled.size());
  for (const WorkspaceNumber workspace : place.troubled) writer.number(workspace.value);
  std::vector<std::uint8_t> state;
  place.state.save(state);
  writer.text({reinterpret_cast<const char*>(state.data()), state.size()});
  const crypto::Digest check = crypto::sha256(bytes);
  bytes.insert(bytes.end(), check.begin(), check.end());
  const fs::path fresh = fs::path(file).concat(".new");
  return writeWhole(fresh, bytes) && ::rename(fresh.c_str(), file.c_str()) == 0;
}

std::optional<ViewPlace> loadPlace(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> raw((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const crypto::Bytes bytes(reinterpret_cast<const std::uint8_t*>(raw.data()), raw.size());
  if (bytes.size() < kMagic.size() + crypto::kDigestSize) return std::nullopt;
  const crypto::Bytes content = bytes.first(bytes.size() - crypto::kDigestSize);
  const crypto::Digest check = crypto::sha256(content);
  if (!std::equal(check.begin(), check.end(), bytes.end() - crypto::kDigestSize)) return std::nullopt;
  if (!std::equal(kMagic.begin(), kMagic.end(), content.begin())) return std::nullopt;
  ViewPlace place;
  ByteReader reader(content.subspan(kMagic.size()));
  for (std::uint64_t left = reader.count(1); left > 0; --left) place.troubled.push_back({reader.number()});
  const std::string_view fold = reader.text();
  const bool whole =
      reader.complete() && log::FoldState::load({reinterpret_cast<const std::uint8_t*>(fold.data()), fold.size()}, place.state);
  return whole ? std::optional(std::move(place)) : std::nullopt;
}

}  // namespace counterfoil::views

// The files an import reads: which ones a path stands for, and their text, uncompressed, within limits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/arena.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"

namespace counterfoil::importers {

struct InputLimits {
  std::uint64_t fileBytesMax = limits::kImportFileBytesMax;  // of a file as stored, and of its text
  std::uint64_t inflateRatioMax = limits::kImportInflateRatioMax;
  std::size_t filesMax = 1'000'000;
  std::size_t folderDepthMax = 64;
};

// Something in a folder that could not be looked at.
struct InputProblem {
  std::filesystem::path path;
  ErrorCode code{};
  std::string detail;
};

struct InputList {
  std::vector<std::filesystem::path> files;  // canonical, sorted, each once
  std::vector<InputProblem> problems;
  std::uint64_t otherNames = 0;  // files in folders whose name has none of the suffixes, or begins with a dot
  std::uint64_t links = 0;       // symbolic links in folders
  std::uint64_t special = 0;     // devices, pipes, sockets in folders
};

// What `inputs` stand for. A file that is named itself is taken whatever its name, and a link that is named itself is followed. Folders are
// walked to the bottom: files whose name ends in one of `suffixes` (upper or lower case) are taken. Links inside folders are never
// followed, so a walk neither leaves the folders that were named nor goes in circles. Faults: unreadableInput if an input itself does not
// exist, or is neither a file nor a folder; tooLarge for more than filesMax files.
InputList listInputs(std::span<const std::filesystem::path> inputs, std::span<const std::string_view> suffixes, const InputLimits& limits);

// The text of one file, from its beginning: as stored, or inflated if it begins like gzip (RFC 1952; several members are one text),
// whatever its name. Reads a piece at a time; every buffer, zlib's own included, is wiped. Not thread safe.
class InputStream {
 public:
  // Faults: unreadableInput (cannot be opened, no regular file), tooLarge (as stored).
  InputStream(const std::filesystem::path& file, const InputLimits& limits);
  ~InputStream();
  InputStream(const InputStream&) = delete;
  InputStream& operator=(const InputStream&) = delete;

  // The next piece, valid until the next call; empty at the end, which is reported only once the compressed form has proved whole. Faults:
  // unreadableInput (reading failed; the compressed form is cut off, damaged or followed by something else), tooLarge (the text, or its
  // ratio to the compressed form).
  std::span<const std::uint8_t> next();
  // Where in the text the piece that next() gives next begins.
  std::uint64_t offset() const { return offset_; }
  // True if the file is compressed; known after the first next().
  bool compressed() const { return inflater_ != nullptr; }
  // Goes on at byte `offset` of the text, not before offset(). Cheap for what is not compressed.
  void skipTo(std::uint64_t offset);

 private:
  struct Inflater;

  std::span<const std::uint8_t> readStored();
  std::span<const std::uint8_t> nextInflated();
  void afterMember();
  void checkText(std::uint64_t more) const;

  InputLimits limits_;
  int descriptor_ = -1;
  bool begun_ = false;
  std::uint64_t offset_ = 0;
  std::uint64_t stored_ = 0;  // bytes read from the file
  std::uint64_t dropTo_ = 0;  // text before this byte is not given out
  crypto::WipingVector input_;
  crypto::WipingVector output_;
  std::unique_ptr<Inflater> inflater_;
};

}  // namespace counterfoil::importers

#include "ledger/importers/input_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>
#include <unordered_set>

namespace counterfoil::importers {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPieceBytes = 256 * 1024;
// A short text may well compress better than the ratio allows; below this nobody is harmed.
constexpr std::uint64_t kRatioFreeBytes = 1024 * 1024;
constexpr std::string_view kReadable = "name a file or folder that exists and that this user may read";

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool endsWithAny(const std::string& name, std::span<const std::string_view> suffixes) {
  return std::any_of(suffixes.begin(), suffixes.end(), [&](std::string_view suffix) {
    return name.size() > suffix.size() && std::equal(suffix.begin(), suffix.end(), name.end() - static_cast<std::ptrdiff_t>(suffix.size()),
                                                     [](char expected, char found) { return expected == lower(found); });
  });
}

class Walk {
 public:
  Walk(std::span<const std::string_view> suffixes, const InputLimits& limits) : suffixes_(suffixes), limits_(limits) {}

  void addFile(fs::path file) {
    if (list_.files.size() >= limits_.filesMax) {
      throw Fault(ErrorCode::tooLarge, "more than " + std::to_string(limits_.filesMax) + " files", "import one folder after the other");
    }
    list_.files.push_back(std::move(file));
  }

  void addFolder(const fs::path& root) {
    std::vector<Folder> open{{root, 0}};
    while (!open.empty()) {
      const Folder folder = std::move(open.back());
      open.pop_back();
      if (visited_.insert(folder.path.native()).second) read(folder, open);
    }
  }

  InputList finish() {
    std::sort(list_.files.begin(), list_.files.end());
    list_.files.erase(std::unique(list_.files.begin(), list_.files.end()), list_.files.end());
    return std::move(list_);
  }

 private:
  struct Folder {
    fs::path path;
    std::size_t depth;
  };

  void read(const Folder& folder, std::vector<Folder>& open) {
    std::error_code error;
    fs::directory_iterator item(folder.path, error);
    for (; !error && item != fs::directory_iterator(); item.increment(error)) {
      std::error_code itemError;
      const fs::file_status status = item->symlink_status(itemError);
      if (itemError) {
        list_.problems.push_back({item->path(), ErrorCode::unreadableInput, "cannot be looked at"});
      } else if (fs::is_symlink(status)) {
        ++list_.links;
      } else if (fs::is_directory(status)) {
        enter({item->path(), folder.depth + 1}, open);
      } else if (!fs::is_regular_file(status)) {
        ++list_.special;
      } else if (const std::string name = item->path().filename().native(); name.starts_with('.') || !endsWithAny(name, suffixes_)) {
        ++list_.otherNames;
      } else {
        addFile(item->path());
      }
    }
    if (error) list_.problems.push_back({folder.path, ErrorCode::unreadableInput, "the folder cannot be read"});
  }

  void enter(Folder folder, std::vector<Folder>& open) {
    if (folder.depth > limits_.folderDepthMax) {
      list_.problems.push_back({folder.path, ErrorCode::tooDeep, "too many folders in each other"});
    } else {
      open.push_back(std::move(folder));
    }
  }

  std::span<const std::string_view> suffixes_;
  const InputLimits& limits_;
  InputList list_;
  std::unordered_set<std::string> visited_;
};

}  // namespace

InputList listInputs(std::span<const fs::path> inputs, std::span<const std::string_view> suffixes, const InputLimits& limits) {
  Walk walk(suffixes, limits);
  for (const fs::path& input : inputs) {
    std::error_code error;
    const fs::path real = fs::canonical(input, error);
    const fs::file_status status = error ? fs::file_status() : fs::status(real, error);
    if (error) throw Fault(ErrorCode::unreadableInput, input.string() + " cannot be found or entered", std::string(kReadable));
    if (fs::is_directory(status)) {
      walk.addFolder(real);
    } else if (fs::is_regular_file(status)) {
      walk.addFile(real);
    } else {
      throw Fault(ErrorCode::unreadableInput, input.string() + " is neither a file nor a folder",
                  "an import reads its input twice: store it in a file first");
    }
  }
  return walk.finish();
}

// zlib with its window (32 KiB of text) in memory that is wiped.
struct InputStream::Inflater {
  z_stream stream{};
  bool memberOpen = true;
  bool finished = false;
  std::uint64_t members = 1;

  Inflater() {
    stream.zalloc = &allocate;
    stream.zfree = &release;
    constexpr int kGzipOnly = 15 + 16;
    if (inflateInit2(&stream, kGzipOnly) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // The size stands before what zlib gets, so that it can be wiped.
  static constexpr std::size_t kHead = alignof(std::max_align_t);
  static void* allocate(void*, unsigned items, unsigned size) {
    const std::size_t bytes = kHead + std::size_t{items} * size;
    auto* const block = static_cast<std::uint8_t*>(::operator new(bytes, std::nothrow));
    if (block == nullptr) return nullptr;
    std::memcpy(block, &bytes, sizeof(bytes));
    return block + kHead;
  }
  static void release(void*, void* memory) {
    std::uint8_t* const block = static_cast<std::uint8_t*>(memory) - kHead;
    std::size_t bytes = 0;
    std::memcpy(&bytes, block, sizeof(bytes));
    crypto::wipe(block, bytes);
    ::operator delete(block);
  }
};

InputStream::InputStream(const fs::path& file, const InputLimits& limits) : limits_(limits) {
  // Not blocking: a pipe that took a file's place must not hold the import. No links: the list of files has none.
  descriptor_ = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
  if (descriptor_ < 0) throw Fault(ErrorCode::unreadableInput, "the file cannot be opened", std::string(kReadable));
  struct stat facts {};
  const bool regular = ::fstat(descriptor_, &facts) == 0 && S_ISREG(facts.st_mode);
  const bool fits = regular && static_cast<std::uint64_t>(facts.st_size) <= limits_.fileBytesMax;
  if (!fits) {
    ::close(descriptor_);
    if (!regular) throw Fault(ErrorCode::unreadableInput, "it is no regular file", "store it in a file first");
    throw Fault(ErrorCode::tooLarge, "the file has more than " + std::to_string(limits_.fileBytesMax) + " bytes", "split it");
  }
  input_.resize(kPieceBytes);
}

InputStream::~InputStream() {
  ::close(descriptor_);
}

std::span<const std::uint8_t> InputStream::readStored() {
  ssize_t count = 0;
  do {
    count = ::read(descriptor_, input_.data(), input_.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) throw Fault(ErrorCode::unreadableInput, "reading the file failed", "check the disk, then import again");
  stored_ += static_cast<std::uint64_t>(count);
  if (stored_ > limits_.fileBytesMax) {
    throw Fault(ErrorCode::tooLarge, "the file has more than " + std::to_string(limits_.fileBytesMax) + " bytes", "split it");
  }
  return {input_.data(), static_cast<std::size_t>(count)};
}

std::span<const std::uint8_t> InputStream::next() {
  for (;;) {
    std::span<const std::uint8_t> piece;
    if (!begun_) {
      begun_ = true;
      piece = readStored();
      if (piece.size() >= 2 && piece[0] == 0x1f && piece[1] == 0x8b) {
        inflater_ = std::make_unique<Inflater>();
        inflater_->stream.next_in = const_cast<std::uint8_t*>(piece.data());
        inflater_->stream.avail_in = static_cast<unsigned>(piece.size());
        output_.resize(kPieceBytes);
        piece = nextInflated();
      }
    } else {
      piece = inflater_ != nullptr ? nextInflated() : readStored();
    }
    const std::uint64_t before = offset_;
    offset_ += piece.size();
    if (piece.empty() || offset_ <= dropTo_) {
      if (piece.empty()) return piece;
      continue;
    }
    return piece.subspan(dropTo_ > before ? static_cast<std::size_t>(dropTo_ - before) : 0);
  }
}

std::span<const std::uint8_t> InputStream::nextInflated() {
  Inflater& inflater = *inflater_;
  z_stream& stream = inflater.stream;
  stream.next_out = output_.data();
  stream.avail_out = static_cast<unsigned>(output_.size());
  while (!inflater.finished && stream.avail_out > 0) {
    if (stream.avail_in == 0) {
      const auto more = readStored();
      if (more.empty()) {
        if (inflater.memberOpen) throw Fault(ErrorCode::unreadableInput, "the compressed file is cut off", "fetch it again");
        inflater.finished = true;
        break;
      }
      stream.next_in = const_cast<std::uint8_t*>(more.data());
      stream.avail_in = static_cast<unsigned>(more.size());
    }
    if (!inflater.memberOpen) {
      afterMember();
      continue;
    }
    const int result = ::inflate(&stream, Z_NO_FLUSH);
    checkText(output_.size() - stream.avail_out);
    if (result == Z_STREAM_END) {
      inflater.memberOpen = false;
    } else if (result == Z_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      throw Fault(ErrorCode::unreadableInput, "the compressed file is damaged", "fetch it again");
    }
  }
  return {output_.data(), output_.size() - stream.avail_out};
}

// Between members: another one, or zeros that fill up a block of some medium (gzip(1) ignores them too).
void InputStream::afterMember() {
  z_stream& stream = inflater_->stream;
  if (*stream.next_in != 0) {
    if (inflateReset(&stream) != Z_OK) throw std::bad_alloc();
    inflater_->memberOpen = true;
    return;
  }
  while (stream.avail_in > 0 && *stream.next_in == 0) {
    ++stream.next_in;
    --stream.avail_in;
  }
  if (stream.avail_in > 0) throw Fault(ErrorCode::unreadableInput, "the compressed file is followed by something else", "fetch it again");
}

void InputStream::checkText(std::uint64_t more) const {
  const std::uint64_t text = offset_ + more;
  if (text > limits_.fileBytesMax) {
    throw Fault(ErrorCode::tooLarge, "the uncompressed text has more than " + std::to_string(limits_.fileBytesMax) + " bytes", "split it");
  }
  const std::uint64_t used = stored_ - inflater_->stream.avail_in;
  if (text > kRatioFreeBytes && text / limits_.inflateRatioMax > used) {
    throw Fault(ErrorCode::tooLarge, "the file grows to more than " + std::to_string(limits_.inflateRatioMax) + " times its size",
                "no audit log compresses that well; look at it before you import it");
  }
}

void InputStream::skipTo(std::uint64_t offset) {
  dropTo_ = offset;
  if (!begun_ || inflater_ != nullptr || offset <= offset_) return;
  if (::lseek(descriptor_, static_cast<off_t>(offset), SEEK_SET) < 0) {
    throw Fault(ErrorCode::unreadableInput, "reading the file failed", "check the disk, then import again");
  }
  stored_ = offset;
  offset_ = offset;
}

}  // namespace counterfoil::importers

#include "cmd/event_stream.h"

#include "ledger/core/outcome.h"

namespace counterfoil::cmd {
namespace {

constexpr std::size_t kEventBytesMax = 1024 * 1024;

}  // namespace

bool EventStream::feed(std::string_view bytes, const std::function<bool(const ServerEvent&)>& event) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    line_ += bytes.substr(0, end);
    if (line_.size() + event_.data.size() > kEventBytesMax) throw Fault(ErrorCode::tooLarge, "the server sends an event over 1 MiB");
    if (end == std::string_view::npos) return true;
    bytes.remove_prefix(end + 1);
    if (line_.ends_with('\r')) line_.pop_back();
    if (line_.empty()) {
      const bool go = !hasData_ || event(event_);
      event_ = {};
      hasData_ = false;
      if (!go) return false;
      continue;
    }
    const std::size_t colon = std::min(line_.find(':'), line_.size());
    std::string_view value = std::string_view(line_).substr(std::min(colon + 1, line_.size()));
    if (value.starts_with(' ')) value.remove_prefix(1);
    const std::string_view name = std::string_view(line_).substr(0, colon);
    if (name == "id") event_.id = value;
    if (name == "data") {
      if (hasData_) event_.data += '\n';
      event_.data += value;
      hasData_ = true;
    }
    line_.clear();
  }
  return true;
}

}  // namespace counterfoil::cmd

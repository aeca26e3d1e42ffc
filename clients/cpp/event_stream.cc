#include "clients/cpp/event_stream.h"

#include <algorithm>
#include <utility>

#include "clients/cpp/error.h"

namespace counterfoil::client {
namespace {

constexpr std::size_t kEventBytesMax = 1024 * 1024;

}  // namespace

bool EventStream::feed(std::string_view bytes, const std::function<bool(const ServerEvent&)>& event) {
  while (!bytes.empty()) {
    if (std::exchange(afterReturn_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const std::size_t end = bytes.find_first_of("\r\n");
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + part.size() + event_.data.size() > kEventBytesMax) {
      throw Error(kTooLarge, "the server sends an event over 1 MiB", "is it a Counterfoil server that answers at this URL?");
    }
    line_ += part;
    if (end == std::string_view::npos) return true;
    afterReturn_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    const bool go = takeLine(event);
    line_.clear();
    if (!go) return false;
  }
  return true;
}

bool EventStream::takeLine(const std::function<bool(const ServerEvent&)>& event) {
  std::string_view line = line_;
  if (std::exchange(first_, false) && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  if (line.empty()) {
    if (event_.name.empty()) event_.name = "message";
    const bool go = !std::exchange(hasData_, false) || event(event_);
    event_.name.clear();
    event_.data.clear();
    return go;
  }
  const std::size_t colon = std::min(line.find(':'), line.size());
  const std::string_view name = line.substr(0, colon);
  std::string_view value = line.substr(std::min(colon + 1, line.size()));
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "id" && value.find('\0') == std::string_view::npos) event_.id = value;
  if (name == "event") event_.name = value;
  if (name == "data") {
    if (hasData_) event_.data += '\n';
    event_.data += value;
    hasData_ = true;
  }
  return true;
}

}  // namespace counterfoil::client

// Server-sent events (WHATWG HTML 9.2) as they arrive, whatever pieces they come in.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace counterfoil::client {

struct ServerEvent {
  std::string id;    // the last one that was sent, also with an earlier event; empty: none yet
  std::string name;  // "message" if it was not named
  std::string data;
};

// Lines may end in LF, CR or CRLF; comments, unknown fields and events without data are passed over.
class EventStream {
 public:
  // Hands on each event that is complete. False when `event` has returned false: the rest of `bytes` is dropped. Throws Error(too_large)
  // for a line or an event past 1 MiB, and what `event` throws.
  bool feed(std::string_view bytes, const std::function<bool(const ServerEvent&)>& event);

 private:
  bool takeLine(const std::function<bool(const ServerEvent&)>& event);

  std::string line_;
  ServerEvent event_;
  bool hasData_ = false;
  bool afterReturn_ = false;  // a line feed that comes next belongs to the line that has ended
  bool first_ = true;         // no line has ended yet
};

}  // namespace counterfoil::client

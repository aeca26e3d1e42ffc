// Server-sent events as they arrive, whatever pieces they come in.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace counterfoil::cmd {

struct ServerEvent {
  std::string id;
  std::string data;
};

class EventStream {
 public:
  // Throws Fault(tooLarge) for an event past 1 MiB, and what `event` throws; false when it has returned false.
  bool feed(std::string_view bytes, const std::function<bool(const ServerEvent&)>& event);

 private:
  std::string line_;
  ServerEvent event_;
  bool hasData_ = false;
};

}  // namespace counterfoil::cmd

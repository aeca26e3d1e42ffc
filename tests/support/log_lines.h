// What this process writes into its log while this lives, instead of standard error. For programs that link spdlog.
#pragma once

#include <spdlog/sinks/sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace counterfoil::test {

class LogLines {
 public:
  LogLines() : before_(spdlog::default_logger()) { spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", sink_)); }
  ~LogLines() { spdlog::set_default_logger(before_); }
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;

  // How many lines so far hold `text`.
  std::size_t with(std::string_view text) const {
    const std::lock_guard guard(sink_->mutex);
    const auto holds = [&](const std::string& line) { return line.find(text) != std::string::npos; };
    return static_cast<std::size_t>(std::count_if(sink_->lines.begin(), sink_->lines.end(), holds));
  }

 private:
  struct Sink final : spdlog::sinks::sink {
    void log(const spdlog::details::log_msg& message) override {
      const std::lock_guard guard(mutex);
      lines.emplace_back(message.payload.data(), message.payload.size());
    }
    void flush() override {}
    void set_pattern(const std::string&) override {}
    void set_formatter(std::unique_ptr<spdlog::formatter>) override {}
    mutable std::mutex mutex;
    std::vector<std::string> lines;
  };
  std::shared_ptr<Sink> sink_ = std::make_shared<Sink>();
  std::shared_ptr<spdlog::logger> before_;
};

}  // namespace counterfoil::test

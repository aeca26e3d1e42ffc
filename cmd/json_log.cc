#include "cmd/json_log.h"

#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <string>

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"

namespace counterfoil::cmd {
namespace {

class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    std::string line;
    JsonObject object(line);
    const auto time = std::chrono::duration_cast<std::chrono::nanoseconds>(message.time.time_since_epoch()).count();
    object.time("time", Timestamp{time});
    const auto level = spdlog::level::to_string_view(message.level);
    object.text("level", {level.data(), level.size()});
    object.text("message", {message.payload.data(), message.payload.size()});
    object.end();
    line += '\n';
    out.append(line.data(), line.data() + line.size());
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<JsonFormatter>(); }
};

}  // namespace

void startJsonLog() {
  auto logger = std::make_shared<spdlog::logger>("counterfoil", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(std::make_unique<JsonFormatter>());
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace counterfoil::cmd

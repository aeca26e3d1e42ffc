// `tail`: entries as they are recorded, from the server's stream or, without a server, from the folder's views.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <optional>
#include <thread>

#include "cmd/event_stream.h"
#include "cmd/output.h"
#include "cmd/read_verbs.h"
#include "cmd/record_reader.h"
#include "ledger/core/limits.h"

namespace counterfoil::cmd {
namespace {

constexpr std::chrono::milliseconds kFolderPause{250};
constexpr std::chrono::milliseconds kAgainPause{500};
constexpr std::chrono::seconds kUnreachable{60};  // so long a server may be away before tail gives up
constexpr unsigned kPage = 200;

struct TailOptions {
  std::vector<std::string> kinds;
  bool fromStart = false;
  std::optional<std::uint64_t> after;
};

class Tail {
 public:
  Tail(const CommonOptions& common, const TailOptions& options) : common_(common), options_(options), columns_(entryColumns()) {
    query::Filters filters;
    filters.kinds = options.kinds;
    kinds_ = query::expandKinds(filters);
    if (options.fromStart) next_ = 0;
    if (options.after) next_ = *options.after + 1;
  }

  // Until the reader of the output goes, or a fault ends it; a signal ends the program.
  int run() {
    while (std::cout) {
      try {
        if (const auto link = ServerLink::find(common_)) {
          followServer(*link);
        } else {
          followFolder();
        }
      } catch (const Fault& fault) {
        // What went well once is tried again for a while: a server may be starting anew.
        const bool passing = factsOf(fault.code()).exitStatus == factsOf(ErrorCode::notReady).exitStatus;
        if (!passing || !heard_ || std::chrono::steady_clock::now() - *heard_ > kUnreachable) throw;
      }
      if (std::cout) std::this_thread::sleep_for(kAgainPause);
    }
    return 0;
  }

 private:
  bool print(const boost::json::object& entry, std::string_view text) {
    if (common_.json) {
      cmd::print(text);
    } else {
      std::string line;
      for (const std::string& cell : columns_.cells(entry)) line += (line.empty() ? "" : "\t") + visible(cell);
      cmd::print(line);
    }
    return static_cast<bool>(std::cout);
  }

  bool show(std::string_view text) {
    boost::json::error_code failed;
    const boost::json::value entry = boost::json::parse(text, failed);
    const boost::json::value* seq = !failed && entry.is_object() ? entry.get_object().if_contains("seq") : nullptr;
    if (seq == nullptr || !seq->is_int64()) {
      throw Fault(ErrorCode::notReady, "what answers at this URL is no server of this version", "look at the URL");
    }
    next_ = static_cast<std::uint64_t>(seq->get_int64()) + 1;
    return print(entry.get_object(), boost::json::serialize(entry));
  }

  // ---- a server ----

  // The end of the record, or its first entry, which a stream cannot begin with.
  void begin(ServerLink& link) {
    HttpRequest request;
    if (!next_) {
      request.target = link.target("");
      boost::json::error_code failed;
      const boost::json::value workspace = boost::json::parse(link.send(request).body, failed);
      const boost::json::value* entries = !failed && workspace.is_object() ? workspace.get_object().if_contains("entries") : nullptr;
      if (entries == nullptr || !entries->is_int64()) {
        throw Fault(ErrorCode::notReady, "what answers at this URL is no server of this version", "look at the URL");
      }
      next_ = static_cast<std::uint64_t>(entries->get_int64());
    }
    if (*next_ > 0) return;
    request.target = link.target("/entries/0?wait=0");
    const std::string first = link.send(request).body;
    boost::json::error_code failed;
    const boost::json::value entry = boost::json::parse(first, failed);
    const boost::json::value* kind = !failed && entry.is_object() ? entry.get_object().if_contains("kind") : nullptr;
    const bool wanted = kinds_.empty() || (kind != nullptr && kind->is_string() &&
                                           std::find(kinds_.begin(), kinds_.end(), std::string_view(kind->get_string())) != kinds_.end());
    next_ = 1;
    if (wanted) show(first);
  }

  void followServer(ServerLink& link) {
    begin(link);
    HttpRequest request;
    std::vector<query::Parameter> parameters;
    for (const std::string& kind : options_.kinds) parameters.emplace_back("kind", kind);
    request.target = link.target("/stream") + queryText(parameters);
    request.accept = "text/event-stream";
    request.headers.emplace_back("Last-Event-ID", std::to_string(*next_ - 1));
    EventStream events;
    const auto event = [&](const ServerEvent& arrived) { return show(arrived.data); };
    link.stream(request, [&](std::string_view bytes) {
      heard_ = std::chrono::steady_clock::now();
      return events.feed(bytes, event);
    });
  }

  // ---- a folder ----

  // What changes with every commit of the log.
  std::string fingerprint() const {
    std::string result;
    for (const char* name : {"log.db", "log.db-wal"}) {
      std::error_code ignored;
      const std::filesystem::path path = std::filesystem::path(common_.data) / "log" / name;
      result += std::to_string(std::filesystem::file_size(path, ignored)) + " ";
      result += std::to_string(std::filesystem::last_write_time(path, ignored).time_since_epoch().count()) + " ";
    }
    return result;
  }

  // Opens the folder for each look: its views stay everybody's.
  void look() {
    ViewSession views(common_);
    query::Filters newest;
    newest.limit = 1;
    const auto page = [&](const query::Filters& filters) {
      return boost::json::parse(views.reader().list(query::ListKind::entries, filters, views.resolver())).as_object();
    };
    const boost::json::object last = page(newest);
    const boost::json::array& items = last.at("items").as_array();
    if (items.empty()) return;
    const std::int64_t end = items.front().as_object().at("seq").as_int64();
    if (!next_) next_ = static_cast<std::uint64_t>(end) + 1;
    if (*next_ > static_cast<std::uint64_t>(end)) return;
    query::Filters filters;
    filters.kinds = options_.kinds;
    filters.order = query::Order::ascending;
    filters.limit = kPage;
    query::Cursor cursor;
    cursor.key = static_cast<std::int64_t>(*next_) - 1;
    cursor.pinned = end;
    filters.after = query::encodeCursor(query::ListKind::entries, filters, cursor);
    while (!filters.after.empty()) {
      const boost::json::object found = page(filters);
      for (const boost::json::value& entry : found.at("items").as_array()) {
        if (!show(boost::json::serialize(entry))) return;
      }
      filters.after = found.at("next").is_null() ? std::string() : std::string(found.at("next").as_string());
    }
    next_ = static_cast<std::uint64_t>(end) + 1;
  }

  // Until a server takes over.
  void followFolder() {
    std::string seen;
    while (std::cout) {
      const std::string now = fingerprint();
      if (now != seen) look();
      heard_ = std::chrono::steady_clock::now();
      seen = now;
      std::this_thread::sleep_for(kFolderPause);
      if (runningServer(common_.data)) return;
    }
  }

  const CommonOptions common_;
  const TailOptions options_;
  const ListColumns columns_;
  std::vector<std::string> kinds_;  // sorted or not; empty: all
  std::optional<std::uint64_t> next_;
  std::optional<std::chrono::steady_clock::time_point> heard_;
};

}  // namespace

void addTail(CLI::App& app, Program& program) {
  CLI::App* verb = app.add_subcommand("tail", "Entries as they are recorded, until interrupted");
  addCommonFlags(*verb, program.common, true);
  auto options = std::make_shared<TailOptions>();
  verb->add_option("--kind", options->kinds, "Kind, or the beginning of some as in 'lease.*'; repeatable");
  CLI::Option* start =
      verb->add_flag("--from-start", options->fromStart, "Everything on the record first; without it, what comes from now on");
  verb->add_option("--after", options->after, "Those behind this seq first")
      ->check(CLI::Range(std::uint64_t{0}, limits::kJsonIntegerMax))
      ->excludes(start);
  verb->callback([&program, options] { program.run = [&program, options] { return Tail(program.common, *options).run(); }; });
}

}  // namespace counterfoil::cmd

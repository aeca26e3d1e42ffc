// `tail`: entries as they are recorded, from the server's stream or, without a server, from the folder's views.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <optional>
#include <thread>

#include "clients/cpp/entry_tail.h"
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
  Tail(const CommonOptions& common, const TailOptions& options)
      : common_(common), options_(options), columns_(entryColumns()), tail_(options.kinds, firstOf(options)) {
    query::Filters filters;
    filters.kinds = options.kinds;
    static_cast<void>(query::expandKinds(filters));  // names that are none are refused before anything is asked
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
  static std::optional<std::uint64_t> firstOf(const TailOptions& options) {
    if (options.fromStart) return 0;
    return options.after ? std::optional(*options.after + 1) : std::nullopt;
  }

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

  bool show(const boost::json::object& entry) { return print(entry, boost::json::serialize(entry)); }

  void followServer(ServerLink& link) {
    const auto entry = [this](const client::Entry& arrived) { return show(arrived.json); };
    const auto heard = [this] { heard_ = std::chrono::steady_clock::now(); };
    withFaults([&] { tail_.follow(link, link.target(""), entry, heard, {}); });
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
    if (!tail_.next()) tail_.setNext(static_cast<std::uint64_t>(end) + 1);
    if (*tail_.next() > static_cast<std::uint64_t>(end)) return;
    query::Filters filters;
    filters.kinds = options_.kinds;
    filters.order = query::Order::ascending;
    filters.limit = kPage;
    query::Cursor cursor;
    cursor.key = static_cast<std::int64_t>(*tail_.next()) - 1;
    cursor.pinned = end;
    filters.after = query::encodeCursor(query::ListKind::entries, filters, cursor);
    while (!filters.after.empty()) {
      const boost::json::object found = page(filters);
      for (const boost::json::value& entry : found.at("items").as_array()) {
        tail_.setNext(static_cast<std::uint64_t>(entry.as_object().at("seq").as_int64()) + 1);
        if (!show(entry.as_object())) return;
      }
      filters.after = found.at("next").is_null() ? std::string() : std::string(found.at("next").as_string());
    }
    tail_.setNext(static_cast<std::uint64_t>(end) + 1);
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
  client::EntryTail tail_;
  std::optional<std::chrono::steady_clock::time_point> heard_;
};

}  // namespace

void addTail(Verb app, Program& program) {
  Verb verb = app.verb("tail", "Entries as they are recorded, until interrupted");
  addCommonFlags(verb, program.common, true);
  auto options = std::make_shared<TailOptions>();
  verb.option("--kind", options->kinds, "Kind, or the beginning of some as in 'lease.*'; repeatable");
  const Option start = verb.flag("--from-start", options->fromStart, "Everything on the record first; without it, what comes from now on");
  verb.option("--after", options->after, "Those behind this seq first").within(std::uint64_t{0}, limits::kJsonIntegerMax).excludes(start);
  verb.whenGiven([&program, options] { program.run = [&program, options] { return Tail(program.common, *options).run(); }; });
}

}  // namespace counterfoil::cmd

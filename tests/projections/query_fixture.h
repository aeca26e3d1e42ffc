// A workspace whose entries are made by the ledger's own rules, with its view on disk, for tests of queries.
#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "projections/query/view_reader.h"
#include "projections/views/view_file.h"
#include "tests/support/lease_fixture.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::test {

inline constexpr WorkspaceNumber kQueryWorkspace{7};

// What an entry of any kind is made of besides the fields of its kind.
struct EntryCommon {
  PrincipalKind actorKind = PrincipalKind::agent;
  std::string actor = {};
  std::string run = {};
  std::string host = {};
  std::string sandbox = {};
  Timestamp occurredAt = {};  // zero: when it is recorded
};

class QueryDesk : public Desk {
 public:
  explicit QueryDesk(bool withPolicy = true) : Desk(withPolicy, kQueryWorkspace) {}

  void event(Kind kind, const EntryCommon& common, const std::function<void(Arena&, StructValue& body)>& fill) {
    RedactedEvent event = RedactedEvent::ofLedger(kind, freshId());
    Arena& arena = event.arena();
    event.common().at(Field::actor) = {};
    if (!common.actor.empty()) setPrincipal(arena, event.common(), Field::actor, {common.actorKind, common.actor});
    const auto text = [&](Field field, const std::string& value) {
      if (!value.empty()) event.common().setText(arena, field, value);
    };
    text(Field::run, common.run);
    text(Field::host, common.host);
    text(Field::sandbox, common.sandbox);
    if (common.occurredAt.nanoseconds != 0) event.common().setTime(Field::occurredAt, common.occurredAt);
    fill(arena, event.body());
    record(std::move(event));
  }
  void used(const EntryCommon& common, const std::vector<std::string>& resources, std::string_view operation = "GET") {
    event(Kind::toolInvoked, common, [&](Arena& arena, StructValue& body) {
      body.setText(arena, Field::tool, "git");
      body.setText(arena, Field::operation, operation);
      const std::vector<std::string_view> views(resources.begin(), resources.end());
      body.setTexts(arena, Field::resources, views);
    });
  }

  std::vector<std::uint8_t> bytesOf(std::size_t seq) const { return encodeCanonical(at(seq).view.entry); }

  // Folds what was recorded since the last time into the view.
  void project() {
    views::makeViewFolder(views());
    const auto file = views::ViewFile::open({views(), {}, 0}, kQueryWorkspace);
    for (std::size_t seq = file->position().size; seq < size(); ++seq) {
      const ReadBack entry = at(seq);
      const std::vector<std::uint8_t> bytes = bytesOf(seq);
      if (withheld == seq) {
        file->applyWithheld(entry.view.seq, entry.view.previous, leafHash(bytes), Position{seq});
      } else {
        file->apply(entry.view, leafHash(bytes), bytes, Position{seq});
      }
    }
    file->commit();
  }
  std::filesystem::path views() const { return folder_.path() / "views"; }
  std::filesystem::path viewFile() const { return views::viewPath(views(), kQueryWorkspace); }

  std::size_t withheld = static_cast<std::size_t>(-1);

 private:
  TemporaryFolder folder_;
};

// One page as it was answered.
struct Answered {
  boost::json::object body;
  const boost::json::array& items() const { return body.at("items").as_array(); }
  std::string next() const { return body.at("next").is_null() ? std::string() : std::string(body.at("next").as_string()); }
  std::vector<std::uint64_t> numbers(const char* member) const {
    std::vector<std::uint64_t> result;
    for (const auto& item : items()) result.push_back(item.as_object().at(member).to_number<std::uint64_t>());
    return result;
  }
  std::vector<std::string> texts(const char* member) const {
    std::vector<std::string> result;
    for (const auto& item : items()) result.emplace_back(item.as_object().at(member).as_string());
    return result;
  }
};

using Parameters = std::vector<query::Parameter>;

inline Answered ask(query::ViewReader& reader, query::ListKind list, const Parameters& parameters,
                    const query::PrincipalResolver& resolver = {}) {
  return {boost::json::parse(reader.list(list, query::parseFilters(list, parameters), resolver)).as_object()};
}

// All pages, one after another.
inline std::vector<std::uint64_t> askAll(query::ViewReader& reader, query::ListKind list, const Parameters& parameters,
                                         const char* member = "seq") {
  std::vector<std::uint64_t> all;
  Parameters with = parameters;
  for (int pages = 0;; ++pages) {
    const Answered page = ask(reader, list, with);
    for (const std::uint64_t number : page.numbers(member)) all.push_back(number);
    if (page.next().empty() || pages > 10'000) return all;
    with = parameters;
    with.emplace_back("after", page.next());
  }
}

// The code of the Fault that `what` throws; ErrorCode::internal with a failure if there is none.
template <class What>
Fault faultOf(What&& what) {
  try {
    what();
  } catch (const Fault& fault) {
    return fault;
  }
  ADD_FAILURE() << "no fault";
  return {ErrorCode::internal, "none"};
}

}  // namespace counterfoil::test

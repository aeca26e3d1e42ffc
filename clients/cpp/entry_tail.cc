#include "clients/cpp/entry_tail.h"

#include "clients/cpp/answers.h"
#include "clients/cpp/event_stream.h"
#include "clients/cpp/url.h"

namespace counterfoil::client {
namespace {

std::string kindsQuery(const std::vector<std::string>& kinds, char first) {
  std::string text;
  for (const std::string& kind : kinds) text += (text.empty() ? first : '&') + ("kind=" + percentEncoded(kind));
  return text;
}

}  // namespace

// The end of the record, or its first entry, which a stream cannot begin with: it goes on behind an entry.
bool EntryTail::begin(Requests& requests, const std::string& workspace, const std::function<bool(const Entry&)>& entry) {
  HttpRequest request;
  if (!next_) {
    request.target = workspace;
    const boost::json::object head = objectIn(requests.send(request).body);
    next_ = numberAt(head, "entries");
    if (!next_) throw foreignAnswer();
  }
  if (*next_ > 0) return true;
  request.target = workspace + "/entries?order=asc&limit=1&wait=0" + kindsQuery(kinds_, '&');
  const std::vector<Entry> first = entriesIn(objectIn(requests.send(request).body));
  next_ = 1;
  return first.empty() || first.front().seq > 0 || entry(first.front());
}

bool EntryTail::follow(Requests& requests, const std::string& workspace, const std::function<bool(const Entry&)>& entry,
                       const std::function<void()>& heard, const std::stop_token& stop) {
  if (!begin(requests, workspace, entry)) return false;
  HttpRequest request;
  request.target = workspace + "/stream" + kindsQuery(kinds_, '?');
  request.accept = "text/event-stream";
  request.headers.emplace_back("Last-Event-ID", std::to_string(*next_ - 1));
  EventStream events;
  bool wanted = true;
  const auto event = [&](const ServerEvent& arrived) {
    const Entry shown = entryIn(objectIn(arrived.data));
    if (shown.seq < *next_) return true;  // of an earlier connection
    next_ = shown.seq + 1;
    wanted = entry(shown);
    return wanted;
  };
  const auto chunk = [&](std::string_view bytes) {
    if (heard) heard();
    return events.feed(bytes, event) && !stop.stop_requested();
  };
  requests.stream(request, chunk, stop);
  return wanted;
}

}  // namespace counterfoil::client

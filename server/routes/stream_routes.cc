#include "server/routes/stream_routes.h"

#include <algorithm>

#include "server/await.h"
#include "server/metrics.h"
#include "server/problem.h"
#include "server/routes/read_support.h"
#include "server/stream_hub.h"

namespace counterfoil::server {
namespace {

// A filtered listener further behind than this asks the view's index instead of looking at every entry.
constexpr std::uint64_t kFarBehind = 200;

// What every listener of these routes shares.
struct Streams {
  Service& service;
  StreamOptions options;
  std::shared_ptr<StreamCache> cache;
};

struct StreamListener {
  WorkspaceNumber workspace;
  std::uint64_t next = 0;          // the seq to look at
  std::vector<std::string> kinds;  // sorted; empty: all
  Timestamp began;                 // wall time

  bool wants(const StreamEntry& entry) const { return kinds.empty() || std::binary_search(kinds.begin(), kinds.end(), entry.kind); }
};

void appendEvent(const StreamEntry& entry, std::string& out) {
  out += "id: " + std::to_string(entry.seq) + "\nevent: entry\ndata: ";
  out += entry.json;
  out += "\n\n";
}

// Milliseconds until the token ends, 0 if it has ended or was revoked.
std::int64_t tokenLeft(const Streams& streams, const Caller& caller, const StreamListener& listener) {
  const std::int64_t left = (caller.expiresAt.nanoseconds - streams.service.clock.wall().nanoseconds) / kNanosecondsPerMillisecond;
  // Earlier revocations were looked at when the stream began, so only those that reach beyond its beginning count.
  if (left <= 0 || streams.service.authenticator.isRevoked(caller.tokenId, caller.subject, listener.began)) return 0;
  return left;
}

asio::awaitable<StreamPage> nextPage(const Streams& streams, const StreamListener& listener, std::uint64_t size) {
  if (auto page = streams.cache->cached(listener.workspace, listener.next)) co_return std::move(*page);
  const auto read = [&] {
    if (!listener.kinds.empty() && size - listener.next > kFarBehind) {
      return streams.cache->readKinds(listener.workspace, listener.next, size, listener.kinds);
    }
    return streams.cache->read(listener.workspace, listener.next, size);
  };
  StreamPage page = co_await onPool(streams.service.blocking, read);
  co_return page;
}

asio::awaitable<void> sendPage(const Streams& streams, Exchange& exchange, const StreamListener& listener, const StreamPage& page) {
  std::string chunk;
  for (const auto& entry : page.entries) {
    if (!listener.wants(*entry)) continue;
    appendEvent(*entry, chunk);
    if (chunk.size() < streams.options.chunkBytes) continue;
    co_await exchange.send(chunk, streams.options.sendMilliseconds);
    chunk.clear();
  }
  if (!chunk.empty()) co_await exchange.send(chunk, streams.options.sendMilliseconds);
}

asio::awaitable<void> follow(const Streams& streams, Call& call, StreamListener& listener) {
  Exchange& exchange = call.exchange;
  std::int64_t idle = 0;
  while (!exchange.ending()) {
    const std::int64_t left = tokenLeft(streams, call.caller, listener);
    if (left == 0) {
      co_await exchange.send(": the token has ended\n\n", streams.options.sendMilliseconds);
      co_return;
    }
    const std::int64_t pause = std::min({streams.options.checkMilliseconds, streams.options.heartbeatMilliseconds - idle, left});
    const bool more = co_await streams.service.streams.waitFor(listener.workspace, listener.next + 1, pause);
    if (exchange.ending()) co_return;
    if (!more) {
      idle += pause;
      if (idle < streams.options.heartbeatMilliseconds) continue;
      idle = 0;
      co_await exchange.send(":\n\n", streams.options.sendMilliseconds);
      continue;
    }
    // A rebuilt view may have become shorter since.
    const std::uint64_t size = streams.service.views.status(listener.workspace).size;
    if (size <= listener.next) continue;
    const StreamPage page = co_await nextPage(streams, listener, size);
    co_await sendPage(streams, exchange, listener, page);
    listener.next = page.next;
  }
}

std::uint64_t firstSeq(const Streams& streams, const RequestHead& head, WorkspaceNumber workspace,
                       const std::vector<query::Parameter>& parameters) {
  std::optional<std::uint64_t> after;
  for (const auto& [name, value] : parameters) {
    if (name == "after") after = wholeNumber(value, name);
  }
  // The header wins: a browser that comes back sends it to the URL it began with.
  const std::string_view last = head.header("last-event-id");
  if (!last.empty()) after = wholeNumber(last, "Last-Event-ID");
  return after ? *after + 1 : streams.service.views.status(workspace).size;
}

// `fixed`: the kinds of this route, which its caller cannot change.
asio::awaitable<Response> stream(Call& call, const Streams& streams, std::vector<std::string> fixed) {
  const RequestHead& head = call.exchange.head();
  const ReadParameters parameters = readParameters(head);
  query::Filters filters;
  filters.kinds = fixed;
  std::vector<query::Parameter> single;
  for (const auto& [name, value] : parameters.filters) {
    if (name == "kind" && fixed.empty()) {
      filters.kinds.push_back(value);
    } else {
      single.emplace_back(name, value);
    }
  }
  requireKnown(single, {"after"});
  StreamListener listener;
  listener.workspace = workspaceOf(streams.service, call);
  listener.kinds = query::expandKinds(filters);
  listener.began = streams.service.clock.wall();
  co_await waitForView(streams.service, listener.workspace, parameters.wait);
  listener.next = firstSeq(streams, head, listener.workspace, single);
  Response response;
  response.contentType = "text/event-stream";
  if (head.method == "HEAD") co_return response;
  std::string what = fixed.empty() ? "stream" : "revocations/stream";
  for (const std::string& kind : filters.kinds) what += " kind=" + kind;
  co_await recordReading(streams.service, call, listener.workspace, std::move(what), {}, 0);
  response.body = "retry: 2000\n\n";
  co_await call.exchange.beginStream(std::move(response));
  try {
    co_await follow(streams, call, listener);
  } catch (const Fault& fault) {
    if (fault.code() == ErrorCode::tooSlow) streams.service.metrics.streamEvicted();
    throw;
  }
  co_return Response{};
}

RouteDocs streamDocs(const char* summary, std::vector<std::string> parameters) {
  RouteDocs docs;
  docs.summary = summary;
  docs.answer = "EntryStream";
  docs.answerType = "text/event-stream";
  docs.parameters = std::move(parameters);
  return docs;
}

}  // namespace

void addStreamRoutes(Router& router, Service& service, const StreamOptions& options, std::shared_ptr<StreamCache> cache) {
  if (cache == nullptr) cache = std::make_shared<StreamCache>(service.readers);
  const auto streams = std::make_shared<const Streams>(Streams{service, options, std::move(cache)});
  router.add({"GET", "/v1/workspaces/{workspace}/stream", Action::readRecord, [streams](Call& call) { return stream(call, *streams, {}); },
              streamDocs("Entries as they are recorded, as server-sent events; resumes after Last-Event-ID", {"kind", "after", "wait"})});
  router.add({"GET", "/v1/workspaces/{workspace}/revocations/stream", Action::readRecord,
              [streams](Call& call) {
                return stream(call, *streams, {"lease.revoked", "revocation.*"});
              },
              streamDocs("Revocations as they are recorded: what to kill upstream", {"after", "wait"})});
}

}  // namespace counterfoil::server

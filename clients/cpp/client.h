// A broker's end of the ledger: leases, facts and the record of one workspace, over HTTP.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "clients/cpp/surroundings.h"
#include "clients/cpp/types.h"

namespace counterfoil::client {

struct Options {
  std::string url;        // "https://ledger.example.com:8780"; plain http to this machine only
  std::string workspace;  // its id
  // One of the two; neither: no token. A file is read again when the server says that the token has expired, so whoever mints may replace
  // it.
  Secret token;
  std::string tokenFile;
  std::string authorities;  // PEM file of those that may vouch for the server's certificate; empty: the system's
  std::string pinnedKey;    // "sha256//<base64>" of the server's public key; empty: the name in its certificate counts
  // Of one call, its repeats and pauses included. A tail has none.
  std::chrono::milliseconds deadline{30'000};
  Surroundings surroundings = Surroundings::real();
};

struct TailOptions {
  std::vector<std::string> kinds;      // "lease.*" as well; none: all
  std::optional<std::uint64_t> after;  // begin behind this seq
  bool fromStart = false;              // begin with the first entry; without both: with what is recorded from now on
  // How long the server may be away before the tail gives up; it must have been there once.
  std::chrono::milliseconds unreachableMax{60'000};
};

// A page after the other, as they are asked for. Belongs to its Client, and must not outlive it.
class EntryPages {
 public:
  // The next entry; nothing: that was the last. Throws Error.
  std::optional<Entry> next();

 private:
  friend class Client;
  EntryPages(std::function<boost::json::object(const std::string& cursor)> page) : page_(std::move(page)) {}

  std::function<boost::json::object(const std::string& cursor)> page_;
  std::vector<Entry> entries_;
  std::size_t at_ = 0;
  std::string cursor_;
  bool last_ = false;
};

// Owned by one thread; a broker with many threads makes one each. Keeps one connection.
//
// Every call blocks, at most until the deadline, and throws Error. What the server cannot take now (429, 503) is sent again after the pause
// it asks for (Retry-After), and what was lost with its connection at once, always with the same id: recorded once. An error with
// isPassing() came of a deadline that was too short; `indeterminate` means that it may be recorded. A denial is no error.
//
// Secrets of requests are in wiping memory from end to end; no answer holds one, and no error text.
class Client {
 public:
  // Connects to nothing yet. Throws Error(usage): the URL is none of a server, or both or no workspace and tokens are given.
  explicit Client(Options options);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  // An id for a command that is to be repeated by the caller, or to be known before it is sent. UUIDv7.
  std::string makeId() const;

  // May this be handed out? The lease is on the record before the answer is there: mint afterwards, then say issued().
  Decision grant(const GrantRequest& request);
  // `lease`: an id, as in Decision::lease. An unknown one is denied, not an error.
  Decision issued(std::string_view lease, const IssuedReport& report = {});
  Decision consume(std::string_view lease, const ConsumeRequest& request = {});
  Decision renew(std::string_view lease, const RenewRequest& request);
  Decision revoke(std::string_view lease, const RevokeRequest& request = {});
  Revocation revokeAll(const RevokeAllRequest& request);

  Recorded fact(const Fact& fact);
  // Any number of them, in requests of some thousand. A result for each, in order: a bad fact does not stop the others. If it throws
  // indeterminate, those before the last request are recorded; facts with ids of their own may be sent again as a whole.
  std::vector<FactResult> facts(std::span<const Fact> facts);

  // A lease with its history. `wait`: what was recorded up to this seq is in it (of a receipt: read your own write). Throws no_such_item.
  LeaseDetail lease(std::string_view lease, std::optional<std::uint64_t> wait = std::nullopt);
  // Nothing is asked before the first next().
  EntryPages entries(const EntryFilters& filters = {});
  // Calls `entry` for each entry, in order and each once, until it returns false or `stop` is asked for (seen within about a second). A
  // connection that ends is made anew behind the last entry. Throws Error when the server was away for longer than it may be, when the
  // token has ended and there is no other one, and what `entry` throws.
  void tail(const TailOptions& options, const std::function<bool(const Entry&)>& entry, const std::stop_token& stop = {});
  // One SELECT over the views (docs/query.md). Throws bad_query.
  QueryResult query(std::string_view sql, std::optional<std::uint64_t> wait = std::nullopt);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::client

// Time limits of the connections of one event loop. A connection that makes no progress costs nothing but a look now and then; there is no
// timer to arm for every read.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <unordered_set>

namespace counterfoil::server {

namespace asio = boost::asio;

// Everything on the loop's own thread.
class Deadlines {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr Time kNever = Time::max();

  class Entry {
   public:
    virtual ~Entry() = default;
    // The time is over; called once for each deadline that was set.
    virtual void expire() = 0;
    // Nothing was asked for so long that what only work needs may be given back; called once for each time that was set.
    virtual void rest() = 0;
    Time at = kNever;
    Time restAt = kNever;
  };

  explicit Deadlines(asio::io_context& loop) : timer_(loop) {}
  void add(Entry& entry) {
    entries_.insert(&entry);
    if (!running_) look();
  }
  void remove(Entry& entry) { entries_.erase(&entry); }

 private:
  static constexpr std::chrono::milliseconds kLook{100};  // how late a limit may strike

  void look() {
    running_ = true;
    timer_.expires_after(kLook);
    timer_.async_wait([this](const boost::system::error_code& error) {
      running_ = false;
      if (error) return;
      const Time now = std::chrono::steady_clock::now();
      for (Entry* const entry : entries_) {
        if (entry->restAt <= now) {
          entry->restAt = kNever;
          entry->rest();
        }
        if (entry->at > now) continue;
        entry->at = kNever;
        entry->expire();  // cancels; nothing is added or removed here
      }
      if (!entries_.empty()) look();
    });
  }

  asio::steady_timer timer_;
  std::unordered_set<Entry*> entries_;
  bool running_ = false;
};

}  // namespace counterfoil::server

#include "clients/cpp/event_stream.h"

#include <gtest/gtest.h>

#include <vector>

#include "clients/cpp/error.h"

namespace counterfoil::client {
namespace {

// "id|name|data" of each event, with the text given in pieces of `size` bytes.
std::vector<std::string> eventsOf(std::string_view text, std::size_t size) {
  EventStream stream;
  std::vector<std::string> events;
  for (std::size_t at = 0; at < text.size(); at += size) {
    stream.feed(text.substr(at, size), [&](const ServerEvent& event) {
      events.push_back(event.id + "|" + event.name + "|" + event.data);
      return true;
    });
  }
  return events;
}

using Events = std::vector<std::string>;

TEST(EventStream, WhateverPiecesItComesIn) {
  const std::string text = "retry: 2000\n\nid: 4\nevent: entry\ndata: {\"seq\":4}\n\n:\n\nid: 5\ndata: a\ndata: b\n\nid: 6\ndata\n\n";
  const Events expected = {"4|entry|{\"seq\":4}", "5|message|a\nb", "6|message|"};
  for (std::size_t size = 1; size <= text.size(); ++size) EXPECT_EQ(eventsOf(text, size), expected) << size;
}

TEST(EventStream, WhateverEndsItsLines) {
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    const std::string text = "id: 1" + end + "data: x" + end + end + "data: y" + end + end + ": end" + end;
    for (std::size_t size = 1; size <= text.size(); ++size) {
      EXPECT_EQ(eventsOf(text, size), (Events{"1|message|x", "1|message|y"})) << size;
    }
  }
}

TEST(EventStream, CommentsUnknownFieldsAndEventsWithoutDataArePassedOver) {
  EXPECT_EQ(eventsOf(": comment\n\nid: 7\n\nnonsense\nfoo: bar\ndata:no space\n\n", 3), (Events{"7|message|no space"}));
  EXPECT_EQ(eventsOf("\xEF\xBB\xBF"
                     "data: behind a mark\n\n",
                     2),
            (Events{"|message|behind a mark"}));
  EXPECT_EQ(eventsOf("data: cut", 4), Events{});
  EXPECT_EQ(eventsOf("data: no empty line\n", 4), Events{});
}

TEST(EventStream, AnIdWithZeroIsNone) {
  EXPECT_EQ(eventsOf(std::string_view("id: 1\nid: 2\0\ndata: x\n\n", 23), 50), (Events{"1|message|x"}));
}

TEST(EventStream, ALineWithoutEndIsRefused) {
  EventStream stream;
  const auto none = [](const ServerEvent&) { return true; };
  const std::string piece(64 * 1024, 'x');
  const auto flood = [&] {
    for (int count = 0; count < 17; ++count) stream.feed(piece, none);
  };
  try {
    flood();
    FAIL() << "17 pieces of 64 KiB were taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), kTooLarge);
  }
}

TEST(EventStream, EndsWhenTold) {
  EventStream stream;
  int count = 0;
  EXPECT_FALSE(stream.feed("data: 1\n\ndata: 2\n\n", [&](const ServerEvent&) { return ++count < 1; }));
  EXPECT_EQ(count, 1);
}

}  // namespace
}  // namespace counterfoil::client

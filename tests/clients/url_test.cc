#include "clients/cpp/url.h"

#include <gtest/gtest.h>

#include "clients/cpp/error.h"

namespace counterfoil::client {
namespace {

TEST(Url, OfAServer) {
  EXPECT_EQ(checkedUrl("https://ledger.example.com:8780"), "https://ledger.example.com:8780");
  EXPECT_EQ(checkedUrl("https://ledger.example.com/under//"), "https://ledger.example.com/under");
  EXPECT_EQ(checkedUrl("http://127.0.0.1:8780/"), "http://127.0.0.1:8780");
  EXPECT_EQ(checkedUrl("http://127.9.9.9"), "http://127.9.9.9");
  EXPECT_EQ(checkedUrl("http://localhost"), "http://localhost");
  EXPECT_EQ(checkedUrl("http://[::1]:1"), "http://[::1]:1");
}

TEST(Url, RefusesWhatWouldSendTheTokenElsewhere) {
  for (const std::string url :
       {"", ":", "ledger.example.com", "http://ledger.example.com", "http://127.0.0.1.example.com", "http://localhost.example.com",
        "http://[::2]", "ftp://127.0.0.1", "file:///etc/passwd", "https://user@h", "https://user:pass-4711@h", "https://h/?a=pass-4711",
        "https://h/#pass-4711", "https://h/\r\nX: pass-4711", "https://h /", " https://h"}) {
    try {
      checkedUrl(url);
      ADD_FAILURE() << url;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), kUsage) << url;
      EXPECT_EQ(std::string(error.what()).find("pass-4711"), std::string::npos);
    }
  }
  EXPECT_THROW(checkedUrl(std::string("http://127.0.0.1\0.example.com", 29)), Error);
}

TEST(Url, PartsAreEncoded) {
  EXPECT_EQ(percentEncoded("a-Z_0.~"), "a-Z_0.~");
  EXPECT_EQ(percentEncoded("a/b?c#d%"), "a%2Fb%3Fc%23d%25");
  EXPECT_EQ(percentEncoded("\xC3\xA9 \n"), "%C3%A9%20%0A");
  EXPECT_EQ(percentEncoded("."), "%2E");
  EXPECT_EQ(percentEncoded(".."), "%2E%2E");
  EXPECT_EQ(percentEncoded("..."), "...");
}

}  // namespace
}  // namespace counterfoil::client

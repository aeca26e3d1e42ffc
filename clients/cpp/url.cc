#include "clients/cpp/url.h"

#include <curl/curl.h>

#include <memory>
#include <optional>

#include "clients/cpp/error.h"

namespace counterfoil::client {
namespace {

struct UrlPart {
  explicit UrlPart(CURLU* url, CURLUPart part) {
    char* text = nullptr;
    if (curl_url_get(url, part, &text, 0) == CURLUE_OK) value = text;
    curl_free(text);
  }
  std::optional<std::string> value;
};

bool isThisMachine(const std::string& host) {
  return host == "localhost" || host == "[::1]" || (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

}  // namespace

std::string checkedUrl(const std::string& text) {
  const char* hint = "such as https://ledger.example.com:8780, or http://127.0.0.1:8780 for this machine";
  const std::unique_ptr<CURLU, void (*)(CURLU*)> url(curl_url(), curl_url_cleanup);
  // A byte that is cut off or ends a line here would mean another URL there.
  const bool plain = text.find_first_not_of(" ") == 0 && text.find_first_of(std::string_view("\0\r\n\t ", 5)) == std::string::npos;
  if (!plain || !url || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) {
    throw Error(kUsage, "the server's URL is none", hint, "url");
  }
  const auto has = [&](CURLUPart part) { return UrlPart(url.get(), part).value.has_value(); };
  if (has(CURLUPART_USER) || has(CURLUPART_PASSWORD) || has(CURLUPART_QUERY) || has(CURLUPART_FRAGMENT)) {
    throw Error(kUsage, "the server's URL has more than scheme, host, port and path", hint, "url");
  }
  const std::string scheme = UrlPart(url.get(), CURLUPART_SCHEME).value.value_or("");
  const std::string host = UrlPart(url.get(), CURLUPART_HOST).value.value_or("");
  if (scheme != "https" && scheme != "http") throw Error(kUsage, "the server's URL must begin with https or http", hint, "url");
  if (scheme == "http" && !isThisMachine(host)) {
    throw Error(kUsage, "over plain http to another machine everybody on the way could read the token", hint, "url");
  }
  std::string result = text;
  while (result.ends_with('/')) result.pop_back();
  return result;
}

std::string percentEncoded(std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  const bool dots = text == "." || text == "..";
  std::string result;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '~' ||
                       (c == '.' && !dots);
    if (plain) {
      result += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      result += '%';
      result += kDigits[byte >> 4];
      result += kDigits[byte & 15];
    }
  }
  return result;
}

}  // namespace counterfoil::client

// Bodies in chunked coding (RFC 9112 7.1), read by tests.
#pragma once

#include <string>

namespace counterfoil::test {

// The chunks of an answer's body behind its head, joined, until the last one; what has not come is left out.
inline std::string unchunked(const std::string& answer) {
  std::string body;
  std::size_t at = answer.find("\r\n\r\n");
  if (at == std::string::npos) return body;
  at += 4;
  while (at < answer.size()) {
    const std::size_t end = answer.find("\r\n", at);
    if (end == std::string::npos) break;
    const std::size_t size = std::stoul(answer.substr(at, end - at), nullptr, 16);
    if (size == 0) break;
    body += answer.substr(end + 2, size);
    at = end + 2 + size + 2;
  }
  return body;
}

}  // namespace counterfoil::test

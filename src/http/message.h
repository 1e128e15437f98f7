// What a handler is given and gives back: HTTP without its wire form.
// Threads: plain values.
// Memory: owned strings.
// Errors: ParseTarget says false for what is no path of a request.
// Design: docs/web.md
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spanring::http {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method;              // GET for HEAD too
  std::string path;                // decoded, without the query, as in /api/v1/executions/7
  std::vector<std::string> parts;  // of it, each decoded: "", "api", "v1", "executions", "7"
  Fields query;                    // decoded, in their order
  Fields headers;                  // names in lower case
  std::string body;

  // The first value of that name; nullopt where there is none.
  [[nodiscard]] std::optional<std::string> Header(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> Query(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  Fields headers;
};

// Takes a request target (RFC 9112, origin form) apart. False where it is none: no leading slash, a
// broken escape, NUL or what is not UTF-8.
[[nodiscard]] bool ParseTarget(std::string_view target, Request* request);

// {"error": {"status": 404, "message": "..."}}, the same for every failure.
[[nodiscard]] Response ErrorResponse(int status, std::string_view message);

}  // namespace spanring::http

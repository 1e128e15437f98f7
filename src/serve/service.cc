#include "serve/service.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "pg/client.h"
#include "serve/page.h"

namespace spanring::serve {
namespace {

void AddSecurityHeaders(http::Response* response) {
  response->headers.insert(
      response->headers.end(),
      {{"X-Content-Type-Options", "nosniff"},
       {"X-Frame-Options", "DENY"},
       {"Referrer-Policy", "no-referrer"},
       {"Cross-Origin-Resource-Policy", "same-origin"},
       {"Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}});
}

// RFC 9110, 13.1.2: a list of tags, weak ones too, as a proxy that compresses makes of ours; or *.
bool IsNamed(const http::Request& request, absl::string_view tag) {
  const std::string given = request.Header("if-none-match").value_or("");
  for (absl::string_view one : absl::StrSplit(given, ',')) {
    one = absl::StripAsciiWhitespace(one);
    absl::ConsumePrefix(&one, "W/");
    if (one == tag || one == "*") return true;
  }
  return false;
}

// Weak: plain and compressed it is the same answer in other bytes.
void AddTag(const http::Request& request, http::Response* response) {
  const std::string tag = absl::StrCat(
      "\"", absl::Hex(XXH3_64bits(response->body.data(), response->body.size()), absl::kZeroPad16),
      "\"");
  response->headers.emplace_back("ETag", "W/" + tag);
  response->headers.emplace_back("Cache-Control", "no-cache");
  if (IsNamed(request, tag)) {
    response->status = 304;
    response->body.clear();
    response->content_type.clear();
  }
}

http::Response Reply(absl::StatusOr<std::string> answer, std::string content_type) {
  if (!answer.ok()) return FailureResponse(answer.status());
  return {.status = 200,
          .content_type = std::move(content_type),
          .body = *std::move(answer),
          .headers = {}};
}

}  // namespace

http::Response FailureResponse(const absl::Status& status) {
  const std::string message(status.message());
  const std::string code(pg::SqlState(status));
  if (absl::IsNotFound(status)) return http::ErrorResponse(404, message);
  if (absl::IsInvalidArgument(status) || code.starts_with("22")) {
    return http::ErrorResponse(400, message);
  }
  if (absl::IsDeadlineExceeded(status)) {
    return http::ErrorResponse(504, message + ": ask for a shorter time");
  }
  http::Response response;
  if (code == "42P01" || code == "42883" || code == "42703" || code == "3F000") {
    response = http::ErrorResponse(
        503, "the tracing schema is missing or too old in this database: run spanring migrate (" +
                 message + ")");
  } else if (code == "42501") {
    response = http::ErrorResponse(
        503, message + ": as the owner of the tables: GRANT spanring_reader TO the user");
  } else if (absl::IsUnavailable(status)) {
    response = http::ErrorResponse(503, message);
  } else {
    return http::ErrorResponse(500, message);
  }
  response.headers.emplace_back("Retry-After", "5");
  return response;
}

http::Response Service::Answer(const http::Request& request) {
  http::Response response;
  // Whether it lives is no secret.
  int refused = request.path == "/healthz" ? 0 : access_.Refusal(request);
  // Nor is the page, which must be there to ask for the token.
  if (refused == 401 && IsPagePath(request.path)) refused = 0;
  response =
      refused == 0 ? Route(request) : http::ErrorResponse(refused, http::RefusalMessage(refused));
  if (refused == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  AddSecurityHeaders(&response);
  return response;
}

http::Response Service::Route(const http::Request& request) {
  const std::string_view path = request.path;
  if (path == "/mcp" && options_.mcp) return options_.mcp(request);
  if (request.method != "GET") {
    http::Response response = http::ErrorResponse(405, "only GET and HEAD here");
    response.headers.emplace_back("Allow", "GET, HEAD");
    return response;
  }
  if (path == "/healthz") return Reply(std::string("ok\n"), "text/plain; charset=utf-8");
  if (path == "/readyz") {
    const absl::StatusOr<pg::Result> limits = reader_->Ask("SELECT FROM trace_limits");
    return Reply(limits.ok() ? absl::StatusOr<std::string>("ready\n") : limits.status(),
                 "text/plain; charset=utf-8");
  }
  if (path == "/metrics") {
    absl::StatusOr<std::string> metrics = Metrics(reader_, options_.counts());
    if (metrics.ok() && options_.more_metrics) absl::StrAppend(&*metrics, options_.more_metrics());
    return Reply(std::move(metrics), "text/plain; version=0.0.4; charset=utf-8");
  }
  http::Response response = http::ErrorResponse(404, "no such path");
  if (path.starts_with("/api/v1/")) {
    response = Reply(ApiAnswer(reader_, request), "application/json");
  } else if (path.starts_with("/api/")) {
    response = Reply(JaegerAnswer(reader_, request), "application/json");
    if (response.status != 200) response = JaegerFailure(request, std::move(response));
  } else if (IsPagePath(path)) {
    response = PageAnswer(path);
    // Kept for ever, there is nothing to ask again.
    if (!response.headers.empty()) return response;
  }
  if (response.status == 200) AddTag(request, &response);
  return response;
}

}  // namespace spanring::serve

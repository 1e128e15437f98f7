#include "otlp/receiver.h"

#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "http/compression.h"

namespace spanring::otlp {
namespace {

constexpr std::size_t kMostMessageBytes = 500;

// --- Answers in either form ---

void AppendVarint(std::uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>((value & 0x7f) | 0x80));
  out->push_back(static_cast<char>(value));
}

// Fields 1, a number, and 2, a text: google.rpc.Status, and ExportTracePartialSuccess.
std::string NumberAndText(std::uint64_t number, std::string_view text) {
  std::string out;
  if (number != 0) {
    out.push_back(0x08);
    AppendVarint(number, &out);
  }
  if (!text.empty()) {
    out.push_back(0x12);
    AppendVarint(text.size(), &out);
    out.append(text);
  }
  return out;
}

http::Response Reply(int status, Form form, std::string body) {
  return {.status = status,
          .content_type = std::string(ContentTypeOf(form)),
          .body = std::move(body),
          .headers = {}};
}

std::string Text(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// google.rpc.Code
int CodeOf(int status) {
  switch (status) {
    case 401:
      return 16;  // UNAUTHENTICATED
    case 403:
    case 421:
      return 7;  // PERMISSION_DENIED
    case 404:
      return 5;  // NOT_FOUND
    case 405:
      return 12;  // UNIMPLEMENTED
    case 413:
    case 431:
      return 8;  // RESOURCE_EXHAUSTED
    case 500:
      return 13;  // INTERNAL
    case 503:
      return 14;  // UNAVAILABLE
    default:
      return 3;  // INVALID_ARGUMENT
  }
}

http::Response Failure(int status, Form form, std::string_view message) {
  const std::string said = base::Sanitized(base::Truncate(message, kMostMessageBytes));
  const int code = CodeOf(status);
  return Reply(status, form,
               form == Form::kJson ? Text({{"code", code}, {"message", said}})
                                   : NumberAndText(static_cast<std::uint64_t>(code), said));
}

// ExportTraceServiceResponse: empty where all is well.
http::Response Success(Form form, std::uint64_t rejected, std::string_view message) {
  if (rejected == 0) return Reply(200, form, form == Form::kJson ? "{}" : "");
  const std::string said = base::Sanitized(base::Truncate(message, kMostMessageBytes));
  if (form == Form::kJson) {
    const nlohmann::json partial = {{"rejectedSpans", absl::StrCat(rejected)},
                                    {"errorMessage", said}};
    return Reply(200, form, Text({{"partialSuccess", partial}}));
  }
  const std::string partial = NumberAndText(rejected, said);
  std::string body(1, 0x0a);
  AppendVarint(partial.size(), &body);
  return Reply(200, form, body + partial);
}

// --- What a request says of its body ---

std::optional<Form> FormOf(const http::Request& request) {
  const std::string type = http::MediaType(request.Header("content-type").value_or(""));
  if (type == ContentTypeOf(Form::kJson)) return Form::kJson;
  if (type == ContentTypeOf(Form::kProtobuf)) return Form::kProtobuf;
  return std::nullopt;
}

// InvalidArgument, ResourceExhausted, or Unimplemented: in a coding that is not known here.
absl::StatusOr<std::string> PlainBody(const http::Request& request) {
  const std::string header = request.Header("content-encoding").value_or("");
  const std::string coding = absl::AsciiStrToLower(absl::StripAsciiWhitespace(header));
  if (coding.empty() || coding == "identity") return request.body;
  if (coding == "gzip" || coding == "x-gzip") return http::Gunzip(request.body, kMostPlainBytes);
  return absl::UnimplementedError("the only Content-Encoding here is gzip");
}

int StatusOf(const absl::Status& status) {
  if (absl::IsResourceExhausted(status)) return 413;
  if (absl::IsUnimplemented(status)) return 415;
  if (absl::IsUnavailable(status)) return 503;
  return 400;
}

http::Response FailureOf(const absl::Status& status, Form form) {
  const int code = StatusOf(status);
  http::Response response = Failure(code, form, std::string(status.message()));
  if (code == 503) response.headers.emplace_back("Retry-After", "2");
  if (code == 415) response.headers.emplace_back("Accept-Encoding", "gzip");
  return response;
}

// What came of those spans that are not stored.
std::string RejectionText(const Rows& rows, const Stored& stored) {
  std::string text;
  if (rows.refused > 0) {
    text = absl::StrCat(rows.refused, " malformed: ", rows.first_refusal);
  }
  if (stored.rejected > 0) {
    absl::StrAppend(&text, text.empty() ? "" : "; ", stored.rejected,
                    " rejected by the database: ", stored.first_rejection);
  }
  return text;
}

void Add(std::string* text, const char* name, const char* help, std::uint64_t value,
         const char* labels = "") {
  if (help != nullptr) {
    absl::StrAppend(text, "# HELP ", name, " ", help, "\n# TYPE ", name, " counter\n");
  }
  absl::StrAppend(text, name, labels, " ", value, "\n");
}

}  // namespace

http::Response Receiver::Answer(const http::Request& request) {
  http::Response response;
  try {
    response = Route(request);
  } catch (const std::bad_alloc&) {
    // Others' requests have it: later there may be some.
    response = FailureOf(absl::UnavailableError("no memory for this request now"),
                         FormOf(request).value_or(Form::kJson));
  }
  const std::scoped_lock lock(mutex_);
  ++counts_.requests;
  if (response.status == 503) {
    ++counts_.unavailable;
  } else if (response.status != 200) {
    ++counts_.refused;
  }
  return response;
}

ReceiverCounts Receiver::counts() const {
  const std::scoped_lock lock(mutex_);
  return counts_;
}

http::Response Receiver::Route(const http::Request& request) {
  const std::optional<Form> form = FormOf(request);
  const Form answer = form.value_or(Form::kJson);
  if (const int refused = access_.Refusal(request); refused != 0) {
    http::Response response = Failure(refused, answer, http::RefusalMessage(refused));
    if (refused == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
  }
  // A page may send to anybody; what it says its origin is, it cannot choose.
  if (!access_.IsFromOwnOrigin(request)) {
    return Failure(403, answer, "this origin may not send spans: start with --host NAME");
  }
  if (request.path != "/v1/traces") {
    return Failure(404, answer, "only traces are taken here, at /v1/traces");
  }
  if (request.method != "POST") {
    http::Response response = Failure(405, answer, "only POST here");
    response.headers.emplace_back("Allow", "POST");
    return response;
  }
  if (!form) {
    return Failure(415, answer, "Content-Type must be application/json or application/x-protobuf");
  }
  return Keep(*form, request);
}

http::Response Receiver::Keep(Form form, const http::Request& request) {
  const absl::StatusOr<std::string> body = PlainBody(request);
  if (!body.ok()) return FailureOf(body.status(), form);
  const absl::StatusOr<Rows> rows = ReadRows(form, *body);
  if (!rows.ok()) return FailureOf(rows.status(), form);
  Stored stored;
  if (rows->batch.rows > 0) {
    absl::StatusOr<Stored> sent = store_->Send(*rows);
    if (!sent.ok()) return FailureOf(sent.status(), form);
    stored = *std::move(sent);
  }
  {
    const std::scoped_lock lock(mutex_);
    counts_.repeated += stored.was_there ? 1 : 0;
    counts_.spans_stored += stored.spans;
    // Of a body that is sent again they were counted before.
    counts_.spans_malformed += stored.was_there ? 0 : rows->refused;
    counts_.spans_rejected += stored.rejected;
  }
  return Success(form, rows->refused + stored.rejected, RejectionText(*rows, stored));
}

http::Response Refusal(const http::Request& request, int status, std::string_view message) {
  return Failure(status, FormOf(request).value_or(Form::kJson), message);
}

std::string MetricsText(const ReceiverCounts& counts, const http::ServerCounts& server) {
  std::string text;
  Add(&text, "spanring_otlp_requests_total", "Requests with spans, read whole.", counts.requests);
  Add(&text, "spanring_otlp_requests_repeated_total", "Of those, stored before.", counts.repeated);
  const char* const refused = "spanring_otlp_requests_refused_total";
  Add(&text, refused, "Requests whose spans were not taken, by reason.", counts.refused,
      "{reason=\"bad_request\"}");
  Add(&text, refused, nullptr, counts.unavailable, "{reason=\"database\"}");
  // Also those that are no HTTP, too large or too slow.
  Add(&text, refused, nullptr, server.requests_refused, "{reason=\"server\"}");
  Add(&text, "spanring_otlp_spans_stored_total", "Spans that came by OTLP and are committed.",
      counts.spans_stored);
  const char* const rejected = "spanring_otlp_spans_rejected_total";
  Add(&text, rejected, "Spans of requests that were taken, and that are lost, by reason.",
      counts.spans_malformed, "{reason=\"malformed\"}");
  Add(&text, rejected, nullptr, counts.spans_rejected, "{reason=\"database\"}");
  return text;
}

}  // namespace spanring::otlp

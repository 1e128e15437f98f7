// Ending a span with an absl::Status.
#include <string_view>

#include "spanring/internal/runtime_api.h"

namespace spanring::internal {
namespace {

// absl::StatusCodeToString without its std::string, which allocates for the longer names.
std::string_view StatusCodeName(absl::StatusCode code) noexcept {
  switch (code) {
    case absl::StatusCode::kOk:
      return "OK";
    case absl::StatusCode::kCancelled:
      return "CANCELLED";
    case absl::StatusCode::kUnknown:
      return "UNKNOWN";
    case absl::StatusCode::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case absl::StatusCode::kDeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case absl::StatusCode::kNotFound:
      return "NOT_FOUND";
    case absl::StatusCode::kAlreadyExists:
      return "ALREADY_EXISTS";
    case absl::StatusCode::kPermissionDenied:
      return "PERMISSION_DENIED";
    case absl::StatusCode::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case absl::StatusCode::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case absl::StatusCode::kAborted:
      return "ABORTED";
    case absl::StatusCode::kOutOfRange:
      return "OUT_OF_RANGE";
    case absl::StatusCode::kUnimplemented:
      return "UNIMPLEMENTED";
    case absl::StatusCode::kInternal:
      return "INTERNAL";
    case absl::StatusCode::kUnavailable:
      return "UNAVAILABLE";
    case absl::StatusCode::kDataLoss:
      return "DATA_LOSS";
    case absl::StatusCode::kUnauthenticated:
      return "UNAUTHENTICATED";
    default:
      return "UNKNOWN";
  }
}

}  // namespace

void EndSpanWithError(OpenSpan* span, const absl::Status& error,
                      std::string_view error_type) noexcept {
  if (error.ok()) return EndSpanCompleted(span);
  const absl::string_view message = error.message();
  EndSpanWithError(span, std::string_view(message.data(), message.size()),
                   error_type.empty() ? StatusCodeName(error.code()) : error_type);
}

}  // namespace spanring::internal

// The body of one request, as the rows of one batch.
// Threads: one.
// Memory: the rows, of at most kMostRowBytes; the body's own is bounded by who read it.
// Errors: a body that is no request is refused as a whole; a malformed span alone, and counted.
// Design: docs/web.md#spans-of-others
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "flush/journal.h"
#include "import/days.h"
#include "spanring/id.h"

namespace spanring::otlp {

enum class Form { kJson, kProtobuf };

// The media type of a body and of the answer to it.
[[nodiscard]] std::string_view ContentTypeOf(Form form);

inline constexpr std::uint32_t kMostRows = 50'000;
inline constexpr std::size_t kMostRowBytes = std::size_t{64} * 1024 * 1024;

struct Rows {
  TraceId content;  // What the same body always has.
  flush::Batch batch;
  importer::Days days;
  std::uint64_t refused = 0;  // Spans that are malformed.
  std::string first_refusal;
};

// InvalidArgument: it is no request, or ends too early. ResourceExhausted: more spans than one
// transaction should have.
[[nodiscard]] absl::StatusOr<Rows> ReadRows(Form form, std::string_view body);

}  // namespace spanring::otlp

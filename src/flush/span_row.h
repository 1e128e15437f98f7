// A span's row of trace_spans by its fields, for spans that were in no ring of ours.
// Threads: one.
// Memory: appends to the caller's vector, which may throw std::bad_alloc; then nothing is appended.
// Errors: none; text is made valid UTF-8 without NUL.
// Design: docs/architecture.md#encoding
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "spanring/id.h"

namespace spanring::flush {

struct SpanRow {
  std::int64_t start_ns = 0;     // Since 1970.
  std::int64_t duration_ns = 0;  // Not negative.
  bool has_end = true;           // False: completed_at and the durations are NULL.
  bool has_execution_id = false;
  std::int64_t execution_id = 0;
  TraceId trace_id = {};
  TraceId span_id = {};  // 128 bits, as the column is; ours have the high half 0.
  TraceId parent_span_id = {};
  std::string_view service = {};
  std::string_view operation = {};
  std::string_view status = {};  // As the column wants it.
  std::string_view job_id = {};
  std::string_view model_id = {};
  std::string_view region = {};
  std::string_view error_type = {};
  std::string_view error_message = {};
};

// `metadata`: the text of a JSON object that jsonb takes (no \u0000), or "": NULL.
void AppendSpanRow(const SpanRow& row, std::string_view metadata, std::vector<std::uint8_t>& out);

}  // namespace spanring::flush

// Reads what RowEncoder wrote: the fields of a row that are summed per batch.
// Threads: any.
// Memory: the texts are those of the rows.
// Errors: false when the row is not whole or has other columns.
// Design: docs/architecture.md#encoding
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "spanring/id.h"

namespace spanring::flush {

// A row of trace_spans. Times are microseconds since 1970; a text that is NULL is empty.
struct RowView {
  bool is_stored = true;  // False: it is there for the sums alone.
  std::int64_t started_us = 0;
  std::int64_t ended_us = 0;
  std::int64_t duration_ns = 0;  // -1: not known.
  std::optional<std::int64_t> execution_id;
  TraceId trace_id;  // Nil, and so the next, where one that is not stored has none.
  SpanId span_id;
  bool has_parent = false;
  std::string_view service;
  std::string_view operation;
  std::string_view status;
  std::string_view job_id;
  std::string_view model_id;
  std::string_view region;
};

// Takes the first row off `rows`.
bool ReadRow(std::string_view* rows, RowView* row) noexcept;

struct SpanKey {
  TraceId trace_id;
  SpanId span_id;
};

// The spans in `rows` that lasted long enough for their writer to have reported them as open.
std::vector<SpanKey> MaybeReported(std::string_view rows);

}  // namespace spanring::flush

// Turns a record of a ring into a row of trace_spans, in PostgreSQL's binary COPY format.
// Threads: one.
// Memory: appends to the caller's vector, which may throw std::bad_alloc; then nothing is appended.
// Errors: none; every record gives a row that PostgreSQL takes (what odd input becomes: span.h).
// Design: docs/architecture.md#encoding; format:
//   https://www.postgresql.org/docs/15/sql-copy.html#id-1.9.3.55.9.4
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "platform/clock.h"
#include "ring/record.h"

namespace spanring::flush {

// The columns of a row, in order, as COPY and trace_spans name them.
inline constexpr std::string_view kRowColumns =
    "started_at, completed_at, duration_ns, execution_id, trace_id, span_id, parent_span_id, "
    "duration_ms, service, operation, status, job_id, model_id, region, error_type, "
    "error_message, metadata";
inline constexpr std::uint16_t kRowColumnCount = 17;

class RowEncoder {
 public:
  explicit RowEncoder(std::string default_service) : default_service_(std::move(default_service)) {}

  void Append(const ring::RecordHeader& record, const platform::TickCalibration& clock,
              std::vector<std::uint8_t>& out);

 private:
  std::string default_service_;
  std::vector<std::uint8_t> row_;  // As long as the longest row so far could be.
};

// The length of the row at `rows[0]`, or 0 when it is not whole. For splitting a batch.
std::size_t RowLength(std::string_view rows) noexcept;

}  // namespace spanring::flush

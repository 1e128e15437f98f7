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
#include <utility>
#include <vector>

#include "platform/clock.h"
#include "ring/call_sites.h"
#include "ring/record.h"
#include "spanring/id.h"

namespace spanring::flush {

// The columns of a row, in order, as COPY and trace_spans name them.
inline constexpr std::string_view kRowColumns =
    "started_at, completed_at, duration_ns, execution_id, trace_id, span_id, parent_span_id, "
    "duration_ms, service, operation, status, job_id, model_id, region, error_type, "
    "error_message, metadata";
inline constexpr std::uint16_t kRowColumnCount = 17;
// Beside its number of columns: the row is there for the sums alone, and no COPY may see it.
inline constexpr std::uint16_t kNotStored = 0x8000;
// A shorter span was never reported as open: the least of open_span_ms.
inline constexpr std::int64_t kShortestReportedNs = 100'000'000;

// A row of trace_open_spans.
inline constexpr std::string_view kOpenRowColumns =
    "started_at, execution_id, trace_id, span_id, parent_span_id, writer_id, service, operation, "
    "job_id, model_id, region, metadata";
inline constexpr std::uint16_t kOpenRowColumnCount = 12;

// The names of another process's call sites, by number.
using CallSiteNameList = std::vector<std::pair<std::string, std::string>>;

// What there is to know of a span that ended.
struct EndedSpan {
  TraceId trace_id;
  std::string_view service;
  std::string_view operation;
  ring::RecordStatus status;
  std::int64_t duration_ns;
};

class RowEncoder {
 public:
  // `names`: whose records these are; nullptr: this process's. Outlives the encoder.
  explicit RowEncoder(std::string default_service, const CallSiteNameList* names = nullptr)
      : default_service_(std::move(default_service)), names_(names) {}

  // `is_sampled`: its trace is. What is stored of another says in its metadata why the rest is not
  // there.
  void Append(const ring::RecordHeader& record, const platform::TickCalibration& clock,
              std::vector<std::uint8_t>& out, bool is_sampled = true);
  // The row of a span that is not stored, only summed (kNotStored): without ids, unless it may have
  // been reported as open.
  void AppendUnstored(const ring::RecordHeader& record, const platform::TickCalibration& clock,
                      std::vector<std::uint8_t>& out);
  // The texts are those of the record.
  EndedSpan Look(const ring::RecordHeader& record, const platform::TickCalibration& clock) const;
  // The record of a span that is open.
  void AppendOpen(const ring::RecordHeader& record, const platform::TickCalibration& clock,
                  const TraceId& writer, std::vector<std::uint8_t>& out);

 private:
  ring::CallSiteNames NamesOf(std::uint16_t site) const;
  std::string_view ServiceOr(std::string_view service) const {
    return service.empty() ? std::string_view(default_service_) : service;
  }
  std::uint8_t* Room(const ring::RecordHeader& record);

  std::string default_service_;
  const CallSiteNameList* names_;
  std::vector<std::uint8_t> row_;  // As long as the longest row so far could be.
};

// The length of the row at `rows[0]`, or 0 when it is not whole. For splitting a batch.
std::size_t RowLength(std::string_view rows) noexcept;

}  // namespace spanring::flush

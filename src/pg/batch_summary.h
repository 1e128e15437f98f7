// What a batch adds to trace_rollups and trace_execution_summaries.
// Threads: one.
// Memory: refers to the rows until it is cleared; grows with the operations and executions in them.
// Errors: none; rows that cannot be read are passed over.
// Design: docs/architecture.md#sums
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/numeric/int128.h"
#include "flush/row_reader.h"

namespace spanring::pg {

class BatchSummary {
 public:
  void Clear();
  // `rows`: in PostgreSQL's binary COPY format. Returns how many of them are not to be stored.
  std::uint32_t Add(std::string_view rows);
  // Only those that are not to be stored.
  void AddUnstored(std::string_view rows);
  // Calls of trace_add_rollups and trace_add_executions, or "". All that is spliced in are numbers,
  // ids, words of our own and base64.
  std::string Statements() const;

 private:
  // As trace_rollups has them: what began in an hour, or in a day.
  struct Rollup {
    std::uint64_t spans = 0;
    std::uint64_t roots = 0;
    std::uint64_t samples = 0;
    absl::uint128 sum_ns = 0;
    std::int64_t min_ns = std::numeric_limits<std::int64_t>::max();
    std::int64_t max_ns = 0;
    absl::flat_hash_map<std::int32_t, std::uint64_t> buckets;

    void Add(const Rollup& other);
  };
  // Service, operation, status, hours since 1970.
  using RollupKey = std::tuple<std::string_view, std::string_view, std::string_view, std::int64_t>;
  using Rollups = absl::flat_hash_map<RollupKey, Rollup>;

  struct Execution {
    std::int64_t started_us = 0;
    std::int64_t ended_us = 0;
    std::uint64_t spans = 0;
    std::uint64_t failed = 0;
    std::uint64_t timeouts = 0;
    TraceId trace_id;
    std::int64_t root_ns = -1;  // -1: no root is among them.
    std::string_view root_service;
    std::string_view root_operation;
    std::string_view root_status;
    std::string_view job_id;
    std::string_view model_id;
    std::string_view region;
    std::vector<std::string_view> services;
  };

  void AddToRollup(const flush::RowView& row);
  void AddToExecution(const flush::RowView& row, std::int64_t id);
  Rollups Days() const;
  std::string RollupsStatement() const;
  std::string ExecutionsStatement() const;

  Rollups rollups_;  // By the hour.
  absl::flat_hash_map<std::int64_t, Execution> executions_;
};

}  // namespace spanring::pg

// Finds and runs the sample runner, a traced program of its own, for the demo.
// Threads: one at a time; the caller's thread waits.
// Memory: returned by value.
// Errors: absl::Status; FailedPrecondition when it is not there, Internal when it fails.
// Design: docs/architecture.md
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace spanring::cli {

// The JSON object on the last line of the runner's output.
struct RunnerReport {
  double span_cost_off_ns = 0;
  double span_cost_on_ns = 0;
  std::int64_t spans_started = 0;
  std::int64_t spans_persisted = 0;
  std::int64_t spans_dropped = 0;
  std::int64_t executions = 0;
  std::vector<std::int64_t> failed_executions;
};

// `chosen`, else installed beside this program, else in its build tree.
[[nodiscard]] absl::StatusOr<std::string> FindSampleRunner(const std::string& chosen);

// Runs it with tracing on towards `database_url`. `tick` is called about five times a second with
// the time gone. What it says on stderr goes to ours. DeadlineExceeded after `deadline`: killed.
[[nodiscard]] absl::StatusOr<RunnerReport> RunSampleRunner(
    const std::string& program, const std::string& database_url, std::chrono::milliseconds deadline,
    const std::function<void(std::chrono::milliseconds)>& tick);

[[nodiscard]] absl::StatusOr<RunnerReport> ParseRunnerReport(const std::string& output);

}  // namespace spanring::cli

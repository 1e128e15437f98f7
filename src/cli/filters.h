// What list, tail and top may be narrowed down to, as the questions take it.
// Threads: plain functions.
// Memory: owned strings.
// Errors: InvalidArgument names the option and what it may be.
// Design: docs/operations.md#looking
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/database.h"

namespace spanring::cli {

struct ExecutionFilters {
  std::vector<std::string> statuses;
  std::string job;
  std::string model;
  std::string region;
  std::string service;
  std::string since;         // "2d", or what PostgreSQL reads as a time
  std::string min_duration;  // "5s"
};

// "250ms", "5s", "1.5m", "1h", "2d", "1w", in milliseconds.
[[nodiscard]] std::optional<std::int64_t> LengthMs(std::string_view text);

// `since` as a time that PostgreSQL reads: so long ago by the server's clock, or the time itself.
[[nodiscard]] absl::StatusOr<std::string> ResolveSince(const Session& session,
                                                       const std::string& since);

// Parameters of the filters, NULL for any: statuses by comma, job, model, region, service.
[[nodiscard]] std::vector<pg::Parameter> NameParameters(const ExecutionFilters& filters);
[[nodiscard]] pg::Parameter DurationParameter(const ExecutionFilters& filters);

}  // namespace spanring::cli

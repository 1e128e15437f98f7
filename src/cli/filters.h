// What list, tail and top may be narrowed down to, as the questions take it.
// Threads: plain functions.
// Memory: owned strings.
// Errors: InvalidArgument names the option and what it may be.
// Design: docs/operations.md#looking
#pragma once

#include <cstddef>
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
  bool causes = false;       // No filter: whether to say why those failed that did.
};

// "250ms", "5s", "1.5m", "1h", "2d", "1w", in milliseconds.
[[nodiscard]] std::optional<std::int64_t> LengthMs(std::string_view text);

// `since` as a time that PostgreSQL reads: so long ago by the server's clock, or the time itself.
[[nodiscard]] absl::StatusOr<std::string> ResolveSince(const Session& session,
                                                       const std::string& since);

// Parameters of answers::kExecutions: at most so many that fit, of those since `from`, and of those
// among `ids`, where these are given. `filters.since` is the caller's to resolve.
[[nodiscard]] std::vector<pg::Parameter> ListParameters(const ExecutionFilters& filters,
                                                        std::size_t limit, pg::Parameter from,
                                                        pg::Parameter ids);

}  // namespace spanring::cli

// One SELECT of somebody who is not trusted: on a connection of its own, whose login has no more
// rights than spanring_reader, in a read-only transaction, bounded in time, rows and bytes. The
// database refuses everything else; the text is not looked at.
// Threads: any; each call has its own connection.
// Memory: owned; at most about 200 rows and 64 KiB of cells.
// Errors: FailedPrecondition = the login has too many rights or too few; InvalidArgument = what the
//   database says of the query; DeadlineExceeded; Unavailable.
// Design: docs/mcp.md#query_traces
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace spanring::mcp {

struct QueryLimits {
  std::size_t rows = 200;
  std::size_t bytes = 64 * 1024;  // of all cells together
  std::size_t cell_bytes = 2000;
  int columns = 100;
  std::chrono::milliseconds time{10'000};
  std::chrono::milliseconds grace{5'000};  // behind it, for the server to say so
};

// {"columns": [{"name", "type"}], "rows": [[...]], "row_count", "truncated"}. Numbers and booleans
// are themselves, NULL is null, everything else is text. `execution_id` is the query's $1.
[[nodiscard]] absl::StatusOr<nlohmann::json> RunQuery(const std::string& conninfo,
                                                      const std::string& query,
                                                      std::optional<std::int64_t> execution_id,
                                                      const QueryLimits& limits = {});

}  // namespace spanring::mcp

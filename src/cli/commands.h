// The commands, one function each. They ask the database and format; they do not compute.
// Threads: one at a time, on the main thread.
// Memory: nothing is kept.
// Errors: StatusOr<int>: the exit code, or a Status that main prints in one line.
// Design: docs/architecture.md
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/context.h"
#include "cli/database.h"

namespace spanring::cli {

[[nodiscard]] absl::StatusOr<int> DevUp(const Context& context);
[[nodiscard]] absl::StatusOr<int> DevDown(const Context& context);
[[nodiscard]] absl::StatusOr<int> DevStatus(const Context& context);
// Replaces this process by psql; comes back only on failure.
[[nodiscard]] absl::StatusOr<int> DevPsql(const Context& context,
                                          const std::vector<std::string>& arguments);

[[nodiscard]] absl::StatusOr<int> MigrateUp(const Context& context);
[[nodiscard]] absl::StatusOr<int> MigrateDown(const Context& context, int to_version,
                                              bool drop_data);
[[nodiscard]] absl::StatusOr<int> MigrateStatus(const Context& context);

[[nodiscard]] absl::StatusOr<int> Waterfall(const Context& context, std::int64_t execution_id);
[[nodiscard]] absl::StatusOr<int> Diagnose(const Context& context, std::int64_t execution_id);
[[nodiscard]] absl::StatusOr<int> RootCause(const Context& context, std::int64_t execution_id);
[[nodiscard]] absl::StatusOr<int> CriticalPath(const Context& context, std::int64_t execution_id);
[[nodiscard]] absl::StatusOr<int> Network(const Context& context, std::int64_t execution_id);
[[nodiscard]] absl::StatusOr<int> Similar(const Context& context, std::int64_t execution_id,
                                          int limit);
// Each of the two is a beginning and an end, as PostgreSQL reads a time.
[[nodiscard]] absl::StatusOr<int> RootCauseOfWindow(const Context& context,
                                                    const std::vector<std::string>& window,
                                                    const std::vector<std::string>& baseline);
[[nodiscard]] absl::StatusOr<int> Compare(const Context& context, std::int64_t execution_a,
                                          std::int64_t execution_b);

[[nodiscard]] absl::StatusOr<int> Health(const Context& context);
[[nodiscard]] absl::StatusOr<int> Retain(const Context& context, int days);
// Delivers what processes that have died left behind; with `list`, only says what there is.
[[nodiscard]] absl::StatusOr<int> Recover(const Context& context, bool list, bool all_databases);
// Spans that others recorded. `format` "": by the content; with `dry_run` nothing is stored.
[[nodiscard]] absl::StatusOr<int> Import(const Context& context,
                                         const std::vector<std::string>& files,
                                         const std::string& format, bool dry_run);
struct ServeArguments {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8126;
  std::vector<std::string> hosts;
  std::string token_file;
};
// The web page and its APIs, until SIGINT or SIGTERM.
[[nodiscard]] absl::StatusOr<int> Serve(const Context& context, const ServeArguments& arguments);
[[nodiscard]] absl::StatusOr<int> Doctor(const Context& context);
[[nodiscard]] absl::StatusOr<int> Demo(const Context& context, const std::string& runner);

}  // namespace spanring::cli

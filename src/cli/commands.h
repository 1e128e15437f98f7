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
#include "cli/filters.h"

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

struct ExportArguments {
  std::int64_t execution_id = 0;
  std::string trace;   // a trace id: then not the execution
  std::string format;  // "": by the output's name, else jaeger
  std::string output;  // "" or "-": standard output
};
[[nodiscard]] absl::StatusOr<int> Export(const Context& context, const ExportArguments& arguments);

// The newest executions that pass the filters.
[[nodiscard]] absl::StatusOr<int> List(const Context& context, const ExecutionFilters& filters,
                                       int limit);
// Executions as they finish, until SIGINT or SIGTERM.
[[nodiscard]] absl::StatusOr<int> Tail(const Context& context, const ExecutionFilters& filters);
struct TopArguments {
  std::string since = "1h";
  std::string sort = "time";
  bool once = false;
};
// Operations by what they cost; again and again on a terminal.
[[nodiscard]] absl::StatusOr<int> Top(const Context& context, const TopArguments& arguments);

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
  std::string query_database;
  bool otlp = false;  // take spans, too
  std::uint16_t otlp_port = 4318;
  std::string otlp_database;
};
// The web page and its APIs, until SIGINT or SIGTERM.
[[nodiscard]] absl::StatusOr<int> Serve(const Context& context, const ServeArguments& arguments);
// The Model Context Protocol on standard input and output, until the input ends. `query_database`
// is how query_traces connects; "": see QueryLogin.
[[nodiscard]] absl::StatusOr<int> Mcp(const Context& context, const std::string& query_database);
[[nodiscard]] absl::StatusOr<int> Doctor(const Context& context);
[[nodiscard]] absl::StatusOr<int> Demo(const Context& context, const std::string& runner);

}  // namespace spanring::cli

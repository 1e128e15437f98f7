// The answers about executions as lines of text, for their own commands and for the demo.
// Threads: a connection belongs to one thread.
// Memory: returned by value.
// Errors: absl::Status; NotFound when the execution is unknown.
// Design: docs/architecture.md
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/context.h"
#include "cli/database.h"

namespace spanring::cli {

using Lines = std::vector<std::string>;

// The NotFound for an execution without spans, with what to do.
[[nodiscard]] absl::Status UnknownExecution(const Context& context, std::int64_t execution_id);

[[nodiscard]] absl::StatusOr<Lines> WaterfallLines(const Context& context, const Session& session,
                                                   std::int64_t execution_id);
[[nodiscard]] absl::StatusOr<Lines> DiagnosisLines(const Context& context, const Session& session,
                                                   std::int64_t execution_id);
[[nodiscard]] absl::StatusOr<Lines> RootCauseLines(const Context& context, const Session& session,
                                                   std::int64_t execution_id);
[[nodiscard]] absl::StatusOr<Lines> SimilarLines(const Context& context, const Session& session,
                                                 std::int64_t execution_id, int limit);
[[nodiscard]] absl::StatusOr<Lines> ComparisonLines(const Context& context, const Session& session,
                                                    std::int64_t execution_a,
                                                    std::int64_t execution_b);
// `window`: from, to, baseline from, baseline to, as PostgreSQL reads them.
[[nodiscard]] absl::StatusOr<Lines> WindowLines(const Context& context, const Session& session,
                                                const std::vector<pg::Parameter>& window);

// The statements behind the last two, for --json.
inline constexpr char kCompare[] = "SELECT * FROM compare_executions($1::bigint, $2::bigint)";
inline constexpr char kWindow[] =
    "SELECT * FROM identify_root_cause_window($1::timestamptz, $2::timestamptz, $3::timestamptz, "
    "$4::timestamptz)";

}  // namespace spanring::cli

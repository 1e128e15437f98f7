// The answers about one execution as lines of text, for their own commands and for the demo.
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

}  // namespace spanring::cli

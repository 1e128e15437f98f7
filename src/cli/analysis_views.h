// Where an execution's time went, as lines of text: its critical path; its calls between services.
// Threads: a connection belongs to one thread.
// Memory: returned by value.
// Errors: absl::Status; NotFound when the execution is unknown.
// Design: docs/diagnosis.md
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "cli/context.h"
#include "cli/database.h"
#include "cli/trace_views.h"

namespace spanring::cli {

[[nodiscard]] absl::StatusOr<Lines> CriticalPathLines(const Context& context,
                                                      const Session& session,
                                                      std::int64_t execution_id);
[[nodiscard]] absl::StatusOr<Lines> NetworkLines(const Context& context, const Session& session,
                                                 std::int64_t execution_id);

}  // namespace spanring::cli

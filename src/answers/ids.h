// Ids as people and programs write them.
// Threads: plain functions.
// Memory: owned strings.
// Errors: InvalidArgument says what an id may be.
// Design: docs/web.md
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace spanring::answers {

// A trace id: a UUID, or 32 or 16 hex digits; as a UUID.
[[nodiscard]] absl::StatusOr<std::string> TraceId(std::string_view text);

}  // namespace spanring::answers

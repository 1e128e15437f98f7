// The tracer's few words to its host: one line each, at most so many a minute.
// Threads: any. Memory: allocates while formatting; never called while recording a span.
// Errors: none; a line that cannot be written is lost.
// Design: docs/operations.md
#pragma once

#include <string_view>

#include "spanring/options.h"

namespace spanring::base {

// Where lines go from now on.
void ConfigureLog(const Options& options) noexcept;

void LogError(std::string_view line) noexcept;
void LogInfo(std::string_view line) noexcept;

}  // namespace spanring::base

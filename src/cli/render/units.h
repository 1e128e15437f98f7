// Numbers as people read them: durations, counts, bytes.
// Threads: pure functions.
// Memory: returned by value.
// Errors: none.
// Design: docs/architecture.md
#pragma once

#include <cstdint>
#include <string>

namespace spanring::cli {

// 850 ns, 12.3 µs, 82.5 ms, 238.9 s, 12 min 03 s, 5 h 12 min, 3 d 04 h.
[[nodiscard]] std::string FormatDuration(std::int64_t duration_ns);

// 1234567 -> 1,234,567
[[nodiscard]] std::string FormatCount(std::int64_t count);

}  // namespace spanring::cli

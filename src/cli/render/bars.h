// A bar on a time axis, in eighths of a column, and the axis itself.
// Threads: pure functions.
// Memory: returned by value.
// Errors: none; what lies outside of the axis is cut.
// Design: docs/architecture.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace spanring::cli {

struct Axis {
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  std::size_t columns = 0;
};

enum class BarKind { kSpan, kOpen, kGap };

// The interval drawn; `before` and `after` are the blanks around it, so that only it is painted.
struct Bar {
  std::size_t before = 0;
  std::string drawn;
  std::size_t after = 0;
};

// At least one column is drawn, however short the interval, at whichever edge. Spans start on half
// columns and end on eighths; open spans and gaps take whole columns.
[[nodiscard]] Bar DrawBar(const Axis& axis, std::int64_t start_ns, std::int64_t end_ns,
                          BarKind kind);

// The scale: labels at round times, exactly axis.columns wide.
[[nodiscard]] std::string DrawScale(const Axis& axis);

}  // namespace spanring::cli

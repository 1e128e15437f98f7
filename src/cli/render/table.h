// A table of text: columns as wide as their cells, the flexible ones cut until a line fits.
// Threads: pure functions.
// Memory: returned by value.
// Errors: none.
// Design: docs/architecture.md
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/render/style.h"

namespace spanring::cli {

struct TableColumn {
  std::string title;
  bool right_aligned = false;
  bool flexible = false;  // may be cut when the line is too long
};

struct TableRow {
  std::vector<std::string> cells;  // escaped here
  Tone tone = Tone::kPlain;
  std::string note;  // wrapped below the row; "" for none
};

// A heading and the rows, each line at most `width` columns where the fixed columns leave room.
[[nodiscard]] std::vector<std::string> DrawTable(const std::vector<TableColumn>& columns,
                                                 const std::vector<TableRow>& rows,
                                                 std::size_t width, const Style& style);

}  // namespace spanring::cli

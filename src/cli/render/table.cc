#include "cli/render/table.h"

#include <algorithm>

#include "cli/render/text.h"

namespace spanring::cli {
namespace {

constexpr std::size_t kGutter = 2;
constexpr std::size_t kNarrowest = 12;

std::vector<std::size_t> Widths(const std::vector<TableColumn>& columns,
                                const std::vector<TableRow>& rows, std::size_t width) {
  std::vector<std::size_t> widths;
  std::size_t total = 0;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    std::size_t widest = DisplayWidth(columns[i].title);
    for (const TableRow& row : rows) {
      if (i < row.cells.size()) widest = std::max(widest, DisplayWidth(Escape(row.cells[i])));
    }
    widths.push_back(widest);
    total += widest + (i > 0 ? kGutter : 0);
  }
  while (total > width) {
    std::size_t* longest = nullptr;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (columns[i].flexible && (longest == nullptr || widths[i] > *longest)) longest = &widths[i];
    }
    if (longest == nullptr || *longest <= kNarrowest) break;
    const std::size_t cut = std::min(total - width, *longest - kNarrowest);
    *longest -= cut;
    total -= cut;
  }
  return widths;
}

std::string Line(const std::vector<TableColumn>& columns, const std::vector<std::size_t>& widths,
                 const std::vector<std::string>& cells) {
  std::string line;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) line.append(kGutter, ' ');
    const std::string cell = i < cells.size() ? Escape(cells[i]) : "";
    line += columns[i].right_aligned ? PadLeft(cell, widths[i]) : PadRight(cell, widths[i]);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace

std::vector<std::string> DrawTable(const std::vector<TableColumn>& columns,
                                   const std::vector<TableRow>& rows, std::size_t width,
                                   const Style& style) {
  const std::vector<std::size_t> widths = Widths(columns, rows, width);
  std::vector<std::string> titles;
  for (const TableColumn& column : columns) titles.push_back(column.title);
  std::vector<std::string> lines = {
      style.Paint(Truncate(Line(columns, widths, titles), width), Tone::kBold)};
  for (const TableRow& row : rows) {
    lines.push_back(style.Paint(Truncate(Line(columns, widths, row.cells), width), row.tone));
    if (row.note.empty()) continue;
    for (const std::string& line :
         Wrap(Escape(row.note), width - std::min(width, std::size_t{4}))) {
      lines.push_back("    " + style.Paint(line, Tone::kDim));
    }
  }
  return lines;
}

}  // namespace spanring::cli

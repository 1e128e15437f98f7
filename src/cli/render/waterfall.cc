#include "cli/render/waterfall.h"

#include <algorithm>
#include <limits>
#include <map>

#include "absl/strings/str_cat.h"
#include "cli/render/bars.h"
#include "cli/render/text.h"
#include "cli/render/units.h"

namespace spanring::cli {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kDurationColumns = 12;
constexpr std::size_t kStatusColumns = 9;

// A line to come: a span or a gap.
struct Row {
  const WaterfallSpan* span = nullptr;
  const WaterfallGap* gap = nullptr;
  std::size_t depth = 0;
  bool has_child = false;
  std::string prefix;        // the tree in front of the name
  std::string below_prefix;  // the tree in front of a line below it
};

struct Layout {
  Axis axis;
  std::size_t label = 0;
  std::size_t metadata = 0;
};

std::int64_t Sum(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return a > 0 ? std::numeric_limits<std::int64_t>::max()
               : std::numeric_limits<std::int64_t>::min();
}

std::int64_t EndOf(const WaterfallSpan& span) {
  return Sum(span.offset_ns, std::max<std::int64_t>(0, span.duration_ns.value_or(0)));
}

std::vector<Row> SpanRows(const std::vector<WaterfallSpan>& spans) {
  std::vector<Row> rows;
  rows.reserve(spans.size());
  for (const WaterfallSpan& span : spans) {
    // A child is at most one step below the line above it, whatever the rows say.
    const std::size_t limit = rows.empty() ? 0 : std::min(kMaxDepth, rows.back().depth + 1);
    Row row;
    row.span = &span;
    row.depth = static_cast<std::size_t>(
        std::clamp<std::int64_t>(span.depth, 0, static_cast<std::int64_t>(limit)));
    rows.push_back(row);
  }
  return rows;
}

// A gap stands among the children of its span, in front of the first that starts at its end.
void InsertGap(const WaterfallGap& gap, std::vector<Row>* rows) {
  const auto parent = std::find_if(rows->begin(), rows->end(), [&gap](const Row& row) {
    return row.span != nullptr && row.span->span_id == gap.parent_span_id;
  });
  if (parent == rows->end()) return;
  const std::size_t depth = parent->depth + 1;
  const std::int64_t end = Sum(gap.offset_ns, gap.duration_ns);
  auto at = parent + 1;
  for (; at != rows->end() && at->depth >= depth; ++at) {
    if (at->depth == depth && at->span != nullptr && at->span->offset_ns >= end) break;
  }
  Row row;
  row.gap = &gap;
  row.depth = depth;
  rows->insert(at, row);
}

// From the last line up: what still comes below decides between ├ and └, │ and a blank.
void DrawTree(std::vector<Row>* rows) {
  std::vector<bool> continues(kMaxDepth + 3, false);
  for (auto row = rows->rbegin(); row != rows->rend(); ++row) {
    const std::size_t depth = row->depth;
    row->has_child = continues[depth + 1];
    for (std::size_t level = 1; level < depth; ++level) {
      row->prefix += continues[level] ? "│ " : "  ";
    }
    row->below_prefix = row->prefix;
    if (depth > 0) {
      row->prefix += continues[depth] ? "├─" : "└─";
      row->below_prefix += continues[depth] ? "│ " : "  ";
    }
    row->below_prefix += row->has_child ? "│ " : "  ";
    continues[depth] = true;
    std::fill(continues.begin() + static_cast<std::ptrdiff_t>(depth) + 1, continues.end(), false);
  }
}

std::string Name(const Row& row) {
  if (row.gap != nullptr) {
    return absl::StrCat("░░ ", FormatDuration(row.gap->duration_ns), " gap");
  }
  return absl::StrCat(row.span->is_orphan ? "(no parent) " : "",
                      Escape(Label(row.span->service, row.span->operation)));
}

Layout MakeLayout(const std::vector<Row>& rows, std::size_t width) {
  Layout layout;
  std::size_t widest = 16;
  bool any_metadata = false;
  for (const Row& row : rows) {
    widest = std::max(widest, DisplayWidth(row.prefix) + DisplayWidth(Name(row)));
    if (row.span == nullptr) continue;
    layout.axis.start_ns = std::min(layout.axis.start_ns, row.span->offset_ns);
    layout.axis.end_ns = std::max(layout.axis.end_ns, EndOf(*row.span));
    any_metadata |= row.span->metadata.size() > 2;
  }
  layout.label = std::min(widest, width * 2 / 5);
  const std::size_t fixed = layout.label + 1 + kDurationColumns + 2 + kStatusColumns;
  std::size_t rest = width > fixed + 1 ? width - fixed - 1 : 0;
  if (any_metadata && rest >= 54) {
    layout.metadata = std::min<std::size_t>(60, rest - rest * 3 / 5);
    rest -= layout.metadata + 1;
  }
  layout.axis.columns = rest >= 6 ? rest : 0;
  return layout;
}

class Painter {
 public:
  Painter(const std::vector<Row>& rows, Layout layout, const WaterfallOptions& options)
      : layout_(layout), width_(options.width), style_(options.style) {
    for (const Row& row : rows) {
      if (row.span != nullptr) colors_.emplace(row.span->service, colors_.size());
    }
  }

  std::string Header() const {
    return style_.Paint(std::string(layout_.label + 1, ' ') + DrawScale(layout_.axis), Tone::kDim);
  }

  std::string Line(const Row& row) const {
    std::string line = LabelPart(row) + " ";
    if (layout_.axis.columns > 0) line += BarPart(row) + " ";
    if (row.gap != nullptr) return line + GapPart(row);
    const WaterfallSpan& span = *row.span;
    line +=
        PadLeft(span.duration_ns ? FormatDuration(*span.duration_ns) : "open", kDurationColumns);
    absl::StrAppend(
        &line, "  ",
        style_.Paint(PadRight(Escape(span.status), kStatusColumns), Style::OfStatus(span.status)));
    if (layout_.metadata > 0 && span.metadata.size() > 2) {
      absl::StrAppend(&line, " ",
                      style_.Paint(Truncate(Escape(span.metadata), layout_.metadata), Tone::kDim));
    }
    return line;
  }

  // Empty when there is nothing to say below the span.
  std::string ErrorLine(const Row& row) const {
    if (row.span == nullptr) return "";
    const WaterfallSpan& span = *row.span;
    if (span.error_type.empty() && span.error_message.empty()) return "";
    const std::string between = span.error_type.empty() || span.error_message.empty() ? "" : ": ";
    const std::string text =
        absl::StrCat("✗ ", Escape(span.error_type), between, Escape(span.error_message));
    const std::string prefix = Truncate(row.below_prefix, layout_.label);
    const std::size_t rest = width_ - std::min(width_, DisplayWidth(prefix));
    return style_.Paint(prefix, Tone::kDim) +
           style_.Paint(Truncate(text, rest), Style::OfStatus(span.status));
  }

 private:
  std::string LabelPart(const Row& row) const {
    // Deep down the name counts more than its ancestors' lines.
    const std::size_t tree_columns = std::min(DisplayWidth(row.prefix), layout_.label / 2);
    const std::string tree = Truncate(row.prefix, tree_columns);
    const std::string name = PadRight(Name(row), layout_.label - tree_columns);
    if (row.gap != nullptr) return style_.Paint(tree + name, Tone::kDim);
    return style_.Paint(tree, Tone::kDim) + style_.PaintService(name, ColorOf(*row.span));
  }

  std::string BarPart(const Row& row) const {
    Bar bar;
    std::string drawn;
    if (row.gap != nullptr) {
      bar = DrawBar(layout_.axis, row.gap->offset_ns, Sum(row.gap->offset_ns, row.gap->duration_ns),
                    BarKind::kGap);
      drawn = style_.Paint(bar.drawn, Tone::kDim);
    } else {
      const bool open = !row.span->duration_ns.has_value();
      bar =
          DrawBar(layout_.axis, row.span->offset_ns, open ? layout_.axis.end_ns : EndOf(*row.span),
                  open ? BarKind::kOpen : BarKind::kSpan);
      drawn = style_.PaintService(bar.drawn, ColorOf(*row.span));
    }
    return std::string(bar.before, ' ') + drawn + std::string(bar.after, ' ');
  }

  std::string GapPart(const Row& row) const {
    const std::size_t columns =
        kDurationColumns + 2 + kStatusColumns + (layout_.metadata > 0 ? 1 + layout_.metadata : 0);
    return style_.Paint(Truncate(absl::StrCat("  ", Escape(row.gap->label)), columns), Tone::kDim);
  }

  std::size_t ColorOf(const WaterfallSpan& span) const { return colors_.at(span.service); }

  Layout layout_;
  std::size_t width_;
  Style style_;
  std::map<std::string, std::size_t> colors_;  // by first appearance
};

}  // namespace

std::vector<std::string> DrawWaterfall(const std::vector<WaterfallSpan>& spans,
                                       const std::vector<WaterfallGap>& gaps,
                                       const WaterfallOptions& options) {
  WaterfallOptions used = options;
  used.width = std::max(options.width, kMinWaterfallWidth);
  std::vector<Row> rows = SpanRows(spans);
  for (const WaterfallGap& gap : gaps) InsertGap(gap, &rows);
  DrawTree(&rows);
  const Painter painter(rows, MakeLayout(rows, used.width), used);
  std::vector<std::string> lines;
  if (!rows.empty()) lines.push_back(painter.Header());
  for (const Row& row : rows) {
    lines.push_back(painter.Line(row));
    if (std::string error = painter.ErrorLine(row); !error.empty()) {
      lines.push_back(std::move(error));
    }
  }
  return lines;
}

}  // namespace spanring::cli

#include "cli/render/bars.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "cli/render/text.h"
#include "cli/render/units.h"

namespace spanring::cli {
namespace {

constexpr std::string_view kFromLeft[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};

double Span(const Axis& axis) {
  return std::max(1.0, static_cast<double>(axis.end_ns) - static_cast<double>(axis.start_ns));
}

std::size_t Eighths(const Axis& axis, std::int64_t at_ns) {
  const double limit = static_cast<double>(axis.columns * 8);
  const double offset = static_cast<double>(at_ns) - static_cast<double>(axis.start_ns);
  return static_cast<std::size_t>(std::clamp(std::round(offset / Span(axis) * limit), 0.0, limit));
}

// Within one column: Unicode fills from the left in eighths, from the right by a half or an eighth.
std::string_view WithinColumn(std::size_t from, std::size_t to) {
  if (from >= 4) return to - from > 1 ? "▐" : "▕";
  return kFromLeft[std::max<std::size_t>(1, to - from)];
}

std::string Repeat(std::string_view piece, std::size_t times) {
  std::string repeated;
  for (std::size_t i = 0; i < times; ++i) repeated += piece;
  return repeated;
}

// 1, 2 or 5 times a power of ten that leaves about twelve columns for a label.
double Step(const Axis& axis) {
  const double wanted =
      Span(axis) * 12 / static_cast<double>(std::max<std::size_t>(1, axis.columns));
  const double power = std::pow(10, std::floor(std::log10(wanted)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= wanted) return std::max(1.0, factor * power);
  }
  return std::max(1.0, 10 * power);
}

// "50.0 s" is "50 s" on a scale.
std::string Label(double at_ns) {
  std::string label = FormatDuration(static_cast<std::int64_t>(std::clamp(at_ns, -9.2e18, 9.2e18)));
  const std::size_t zero = label.find(".0 ");
  if (zero != std::string::npos) label.erase(zero, 2);
  return at_ns == 0 ? "0" : label;
}

}  // namespace

Bar DrawBar(const Axis& axis, std::int64_t start_ns, std::int64_t end_ns, BarKind kind) {
  if (axis.columns == 0) return {};
  std::size_t from = Eighths(axis, start_ns);
  std::size_t to = std::max(from, Eighths(axis, std::max(start_ns, end_ns)));
  from = std::min(from, axis.columns * 8 - 1);
  to = std::max(to, from + 1);
  Bar bar;
  bar.before = from / 8;
  std::size_t columns = 0;
  if (kind != BarKind::kSpan) {
    columns = (to + 7) / 8 - bar.before;
    bar.drawn = Repeat(kind == BarKind::kGap ? "░" : "╌", columns);
  } else if ((to + 7) / 8 == bar.before + 1) {
    columns = 1;
    bar.drawn = WithinColumn(from % 8, to - bar.before * 8);
  } else {
    const std::size_t full = to / 8 - bar.before - 1;
    bar.drawn += from % 8 >= 4 ? "▐" : "█";
    bar.drawn += Repeat("█", full);
    bar.drawn += kFromLeft[to % 8];
    columns = 1 + full + (to % 8 != 0 ? 1 : 0);
  }
  bar.after = axis.columns - bar.before - columns;
  return bar;
}

std::string DrawScale(const Axis& axis) {
  const double step = Step(axis);
  const double start = static_cast<double>(axis.start_ns);
  std::string scale;
  std::size_t width = 0;
  for (double at = std::ceil(start / step) * step; at <= static_cast<double>(axis.end_ns);
       at += step) {
    const double column = (at - start) / Span(axis) * static_cast<double>(axis.columns);
    const std::size_t position = static_cast<std::size_t>(std::max(0.0, std::floor(column)));
    const std::string label = "│" + Label(at);
    if (position < width) continue;
    if (position + DisplayWidth(label) > axis.columns || at + step == at) break;
    scale.append(position - width, ' ');
    scale += label;
    width = position + DisplayWidth(label);
    if (width < axis.columns) {
      scale += ' ';
      ++width;
    }
  }
  scale.append(axis.columns - width, ' ');
  return scale;
}

}  // namespace spanring::cli

// Draws an execution's spans as a tree beside a time axis: rows in, lines out, no I/O.
// Threads: a pure function.
// Memory: returned by value.
// Errors: none: any rows give lines that fit; nothing in them reaches the terminal unescaped.
// Design: docs/architecture.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/render/style.h"

namespace spanring::cli {

// As trace_tree() gives them, in its order.
struct WaterfallSpan {
  std::string span_id;
  std::string parent_span_id;
  std::string service;
  std::string operation;
  std::string status;
  std::string error_type;
  std::string error_message;
  std::string metadata;
  std::int64_t depth = 0;
  std::int64_t offset_ns = 0;               // may be negative: another host's clock
  std::optional<std::int64_t> duration_ns;  // none while the span is open
  bool is_orphan = false;
};

// As trace_gaps() gives them.
struct WaterfallGap {
  std::string parent_span_id;
  std::string label;  // what it lies between
  std::int64_t offset_ns = 0;
  std::int64_t duration_ns = 0;
};

struct WaterfallOptions {
  std::size_t width = 100;
  Style style;
};

// Every line is at most options.width columns wide (at least kMinWaterfallWidth) and without '\n'.
inline constexpr std::size_t kMinWaterfallWidth = 40;
[[nodiscard]] std::vector<std::string> DrawWaterfall(const std::vector<WaterfallSpan>& spans,
                                                     const std::vector<WaterfallGap>& gaps,
                                                     const WaterfallOptions& options);

}  // namespace spanring::cli

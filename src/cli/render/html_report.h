// An execution or a trace as one HTML file: what is wrong with it, then its spans on a time axis.
// Threads: a pure function.
// Memory: returned by value.
// Errors: none: any rows give a page; nothing in them becomes markup.
// Design: docs/operations.md#export
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace spanring::cli {

struct HtmlSpan {
  std::string service;
  std::string operation;
  std::string status;
  std::int64_t row = 0;
  std::int64_t last_row = 0;  // of what lies below it
  std::int64_t depth = 0;
  std::int64_t offset_ns = 0;               // may be negative: another host's clock
  std::optional<std::int64_t> duration_ns;  // none while the span is open
  bool is_suspect = false;                  // the root cause cites it
  std::vector<std::pair<std::string, std::string>> facts;
  std::string metadata;  // JSON, or ""
};

struct HtmlGap {
  std::string label;
  std::int64_t parent_row = 0;
  std::int64_t offset_ns = 0;
  std::int64_t duration_ns = 0;
};

struct HtmlCause {
  std::string type;
  std::string where;
  std::string confidence;
  std::string evidence;
  std::string recommendation;
};

struct HtmlAnomaly {
  std::string operation;
  std::string duration;
  std::string baseline;
  std::string status;
  std::string reason;
};

struct HtmlReport {
  std::string title;
  std::string status;
  std::vector<std::pair<std::string, std::string>> facts;
  bool is_diagnosed = false;  // else neither causes nor anomalies are known
  std::vector<HtmlCause> causes;
  std::vector<HtmlAnomaly> anomalies;
  std::size_t operations = 0;  // that were diagnosed
  std::vector<HtmlSpan> spans;
  std::vector<HtmlGap> gaps;
  std::string program;  // "spanring 1.2.3"
};

// A whole document without scripts or anything from elsewhere.
[[nodiscard]] std::string DrawHtml(const HtmlReport& report);

// Made harmless as text and between quotes, control and format characters written out.
[[nodiscard]] std::string EscapeHtml(const std::string& text);

}  // namespace spanring::cli

// What trace_tree() and trace_critical_path() must say, worked out slowly and plainly: one array
// cell a microsecond, one look at every span for every question.
// Threads: pure functions.
// Memory: returned by value.
// Errors: none; parents must come before their children.
// Design: docs/diagnosis.md
#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace spanring::test {

// In the order in which trace_tree() takes siblings: by start, then by id.
struct ReferenceSpan {
  int id = 0;
  int parent = 0;  // 0 for a root
  std::int64_t start_us = 0;
  std::int64_t end_us = 0;
  bool is_open = false;  // end_us then means nothing
};

struct ReferenceSegment {
  int root = 0;
  int span = 0;
  std::int64_t start_us = 0;
  std::int64_t end_us = 0;

  bool operator==(const ReferenceSegment&) const = default;
};

class SpanReference {
 public:
  explicit SpanReference(std::vector<ReferenceSpan> spans);

  // In order of time; roots in order of start. A root without a duration has one of no length.
  [[nodiscard]] std::vector<ReferenceSegment> CriticalPath() const;

  // Of the spans that have ended, by id.
  [[nodiscard]] std::map<int, std::int64_t> SelfTimes() const;

 private:
  using Interval = std::pair<std::int64_t, std::int64_t>;

  [[nodiscard]] const ReferenceSpan& Of(int id) const;
  // The end of an open root: the last that is known of it or of what lies below.
  [[nodiscard]] std::int64_t LastKnown(const ReferenceSpan& span) const;
  // `span` as far as it lies within `limits`; empty when start >= end.
  static Interval Within(const ReferenceSpan& span, Interval limits);
  // From the end of `limits` to its start, which is where the segments are put in front.
  void WalkBack(int root, const ReferenceSpan& span, Interval limits,
                std::vector<ReferenceSegment>* segments) const;

  std::vector<ReferenceSpan> spans_;
};

}  // namespace spanring::test

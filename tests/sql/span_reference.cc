#include "sql/span_reference.h"

#include <algorithm>
#include <limits>

namespace spanring::test {

SpanReference::SpanReference(std::vector<ReferenceSpan> spans) : spans_(std::move(spans)) {
  std::sort(spans_.begin(), spans_.end(), [](const ReferenceSpan& a, const ReferenceSpan& b) {
    return std::pair(a.start_us, a.id) < std::pair(b.start_us, b.id);
  });
  for (ReferenceSpan& span : spans_) {
    if (span.is_open) span.end_us = std::numeric_limits<std::int64_t>::max();
  }
}

const ReferenceSpan& SpanReference::Of(int id) const {
  return *std::find_if(spans_.begin(), spans_.end(),
                       [id](const ReferenceSpan& span) { return span.id == id; });
}

std::int64_t SpanReference::LastKnown(const ReferenceSpan& span) const {
  std::int64_t last = span.is_open ? span.start_us : span.end_us;
  for (const ReferenceSpan& child : spans_) {
    if (child.parent == span.id) last = std::max(last, LastKnown(child));
  }
  return last;
}

SpanReference::Interval SpanReference::Within(const ReferenceSpan& span, Interval limits) {
  return {std::max(span.start_us, limits.first), std::min(span.end_us, limits.second)};
}

void SpanReference::WalkBack(int root, const ReferenceSpan& span, Interval limits,
                             std::vector<ReferenceSegment>* segments) const {
  std::int64_t here = limits.second;
  while (true) {
    const ReferenceSpan* last = nullptr;
    for (const ReferenceSpan& child : spans_) {
      if (child.parent != span.id) continue;
      const auto [start, end] = Within(child, limits);
      if (start >= end || end > here) continue;
      if (last == nullptr || end > Within(*last, limits).second) last = &child;
    }
    const Interval next = last == nullptr ? Interval(0, limits.first) : Within(*last, limits);
    if (next.second < here) segments->push_back({root, span.id, next.second, here});
    if (last == nullptr) return;
    WalkBack(root, *last, next, segments);
    here = next.first;
  }
}

std::vector<ReferenceSegment> SpanReference::CriticalPath() const {
  std::vector<ReferenceSegment> all;
  for (const ReferenceSpan& root : spans_) {
    if (root.parent != 0) continue;
    const std::int64_t end = root.is_open ? LastKnown(root) : root.end_us;
    std::vector<ReferenceSegment> segments;
    WalkBack(root.id, root, {root.start_us, end}, &segments);
    if (segments.empty()) segments.push_back({root.id, root.id, root.start_us, end});
    all.insert(all.end(), segments.rbegin(), segments.rend());
  }
  return all;
}

std::map<int, std::int64_t> SpanReference::SelfTimes() const {
  std::map<int, std::int64_t> times;
  for (const ReferenceSpan& span : spans_) {
    if (span.is_open) continue;
    std::int64_t& time = times[span.id];
    for (std::int64_t us = span.start_us; us < span.end_us; ++us) {
      time += std::none_of(spans_.begin(), spans_.end(), [&](const ReferenceSpan& child) {
        return child.parent == span.id && child.start_us <= us && us < child.end_us;
      });
    }
  }
  return times;
}

}  // namespace spanring::test

#include "flush/sampler.h"

#include <algorithm>

#include "absl/hash/hash.h"

namespace spanring::flush {
namespace {

// As diagnose_execution_trace has it: given so many completed spans, longer than so many times
// their average.
constexpr std::uint32_t kFewestSpans = 5;
constexpr double kSlowFactor = 3;
// Shorter, and what makes the difference is the scheduler.
constexpr std::int64_t kLeastSlowNs = 1'000'000;
// Beyond these the average goes with the times.
constexpr std::uint32_t kMostSpans = 1000;
// Where there are more operations they are no operations, but values.
constexpr std::size_t kMostOperations = 10'000;

}  // namespace

void Sampler::Average::Add(std::int64_t duration_ns) noexcept {
  spans = std::min(spans + 1, kMostSpans);
  ns += (static_cast<double>(duration_ns) - ns) / spans;
}

bool Sampler::IsSlow(const EndedSpan& span) {
  const std::uint64_t key =
      absl::HashOf(absl::string_view(span.service.data(), span.service.size()),
                   absl::string_view(span.operation.data(), span.operation.size()));
  if (averages_.size() >= kMostOperations && !averages_.contains(key)) averages_.clear();
  Average& average = averages_[key];
  const bool is_slow = span.duration_ns >= slow_ns_ ||
                       (average.spans >= kFewestSpans && span.duration_ns >= kLeastSlowNs &&
                        static_cast<double>(span.duration_ns) > kSlowFactor * average.ns);
  if (span.status == ring::RecordStatus::kCompleted) average.Add(span.duration_ns);
  return is_slow;
}

bool Sampler::Stores(const EndedSpan& span) {
  const bool is_slow = IsSlow(span);
  TraceId& place = PlaceOf(span.trace_id);
  if (span.status != ring::RecordStatus::kCompleted || is_slow) place = span.trace_id;
  return place == span.trace_id;
}

}  // namespace spanring::flush

// Of traces that are not sampled: which spans are stored all the same. Those that failed, and those
// that took long, much as diagnosis has it: three times the average of their operation's spans that
// were asked about, or a set time. And the spans around them, which end after them: so that what is
// stored is a path, not a splinter.
// Threads: one.
// Memory: bounded; may throw std::bad_alloc, and then has learnt nothing.
// Errors: none.
// Design: docs/architecture.md#sampling
#pragma once

#include <array>
#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "flush/row_encoder.h"
#include "spanring/id.h"

namespace spanring::flush {

class Sampler {
 public:
  explicit Sampler(std::uint64_t slow_span_ms)
      : slow_ns_(static_cast<std::int64_t>(slow_span_ms) * 1'000'000) {}

  // Whether a span of a trace that is not sampled is stored. To be asked once of each.
  bool Stores(const EndedSpan& span);
  // Whether it was ever asked.
  bool IsInUse() const noexcept { return !averages_.empty(); }

 private:
  // Of an operation's completed spans in this process, of late.
  struct Average {
    double ns = 0;
    std::uint32_t spans = 0;
    void Add(std::int64_t duration_ns) noexcept;
  };
  bool IsSlow(const EndedSpan& span);
  TraceId& PlaceOf(const TraceId& trace_id) noexcept {
    return traces_[trace_id.low() % traces_.size()];
  }

  const std::int64_t slow_ns_;
  absl::flat_hash_map<std::uint64_t, Average> averages_;  // By a hash of service and operation.
  std::array<TraceId, 4096> traces_{};  // Of which a span was stored lately; a later one replaces.
};

}  // namespace spanring::flush

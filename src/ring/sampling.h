// Which traces are sampled: as the parent has it, and where there is none by the trace id, so that
// all processes with the same ratio decide alike.
// Threads: any. Memory: none. Errors: none.
// Design: docs/architecture.md#sampling
#pragma once

#include <atomic>
#include <cstdint>

#include "ring/record.h"
#include "spanring/id.h"

namespace spanring::ring {

// What is set when tracing starts, in one word, so that nobody sees half of it.
class SamplingRule {
 public:
  // Samples everything but what a parent has not.
  constexpr SamplingRule() = default;
  // `ratio`: from 0 to 1, of the traces that begin here.
  constexpr SamplingRule(double ratio, bool asks_parent) noexcept
      : word_(static_cast<std::uint64_t>((1 - ratio) * static_cast<double>(kAll)) |
              (asks_parent ? 0 : kIgnoresParent)) {}

  constexpr bool SamplesAll() const noexcept { return word_ == 0; }
  // The last 56 bits of a trace id are its random ones, and are compared to the ratio as
  // https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/ has it.
  constexpr bool Samples(const TraceId& trace_id) const noexcept {
    return (trace_id.low() & (kAll - 1)) >= (word_ & ~kIgnoresParent);
  }
  constexpr bool Samples(const RecordStart& record) const noexcept {
    if (record.parent_id != 0 && (record.flags & kParentDecided) != 0 &&
        (word_ & kIgnoresParent) == 0) {
      return (record.flags & kParentSampled) != 0;
    }
    return Samples(TraceId(record.trace_id_high, record.trace_id_low));
  }

 private:
  static constexpr std::uint64_t kAll = std::uint64_t{1} << 56;
  static constexpr std::uint64_t kIgnoresParent = std::uint64_t{1} << 63;
  std::uint64_t word_ = 0;  // Of kAll: ids below are not sampled.
};

// relaxed, by all: a span that is open while it is set is decided by either.
inline constinit std::atomic<SamplingRule> g_sampling_rule{};
inline SamplingRule CurrentSampling() noexcept {
  return g_sampling_rule.load(std::memory_order_relaxed);
}

}  // namespace spanring::ring

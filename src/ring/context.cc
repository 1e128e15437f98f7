// Contexts and trace ids: what a span hands on to its children.
#include "platform/clock.h"
#include "platform/random.h"
#include "ring/sampling.h"
#include "ring/this_thread.h"
#include "spanring/internal/runtime_api.h"

namespace spanring::internal {
namespace {

SPANRING_THREAD_LOCAL std::uint64_t t_trace_count = 0;

}  // namespace

SpanContext ContextOf(const OpenSpan* span) noexcept {
  return {TraceId(span->record.trace_id_high, span->record.trace_id_low),
          SpanId(span->record.span_id), ring::CurrentSampling().Samples(span->record)};
}

SpanContext CurrentContext() noexcept { return ring::t_current; }

SpanContext ExchangeCurrentContext(const SpanContext& context) noexcept {
  const SpanContext previous = ring::t_current;
  ring::t_current = context;
  return previous;
}

TraceId NewTraceId() noexcept {
  if (ring::t_trace_seed == 0) [[unlikely]]
    ring::t_trace_seed = platform::RandomSeed() | 1;
  const std::uint64_t count = ++t_trace_count;
  const std::uint64_t random_high = platform::Mix(ring::t_trace_seed + 2 * count);
  const std::uint64_t random_low = platform::Mix(ring::t_trace_seed + 2 * count + 1);
  // A few milliseconds late at most, and a fifth of the price: what the index needs is the order of
  // ids within seconds.
  constexpr clockid_t kTraceIdClock = CLOCK_REALTIME_COARSE;
  const auto milliseconds =
      static_cast<std::uint64_t>(platform::ClockNanoseconds(kTraceIdClock)) / 1'000'000;
  // RFC 9562, 5.7: 48 bits of time, version 7, 12 random bits; variant 10, 62 random bits.
  return TraceId(milliseconds << 16 | 0x7000 | (random_high & 0x0fff),
                 std::uint64_t{1} << 63 | (random_low >> 2));
}

void CountMisuse() noexcept {
  if (ring::Registry* registry = ring::CurrentRegistry(); registry != nullptr) {
    registry->CountMisuse();
  }
}

}  // namespace spanring::internal

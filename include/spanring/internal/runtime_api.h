// The calls that the inline classes of span.h and tracer.h end in. Not for direct use.
// Threads: as said in span.h and tracer.h.
// Memory: an OpenSpan belongs to the tracer.
// Errors: none is returned; what goes wrong is counted.
// Design: docs/architecture.md
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "spanring/attribute.h"
#include "spanring/config.h"
#include "spanring/id.h"
#include "spanring/options.h"
#include "spanring/stats.h"

namespace spanring::internal {

enum class Mode : std::uint8_t {
  kUndecided = 0,  // Nobody asked yet; the first span reads the environment.
  kOff = 1,
  kOn = 2,
};

// relaxed: a stale read starts or skips one span around the moment of the switch, and either is
// right then; what a started runtime owns is published by the registry's own orders.
SPANRING_EXPORT extern std::atomic<Mode> g_mode;
inline bool IsOff() noexcept { return g_mode.load(std::memory_order_relaxed) == Mode::kOff; }

// A static pair of names. Its number is given at its first span and never changes.
struct CallSiteData {
  std::string_view service;
  std::string_view operation;
  std::atomic<std::uint16_t> number{0};
};

struct OpenSpan;

// Whether a span's trace is sampled, as its parent has it; as the record's flags say it. kById: it
// is decided by the trace id.
enum class Sampling : std::uint8_t { kById = 0, kNotSampled = 16, kSampled = 48 };
constexpr Sampling SamplingOf(const SpanContext& parent) noexcept {
  return static_cast<Sampling>(16 | static_cast<int>(parent.sampled) << 5);
}

SPANRING_EXPORT OpenSpan* StartSpan(TraceId trace_id, SpanId parent, CallSiteData& site,
                                    Sampling sampling = Sampling::kById) noexcept;
SPANRING_EXPORT OpenSpan* StartSpan(TraceId trace_id, SpanId parent, std::string_view service,
                                    std::string_view operation,
                                    Sampling sampling = Sampling::kById) noexcept;
// Of the thread's current context.
SPANRING_EXPORT OpenSpan* StartChildOfCurrent(CallSiteData& site) noexcept;
SPANRING_EXPORT OpenSpan* StartChildOfCurrent(std::string_view service,
                                              std::string_view operation) noexcept;
// Completes `span` and starts a sibling in its place, at the same reading of the clock.
SPANRING_EXPORT OpenSpan* NextSpan(OpenSpan* span, CallSiteData& site) noexcept;
SPANRING_EXPORT void EndSpan(OpenSpan* span, std::string_view status) noexcept;
SPANRING_EXPORT void EndSpanCompleted(OpenSpan* span) noexcept;
SPANRING_EXPORT void EndSpanWithError(OpenSpan* span, std::string_view error,
                                      std::string_view error_type) noexcept;
SPANRING_EXPORT void EndSpanWithError(OpenSpan* span, const absl::Status& error,
                                      std::string_view error_type) noexcept;
// For a destructor: failed when an exception is unwinding that was not in flight at the start.
SPANRING_EXPORT void EndSpanOfScope(OpenSpan* span) noexcept;

SPANRING_EXPORT void SetAttribute(OpenSpan* span, std::string_view key,
                                  std::string_view text) noexcept;
SPANRING_EXPORT void SetAttribute(OpenSpan* span, std::string_view key,
                                  std::int64_t number) noexcept;
SPANRING_EXPORT void SetAttribute(OpenSpan* span, std::string_view key, double number) noexcept;
SPANRING_EXPORT void SetAttribute(OpenSpan* span, std::string_view key, bool truth) noexcept;
// By its type, which the compiler mostly knows.
inline void SetAttribute(OpenSpan* span, std::string_view key,
                         const AttributeValue& value) noexcept {
  switch (value.type()) {
    case AttributeValue::Type::kString:
      return SetAttribute(span, key, value.text());
    case AttributeValue::Type::kInt64:
      return SetAttribute(span, key, value.integer());
    case AttributeValue::Type::kDouble:
      return SetAttribute(span, key, value.number());
    case AttributeValue::Type::kBool:
      return SetAttribute(span, key, value.integer() != 0);
  }
}
SPANRING_EXPORT void SetExecutionContext(OpenSpan* span, std::string_view job_id,
                                         std::int64_t execution_id, std::string_view model_id,
                                         std::string_view region) noexcept;
SPANRING_EXPORT void SetStartTime(OpenSpan* span, absl::Time time) noexcept;
SPANRING_EXPORT void SetEndTime(OpenSpan* span, absl::Time time) noexcept;
SPANRING_EXPORT SpanContext ContextOf(const OpenSpan* span) noexcept;
SPANRING_EXPORT void CountMisuse() noexcept;

// The context that new spans of this thread take as their parent.
SPANRING_EXPORT SpanContext CurrentContext() noexcept;
SPANRING_EXPORT SpanContext ExchangeCurrentContext(const SpanContext& context) noexcept;

SPANRING_EXPORT TraceId NewTraceId() noexcept;

SPANRING_EXPORT bool DecideFromEnvironment() noexcept;
SPANRING_EXPORT absl::Status Start(const Options& options);
SPANRING_EXPORT absl::Status SetEnabled(bool enabled);
SPANRING_EXPORT absl::Status Flush(absl::Duration timeout);
SPANRING_EXPORT absl::Status FlushToDisk(absl::Duration timeout);
SPANRING_EXPORT absl::Status Shutdown(absl::Duration timeout);
SPANRING_EXPORT Stats GetStats() noexcept;

}  // namespace spanring::internal

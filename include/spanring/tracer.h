// The process's tracer: starts spans, and flushes and stops the way to the database.
// Threads: every call from any thread.
// Memory: a Tracer is empty; all tracers of a process share one runtime, which is never destroyed.
// Errors: starting and ending spans cannot fail. Flush and Shutdown return absl::Status:
//   DeadlineExceeded = spans still wait, call again; DataLoss = spans were dropped, see GetStats();
//   FailedPrecondition = tracing is off.
// Design: docs/architecture.md
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "spanring/attribute.h"
#include "spanring/config.h"
#include "spanring/id.h"
#include "spanring/internal/runtime_api.h"
#include "spanring/options.h"
#include "spanring/span.h"
#include "spanring/stats.h"

namespace spanring {
inline namespace SPANRING_ABI {

class Tracer {
 public:
  // The tracer as the environment asks for it: on when ENABLE_DB_TRACING is true. Returns at once;
  // the database is looked for by the tracer's own threads.
  static Tracer FromEnvironment() noexcept {
    if constexpr (kCompiledIn) internal::DecideFromEnvironment();
    return {};
  }

  // Starts the process's tracer with settings of its own. AlreadyExists when it is running; it may
  // be started again after Shutdown, then with the ring_bytes and max_open_spans of the first
  // start. Unavailable while a Shutdown is under way: try again. ResourceExhausted when the system
  // gives no thread or memory: tracing is off then. Options that are not enabled switch it off.
  [[nodiscard]] static absl::Status Start(const Options& options) {
    if constexpr (kCompiledIn) return internal::Start(options);
    static_cast<void>(options);
    return absl::OkStatus();
  }

  // Starts a span with a trace id and a parent of the caller's choice; no parent makes it a root. A
  // nil trace id gets a fresh one. The span is not made current: see Scope.
  Span StartSpan(const TraceId& trace_id, std::optional<SpanId> parent, std::string_view service,
                 std::string_view operation,
                 std::initializer_list<Attribute> metadata = {}) noexcept {
    if (Off()) return {};
    return With(metadata,
                internal::StartSpan(trace_id, parent.value_or(SpanId()), service, operation));
  }
  Span StartSpan(const TraceId& trace_id, std::optional<SpanId> parent, CallSite& site,
                 std::initializer_list<Attribute> metadata = {}) noexcept {
    if (Off()) return {};
    return With(metadata, Start(trace_id, parent.value_or(SpanId()), site));
  }
  // A child of `parent`, which may be of another service; the root of a fresh trace if it is not
  // valid.
  Span StartSpan(const SpanContext& parent, std::string_view service, std::string_view operation,
                 std::initializer_list<Attribute> metadata = {}) noexcept {
    if (Off()) return {};
    return With(metadata, internal::StartSpan(parent.trace_id, parent.span_id, service, operation,
                                              internal::SamplingOf(parent)));
  }
  Span StartSpan(const SpanContext& parent, CallSite& site,
                 std::initializer_list<Attribute> metadata = {}) noexcept {
    if (Off()) return {};
    return With(metadata,
                Start(parent.trace_id, parent.span_id, site, internal::SamplingOf(parent)));
  }
  // A child of the thread's current span; the root of a fresh trace where there is none.
  Span StartSpan(std::string_view service, std::string_view operation,
                 std::initializer_list<Attribute> metadata = {}) noexcept {
    if (Off()) return {};
    return With(metadata, internal::StartChildOfCurrent(service, operation));
  }
  Span StartSpan(CallSite& site, std::initializer_list<Attribute> metadata = {}) noexcept {
    if (Off()) return {};
    return With(metadata, StartChild(site));
  }

  // The same as the methods of Span, as calls of the tracer.
  void SetExecutionContext(Span& span, std::string_view job_id, std::int64_t execution_id,
                           std::string_view model_id, std::string_view region) noexcept {
    span.SetExecutionContext(job_id, execution_id, model_id, region);
  }
  void CompleteSpan(Span& span, std::string_view status = "completed") noexcept {
    span.Complete(status);
  }
  void CompleteSpanWithError(Span& span, std::string_view error,
                             std::string_view error_type = {}) noexcept {
    span.CompleteWithError(error, error_type);
  }
  void CompleteSpanWithError(Span& span, const absl::Status& error,
                             std::string_view error_type = {}) noexcept {
    span.CompleteWithError(error, error_type);
  }

  // The parent that this thread's next span would take; not valid where there is none.
  SpanContext CurrentContext() const noexcept {
    if (Off()) return {};
    return internal::CurrentContext();
  }

  // A fresh UUIDv7 (RFC 9562): milliseconds in front, the last seven bytes random as W3C asks. Nil
  // while tracing is off.
  TraceId NewTraceId() const noexcept {
    if (Off()) return {};
    return internal::NewTraceId();
  }

  bool enabled() const noexcept {
    if constexpr (kCompiledIn) return internal::DecideFromEnvironment();
    return false;
  }
  // Switches recording off and on in a running process; spans that are open still end and arrive.
  // FailedPrecondition when the tracer was never started, or has been shut down.
  absl::Status SetEnabled(bool enabled) {
    if constexpr (kCompiledIn) return internal::SetEnabled(enabled);
    static_cast<void>(enabled);
    return absl::OkStatus();
  }

  // Waits until every span that had ended before the call is in the database. DeadlineExceeded:
  // they are still on their way. DataLoss: some of them were dropped.
  absl::Status Flush(absl::Duration timeout) {
    if constexpr (kCompiledIn) return internal::Flush(timeout);
    static_cast<void>(timeout);
    return absl::OkStatus();
  }

  // Waits until every span that had ended before the call is in the journal on disk, or further: a
  // process that is killed from then on loses none of them. Takes milliseconds, whatever the
  // database does. DeadlineExceeded: some are in memory alone, as all are without a journal folder.
  // DataLoss: some of them were dropped.
  absl::Status FlushToDisk(absl::Duration timeout) {
    if constexpr (kCompiledIn) return internal::FlushToDisk(timeout);
    static_cast<void>(timeout);
    return absl::OkStatus();
  }

  // Flushes, then stops the tracer's threads and closes its connection. Spans started afterwards
  // record nothing. DeadlineExceeded: what was not delivered is dropped and counted; a thread that
  // cannot be stopped in time, as inside a name look-up, ends by itself. A second call does
  // nothing.
  absl::Status Shutdown(absl::Duration timeout) {
    if constexpr (kCompiledIn) return internal::Shutdown(timeout);
    static_cast<void>(timeout);
    return absl::OkStatus();
  }

  Stats GetStats() const noexcept {
    if constexpr (kCompiledIn) return internal::GetStats();
    return {};
  }

 private:
  static bool Off() noexcept { return !kCompiledIn || internal::IsOff(); }
  static internal::OpenSpan* Start(
      const TraceId& trace_id, SpanId parent, [[maybe_unused]] CallSite& site,
      internal::Sampling sampling = internal::Sampling::kById) noexcept {
#if SPANRING_ENABLED
    return internal::StartSpan(trace_id, parent, site.data(), sampling);
#else
    static_cast<void>(trace_id);
    static_cast<void>(parent);
    static_cast<void>(sampling);
    return nullptr;
#endif
  }
  static internal::OpenSpan* StartChild([[maybe_unused]] CallSite& site) noexcept {
#if SPANRING_ENABLED
    return internal::StartChildOfCurrent(site.data());
#else
    return nullptr;
#endif
  }
  static Span With(std::initializer_list<Attribute> metadata, internal::OpenSpan* open) noexcept {
    // Apart, so that this much is always inlined and nothing is left of an empty list.
    if (metadata.size() != 0) SetAll(metadata, open);
    return Span(open);
  }
  static void SetAll(std::initializer_list<Attribute> metadata, internal::OpenSpan* open) noexcept {
    if (open == nullptr) return;
    for (const Attribute& a : metadata) internal::SetAttribute(open, a.key, a.value);
  }
};

}  // namespace SPANRING_ABI
}  // namespace spanring

// A span: one operation of a service, from its start to its end, as a move-only value.
// Threads: one thread at a time; a span may be moved to, and end on, another thread.
// Memory: a span is one pointer; its data lies in memory of the tracer. No call here allocates.
// Errors: no call throws, blocks or fails. Misuse is defined, counted in Stats, and harmless.
// Design: docs/architecture.md
//
// What odd input does, always without losing the span or its batch:
// - ending twice, ending a moved-from span, setting after the end: nothing; Stats::misuses + 1.
// - names, ids, keys and error types above 255 bytes, error messages above 16 KiB: cut between two
//   characters.
// - all text of a span together above 30,000 bytes: what comes later is left out; the span's
//   metadata says how many attributes under "spanring.dropped_attributes".
// - bytes that are not UTF-8, and NUL bytes: U+FFFD in their place.
// - NaN and infinities, which JSON lacks: the strings "NaN", "Infinity", "-Infinity".
// - an attribute set twice: the last value that fitted (each setting takes room of its own). An
// attribute's empty key: kept as "".
// - an empty job id, model id, region or error type: SQL NULL.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "spanring/attribute.h"
#include "spanring/config.h"
#include "spanring/id.h"
#include "spanring/internal/runtime_api.h"

namespace spanring {
inline namespace SPANRING_ABI {

// A service and an operation known at compile time: the cheapest way to name a span.
//   static constinit spanring::CallSite kQuestion("runner", "runner.execute_question");
// Its texts must live as long as the program (string literals do); it must have static storage.
class CallSite {
 public:
  // An empty `service` is the process's own, OTEL_SERVICE_NAME.
  constexpr CallSite(std::string_view service, std::string_view operation)
#if SPANRING_ENABLED
      : data_{service, operation} {
  }
#else
  {
    static_cast<void>(service);
    static_cast<void>(operation);
  }
#endif
  CallSite(const CallSite&) = delete;
  CallSite& operator=(const CallSite&) = delete;

#if SPANRING_ENABLED
  // For span.h and tracer.h.
  internal::CallSiteData& data() { return data_; }

 private:
  internal::CallSiteData data_;
#endif
};

class Span {
 public:
  // A span that records nothing, as all are while tracing is off.
  constexpr Span() noexcept = default;
  Span(Span&& other) noexcept : open_(std::exchange(other.open_, nullptr)), ended_(other.ended_) {
    other.ended_ = true;
  }
  Span& operator=(Span&& other) noexcept {
    if (this != &other) {
      EndOfScope();
      open_ = std::exchange(other.open_, nullptr);
      ended_ = std::exchange(other.ended_, true);
    }
    return *this;
  }
  // Completes the span if nobody has; as failed, with error_type "exception", when it goes out of
  // scope because an exception was thrown since it started.
  ~Span() { EndOfScope(); }

  // Sets the columns job_id, execution_id, model_id and region, of this span. May be called again:
  // what is not empty replaces what was set before. Spans below belong to the execution by their
  // trace, for every question about it; trace_executions counts those that carry its id.
  void SetExecutionContext(std::string_view job_id, std::int64_t execution_id,
                           std::string_view model_id, std::string_view region) noexcept {
    if (!Recording()) return;
    internal::SetExecutionContext(open_, job_id, execution_id, model_id, region);
  }
  // Adds a key and its value to the column metadata.
  void SetAttribute(std::string_view key, const AttributeValue& value) noexcept {
    if (!Recording()) return;
    internal::SetAttribute(open_, key, value);
  }
  void SetAttributes(std::span<const Attribute> attributes) noexcept {
    if (!Recording()) return;
    for (const Attribute& a : attributes) internal::SetAttribute(open_, a.key, a.value);
  }
  // For spans that happened at another time, such as imported ones: replace the clock's reading.
  // 1678 to 2262, to the nanosecond; a time outside that becomes the nearest one inside. A span
  // that would end before it starts gets no duration, and its metadata says by how much under
  // "spanring.ended_before_start_ns".
  void SetStartTime(absl::Time time) noexcept {
    if (!Recording()) return;
    internal::SetStartTime(open_, time);
  }
  void SetEndTime(absl::Time time) noexcept {
    if (!Recording()) return;
    internal::SetEndTime(open_, time);
  }

  // For the phases of a loop: completes this span, and starts the next one in its place, a sibling
  // in the same trace with the same parent. One reading of the clock ends the one and starts the
  // other, so no time lies between them, and the pair costs less than two spans. Context and
  // attributes are each span's own.
  //   Span phase = tracer.StartSpan(kPrepare);
  //   phase.Next(kSend);
  //   phase.Next(kWait);
  //   phase.Complete();
  void Next([[maybe_unused]] CallSite& site) noexcept {
#if SPANRING_ENABLED
    if (!Recording()) return;
    if (internal::IsOff()) return internal::EndSpanCompleted(Release());
    open_ = internal::NextSpan(open_, site.data());
#endif
  }

  // Ends the span as completed.
  void Complete() noexcept {
    if (!Recording()) return;
    internal::EndSpanCompleted(Release());
  }
  // Ends the span as "completed", "failed" or "timeout" (any case). Another word: completed, and
  // the word is kept in the metadata under "status".
  void Complete(std::string_view status) noexcept {
    if (!Recording()) return;
    internal::EndSpan(Release(), status);
  }
  // Ends the span as failed, with the columns error_message and error_type.
  void CompleteWithError(std::string_view error, std::string_view error_type = {}) noexcept {
    if (!Recording()) return;
    internal::EndSpanWithError(Release(), error, error_type);
  }
  // The same from a status: its message, and its code's name where `error_type` is empty. An OK
  // status completes the span.
  void CompleteWithError(const absl::Status& error, std::string_view error_type = {}) noexcept {
    if (!Recording()) return;
    internal::EndSpanWithError(Release(), error, error_type);
  }

  // False when nothing is recorded: tracing is off, the span has ended, or there was no room.
  bool is_recording() const noexcept { return kCompiledIn && open_ != nullptr; }

  // What a child, here or in another service, needs as its parent. Not valid once the span ended.
  SpanContext context() const noexcept {
    if (!is_recording()) return {};
    return internal::ContextOf(open_);
  }

 private:
  friend class Tracer;
  explicit Span(internal::OpenSpan* open) noexcept : open_(open) {}

  bool Recording() const noexcept {
    if constexpr (!kCompiledIn) return false;
    if (open_ != nullptr) [[likely]]
      return true;
    if (ended_) internal::CountMisuse();
    return false;
  }
  internal::OpenSpan* Release() noexcept {
    ended_ = true;
    return std::exchange(open_, nullptr);
  }
  void EndOfScope() noexcept {
    if constexpr (kCompiledIn) {
      if (open_ != nullptr) internal::EndSpanOfScope(Release());
    }
  }

  internal::OpenSpan* open_ = nullptr;
  bool ended_ = false;  // By a call or a move: what follows on this span is misuse.
};

// Makes a context the parent of the spans that this thread starts without naming one, until the end
// of the scope. Scopes of one thread nest like the blocks they stand in.
class Scope {
 public:
  explicit Scope(const SpanContext& context) noexcept {
    if constexpr (kCompiledIn) {
      if (context.is_valid()) {
        previous_ = internal::ExchangeCurrentContext(context);
        active_ = true;
      }
    } else {
      static_cast<void>(context);
    }
  }
  explicit Scope(const Span& span) noexcept : Scope(span.context()) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() {
    if constexpr (kCompiledIn) {
      if (active_) internal::ExchangeCurrentContext(previous_);
    }
  }

 private:
  SpanContext previous_;
  bool active_ = false;
};

}  // namespace SPANRING_ABI
}  // namespace spanring

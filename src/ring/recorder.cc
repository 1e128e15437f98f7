// The hot path: starting and ending a span. What it may cost is contract C1: no lock, no system
// call, no allocation, no locked instruction, except in the functions marked cold.
//
// Two rules of thumb: what was just written is not read back in a wider load, which would wait
// until the store has left the store buffer; and the usual case makes no call but a tail call, so
// that it has no register to save.
#include <algorithm>
#include <exception>

#include "platform/clock.h"
#include "ring/call_sites.h"
#include "ring/items.h"
#include "ring/this_thread.h"
#include "spanring/internal/runtime_api.h"

#define SPANRING_INLINE inline __attribute__((always_inline))
#define SPANRING_COLD __attribute__((noinline, cold))

namespace spanring::ring {
namespace {

using internal::CallSiteData;

SPANRING_INLINE std::int64_t CounterNow() noexcept {
  return static_cast<std::int64_t>(platform::CounterTicks());
}
std::int64_t Now() noexcept { return static_cast<std::int64_t>(platform::Ticks()); }

// --- Start ---

// A slot that says it is open is whole, for the drainer that looks at it meanwhile and for whoever
// reads it when this process was killed: so it says so last, and stops saying so first.

// Counts the span as started, and names it.
SPANRING_INLINE void Fill(Producer* producer, OpenSpan* span) noexcept {
  span->record.span_id = producer->CountStarted();
  span->exceptions_at_start = producer->uncaught_exceptions();
}

SPANRING_INLINE void SetTrace(OpenSpan* span, TraceId trace_id, SpanId parent) noexcept {
  // release: pairs with the acquire in LookAtOpenSpan: who sees this has seen that the slot was
  // free.
  span->record.SetTraceIdHigh(trace_id.high());
  span->record.trace_id_low = trace_id.low();
  span->record.parent_id = parent.value();
}

// Counts a start that has no producer, or that interrupted the tracer on its own thread.
SPANRING_COLD void RefuseStart(Producer* producer) noexcept {
  if (producer != nullptr) return producer->CountReentrantStart();
  // Either tracing has just turned out to be off, or there is no memory.
  if (Registry* registry = CurrentRegistry(); registry != nullptr) {
    registry->CountStartedWithoutProducer();
  }
}

// A slot, whatever it takes; nullptr, and counted, where there is none. The producer is left
// entered.
OpenSpan* TakeSlot(TraceId trace_id, SpanId parent, std::uint16_t site,
                   SamplingBits sampling) noexcept {
  Producer* producer = ThisProducer();
  if (producer == nullptr || !producer->Enter()) [[unlikely]] {
    RefuseStart(producer);
    return nullptr;
  }
  OpenSpan* span = producer->TakeSlot();
  if (span == nullptr) [[unlikely]] {
    producer->CountStarted();
    producer->Leave();
    return nullptr;
  }
  SetTrace(span, trace_id.is_nil() ? internal::NewTraceId() : trace_id, parent);
  Fill(producer, span);
  span->record.SetFirst(sizeof(RecordHeader), site, RecordStatus::kFree, sampling);
  return span;
}

// What TakeSlot took, and the caller has filled.
SPANRING_INLINE OpenSpan* OpenNow(OpenSpan* span) noexcept {
  span->record.start = Now();
  span->record.SetStatus(RecordStatus::kOpen);
  span->owner->Leave();
  return span;
}

SPANRING_COLD void NameByNewSite(OpenSpan* span, CallSiteData& site) noexcept {
  span->record.site = RegisterCallSite(site);
  if (span->record.site == 0) {  // The table is full.
    AppendText(span, ItemKind::kService, site.service);
    AppendText(span, ItemKind::kOperation, site.operation);
  }
}

// acquire: pairs with the release in RegisterCallSite; the entry travels on with the ring.
SPANRING_INLINE std::uint16_t NumberOf(const CallSiteData& site) noexcept {
  return site.number.load(std::memory_order_acquire);
}

// Any start: the first of a thread, of a call site, of a trace, and so on.
__attribute__((noinline)) OpenSpan* StartAny(TraceId trace_id, SpanId parent, CallSiteData& site,
                                             SamplingBits sampling) noexcept {
  const std::uint16_t number = NumberOf(site);
  OpenSpan* span = TakeSlot(trace_id, parent, number, sampling);
  if (span == nullptr) [[unlikely]]
    return nullptr;
  if (number == 0) [[unlikely]]
    NameByNewSite(span, site);
  return OpenNow(span);
}

// The start of which all is at hand: no call, and so no register to save.
// `sampling` is asked for last: a value that waits in a register would be one to save.
template <typename GetSampling>
SPANRING_INLINE OpenSpan* Start(TraceId trace_id, SpanId parent, CallSiteData& site,
                                GetSampling sampling) noexcept {
  Producer* producer = t_producer;
  const std::uint16_t number = NumberOf(site);
  if (producer == nullptr || number == 0 || trace_id.is_nil() || !platform::HasCounter() ||
      !producer->Enter()) [[unlikely]] {
    return StartAny(trace_id, parent, site, sampling());
  }
  OpenSpan* span = producer->TryTakeSlot();
  if (span == nullptr) [[unlikely]] {
    producer->Leave();
    return StartAny(trace_id, parent, site, sampling());
  }
  SetTrace(span, trace_id, parent);
  Fill(producer, span);
  // Late, so that the span's time begins where the caller's work does.
  span->record.start = CounterNow();
  span->record.SetFirst(sizeof(RecordHeader), number, RecordStatus::kOpen, sampling());
  producer->Leave();
  return span;
}

SPANRING_INLINE OpenSpan* Start(TraceId trace_id, SpanId parent, std::string_view service,
                                std::string_view operation, SamplingBits sampling) noexcept {
  OpenSpan* span = TakeSlot(trace_id, parent, 0, sampling);
  if (span == nullptr) [[unlikely]]
    return nullptr;
  AppendText(span, ItemKind::kService, service);
  AppendText(span, ItemKind::kOperation, operation);
  return OpenNow(span);
}

// --- End ---

// Copies a plain span to its place in the ring.
SPANRING_INLINE void PutPlain(Producer* producer, const OpenSpan* span, std::uint8_t* to,
                              RecordStatus status, std::int64_t end) noexcept {
  CopyHeader(to, span->record, sizeof(RecordHeader), status, end, 0);
  producer->committed.Add(1);
  producer->ring().Commit(sizeof(RecordHeader));
  producer->ring().FetchAhead(sizeof(RecordHeader));
}

SPANRING_COLD void ReturnExtension(OpenSpan* span) noexcept {
  span->owner->registry()->extensions().Return(span->items);
  span->items = span->inline_items;
  span->capacity = internal::kInlineItemBytes;
}

SPANRING_INLINE void SayFree(OpenSpan* span) noexcept {
  span->record.SetFirst(0, 0, RecordStatus::kFree);
}

// What a free slot is.
void MakePlain(OpenSpan* span) noexcept {
  SayFree(span);
  if (span->items != span->inline_items) [[unlikely]]
    ReturnExtension(span);
  span->lost_attributes = 0;
  span->execution_id = 0;
}

// Copies any span into the ring, and leaves its slot plain; a full ring drops it, and counts.
void PutAny(Producer* producer, OpenSpan* span, RecordStatus status, std::int64_t end) noexcept {
  if ((span->record.flags & kEndIsUnixNs) != 0) [[unlikely]]
    end = span->end;
  if (span->lost_attributes != 0) [[unlikely]]
    SayWhatWasLost(span);
  const std::uint32_t size = span->record.size;
  const std::uint32_t rounded = (size + 7) & ~7U;
  if (std::uint8_t* to = producer->ring().Reserve(rounded); to != nullptr) [[likely]] {
    CopyHeader(to, span->record, rounded, status, end, span->execution_id);
    if (size != sizeof(RecordHeader)) {
      CopyItems(to + sizeof(RecordHeader), span->items, size - sizeof(RecordHeader));
    }
    producer->committed.Add(1);
    producer->ring().Commit(rounded);
    producer->ring().FetchAhead(rounded);
  } else {
    // Free first: who is killed in between has lost a span, and has not counted one that is found.
    MakePlain(span);
    return producer->CountDrop(DropReason::kRingFull);
  }
  MakePlain(span);
}

SPANRING_INLINE void Free(Producer* producer, OpenSpan* span) noexcept {
  producer->ReturnSlot(span);
  producer->Leave();
}

// Out of line, so that a plain end has no register to save.
__attribute__((noinline)) void EndAny(Producer* producer, OpenSpan* span, RecordStatus status,
                                      std::int64_t end) noexcept {
  PutAny(producer, span, status, end);
  Free(producer, span);
}

// The span was started by another thread or before a fork, or it ends in a signal handler that
// interrupted the tracer.
SPANRING_COLD void EndElsewhere(OpenSpan* span, RecordStatus status, std::int64_t end) noexcept {
  // The parent's span: it ends there, and this process knows nothing of it.
  if (span->owner->registry() != CurrentRegistry()) return;
  Producer* producer = ThisProducer();
  const bool entered = producer != nullptr && producer->Enter();
  if (entered) {
    PutAny(producer, span, status, end);
  } else {
    // Free before it is counted, as in PutAny.
    MakePlain(span);
    if (producer != nullptr) {
      producer->CountReentrantEnd();
    } else {
      span->owner->registry()->CountEndedWithoutProducer();
    }
  }
  if (entered && span->owner == producer) {
    producer->ReturnSlot(span);
  } else {
    span->owner->ReturnSlotFromElsewhere(span);
  }
  if (entered) producer->Leave();
}

SPANRING_INLINE void End(OpenSpan* span, RecordStatus status, std::int64_t end) noexcept {
  Producer* producer = t_producer;
  if (span->owner != producer || !producer->Enter()) [[unlikely]]
    return EndElsewhere(span, status, end);
  if (!span->IsPlain()) return EndAny(producer, span, status, end);
  std::uint8_t* to = producer->ring().TryReserve(sizeof(RecordHeader));
  if (to == nullptr) [[unlikely]]
    return EndAny(producer, span, status, end);
  PutPlain(producer, span, to, status, end);
  SayFree(span);
  Free(producer, span);
}

SPANRING_COLD void EndByKernelTime(OpenSpan* span, RecordStatus status) noexcept {
  End(span, status, Now());
}

// Reads the time before anything else.
SPANRING_INLINE void EndNow(OpenSpan* span, RecordStatus status) noexcept {
  if (!platform::HasCounter()) [[unlikely]]
    return EndByKernelTime(span, status);
  End(span, status, CounterNow());
}

// --- Next ---

// The slot, with its trace and its parent, goes on as the next span.
SPANRING_INLINE OpenSpan* GoOn(Producer* producer, OpenSpan* span, std::uint16_t site,
                               SamplingBits sampling, std::int64_t now) noexcept {
  Fill(producer, span);
  span->record.start = now;
  span->record.SetFirst(sizeof(RecordHeader), site, RecordStatus::kOpen, sampling);
  producer->Leave();
  return span;
}

// Out of line for the same reason as EndAny.
__attribute__((noinline)) OpenSpan* NextAny(Producer* producer, OpenSpan* span, std::uint16_t site,
                                            std::int64_t now) noexcept {
  const SamplingBits sampling = span->record.sampling();
  PutAny(producer, span, RecordStatus::kCompleted, now);
  return GoOn(producer, span, site, sampling, now);
}

// As two calls, with one time: on another thread, in a handler, or at a site's first span.
SPANRING_COLD OpenSpan* NextElsewhere(OpenSpan* span, CallSiteData& site,
                                      std::int64_t now) noexcept {
  const TraceId trace_id(span->record.trace_id_high, span->record.trace_id_low);
  const SpanId parent(span->record.parent_id);
  const SamplingBits sampling = span->record.sampling();
  End(span, RecordStatus::kCompleted, now);
  OpenSpan* next = StartAny(trace_id, parent, site, sampling);
  if (next != nullptr) next->record.start = now;
  return next;
}

// An exception is unwinding, or the thread has not traced before.
SPANRING_COLD void EndOfScopeUnusual(OpenSpan* span) noexcept {
  if (std::uncaught_exceptions() > static_cast<int>(span->exceptions_at_start)) {
    return internal::EndSpanWithError(span, std::string_view(), "exception");
  }
  EndNow(span, RecordStatus::kCompleted);
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return (x | 0x20) == y; });
}

}  // namespace
}  // namespace spanring::ring

namespace spanring::internal {

using ring::ItemKind;
using ring::RecordStatus;

constinit std::atomic<Mode> g_mode{Mode::kUndecided};

OpenSpan* StartSpan(TraceId trace_id, SpanId parent, CallSiteData& site,
                    Sampling sampling) noexcept {
  return ring::Start(trace_id, parent, site, [&] { return ring::SamplingBits(sampling); });
}

OpenSpan* StartSpan(TraceId trace_id, SpanId parent, std::string_view service,
                    std::string_view operation, Sampling sampling) noexcept {
  return ring::Start(trace_id, parent, service, operation, ring::SamplingBits(sampling));
}

OpenSpan* StartChildOfCurrent(CallSiteData& site) noexcept {
  const SpanContext& current = ring::t_current;
  return ring::Start(current.trace_id, current.span_id, site,
                     [] { return ring::SamplingBits(ring::t_current); });
}

OpenSpan* StartChildOfCurrent(std::string_view service, std::string_view operation) noexcept {
  const SpanContext& current = ring::t_current;
  return ring::Start(current.trace_id, current.span_id, service, operation,
                     ring::SamplingBits(current));
}

OpenSpan* NextSpan(OpenSpan* span, CallSiteData& site) noexcept {
  const std::int64_t now = ring::Now();
  ring::Producer* producer = ring::t_producer;
  const std::uint16_t number = ring::NumberOf(site);
  if (span->owner != producer || number == 0 || !producer->Enter()) [[unlikely]]
    return ring::NextElsewhere(span, site, now);
  if (!span->IsPlain()) return ring::NextAny(producer, span, number, now);
  std::uint8_t* to = producer->ring().TryReserve(sizeof(ring::RecordHeader));
  if (to == nullptr) [[unlikely]]
    return ring::NextAny(producer, span, number, now);
  const ring::SamplingBits sampling = span->record.sampling();
  ring::PutPlain(producer, span, to, RecordStatus::kCompleted, now);
  ring::SayFree(span);
  return ring::GoOn(producer, span, number, sampling, now);
}

void EndSpanCompleted(OpenSpan* span) noexcept { ring::EndNow(span, RecordStatus::kCompleted); }

void EndSpan(OpenSpan* span, std::string_view status) noexcept {
  const std::int64_t end = ring::Now();
  RecordStatus known = RecordStatus::kCompleted;
  if (ring::EqualsIgnoringCase(status, "failed")) {
    known = RecordStatus::kFailed;
  } else if (ring::EqualsIgnoringCase(status, "timeout")) {
    known = RecordStatus::kTimeout;
  } else if (!ring::EqualsIgnoringCase(status, "completed")) {
    SetAttribute(span, "status", status);
  }
  ring::End(span, known, end);
}

void EndSpanWithError(OpenSpan* span, std::string_view error,
                      std::string_view error_type) noexcept {
  const std::int64_t end = ring::Now();
  ring::AppendError(span, error, error_type);
  ring::End(span, RecordStatus::kFailed, end);
}

void EndSpanOfScope(OpenSpan* span) noexcept {
  const ring::Producer* producer = ring::t_producer;
  if (producer == nullptr || producer->uncaught_exceptions() > span->exceptions_at_start)
      [[unlikely]] {
    return ring::EndOfScopeUnusual(span);
  }
  ring::EndNow(span, RecordStatus::kCompleted);
}

}  // namespace spanring::internal

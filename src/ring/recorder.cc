// The hot path: starting and ending a span. What it may cost is contract C1: no lock, no system
// call, no allocation, no locked instruction, except in the functions marked cold.
//
// Two rules of thumb that measuring taught: what was just written is read back in the same width
// (a narrower or wider load waits until the store has left the store buffer), and what must be
// checked on every span is checked in one comparison.
#include <algorithm>

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

// Counts a start that has no producer, or that interrupted the tracer on its own thread.
SPANRING_COLD void RefuseStart(Producer* producer) noexcept {
  if (producer != nullptr) return producer->CountReentrantStart();
  // Either tracing has just turned out to be off, or there is no memory.
  if (Registry* registry = CurrentRegistry(); registry != nullptr) {
    registry->CountStartedWithoutProducer();
  }
}

// A producer that may be used now, or nullptr (counted).
SPANRING_INLINE Producer* EnterProducer() noexcept {
  Producer* producer = ThisProducer();
  if (producer == nullptr || !producer->Enter()) [[unlikely]] {
    RefuseStart(producer);
    return nullptr;
  }
  return producer;
}

SPANRING_COLD void NameByNewSite(OpenSpan* span, CallSiteData& site) noexcept {
  span->record.site = RegisterCallSite(site);
  if (span->record.site == 0) {  // The table is full.
    AppendText(span, ItemKind::kService, site.service);
    AppendText(span, ItemKind::kOperation, site.operation);
  }
}

// Makes the slot an open span, of which trace, parent and start are set by the caller.
SPANRING_INLINE void Fill(Producer* producer, OpenSpan* span, std::uint64_t span_id,
                          std::uint16_t site) noexcept {
  span->record.SetFirst(sizeof(RecordHeader), site, RecordStatus::kOpen);
  span->record.span_id = span_id;
  span->exceptions_at_start = producer->uncaught_exceptions();
}

SPANRING_INLINE void FillAndName(Producer* producer, OpenSpan* span, std::uint64_t span_id,
                                 CallSiteData& site) noexcept {
  // acquire: pairs with the release in RegisterCallSite; the entry travels on with the ring.
  const std::uint16_t number = site.number.load(std::memory_order_acquire);
  Fill(producer, span, span_id, number);
  if (number == 0) [[unlikely]]
    NameByNewSite(span, site);
}

// A slot with a trace and a parent; nullptr, and counted, where there is none.
SPANRING_INLINE OpenSpan* TakeSlot(Producer* producer, TraceId trace_id, SpanId parent) noexcept {
  OpenSpan* span = producer->TakeSlot();
  if (span == nullptr) [[unlikely]]
    return nullptr;
  if (trace_id.is_nil()) [[unlikely]]
    trace_id = internal::NewTraceId();
  span->record.trace_id_high = trace_id.high();
  span->record.trace_id_low = trace_id.low();
  span->record.parent_id = parent.value();
  return span;
}

SPANRING_INLINE OpenSpan* Start(TraceId trace_id, SpanId parent, CallSiteData& site) noexcept {
  Producer* producer = EnterProducer();
  if (producer == nullptr) [[unlikely]]
    return nullptr;
  const std::uint64_t span_id = producer->CountStarted();
  OpenSpan* span = TakeSlot(producer, trace_id, parent);
  if (span != nullptr) [[likely]] {
    FillAndName(producer, span, span_id, site);
    // Last, so that the span's time begins where the caller's work does.
    span->record.start = static_cast<std::int64_t>(platform::Ticks());
  }
  producer->Leave();
  return span;
}

SPANRING_INLINE OpenSpan* Start(TraceId trace_id, SpanId parent, std::string_view service,
                                std::string_view operation) noexcept {
  Producer* producer = EnterProducer();
  if (producer == nullptr) [[unlikely]]
    return nullptr;
  const std::uint64_t span_id = producer->CountStarted();
  OpenSpan* span = TakeSlot(producer, trace_id, parent);
  if (span != nullptr) [[likely]] {
    Fill(producer, span, span_id, 0);
    AppendText(span, ItemKind::kService, service);
    AppendText(span, ItemKind::kOperation, operation);
    span->record.start = static_cast<std::int64_t>(platform::Ticks());
  }
  producer->Leave();
  return span;
}

// Copies the span into the ring; a full ring drops it, and counts.
SPANRING_INLINE void PutPlain(Producer* producer, const OpenSpan* span, RecordStatus status,
                              std::int64_t end) noexcept {
  std::uint8_t* to = producer->ring().Reserve(sizeof(RecordHeader));
  if (to == nullptr) [[unlikely]]
    return producer->CountDrop(DropReason::kRingFull);
  CopyHeader(to, span->record, sizeof(RecordHeader), status, end, 0);
  producer->committed.Add(1);
  producer->ring().Commit(sizeof(RecordHeader));
}

SPANRING_COLD void ReturnExtension(OpenSpan* span) noexcept {
  span->owner->registry()->extensions().Return(span->items);
  span->items = span->inline_items;
  span->capacity = internal::kInlineItemBytes;
}

void MakePlain(OpenSpan* span) noexcept {
  if (span->items != span->inline_items) [[unlikely]]
    ReturnExtension(span);
  span->lost_attributes = 0;
  span->record.execution_id = 0;
}

// The same for a span with items, flags or a context, and brings its slot back to how a free one
// is.
void PutAny(Producer* producer, OpenSpan* span, RecordStatus status, std::int64_t end) noexcept {
  if ((span->record.flags & kEndIsUnixNs) != 0) [[unlikely]]
    end = span->record.end;
  if (span->lost_attributes != 0) [[unlikely]]
    SayWhatWasLost(span);
  const std::uint32_t size = span->record.size;
  const std::uint32_t rounded = (size + 7) & ~7U;
  if (std::uint8_t* to = producer->ring().Reserve(rounded); to != nullptr) [[likely]] {
    CopyHeader(to, span->record, rounded, status, end, span->record.execution_id);
    if (size != sizeof(RecordHeader)) {
      CopyItems(to + sizeof(RecordHeader), span->items, size - sizeof(RecordHeader));
    }
    producer->committed.Add(1);
    producer->ring().Commit(rounded);
  } else {
    producer->CountDrop(DropReason::kRingFull);
  }
  MakePlain(span);
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
    if (producer != nullptr) {
      producer->CountReentrantEnd();
    } else {
      span->owner->registry()->CountEndedWithoutProducer();
    }
    MakePlain(span);
  }
  span->record.SetFirst(0, 0, RecordStatus::kFree);
  if (entered && span->owner == producer) {
    producer->ReturnSlot(span);
  } else {
    span->owner->ReturnSlotFromElsewhere(span);
  }
  if (entered) producer->Leave();
}

SPANRING_INLINE void Free(Producer* producer, OpenSpan* span) noexcept {
  span->record.SetFirst(0, 0, RecordStatus::kFree);
  producer->ReturnSlot(span);
  producer->Leave();
}

// Out of line, so that an end without items keeps to the registers that need no saving.
__attribute__((noinline)) void EndAny(Producer* producer, OpenSpan* span, RecordStatus status,
                                      std::int64_t end) noexcept {
  PutAny(producer, span, status, end);
  Free(producer, span);
}

SPANRING_INLINE std::int64_t Now() noexcept { return static_cast<std::int64_t>(platform::Ticks()); }

// `end` is read before anything else is done.
SPANRING_INLINE void End(OpenSpan* span, RecordStatus status, std::int64_t end) noexcept {
  Producer* producer = t_producer;
  if (span->owner != producer || !producer->Enter()) [[unlikely]]
    return EndElsewhere(span, status, end);
  if (!span->record.IsPlain()) return EndAny(producer, span, status, end);
  PutPlain(producer, span, status, end);
  Free(producer, span);
}

// As two calls, with one time.
SPANRING_COLD OpenSpan* NextElsewhere(OpenSpan* span, CallSiteData& site,
                                      std::int64_t now) noexcept {
  const TraceId trace_id(span->record.trace_id_high, span->record.trace_id_low);
  const SpanId parent(span->record.parent_id);
  EndElsewhere(span, RecordStatus::kCompleted, now);
  OpenSpan* next = Start(trace_id, parent, site);
  if (next != nullptr) next->record.start = now;
  return next;
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

OpenSpan* StartSpan(TraceId trace_id, SpanId parent, CallSiteData& site) noexcept {
  return ring::Start(trace_id, parent, site);
}

OpenSpan* StartSpan(TraceId trace_id, SpanId parent, std::string_view service,
                    std::string_view operation) noexcept {
  return ring::Start(trace_id, parent, service, operation);
}

OpenSpan* StartChildOfCurrent(CallSiteData& site) noexcept {
  return ring::Start(ring::t_current.trace_id, ring::t_current.span_id, site);
}

OpenSpan* StartChildOfCurrent(std::string_view service, std::string_view operation) noexcept {
  return ring::Start(ring::t_current.trace_id, ring::t_current.span_id, service, operation);
}

OpenSpan* NextSpan(OpenSpan* span, CallSiteData& site) noexcept {
  const std::int64_t now = ring::Now();
  ring::Producer* producer = ring::t_producer;
  if (span->owner != producer || !producer->Enter()) [[unlikely]]
    return ring::NextElsewhere(span, site, now);
  if (span->record.IsPlain()) [[likely]] {
    ring::PutPlain(producer, span, RecordStatus::kCompleted, now);
  } else {
    ring::PutAny(producer, span, RecordStatus::kCompleted, now);
  }
  // The slot, with its trace and its parent, goes on as the next span.
  ring::FillAndName(producer, span, producer->CountStarted(), site);
  span->record.start = now;
  producer->Leave();
  return span;
}

void EndSpanCompleted(OpenSpan* span) noexcept {
  ring::End(span, RecordStatus::kCompleted, ring::Now());
}

void EndSpan(OpenSpan* span, std::string_view status) noexcept {
  const std::int64_t end = ring::Now();
  if (ring::EqualsIgnoringCase(status, "failed"))
    return ring::End(span, RecordStatus::kFailed, end);
  if (ring::EqualsIgnoringCase(status, "timeout")) {
    return ring::End(span, RecordStatus::kTimeout, end);
  }
  if (!ring::EqualsIgnoringCase(status, "completed")) SetAttribute(span, "status", status);
  ring::End(span, RecordStatus::kCompleted, end);
}

void EndSpanWithError(OpenSpan* span, std::string_view error,
                      std::string_view error_type) noexcept {
  const std::int64_t end = ring::Now();
  // The type first: it is short, and worth more than the end of a long message.
  if (!error_type.empty()) ring::AppendText(span, ItemKind::kErrorType, error_type);
  if (!error.empty()) {
    ring::AppendText(span, ItemKind::kErrorMessage, error, ring::kMaxErrorBytes);
  }
  ring::End(span, RecordStatus::kFailed, end);
}

void EndSpanOfScope(OpenSpan* span) noexcept {
  const ring::Producer* producer = ring::ThisProducer();
  if (producer != nullptr && producer->uncaught_exceptions() > span->exceptions_at_start)
      [[unlikely]] {
    return EndSpanWithError(span, std::string_view(), "exception");
  }
  EndSpanCompleted(span);
}

}  // namespace spanring::internal

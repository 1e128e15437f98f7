// The hot path: starting, filling and ending a span. What it may cost is contract C1: no lock, no
// system call, no allocation, no locked instruction, except where a function is called Slowly,
// Elsewhere or Grow.
#include "ring/recorder.h"

#include <pthread.h>

#include <algorithm>
#include <exception>
#include <string>

#include "base/utf8.h"
#include "platform/clock.h"
#include "platform/random.h"
#include "platform/signals.h"
#include "ring/call_sites.h"
#include "spanring/internal/runtime_api.h"

namespace spanring::ring {
namespace {

constinit std::atomic<Registry*> g_registry{nullptr};
constinit std::atomic<bool> g_has_exit_key{false};
pthread_key_t g_exit_key;

// initial-exec: one load relative to the thread pointer, also in the shared library.
#define SPANRING_THREAD_LOCAL constinit thread_local __attribute__((tls_model("initial-exec")))

SPANRING_THREAD_LOCAL Producer* t_producer = nullptr;
SPANRING_THREAD_LOCAL SpanContext t_current;
// For trace ids; seeded on first use.
SPANRING_THREAD_LOCAL std::uint64_t t_trace_seed = 0;
SPANRING_THREAD_LOCAL std::uint64_t t_trace_count = 0;

Registry* CurrentRegistry() noexcept {
  // acquire: pairs with the release in SetRegistry.
  return g_registry.load(std::memory_order_acquire);
}

// Runs after the destructors of the thread's thread_local objects, so their spans are recorded too.
void ThreadExit(void* producer_of_thread) {
  const platform::SignalBlock block;
  auto* producer = static_cast<Producer*>(producer_of_thread);
  t_producer = nullptr;
  if (producer->registry() == CurrentRegistry()) producer->registry()->Return(producer);
}

__attribute__((noinline)) Producer* TakeProducerSlowly() noexcept {
  const platform::SignalBlock block;
  if (t_producer != nullptr) return t_producer;  // A handler took one just before the block.
  // relaxed: undecided is the first state; the decision itself is made under a lock.
  if (internal::g_mode.load(std::memory_order_relaxed) == internal::Mode::kUndecided) {
    internal::DecideFromEnvironment();
  }
  Registry* registry = CurrentRegistry();
  if (registry == nullptr) return nullptr;
  Producer* producer = registry->Take();
  if (producer == nullptr) return nullptr;
  t_producer = producer;
  // acquire: pairs with the release in SetRegistry. Without a key the producer is not reused.
  if (g_has_exit_key.load(std::memory_order_acquire)) pthread_setspecific(g_exit_key, producer);
  return producer;
}

Producer* ThisProducer() noexcept {
  Producer* producer = t_producer;
  if (producer == nullptr) [[unlikely]]
    return TakeProducerSlowly();
  return producer;
}

__attribute__((noinline)) bool Grow(OpenSpan* span, std::size_t needed) noexcept {
  if (needed > kMaxItemBytes || span->items != span->inline_items) return false;
  // The parent's span, after a fork: a thread that is not here may hold that registry's locks.
  if (span->owner->registry() != CurrentRegistry()) return false;
  std::uint8_t* block = span->owner->registry()->extensions().Take();
  if (block == nullptr) return false;
  std::memcpy(block, span->items, span->record.size - sizeof(RecordHeader));
  span->items = block;
  span->capacity = kMaxItemBytes;
  return true;
}

// Appends an item; false, and nothing appended, where it does not fit.
bool Append(OpenSpan* span, ItemKind kind, std::string_view key, const void* value,
            std::size_t value_size) noexcept {
  if (key.size() > kMaxNameBytes) [[unlikely]]
    key = base::Truncate(key, kMaxNameBytes);
  if (value_size > kMaxItemBytes) [[unlikely]]
    return false;
  const std::size_t used = span->record.size - sizeof(RecordHeader);
  const std::size_t needed = used + sizeof(ItemHeader) + key.size() + value_size;
  if (needed > span->capacity) [[unlikely]] {
    if (!Grow(span, needed)) return false;
  }
  std::uint8_t* at = span->items + used;
  const ItemHeader header{kind, static_cast<std::uint8_t>(key.size()),
                          static_cast<std::uint16_t>(value_size)};
  std::memcpy(at, &header, sizeof(header));
  CopyShort(at + sizeof(header), key.data(), key.size());
  CopyShort(at + sizeof(header) + key.size(), static_cast<const char*>(value), value_size);
  span->record.size = static_cast<std::uint32_t>(sizeof(RecordHeader) + needed);
  return true;
}

void AppendText(OpenSpan* span, ItemKind kind, std::string_view text) noexcept {
  // An error message may be long: what fits is kept. Names are short.
  const std::size_t limit = kind == ItemKind::kErrorMessage ? kMaxErrorBytes : kMaxNameBytes;
  if (text.size() > limit) [[unlikely]]
    text = base::Truncate(text, limit);
  if (!Append(span, kind, {}, text.data(), text.size())) ++span->lost_attributes;
}

OpenSpan* Begin(Producer* producer, TraceId trace_id, SpanId parent) noexcept {
  const std::uint64_t span_id = producer->CountStarted();
  OpenSpan* span = producer->TakeSlot();
  if (span == nullptr) [[unlikely]]
    return nullptr;
  if (trace_id.is_nil()) [[unlikely]]
    trace_id = internal::NewTraceId();
  RecordHeader& record = span->record;
  record.size = sizeof(RecordHeader);
  record.site = 0;
  record.status = RecordStatus::kOpen;
  record.flags = 0;
  record.trace_id_high = trace_id.high();
  record.trace_id_low = trace_id.low();
  record.span_id = span_id;
  record.parent_id = parent.value();
  record.execution_id = 0;
  span->items = span->inline_items;
  span->capacity = internal::kInlineItemBytes;
  span->lost_attributes = 0;
  span->exceptions_at_start = std::uncaught_exceptions();
  return span;
}

// The last thing a start does, so that the span's time begins where the caller's work does.
OpenSpan* Stamp(OpenSpan* span) noexcept {
  span->record.start = static_cast<std::int64_t>(platform::Ticks());
  return span;
}

// A producer that may be used now, or nullptr (counted).
Producer* EnterProducer() noexcept {
  Producer* producer = ThisProducer();
  if (producer == nullptr) [[unlikely]] {
    // Either tracing has just turned out to be off, or there is no memory.
    if (Registry* registry = CurrentRegistry(); registry != nullptr) {
      registry->CountStartedWithoutProducer();
    }
    return nullptr;
  }
  if (!producer->Enter()) [[unlikely]] {
    producer->CountReentrantStart();
    return nullptr;
  }
  return producer;
}

__attribute__((noinline)) void FinishOddities(OpenSpan* span) noexcept {
  if (span->lost_attributes != 0) {
    span->record.flags |= kAttributesLost;
    span->owner->registry()->CountLostAttributes(span->lost_attributes);
    const std::uint32_t lost = span->lost_attributes;
    if (Append(span, ItemKind::kLostAttributes, {}, &lost, sizeof(lost))) return;
    // A full slot that gets no extension has no room to say it; a full extension has.
    if (span->items == span->inline_items) return;
    const ItemHeader header{ItemKind::kLostAttributes, 0, sizeof(lost)};
    std::uint8_t* at = span->items + (span->record.size - sizeof(RecordHeader));
    std::memcpy(at, &header, sizeof(header));
    std::memcpy(at + sizeof(header), &lost, sizeof(lost));
    span->record.size += static_cast<std::uint32_t>(sizeof(header) + sizeof(lost));
  }
}

// Copies the span into the ring of the thread that ends it; a full ring drops it, and counts.
void Put(Producer* producer, OpenSpan* span) noexcept {
  if (span->lost_attributes != 0) [[unlikely]]
    FinishOddities(span);
  const std::uint32_t size = span->record.size;
  const std::uint32_t rounded = (size + 7) & ~7U;
  Ring& ring = producer->ring();
  std::uint8_t* to = rounded <= ring.max_record_bytes() ? ring.Reserve(rounded) : nullptr;
  if (to == nullptr) [[unlikely]] {
    producer->CountDrop(DropReason::kRingFull);
    return;
  }
  span->record.size = rounded;
  std::memcpy(to, &span->record, sizeof(RecordHeader));
  if (const std::size_t items = size - sizeof(RecordHeader); items != 0) {
    // What lies between size and rounded reads as the end of the items.
    if (size != rounded) std::memset(to + rounded - 8, 0, 8);
    std::memcpy(to + sizeof(RecordHeader), span->items, items);
  }
  producer->committed.Add(1);
  ring.Commit(rounded);
}

void Clear(OpenSpan* span) noexcept {
  span->record.status = RecordStatus::kFree;
  if (span->items != span->inline_items) [[unlikely]] {
    span->owner->registry()->extensions().Return(span->items);
  }
}

// The span was started by another thread, or before a fork.
__attribute__((noinline)) void EndElsewhere(OpenSpan* span) noexcept {
  // The parent's span: it ends there, and this process knows nothing of it.
  if (span->owner->registry() != CurrentRegistry()) return;
  Producer* producer = ThisProducer();
  if (producer == nullptr) {
    span->owner->registry()->CountEndedWithoutProducer();
    Clear(span);
    span->owner->ReturnSlotFromElsewhere(span);
    return;
  }
  if (!producer->Enter()) {
    producer->CountReentrantEnd();
    Clear(span);
    span->owner->ReturnSlotFromElsewhere(span);
    return;
  }
  Put(producer, span);
  Clear(span);
  if (span->owner == producer) {
    producer->ReturnSlot(span);
  } else {
    span->owner->ReturnSlotFromElsewhere(span);
  }
  producer->Leave();
}

void End(OpenSpan* span, RecordStatus status) noexcept {
  span->record.status = status;
  Producer* producer = t_producer;
  if (span->owner != producer || !producer->Enter()) [[unlikely]]
    return EndElsewhere(span);
  Put(producer, span);
  Clear(span);
  producer->ReturnSlot(span);
  producer->Leave();
}

// The first thing an end does.
void StampEnd(OpenSpan* span) noexcept {
  if ((span->record.flags & kEndIsUnixNs) == 0) {
    span->record.end = static_cast<std::int64_t>(platform::Ticks());
  }
}

// absl::StatusCodeToString without its std::string, which allocates for the longer names.
std::string_view StatusCodeName(absl::StatusCode code) noexcept {
  switch (code) {
    case absl::StatusCode::kOk:
      return "OK";
    case absl::StatusCode::kCancelled:
      return "CANCELLED";
    case absl::StatusCode::kUnknown:
      return "UNKNOWN";
    case absl::StatusCode::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case absl::StatusCode::kDeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case absl::StatusCode::kNotFound:
      return "NOT_FOUND";
    case absl::StatusCode::kAlreadyExists:
      return "ALREADY_EXISTS";
    case absl::StatusCode::kPermissionDenied:
      return "PERMISSION_DENIED";
    case absl::StatusCode::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case absl::StatusCode::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case absl::StatusCode::kAborted:
      return "ABORTED";
    case absl::StatusCode::kOutOfRange:
      return "OUT_OF_RANGE";
    case absl::StatusCode::kUnimplemented:
      return "UNIMPLEMENTED";
    case absl::StatusCode::kInternal:
      return "INTERNAL";
    case absl::StatusCode::kUnavailable:
      return "UNAVAILABLE";
    case absl::StatusCode::kDataLoss:
      return "DATA_LOSS";
    case absl::StatusCode::kUnauthenticated:
      return "UNAUTHENTICATED";
    default:
      return "UNKNOWN";
  }
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return (x | 0x20) == y; });
}

}  // namespace

void SetRegistry(Registry* registry) noexcept {
  // relaxed: starts and stops are serialised by the runtime.
  if (!g_has_exit_key.load(std::memory_order_relaxed) &&
      pthread_key_create(&g_exit_key, ThreadExit) == 0) {
    // release: pairs with the acquire in TakeProducerSlowly.
    g_has_exit_key.store(true, std::memory_order_release);
  }
  // release: pairs with the acquire in CurrentRegistry.
  g_registry.store(registry, std::memory_order_release);
}

void ForgetAfterFork() noexcept {
  // relaxed: this is the child's only thread.
  g_registry.store(nullptr, std::memory_order_relaxed);
  t_producer = nullptr;
  t_trace_seed = 0;
  if (g_has_exit_key.load(std::memory_order_relaxed)) pthread_setspecific(g_exit_key, nullptr);
}

}  // namespace spanring::ring

namespace spanring::internal {

using ring::ItemKind;
using ring::Producer;
using ring::RecordStatus;

constinit std::atomic<Mode> g_mode{Mode::kUndecided};

OpenSpan* StartSpan(TraceId trace_id, SpanId parent, CallSiteData& site) noexcept {
  Producer* producer = ring::EnterProducer();
  if (producer == nullptr) [[unlikely]]
    return nullptr;
  OpenSpan* span = ring::Begin(producer, trace_id, parent);
  if (span != nullptr) [[likely]] {
    // acquire: pairs with the release in RegisterCallSite; the entry travels on with the ring.
    std::uint16_t number = site.number.load(std::memory_order_acquire);
    if (number == 0) [[unlikely]]
      number = ring::RegisterCallSite(site);
    span->record.site = number;
    if (number == 0) [[unlikely]] {
      ring::AppendText(span, ItemKind::kService, site.service);
      ring::AppendText(span, ItemKind::kOperation, site.operation);
    }
    ring::Stamp(span);
  }
  producer->Leave();
  return span;
}

OpenSpan* StartSpan(TraceId trace_id, SpanId parent, std::string_view service,
                    std::string_view operation) noexcept {
  Producer* producer = ring::EnterProducer();
  if (producer == nullptr) [[unlikely]]
    return nullptr;
  OpenSpan* span = ring::Begin(producer, trace_id, parent);
  if (span != nullptr) [[likely]] {
    ring::AppendText(span, ItemKind::kService, service);
    ring::AppendText(span, ItemKind::kOperation, operation);
    ring::Stamp(span);
  }
  producer->Leave();
  return span;
}

void EndSpanCompleted(OpenSpan* span) noexcept {
  ring::StampEnd(span);
  ring::End(span, RecordStatus::kCompleted);
}

void EndSpan(OpenSpan* span, std::string_view status) noexcept {
  ring::StampEnd(span);
  RecordStatus end = RecordStatus::kCompleted;
  if (ring::EqualsIgnoringCase(status, "failed")) {
    end = RecordStatus::kFailed;
  } else if (ring::EqualsIgnoringCase(status, "timeout")) {
    end = RecordStatus::kTimeout;
  } else if (!ring::EqualsIgnoringCase(status, "completed")) {
    SetAttribute(span, "status", status);
  }
  ring::End(span, end);
}

void EndSpanWithError(OpenSpan* span, std::string_view error,
                      std::string_view error_type) noexcept {
  ring::StampEnd(span);
  // The type first: it is short, and worth more than the end of a long message.
  if (!error_type.empty()) ring::AppendText(span, ItemKind::kErrorType, error_type);
  if (!error.empty()) ring::AppendText(span, ItemKind::kErrorMessage, error);
  ring::End(span, RecordStatus::kFailed);
}

void EndSpanWithError(OpenSpan* span, const absl::Status& error,
                      std::string_view error_type) noexcept {
  if (error.ok()) return EndSpanCompleted(span);
  ring::StampEnd(span);
  if (!error_type.empty()) {
    ring::AppendText(span, ItemKind::kErrorType, error_type);
  } else {
    ring::AppendText(span, ItemKind::kErrorType, ring::StatusCodeName(error.code()));
  }
  const absl::string_view message = error.message();
  if (!message.empty()) {
    ring::AppendText(span, ItemKind::kErrorMessage, {message.data(), message.size()});
  }
  ring::End(span, RecordStatus::kFailed);
}

void EndSpanOfScope(OpenSpan* span) noexcept {
  if (std::uncaught_exceptions() > span->exceptions_at_start) [[unlikely]] {
    return EndSpanWithError(span, std::string_view(), "exception");
  }
  EndSpanCompleted(span);
}

void SetAttribute(OpenSpan* span, std::string_view key, const AttributeValue& value) noexcept {
  bool kept = false;
  switch (value.type()) {
    case AttributeValue::Type::kString:
      kept = ring::Append(span, ItemKind::kString, key, value.text().data(), value.text().size());
      break;
    case AttributeValue::Type::kInt64: {
      const std::int64_t number = value.integer();
      kept = ring::Append(span, ItemKind::kInt64, key, &number, sizeof(number));
      break;
    }
    case AttributeValue::Type::kDouble: {
      const double number = value.number();
      kept = ring::Append(span, ItemKind::kDouble, key, &number, sizeof(number));
      break;
    }
    case AttributeValue::Type::kBool: {
      const auto truth = static_cast<char>(value.integer());
      kept = ring::Append(span, ItemKind::kBool, key, &truth, sizeof(truth));
      break;
    }
  }
  if (!kept) [[unlikely]]
    ++span->lost_attributes;
}

void SetExecutionContext(OpenSpan* span, std::string_view job_id, std::int64_t execution_id,
                         std::string_view model_id, std::string_view region) noexcept {
  span->record.execution_id = execution_id;
  span->record.flags |= ring::kHasExecutionId;
  if (!job_id.empty()) ring::AppendText(span, ItemKind::kJobId, job_id);
  if (!model_id.empty()) ring::AppendText(span, ItemKind::kModelId, model_id);
  if (!region.empty()) ring::AppendText(span, ItemKind::kRegion, region);
}

void SetStartTime(OpenSpan* span, absl::Time time) noexcept {
  span->record.start = absl::ToUnixNanos(time);
  span->record.flags |= ring::kStartIsUnixNs;
}

void SetEndTime(OpenSpan* span, absl::Time time) noexcept {
  span->record.end = absl::ToUnixNanos(time);
  span->record.flags |= ring::kEndIsUnixNs;
}

SpanContext ContextOf(const OpenSpan* span) noexcept {
  return {TraceId(span->record.trace_id_high, span->record.trace_id_low),
          SpanId(span->record.span_id), true};
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
  const std::uint64_t count = ++ring::t_trace_count;
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

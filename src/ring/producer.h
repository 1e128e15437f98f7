// What one thread records into: its open spans, its ring and its counters.
// Threads: said per group of members. A producer has one thread at a time; when that ends, the next
//   new thread goes on with it, handed over by the registry's lock.
// Memory: pages of its own, in the writer's memory; while it has no thread the drainer may give
// most of them back. Errors: counted. Design: docs/architecture.md#rings
//
// The life of a slot:
//
//   free list --Start--> open --End on the owner's thread--------------------> free list
//                          \---End elsewhere--> owner's returned_ --when empty--^
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "platform/random.h"
#include "ring/record.h"
#include "ring/return_stack.h"
#include "ring/ring.h"
#include "ring/writer_memory.h"
#include "spanring/stats.h"

namespace spanring::ring {
class Producer;
class Registry;
}  // namespace spanring::ring

namespace spanring::internal {

inline constexpr std::size_t kInlineItemBytes = 384;

// A span that has started and not ended. Touched by one thread at a time, like the Span it is
// behind; the links by the owner's thread, or by the thread that gives it back. A free slot has no
// extension, no lost attributes and no execution id, so that a start need not write them.
struct alignas(64) OpenSpan {
  // The first cache line: all that a span without items touches.
  ring::RecordStart record;  // record.size: a header's and that of the items so far, not rounded.
  ring::Producer* owner;     // Set once.
  union {
    OpenSpan* next;                     // While the slot is in the free list or in returned_.
    std::uint64_t exceptions_at_start;  // While the span is open.
  };

  std::int64_t end;  // Where it was given.
  std::int64_t execution_id = 0;
  std::uint8_t* items = inline_items;  // Or an extension.
  std::uint32_t capacity = kInlineItemBytes;
  std::uint32_t lost_attributes = 0;

  // Without items, context or times of its own.
  bool IsPlain() const noexcept {
    return record.size == sizeof(ring::RecordHeader) && (record.flags & ~ring::kSamplingFlags) == 0;
  }

  alignas(64) std::uint8_t inline_items[kInlineItemBytes];
};
static_assert(sizeof(OpenSpan) == 512 && offsetof(OpenSpan, end) == 64);

}  // namespace spanring::internal

namespace spanring::ring {

using internal::OpenSpan;

// A counter with one writer: no locked instruction. Others read a value that may be a little old.
class Counter {
 public:
  void Add(std::uint64_t n) noexcept {
    // release: pairs with the acquire in Get, so that who sees a count sees the earlier ones too.
    // relaxed: this thread is the only writer.
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_release);
  }
  std::uint64_t Get() const noexcept {
    // acquire: pairs with the release in Add.
    return value_.load(std::memory_order_acquire);
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class alignas(kNoSharing) Producer {
 public:
  // nullptr when there is no memory. `ring_bytes` is a power of two.
  static Producer* Create(Registry* registry, std::uint64_t ring_bytes,
                          std::uint64_t max_open_spans) noexcept;

  Registry* registry() const noexcept { return registry_; }
  Ring& ring() noexcept { return ring_; }

  // Called by each new thread of the producer, before any other of its calls.
  void BelongsToThisThread() noexcept;

  // --- The producer's thread ---

  // False in a signal handler that interrupted this thread inside the tracer.
  bool Enter() noexcept {
    // relaxed, both: for this thread and its signal handlers only.
    if (busy_.load(std::memory_order_relaxed)) [[unlikely]]
      return false;
    busy_.store(true, std::memory_order_relaxed);
    // seq_cst: for the compiler only. A handler runs on the same processor, which sees its own
    // stores in order.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return true;
  }
  void Leave() noexcept {
    // seq_cst: as in Enter.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    // relaxed: as in Enter.
    busy_.store(false, std::memory_order_relaxed);
  }

  // Counts a span as started and gives its id, never 0: steps of an odd size visit every 64-bit
  // number once, and Mix keeps it so.
  std::uint64_t CountStarted() noexcept {
    started.Add(1);
    id_state_ += id_step_;
    const std::uint64_t id = platform::Mix(id_state_);
    return id + (id == 0);
  }

  // The C++ runtime's count for this thread, as std::uncaught_exceptions() without its two calls.
  unsigned uncaught_exceptions() const noexcept { return *uncaught_exceptions_; }

  // A slot that is at hand, or nullptr.
  OpenSpan* TryTakeSlot() noexcept {
    OpenSpan* slot = free_;
    if (slot != nullptr) [[likely]]
      free_ = slot->next;
    return slot;
  }
  // A slot, whatever it takes; nullptr when max_open_spans are open or there is no memory
  // (counted).
  OpenSpan* TakeSlot() noexcept {
    OpenSpan* slot = TryTakeSlot();
    return slot != nullptr ? slot : TakeSlotSlowly();
  }
  void ReturnSlot(OpenSpan* slot) noexcept {
    slot->next = free_;
    free_ = slot;
  }

  void CountDrop(DropReason reason) noexcept { drops[static_cast<std::size_t>(reason)].Add(1); }

  // --- Any thread ---

  void ReturnSlotFromElsewhere(OpenSpan* slot) noexcept { returned_.Push(slot); }

  // A start, or an end, in a signal handler that found the thread inside the tracer.
  void CountReentrantStart() noexcept {
    // relaxed: a count. A locked instruction, since a handler may interrupt another handler.
    reentrant_starts.fetch_add(1, std::memory_order_relaxed);
  }
  void CountReentrantEnd() noexcept {
    reentrant_ends.fetch_add(1, std::memory_order_relaxed);  // relaxed: as above.
  }

  // --- While it has no thread: the drainer, or the thread that takes it ---

  // Gives the pages of the ring back to the system, which must have been read to its end, and those
  // of the slots unless one is in use. Counters and positions stay.
  void GiveUpPages() noexcept;
  // Makes it ready for a thread again, without page faults to come. False: there is no memory.
  bool TakePagesBack() noexcept;
  // In a forked child, whose parent's this is: from now on what is written here is the child's.
  void MakePrivateAfterFork() noexcept;
  std::uint64_t slots() const noexcept { return slots_; }

  // --- The drainer ---

  // Calls `look(slot)` for each slot. They are in use: a look sees what it sees (open_spans.h).
  template <typename Look>
  void ForEachSlot(Look look) const noexcept {
    // acquire: pairs with the release in AddSlots.
    for (const SlotChunk* chunk = chunks_.load(std::memory_order_acquire); chunk != nullptr;
         chunk = chunk->next) {
      for (std::uint64_t i = 0; i < chunk->count; ++i) look(&chunk->slots()[i]);
    }
  }
  std::uint64_t number() const noexcept { return number_; }
  // Spans of it have ended elsewhere since GiveUpPages.
  bool HasReturns() const noexcept { return !returned_.IsEmpty(); }

 private:
  Producer(Registry* registry, std::uint64_t number, std::uint8_t* ring_buffer,
           std::uint64_t ring_bytes, std::uint64_t max_open_spans) noexcept;
  // In front of the slots that were mapped together.
  struct alignas(kNoSharing) SlotChunk {
    PageHeader page;
    SlotChunk* next;
    std::uint64_t count;
    OpenSpan* slots() noexcept { return reinterpret_cast<OpenSpan*>(this + 1); }
    const OpenSpan* slots() const noexcept { return reinterpret_cast<const OpenSpan*>(this + 1); }
  };
  OpenSpan* TakeSlotSlowly() noexcept;
  bool AddSlots() noexcept;
  PageHeader* page() noexcept;
  std::uint8_t* RingBuffer() noexcept;
  std::uint64_t OffsetOf(const void* member) noexcept;
  void Describe(PageHeader* page) noexcept;

  // The producer's thread alone, on every span: one cache line, with the two counts that others
  // look at now and then.
  std::atomic<bool> busy_{false};
  OpenSpan* free_ = nullptr;
  std::uint64_t id_state_;
  const std::uint64_t id_step_;  // Odd.
  const unsigned* uncaught_exceptions_ = nullptr;

 public:
  // Written by the producer's thread, read by any.
  Counter started;
  Counter committed;  // Records put into the ring.
  std::array<Counter, kDropReasonCount> drops;
  std::atomic<std::uint64_t> reentrant_starts{0};
  std::atomic<std::uint64_t> reentrant_ends{0};

  // --- The registry ---

  // Read by the drainer in every pass, so away from what is written on every span.
  alignas(kNoSharing) Producer* next =
      nullptr;                    // All producers; set once, before this one is published.
  Producer* next_idle = nullptr;  // Those without a thread; under the registry's lock.

 private:
  // Set once.
  Registry* const registry_;
  const std::uint64_t max_open_spans_;
  const std::uint64_t number_;  // Of its file: 0 without one.

  // The producer's thread, seldom; the drainer while there is none.
  std::uint64_t slots_ = 0;
  std::atomic<SlotChunk*> chunks_{nullptr};  // The pages that hold them. Read by the drainer.

  // Written by threads that end our spans.
  alignas(kNoSharing) ReturnStack<StdSync, OpenSpan> returned_;

  Ring ring_;
};

}  // namespace spanring::ring

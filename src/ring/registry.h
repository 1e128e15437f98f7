// All producers of the process, and which thread has which.
// Threads: any; a lock, taken on a thread's first span and at its end, and by the drainer. Walking
//   takes none.
// Memory: producers are kept and reused; of those without a thread kWarmProducers keep their pages.
// Errors: no memory gives nullptr.
// Design: docs/architecture.md#rings
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "ring/control.h"
#include "ring/extensions.h"
#include "ring/producer.h"

namespace spanring::ring {

// Producers without a thread that keep their pages, for the next threads: enough for pools that
// change their size and for short threads, about one to a core of a usual machine; 17 MiB with the
// default ring. To touch the pages again costs a thread's first span tenths of a millisecond.
inline constexpr std::uint64_t kWarmProducers = 16;
// And of those, none keeps more slots than these (2 MiB).
inline constexpr std::uint64_t kWarmSlots = 4096;

class Registry {
 public:
  // In files of `folder`, or, without one, in memory of its own.
  Registry(std::uint64_t ring_bytes, std::uint64_t max_open_spans,
           platform::Fd folder = {}) noexcept
      : memory_(std::move(folder)), ring_bytes_(ring_bytes), max_open_spans_(max_open_spans) {}
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // An idle producer or a new one.
  Producer* Take() noexcept;
  // A thread has ended; its ring and its open spans stay as they are.
  void Return(Producer* producer) noexcept;

  // For the drainer: a producer without a thread whose pages are to be given back, or nullptr. No
  // thread can take it until ReturnCold. One at a time, so that a thread that finds all others
  // taken makes one producer too many, at most.
  Producer* TakeSurplus() noexcept;
  void ReturnCold(Producer* producer) noexcept;
  // Producers without a thread and without a ring's pages.
  std::uint64_t cold() noexcept;

  // The newest producer; the others follow by `next`.
  Producer* first() const noexcept {
    // acquire: pairs with the release in Take, so that a new producer is seen whole.
    return first_.load(std::memory_order_acquire);
  }

  Extensions& extensions() noexcept { return extensions_; }
  WriterMemory& memory() noexcept { return memory_; }

  // Makes the file `control`, with the names of all call sites so far, and returns it for the rest
  // to be set and published; nullptr where there are no files. Before the first Take.
  ControlData* MakeControl() noexcept;
  void PublishControl() noexcept;
  // Before a span can have the number. False: its spans must carry the names themselves.
  bool AddNames(std::uint16_t number, const CallSiteNames& names) noexcept {
    return control_ == nullptr || control_->AddNames(number, names);
  }

  // In a forked child, whose parent's this is.
  void MakePrivateAfterFork() noexcept;

  // What no producer can count, off the fast path. relaxed, all: counts.
  void CountStartedWithoutProducer() noexcept {
    started_without_producer_.fetch_add(1, std::memory_order_relaxed);
  }
  void CountEndedWithoutProducer() noexcept {
    ended_without_producer_.fetch_add(1, std::memory_order_relaxed);
  }
  // relaxed, both: counts.
  void CountMisuse() noexcept { misuses_.fetch_add(1, std::memory_order_relaxed); }
  void CountLostAttributes(std::uint64_t n) noexcept {
    lost_attributes_.fetch_add(n, std::memory_order_relaxed);
  }

  // Adds what the producers and the registry counted: started, open, the drops up to the rings, and
  // as journalled all that was put into a ring.
  Stats Count() const noexcept;

 private:
  // Last in, first out: the memory of the newest is the likeliest to be in a cache.
  struct IdleList {
    Producer* first = nullptr;
    std::uint64_t size = 0;
    void Push(Producer* producer) noexcept;
    Producer* Pop() noexcept;
    // The one that has `newer` before it; there must be one.
    Producer* RemoveAfter(std::uint64_t newer) noexcept;
  };

  WriterMemory memory_;
  const std::uint64_t ring_bytes_;
  const std::uint64_t max_open_spans_;
  ControlData* control_ = nullptr;  // Set before the first Take.
  std::atomic<Producer*> first_{nullptr};
  Extensions extensions_{&memory_};
  std::atomic<std::uint64_t> started_without_producer_{0};
  std::atomic<std::uint64_t> ended_without_producer_{0};
  std::atomic<std::uint64_t> misuses_{0};
  std::atomic<std::uint64_t> lost_attributes_{0};

  // Producers without a thread. Under mutex_, all.
  std::mutex mutex_;
  IdleList warm_;
  IdleList grown_;  // Of more than kWarmSlots.
  IdleList cold_;
  IdleList waiting_;  // Cold, but for slots: a span was open in them.
};

}  // namespace spanring::ring

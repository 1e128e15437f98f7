// What became of the records that left the rings.
// Threads: written by the drainer and the shippers, read by any.
// Memory: none. Errors: none.
// Design: docs/architecture.md#accounting
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "ring/control.h"
#include "spanring/stats.h"

namespace spanring::flush {

// What leaves the journal is released, and acquired in Read, so that a reader who counts the rings
// after it finds every span that this counted as gone.
class Counters {
 public:
  Counters() = default;
  // The drops are counted there too, for who reads it when this process was killed.
  void MirrorIn(ring::ControlData* control) noexcept { control_ = control; }

  // relaxed: a count that only Undelivered reads.
  void CountDrained(std::uint64_t n) noexcept { drained_.fetch_add(n, std::memory_order_relaxed); }
  // release, in the next three: pairs with the acquires in Read.
  void CountPersisted(std::uint64_t n) noexcept {
    persisted_.fetch_add(n, std::memory_order_release);
  }
  void CountSampledOut(std::uint64_t n) noexcept {
    sampled_out_.fetch_add(n, std::memory_order_release);
  }
  void CountDropped(DropReason reason, std::uint64_t n) noexcept {
    // release: as above.
    dropped_[static_cast<std::size_t>(reason)].fetch_add(n, std::memory_order_release);
    if (control_ == nullptr) return;
    // relaxed: a count, read when this process is gone.
    control_->dropped[static_cast<std::size_t>(reason)].fetch_add(n, std::memory_order_relaxed);
  }
  // relaxed: a count of its own.
  void CountFailure() noexcept { failures_.fetch_add(1, std::memory_order_relaxed); }

  // Out of the rings, and neither persisted nor dropped.
  std::uint64_t Undelivered() const noexcept {
    // relaxed, all: counts, read when the threads that add to them have ended or been given up.
    std::uint64_t gone =
        persisted_.load(std::memory_order_relaxed) + sampled_out_.load(std::memory_order_relaxed);
    for (const auto& dropped : dropped_) gone += dropped.load(std::memory_order_relaxed);
    const std::uint64_t drained = drained_.load(std::memory_order_relaxed);
    return drained > gone ? drained - gone
                          : 0;  // A drainer that still runs may be ahead of itself.
  }

  // What left the journal. To be read before the registry is counted, and added to it with Add.
  Stats Read() const noexcept {
    Stats gone;
    // acquire, all: pairs with the releases above.
    gone.persisted = persisted_.load(std::memory_order_acquire);
    gone.sampled_out = sampled_out_.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < kDropReasonCount; ++i) {
      gone.dropped_by_reason[i] = dropped_[i].load(std::memory_order_acquire);
      gone.dropped += gone.dropped_by_reason[i];
    }
    // relaxed: a count of its own.
    gone.persist_failures = failures_.load(std::memory_order_relaxed);
    return gone;
  }

  // Turns what the registry counted into the whole: what it has as journalled is either still so,
  // or persisted or dropped as `gone` says.
  static void Add(const Stats& gone, Stats& stats) noexcept {
    for (std::size_t i = 0; i < kDropReasonCount; ++i) {
      stats.dropped_by_reason[i] += gone.dropped_by_reason[i];
    }
    stats.dropped += gone.dropped;
    stats.persisted += gone.persisted;
    stats.sampled_out += gone.sampled_out;
    stats.journalled -= gone.persisted + gone.sampled_out + gone.dropped;
    stats.persist_failures += gone.persist_failures;
  }

 private:
  ring::ControlData* control_ = nullptr;  // Set before there is another thread.
  std::atomic<std::uint64_t> drained_{0};
  std::atomic<std::uint64_t> persisted_{0};
  std::atomic<std::uint64_t> sampled_out_{0};
  std::atomic<std::uint64_t> failures_{0};
  std::array<std::atomic<std::uint64_t>, kDropReasonCount> dropped_{};
};

}  // namespace spanring::flush

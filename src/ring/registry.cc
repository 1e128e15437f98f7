#include "ring/registry.h"

#include <algorithm>

namespace spanring::ring {

Producer* Registry::Take() noexcept {
  const std::lock_guard lock(mutex_);
  if (idle_ != nullptr) {
    Producer* producer = idle_;
    idle_ = producer->next_idle;
    return producer;
  }
  Producer* producer = Producer::Create(this, ring_bytes_, max_open_spans_);
  if (producer == nullptr) return nullptr;
  // relaxed: only written here, under the lock.
  producer->next = first_.load(std::memory_order_relaxed);
  // release: pairs with the acquire in first().
  first_.store(producer, std::memory_order_release);
  return producer;
}

void Registry::Return(Producer* producer) noexcept {
  const std::lock_guard lock(mutex_);
  producer->next_idle = idle_;
  idle_ = producer;
}

Stats Registry::Count() const noexcept {
  // Ends are read before starts, so that no span is seen ended but not started.
  Stats stats;
  const auto drop = [&](DropReason reason, std::uint64_t n) {
    stats.dropped_by_reason[static_cast<std::size_t>(reason)] += n;
    stats.dropped += n;
  };
  // relaxed: counts, here and below; no other count is seen through them.
  drop(DropReason::kOutOfMemory, ended_without_producer_.load(std::memory_order_relaxed));
  for (const Producer* p = first(); p != nullptr; p = p->next) {
    stats.journalled += p->committed.Get();
    for (std::size_t i = 0; i < kDropReasonCount; ++i) {
      drop(static_cast<DropReason>(i), p->drops[i].Get());
    }
    // relaxed: a count.
    drop(DropReason::kReentrant, p->reentrant_ends.load(std::memory_order_relaxed));
  }
  std::uint64_t started = 0;
  std::uint64_t refused = 0;  // Dropped by their own start.
  for (const Producer* p = first(); p != nullptr; p = p->next) {
    started += p->started.Get();
    // relaxed: a count.
    refused += p->reentrant_starts.load(std::memory_order_relaxed);
  }
  // relaxed: a count.
  const std::uint64_t without = started_without_producer_.load(std::memory_order_relaxed);
  // Seen by another thread, a counter may run ahead of an earlier one: no count may go below zero.
  started = std::max(started, stats.journalled + stats.dropped);
  stats.open = started - stats.journalled - stats.dropped;
  stats.started = started + refused + without;
  drop(DropReason::kReentrant, refused);
  drop(DropReason::kOutOfMemory, without);
  // relaxed, both: counts.
  stats.misuses = misuses_.load(std::memory_order_relaxed);
  stats.dropped_attributes = lost_attributes_.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace spanring::ring

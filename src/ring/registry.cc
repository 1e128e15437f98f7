#include "ring/registry.h"

#include <algorithm>

namespace spanring::ring {

void Registry::IdleList::Push(Producer* producer) noexcept {
  producer->next_idle = first;
  first = producer;
  ++size;
}

Producer* Registry::IdleList::Pop() noexcept { return first == nullptr ? nullptr : RemoveAfter(0); }

Producer* Registry::IdleList::RemoveAfter(std::uint64_t newer) noexcept {
  Producer** link = &first;
  for (; newer > 0; --newer) link = &(*link)->next_idle;
  Producer* const producer = *link;
  *link = producer->next_idle;
  --size;
  return producer;
}

Producer* Registry::Take() noexcept {
  Producer* producer = nullptr;
  {
    const std::lock_guard lock(mutex_);
    producer = warm_.Pop();
    if (producer == nullptr) producer = grown_.Pop();
    if (producer != nullptr) return producer;
    producer = cold_.Pop();
    if (producer == nullptr) producer = waiting_.Pop();
  }
  // Touching pages takes its time: other threads' first spans need not wait for it.
  if (producer != nullptr) {
    if (producer->TakePagesBack()) return producer;
    ReturnCold(producer);
    return nullptr;
  }
  producer = Producer::Create(this, ring_bytes_, max_open_spans_);
  if (producer == nullptr) return nullptr;
  const std::lock_guard lock(mutex_);
  // relaxed: only written here, under the lock.
  producer->next = first_.load(std::memory_order_relaxed);
  // release: pairs with the acquire in first().
  first_.store(producer, std::memory_order_release);
  return producer;
}

void Registry::Return(Producer* producer) noexcept {
  const std::lock_guard lock(mutex_);
  (producer->slots() > kWarmSlots ? grown_ : warm_).Push(producer);
}

Producer* Registry::TakeSurplus() noexcept {
  const std::lock_guard lock(mutex_);
  if (Producer* grown = grown_.Pop(); grown != nullptr) return grown;
  if (warm_.size > kWarmProducers) return warm_.RemoveAfter(kWarmProducers);
  std::uint64_t newer = 0;
  for (const Producer* p = waiting_.first; p != nullptr; p = p->next_idle, ++newer) {
    if (p->HasReturns()) return waiting_.RemoveAfter(newer);
  }
  return nullptr;
}

void Registry::ReturnCold(Producer* producer) noexcept {
  const std::lock_guard lock(mutex_);
  (producer->slots() > 0 ? waiting_ : cold_).Push(producer);
}

std::uint64_t Registry::cold() noexcept {
  const std::lock_guard lock(mutex_);
  return cold_.size + waiting_.size;
}

ControlData* Registry::MakeControl() noexcept {
  if (!memory_.in_files()) return nullptr;
  PageHeader* page = memory_.Map(PageKind::kControl, sizeof(PageHeader) + sizeof(ControlData));
  if (page == nullptr) return nullptr;
  if (page->number == 0) {
    memory_.Unmap(page);
    return nullptr;
  }
  auto* control = new (page + 1) ControlData;
  ForEachCallSite(
      [&](std::uint16_t number, const CallSiteNames& names) { control->AddNames(number, names); });
  control_ = control;
  return control;
}

void Registry::PublishControl() noexcept {
  WriterMemory::Publish(reinterpret_cast<PageHeader*>(control_) - 1);
}

void Registry::MakePrivateAfterFork() noexcept {
  memory_.CloseAfterFork();
  // relaxed: this is the child's only thread.
  for (Producer* p = first_.load(std::memory_order_relaxed); p != nullptr; p = p->next) {
    p->MakePrivateAfterFork();
  }
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

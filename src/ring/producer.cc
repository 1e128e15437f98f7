#include "ring/producer.h"

#include <algorithm>
#include <new>

#include "platform/memory.h"

namespace spanring::ring {
namespace {

constexpr std::uint64_t kFirstSlots = 64;
constexpr std::uint64_t kMostSlotsAtOnce = 4096;

// The inverse of an odd number modulo 2^64, by Newton's iteration: each step doubles the bits.
constexpr std::uint64_t Inverse(std::uint64_t odd) {
  std::uint64_t x = odd;
  for (int i = 0; i < 5; ++i) x *= 2 - odd * x;
  return x;
}
static_assert(Inverse(0x9e3779b97f4a7c15) * 0x9e3779b97f4a7c15 == 1);

constexpr std::size_t RoundUpToPage(std::size_t bytes) {
  return (bytes + 4095) & ~std::size_t{4095};
}

}  // namespace

Producer* Producer::Create(Registry* registry, std::uint64_t ring_bytes,
                           std::uint64_t max_open_spans) noexcept {
  const std::size_t head = RoundUpToPage(sizeof(Producer));
  // Prefaulted: the first lap of the ring must not take page faults one by one.
  void* pages = platform::MapPages(head + ring_bytes, /*prefault=*/true);
  if (pages == nullptr) return nullptr;
  auto* producer = new (pages)
      Producer(registry, static_cast<std::uint8_t*>(pages) + head, ring_bytes, max_open_spans);
  if (!producer->AddSlots()) {
    platform::UnmapPages(pages, head + ring_bytes);
    return nullptr;
  }
  return producer;
}

Producer::Producer(Registry* registry, std::uint8_t* ring_buffer, std::uint64_t ring_bytes,
                   std::uint64_t max_open_spans) noexcept
    : registry_(registry),
      max_open_spans_(max_open_spans),
      seed_(platform::RandomSeed()),
      gamma_(platform::RandomSeed() | 1),
      // Mix(0) is 0 and Mix is a bijection, so the id is 0 where seed_ + n * gamma_ is.
      zero_at_((0 - seed_) * Inverse(gamma_)),
      ring_(ring_buffer, ring_bytes) {}

OpenSpan* Producer::TakeSlotSlowly() noexcept {
  free_ = returned_.TakeAll();
  if (free_ == nullptr) {
    if (slots_ >= max_open_spans_) {
      CountDrop(DropReason::kOpenSpanLimit);
      return nullptr;
    }
    if (!AddSlots()) {
      CountDrop(DropReason::kOutOfMemory);
      return nullptr;
    }
  }
  OpenSpan* slot = free_;
  free_ = slot->next;
  return slot;
}

bool Producer::AddSlots() noexcept {
  const std::uint64_t count = std::min(
      {std::max(kFirstSlots, std::min(slots_, kMostSlotsAtOnce)), max_open_spans_ - slots_});
  auto* slots = static_cast<OpenSpan*>(
      platform::MapPages(RoundUpToPage(count * sizeof(OpenSpan)), /*prefault=*/true));
  if (slots == nullptr) return false;
  for (std::uint64_t i = count; i-- > 0;) {
    OpenSpan* slot = new (&slots[i]) OpenSpan;
    slot->record.status = RecordStatus::kFree;
    slot->owner = this;
    ReturnSlot(slot);
  }
  slots_ += count;
  return true;
}

}  // namespace spanring::ring

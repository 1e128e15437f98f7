#include "ring/producer.h"

#include <cxxabi.h>

#include <algorithm>
#include <new>

#include "platform/memory.h"

namespace spanring::ring {
namespace {

constexpr std::uint64_t kFirstSlots = 64;
constexpr std::uint64_t kMostSlotsAtOnce = 4096;

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
      id_step_(platform::RandomSeed() | 1),
      id_state_(platform::RandomSeed()),
      ring_(ring_buffer, ring_bytes) {}

void Producer::BelongsToThisThread() noexcept {
  // Itanium C++ ABI, 2.2.2: __cxa_eh_globals is a pointer followed by the count.
  const auto* globals = reinterpret_cast<const char*>(abi::__cxa_get_globals());
  uncaught_exceptions_ = reinterpret_cast<const unsigned*>(globals + sizeof(void*));
}

__attribute__((noinline, cold)) OpenSpan* Producer::TakeSlotSlowly() noexcept {
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
    slot->record.SetFirst(0, 0, RecordStatus::kFree);
    slot->record.execution_id = 0;
    slot->owner = this;
    ReturnSlot(slot);
  }
  slots_ += count;
  return true;
}

}  // namespace spanring::ring

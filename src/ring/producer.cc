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

// In front of the slots that were mapped together.
struct alignas(kNoSharing) Producer::SlotChunk {
  SlotChunk* next;
  std::size_t bytes;
};

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
    : id_state_(platform::RandomSeed()),
      id_step_(platform::RandomSeed() | 1),
      registry_(registry),
      max_open_spans_(max_open_spans),
      ring_(ring_buffer, ring_bytes) {}

void Producer::BelongsToThisThread() noexcept {
  // A thread that left the tracer by a jump out of a signal handler has not said so.
  // relaxed: as in Enter.
  busy_.store(false, std::memory_order_relaxed);
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
  const std::size_t bytes = RoundUpToPage(sizeof(SlotChunk) + count * sizeof(OpenSpan));
  void* pages = platform::MapPages(bytes, /*prefault=*/true);
  if (pages == nullptr) return false;
  chunks_ = new (pages) SlotChunk{chunks_, bytes};
  auto* slots = reinterpret_cast<OpenSpan*>(static_cast<std::uint8_t*>(pages) + sizeof(SlotChunk));
  for (std::uint64_t i = count; i-- > 0;) {
    OpenSpan* slot = new (&slots[i]) OpenSpan;
    slot->record.SetFirst(0, 0, RecordStatus::kFree);
    slot->owner = this;
    ReturnSlot(slot);
  }
  slots_ += count;
  return true;
}

// Where Create put it.
std::uint8_t* Producer::RingBuffer() noexcept {
  return reinterpret_cast<std::uint8_t*>(this) + RoundUpToPage(sizeof(Producer));
}

void Producer::GiveUpPages() noexcept {
  platform::DropPages(RingBuffer(), ring_.capacity());
  for (OpenSpan* slot = returned_.TakeAll(); slot != nullptr;) {
    OpenSpan* const following = slot->next;
    ReturnSlot(slot);
    slot = following;
  }
  std::uint64_t free = 0;
  for (const OpenSpan* slot = free_; slot != nullptr; slot = slot->next) ++free;
  // A span of the thread that ended is open, or another thread is giving its slot back.
  if (free != slots_) return;
  free_ = nullptr;
  slots_ = 0;
  while (chunks_ != nullptr) {
    SlotChunk* const chunk = chunks_;
    chunks_ = chunk->next;
    platform::UnmapPages(chunk, chunk->bytes);
  }
}

bool Producer::TakePagesBack() noexcept {
  if (slots_ == 0 && !AddSlots()) return false;
  platform::PopulatePages(RingBuffer(), ring_.capacity());
  return true;
}

}  // namespace spanring::ring

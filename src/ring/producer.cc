#include "ring/producer.h"

#include <cxxabi.h>

#include <algorithm>
#include <new>

#include "platform/memory.h"
#include "ring/registry.h"

namespace spanring::ring {
namespace {

constexpr std::uint64_t kFirstSlots = 64;
constexpr std::uint64_t kMostSlotsAtOnce = 4096;

constexpr std::size_t RoundUpToPage(std::size_t bytes) {
  return (bytes + 4095) & ~std::size_t{4095};
}

// From the start of the page.
constexpr std::size_t kRingOffset = RoundUpToPage(sizeof(PageHeader) + sizeof(Producer));

}  // namespace

Producer* Producer::Create(Registry* registry, std::uint64_t ring_bytes,
                           std::uint64_t max_open_spans) noexcept {
  // Prefaulted: the first lap of the ring must not take page faults one by one.
  PageHeader* page = registry->memory().Map(PageKind::kProducer, kRingOffset + ring_bytes,
                                            /*head_bytes=*/kRingOffset);
  if (page == nullptr) return nullptr;
  auto* producer = new (page + 1)
      Producer(registry, page->number, reinterpret_cast<std::uint8_t*>(page) + kRingOffset,
               ring_bytes, max_open_spans);
  if (!producer->AddSlots()) {
    registry->memory().Unmap(page);
    return nullptr;
  }
  producer->Describe(page);
  return producer;
}

Producer::Producer(Registry* registry, std::uint64_t number, std::uint8_t* ring_buffer,
                   std::uint64_t ring_bytes, std::uint64_t max_open_spans) noexcept
    : id_state_(platform::RandomSeed()),
      id_step_(platform::RandomSeed() | 1),
      registry_(registry),
      max_open_spans_(max_open_spans),
      number_(number),
      ring_(ring_buffer, ring_bytes) {}

// For a reader of the file.
void Producer::Describe(PageHeader* page) noexcept {
  page->published = OffsetOf(ring_.published_address());
  page->consumed = OffsetOf(ring_.consumed_address());
  page->ring = kRingOffset;
  page->ring_bytes = ring_.capacity();
  page->started = OffsetOf(&started);
  page->reentrant_starts = OffsetOf(&reentrant_starts);
  page->reentrant_ends = OffsetOf(&reentrant_ends);
  page->drops = OffsetOf(drops.data());
  page->drop_count = drops.size();
  page->busy = OffsetOf(&busy_);
  WriterMemory::Publish(page);
}

PageHeader* Producer::page() noexcept { return reinterpret_cast<PageHeader*>(this) - 1; }

std::uint64_t Producer::OffsetOf(const void* member) noexcept {
  return static_cast<std::uint64_t>(reinterpret_cast<const char*>(member) -
                                    reinterpret_cast<const char*>(page()));
}

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
  PageHeader* page = registry_->memory().Map(
      PageKind::kSlots, RoundUpToPage(sizeof(SlotChunk) + count * sizeof(OpenSpan)));
  if (page == nullptr) return false;
  auto* chunk = reinterpret_cast<SlotChunk*>(page);
  for (std::uint64_t i = count; i-- > 0;) {
    OpenSpan* slot = new (&chunk->slots()[i]) OpenSpan;
    slot->record.SetFirst(0, 0, RecordStatus::kFree);
    slot->owner = this;
    ReturnSlot(slot);
  }
  slots_ += count;
  // relaxed: only written here.
  chunk->next = chunks_.load(std::memory_order_relaxed);
  chunk->count = count;
  page->first_slot = sizeof(SlotChunk);
  page->slot_bytes = sizeof(OpenSpan);
  page->slot_count = count;
  page->execution_id = offsetof(OpenSpan, execution_id);
  page->items = offsetof(OpenSpan, items);
  page->inline_items = offsetof(OpenSpan, inline_items);
  page->inline_bytes = internal::kInlineItemBytes;
  WriterMemory::Publish(page);
  // release: pairs with the acquire in ForEachSlot.
  chunks_.store(chunk, std::memory_order_release);
  return true;
}

// Where Create put it.
std::uint8_t* Producer::RingBuffer() noexcept {
  return reinterpret_cast<std::uint8_t*>(page()) + kRingOffset;
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
  // relaxed, both: there is no thread, and the drainer is here.
  SlotChunk* chunk = chunks_.load(std::memory_order_relaxed);
  chunks_.store(nullptr, std::memory_order_relaxed);
  while (chunk != nullptr) {
    SlotChunk* const following = chunk->next;
    registry_->memory().Unmap(&chunk->page);
    chunk = following;
  }
}

bool Producer::TakePagesBack() noexcept {
  if (slots_ == 0 && !AddSlots()) return false;
  return platform::PopulatePages(RingBuffer(), ring_.capacity());
}

void Producer::MakePrivateAfterFork() noexcept {
  const auto make_private = [](PageHeader* page, std::uint64_t bytes) {
    if (page->number != 0) platform::MakePrivate(page, bytes, /*keep=*/true);
  };
  if (number_ != 0) platform::MakePrivate(RingBuffer(), ring_.capacity(), /*keep=*/false);
  make_private(page(), kRingOffset);
  // relaxed: this is the child's only thread.
  for (SlotChunk* chunk = chunks_.load(std::memory_order_relaxed); chunk != nullptr;
       chunk = chunk->next) {
    make_private(&chunk->page, chunk->page.bytes);
    for (std::uint64_t i = 0; i < chunk->count; ++i) {
      const OpenSpan& slot = chunk->slots()[i];
      if (slot.items == slot.inline_items) continue;
      PageHeader* extension = Extensions::PageOf(slot.items);
      make_private(extension, extension->bytes);
    }
  }
}

}  // namespace spanring::ring

// Where a writer's rings and open spans lie: in files on tmpfs, so that another process can read
// them when this one has been killed; without a folder, in memory of its own.
// Threads: any.
// Memory: mapped, each piece with a PageHeader in front.
// Errors: a piece that finds no room in a file is in memory of its own, all but its counts if
//   those find some; nullptr: neither.
// Design: docs/reliability.md#files
//
//   folder/control       ControlData: who this is, its clock, its counts, the names of call sites
//   folder/producer-N    a Producer, and behind its pages its ring
//   folder/slots-N       OpenSpans
//   folder/extension-N   the items of a span that outgrew its slot
//   folder/lock          locked while the process lives
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "platform/private_files.h"
#include "spanring/stats.h"

namespace spanring::ring {

// Never renumber.
enum class PageKind : std::uint32_t {
  kControl = 1,
  kProducer = 2,
  kSlots = 3,
  kExtension = 4,
};

inline constexpr std::uint64_t kPageMagic = 0x474e4952'4e415053;  // "SPANRING"
// Of all files together. A reader refuses every other.
inline constexpr std::uint32_t kPageVersion = 2;

// In front of each piece, and of each file. Where things are in it is said by offsets from here, so
// that a reader need not be the program that wrote it.
struct alignas(256) PageHeader {
  std::uint64_t magic;  // Last: a file without it is not whole yet.
  std::uint32_t version;
  PageKind kind;
  std::uint64_t number;  // In the name of the file; 0: there is no file.
  std::uint64_t base;    // Where it is mapped: what pointers in it refer to.
  std::uint64_t bytes;

  // Of a producer: the positions of its ring, its ring, its counts.
  std::uint64_t published;
  std::uint64_t consumed;
  std::uint64_t ring;
  std::uint64_t ring_bytes;
  std::uint64_t started;
  std::uint64_t reentrant_starts;
  std::uint64_t reentrant_ends;
  std::uint64_t drops;
  std::uint64_t drop_count;
  std::uint64_t busy;  // One byte.

  // Of slots.
  std::uint64_t first_slot;
  std::uint64_t slot_bytes;
  std::uint64_t slot_count;
  // From the start of a slot.
  std::uint64_t execution_id;
  std::uint64_t items;
  std::uint64_t inline_items;
  std::uint64_t inline_bytes;
};
static_assert(sizeof(PageHeader) == 256);

class WriterMemory {
 public:
  WriterMemory() = default;
  // `folder` stays open.
  explicit WriterMemory(platform::Fd folder) : folder_(std::move(folder)) {}

  // Zeroed and touched, but for the header. Where all of it finds no room in a file, the first
  // `head_bytes` may: a reader then finds the counts in them.
  PageHeader* Map(PageKind kind, std::size_t bytes, std::size_t head_bytes = 0) noexcept;
  // release: what the header says is there. Pairs with nothing here: a reader comes when we are
  // gone.
  static void Publish(PageHeader* page) noexcept {
    std::atomic_ref(page->magic).store(kPageMagic, std::memory_order_release);
  }
  void Unmap(PageHeader* page) noexcept;

  bool in_files() const noexcept { return static_cast<bool>(folder_); }
  // Some piece found no room in a file. relaxed: a little late is as good.
  bool has_overflowed() const noexcept { return has_overflowed_.load(std::memory_order_relaxed); }
  // In a forked child, where no call is made to it any more.
  void CloseAfterFork() noexcept { folder_.Close(); }

 private:
  platform::Fd folder_;
  // relaxed: only their uniqueness matters.
  std::atomic<std::uint64_t> next_number_{1};
  // relaxed: only ever set.
  std::atomic<bool> has_overflowed_{false};
};

// "producer-7"
std::string PageFileName(PageKind kind, std::uint64_t number);

}  // namespace spanring::ring

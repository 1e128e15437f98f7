// Room for the items of spans that outgrow their slot.
// Threads: any; a lock, taken only where the fast path ends.
// Memory: pieces of the writer's, kept for the next such span: kWarmExtensions of them, the drainer
// sees to that. Errors: nullptr when the system gives no memory. Design:
// docs/architecture.md#record
#pragma once

#include <cstdint>
#include <mutex>

#include "ring/writer_memory.h"

namespace spanring::ring {

inline constexpr std::uint64_t kWarmExtensions = 64;  // 2 MiB.

class Extensions {
 public:
  explicit Extensions(WriterMemory* memory) noexcept : memory_(memory) {}

  // A block of kExtensionBytes.
  std::uint8_t* Take() noexcept;
  static PageHeader* PageOf(std::uint8_t* block) noexcept {
    return reinterpret_cast<PageHeader*>(block) - 1;
  }
  void Return(std::uint8_t* block) noexcept;
  // Unmaps a block beyond kWarmExtensions that no span has; false when there is none.
  bool GiveBackSurplus() noexcept;

 private:
  struct FreeBlock {
    FreeBlock* next;
  };
  WriterMemory* const memory_;
  std::mutex mutex_;
  FreeBlock* free_ = nullptr;  // Under mutex_, as all below.
  std::uint64_t free_count_ = 0;
};

}  // namespace spanring::ring

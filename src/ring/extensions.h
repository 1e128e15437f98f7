// Room for the items of spans that outgrow their slot.
// Threads: any; a lock, taken only where the fast path ends.
// Memory: pages, kept for the next such span.
// Errors: nullptr when the system gives no memory.
// Design: docs/architecture.md#record
#pragma once

#include <cstdint>
#include <mutex>

namespace spanring::ring {

class Extensions {
 public:
  // A block of kExtensionBytes.
  std::uint8_t* Take() noexcept;
  void Return(std::uint8_t* block) noexcept;

 private:
  struct FreeBlock {
    FreeBlock* next;
  };
  std::mutex mutex_;
  FreeBlock* free_ = nullptr;  // Under mutex_.
};

}  // namespace spanring::ring

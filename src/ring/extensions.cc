#include "ring/extensions.h"

#include <new>

#include "platform/signals.h"
#include "ring/record.h"

namespace spanring::ring {

std::uint8_t* Extensions::Take() noexcept {
  {
    const platform::SignalBlock no_signals;
    const std::lock_guard lock(mutex_);
    if (free_ != nullptr) {
      FreeBlock* block = free_;
      free_ = block->next;
      --free_count_;
      return reinterpret_cast<std::uint8_t*>(block);
    }
  }
  PageHeader* page = memory_->Map(PageKind::kExtension, sizeof(PageHeader) + kExtensionBytes);
  if (page == nullptr) return nullptr;
  WriterMemory::Publish(page);
  return reinterpret_cast<std::uint8_t*>(page + 1);
}

void Extensions::Return(std::uint8_t* block) noexcept {
  const platform::SignalBlock no_signals;
  const std::lock_guard lock(mutex_);
  free_ = new (block) FreeBlock{free_};
  ++free_count_;
}

bool Extensions::GiveBackSurplus() noexcept {
  FreeBlock* block = nullptr;
  {
    const platform::SignalBlock no_signals;
    const std::lock_guard lock(mutex_);
    if (free_count_ <= kWarmExtensions) return false;
    block = free_;
    free_ = block->next;
    --free_count_;
  }
  memory_->Unmap(PageOf(reinterpret_cast<std::uint8_t*>(block)));
  return true;
}

}  // namespace spanring::ring

#include "platform/memory.h"

#include <sys/mman.h>

namespace spanring::platform {

void* MapPages(std::size_t bytes, bool prefault) noexcept {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | (prefault ? MAP_POPULATE : MAP_NORESERVE);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

void UnmapPages(void* memory, std::size_t bytes) noexcept { munmap(memory, bytes); }

}  // namespace spanring::platform

#include "platform/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace spanring::platform {

void* MapPages(std::size_t bytes, bool prefault) noexcept {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | (prefault ? MAP_POPULATE : MAP_NORESERVE);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

void UnmapPages(void* memory, std::size_t bytes) noexcept { munmap(memory, bytes); }

void DropPages(void* memory, std::size_t bytes) noexcept {
  // Of the system's size: on some ARM machines 64 KiB.
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t first = (begin + page - 1) & ~(page - 1);
  const std::uintptr_t end = (begin + bytes) & ~(page - 1);
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

void PopulatePages(void* memory, std::size_t bytes) noexcept {
  constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, Linux 5.14; not in older headers.
  if (madvise(memory, bytes, kPopulateWrite) == 0 || errno != EINVAL) return;
  auto* page = static_cast<volatile char*>(memory);
  constexpr std::size_t kPageBytes = 4096;
  for (std::size_t i = 0; i < bytes; i += kPageBytes) page[i] = page[i];
}

}  // namespace spanring::platform

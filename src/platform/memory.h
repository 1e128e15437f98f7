// Page-aligned memory outside the heap.
// Threads: any. Memory: mapped until UnmapPages.
// Errors: nullptr when the system gives none.
// Design: docs/architecture.md#rings
#pragma once

#include <cstddef>

namespace spanring::platform {

// Zeroed memory. `prefault` touches it all now, so that no page fault comes later.
void* MapPages(std::size_t bytes, bool prefault) noexcept;
void UnmapPages(void* memory, std::size_t bytes) noexcept;

// A hint: this thread is about to write the cache line, and wants it for itself.
inline void FetchToWrite(const void* line) noexcept {
#if defined(__x86_64__)
  // Not __builtin_prefetch, which without -mprfchw asks for a line to read. A processor that does
  // not know the instruction takes it for a no-op.
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(line)));
#else
  __builtin_prefetch(line, 1);
#endif
}

// For a part of such memory that nobody else touches meanwhile. DropPages gives its whole pages
// back to the system: they stay mapped, and read as zero. PopulatePages touches them again; where
// the system has none to give, they are left to the page faults.
void DropPages(void* memory, std::size_t bytes) noexcept;
void PopulatePages(void* memory, std::size_t bytes) noexcept;

}  // namespace spanring::platform

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
// the file behind them has no room for them any more, the part becomes memory without a file.
// False: there is none either.
void DropPages(void* memory, std::size_t bytes) noexcept;
bool PopulatePages(void* memory, std::size_t bytes) noexcept;

// The same as MapPages, prefaulted, in a new file `name` (0600) of `folder`, of which half the free
// space at most is taken; nullptr where that cannot be. Whoever opens the file sees what is
// written.
void* MapFile(int folder, const char* name, std::size_t bytes) noexcept;
// The same in place of the first `bytes` of memory that MapPages gave, and nobody has written to.
// False: it is as it was.
bool MapFileInto(int folder, const char* name, std::size_t bytes, void* memory) noexcept;
// In a forked child: what was shared through a file becomes a copy of this process's own, or, if
// not `keep`, zeros. Async-signal-safe.
void MakePrivate(void* memory, std::size_t bytes, bool keep) noexcept;

}  // namespace spanring::platform

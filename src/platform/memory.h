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

}  // namespace spanring::platform

// Descriptors that a forked child must not keep: locks, connections, journals of the parent.
// Threads: any; CloseAfterFork in a child that has one thread.
// Memory: a small static table.
// Errors: a full table leaves the descriptor to the child, open and unused.
// Design: docs/architecture.md#life
#pragma once

namespace spanring::platform {

void RememberForFork(int fd) noexcept;
void ForgetForFork(int fd) noexcept;

// Closes those that still mean what was remembered: somebody may have closed one behind our back,
// and the host opened a file of that number.
void CloseAfterFork() noexcept;

}  // namespace spanring::platform

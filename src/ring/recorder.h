// Which registry the threads of this process record into, and the hooks of thread and process life.
// Threads: as said at each call.
// Memory: a registry, once set, is never freed.
// Errors: none.
// Design: docs/architecture.md#rings
#pragma once

#include "ring/registry.h"

namespace spanring::ring {

// Before tracing is switched on. Threads take their producer from it at their next first span.
void SetRegistry(Registry* registry) noexcept;

// In the child, by the only thread that is left: its producer and every open span belong to the
// parent, and are neither recorded nor counted here.
void ForgetAfterFork() noexcept;

}  // namespace spanring::ring

// The compile-time switch and the symbols' visibility.
// Threads: none. Memory: none. Errors: none.
// Design: docs/architecture.md
#pragma once

// SPANRING_ENABLED=0 compiles tracing out: the API stays, its calls leave nothing in the caller.
// Translation units with and without it may be linked together.
#ifndef SPANRING_ENABLED
#define SPANRING_ENABLED 1
#endif

#define SPANRING_EXPORT __attribute__((visibility("default")))

// The classes whose inline bodies depend on the switch live in an inline namespace named after it,
// so that the two kinds of translation unit never share a definition.
#if SPANRING_ENABLED
#define SPANRING_ABI v1
#else
#define SPANRING_ABI compiled_out
#endif

namespace spanring {
inline namespace SPANRING_ABI {
inline constexpr bool kCompiledIn = SPANRING_ENABLED != 0;
}  // namespace SPANRING_ABI
}  // namespace spanring

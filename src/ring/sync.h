// What the lock-free structures synchronise with: std::atomic here, a model of it in tests/model.
// Threads: any. Memory: no allocation. Errors: none.
// Design: docs/memory-model.md
#pragma once

#include <atomic>
#include <cstddef>

namespace spanring::ring {

struct StdSync {
  template <typename T>
  using Atomic = std::atomic<T>;

  // Said before plain memory that two threads share is touched; the model looks for races there.
  static void WillRead(const void* /*at*/, std::size_t /*bytes*/) noexcept {}
  static void WillWrite(void* /*at*/, std::size_t /*bytes*/) noexcept {}
};

}  // namespace spanring::ring

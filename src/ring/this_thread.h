// What the calling thread records into, and what its spans take as their parent.
// Threads: as said at each call; the variables are each thread's own.
// Memory: a registry, once set, is never freed.
// Errors: without a registry or without memory there is no producer.
// Design: docs/architecture.md#rings
#pragma once

#include <cstdint>

#include "ring/registry.h"
#include "spanring/id.h"

namespace spanring::ring {

// Before tracing is switched on. Threads take their producer from it at their next first span.
void SetRegistry(Registry* registry) noexcept;
Registry* CurrentRegistry() noexcept;

// In the child, by the only thread that is left: its producer and every open span belong to the
// parent, and are neither recorded nor counted here.
void ForgetAfterFork() noexcept;

// initial-exec: one load relative to the thread pointer, also in the shared library.
#define SPANRING_THREAD_LOCAL constinit thread_local __attribute__((tls_model("initial-exec")))

// nullptr before the thread's first span.
extern SPANRING_THREAD_LOCAL Producer* t_producer;
extern SPANRING_THREAD_LOCAL SpanContext t_current;
// For trace ids: 0 until the first one.
extern SPANRING_THREAD_LOCAL std::uint64_t t_trace_seed;

// The thread's producer, taken from the registry; nullptr, and counted, where there is none.
Producer* TakeProducerSlowly() noexcept;

inline Producer* ThisProducer() noexcept {
  Producer* producer = t_producer;
  if (producer == nullptr) [[unlikely]]
    return TakeProducerSlowly();
  return producer;
}

}  // namespace spanring::ring

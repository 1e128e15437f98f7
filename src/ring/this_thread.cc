#include "ring/this_thread.h"

#include <pthread.h>

#include <atomic>

#include "platform/signals.h"
#include "spanring/internal/runtime_api.h"

namespace spanring::ring {
namespace {

constinit std::atomic<Registry*> g_registry{nullptr};
constinit std::atomic<bool> g_has_exit_key{false};
pthread_key_t g_exit_key;

// Runs after the destructors of the thread's thread_local objects, so their spans are recorded too.
void ThreadExit(void* producer_of_thread) {
  const platform::SignalBlock block;
  auto* producer = static_cast<Producer*>(producer_of_thread);
  t_producer = nullptr;
  if (producer->registry() == CurrentRegistry()) producer->registry()->Return(producer);
}

}  // namespace

SPANRING_THREAD_LOCAL Producer* t_producer = nullptr;
SPANRING_THREAD_LOCAL SpanContext t_current;
SPANRING_THREAD_LOCAL std::uint64_t t_trace_seed = 0;

Registry* CurrentRegistry() noexcept {
  // acquire: pairs with the release in SetRegistry.
  return g_registry.load(std::memory_order_acquire);
}

void SetRegistry(Registry* registry) noexcept {
  // relaxed: starts and stops are serialised by the runtime.
  if (!g_has_exit_key.load(std::memory_order_relaxed) &&
      pthread_key_create(&g_exit_key, ThreadExit) == 0) {
    // release: pairs with the acquire in TakeProducerSlowly.
    g_has_exit_key.store(true, std::memory_order_release);
  }
  // release: pairs with the acquire in CurrentRegistry.
  g_registry.store(registry, std::memory_order_release);
}

void ForgetAfterFork() noexcept {
  // relaxed, all: this is the child's only thread.
  Registry* registry = g_registry.exchange(nullptr, std::memory_order_relaxed);
  if (registry != nullptr) registry->MakePrivateAfterFork();
  t_producer = nullptr;
  t_trace_seed = 0;
  if (g_has_exit_key.load(std::memory_order_relaxed)) pthread_setspecific(g_exit_key, nullptr);
}

__attribute__((noinline, cold)) Producer* TakeProducerSlowly() noexcept {
  const platform::SignalBlock block;
  if (t_producer != nullptr) return t_producer;  // A handler took one just before the block.
  // relaxed: undecided is the first state; the decision itself is made under a lock.
  if (internal::g_mode.load(std::memory_order_relaxed) == internal::Mode::kUndecided) {
    internal::DecideFromEnvironment();
  }
  Registry* registry = CurrentRegistry();
  if (registry == nullptr) return nullptr;  // Tracing has just turned out to be off.
  Producer* producer = registry->Take();
  if (producer == nullptr) return nullptr;
  producer->BelongsToThisThread();
  t_producer = producer;
  // acquire: pairs with the release in SetRegistry. Without a key the producer is not reused.
  if (g_has_exit_key.load(std::memory_order_acquire)) pthread_setspecific(g_exit_key, producer);
  return producer;
}

}  // namespace spanring::ring

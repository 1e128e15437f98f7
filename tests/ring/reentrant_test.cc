// A signal handler that interrupts the tracer at a place that the test chooses: the page of the
// next slot is made read-only, so the start that writes to it is interrupted in the middle.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <thread>

#include "ring/registry.h"
#include "ring/this_thread.h"
#include "runtime/sanitizers.h"
#include "spanring/internal/runtime_api.h"

namespace spanring::ring {
namespace {

constexpr std::uintptr_t kPageBytes = 4096;

void* g_page = nullptr;
OpenSpan* g_open = nullptr;     // Ended by the handler.
OpenSpan* g_started = nullptr;  // What the handler's start gave.
volatile int g_interrupted = 0;

OpenSpan* StartSpan() {
  return internal::StartSpan(TraceId(1, 2), SpanId(), "service", "operation");
}

void SpansInHandler(int) {
  g_interrupted = g_interrupted + 1;
  if (g_interrupted > 1 || mprotect(g_page, kPageBytes, PROT_READ | PROT_WRITE) != 0) _exit(100);
  g_started = StartSpan();
  internal::SetAttribute(g_open, "in", std::string_view("a handler"));
  internal::EndSpanCompleted(g_open);
}

[[noreturn]] void InterruptAStart() {
  auto* registry = new Registry(64 * 1024, 1000);
  SetRegistry(registry);
  // More than a page of slots lies between the one that the handler ends and the one that faults.
  OpenSpan* between[20];
  g_open = StartSpan();
  for (OpenSpan*& span : between) span = StartSpan();
  OpenSpan* const next = StartSpan();
  internal::EndSpanCompleted(next);  // Last in, first out: the next start takes it again.
  g_page =
      reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(&next->record) & ~(kPageBytes - 1));
  struct sigaction action{};
  action.sa_handler = SpansInHandler;
  sigaction(SIGSEGV, &action, nullptr);
  if (mprotect(g_page, kPageBytes, PROT_READ) != 0) _exit(101);
  OpenSpan* const interrupted = StartSpan();
  if (g_interrupted != 1) _exit(102);
  if (g_started != nullptr) _exit(103);
  if (interrupted != next) _exit(104);
  Stats stats = registry->Count();
  // Started: g_open, between, next, interrupted, and the handler's.
  if (stats.started != 24 || stats.journalled != 1 || stats.open != 21) _exit(105);
  if (stats.dropped != 2) _exit(106);
  if (stats.dropped_by_reason[static_cast<std::size_t>(DropReason::kReentrant)] != 2) _exit(107);
  internal::EndSpanCompleted(interrupted);
  for (OpenSpan* span : between) internal::EndSpanCompleted(span);
  // Every slot is free again: as many spans as before open without a new chunk.
  std::uint64_t opened = 0;
  while (StartSpan() != nullptr) ++opened;
  stats = registry->Count();
  if (opened != 1000 || stats.open != 1000 || stats.journalled != 22) _exit(108);
  if (stats.started != stats.journalled + stats.open + stats.dropped) _exit(109);
  _exit(0);
}

TEST(ReentrantDeathTest, AHandlerInsideTheTracerLosesItsOwnSpanOnlyAndIsCounted) {
  if (kThreadSanitizer) GTEST_SKIP() << "a handler amid an atomic store waits for TSan's own lock";
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(InterruptAStart(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace spanring::ring

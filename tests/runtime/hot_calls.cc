// The calls of the hot path, counted by instructions.py and looked through by no_lock.py.
//
//   hot_calls CASE N: CASE, N times, on warm memory, into a ring that nobody drains.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ring/this_thread.h"
#include "spanring/spanring.h"

namespace spanring {
namespace {

constinit CallSite g_site("runner", "runner.execute_question");
constinit CallSite g_next("runner", "runner.next");
const SpanContext kParent{TraceId(1, 2), SpanId(3), true};

__attribute__((noinline)) void Nothing(Tracer&, std::int64_t) { asm volatile(""); }

__attribute__((noinline)) void StartComplete(Tracer& tracer, std::int64_t) {
  Span span = tracer.StartSpan(kParent.trace_id, kParent.span_id, g_site);
  span.Complete();
}

__attribute__((noinline)) void ScopedChild(Tracer& tracer, std::int64_t) {
  const Span span = tracer.StartSpan(g_site);
}

__attribute__((noinline)) void ContextAndThreeAttributes(Tracer& tracer, std::int64_t i) {
  Span span = tracer.StartSpan(kParent.trace_id, kParent.span_id, g_site);
  span.SetExecutionContext("job-7", 2193, "llama-3-70b", "eu-west");
  span.SetAttribute("queue", "default");
  span.SetAttribute("attempt", i);
  span.SetAttribute("share", 0.5);
  span.Complete();
}

__attribute__((noinline)) void DynamicNames(Tracer& tracer, std::int64_t) {
  Span span = tracer.StartSpan(kParent.trace_id, kParent.span_id, "runner", "runner.question");
  span.CompleteWithError("connection refused", "ECONNREFUSED");
}

__attribute__((noinline)) void Phase(Span& phase) { phase.Next(g_next); }

__attribute__((noinline)) void PhaseWithContext(Span& phase) {
  phase.SetExecutionContext("job-7", 2193, "llama-3-70b", "eu-west");
  phase.Next(g_next);
}

using Call = void (*)(Tracer&, std::int64_t);

void Repeat(Call call, std::int64_t n) {
  Tracer tracer;
  for (std::int64_t i = 0; i < n; ++i) call(tracer, i);
}

// Each measured call has been made before: the first one fills tables and takes a slot.
void Run(std::string_view name, std::int64_t n) {
  const Scope scope(kParent);
  if (name.starts_with("phase")) {
    void (*const go_on)(Span&) = name == "phase" ? Phase : PhaseWithContext;
    Span phase = Tracer().StartSpan(g_site);
    for (std::int64_t i = 0; i < n; ++i) go_on(phase);
    return;
  }
  Call call = Nothing;
  if (name == "start_complete" || name == "off") call = StartComplete;
  if (name == "scoped_child") call = ScopedChild;
  if (name == "context_and_three_attributes") call = ContextAndThreeAttributes;
  if (name == "dynamic_names_and_error") call = DynamicNames;
  Repeat(call, n);
}

}  // namespace
}  // namespace spanring

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string_view name = argv[1];
  const std::int64_t n = std::atoll(argv[2]);
  auto& registry = *new spanring::ring::Registry(16 * 1024 * 1024, 100);
  spanring::ring::SetRegistry(&registry);
  const bool off = name == "off" || name == "nothing";
  spanring::internal::g_mode.store(off ? spanring::internal::Mode::kOff
                                       : spanring::internal::Mode::kOn);
  spanring::Run(name, n);
  const spanring::Stats stats = registry.Count();
  const std::uint64_t expected =
      off ? 0 : static_cast<std::uint64_t>(n) + (name.starts_with("phase") ? 1 : 0);
  if (stats.started != expected || stats.dropped != 0) {
    std::fprintf(stderr, "%llu spans started, %llu dropped\n",
                 static_cast<unsigned long long>(stats.started),
                 static_cast<unsigned long long>(stats.dropped));
    return 1;
  }
}

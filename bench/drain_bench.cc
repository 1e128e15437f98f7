// The drainer's work: from the rings to rows ready for COPY; and how long a burst a ring takes.
#include <atomic>
#include <barrier>
#include <memory>

#include "flush/counters.h"
#include "flush/drainer.h"
#include "flush/journal.h"
#include "harness.h"
#include "ring/registry.h"
#include "ring/this_thread.h"
#include "spanring/internal/runtime_api.h"

namespace spanring::bench {
namespace {

// Rings, a journal and a drainer without the runtime. Kept, as the runtime keeps its rings.
struct Way {
  explicit Way(std::uint64_t ring_bytes)
      : before(ring::CurrentRegistry()),
        registry(*new ring::Registry(ring_bytes, 131'072)),
        journal({.capacity_bytes = std::uint64_t{1} << 30}),
        drainer({.batch_rows = 10'000, .flush_interval_ms = 500, .service_name = "service"},
                &registry, &journal, &counters, [] {}) {
    ring::SetRegistry(&registry);
    internal::g_mode.store(internal::Mode::kOn, std::memory_order_relaxed);  // relaxed: one thread.
  }
  ~Way() {
    internal::g_mode.store(internal::Mode::kOff, std::memory_order_relaxed);  // relaxed: as above.
    ring::SetRegistry(before);
  }
  // As a shipper that is infinitely fast.
  void Ship() {
    while (flush::Batch* batch = journal.Take()) journal.Done(batch);
  }
  ring::Registry* const before;  // The runtime's, which other cases go on with.
  ring::Registry& registry;
  flush::Journal journal;
  flush::Counters counters;
  flush::Drainer drainer;
};

// From a ring that another thread filled into the journal, rows encoded. items:0 are spans without
// items, items:1 have the execution context and three attributes.
void BM_Drain_Spans(benchmark::State& state) {
  constexpr int kSpans = 4096;
  const bool with_items = state.range(0) != 0;
  Way way(kRingBytes);
  std::barrier turn(2);
  std::atomic<bool> stop{false};
  std::thread producer([&] {
    Tracer tracer;
    for (;;) {
      turn.arrive_and_wait();
      if (stop.load(std::memory_order_relaxed)) return;  // relaxed: the barrier orders it.
      for (int i = 0; i < kSpans; ++i) {
        with_items ? RecordWithItems(tracer, i) : RecordPlain(tracer);
      }
      turn.arrive_and_wait();
    }
  });
  std::vector<double> ns;
  while (state.KeepRunningBatch(kSpans)) {
    turn.arrive_and_wait();
    turn.arrive_and_wait();
    const auto start = std::chrono::steady_clock::now();
    const std::uint64_t drained = way.drainer.Pass();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (drained != kSpans) state.SkipWithError("spans are missing");
    way.Ship();
    state.SetIterationTime(took.count());
    ns.push_back(took.count() * 1e9 / kSpans);
  }
  stop.store(true, std::memory_order_relaxed);  // relaxed: as above.
  turn.arrive_and_wait();
  producer.join();
  state.SetItemsProcessed(state.iterations());
  const double median = Median(ns);
  state.counters["median_ns"] = median;
  state.counters["spans_per_s"] = 1e9 / median;
}

// Counter `absorbed`: spans recorded without a pause before the first one is dropped, with the
// drainer polling as it does after some time without spans. The median of several bursts; at most
// 1,000,000 a burst.
void BM_Ring_Burst(benchmark::State& state) {
  constexpr int kMost = 1'000'000;
  Way way(static_cast<std::uint64_t>(state.range(0)));
  std::thread drainer([&] { way.drainer.Run(); });
  std::vector<double> absorbed;
  std::thread([&] {
    Tracer tracer;
    const auto drops = [&] { return way.registry.Count().dropped; };
    for (auto _ : state) {
      const std::uint64_t before = drops();
      const auto start = std::chrono::steady_clock::now();
      int n = 0;
      for (; n < kMost; ++n) {
        RecordPlain(tracer);
        if (n % 64 == 0 && drops() != before) break;
      }
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      state.SetIterationTime(took.count());
      absorbed.push_back(n);
      way.drainer.WaitForFlush(way.drainer.RequestFlush(), start + std::chrono::minutes(1));
      way.Ship();
      std::this_thread::sleep_for(std::chrono::milliseconds(state.range(1)));
    }
  }).join();
  way.drainer.Stop();
  drainer.join();
  state.counters["absorbed"] = Median(absorbed);
}

BENCHMARK(BM_Drain_Spans)
    ->ArgName("items")
    ->Arg(0)
    ->Arg(1)
    ->UseManualTime()
    ->Iterations(benchmark::IterationCount{4096} * 100);
BENCHMARK(BM_Ring_Burst)
    ->ArgNames({"bytes", "idle_ms"})
    ->ArgsProduct({{1 << 18, 1 << 20, 1 << 22}, {2, 1000}})
    ->UseManualTime()
    ->Iterations(2);

}  // namespace
}  // namespace spanring::bench

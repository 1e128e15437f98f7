// Several threads that record, and a drainer that is busy meanwhile.
#include <atomic>
#include <barrier>
#include <memory>
#include <vector>

#include "floor.h"
#include "harness.h"

namespace spanring::bench {
namespace {

constinit CallSite g_site("runner", "runner.execute_question");

void RecordOne(Tracer& tracer) {
  Span span = tracer.StartSpan(kParent.trace_id, kParent.span_id, g_site);
  span.Complete();
}

// Two threads do their batches at the same time; the figure is the slower one's.
void RunOnTwo(benchmark::State& state, auto here, auto there) {
  std::barrier together(2);
  std::atomic<bool> stop{false};
  std::vector<double> ns[2];
  double seconds_there = 0;
  std::thread other([&] {
    for (;;) {
      together.arrive_and_wait();
      if (stop.load(std::memory_order_relaxed)) return;  // relaxed: the barrier orders it.
      seconds_there = TimeBatch(there);
      together.arrive_and_wait();
    }
  });
  while (state.KeepRunningBatch(kBatch)) {
    together.arrive_and_wait();
    const double seconds = TimeBatch(here);
    together.arrive_and_wait();
    state.SetIterationTime(std::max(seconds, seconds_there));
    ns[0].push_back(seconds * 1e9 / kBatch);
    ns[1].push_back(seconds_there * 1e9 / kBatch);
    std::this_thread::sleep_for(kPause);
  }
  stop.store(true, std::memory_order_relaxed);  // relaxed: as above.
  together.arrive_and_wait();
  other.join();
  state.counters["median_ns"] = std::max(Median(ns[0]), Median(ns[1]));
}

void BM_Span_TwoProducers(benchmark::State& state) {
  WithTracer with(state);
  const auto record = [&](int) { RecordOne(with.tracer); };
  RunOnTwo(state, record, record);
}

// What the machine itself takes for two at once.
void BM_Floor_TwoProducers(benchmark::State& state) {
  const auto first = std::make_unique<FloorRing>(kRingBytes);
  const auto second = std::make_unique<FloorRing>(kRingBytes);
  RunOnTwo(state, [&](int) { first->Record(); }, [&](int) { second->Record(); });
}

// Many threads on few processors, each with a ring of its own.
void BM_Span_Threads(benchmark::State& state) {
  WithTracer with(state);
  const auto threads = static_cast<int>(state.range(0));
  std::vector<double> ns;
  while (state.KeepRunningBatch(benchmark::IterationCount{kBatch} * threads)) {
    std::vector<std::vector<double>> of_thread(static_cast<std::size_t>(threads));
    std::vector<std::thread> running;
    running.reserve(of_thread.size());
    double seconds = 0;
    for (auto& batches : of_thread) {
      running.emplace_back([&with, &batches] {
        RecordOne(with.tracer);  // The thread's first span is another matter.
        for (int i = 0; i < 4; ++i) {
          std::this_thread::sleep_for(kPause);
          batches.push_back(TimeBatch([&](int) { RecordOne(with.tracer); }));
        }
      });
    }
    for (std::thread& thread : running) thread.join();
    for (const auto& batches : of_thread) {
      for (const double batch : batches) {
        ns.push_back(batch * 1e9 / kBatch);
        seconds += batch / 4;
      }
    }
    state.SetIterationTime(seconds);
  }
  state.counters["median_ns"] = Median(ns);
}

// Batches follow one another so fast that the drainer is at work during each of them.
void BM_Span_WhileDrained(benchmark::State& state) {
  WithTracer with(state);
  RunInBatches(state, [&](int) { RecordOne(with.tracer); }, std::chrono::microseconds(300));
}

constexpr auto kIterations = benchmark::IterationCount{kBatch} * kBatches;

BENCHMARK(BM_Floor_TwoProducers)->UseManualTime()->Iterations(kIterations);
BENCHMARK(BM_Span_TwoProducers)->UseManualTime()->Iterations(kIterations);
BENCHMARK(BM_Span_Threads)
    ->ArgName("threads")
    ->Arg(64)
    ->UseManualTime()
    ->Iterations(benchmark::IterationCount{kBatch} * 64 * 8);
BENCHMARK(BM_Span_WhileDrained)->UseManualTime()->Iterations(kIterations);

}  // namespace
}  // namespace spanring::bench

// Several threads that record, and a drainer that is busy meanwhile.
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <cmath>
#include <memory>
#include <vector>

#include "floor.h"
#include "harness.h"

namespace spanring::bench {
namespace {

void PinTo(unsigned cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu % std::thread::hardware_concurrency(), &set);
  pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

// Two threads, each on a processor of its own, do their batches at the same time; the figure is the
// slower one's. Counter `overlap`: the share of a batch during which both were at it, at the
// median.
void RunOnTwo(benchmark::State& state, auto here, auto there) {
  using Clock = std::chrono::steady_clock;
  struct Side {
    Clock::time_point start;
    double seconds;
    std::vector<double> ns;
  };
  Side sides[2];
  std::vector<double> overlaps;
  std::atomic<int> round{0};  // Odd: both go. Even: the other one is done. Negative: the end.
  const auto run = [](Side& side, auto& operation) {
    side.start = Clock::now();
    side.seconds = TimeBatch(operation);
    side.ns.push_back(side.seconds * 1e9 / kBatch);
  };
  cpu_set_t before;
  pthread_getaffinity_np(pthread_self(), sizeof(before), &before);
  PinTo(0);
  // acquire, release: each side sees what the other wrote before it moved the round on.
  std::thread other([&] {
    PinTo(1);
    for (int next = 1;; next += 2) {
      int now = 0;
      while ((now = round.load(std::memory_order_acquire)) != next && now >= 0) {
      }
      if (now < 0) return;
      run(sides[1], there);
      round.store(next + 1, std::memory_order_release);
    }
  });
  int last = 0;
  while (state.KeepRunningBatch(kBatch)) {
    std::this_thread::sleep_for(kPause);
    round.store(last + 1, std::memory_order_release);
    run(sides[0], here);
    last += 2;
    while (round.load(std::memory_order_acquire) != last) {
    }
    const double longer = std::max(sides[0].seconds, sides[1].seconds);
    const double apart =
        std::abs(std::chrono::duration<double>(sides[0].start - sides[1].start).count());
    overlaps.push_back(std::max(0.0, 1 - apart / longer));
    state.SetIterationTime(longer);
  }
  round.store(-1, std::memory_order_release);
  other.join();
  pthread_setaffinity_np(pthread_self(), sizeof(before), &before);
  state.counters["median_ns"] = std::max(Median(sides[0].ns), Median(sides[1].ns));
  state.counters["overlap"] = Median(overlaps);
}

void BM_Span_TwoProducers(benchmark::State& state) {
  WithTracer with(state);
  const auto record = [&](int) { RecordPlain(with.tracer); };
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
        RecordPlain(with.tracer);  // The thread's first span is another matter.
        for (int i = 0; i < 4; ++i) {
          std::this_thread::sleep_for(kPause);
          batches.push_back(TimeBatch([&](int) { RecordPlain(with.tracer); }));
        }
      });
    }
    for (std::thread& thread : running) thread.join();
    std::this_thread::sleep_for(100 * kPause);  // The next threads go on with these rings.
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

// Batches follow one another so fast that the drainer is at work for a third of the time, mostly on
// the last batch while the next is recorded.
void BM_Span_WhileDrained(benchmark::State& state) {
  WithTracer with(state);
  RunInBatches(state, [&](int) { RecordPlain(with.tracer); }, std::chrono::microseconds(200));
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

// What a thread pays once, for its first span, beside the floor: a thread that does nothing.
// The first span less the floor is the price of taking a producer.
#include <chrono>
#include <cstdint>
#include <thread>

#include "harness.h"
#include "ring/registry.h"

namespace spanring::bench {
namespace {

constexpr std::uint64_t kMaxOpenSpans = 131'072;

void BM_Thread_StartJoin(benchmark::State& state) {
  for (auto _ : state) std::thread([] {}).join();
}

// The thread goes on with the producer of the one before it.
void BM_Thread_FirstSpan(benchmark::State& state) {
  WithTracer with(state);
  for (auto _ : state) std::thread([&] { with.tracer.StartSpan(g_site).Complete(); }).join();
}

// What the first span does beyond any other: takes a producer of 1 MiB. One that another thread
// left a moment ago,
void BM_Producer_Take_Warm(benchmark::State& state) {
  ring::Registry registry(kRingBytes, kMaxOpenSpans);
  for (auto _ : state) registry.Return(registry.Take());
}

// one that gave its pages back,
void BM_Producer_Take_Cold(benchmark::State& state) {
  ring::Registry registry(kRingBytes, kMaxOpenSpans);
  ring::Producer* producer = registry.Take();
  for (auto _ : state) {
    producer->GiveUpPages();
    registry.ReturnCold(producer);
    const auto start = std::chrono::steady_clock::now();
    producer = registry.Take();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(time.count());
  }
}

// or a new one. Its pages stay mapped, and are given back.
void BM_Producer_Take_New(benchmark::State& state) {
  for (auto _ : state) {
    ring::Registry registry(kRingBytes, kMaxOpenSpans);
    const auto start = std::chrono::steady_clock::now();
    ring::Producer* producer = registry.Take();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(time.count());
    producer->GiveUpPages();
  }
}

// What the drainer does to a producer that nobody uses; taking it back is not part of the time.
void BM_Producer_GiveUpPages(benchmark::State& state) {
  ring::Registry registry(kRingBytes, kMaxOpenSpans);
  for (auto _ : state) {
    ring::Producer* producer = registry.Take();
    const auto start = std::chrono::steady_clock::now();
    producer->GiveUpPages();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(time.count());
    registry.ReturnCold(producer);
  }
}

BENCHMARK(BM_Thread_StartJoin)->UseRealTime();
BENCHMARK(BM_Thread_FirstSpan)->UseRealTime();
BENCHMARK(BM_Producer_Take_Warm);
BENCHMARK(BM_Producer_Take_Cold)->UseManualTime();
BENCHMARK(BM_Producer_Take_New)->UseManualTime()->Iterations(1000);
BENCHMARK(BM_Producer_GiveUpPages)->UseManualTime();

}  // namespace
}  // namespace spanring::bench

// What others take for the same: the way of the floor with one part replaced, and two libraries.
#include <concurrentqueue/concurrentqueue.h>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>

#include "floor.h"
#include "harness.h"

#if SPANRING_BENCH_SPDLOG
#include <spdlog/async.h>
#include <spdlog/sinks/null_sink.h>
#endif
#if SPANRING_BENCH_LTTNG
#include "lttng_span.h"
#endif

namespace spanring::bench {
namespace {

// The floor's two timestamps from the kernel's clock.
void BM_Baseline_ClockGettimeAndRecord(benchmark::State& state) {
  const auto ring = std::make_unique<FloorRing>(kRingBytes);
  RunInBatches(state, [&](int) {
    ring->Record(
        [] { return static_cast<std::uint64_t>(platform::ClockNanoseconds(CLOCK_MONOTONIC)); });
  });
}

// The floor's ring behind a mutex that nobody else wants.
void BM_Baseline_MutexRing(benchmark::State& state) {
  const auto ring = std::make_unique<FloorRing>(kRingBytes);
  std::mutex mutex;
  RunInBatches(state, [&](int) {
    const std::lock_guard lock(mutex);
    ring->Record();
  });
}

struct QueuedRecord {
  std::uint64_t start;
  std::uint64_t end;
  std::array<std::uint8_t, kFloorRecordBytes - 16> contents;
};

void BM_Baseline_MoodycamelToken(benchmark::State& state) {
  moodycamel::ConcurrentQueue<QueuedRecord> queue(64 * kBatch);
  std::atomic<bool> stop{false};
  std::thread consumer([&] {
    std::vector<QueuedRecord> taken(kBatch);
    // relaxed: a stale value costs one more round.
    while (!stop.load(std::memory_order_relaxed)) {
      while (queue.try_dequeue_bulk(taken.data(), taken.size()) != 0) {
      }
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  });
  const moodycamel::ProducerToken token(queue);
  QueuedRecord record{};
  std::uint64_t drops = 0;
  RunInBatches(state, [&](int) {
    record.start = platform::Ticks();
    record.end = platform::Ticks();
    drops += queue.try_enqueue(token, record) ? 0 : 1;
  });
  state.counters["drops"] = static_cast<double>(drops);
  stop.store(true, std::memory_order_relaxed);  // relaxed: as above.
  consumer.join();
}

#if SPANRING_BENCH_SPDLOG
// One line with two timestamps and three ids, into a sink that throws it away.
void BM_Baseline_SpdlogAsync(benchmark::State& state) {
  auto pool = std::make_shared<spdlog::details::thread_pool>(16 * kBatch, 1);
  auto logger = std::make_shared<spdlog::async_logger>(
      "spans", std::make_shared<spdlog::sinks::null_sink_mt>(), pool,
      spdlog::async_overflow_policy::overrun_oldest);
  RunInBatches(state, [&](int) {
    const std::uint64_t start = platform::Ticks();
    const std::uint64_t end = platform::Ticks();
    logger->info("{:016x}{:016x} {:016x} runner runner.execute_question {} {}",
                 kParent.trace_id.high(), kParent.trace_id.low(), kParent.span_id.value(), start,
                 end);
  });
}
#endif

#if SPANRING_BENCH_LTTNG
// A begin and an end event. Counter `traced`: 1 when a session records them; without one, an event
// is a branch.
void BM_Baseline_LttngUst(benchmark::State& state) {
  const bool traced = lttng_ust_tracepoint_enabled(spanring_bench, span_begin) != 0;
  RunInBatches(state, [&](int) {
    lttng_ust_tracepoint(spanring_bench, span_begin, kParent.trace_id.high(),
                         kParent.trace_id.low(), kParent.span_id.value(),
                         "runner.execute_question");
    lttng_ust_tracepoint(spanring_bench, span_end, kParent.span_id.value());
  });
  state.counters["traced"] = traced ? 1 : 0;
}
#endif

// The floor with larger rings, and with the hint that asks for huge pages.
void BM_Floor_RingBytes(benchmark::State& state) {
  const auto ring =
      std::make_unique<FloorRing>(static_cast<std::uint64_t>(state.range(0)), state.range(1) != 0);
  RunInBatches(state, [&](int) { ring->Record(); });
  state.counters["drops"] = static_cast<double>(ring->drops());
}

constexpr auto kIterations = benchmark::IterationCount{kBatch} * kBatches;

BENCHMARK(BM_Baseline_ClockGettimeAndRecord)->UseManualTime()->Iterations(kIterations);
BENCHMARK(BM_Baseline_MutexRing)->UseManualTime()->Iterations(kIterations);
BENCHMARK(BM_Baseline_MoodycamelToken)->UseManualTime()->Iterations(kIterations);
#if SPANRING_BENCH_SPDLOG
BENCHMARK(BM_Baseline_SpdlogAsync)->UseManualTime()->Iterations(kIterations);
#endif
#if SPANRING_BENCH_LTTNG
BENCHMARK(BM_Baseline_LttngUst)->UseManualTime()->Iterations(kIterations);
#endif
BENCHMARK(BM_Floor_RingBytes)
    ->ArgNames({"bytes", "huge"})
    ->Args({1 << 18, 0})
    ->Args({1 << 20, 0})
    ->Args({1 << 23, 0})
    ->Args({1 << 23, 1})
    ->UseManualTime()
    ->Iterations(kIterations);

}  // namespace
}  // namespace spanring::bench

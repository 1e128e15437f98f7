// What the cases share: timing in batches, percentiles of single operations, a running tracer.
// Threads: the benchmark's own.
// Memory: samples are kept in vectors that are there before the timed part.
// Errors: a case that cannot run says why (SkipWithError).
// Design: docs/performance.md
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "flush/counters.h"
#include "flush/drainer.h"
#include "flush/journal.h"
#include "platform/clock.h"
#include "ring/registry.h"
#include "ring/this_thread.h"
#include "spanring/internal/runtime_api.h"
#include "spanring/spanring.h"

namespace spanring::bench {

inline constexpr std::uint64_t kRingBytes = 1024 * 1024;
// A batch has fewer records than a ring holds, and a pause behind it for the ring's consumer, which
// is not part of the time.
inline constexpr int kBatch = 2048;
inline constexpr int kBatches = 200;
inline constexpr std::chrono::microseconds kPause{1000};

inline double Median(std::vector<double>& values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

inline double TimeBatch(auto&& operation) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kBatch; ++i) operation(i);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Times `operation` in batches. Counter `median_ns`: of the batches, which an interrupted batch
// does not move.
template <typename Operation>
void RunInBatches(benchmark::State& state, Operation operation,
                  std::chrono::microseconds pause = kPause) {
  std::vector<double> ns;
  ns.reserve(kBatches);
  while (state.KeepRunningBatch(kBatch)) {
    const double seconds = TimeBatch(operation);
    state.SetIterationTime(seconds);
    ns.push_back(seconds * 1e9 / kBatch);
    std::this_thread::sleep_for(pause);
  }
  state.counters["median_ns"] = Median(ns);
}

// Times every operation by itself, between two readings of the counter. The time includes one
// reading: what BM_Latency_Timer shows.
template <typename Operation>
void RunOneByOne(benchmark::State& state, Operation operation, int in_a_row = 4 * kBatch) {
  const platform::TickCalibration clock;
  const std::uint64_t now = platform::Ticks();
  const double ns_per_tick =
      static_cast<double>(clock.DurationNanoseconds(now, now + 1'000'000'000)) / 1e9;
  std::vector<std::uint64_t> ticks;
  ticks.reserve(static_cast<std::size_t>(kBatch) * kBatches);
  // Warm: the ring has been around once, the consumer has found its pace.
  for (int round = 0; round < 16; ++round) {
    for (int i = 0; i < kBatch; ++i) operation(i);
    std::this_thread::sleep_for(kPause);
  }
  while (state.KeepRunningBatch(in_a_row)) {
    std::uint64_t sum = 0;
    for (int i = 0; i < in_a_row; ++i) {
      const std::uint64_t before = platform::Ticks();
      operation(i);
      const std::uint64_t took = platform::Ticks() - before;
      ticks.push_back(took);
      sum += took;
    }
    state.SetIterationTime(ns_per_tick * static_cast<double>(sum) / 1e9);
    std::this_thread::sleep_for(2 * kPause);
  }
  std::sort(ticks.begin(), ticks.end());
  const auto percentile = [&](double share) {
    const auto last = static_cast<double>(ticks.size() - 1);
    const auto at = static_cast<std::size_t>(share * last);
    return ns_per_tick * static_cast<double>(ticks[at]);
  };
  state.counters["median_ns"] = percentile(0.5);
  state.counters["p50"] = percentile(0.5);
  state.counters["p90"] = percentile(0.9);
  state.counters["p99"] = percentile(0.99);
  state.counters["p99.9"] = percentile(0.999);
  state.counters["p99.99"] = percentile(0.9999);
  state.counters["max"] = percentile(1.0);
  // The counter's own step: the least difference between two figures.
  std::uint64_t step = 0;
  for (std::size_t i = 1; i < ticks.size(); ++i) {
    const std::uint64_t more = ticks[i] - ticks[i - 1];
    if (more != 0 && (step == 0 || more < step)) step = more;
  }
  state.counters["step_ns"] = ns_per_tick * static_cast<double>(step);
}

// A folder on tmpfs for the rings, as a traced process has, until the program ends; without tmpfs,
// none.
inline platform::Fd RingFolder() {
  struct Folder {
    std::string name = "/dev/shm/spanring-bench.XXXXXX";
    bool made = mkdtemp(name.data()) != nullptr;
    ~Folder() {
      if (made) std::filesystem::remove_all(name);
    }
  };
  static const Folder folder;
  if (!folder.made) return {};
  auto fd = platform::OpenFolder(folder.name);
  return fd.ok() ? std::move(*fd) : platform::Fd();
}

// Tracing is on, down to a journal whose batches are taken and given back by a shipper that is
// infinitely fast: rings are drained and rows encoded as ever, and no server takes the processors.
// Counter `drops`: spans that found their ring full, or its row no room; above 0 the figure is
// partly that of dropping.
class WithTracer {
 public:
  explicit WithTracer(benchmark::State& state) : state_(state) {
    // relaxed: for this thread; the others are started later.
    internal::g_mode.store(internal::Mode::kOn, std::memory_order_relaxed);
    drainer_thread_ = std::thread([this] { drainer_.Run(); });
    shipper_thread_ = std::thread([this] {
      // relaxed: a stale value costs one more round.
      while (!stop_.load(std::memory_order_relaxed)) {
        while (flush::Batch* batch = journal_.Take()) journal_.Done(batch);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
    // Until the journal has its batches, and need not make new ones.
    for (int round = 0; round < 40; ++round) {
      for (int i = 0; i < kBatch; ++i) {
        Span span = tracer.StartSpan("bench", "bench.warms_up", {{"with", "an attribute"}});
      }
      std::this_thread::sleep_for(2 * kPause);
    }
    dropped_before_ = Dropped();
  }
  ~WithTracer() {
    internal::g_mode.store(internal::Mode::kOff, std::memory_order_relaxed);  // relaxed: as above.
    drainer_.Stop();
    drainer_thread_.join();
    stop_.store(true, std::memory_order_relaxed);  // relaxed: as above.
    shipper_thread_.join();
    state_.counters["drops"] = static_cast<double>(Dropped() - dropped_before_);
  }
  WithTracer(const WithTracer&) = delete;
  WithTracer& operator=(const WithTracer&) = delete;

  Tracer tracer;

 private:
  // Of all cases, since this thread keeps its ring; never destroyed.
  static ring::Registry& registry() {
    static ring::Registry& registry = []() -> ring::Registry& {
      auto* made = new ring::Registry(kRingBytes, 131'072, RingFolder());
      ring::SetRegistry(made);
      return *made;
    }();
    return registry;
  }

  std::uint64_t Dropped() const { return registry().Count().dropped + counters_.Read().dropped; }

  benchmark::State& state_;
  std::uint64_t dropped_before_ = 0;
  flush::Journal journal_{{.capacity_bytes = std::uint64_t{1} << 30}};
  flush::Counters counters_;
  flush::Drainer drainer_{
      {.batch_rows = 10'000, .flush_interval_ms = 500, .service_name = "service"},
      &registry(),
      &journal_,
      &counters_,
      [] {}};
  std::atomic<bool> stop_{false};
  std::thread drainer_thread_;
  std::thread shipper_thread_;
};

inline const SpanContext kParent{TraceId(0x0192f0c17d3e7a2b, 0x8c4d5e6f708192a3),
                                 SpanId(0x00f067aa0ba902b7), true};

inline constinit CallSite g_site("runner", "runner.execute_question");

// The two spans that most cases are about: a plain one, with static names, trace id and parent; and
// one with the execution context and an attribute of each common type.
inline void RecordPlain(Tracer& tracer) {
  Span span = tracer.StartSpan(kParent.trace_id, kParent.span_id, g_site);
  span.Complete();
}
inline void RecordWithItems(Tracer& tracer, int i) {
  Span span = tracer.StartSpan(kParent.trace_id, kParent.span_id, g_site);
  span.SetExecutionContext("job-7", 2193, "llama-3-70b", "eu-west");
  span.SetAttribute("queue", "default");
  span.SetAttribute("attempt", i);
  span.SetAttribute("share", 0.5);
  span.Complete();
}

}  // namespace spanring::bench

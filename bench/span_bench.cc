// What a span costs the thread that records it, call by call, beside the floor.
#include <memory>
#include <string>
#include <vector>

#include "floor.h"
#include "harness.h"

namespace spanring::bench {
namespace {

constinit CallSite g_prepare("runner", "runner.prepare");
constinit CallSite g_send("runner", "runner.send");

void BM_Loop_Empty(benchmark::State& state) {
  int i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(++i);
}

void BM_Floor_TwoTimestamps(benchmark::State& state) {
  RunInBatches(state, [](int) {
    benchmark::DoNotOptimize(platform::Ticks());
    benchmark::DoNotOptimize(platform::Ticks());
  });
}

void BM_Floor_TwoTimestampsAndRecord(benchmark::State& state) {
  const auto ring = std::make_unique<FloorRing>(kRingBytes);
  RunInBatches(state, [&](int) { ring->Record(); });
  state.counters["drops"] = static_cast<double>(ring->drops());
}

void BM_Floor64_TwoTimestampsAndRecord(benchmark::State& state) {
  const auto ring = std::make_unique<Floor64Ring>(kRingBytes);
  RunInBatches(state, [&](int) { ring->Record(); });
  state.counters["drops"] = static_cast<double>(ring->drops());
}

void BM_Span_StartComplete(benchmark::State& state) {
  WithTracer with(state);
  RunInBatches(state, [&](int) { RecordPlain(with.tracer); });
}

// A child of the current span, ended by its scope.
void BM_Span_ScopedChild(benchmark::State& state) {
  WithTracer with(state);
  const Scope scope(kParent);
  RunInBatches(state, [&](int) { const Span span = with.tracer.StartSpan(g_site); });
}

// The same, made current for the time it is open.
void BM_Span_ScopedChildMadeCurrent(benchmark::State& state) {
  WithTracer with(state);
  const Scope scope(kParent);
  RunInBatches(state, [&](int) {
    const Span span = with.tracer.StartSpan(g_site);
    const Scope current(span);
  });
}

// A fresh trace id, and with it one more reading of a clock.
void BM_Span_Root(benchmark::State& state) {
  WithTracer with(state);
  RunInBatches(state, [&](int) { with.tracer.StartSpan(g_site).Complete(); });
}

// A row of phases: one reading of the clock a span.
void BM_Span_Phase(benchmark::State& state) {
  WithTracer with(state);
  const Scope scope(kParent);
  Span phase = with.tracer.StartSpan(g_prepare);
  RunInBatches(state, [&](int i) { phase.Next((i & 1) != 0 ? g_prepare : g_send); });
}

void BM_Span_ContextAndThreeAttributes(benchmark::State& state) {
  WithTracer with(state);
  RunInBatches(state, [&](int i) { RecordWithItems(with.tracer, i); });
}

// The same attributes in StartSpan's list.
void BM_Span_ContextAndMetadata(benchmark::State& state) {
  WithTracer with(state);
  RunInBatches(state, [&](int i) {
    Span span = with.tracer.StartSpan(kParent.trace_id, kParent.span_id, g_site,
                                      {{"queue", "default"}, {"attempt", i}, {"share", 0.5}});
    span.SetExecutionContext("job-7", 2193, "llama-3-70b", "eu-west");
    span.Complete();
  });
}

void BM_Span_CompleteWithError(benchmark::State& state) {
  WithTracer with(state);
  RunInBatches(state, [&](int) {
    Span span = with.tracer.StartSpan(kParent.trace_id, kParent.span_id, g_site);
    span.CompleteWithError("connection refused", "ECONNREFUSED");
  });
}

// Names as std::string: the same ones every time, and ones that were never seen before.
void BM_Span_DynamicNames_Seen(benchmark::State& state) {
  WithTracer with(state);
  const std::string service = "runner";
  const std::string operation = "runner.execute_question";
  RunInBatches(state, [&](int) {
    with.tracer.StartSpan(kParent.trace_id, kParent.span_id, service, operation).Complete();
  });
}
void BM_Span_DynamicNames_New(benchmark::State& state) {
  WithTracer with(state);
  const std::string service = "runner";
  std::vector<std::string> operations(static_cast<std::size_t>(kBatch) * kBatches);
  for (std::size_t i = 0; i < operations.size(); ++i) {
    operations[i] = "runner.question_" + std::to_string(100'000'000 + i);
  }
  std::size_t next = 0;
  RunInBatches(state, [&](int) {
    with.tracer.StartSpan(kParent.trace_id, kParent.span_id, service, operations[next]).Complete();
    next = (next + 1) % operations.size();
  });
}

// Started by another thread: the slot goes back to it, by the one locked instruction.
void BM_Span_EndElsewhere(benchmark::State& state) {
  WithTracer with(state);
  std::vector<double> ns;
  std::vector<Span> spans(kBatch);
  while (state.KeepRunningBatch(kBatch)) {
    std::thread([&] {
      for (Span& span : spans) {
        span = with.tracer.StartSpan(kParent.trace_id, kParent.span_id, g_site);
      }
    }).join();
    const double seconds = TimeBatch([&](int i) { spans[static_cast<std::size_t>(i)].Complete(); });
    state.SetIterationTime(seconds);
    ns.push_back(seconds * 1e9 / kBatch);
    std::this_thread::sleep_for(kPause);
  }
  state.counters["median_ns"] = Median(ns);
}

void BM_Span_RuntimeOff(benchmark::State& state) {
  Tracer tracer;
  tracer.Shutdown(absl::ZeroDuration()).IgnoreError();  // Off, whatever the environment says.
  for (auto _ : state) {
    Span span = tracer.StartSpan(g_site);
    benchmark::DoNotOptimize(span.is_recording());
    span.Complete();
  }
}

// --- One by one: percentiles of single operations ---

void BM_Latency_Timer(benchmark::State& state) {
  RunOneByOne(state, [](int) {});
}
void BM_Latency_Floor(benchmark::State& state) {
  const auto ring = std::make_unique<FloorRing>(kRingBytes);
  RunOneByOne(state, [&](int) { ring->Record(); });
}
void BM_Latency_Floor64(benchmark::State& state) {
  const auto ring = std::make_unique<Floor64Ring>(kRingBytes);
  RunOneByOne(state, [&](int) { ring->Record(); });
}
void BM_Latency_StartComplete(benchmark::State& state) {
  WithTracer with(state);
  RunOneByOne(state, [&](int) { RecordPlain(with.tracer); });
}
void BM_Latency_Phase(benchmark::State& state) {
  WithTracer with(state);
  const Scope scope(kParent);
  Span phase = with.tracer.StartSpan(g_prepare);
  RunOneByOne(state, [&](int i) { phase.Next((i & 1) != 0 ? g_prepare : g_send); });
}
void BM_Latency_ContextAndThreeAttributes(benchmark::State& state) {
  WithTracer with(state);
  RunOneByOne(
      state, [&](int i) { RecordWithItems(with.tracer, i); },
      2 * kBatch);  // As many as a ring holds.
}

// One operation after each pause, in which the caches went to others: the first of a burst.
void BM_Latency_FloorAfterAPause(benchmark::State& state) {
  const auto ring = std::make_unique<FloorRing>(kRingBytes);
  RunOneByOne(state, [&](int) { ring->Record(); }, 1);
}
void BM_Latency_StartCompleteAfterAPause(benchmark::State& state) {
  WithTracer with(state);
  RunOneByOne(state, [&](int) { RecordPlain(with.tracer); }, 1);
}

#define SPANRING_BENCH(name) \
  BENCHMARK(name)->UseManualTime()->Iterations(benchmark::IterationCount{kBatch} * kBatches)

BENCHMARK(BM_Loop_Empty);
BENCHMARK(BM_Span_RuntimeOff);
SPANRING_BENCH(BM_Floor_TwoTimestamps);
SPANRING_BENCH(BM_Floor_TwoTimestampsAndRecord);
SPANRING_BENCH(BM_Floor64_TwoTimestampsAndRecord);
SPANRING_BENCH(BM_Span_StartComplete);
SPANRING_BENCH(BM_Span_Phase);
SPANRING_BENCH(BM_Span_ContextAndThreeAttributes);
SPANRING_BENCH(BM_Span_ContextAndMetadata);
SPANRING_BENCH(BM_Span_ScopedChild);
SPANRING_BENCH(BM_Span_ScopedChildMadeCurrent);
SPANRING_BENCH(BM_Span_Root);
SPANRING_BENCH(BM_Span_CompleteWithError);
SPANRING_BENCH(BM_Span_DynamicNames_Seen);
SPANRING_BENCH(BM_Span_DynamicNames_New);
SPANRING_BENCH(BM_Span_EndElsewhere);
BENCHMARK(BM_Latency_FloorAfterAPause)->UseManualTime()->Iterations(300);
BENCHMARK(BM_Latency_StartCompleteAfterAPause)->UseManualTime()->Iterations(300);
SPANRING_BENCH(BM_Latency_Timer);
SPANRING_BENCH(BM_Latency_Floor);
SPANRING_BENCH(BM_Latency_Floor64);
SPANRING_BENCH(BM_Latency_StartComplete);
SPANRING_BENCH(BM_Latency_Phase);
SPANRING_BENCH(BM_Latency_ContextAndThreeAttributes);

}  // namespace
}  // namespace spanring::bench

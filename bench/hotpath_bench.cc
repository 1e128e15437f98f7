// What a span costs the thread that records it, beside the floor: two timestamps and a record.
//
//   hotpath_bench --benchmark_repetitions=9 --benchmark_report_aggregates_only=true
//
// Compare within one run: figures of single runs drift with the machine. `drops` must stay near 0,
// or the ring was full and the figure is that of dropping.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "flush/row_encoder.h"
#include "platform/clock.h"
#include "ring/record.h"
#include "spanring/spanring.h"

namespace spanring {
namespace {

constexpr std::uint64_t kRingBytes = 1024 * 1024;
// Fewer records than a ring holds, then a pause for its consumer.
constexpr int kBatch = 2048;
constexpr std::chrono::microseconds kPause{1000};

// Times `operation` in batches; the pauses between them are not part of the time.
template <typename Operation>
void RunInBatches(benchmark::State& state, Operation operation) {
  while (state.KeepRunningBatch(kBatch)) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kBatch; ++i) operation(i);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(elapsed.count());
    std::this_thread::sleep_for(kPause);
  }
}

void BM_Loop_Empty(benchmark::State& state) {
  int i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(++i);
}

// The least that any tracer of this kind can do: no identity, no parent, no slot.
class FloorRing {
 public:
  FloorRing()
      : buffer_(static_cast<std::uint8_t*>(std::aligned_alloc(4096, kRingBytes)), std::free) {
    std::memset(buffer_.get(), 1, kRingBytes);
    consumer_ = std::thread([this] {
      while (!stop_.load(std::memory_order_relaxed)) {
        // acquire: pairs with the release in Record. release: pairs with the acquire there.
        head_.store(tail_.load(std::memory_order_acquire), std::memory_order_release);
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
    });
  }
  ~FloorRing() {
    stop_.store(true, std::memory_order_relaxed);
    consumer_.join();
  }

  void Record() {
    const std::uint64_t start = platform::Ticks();
    if (write_ - seen_ + kRecordBytes > kRingBytes) {
      seen_ = head_.load(std::memory_order_acquire);
      if (write_ - seen_ + kRecordBytes > kRingBytes) {
        ++drops_;
        return;
      }
    }
    std::uint8_t* to = buffer_.get() + (write_ & (kRingBytes - 1));
    std::memcpy(to + 16, kContents, kRecordBytes - 16);
    const std::uint64_t end = platform::Ticks();
    std::memcpy(to, &start, 8);
    std::memcpy(to + 8, &end, 8);
    write_ += kRecordBytes;
    tail_.store(write_, std::memory_order_release);
  }
  std::uint64_t drops() const { return drops_; }

 private:
  static constexpr std::size_t kRecordBytes = 128;
  static constexpr std::uint8_t kContents[kRecordBytes] = {1, 2, 3};

  std::unique_ptr<std::uint8_t, decltype(&std::free)> buffer_;
  std::thread consumer_;
  std::atomic<bool> stop_{false};
  alignas(256) std::uint64_t write_ = 0;
  std::uint64_t seen_ = 0;
  std::uint64_t drops_ = 0;
  alignas(256) std::atomic<std::uint64_t> tail_{0};
  alignas(256) std::atomic<std::uint64_t> head_{0};
};

void BM_Floor_TwoTimestampsAndRecord(benchmark::State& state) {
  const auto ring = std::make_unique<FloorRing>();
  RunInBatches(state, [&](int) { ring->Record(); });
  state.counters["drops"] = static_cast<double>(ring->drops());
}

// The tracer is on without a database: the journal fills, and what is beyond it is dropped behind
// the ring, where the recording thread does not notice.
class WithTracer {
 public:
  explicit WithTracer(benchmark::State& state) : state_(state) {
    Options options;
    options.enabled = true;
    options.database_url = "host=/nonexistent";
    options.ring_bytes = kRingBytes;
    options.journal_bytes = 1024 * 1024;
    options.retry_max_ms = 10'000;
    options.log_errors = false;
    if (absl::Status status = Tracer::Start(options); !status.ok()) {
      state.SkipWithError(std::string(status.message()).c_str());
    }
    before_ = Drops();
  }
  ~WithTracer() {
    state_.counters["drops"] = static_cast<double>(Drops() - before_);
    tracer.Shutdown(absl::ZeroDuration()).IgnoreError();
  }

  Tracer tracer;

 private:
  std::uint64_t Drops() const {
    return tracer.GetStats().dropped_by_reason[static_cast<std::size_t>(DropReason::kRingFull)];
  }
  benchmark::State& state_;
  std::uint64_t before_ = 0;
};

constinit CallSite g_site("runner", "runner.execute_question");

void BM_Span_StartComplete(benchmark::State& state) {
  WithTracer with(state);
  const SpanContext parent{TraceId(1, 2), SpanId(3), true};
  const Scope scope(parent);
  RunInBatches(state, [&](int) {
    Span span = with.tracer.StartSpan(g_site);
    span.Complete();
  });
}

// The root of a fresh trace: one more reading of the clock.
void BM_Span_StartComplete_Root(benchmark::State& state) {
  WithTracer with(state);
  RunInBatches(state, [&](int) {
    Span span = with.tracer.StartSpan(g_site);
    span.Complete();
  });
}

void BM_Span_ContextAndThreeAttributes(benchmark::State& state) {
  WithTracer with(state);
  const SpanContext parent{TraceId(1, 2), SpanId(3), true};
  const Scope scope(parent);
  RunInBatches(state, [&](int i) {
    Span span = with.tracer.StartSpan(g_site, {{"attempt", i}, {"queue", "default"}});
    span.SetExecutionContext("job-7", 2193, "llama-3-70b", "eu-west");
    span.SetAttribute("share", 0.5);
    span.Complete();
  });
}

void BM_Span_DynamicNames(benchmark::State& state) {
  WithTracer with(state);
  const SpanContext parent{TraceId(1, 2), SpanId(3), true};
  const Scope scope(parent);
  const std::string service = "runner";
  const std::string operation = "runner.execute_question";
  RunInBatches(state, [&](int) {
    Span span = with.tracer.StartSpan(service, operation);
    span.Complete();
  });
}

void BM_Span_RuntimeOff(benchmark::State& state) {
  Tracer tracer;
  tracer.Shutdown(absl::ZeroDuration()).IgnoreError();
  for (auto _ : state) {
    Span span = tracer.StartSpan(g_site);
    benchmark::DoNotOptimize(span);
    span.Complete();
  }
}

// The drainer's work for one span: from its record to its row.
void BM_Drain_Spans(benchmark::State& state) {
  alignas(64) std::uint8_t memory[256] = {};
  ring::RecordHeader header{};
  header.size = sizeof(header);
  header.status = ring::RecordStatus::kCompleted;
  header.flags = ring::kHasExecutionId;
  header.trace_id_high = 0x0192f0c17d3e7a2b;
  header.span_id = 42;
  header.parent_id = 41;
  header.start = static_cast<std::int64_t>(platform::Ticks());
  header.end = header.start + 1000;
  const auto add = [&](ring::ItemKind kind, std::string_view key, std::string_view value) {
    const ring::ItemHeader item{kind, static_cast<std::uint8_t>(key.size()),
                                static_cast<std::uint16_t>(value.size())};
    std::uint8_t* at = memory + header.size;
    std::memcpy(at, &item, sizeof(item));
    std::copy(key.begin(), key.end(), at + sizeof(item));
    std::copy(value.begin(), value.end(), at + sizeof(item) + key.size());
    header.size += static_cast<std::uint32_t>(sizeof(item) + key.size() + value.size());
  };
  add(ring::ItemKind::kService, "", "runner");
  add(ring::ItemKind::kOperation, "", "runner.execute_question");
  add(ring::ItemKind::kJobId, "", "job-7");
  add(ring::ItemKind::kModelId, "", "llama-3-70b");
  add(ring::ItemKind::kRegion, "", "eu-west");
  add(ring::ItemKind::kString, "queue", "default");
  header.size = (header.size + 7) & ~7U;
  std::memcpy(memory, &header, sizeof(header));
  const auto* record = reinterpret_cast<const ring::RecordHeader*>(memory);
  const platform::TickCalibration clock;
  flush::RowEncoder encoder("service");
  // As in a batch that is used again: its pages are there.
  std::vector<std::uint8_t> rows(8 * 1024 * 1024);
  rows.clear();
  std::uint64_t bytes = 0;
  for (auto _ : state) {
    if (rows.size() > 4 * 1024 * 1024) {
      bytes += rows.size();
      rows.clear();
    }
    encoder.Append(*record, clock, rows);
  }
  bytes += rows.size();
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}

BENCHMARK(BM_Loop_Empty);
BENCHMARK(BM_Floor_TwoTimestampsAndRecord)->UseManualTime();
BENCHMARK(BM_Span_StartComplete)->UseManualTime();
BENCHMARK(BM_Span_StartComplete_Root)->UseManualTime();
BENCHMARK(BM_Span_ContextAndThreeAttributes)->UseManualTime();
BENCHMARK(BM_Span_DynamicNames)->UseManualTime();
BENCHMARK(BM_Span_RuntimeOff);
BENCHMARK(BM_Drain_Spans);

}  // namespace
}  // namespace spanring

BENCHMARK_MAIN();

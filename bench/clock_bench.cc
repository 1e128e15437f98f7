// What time costs: a reading beside the system's own, a mapping, a recalibration.
#include <benchmark/benchmark.h>

#include <cstdint>

#include "platform/clock.h"

namespace spanring::platform {
namespace {

void BM_Clock_Ticks(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Ticks());
}

void BM_Clock_ClockGettime(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(ClockNanoseconds(CLOCK_MONOTONIC));
}

// The drainer's, at each pass: as a rule it is not yet time.
void BM_Clock_RecalibrateWhenDue(benchmark::State& state) {
  TickCalibration calibration;
  for (auto _ : state) calibration.RecalibrateWhenDue();
}

void BM_Clock_Recalibrate(benchmark::State& state) {
  TickCalibration calibration;
  for (auto _ : state) calibration.Recalibrate();
}

void BM_Clock_MapTicks(benchmark::State& state) {
  const TickCalibration calibration;
  std::uint64_t ticks = Ticks();
  for (auto _ : state) benchmark::DoNotOptimize(calibration.UnixNanoseconds(++ticks));
}

// Time flies: each reading of a clock takes 20 ms.
class FastClocks final : public Clocks {
 public:
  std::uint64_t Ticks() noexcept override { return static_cast<std::uint64_t>(now_ns_); }
  std::int64_t Nanoseconds(clockid_t) noexcept override { return now_ns_ += 20'000'000; }

 private:
  std::int64_t now_ns_ = 0;
};

// The start of a span that is hours old, in a program that has run for a day.
void BM_Clock_MapTicks_Old(benchmark::State& state) {
  constexpr std::uint64_t kHourNs = 3'600'000'000'000;
  FastClocks clocks;
  TickCalibration calibration(clocks);
  while (clocks.Ticks() < 24 * kHourNs) calibration.Recalibrate();
  std::uint64_t ticks = 20 * kHourNs;
  for (auto _ : state) benchmark::DoNotOptimize(calibration.UnixNanoseconds(++ticks));
}

BENCHMARK(BM_Clock_Ticks);
BENCHMARK(BM_Clock_ClockGettime);
BENCHMARK(BM_Clock_MapTicks);
BENCHMARK(BM_Clock_MapTicks_Old);
BENCHMARK(BM_Clock_RecalibrateWhenDue);
BENCHMARK(BM_Clock_Recalibrate);

}  // namespace
}  // namespace spanring::platform

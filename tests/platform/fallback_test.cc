// A processor without an invariant counter: the whole way of a span's times, from ticks to row. The
// choice is made before the first span, so this is a program of its own.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "flush/row.h"
#include "platform/clock.h"
#include "ring/registry.h"
#include "ring/this_thread.h"
#include "spanring/tracer.h"

namespace spanring {
namespace {

using platform::ClockNanoseconds;
using platform::TickCalibration;

class Fallback : public testing::Test {
 protected:
  void SetUp() override {
#if !defined(__x86_64__)
    GTEST_SKIP() << "this architecture's counter is always invariant";
#endif
    platform::g_has_invariant_counter = false;
  }
};

TEST_F(Fallback, TicksAreTheMonotonicClock) {
  for (int i = 0; i < 1000; ++i) {
    const auto before = static_cast<std::uint64_t>(ClockNanoseconds(CLOCK_MONOTONIC));
    const std::uint64_t ticks = platform::Ticks();
    const auto after = static_cast<std::uint64_t>(ClockNanoseconds(CLOCK_MONOTONIC));
    ASSERT_GE(ticks, before);
    ASSERT_LE(ticks, after);
  }
}

TEST_F(Fallback, CalibrationFindsARateOfOne) {
  TickCalibration calibration;
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  calibration.Recalibrate();
  const std::uint64_t ticks = platform::Ticks();
  EXPECT_NEAR(static_cast<double>(calibration.DurationNanoseconds(ticks, ticks + 1'000'000'000)),
              1e9,
              // A reading that was interrupted may be off by 50 µs, in 50 ms.
              1e6);
}

TEST_F(Fallback, ASpanHasItsTimes) {
  // Never destroyed: open spans and producers may outlive this test.
  static auto& registry = *new ring::Registry(1024 * 1024, 100);
  ring::SetRegistry(&registry);
  internal::g_mode.store(internal::Mode::kOn);
  TickCalibration calibration;

  std::int64_t real_before = 0;
  std::int64_t real_after = 0;
  std::int64_t outer_ns = 0;
  std::int64_t inner_ns = 0;
  std::thread([&] {
    Tracer tracer;
    real_before = ClockNanoseconds(CLOCK_REALTIME);
    const std::int64_t outer_before = ClockNanoseconds(CLOCK_MONOTONIC);
    Span span = tracer.StartSpan("service", "operation");
    const std::int64_t inner_before = ClockNanoseconds(CLOCK_MONOTONIC);
    real_after = ClockNanoseconds(CLOCK_REALTIME);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    inner_ns = ClockNanoseconds(CLOCK_MONOTONIC) - inner_before;
    span.Complete();
    outer_ns = ClockNanoseconds(CLOCK_MONOTONIC) - outer_before;
  }).join();
  internal::g_mode.store(internal::Mode::kOff);
  ring::SetRegistry(nullptr);

  calibration.Recalibrate();
  ring::Producer* const producer = registry.first();
  ASSERT_NE(producer, nullptr);
  producer->ring().Refresh();
  const ring::RecordHeader* record = producer->ring().Peek();
  ASSERT_NE(record, nullptr);
  std::vector<std::uint8_t> bytes;
  flush::RowEncoder("default").Append(*record, calibration, bytes);
  const flush::Row row = flush::OnlyRow(bytes);

  constexpr std::int64_t kBoundNs = 100'000;
  EXPECT_GE(row.UnixUs(flush::kStartedAt) * 1000, real_before - kBoundNs);
  EXPECT_LE(row.UnixUs(flush::kStartedAt) * 1000, real_after + kBoundNs);
  EXPECT_GE(row.Number(flush::kDurationNs), inner_ns - kBoundNs);
  EXPECT_LE(row.Number(flush::kDurationNs), outer_ns + kBoundNs);
}

}  // namespace
}  // namespace spanring

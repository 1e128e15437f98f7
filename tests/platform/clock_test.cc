// This machine's own clocks. The bounds are generous, and the best of many tries counts: on a busy
// machine a thread may lose its processor at any moment. What is exact is in calibration_test.cc.
#include "platform/clock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <thread>

namespace spanring::platform {
namespace {

std::int64_t SmallestError(const TickCalibration& calibration) {
  std::int64_t smallest = std::numeric_limits<std::int64_t>::max();
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t ours = calibration.UnixNanoseconds(Ticks());
    const std::int64_t real = ClockNanoseconds(CLOCK_REALTIME);
    smallest = std::min<std::int64_t>(smallest, std::abs(real - ours));
  }
  return smallest;
}

TEST(Clock, CalibratedTicksAreCloseToRealTime) {
  const TickCalibration calibration;
  EXPECT_LT(SmallestError(calibration), 100'000);
}

TEST(Clock, StaysCloseBetweenAndAfterRecalibrations) {
  TickCalibration calibration;
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_LT(SmallestError(calibration), 100'000) << "before " << i;
    calibration.RecalibrateWhenDue();
    EXPECT_LT(SmallestError(calibration), 100'000) << "after " << i;
  }
}

TEST(Clock, TicksNeverGoBackWithinAThread) {
  const TickCalibration calibration;
  std::uint64_t before = Ticks();
  for (int i = 0; i < 1'000'000; ++i) {
    const std::uint64_t now = Ticks();
    ASSERT_GE(now, before);
    ASSERT_GE(calibration.UnixNanoseconds(now), calibration.UnixNanoseconds(before));
    before = now;
  }
}

TEST(Clock, DurationsAgreeWithTheMonotonicClock) {
  TickCalibration calibration;
  // From outside and from inside: the true duration lies between.
  const std::int64_t outer_before = ClockNanoseconds(CLOCK_MONOTONIC);
  const std::uint64_t ticks_before = Ticks();
  const std::int64_t inner_before = ClockNanoseconds(CLOCK_MONOTONIC);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const std::int64_t inner_after = ClockNanoseconds(CLOCK_MONOTONIC);
  const std::uint64_t ticks_after = Ticks();
  const std::int64_t outer_after = ClockNanoseconds(CLOCK_MONOTONIC);
  calibration.Recalibrate();
  const std::int64_t ours = calibration.DurationNanoseconds(ticks_before, ticks_after);
  EXPECT_GE(ours, inner_after - inner_before - 100'000);
  EXPECT_LE(ours, outer_after - outer_before + 100'000);
  EXPECT_EQ(calibration.DurationNanoseconds(ticks_after, ticks_before), -ours);
}

}  // namespace
}  // namespace spanring::platform

#include "platform/clock.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "platform/random.h"

namespace spanring::platform {
namespace {

// Takes the better of many tries: on a busy machine a thread may lose its processor at any moment.
std::int64_t SmallestError(const TickCalibration& calibration) {
  std::int64_t smallest = INT64_MAX;
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
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_LT(SmallestError(calibration), 1'000'000) << "before " << i;
    calibration.Recalibrate();
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
  const TickCalibration calibration;
  const std::int64_t before = ClockNanoseconds(CLOCK_MONOTONIC);
  const std::uint64_t ticks_before = Ticks();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const std::uint64_t ticks_after = Ticks();
  const std::int64_t after = ClockNanoseconds(CLOCK_MONOTONIC);
  const std::int64_t ours =
      calibration.ToNanoseconds(static_cast<std::int64_t>(ticks_after - ticks_before));
  EXPECT_GE(ours, 99'000'000);
  EXPECT_LE(ours, (after - before) + 10'000'000);
  // To the same length backwards, but for the rounding.
  EXPECT_NEAR(static_cast<double>(calibration.ToNanoseconds(
                  -static_cast<std::int64_t>(ticks_after - ticks_before))),
              static_cast<double>(-ours), 1.0);
}

TEST(Clock, AnyTicksGiveSomeTime) {
  const TickCalibration calibration;
  for (const std::uint64_t ticks : {std::uint64_t{0}, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    static_cast<void>(calibration.UnixNanoseconds(ticks));
  }
}

TEST(Random, SeedsDiffer) {
  EXPECT_NE(RandomSeed(), RandomSeed());
  EXPECT_NE(Mix(1), Mix(2));
  EXPECT_EQ(Mix(0), 0U);
}

}  // namespace
}  // namespace spanring::platform

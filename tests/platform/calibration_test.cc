// The calibration on machines whose clocks do all that clocks do: slewed, stepped, interrupted,
// suspended, old.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include "platform/fake_clocks.h"

namespace spanring::platform {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::int64_t kSecond = 1000 * kMillisecond;
constexpr std::int64_t kHour = 3600 * kSecond;
constexpr std::int64_t kInterval = kSecond / 4;

// A machine and its drainer, which looks at the calibration at every pass.
struct Machine {
  explicit Machine(std::int64_t hz = 3'000'000'000) : clocks(hz) {}

  template <typename AtEachPass>
  void Run(std::int64_t ns, AtEachPass at_each_pass, std::int64_t pause_ns = kMillisecond) {
    for (std::int64_t i = 0; i < ns / pause_ns; ++i) {
      clocks.Pass(pause_ns);
      at_each_pass();
      calibration.RecalibrateWhenDue();
    }
  }
  void Run(std::int64_t ns) {
    Run(ns, [] {});
  }
  std::int64_t Bound() const { return 2 * clocks.width_ns(); }
  std::int64_t Error() const { return Error(clocks.Now()); }
  std::int64_t Error(const Moment& moment) const {
    return std::abs(calibration.UnixNanoseconds(moment.ticks) - moment.real_ns);
  }
  std::int64_t DurationError(const Moment& from, const Moment& to) const {
    return std::abs(calibration.DurationNanoseconds(from.ticks, to.ticks) -
                    (to.monotonic_ns - from.monotonic_ns));
  }

  FakeClocks clocks;
  TickCalibration calibration{clocks};
};

// The most that lies between the anchors around `start`.
std::int64_t GapNs(const Moment& start, const Moment& now) {
  return (now.monotonic_ns - start.monotonic_ns) / 8 + 2 * kInterval;
}

class AnyFrequency : public testing::TestWithParam<std::int64_t> {};

TEST_P(AnyFrequency, StaysWithinTwoWidthsFromTheFirstMillisecondOn) {
  Machine machine(GetParam());
  ASSERT_LE(machine.Error(), machine.Bound());
  const Moment first = machine.clocks.Now();
  machine.Run(60 * kSecond, [&] { ASSERT_LE(machine.Error(), machine.Bound()); });
  EXPECT_LE(machine.Error(first), machine.Bound());
  EXPECT_LE(machine.DurationError(first, machine.clocks.Now()), 2 * machine.Bound());
}

TEST_P(AnyFrequency, FollowsASlewThatBeginsInMidRun) {
  for (const auto& [before, after] : {std::pair{0, 500}, {0, -500}, {500, -500}, {-500, 500}}) {
    Machine machine(GetParam());
    machine.clocks.SetRate(before);
    machine.Run(10 * kSecond + 123 * kMillisecond);
    const Moment start = machine.clocks.Now();
    machine.clocks.SetRate(after);
    const std::int64_t change_ppm = std::abs(after - before);
    // For two intervals; the pause before the pass that notices their ends is a part of them.
    std::int64_t most = 0;
    machine.Run(2 * (kInterval + kMillisecond), [&] { most = std::max(most, machine.Error()); });
    EXPECT_LE(most, machine.Bound() + change_ppm * (kInterval + kMillisecond) / 1'000'000);
    EXPECT_GT(most, machine.Bound()) << "the slew shows: it is not the test that is blind";
    const Moment later = machine.clocks.Now();
    machine.Run(4 * kSecond, [&] {
      ASSERT_LE(machine.Error(), machine.Bound());
      ASSERT_LE(machine.DurationError(later, machine.clocks.Now()), 2 * machine.Bound());
      // What began before the change: the bend lies between two anchors.
      const Moment now = machine.clocks.Now();
      ASSERT_LE(machine.DurationError(start, now),
                2 * machine.Bound() + change_ppm * GapNs(start, now) / 4 / 1'000'000);
    });
  }
}

TEST_P(AnyFrequency, StartsFollowAStepOfTheWallClockAndDurationsDoNot) {
  for (const std::int64_t step : {-kHour, kHour}) {
    Machine machine(GetParam());
    machine.Run(5 * kSecond);
    const Moment start = machine.clocks.Now();
    machine.Run(3 * kSecond);
    machine.clocks.StepRealTime(step);
    const Moment end = machine.clocks.Now();
    EXPECT_LE(machine.DurationError(start, end), 2 * machine.Bound());
    machine.Run(kInterval + 2 * kMillisecond);
    EXPECT_LE(machine.Error(), machine.Bound());
    EXPECT_LE(machine.Error({start.ticks, start.monotonic_ns, start.real_ns + step}),
              machine.Bound());
    EXPECT_LE(machine.DurationError(start, end), 2 * machine.Bound());
  }
}

TEST_P(AnyFrequency, TenYearsOfUptime) {
  constexpr std::int64_t kDay = 24 * kHour;
  Machine machine(GetParam());
  machine.Run(kSecond);
  const Moment first = machine.clocks.Now();
  for (int day = 0; day < 3650; ++day) {
    machine.clocks.Pass(kDay);
    machine.calibration.RecalibrateWhenDue();
    machine.Run(
        kSecond, [&] { ASSERT_LE(machine.Error(), machine.Bound()) << day; },
        kInterval + kMillisecond);
  }
  EXPECT_LE(machine.Error(first), machine.Bound());
  EXPECT_LE(machine.DurationError(first, machine.clocks.Now()), 2 * machine.Bound());

  // A calibration that begins then.
  const TickCalibration late(machine.clocks);
  const Moment now = machine.clocks.Now();
  EXPECT_LE(std::abs(late.UnixNanoseconds(now.ticks) - now.real_ns), machine.Bound());
}

INSTANTIATE_TEST_SUITE_P(, AnyFrequency,
                         testing::Values(24'000'000, 1'000'000'000, 2'999'999'999, 5'000'000'000),
                         [](const auto& param) { return std::to_string(param.param) + "Hz"; });

TEST(Calibration, LongOpenSpansKnowWhatTheRateWas) {
  Machine machine;
  std::mt19937_64 random(7);
  std::vector<Moment> starts;
  for (int minute = 0; minute < 4 * 60; ++minute) {
    if (minute % 10 == 0) machine.clocks.SetRate(static_cast<int>(random() % 1001) - 500);
    starts.push_back(machine.clocks.Now());
    machine.Run(60 * kSecond, [] {}, kInterval + kMillisecond);
  }
  const Moment now = machine.clocks.Now();
  for (const Moment& start : starts) {
    // The rates differ by 1000 ppm at most.
    const std::int64_t bend_ns = GapNs(start, now) / 4 / 1000;
    EXPECT_LE(machine.Error(start), machine.Bound() + bend_ns);
    EXPECT_LE(machine.DurationError(start, now), 2 * machine.Bound() + bend_ns);
  }
  // A millisecond after the first anchor: the gap may be half an hour, but this end of it is known.
  EXPECT_LE(machine.Error(starts.front()), machine.Bound() + 1000);
}

TEST(Calibration, ASlewThatIsOverChangesNothingForSpansSince) {
  Machine machine;
  machine.clocks.SetRate(500);
  machine.Run(60 * kSecond);
  machine.clocks.SetRate(0);
  machine.Run(kSecond);
  std::vector<Moment> starts;
  machine.Run(600 * kSecond, [&] { starts.push_back(machine.clocks.Now()); }, 100 * kMillisecond);
  const Moment now = machine.clocks.Now();
  for (const Moment& start : starts) {
    if (start.monotonic_ns - starts.front().monotonic_ns < GapNs(start, now)) continue;
    ASSERT_LE(machine.Error(start), machine.Bound());
  }
}

TEST(Calibration, TicksOlderThanTheCalibrationAreExtrapolated) {
  FakeClocks clocks(3'000'000'000);
  const Moment start = clocks.Now();
  clocks.Pass(kHour);
  TickCalibration calibration(clocks);
  for (int i = 0; i < 2000; ++i) {
    clocks.Pass(kMillisecond);
    calibration.RecalibrateWhenDue();
  }
  // A width in a quarter of a second: 0.16 ppm of an hour.
  EXPECT_NEAR(static_cast<double>(calibration.UnixNanoseconds(start.ticks) - start.real_ns), 0,
              600'000);
}

TEST(Calibration, WideReadingsDoNotSpoilTheLine) {
  Machine machine;
  machine.clocks.SetInterruptions(75, 100, 50'000);
  // A reading counts when it is no wider than four times the last one.
  machine.Run(2 * kSecond);
  std::int64_t most = 0;
  machine.Run(60 * kSecond, [&] { most = std::max(most, machine.Error()); });
  EXPECT_LE(most, 4 * machine.Bound());
}

TEST(Calibration, ARecalibrationOfWideReadingsOnlyChangesNothing) {
  Machine machine;
  machine.Run(5 * kSecond);
  const std::uint64_t ticks = machine.clocks.Now().ticks;
  const std::int64_t before = machine.calibration.UnixNanoseconds(ticks);
  machine.clocks.StepRealTime(kHour);
  machine.clocks.SetInterruptions(200, 20'000, 50'000);
  machine.calibration.Recalibrate();
  EXPECT_EQ(machine.calibration.UnixNanoseconds(ticks), before);
  machine.clocks.SetInterruptions(0, 0, 0);
  machine.calibration.Recalibrate();
  EXPECT_NEAR(static_cast<double>(machine.calibration.UnixNanoseconds(ticks) - before), kHour, 100);
}

TEST(Calibration, ReadingsThatBecomeSlowForGoodAreTakenInTheEnd) {
  Machine machine;
  machine.Run(5 * kSecond);
  machine.clocks.SetInterruptions(200, 1000, 1100);
  machine.clocks.StepRealTime(kHour);
  machine.Run(kSecond);
  EXPECT_LE(machine.Error(), 5000);
}

TEST(Calibration, RecalibratingWithoutAPauseKeepsTheRate) {
  Machine machine;
  machine.Run(5 * kSecond);
  for (int i = 0; i < 100'000; ++i) {
    machine.calibration.Recalibrate();
    machine.clocks.StepRealTime(1000);
  }
  machine.calibration.Recalibrate();
  EXPECT_LE(machine.Error(), machine.Bound()) << "but follows each step";
  const Moment start = machine.clocks.Now();
  machine.clocks.Pass(kSecond);
  EXPECT_LE(machine.DurationError(start, machine.clocks.Now()), 1000);
}

TEST(Calibration, ACounterThatStandsStillGivesTheTimeOfTheLastReading) {
  FakeClocks clocks(0);
  TickCalibration calibration(clocks);
  for (int i = 0; i < 100; ++i) {
    clocks.Pass(kSecond);
    calibration.RecalibrateWhenDue();
    const Moment now = clocks.Now();
    EXPECT_NEAR(static_cast<double>(calibration.UnixNanoseconds(now.ticks) - now.real_ns), 0, 1000);
    EXPECT_EQ(calibration.DurationNanoseconds(now.ticks, now.ticks), 0);
  }
}

// The machine sleeps for an hour: CLOCK_MONOTONIC stands still, CLOCK_REALTIME has gone on.
class Suspended : public testing::Test {
 protected:
  void Sleep(bool counter_goes_on) {
    machine_.Run(5 * kSecond);
    start_ = machine_.clocks.Now();
    machine_.Run(kSecond);
    machine_.clocks.Suspend(kHour, counter_goes_on);
    machine_.Run(2 * kInterval);
  }
  void CheckAwake() {
    const Moment awake = machine_.clocks.Now();
    machine_.Run(10 * kSecond, [&] {
      ASSERT_LE(machine_.Error(), machine_.Bound());
      ASSERT_LE(machine_.DurationError(awake, machine_.clocks.Now()), 2 * machine_.Bound());
    });
  }
  std::int64_t DurationOfOpenSpan() const {
    return machine_.calibration.DurationNanoseconds(start_.ticks, machine_.clocks.Now().ticks);
  }

  Machine machine_;
  Moment start_{};
};

TEST_F(Suspended, ASpanCountsTheSleepThatTheCounterCounted) {
  Sleep(true);
  CheckAwake();
  const Moment now = machine_.clocks.Now();
  // An hour by the rate of a quarter of a second.
  EXPECT_LE(machine_.Error(start_), kMillisecond);
  EXPECT_NEAR(static_cast<double>(DurationOfOpenSpan()),
              static_cast<double>(now.real_ns - start_.real_ns), kMillisecond);
}

TEST_F(Suspended, AndNoneThatItDidNot) {
  Sleep(false);
  CheckAwake();
  EXPECT_LE(machine_.DurationError(start_, machine_.clocks.Now()), 2 * machine_.Bound());
}

TEST_F(Suspended, TicksMayStartAnew) {
  machine_.Run(5 * kSecond);
  machine_.clocks.Suspend(kHour, false);
  machine_.clocks.SetCounter(0);
  machine_.Run(2 * kInterval);
  CheckAwake();
}

TEST(Calibration, FollowsAVirtualMachineToAHostOfAnotherFrequency) {
  Machine machine(3'000'000'000);
  machine.Run(5 * kSecond);
  machine.clocks.SetFrequency(2'000'000'000);
  machine.Run(3 * kInterval);
  machine.Run(10 * kSecond, [&] { ASSERT_LE(machine.Error(), machine.Bound()); });
}

TEST(Calibration, MappedTimeNeverGoesBack) {
  Machine machine;
  std::mt19937_64 random(3);
  std::vector<std::uint64_t> ticks{0, 1, machine.clocks.Now().ticks + 1000 * 3'000'000'000};
  for (int i = 0; i < 60; ++i) {
    machine.clocks.SetRate(static_cast<int>(random() % 1001) - 500);
    if (i == 40) machine.clocks.Suspend(30 * kSecond, true);
    machine.Run(kSecond, [&] {
      // The seams are where readings are made: just after this.
      const std::uint64_t now = machine.clocks.Now().ticks;
      for (std::uint64_t at = now - 20; at < now + 2000; at += 1 + random() % 400) {
        ticks.push_back(at);
      }
    });
    std::sort(ticks.begin(), ticks.end());
    std::int64_t before = std::numeric_limits<std::int64_t>::min();
    for (const std::uint64_t at : ticks) {
      const std::int64_t ns = machine.calibration.UnixNanoseconds(at);
      ASSERT_GE(ns, before) << at;
      before = ns;
    }
  }
}

TEST(Calibration, AnyTicksGiveSomeTime) {
  Machine machine;
  machine.Run(kSecond);
  for (const std::uint64_t ticks : {std::uint64_t{0}, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    static_cast<void>(machine.calibration.UnixNanoseconds(ticks));
    static_cast<void>(machine.calibration.DurationNanoseconds(ticks, 0));
    static_cast<void>(machine.calibration.DurationNanoseconds(0, ticks));
  }
}

}  // namespace
}  // namespace spanring::platform

// The ring, in every schedule of a few records.
#include <gtest/gtest.h>

#include <iostream>

#include "model/ring_scenario.h"

namespace spanring::model {
namespace {

RingSeen HoldsAlways(const RingPlan& plan) {
  RingSeen seen;
  const Report report = ExploreRing(plan, &seen);
  EXPECT_EQ(report.violation, Violation::kNone) << report.what;
  std::cout << report.executions << " executions, " << report.cut_short << " more cut short\n";
  return seen;
}

TEST(RingModel, RecordsOfAnySizeComeWholeAndInOrder) {
  const RingSeen seen = HoldsAlways({.capacity = 256, .before = {}, .sizes = {16, 40, 8, 24}});
  EXPECT_EQ(seen.some_refused, 0U);
  EXPECT_GT(seen.read_early, 0U);
}

// The lap's rest of 24 is too short for 32: padding, and the record behind it.
TEST(RingModel, ARecordThatDoesNotFitIntoTheLapGoesToTheNext) {
  const RingSeen seen =
      HoldsAlways({.capacity = 64, .before = {24, 16}, .sizes = {32, 24, 16, 32}, .polls = 3});
  EXPECT_GT(seen.all_taken, 0U) << "space given back was never used";
  EXPECT_GT(seen.padded, 0U);
  EXPECT_GT(seen.some_refused, 0U);
  EXPECT_GT(seen.read_early, 0U);
}

TEST(RingModel, AFullRingRefusesAndReusesWhatIsGivenBack) {
  const RingSeen seen =
      HoldsAlways({.capacity = 32, .before = {}, .sizes = {16, 16, 16, 16, 8}, .polls = 3});
  EXPECT_GT(seen.all_taken, 0U);
  EXPECT_GT(seen.some_refused, 0U);
}

// Of 64 bytes 40 are written: 32 are refused, and what fits into the rest of the lap still does;
// also where the first 16 have been given back.
TEST(RingModel, ARefusedRecordLeavesNoTrace) {
  for (const std::vector<std::uint32_t>& before : {std::vector<std::uint32_t>{}, {16}}) {
    const std::uint32_t first = before.empty() ? 40 : 24;
    const RingSeen seen =
        HoldsAlways({.capacity = 64, .before = before, .sizes = {first, 32, 24}, .polls = 0});
    EXPECT_EQ(seen.survivors[2], seen.some_refused);
    EXPECT_EQ(seen.all_taken, 0U);
  }
}

TEST(RingModel, SpaceMayComeBackRecordByRecord) {
  const RingSeen seen = HoldsAlways({.capacity = 64,
                                     .before = {24, 16},
                                     .sizes = {32, 24, 16, 32},
                                     .polls = 3,
                                     .gives_back_each = true});
  EXPECT_GT(seen.all_taken, 0U);
  EXPECT_GT(seen.some_refused, 0U);
}

TEST(RingModel, ALapIsFilledToItsLastByte) {
  // In the second plan the end of the free space comes first, so the lap's end is hit by MakeRoom.
  for (const RingPlan& plan : {RingPlan{.capacity = 64, .before = {32}, .sizes = {32, 32, 32}},
                               RingPlan{.capacity = 64, .before = {48}, .sizes = {16, 48, 16}}}) {
    const RingSeen seen = HoldsAlways(plan);
    EXPECT_GT(seen.all_taken, 0U);
    EXPECT_GT(seen.some_refused, 0U);
    EXPECT_EQ(seen.padded, 0U);
  }
}

// Of 256 bytes three records of 72 leave 40, less than a header; then only one word.
TEST(RingModel, ALapMayEndInLessThanAHeader) {
  RingSeen seen = HoldsAlways({.capacity = 256, .before = {72, 72, 72}, .sizes = {72, 72}});
  EXPECT_GT(seen.all_taken, 0U);
  EXPECT_EQ(seen.some_refused, 0U);
  seen = HoldsAlways({.capacity = 64, .before = {32, 24}, .sizes = {16, 32, 32}, .polls = 3});
  EXPECT_GT(seen.all_taken, 0U);
  EXPECT_GT(seen.some_refused, 0U);
}

// The producer ends before any of its steps, so also between two words of a record or of the
// padding. Who reads then has read nothing yet: what it knows is the memory that the two share.
TEST(RingModel, ACrashLeavesTheCommittedRecordsAndNothingElse) {
  const RingSeen seen = HoldsAlways(
      {.capacity = 128, .before = {64, 40}, .sizes = {32, 16, 40}, .polls = 0, .crash = true});
  for (std::size_t n = 0; n <= 3; ++n) EXPECT_GT(seen.survivors[n], 0U) << n;
}

TEST(RingModel, AReaderAtWorkSurvivesTheCrashOfTheProducer) {
  const RingSeen seen = HoldsAlways(
      {.capacity = 64, .before = {24, 16}, .sizes = {32, 16, 24}, .polls = 2, .crash = true});
  for (std::size_t n = 0; n <= 3; ++n) EXPECT_GT(seen.survivors[n], 0U) << n;
  EXPECT_GT(seen.read_early, 0U);
}

// The process ends: both threads stop anywhere. What was committed and not given back is there,
// also what the consumer had in hand.
TEST(RingModel, ACrashOfBothLeavesWhatWasNotGivenBack) {
  const RingSeen seen = HoldsAlways({.capacity = 64,
                                     .before = {24, 16},
                                     .sizes = {32, 24, 16},
                                     .polls = 2,
                                     .gives_back_each = true,
                                     .both_crash = true});
  for (std::size_t n = 0; n <= 2; ++n) EXPECT_GT(seen.survivors[n], 0U) << n;
}

TEST(RingModel, SleepSetsLoseNothing) {
  const RingPlan plan{.capacity = 32, .before = {16}, .sizes = {16, 16}, .polls = 1};
  RingSeen reduced;
  RingSeen full;
  const Report with = ExploreRing(plan, &reduced);
  ExploreOptions options;
  options.sleep_sets = false;
  const Report without = ExploreRing(plan, &full, options);
  EXPECT_EQ(with.violation, Violation::kNone) << with.what;
  EXPECT_EQ(without.violation, Violation::kNone) << without.what;
  EXPECT_LT(with.executions, without.executions);
  for (std::size_t n = 0; n < full.survivors.size(); ++n) {
    EXPECT_EQ(reduced.survivors[n] > 0, full.survivors[n] > 0) << n;
  }
  EXPECT_EQ(reduced.read_early > 0, full.read_early > 0);
  std::cout << with.executions << " executions instead of " << without.executions << "\n";
}

}  // namespace
}  // namespace spanring::model

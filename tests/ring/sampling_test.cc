#include "ring/sampling.h"

#include <gtest/gtest.h>

#include <random>

namespace spanring::ring {
namespace {

RecordStart Record(TraceId trace_id, std::uint64_t parent_id, std::uint8_t flags) {
  RecordStart record{};
  record.trace_id_high = trace_id.high();
  record.trace_id_low = trace_id.low();
  record.parent_id = parent_id;
  record.flags = flags;
  return record;
}

constexpr TraceId kLowest(~0ULL, 0xff00'0000'0000'0000);  // 56 bits of zeros.
constexpr TraceId kHighest(0, 0x00ff'ffff'ffff'ffff);     // 56 ones.

TEST(SamplingRule, TheDefaultSamplesEverything) {
  EXPECT_TRUE(SamplingRule().Samples(kLowest));
  EXPECT_TRUE(SamplingRule(1, true).Samples(kLowest));
  EXPECT_TRUE(SamplingRule(1, false).Samples(kLowest));
}

TEST(SamplingRule, ZeroSamplesNothing) {
  EXPECT_FALSE(SamplingRule(0, true).Samples(kHighest));
  EXPECT_FALSE(SamplingRule(0, false).Samples(kHighest));
}

// The examples of the specification: the threshold of a ratio is (1 - ratio) * 2^56, and ids from
// there on are sampled.
TEST(SamplingRule, TheBoundIsThatOfTheSpecification) {
  const SamplingRule quarter(0.25, true);
  EXPECT_FALSE(quarter.Samples(TraceId(1, 0x00bf'ffff'ffff'ffff)));
  EXPECT_TRUE(quarter.Samples(TraceId(1, 0x00c0'0000'0000'0000)));
  EXPECT_TRUE(quarter.Samples(TraceId(1, 0x12c0'0000'0000'0000)));  // The first byte is not asked.
}

TEST(SamplingRule, OfManyIdsTheRatioIsSampledAndALowerOneSamplesASubset) {
  std::mt19937_64 random(1);
  int tenth = 0;
  int half = 0;
  constexpr int kIds = 100'000;
  for (int i = 0; i < kIds; ++i) {
    const TraceId id = internal::NewTraceId();
    const bool is_of_half = SamplingRule(0.5, true).Samples(id);
    half += is_of_half ? 1 : 0;
    if (!SamplingRule(0.1, true).Samples(id)) continue;
    ++tenth;
    EXPECT_TRUE(is_of_half);
  }
  // Six standard deviations.
  EXPECT_NEAR(tenth, kIds / 10, 6 * 95);
  EXPECT_NEAR(half, kIds / 2, 6 * 158);
}

TEST(SamplingRule, AParentsDecisionIsTheirsWhereThereIsAParent) {
  const std::uint8_t yes = static_cast<std::uint8_t>(internal::Sampling::kSampled);
  const std::uint8_t no = static_cast<std::uint8_t>(internal::Sampling::kNotSampled);
  const SamplingRule never(0, true);
  const SamplingRule always;
  EXPECT_TRUE(never.Samples(Record(kLowest, 5, yes)));
  EXPECT_FALSE(always.Samples(Record(kHighest, 5, no)));
  // A root has none to ask, and who gave only ids has not said.
  EXPECT_FALSE(never.Samples(Record(kLowest, 0, yes)));
  EXPECT_TRUE(always.Samples(Record(kHighest, 0, no)));
  EXPECT_FALSE(never.Samples(Record(kHighest, 5, 0)));
  // Not asked.
  EXPECT_FALSE(SamplingRule(0, false).Samples(Record(kHighest, 5, yes)));
  EXPECT_TRUE(SamplingRule(1, false).Samples(Record(kLowest, 5, no)));
}

}  // namespace
}  // namespace spanring::ring

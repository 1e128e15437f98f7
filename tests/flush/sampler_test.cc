#include "flush/sampler.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace spanring::flush {
namespace {

using ring::RecordStatus;

constexpr std::int64_t kMs = 1'000'000;

class Sampling : public testing::Test {
 protected:
  // Of a trace of its own, unless said otherwise.
  bool Stores(std::int64_t duration_ms, RecordStatus status = RecordStatus::kCompleted,
              std::string_view operation = "call", TraceId trace_id = {}) {
    if (trace_id.is_nil()) trace_id = TraceId(1, ++traces_);
    return sampler_.Stores({.trace_id = trace_id,
                            .service = "router",
                            .operation = operation,
                            .status = status,
                            .duration_ns = duration_ms * kMs});
  }

  Sampler sampler_{120'000};
  std::uint64_t traces_ = 0;
};

TEST_F(Sampling, FailedAndTimedOutSpansAreStored) {
  EXPECT_FALSE(Stores(10));
  EXPECT_TRUE(Stores(10, RecordStatus::kFailed));
  EXPECT_TRUE(Stores(10, RecordStatus::kTimeout));
  EXPECT_FALSE(Stores(10));
}

TEST_F(Sampling, SlowIsThreeTimesTheAverageOfFiveCompletedSpans) {
  EXPECT_FALSE(Stores(10));
  EXPECT_FALSE(Stores(5'000));  // Nothing to compare it with.
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(Stores(10));
  // The average is (4 * 10 + 5000) / 5.
  EXPECT_FALSE(Stores(3'024));
  EXPECT_TRUE(Stores(5'000));
  // Each operation has its own.
  EXPECT_FALSE(Stores(5'000, RecordStatus::kCompleted, "other"));
}

TEST_F(Sampling, TheAverageIsOfCompletedSpansAndGoesWithTheTimes) {
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(Stores(10));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(Stores(60'000, RecordStatus::kFailed));
  EXPECT_TRUE(Stores(31));
  int stored = 0;
  for (int i = 0; i < 10'000; ++i) stored += Stores(100) ? 1 : 0;
  EXPECT_LT(stored, 100);
  EXPECT_FALSE(Stores(250));
  EXPECT_TRUE(Stores(310));
}

TEST_F(Sampling, SpansOfLessThanAMillisecondAreNotSlow) {
  const auto stores = [this](std::int64_t duration_ns) {
    return sampler_.Stores({.trace_id = TraceId(1, ++traces_),
                            .service = "router",
                            .operation = "parse",
                            .status = RecordStatus::kCompleted,
                            .duration_ns = duration_ns});
  };
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(stores(200));
  EXPECT_FALSE(stores(999'999));
  EXPECT_TRUE(stores(1'000'000));
}

TEST_F(Sampling, TheSetTimeCountsFromTheFirstSpan) {
  EXPECT_TRUE(Stores(120'000));
  EXPECT_FALSE(Stores(119'999));
}

TEST_F(Sampling, WhatEndsAfterAStoredSpanOfItsTraceIsStoredToo) {
  const TraceId trace(7, 8);
  EXPECT_FALSE(Stores(1, RecordStatus::kCompleted, "before", trace));
  EXPECT_TRUE(Stores(1, RecordStatus::kFailed, "call", trace));
  EXPECT_TRUE(Stores(1, RecordStatus::kCompleted, "caller", trace));
  EXPECT_TRUE(Stores(1, RecordStatus::kCompleted, "root", trace));
  // The same low half is another trace.
  EXPECT_FALSE(Stores(1, RecordStatus::kCompleted, "root", TraceId(6, 8)));
  // The nil id, which the table starts with, is none that was stored.
  EXPECT_FALSE(sampler_.Stores({.trace_id = TraceId(1, 0),
                                .service = "",
                                .operation = "",
                                .status = RecordStatus::kCompleted,
                                .duration_ns = 0}));
}

TEST_F(Sampling, OperationsThatAreValuesTakeNoMemoryForEver) {
  for (int i = 0; i < 50'000; ++i) {
    EXPECT_FALSE(Stores(1, RecordStatus::kCompleted, absl::StrCat("operation ", i)));
  }
}

}  // namespace
}  // namespace spanring::flush

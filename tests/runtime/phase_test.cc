// Span::Next: the phases of a loop, from the calls to the rows.
#include <cstdlib>
#include <set>
#include <string>

#include "absl/time/time.h"
#include "runtime/span_fixture.h"

namespace spanring {
namespace {

constinit CallSite g_prepare("runner", "prepare");
constinit CallSite g_send("runner", "send");
constinit CallSite g_wait("runner", "wait");

TEST_F(SpanTest, NextEndsOneSpanAndStartsItsSiblingAtTheSameMoment) {
  const SpanContext parent{TraceId(1, 2), SpanId(3), true};
  Do([&] {
    Span phase = tracer_.StartSpan(parent, g_prepare);
    phase.SetExecutionContext("job-7", 2193, "llama", "eu");
    phase.SetAttribute("large", std::string(1000, 'x'));
    phase.Next(g_send);
    phase.Next(g_wait);
    phase.SetAttribute("of", "wait");
    phase.Complete("timeout");
  });
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 3U);
  const char* const names[] = {"prepare", "send", "wait"};
  std::set<std::string> ids;
  for (std::size_t i = 0; i < 3; ++i) {
    SCOPED_TRACE(names[i]);
    EXPECT_EQ(rows[i].Text(Column::kOperationColumn), names[i]);
    EXPECT_EQ(rows[i].Uuid(Column::kTraceIdColumn), rows[0].Uuid(Column::kTraceIdColumn));
    EXPECT_EQ(rows[i].Uuid(Column::kParentSpanId), rows[0].Uuid(Column::kParentSpanId));
    EXPECT_EQ(rows[i].Text(Column::kStatusColumn), i == 2 ? "timeout" : "completed");
    ids.insert(rows[i].Uuid(Column::kSpanIdColumn));
    if (i > 0) {
      // To the microsecond that PostgreSQL's time rounds to.
      EXPECT_LE(
          std::abs(rows[i].UnixUs(Column::kStartedAt) - rows[i - 1].UnixUs(Column::kCompletedAt)),
          1);
      EXPECT_TRUE(rows[i].IsNull(Column::kExecutionId)) << "of the first phase only";
      EXPECT_TRUE(rows[i].IsNull(Column::kJobIdColumn));
    }
  }
  EXPECT_EQ(ids.size(), 3U);
  EXPECT_EQ(rows[0].Number(Column::kExecutionId), 2193);
  EXPECT_EQ(rows[2].Json(Column::kMetadata), R"({"of":"wait"})");
  const Stats stats = registry_.Count();
  EXPECT_EQ(stats.started, 3U);
  EXPECT_EQ(stats.open, 0U);
}

TEST_F(SpanTest, NextOnAnotherThreadGoesOnThere) {
  Do([&] {
    Span phase = tracer_.StartSpan(SpanContext{TraceId(1, 2), SpanId(3), true}, g_prepare);
    Do([&] {
      phase.Next(g_send);
      phase.Next(g_wait);
    });
    phase.Complete();
  });
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 3U);
  for (const Row& row : rows) {
    EXPECT_EQ(row.Uuid(Column::kTraceIdColumn), rows[0].Uuid(Column::kTraceIdColumn));
    EXPECT_EQ(row.Uuid(Column::kParentSpanId), rows[0].Uuid(Column::kParentSpanId));
  }
  EXPECT_EQ(registry_.Count().open, 0U);
  EXPECT_EQ(registry_.Count().started, 3U);
}

TEST_F(SpanTest, NextKeepsAnEndThatWasGivenAndStartsNow) {
  const absl::Time end = absl::FromUnixSeconds(1'700'000'000);
  Do([&] {
    Span phase = tracer_.StartSpan(g_prepare);
    phase.SetStartTime(end - absl::Seconds(5));
    phase.SetEndTime(end);
    phase.Next(g_send);
  });
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].UnixUs(Column::kCompletedAt), absl::ToUnixMicros(end));
  EXPECT_GT(rows[1].UnixUs(Column::kStartedAt), absl::ToUnixMicros(end + absl::Hours(24)));
}

TEST_F(SpanTest, NextWhileSwitchedOffOnlyEnds) {
  Do([&] {
    Span phase = tracer_.StartSpan(g_prepare);
    internal::g_mode.store(internal::Mode::kOff);
    phase.Next(g_send);
    EXPECT_FALSE(phase.is_recording());
  });
  EXPECT_EQ(Rows().size(), 1U);
  EXPECT_EQ(registry_.Count().started, 1U);
}

TEST_F(SpanTest, NextAfterTheEndIsMisuse) {
  Do([&] {
    Span phase = tracer_.StartSpan(g_prepare);
    phase.Complete();
    phase.Next(g_send);
    Span nothing;
    nothing.Next(g_send);
  });
  EXPECT_EQ(Rows().size(), 1U);
  EXPECT_EQ(misuses(), 1U);
}

TEST_F(SpanTest, NextIntoAFullRingDropsTheOneAndStartsTheOther) {
  constexpr std::uint64_t kPhases = 20'000;  // Of which the ring holds 16,384.
  Do([&] {
    Span phase = tracer_.StartSpan(g_prepare);
    for (std::uint64_t i = 0; i < kPhases; ++i) phase.Next(g_send);
    EXPECT_TRUE(phase.is_recording());
    const Stats stats = registry_.Count();
    EXPECT_EQ(stats.started, kPhases + 1);
    EXPECT_EQ(stats.open, 1U);
    EXPECT_EQ(stats.journalled, 16'384U);
    EXPECT_EQ(stats.dropped_by_reason[static_cast<std::size_t>(DropReason::kRingFull)],
              kPhases - 16'384);
  });
  EXPECT_EQ(Rows().size(), 16'384U);
}

}  // namespace
}  // namespace spanring

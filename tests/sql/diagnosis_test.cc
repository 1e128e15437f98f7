#include <gmock/gmock.h>

#include "sql/executions.h"

namespace spanring::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Diagnosis : public ExecutionTest {};

TEST_F(Diagnosis, Execution2193HasItsGapAtTheRouter) {
  Write(2193, Execution2193());
  EXPECT_THAT(Anomalies(2193),
              ElementsAre("inference_request: gap of 156.3 s after it, until the end of "
                          "runner.hybrid_router_call"));
  EXPECT_EQ(Database().Value("SELECT gap_after_ms FROM diagnose_execution_trace(2193)"
                             " WHERE operation = 'inference_request'"),
            "156300");
}

TEST_F(Diagnosis, NormalExecutionHasNoAnomaly) {
  Write(1, {{1, 0, "runner", "execute", 0, 10},
            {2, 1, "router", "route", 0.1, 9.9},
            {3, 2, "modal", "inference", 0.2, 9.8}});
  EXPECT_THAT(Anomalies(1), IsEmpty());
}

TEST_F(Diagnosis, UnknownExecutionHasNoRow) {
  EXPECT_EQ(Database().Value("SELECT count(*) FROM diagnose_execution_trace(4711)"), "0");
}

TEST_F(Diagnosis, ThreeTimesTheAverageIsNormalAndMoreIsSlow) {
  WriteHistory(100, 5, "runner", "execute", 2);
  Write(1, {{.id = 1, .service = "runner", .operation = "execute", .end_s = 6}});
  Write(2, {{.id = 1, .service = "runner", .operation = "execute", .end_s = 6.5}});
  // The two count in each other's average; seen from 1: (5 x 2 + 6.5) / 6 = 2.75.
  EXPECT_THAT(Anomalies(1), IsEmpty());
  Database().Run("DELETE FROM trace_spans WHERE execution_id = 2");
  EXPECT_THAT(Anomalies(1), IsEmpty());
  Database().Run(
      "UPDATE trace_spans SET completed_at = completed_at + interval '1 millisecond'"
      " WHERE execution_id = 1");
  EXPECT_THAT(Anomalies(1),
              ElementsAre(HasSubstr("slow: 6.0 s, 3.0 times the average of 2.0 s over 5 spans")));
}

TEST_F(Diagnosis, BaselineNeverCountsTheExecutionItself) {
  Write(1, {{1, 0, "runner", "execute", 0, 100},
            {2, 1, "runner", "step", 0, 1},
            {3, 1, "runner", "step", 1, 2},
            {4, 1, "runner", "step", 2, 3},
            {5, 1, "runner", "step", 3, 4},
            {6, 1, "runner", "step", 4, 54}});
  EXPECT_EQ(Database().Value("SELECT max(baseline_samples) FROM diagnose_execution_trace(1)"), "0");
  EXPECT_THAT(Anomalies(1), IsEmpty());
}

TEST_F(Diagnosis, TooLittleHistoryIsSaidAndNoAnomaly) {
  WriteHistory(100, 4, "runner", "execute", 1);
  Write(1, {{.id = 1, .service = "runner", .operation = "execute", .end_s = 50}});
  EXPECT_THAT(Anomalies(1), IsEmpty());
  EXPECT_EQ(Database().Value("SELECT baseline_note FROM diagnose_execution_trace(1)"),
            "insufficient history: 4 spans of other executions, 5 needed");
  WriteHistory(104, 1, "runner", "execute", 1);
  EXPECT_THAT(Anomalies(1), ElementsAre(HasSubstr("slow: 50.0 s, 50.0 times")));
  EXPECT_EQ(Database().Value("SELECT baseline_note IS NULL FROM diagnose_execution_trace(1)"), "t");
}

TEST_F(Diagnosis, BaselineTakesCompletedSpansOnly) {
  WriteHistory(100, 5, "runner", "execute", 1);
  Database().Run("UPDATE trace_spans SET status = 'failed' WHERE execution_id = 100");
  Write(1, {{.id = 1, .service = "runner", .operation = "execute", .end_s = 50}});
  EXPECT_EQ(Database().Value("SELECT baseline_samples FROM diagnose_execution_trace(1)"), "4");
}

TEST_F(Diagnosis, FarHistoryIsTakenWhereTheNearIsTooLittle) {
  WriteHistory(100, 5, "runner", "execute", 1);
  Database().Run(
      "UPDATE trace_spans SET started_at = started_at - interval '10 days',"
      " completed_at = completed_at - interval '10 days'");
  Write(1, {{.id = 1, .service = "runner", .operation = "execute", .end_s = 50}});
  EXPECT_EQ(Database().Value("SELECT baseline_samples FROM diagnose_execution_trace(1)"), "5");
}

TEST_F(Diagnosis, GapOfFiveSecondsIsNormalAndMoreIsNot) {
  const auto execution = [](double second_start) -> std::vector<Span> {
    return {{1, 0, "runner", "execute", 0, 30},
            {2, 1, "router", "route", 0, 10},
            {3, 1, "modal", "inference", second_start, 30}};
  };
  Write(1, execution(15));
  Write(2, execution(15.001));
  EXPECT_THAT(Anomalies(1), IsEmpty());
  EXPECT_THAT(Anomalies(2),
              ElementsAre("route: gap of 5.0 s after it, until the start of modal.inference"));
}

TEST_F(Diagnosis, TailGapOfFiveSecondsIsNormalAndMoreIsNot) {
  Write(1, {{1, 0, "runner", "execute", 0, 15}, {2, 1, "router", "route", 0, 10}});
  Write(2, {{1, 0, "runner", "execute", 0, 15.001}, {2, 1, "router", "route", 0, 10}});
  EXPECT_THAT(Anomalies(1), IsEmpty());
  EXPECT_THAT(Anomalies(2),
              ElementsAre("route: gap of 5.0 s after it, until the end of runner.execute"));
}

TEST_F(Diagnosis, LeadGapStandsAtTheSpanThatItDelays) {
  Write(1, {{1, 0, "runner", "execute", 0, 20}, {2, 1, "router", "route", 5, 20}});
  Write(2, {{1, 0, "runner", "execute", 0, 20}, {2, 1, "router", "route", 5.001, 20}});
  EXPECT_THAT(Anomalies(1), IsEmpty());
  EXPECT_THAT(Anomalies(2),
              ElementsAre("route: gap of 5.0 s before it, since the start of runner.execute"));
}

TEST_F(Diagnosis, GapWithinOneServiceIsItsOwnWork) {
  Write(1, {{1, 0, "runner", "execute", 0, 100}, {2, 1, "runner", "step", 40, 50}});
  EXPECT_THAT(Anomalies(1), IsEmpty());
}

TEST_F(Diagnosis, GapBetweenRootsCounts) {
  Write(1, {{1, 0, "runner", "a", 0, 10}, {2, 0, "router", "b", 15.001, 20}});
  EXPECT_THAT(Anomalies(1), ElementsAre(HasSubstr("a: gap of 5.0 s after it")));
}

TEST_F(Diagnosis, OverlappingAndNestedSpansHaveNoNegativeGap) {
  Write(1, {{1, 0, "runner", "execute", 0, 30},
            {2, 1, "router", "long", 0, 30},
            {3, 1, "modal", "short", 1, 2},
            {4, 1, "modal", "late", 29, 31}});
  EXPECT_THAT(Anomalies(1), IsEmpty());
  EXPECT_EQ(Database().Value("SELECT min(gap_after_ms) FROM diagnose_execution_trace(1)"), "0");
}

TEST_F(Diagnosis, FailedTimeoutAndUnendedAreAnomalies) {
  Write(1, {{1, 0, "runner", "execute", 0, kNeverEnded},
            {2, 1, "runner", "a", 0, 1, "failed", "ValueError", "bad"},
            {3, 1, "runner", "b", 1, 2, "timeout"},
            {4, 1, "runner", "c", 2, 3}});
  EXPECT_THAT(Anomalies(1),
              ElementsAre("execute: never ended", "a: failed: ValueError", "b: timeout"));
}

TEST_F(Diagnosis, ReasonsAreJoined) {
  WriteHistory(100, 5, "router", "route", 1);
  Write(1, {{1, 0, "runner", "execute", 0, 30},
            {2, 1, "router", "route", 6, 20, "failed", "", "boom"}});
  EXPECT_THAT(Anomalies(1), ElementsAre(testing::AllOf(HasSubstr("failed: boom; slow: "),
                                                       HasSubstr("; gap of 6.0 s "
                                                                 "before it"),
                                                       HasSubstr("; gap of 10.0 s after it"))));
}

TEST_F(Diagnosis, DurationMayComeFromAnyColumn) {
  Database().Run(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, status,"
      " execution_id, duration_ns, duration_ms, completed_at) VALUES"
      " (gen_random_uuid(), gen_random_uuid(), 's', 'a', now(), 'completed', 1, 1500000, NULL, "
      "NULL),"
      " (gen_random_uuid(), gen_random_uuid(), 's', 'b', now(), 'completed', 1, NULL, 2, NULL),"
      " (gen_random_uuid(), gen_random_uuid(), 's', 'c', now(), 'completed', 1, NULL, NULL,"
      "  now() + interval '3 milliseconds')");
  EXPECT_EQ(Database().Value("SELECT string_agg(operation || duration_ms, ',' ORDER BY operation)"
                             " FROM diagnose_execution_trace(1)"),
            "a2,b2,c3");
}

}  // namespace
}  // namespace spanring::test

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
  Fold();
  EXPECT_EQ(Database().Value("SELECT baseline_samples FROM diagnose_execution_trace(1)"), "4");
}

TEST_F(Diagnosis, FarHistoryIsTakenWhereTheNearIsTooLittle) {
  WriteHistory(100, 5, "runner", "execute", 1);
  Database().Run(
      "UPDATE trace_spans SET started_at = started_at - interval '10 days',"
      " completed_at = completed_at - interval '10 days'");
  Write(1, {{.id = 1, .service = "runner", .operation = "execute", .end_s = 50}});
  Fold();
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

// Drops by time: which of them concern an execution.
class Drops : public ExecutionTest {
 protected:
  static constexpr char kOther[] = "00000000-0000-0000-0000-0000000000bb";

  // The ledger's rows for the spans of an execution's service.
  static void WrittenBy(const std::string& writer_id, int execution_id,
                        const std::string& service) {
    (void)Database().Rows(
        "INSERT INTO trace_batches (writer_id, sequence, committed_at, spans)"
        " SELECT $1, row_number() OVER () + (SELECT count(*) FROM trace_batches), created_at, 1"
        " FROM trace_spans WHERE execution_id = $2 AND service = $3",
        {writer_id, std::to_string(execution_id), service});
  }
  // In seconds after the executions' second 0.
  static void Dropped(const std::string& writer_id, double since_s, double until_s, int spans,
                      const std::string& reason) {
    (void)Database().Rows(
        "INSERT INTO trace_drops (since, until, spans, writer_id, reason)"
        " SELECT zero + make_interval(secs => $1), zero + make_interval(secs => $2), $3, $4, $5"
        " FROM (SELECT min(started_at) AS zero FROM trace_waterfall) AS spans",
        {std::to_string(since_s), std::to_string(until_s), std::to_string(spans), writer_id,
         reason});
  }
  static std::string Counts(int execution_id) {
    return Database().Value(
        "SELECT string_agg(coalesce(spans_dropped::text, '-'), ' ' ORDER BY n)"
        " FROM diagnose_execution_trace($1) WITH ORDINALITY AS d (c1, c2, c3, c4, c5, c6, c7, c8,"
        " c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, spans_dropped, n)",
        {std::to_string(execution_id)});
  }
};

TEST_F(Drops, OfItsWritersInItsTimeAreSaidAtTheFirstRow) {
  Write(1, {{1, 0, "runner", "execute", 0, 10}, {2, 1, "router", "route", 1, 9}});
  WrittenBy(kWriterId, 1, "runner");
  EXPECT_EQ(Counts(1), "0 -");
  Dropped(kWriterId, 2, 3, 12, "ring_full");
  EXPECT_EQ(Counts(1), "12 -");
  EXPECT_THAT(Anomalies(1),
              ElementsAre("execute: 12 spans were dropped in its time by its writers (ring_full "
                          "12): some may be missing here"));
  Dropped(kOther, 2, 3, 100, "ring_full");
  EXPECT_EQ(Counts(1), "12 -") << "by a writer that has no part in it";
  WrittenBy(kOther, 1, "router");
  Dropped(kOther, 4, 5, 1, "journal_full");
  EXPECT_EQ(Counts(1), "113 -");
  EXPECT_THAT(Anomalies(1), ElementsAre(HasSubstr("(ring_full 112, journal_full 1)")));
}

TEST_F(Drops, WindowMustOverlapItsTime) {
  Write(1, {{1, 0, "runner", "execute", 0, 10}});
  WrittenBy(kWriterId, 1, "runner");
  Dropped(kWriterId, -20, -0.1, 1, "ring_full");
  Dropped(kWriterId, 10.1, 20, 1, "ring_full");
  EXPECT_EQ(Counts(1), "0");
  EXPECT_THAT(Anomalies(1), IsEmpty());
  Dropped(kWriterId, 10, 20, 1, "ring_full");
  EXPECT_THAT(Anomalies(1), ElementsAre(HasSubstr("execute: 1 span was dropped in its time")));
  Dropped(kWriterId, -5, 0, 1, "ring_full");
  Dropped(kWriterId, -5, 50, 1, "ring_full");
  EXPECT_EQ(Counts(1), "3");
}

TEST_F(Drops, RowsThatWereRefusedInABatchOfItAreItsOwn) {
  Write(1, {{1, 0, "runner", "execute", 0, 10}});
  WrittenBy(kWriterId, 1, "runner");
  Database().Run(
      "INSERT INTO trace_drops SELECT created_at - interval '1 s', created_at, 3,"
      " '00000000-0000-0000-0000-0000000000aa', reason"
      " FROM trace_spans CROSS JOIN unnest(ARRAY['rejected', 'ring_full']) AS reason");
  EXPECT_THAT(Anomalies(1), ElementsAre(HasSubstr("3 spans were dropped in its time by its writers "
                                                  "(rejected 3)")));
}

TEST_F(Drops, WritersOfOpenSpansCountUntilNow) {
  WriteOpen(1, {.id = 1, .service = "runner", .operation = "execute"}, kOther);
  WriteOpen(2, {.id = 1, .service = "runner", .operation = "execute"});
  Dropped(kOther, 3000, 3001, 4, "ring_full");
  EXPECT_EQ(Counts(1), "4");
  EXPECT_EQ(Counts(2), "0");
  EXPECT_THAT(Anomalies(1), ElementsAre(HasSubstr("never ended; 4 spans were dropped")));
}

TEST_F(Drops, AreFoundThroughTheIndexes) {
  Write(1, {{1, 0, "runner", "execute", 0, 10}});
  WrittenBy(kWriterId, 1, "runner");
  Dropped(kWriterId, 2, 3, 12, "ring_full");
  Database().Run(
      "INSERT INTO trace_batches SELECT gen_random_uuid(), n, now() - n * interval '1 s', 1"
      " FROM generate_series(1, 20000) AS n;"
      "INSERT INTO trace_drops SELECT now() - interval '1 day', now() - n * interval '1 s', 1,"
      " gen_random_uuid(), 'ring_full' FROM generate_series(1, 20000) AS n;"
      "INSERT INTO trace_open_spans (started_at, trace_id, span_id, writer_id, service, operation)"
      " SELECT now(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 's', 'o'"
      " FROM generate_series(1, 20000);"
      "ANALYZE trace_batches, trace_drops, trace_open_spans");
  const auto scans = [] {
    return Database().Value(
        "SELECT sum(pg_stat_get_xact_numscans(name::regclass)) FROM unnest("
        "ARRAY['trace_batches', 'trace_drops', 'trace_open_spans']) AS name");
  };
  Database().Run("BEGIN");
  // What earlier transactions have not reported yet is counted here too.
  const std::string before = scans();
  EXPECT_EQ(Counts(1), "12");
  EXPECT_EQ(RootCause(1), "none");
  EXPECT_EQ(scans(), before);
  Database().Run("COMMIT");
}

}  // namespace
}  // namespace spanring::test

// Rows of writers that are not tracers: durations in one column only, long names, absurd times,
// late rows. Nothing of an execution is lost for them, and no question fails.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "support/database.h"

namespace spanring::test {
namespace {

using ::testing::HasSubstr;

class OtherWriters : public testing::Test {
 protected:
  // A span that began so many hours into the day before yesterday; `columns` beside those named.
  void Insert(int trace, int span, int parent, const std::string& service, double hours,
              const std::string& columns, const std::string& values) {
    database_.Run(absl::StrCat(
        "INSERT INTO trace_spans (trace_id, span_id, parent_span_id, service, operation,"
        " started_at, ",
        columns, ") VALUES (", Id(trace), ", ", Id(span), ", ", parent == 0 ? "NULL" : Id(parent),
        ", '", service, "', 'op', ", Day(), " + ", hours, " * interval '1 hour', ", values, ")"));
  }
  static std::string Id(int n) { return absl::StrCat("lpad('", n, "', 32, '0')::uuid"); }
  static std::string Day() { return "(date_trunc('day', now(), 'UTC') - interval '2 days')"; }
  void Fold() {
    database_.Run(
        "SELECT trace_fold_day((now() AT TIME ZONE 'UTC')::date - days)"
        " FROM generate_series(0, 9) AS days");
  }
  std::string Count(const std::string& of) { return database_.Value("SELECT count(*) FROM " + of); }

  TestDatabase database_;
};

TEST_F(OtherWriters, WorkThatBeginsHoursAfterTheSummaryEndsIsFound) {
  Insert(1, 1, 0, "api", 10, "completed_at, status, execution_id",
         Day() + " + interval '10 hours 1 minute', 'completed', 1");
  Insert(1, 2, 1, "worker", 13, "completed_at, status",
         Day() + " + interval '13 hours 5 minutes', 'failed'");
  EXPECT_EQ(Count("trace_tree(1)"), "2");
  Fold();
  EXPECT_EQ(Count("trace_tree(1)"), "2");
  EXPECT_NE(Count("identify_root_cause(1)"), "0");
  // A second trace of it, later, that no summary knows yet.
  Insert(2, 3, 0, "api", 15, "status, execution_id", "'failed', 1");
  EXPECT_EQ(Count("trace_tree(1)"), "3");
}

TEST_F(OtherWriters, AParentDaysBeforeItsChildIsFoundByItsTrace) {
  Insert(1, 1, 0, "api", -72, "status", "'completed'");
  Insert(1, 2, 1, "worker", 10, "status, execution_id", "'completed', 1");
  const std::string before =
      database_.Value("SELECT string_agg(row_order || ' ' || is_orphan, ',') FROM trace_tree(1)");
  Fold();
  EXPECT_EQ(
      database_.Value("SELECT string_agg(row_order || ' ' || is_orphan, ',') FROM trace_tree(1)"),
      before);
  EXPECT_EQ(before, "1 false,2 false");
}

TEST_F(OtherWriters, ALengthInOneColumnIsOneEverywhere) {
  // Five hours by duration_ms alone, and what failed within.
  Insert(1, 1, 0, "api", 10, "duration_ms, status, execution_id", "18000000, 'failed', 2");
  Insert(1, 2, 1, "worker", 13, "duration_ms, status", "300000, 'failed'");
  Fold();
  EXPECT_EQ(Count("trace_tree(2)"), "2");
  EXPECT_EQ(database_.Value("SELECT ended_at - started_at FROM trace_executions"), "05:00:00");
  database_.Run(absl::StrCat(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, duration_ms,"
      " status) SELECT gen_random_uuid(), gen_random_uuid(), 'slow', 'op', ",
      Day(),
      " + i * interval '1 minute', CASE WHEN i < 60 THEN 100 ELSE 5000 END, 'completed'"
      " FROM generate_series(0, 119) AS i"));
  EXPECT_EQ(
      database_.Value(absl::StrCat("SELECT root_cause_type FROM identify_root_cause_window(", Day(),
                                   " + interval '1 hour', ", Day(), " + interval '2 hours', ",
                                   Day(), ", ", Day(), " + interval '1 hour') LIMIT 1")),
      "SLOW_SERVICE");
  // What spent the deadline of the one that timed out.
  Insert(3, 5, 0, "front", 20, "duration_ms, status", "10000, 'timeout'");
  Insert(3, 6, 5, "db", 20, "duration_ms, status", "9000, 'completed'");
  EXPECT_EQ(
      database_.Value(absl::StrCat("SELECT service || ' ' || (first_failed_at - ", Day(),
                                   " - interval '20 hours') FROM trace_error_origins(", Day(),
                                   " + interval '19 hours', ", Day(), " + interval '21 hours')")),
      "db 00:00:10");
}

TEST_F(OtherWriters, OneLongNameSpoilsNoSums) {
  for (int i = 1; i <= 10; ++i) {
    Insert(i, i, 0, "api", 10, "duration_ms, status, execution_id",
           absl::StrCat("100, 'completed', ", i));
  }
  database_.Run(absl::StrCat(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, duration_ms,"
      " status, execution_id) SELECT gen_random_uuid(), gen_random_uuid(), 'db',"
      " 'SELECT ' || string_agg(md5(i::text), ', '), ",
      Day(),
      ", 100, 'completed', 11"
      " FROM generate_series(1, 300) AS i"));
  Fold();
  EXPECT_EQ(Count("trace_executions"), "11");
  EXPECT_EQ(database_.Value("SELECT total_spans FROM trace_spans_health"), "11");
  EXPECT_GT(std::stoi(Count("find_similar_traces(1)")), 0);
  // Its baseline is found by the name as it is summed.
  database_.Run(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, duration_ms,"
      " status, execution_id) SELECT gen_random_uuid(), gen_random_uuid(), service, operation,"
      " started_at, 100, 'completed', 12 + i FROM trace_spans, generate_series(1, 30) AS i"
      " WHERE service = 'db'");
  Fold();
  EXPECT_EQ(database_.Value("SELECT baseline_samples FROM diagnose_execution_trace(11)"), "30");
}

TEST_F(OtherWriters, NoAbsurdRowFailsAQuestion) {
  for (int i = 10; i < 20; ++i) {
    Insert(i, i, 0, "svc", 12, "duration_ms, status, execution_id",
           absl::StrCat("100, 'completed', ", i));
  }
  const std::vector<std::pair<std::string, std::string>> absurd = {
      {"duration_ms", "-5"},
      {"duration_ns", "-1764000000000000000"},
      {"duration_ns", "9223372036854775807"},
      {"completed_at", "'infinity'"},
      {"completed_at", "'-infinity'"},
      {"completed_at", "'294276-12-31 12:00+00'"},
      {"completed_at", "'4714-11-24 00:00:00+00 BC'"}};
  int id = 20;
  for (const auto& [column, value] : absurd) {
    ++id;
    Insert(id, id, 0, "svc", 12, column + ", status, execution_id",
           absl::StrCat(value, ", 'failed', ", id));
    Insert(id, id + 100, id, "svc", 12, column + ", status", value + ", 'failed'");
  }
  for (const char* start : {"'294276-12-20'", "'4714-11-24 BC'", "'infinity'", "'-infinity'"}) {
    ++id;
    database_.Run(absl::StrCat(
        "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, duration_ms,"
        " status, execution_id) VALUES (",
        Id(id), ", ", Id(id), ", 'svc', 'op', ", start, ", 100, 'failed', ", id, ")"));
  }
  // Its end lies behind the last day that is searched.
  ++id;
  database_.Run(absl::StrCat(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, duration_ms,"
      " duration_ns, status, execution_id) VALUES (",
      Id(id), ", ", Id(id),
      ", 'svc', 'op', '9999-12-31 00:00+00', 864000000, 864000000000000, 'completed', ", id, ")"));
  Fold();
  for (int execution = 10; execution <= id; ++execution) {
    if (execution == 20) continue;
    for (const char* question :
         {"trace_tree", "diagnose_execution_trace", "identify_root_cause", "find_similar_traces",
          "trace_critical_path", "trace_gaps", "trace_clock_skew", "trace_network_times"}) {
      // A failure of it is the test's.
      (void)Count(absl::StrCat(question, "(", execution, ")"));
    }
    EXPECT_NE(Count(absl::StrCat("trace_tree(", execution, ")")), "0") << execution;
  }
  EXPECT_GE(std::stoi(Count("find_similar_traces(10)")), 5);
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_waterfall WHERE duration_ns < 0"), "0");
  (void)Count(absl::StrCat("identify_root_cause_window(", Day(), " + interval '11 hours', ", Day(),
                           " + interval '13 hours', '-infinity', ", Day(), ")"));
  EXPECT_NE(Count("trace_error_origins('-infinity', 'infinity')"), "0");
}

TEST_F(OtherWriters, OwnSpansThatWereNeverSummedMakeNoNegativeAverage) {
  database_.Run(absl::StrCat(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, duration_ms,"
      " status, execution_id) SELECT gen_random_uuid(), gen_random_uuid(), 'svc', 'op', ",
      Day(), " + i * interval '1 minute', 100, 'completed', i FROM generate_series(1, 30) AS i"));
  Fold();
  // By a loader that says that they were there before.
  database_.Run(absl::StrCat(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, duration_ms,"
      " status, execution_id, created_at) SELECT gen_random_uuid(), gen_random_uuid(), 'svc',"
      " 'op', ",
      Day(),
      " + i * interval '1 second', CASE WHEN i = 1 THEN 3600000 ELSE 250 END,"
      " 'completed', 999, ",
      Day(), " FROM generate_series(1, 10) AS i"));
  EXPECT_EQ(database_.Value("SELECT count(*) FROM diagnose_execution_trace(999)"
                            " WHERE baseline_ms < 0 OR anomaly_reason LIKE '%-%s over%'"),
            "0");
}

TEST_F(OtherWriters, QuantilesLeaveOutOwnSpansOfTheirDaysOnly) {
  database_.Run(absl::StrCat(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, duration_ms,"
      " status, execution_id) SELECT gen_random_uuid(), gen_random_uuid(), 'svc', 'op', ",
      Day(), " + i * interval '1 minute', 100, 'completed', i FROM generate_series(1, 60) AS i"));
  // Of four days, most of them too far away to count.
  database_.Run(absl::StrCat(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, duration_ms,"
      " status, execution_id) SELECT ",
      Id(7), ", gen_random_uuid(), 'svc', 'op', ", Day(),
      " - i * interval '1 hour', CASE WHEN i = 0 THEN 60000 ELSE 100 END, 'completed', 999"
      " FROM generate_series(0, 150) AS i"));
  Fold();
  EXPECT_EQ(database_.Value("SELECT is_outlier || ' ' || (median_ms BETWEEN 99 AND 101)"
                            " FROM diagnose_execution_trace(999) WHERE duration_ms = 60000"),
            "true true");
}

TEST_F(OtherWriters, TwoRootsWithNobodyThatWaitedAreWeakEvidence) {
  Insert(1, 1, 0, "api", 10, "duration_ms, status, execution_id", "100, 'completed', 2");
  Insert(2, 2, 0, "worker", 10.2, "duration_ms, status, execution_id", "100, 'completed', 2");
  const auto causes = database_.Rows(
      "SELECT confidence < 0.5, evidence FROM identify_root_cause(2)"
      " WHERE root_cause_type = 'NETWORK_TIMEOUT'");
  ASSERT_EQ(causes.size(), 1U);
  EXPECT_EQ(causes[0][0], "t");
  EXPECT_THAT(causes[0][1], HasSubstr("nobody is known to have waited"));
}

TEST_F(OtherWriters, InsertsWaitForAMoveOutOfTheDefaultPartition) {
  std::atomic<bool> stop = false;
  std::atomic<int> inserted = 0;
  std::vector<std::string> errors;
  std::thread writer([&] {
    const pg::Connection connection = database_.Connect();
    while (!stop) {
      const absl::Status status = pg::Execute(
          connection.get(),
          "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, status)"
          " SELECT gen_random_uuid(), gen_random_uuid(), 's', 'o',"
          " date_trunc('day', now(), 'UTC') - (i % 9 + 10) * interval '1 day', 'completed'"
          " FROM generate_series(1, 100) AS i");
      if (status.ok()) {
        inserted += 100;
      } else {
        errors.emplace_back(status.message());
      }
    }
  });
  for (int day = 10; day < 19; ++day) {
    while (inserted < (day - 9) * 500) std::this_thread::yield();
    database_.Run(absl::StrCat("SELECT trace_ensure_days(ARRAY[(now() AT TIME ZONE 'UTC')::date - ",
                               day, "])"));
  }
  stop = true;
  writer.join();
  EXPECT_EQ(errors, std::vector<std::string>());
  EXPECT_EQ(Count("trace_spans"), std::to_string(inserted));
  EXPECT_EQ(Count("trace_spans_default"), "0");
}

TEST_F(OtherWriters, AWriterAddsNoExecutionWithoutSpans) {
  database_.Run(
      "SET ROLE spanring_writer; SELECT trace_add_executions(ARRAY['YQ=='], ARRAY[5::bigint],"
      " ARRAY[0::bigint], ARRAY[0::bigint], ARRAY[-1::bigint], ARRAY[0::bigint], ARRAY[0::bigint],"
      " ARRAY[gen_random_uuid()], ARRAY[NULL::bigint], ARRAY[0], ARRAY[0], ARRAY[NULL], ARRAY[0],"
      " ARRAY[0], ARRAY[0], ARRAY[1], ARRAY[1]); RESET ROLE");
  EXPECT_EQ(Count("trace_execution_summaries"), "0");
}

}  // namespace
}  // namespace spanring::test

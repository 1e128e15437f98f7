// Rollups, summaries of executions, and the maintenance that keeps both.
#include <gmock/gmock.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "sql/executions.h"

namespace spanring::test {
namespace {

using ::testing::HasSubstr;

using Table = std::vector<std::vector<std::string>>;

class Sums : public ExecutionTest {
 protected:
  void SetUp() override {
    ExecutionTest::SetUp();
    Database().Run(
        "UPDATE trace_maintenance SET last_started_at = '-infinity', retention_days = NULL");
  }
  // One rollup of an hour: three spans in two buckets.
  static void AddRollup(const std::string& names = "'{cg==,bw==}'") {
    Database().Run(
        absl::StrCat("SELECT trace_add_rollups(", names,
                     ", '{1}', '{2}', '{completed}', '{1}', '{490000}', '{3}', '{1}', '{600}',"
                     " '{100}', '{400}', '{1,1}', '{231,300}', '{2,1}')"));
  }
  static void AddExecution(int id, const std::string& rest) {
    Database().Run(
        absl::StrCat("SELECT trace_add_executions('{cg==,bw==,ag==}', '{", id, "}', ", rest, ")"));
  }
  static Table Executions() {
    return Database().Rows(
        "SELECT execution_id, status, spans, failed_spans, timeout_spans, root_operation, services,"
        " duration_ms, job_id FROM trace_executions ORDER BY execution_id");
  }
  static std::string Actions(const std::string& arguments = "") {
    return Database().Value(
        absl::StrCat("SELECT coalesce(string_agg(action, ',' ORDER BY action),"
                     " '') FROM trace_maintain(",
                     arguments, ")"));
  }
};

TEST_F(Sums, EveryDurationIsWithinOnePercentOfItsBucket) {
  EXPECT_EQ(Database().Value(
                "SELECT count(*) FROM (SELECT ns, trace_bucket_ns(trace_bucket(ns)) AS stands_for"
                " FROM (SELECT (10 ^ (random() * 18))::bigint + 1 AS ns"
                " FROM generate_series(1, 20000)"
                " UNION ALL SELECT ns FROM generate_series(1, 2000) AS ns"
                " UNION ALL SELECT 9223372036854775807) AS durations (ns)) AS compared"
                " WHERE abs(stands_for / ns - 1) > 0.01 + 1e-9"),
            "0");
  EXPECT_EQ(Database().Value("SELECT trace_bucket(0) || ' ' || trace_bucket(-5)"), "0 0");
}

TEST_F(Sums, RollupsAreMerged) {
  AddRollup();
  AddRollup();
  EXPECT_EQ(
      Database().Rows("SELECT service, operation, status, hours, is_folded, spans, roots, samples,"
                      " sum_ns, min_ns, max_ns, buckets, counts FROM trace_rollups"),
      (Table{{"r", "o", "completed", "1", "f", "6", "2", "6", "1200", "100", "400", "{231,300}",
              "{4,2}"}}));
}

TEST_F(Sums, NamesAreNeverSql) {
  // '"); DROP TABLE trace_rollups; --' and a quote.
  AddRollup("'{Iik7IERST1AgVEFCTEUgdHJhY2Vfcm9sbHVwczsgLS0=,Jw==}'");
  EXPECT_EQ(Database().Rows("SELECT service, operation FROM trace_rollups"),
            (Table{{"\"); DROP TABLE trace_rollups; --", "'"}}));
}

TEST_F(Sums, WritersAddToTheSameRowsAtOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      const pg::Connection connection = Database().Connect();
      for (int n = 0; n < 50; ++n) {
        EXPECT_TRUE(
            pg::Execute(connection.get(),
                        "SELECT trace_add_rollups('{cg==,bw==}', '{1,1}', '{2,2}',"
                        " '{failed,completed}', '{1,24}', '{490000,490000}', '{1,1}', '{0,0}',"
                        " '{5,5}', '{5,5}', '{5,5}', '{1,2}', '{81,81}', '{1,1}')")
                .ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Database().Rows("SELECT hours, spans, counts FROM trace_rollups ORDER BY hours"),
            (Table{{"1", "200", "{200}"}, {"24", "200", "{200}"}}));
}

TEST_F(Sums, ExecutionsGrowFromBatchToBatch) {
  // First what ended first: a child, failed, without the root.
  AddExecution(7,
               "'{2000000}', '{3000000}', '{1}', '{1}', '{0}',"
               " '{00000000-0000-0000-0000-000000000001}', '{NULL}', '{0}', '{0}', '{NULL}',"
               " '{0}', '{0}', '{0}', '{1}', '{1}'");
  EXPECT_EQ(Executions(),
            (Table{{"7", "failed", "1", "1", "0", "<null>", "{r}", "1000", "<null>"}}));
  AddExecution(7,
               "'{1000000}', '{5000000}', '{1}', '{0}', '{0}',"
               " '{00000000-0000-0000-0000-000000000002}', '{4000000000}', '{2}', '{2}',"
               " '{completed}', '{3}', '{0}', '{0}', '{1}', '{2}'");
  EXPECT_EQ(Executions(), (Table{{"7", "completed", "2", "1", "0", "o", "{o,r}", "4000", "j"}}));
  EXPECT_EQ(Database().Value("SELECT trace_id FROM trace_executions"),
            "00000000-0000-0000-0000-000000000002");
}

TEST_F(Sums, OpenSpansAreExecutionsThatHaveStarted) {
  Write(1, {{.id = 1, .service = "runner", .operation = "execute", .end_s = 6}});
  Fold();
  WriteOpen(2, {.id = 1, .service = "runner", .operation = "execute"});
  EXPECT_EQ(Database().Rows("SELECT execution_id, status FROM trace_executions ORDER BY 1"),
            (Table{{"1", "completed"}, {"2", "started"}}));
  WriteOpen(1, {.id = 2, .service = "runner", .operation = "execute"});
  EXPECT_EQ(Database().Value("SELECT status FROM trace_executions WHERE execution_id = 1"),
            "started");
}

TEST_F(Sums, FoldingTakesRowsOfOthersOnceAndAgainWhatChanged) {
  Write(1, {{1, 0, "runner", "execute", 0, 10, "timeout"}, {2, 1, "router", "route", 1, 9}});
  Fold();
  Fold();
  EXPECT_EQ(Database().Rows("SELECT service, status, hours, spans, sum_ns FROM trace_rollups"
                            " ORDER BY 1, 3"),
            (Table{{"router", "completed", "1", "1", "8000000000"},
                   {"router", "completed", "24", "1", "8000000000"},
                   {"runner", "timeout", "1", "1", "10000000000"},
                   {"runner", "timeout", "24", "1", "10000000000"}}));
  EXPECT_EQ(
      Executions(),
      (Table{{"1", "timeout", "2", "0", "1", "execute", "{router,runner}", "10000", "<null>"}}));
  Database().Run("DELETE FROM trace_spans WHERE service = 'router'");
  Fold();
  EXPECT_EQ(Database().Value("SELECT sum(spans) FROM trace_rollups WHERE hours = 24"), "1");
  EXPECT_EQ(Database().Value("SELECT spans FROM trace_executions"), "1");
}

TEST_F(Sums, WhatABatchSummedIsNotFolded) {
  Database().Run(
      "BEGIN; INSERT INTO trace_batches (writer_id, sequence, spans, is_summed)"
      " VALUES (gen_random_uuid(), 1, 1, true)");
  Write(1, {{.id = 1, .service = "runner", .operation = "execute", .end_s = 6}});
  Database().Run(
      "COMMIT; BEGIN; INSERT INTO trace_batches (writer_id, sequence, spans)"
      " VALUES (gen_random_uuid(), 1, 1)");
  Write(2, {{.id = 1, .service = "earlier", .operation = "execute", .end_s = 6}});
  Database().Run("COMMIT");
  Fold();
  EXPECT_EQ(Database().Value("SELECT string_agg(DISTINCT service, ',') FROM trace_rollups"),
            "earlier");
}

TEST_F(Sums, MaintenanceIsDueOnceADay) {
  EXPECT_THAT(Actions(), HasSubstr("made"));
  EXPECT_EQ(Actions(), "");
  EXPECT_THAT(Actions("'0'"), HasSubstr("made"));
  Database().Run("UPDATE trace_maintenance SET last_started_at = now() - interval '21 hours'");
  EXPECT_THAT(Actions(), HasSubstr("made"));
}

TEST_F(Sums, OneOfSeveralMaintainsAtATime) {
  const pg::Connection other = Database().Connect();
  ASSERT_TRUE(pg::Execute(other.get(), "BEGIN; SELECT trace_maintain('0')").ok());
  EXPECT_EQ(Actions("'0'"), "") << "it does not wait";
  ASSERT_TRUE(pg::Execute(other.get(), "COMMIT").ok());
}

TEST_F(Sums, MaintenanceRemovesOnlyWhatSomebodyAskedFor) {
  Database().Run(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, status)"
      " VALUES (gen_random_uuid(), gen_random_uuid(), 's', 'o', now() - interval '40 days',"
      " 'completed')");
  Actions("'0'");
  EXPECT_EQ(Database().Value("SELECT count(*) FROM trace_spans"), "1");
  Database().Run("UPDATE trace_maintenance SET retention_days = 30");
  Actions("'0'");
  EXPECT_EQ(Database().Value("SELECT count(*) FROM trace_spans"), "0");
}

// Dropping and attaching partitions locks out all writers until the end of the transaction.
TEST_F(Sums, MaintenanceTakesItsLocksLast) {
  Database().Run(
      "UPDATE trace_maintenance SET retention_days = 30;"
      "CREATE TABLE old PARTITION OF trace_spans FOR VALUES"
      " FROM ('2020-01-01 00:00+00') TO ('2020-01-02 00:00+00')");
  Write(1, {{.id = 1, .service = "runner", .operation = "execute", .end_s = 6}});
  Database().Run("SELECT pg_sleep(1.1)");  // So that the server counts the row.
  std::vector<std::string> actions;
  for (const auto& row : Database().Rows("SELECT action FROM trace_maintain('0')")) {
    actions.push_back(row[0]);
  }
  EXPECT_THAT(actions, testing::Contains("folded"));
  ASSERT_GE(actions.size(), 3U);
  EXPECT_EQ(actions[actions.size() - 2], "made");
  EXPECT_EQ(actions.back(), "dropped");
}

TEST_F(Sums, MaintenanceFoldsAlsoTheDefaultPartition) {
  Database().Run(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, status,"
      " execution_id) VALUES"
      " (gen_random_uuid(), gen_random_uuid(), 's', 'o', now() - interval '40 days',"
      " 'completed', 5), (gen_random_uuid(), gen_random_uuid(), 's', 'o', '-infinity',"
      " 'completed', 6)");
  EXPECT_EQ(Database().Value("SELECT rows_touched FROM trace_maintain('0') WHERE action = 'folded'"
                             " AND object_name = (now() - interval '40 days')::date::text"),
            "1");
  EXPECT_EQ(Database().Value("SELECT string_agg(execution_id::text, ',') FROM trace_executions"),
            "5");
}

// What trace_tree() finds of a trace whose id says 2023-10-03 04:00 UTC, and of execution 1.
class WhereSpansLie : public Sums {
 protected:
  static constexpr char kTrace[] = "018af3b1-5600-7000-8000-000000000001";

  void Insert(int span, int parent, const char* started_at, const char* completed_at,
              const char* execution = "NULL") {
    Database().Run(absl::StrCat(
        "INSERT INTO trace_spans (trace_id, span_id, parent_span_id, service, operation,"
        " started_at, completed_at, execution_id, status) VALUES ('",
        kTrace, "', md5('", span, "')::uuid, ",
        parent == 0 ? "NULL" : absl::StrCat("md5('", parent, "')::uuid"), ", 's', 'o', '",
        started_at, "', '", completed_at, "', ", execution, ", 'completed')"));
  }
  std::string OfTrace() {
    return Database().Value(absl::StrCat("SELECT count(*) FROM trace_tree(NULL, '", kTrace, "')"));
  }
  std::string OfExecution() { return Database().Value("SELECT count(*) FROM trace_tree(1)"); }
};

TEST_F(WhereSpansLie, WithinADayOfTheTraceId) {
  Insert(1, 0, "2023-10-03 04:00+00", "2023-10-03 05:00+00");
  Insert(2, 1, "2023-10-03 04:59+00", "2023-10-03 05:00+00");
  EXPECT_EQ(OfTrace(), "2");
  Insert(3, 0, "2023-10-08 00:00+00", "2023-10-08 00:00+00");
  EXPECT_EQ(OfTrace(), "2") << "nothing tells of the third";
}

TEST_F(WhereSpansLie, AsLateAsTheLastEndThatWasFound) {
  Insert(1, 0, "2023-10-03 04:00+00", "2023-10-06 05:00+00");
  Insert(2, 1, "2023-10-06 04:00+00", "2023-10-08 05:00+00");
  Insert(3, 2, "2023-10-08 04:00+00", "infinity");
  Insert(4, 3, "2024-10-08 04:00+00", "2024-10-08 04:00+00");
  EXPECT_EQ(OfTrace(), "4");
}

TEST_F(WhereSpansLie, ADayFurtherWhereAParentIsMissing) {
  Insert(1, 0, "2023-10-02 08:00+00", "2023-10-03 05:00+00");
  Insert(2, 1, "2023-10-03 04:00+00", "2023-10-03 05:00+00");
  EXPECT_EQ(OfTrace(), "2");
}

TEST_F(WhereSpansLie, AnywhereWhenNothingIsThere) {
  Insert(1, 0, "2026-10-03 04:00+00", "2026-10-03 05:00+00");
  EXPECT_EQ(OfTrace(), "1");
}

TEST_F(WhereSpansLie, AroundTheSummaryOfAnExecution) {
  Insert(1, 0, "2023-10-02 08:00+00", "2023-10-03 05:00+00");
  Insert(2, 1, "2023-10-03 04:00+00", "2023-10-03 04:59+00", "1");
  EXPECT_EQ(OfExecution(), "2") << "without a summary all is searched";
  Fold();
  EXPECT_EQ(OfExecution(), "2") << "the parent is missing around it";
  Insert(3, 2, "2023-10-03 06:01+00", "2023-10-03 06:01+00");
  EXPECT_EQ(OfExecution(), "3");
}

TEST_F(WhereSpansLie, WhateverTheClocksSay) {
  Insert(1, 0, "-infinity", "infinity", "1");
  Insert(2, 1, "4712-01-01 00:00+00 BC", "294276-12-31 00:00+00", "1");
  Insert(3, 9, "294276-12-31 00:00+00", "294276-12-31 00:00+00", "1");
  EXPECT_EQ(OfExecution(), "3");
  EXPECT_EQ(OfTrace(), "3");
  Database().Run("SELECT trace_summarize_executions('{1}', '-infinity', 'infinity')");
  EXPECT_EQ(OfExecution(), "3");
}

TEST_F(Sums, OutlierStandsBesideTheAverage) {
  // An even history: 24 spans of 1 s give or take, and one that took 40 s and spoils the average.
  for (int i = 0; i < 24; ++i) {
    WriteHistory(100 + i, 1, "runner", "execute", 0.95 + 0.004 * i);
  }
  WriteHistory(200, 1, "runner", "execute", 40);
  Write(1, {{.id = 1, .service = "runner", .operation = "execute", .end_s = 2.4}});
  EXPECT_THAT(Anomalies(1), testing::IsEmpty()) << "less than three times the average of 2.6 s";
  const Table rows = Database().Rows(
      "SELECT is_outlier, outlier_reason, outlier_effect > 3.5, outlier_confidence, median_ms"
      " FROM diagnose_execution_trace(1)");
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0][0], "t");
  EXPECT_THAT(rows[0][1], HasSubstr("outlier: 2.4 s, where half of 25 spans"));
  EXPECT_EQ(rows[0][2], "t");
  EXPECT_NEAR(std::stod(rows[0][3]), 0.55, 0.02);
  EXPECT_NEAR(std::stod(rows[0][4]), 1000, 15);
}

TEST_F(Sums, WithFewerThanTwentySpansNothingIsAnOutlier) {
  WriteHistory(100, 19, "runner", "execute", 1);
  Write(1, {{.id = 1, .service = "runner", .operation = "execute", .end_s = 2.9}});
  EXPECT_THAT(Anomalies(1), testing::IsEmpty());
  EXPECT_EQ(Database().Value("SELECT is_outlier FROM diagnose_execution_trace(1)"), "f");
  WriteHistory(200, 1, "runner", "execute", 1);
  Fold();
  EXPECT_EQ(Database().Value("SELECT is_outlier FROM diagnose_execution_trace(1)"), "t");
}

}  // namespace
}  // namespace spanring::test

#include <gmock/gmock.h>

#include "sql/executions.h"

namespace spanring::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Objects : public ExecutionTest {};

TEST_F(Objects, EveryObjectAndColumnCarriesAComment) {
  EXPECT_THAT(
      Database().Rows(
          "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
          " AND relkind IN ('r', 'p', 'v', 'S') AND obj_description(oid, 'pg_class') IS NULL"
          " UNION ALL SELECT proname FROM pg_proc"
          " WHERE pronamespace = 'public'::regnamespace"
          " AND obj_description(oid, 'pg_proc') IS NULL"
          " UNION ALL SELECT relname || '.' || attname"
          " FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
          " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
          " AND NOT relispartition AND attnum > 0"
          " AND col_description(attrelid, attnum) IS NULL"),
      IsEmpty());
}

TEST_F(Objects, EveryFunctionPinsItsSearchPathWithTemporaryTablesLast) {
  EXPECT_THAT(
      Database().Rows("SELECT proname, proconfig FROM pg_proc"
                      " WHERE pronamespace = 'public'::regnamespace"
                      " AND NOT 'search_path=public, pg_temp' = ANY (coalesce(proconfig, '{}'))"),
      IsEmpty());
}

TEST_F(Objects, NothingIsGrantedToEverybody) {
  EXPECT_THAT(
      Database().Rows("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
                      " AND (proacl IS NULL OR proacl::text ~ '[{,]=')"
                      " UNION ALL SELECT relname FROM pg_class"
                      " WHERE relnamespace = 'public'::regnamespace AND relacl::text ~ '[{,]='"),
      IsEmpty());
}

TEST_F(Objects, KnownColumnsComeFirst) {
  const auto columns = [](const std::string& relation) {
    return Database().Value(
        "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute"
        " WHERE attrelid = $1::regclass AND attnum > 0",
        {relation});
  };
  EXPECT_THAT(columns("trace_waterfall"),
              testing::StartsWith("trace_id span_id parent_span_id service operation started_at "
                                  "completed_at duration_ms status job_id execution_id model_id "
                                  "region metadata error_message"));
  EXPECT_THAT(columns("trace_spans_health"),
              testing::StartsWith("total_spans spans_last_24h spans_last_hour table_size "
                                  "total_size_with_indexes unique_traces avg_duration_ms "
                                  "failed_spans timeout_spans"));
  const auto result = [](const std::string& function) {
    return Database().Value("SELECT pg_get_function_result($1::regprocedure)", {function});
  };
  EXPECT_THAT(result("diagnose_execution_trace(bigint)"),
              testing::StartsWith(
                  "TABLE(service text, operation text, started_at timestamp with time zone, "
                  "completed_at timestamp with time zone, duration_ms integer, gap_after_ms "
                  "integer, status text, error_message text, is_anomaly boolean, anomaly_reason "
                  "text,"));
  EXPECT_THAT(result("identify_root_cause(bigint)"),
              testing::StartsWith("TABLE(root_cause_type text, affected_service text, "
                                  "affected_operation text, evidence text, recommendation text,"));
  EXPECT_THAT(result("find_similar_traces(bigint,integer)"),
              testing::StartsWith("TABLE(similar_execution_id bigint, similarity_score numeric, "
                                  "status text, total_duration_ms bigint, failure_point text,"));
}

TEST_F(Objects, StatementsOfEarlierUsersWork) {
  Write(123, Execution2193());
  EXPECT_EQ(Database().Rows("SELECT * FROM trace_waterfall WHERE execution_id = 123").size(), 5U);
  Database().Run(
      "UPDATE trace_spans SET created_at = now() - interval '31 days'"
      " WHERE service = 'modal'");
  Database().Run("DELETE FROM trace_spans WHERE created_at < now() - interval '30 days'");
  EXPECT_EQ(Database().Value("SELECT count(*) FROM trace_spans"), "4");
}

TEST_F(Objects, HealthCountsSpansDropsAndWriters) {
  Write(1, {{1, 0, "s", "a", 0, 1}, {2, 1, "s", "b", 0, 1, "failed"}, {3, 1, "s", "c", 0, 3}});
  Write(2, {{1, 0, "s", "a", 0, 1, "timeout"}, {2, 1, "s", "b", 0, kNeverEnded}});
  Database().Run(
      "INSERT INTO trace_writers (writer_id, service, spans_dropped, drops, stopped_at) VALUES"
      " (gen_random_uuid(), 's', 5, '{\"ring_full\": 3, \"journal_full\": 2}', NULL),"
      " (gen_random_uuid(), 's', 4, '{\"ring_full\": 4}', now())");
  Fold();
  EXPECT_EQ(Database().Rows("SELECT total_spans, unique_traces, failed_spans, timeout_spans,"
                            " avg_duration_ms, spans_dropped, drops_by_reason, writers_active,"
                            " total_size_with_indexes ~ 'kB|MB' FROM trace_spans_health"),
            (std::vector<std::vector<std::string>>{{"5", "2", "1", "1", "1500.00", "9",
                                                    R"({"ring_full": 7, "journal_full": 2})", "1",
                                                    "t"}}));
}

TEST_F(Objects, HealthCountsOpenSpansApart) {
  Write(1, {{1, 0, "s", "a", 0, 1}});
  WriteOpen(2, {.id = 1, .service = "s", .operation = "a"});
  WriteOpen(2, {.id = 2, .service = "s", .operation = "b"});
  Database().Run(
      "INSERT INTO trace_writers (writer_id, service, recovered_at) VALUES"
      " (gen_random_uuid(), 's', NULL), (gen_random_uuid(), 's', now())");
  Fold();
  EXPECT_EQ(Database().Rows("SELECT total_spans, spans_last_24h, unique_traces, open_spans,"
                            " last_span_at = (SELECT started_at FROM trace_spans), writers_active"
                            " FROM trace_spans_health"),
            (std::vector<std::vector<std::string>>{{"1", "1", "1", "2", "t", "1"}}));
}

TEST_F(Objects, WaterfallShowsOpenSpansAsStarted) {
  Write(1, {{2, 1, "router", "route", 0, 10}});
  WriteOpen(1, {.id = 1, .service = "runner", .operation = "execute"});
  EXPECT_EQ(Database().Rows("SELECT operation, status, completed_at, duration_ms, duration_ns,"
                            " error_type, created_at = (SELECT reported_at FROM trace_open_spans)"
                            " FROM trace_waterfall WHERE execution_id = 1 ORDER BY operation"),
            (std::vector<std::vector<std::string>>{
                {"execute", "started", "<null>", "<null>", "<null>", "<null>", "t"},
                {"route", "completed", Database().Value("SELECT completed_at FROM trace_spans"),
                 "10000", "10000000000", "<null>", "f"}}));
}

TEST_F(Objects, ConditionsOnTheWaterfallReachTheIndexesOfBothTables) {
  const auto plan = [](const std::string& condition) {
    std::string lines;
    for (const auto& row :
         Database().Rows("EXPLAIN SELECT * FROM trace_waterfall WHERE " + condition)) {
      lines += row[0] + "\n";
    }
    return lines;
  };
  Database().Run("SET enable_seqscan = off");
  for (const char* condition : {"execution_id = 1", "execution_id = ANY (ARRAY[1, 2]::bigint[])",
                                "trace_id = '00000000-0000-0000-0000-000000000001'",
                                "trace_id = ANY ('{00000000-0000-0000-0000-000000000001}')"}) {
    EXPECT_THAT(plan(condition), AllOf(HasSubstr("trace_open_spans"), HasSubstr("Index Cond"),
                                       testing::Not(HasSubstr("Seq Scan"))))
        << condition;
  }
  // Open spans are no history.
  EXPECT_THAT(plan("status = 'completed'"), testing::Not(HasSubstr("trace_open_spans")));
  Database().Run("RESET enable_seqscan");
}

TEST_F(Objects, ReadersThatAreReadOnlyMayAskEverything) {
  Write(1, Execution2193());
  Database().Run("BEGIN READ ONLY");
  for (const char* question :
       {"trace_tree(1)", "trace_gaps(1)", "trace_critical_path(1)", "trace_network_times(1)",
        "trace_clock_skew(1)", "diagnose_execution_trace(1)", "identify_root_cause(1)",
        "find_similar_traces(1)", "compare_executions(1, 1)", "compare_operations(1, 1)",
        "trace_error_origins(now() - interval '1 h', now())",
        "identify_root_cause_window(now() - interval '1 h', now(), now() - interval '2 h',"
        " now() - interval '1 h')",
        "trace_spans_health", "trace_waterfall", "trace_partitions", "trace_executions"}) {
    EXPECT_NO_THROW((void)Database().Rows(std::string("SELECT * FROM ") + question)) << question;
  }
  Database().Run("COMMIT");
}

TEST_F(Objects, LabelSaysTheServiceOnce) {
  EXPECT_EQ(Database().Value("SELECT trace_label('router', 'route') || ' ' ||"
                             " trace_label('modal', 'modal.run')"),
            "router.route modal.run");
}

}  // namespace
}  // namespace spanring::test

#include <gmock/gmock.h>

#include "sql/executions.h"

namespace spanring::test {
namespace {

class Privileges : public ExecutionTest {
 protected:
  // The SQLSTATE that a statement fails with as that role, or "" when it may.
  static std::string Try(const std::string& role, const std::string& sql) {
    PGconn* connection = Database().connection();
    Database().Run("BEGIN; SET LOCAL ROLE " + role);
    const absl::Status status = pg::Execute(connection, sql);
    Database().Run("ROLLBACK");
    return std::string(pg::SqlState(status));
  }
  static constexpr char kDenied[] = "42501";
  static constexpr char kInsert[] =
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at)"
      " VALUES (gen_random_uuid(), gen_random_uuid(), 's', 'o', now())";
  static constexpr char kLedger[] =
      "INSERT INTO trace_batches (writer_id, sequence, spans) VALUES (gen_random_uuid(), 1, 1)";
  static constexpr char kOpen[] =
      "INSERT INTO trace_open_spans (started_at, trace_id, span_id, writer_id, service, operation)"
      " VALUES (now(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 's', 'o')";
  static constexpr char kStarted[] =
      "SELECT trace_writer_started(gen_random_uuid(), 's', 'h', 1, 'v')";
  static constexpr char kCounted[] =
      "SELECT trace_writer_counted(gen_random_uuid(), 1, 1, '{\"ring_full\": 1}', true)";
  static constexpr char kSampledOut[] = "SELECT trace_writer_sampled_out(gen_random_uuid(), 1)";
  static constexpr char kRecovered[] =
      "SELECT trace_writer_recovered(gen_random_uuid(), 1, '{\"ring_full\": 1}')";
  static constexpr char kRollups[] =
      "SELECT trace_add_rollups('{cg==}', '{1}', '{1}', '{completed}', '{1}', '{1}', '{1}', '{1}', "
      "'{1}',"
      " '{1}', '{1}', '{1}', '{1}', '{1}')";
  static constexpr char kExecutions[] =
      "SELECT trace_add_executions('{cg==}', '{1}', '{1}', '{1}', '{1}', '{1}', '{1}',"
      " ARRAY[gen_random_uuid()], '{1}', '{1}', '{1}', '{completed}', '{1}', '{1}', '{1}', '{1}',"
      " '{1}')";
  static constexpr char kClosed[] =
      "SELECT trace_close_spans(gen_random_uuid(), ARRAY[gen_random_uuid()],"
      " ARRAY[gen_random_uuid()])";
};

TEST_F(Privileges, WriterWritesAndMakesPartitions) {
  // The shipper's statements, but for COPY, which needs what INSERT needs.
  for (const char* sql :
       {kInsert, kLedger, kOpen, kStarted, kCounted, kSampledOut, kRecovered, kClosed, kRollups,
        kExecutions, "SELECT trace_ensure_partitions(20)", "SELECT trace_maintain('0')"}) {
    EXPECT_EQ(Try("spanring_writer", sql), "") << sql;
  }
}

TEST_F(Privileges, WriterDoesNothingElse) {
  for (const char* sql :
       {"SELECT 1 FROM trace_waterfall", "SELECT 1 FROM trace_spans_health",
        "SELECT 1 FROM spanring_migrations", "SELECT * FROM trace_retain(1)",
        "SELECT trace_grant_roles()", "SELECT * FROM identify_root_cause(1)",
        "SELECT trace_count_writer(gen_random_uuid(), 1, 1, '{}', true, true)",
        "SELECT trace_fold_day(now()::date)",
        "SELECT trace_summarize_executions('{1}', now(), now())",
        "UPDATE trace_maintenance SET retention_days = 1",
        "INSERT INTO trace_writers (writer_id, service) VALUES (gen_random_uuid(), 's')",
        "INSERT INTO trace_drops VALUES (now(), now(), 1, gen_random_uuid(), 'ring_full')",
        "SELECT currval('trace_spans_id_seq')::text || setval('trace_spans_id_seq', 1)",
        "SELECT trace_maintain_error_patterns()", "SELECT 1 FROM trace_error_patterns",
        "DROP TABLE trace_spans", "CREATE TABLE trace_more (i integer)"}) {
    EXPECT_EQ(Try("spanring_writer", sql), kDenied) << sql;
  }
  for (const char* table :
       {"trace_spans", "trace_batches", "trace_open_spans", "trace_writers", "trace_drops",
        "trace_rollups", "trace_execution_summaries", "trace_maintenance", "trace_folded_days"}) {
    for (const char* what : {"SELECT 1 FROM ", "DELETE FROM ", "TRUNCATE "}) {
      const std::string sql = std::string(what) + table;
      EXPECT_EQ(Try("spanring_writer", sql), kDenied) << sql;
    }
  }
  // As the catalog has it, whichever way it was granted.
  EXPECT_EQ(
      Database().Value("SELECT string_agg(right_, ', ' ORDER BY right_) FROM ("
                       " SELECT relname || ' ' || privilege_type FROM pg_class"
                       " CROSS JOIN LATERAL aclexplode(relacl) AS acl"
                       " WHERE grantee = 'spanring_writer'::regrole"
                       " UNION ALL SELECT attrelid::regclass || '.' || attname FROM pg_attribute"
                       " CROSS JOIN LATERAL aclexplode(attacl) AS acl"
                       " WHERE grantee = 'spanring_writer'::regrole) AS rights (right_)"),
      "trace_batches INSERT, trace_open_spans INSERT, trace_spans INSERT,"
      " trace_spans_id_seq USAGE");
}

TEST_F(Privileges, FunctionsOfTheOwnerLookIntoNoTemporarySchemaFirst) {
  Database().Run("BEGIN; SET LOCAL ROLE spanring_writer");
  // The caller's own tables and functions must not stand in for the owner's.
  Database().Run(
      "CREATE TEMPORARY TABLE trace_writers (writer_id uuid PRIMARY KEY, service text, host text,"
      " pid integer, version text, last_seen_at timestamptz, stopped_at timestamptz)");
  Database().Run(kStarted);
  EXPECT_EQ(Database().Value("SELECT count(*) FROM pg_temp.trace_writers"), "0");
  Database().Run("ROLLBACK");
}

TEST_F(Privileges, ReaderAsksEverything) {
  for (const char* from : {"trace_spans",
                           "trace_writers",
                           "trace_batches",
                           "trace_open_spans",
                           "trace_drops",
                           "trace_rollups",
                           "trace_executions",
                           "trace_maintenance",
                           "trace_folded_days",
                           "trace_waterfall",
                           "trace_spans_health",
                           "trace_partitions",
                           "spanring_migrations",
                           "trace_tree(1)",
                           "trace_gaps(1)",
                           "trace_critical_path(1)",
                           "trace_network_times(1)",
                           "trace_clock_skew(1)",
                           "diagnose_execution_trace(1)",
                           "identify_root_cause(1)",
                           "find_similar_traces(1)",
                           "trace_limits",
                           "trace_error_patterns",
                           "trace_root_cause(1)",
                           "compare_executions(1, 2)",
                           "compare_operations(1, 2)",
                           "trace_error_origins(now() - interval '1 h', now())",
                           "identify_root_cause_window(now() - interval '1 h', now(), now() - "
                           "interval '2 h', now())"}) {
    EXPECT_EQ(Try("spanring_reader", std::string("SELECT * FROM ") + from), "") << from;
  }
}

TEST_F(Privileges, ReaderChangesNothing) {
  for (const char* sql :
       {kInsert, kLedger, kOpen, kStarted, kCounted, kSampledOut, kRecovered, kClosed, kRollups,
        kExecutions, "SELECT trace_maintain('0')", "DELETE FROM trace_spans",
        "UPDATE trace_writers SET pid = 1", "SELECT trace_ensure_partitions()",
        "SELECT * FROM trace_retain(1)", "SELECT trace_grant_roles()",
        "SELECT trace_maintain_error_patterns()", "DELETE FROM trace_error_patterns",
        "CREATE TABLE trace_more (i integer)"}) {
    EXPECT_EQ(Try("spanring_reader", sql), kDenied) << sql;
  }
}

}  // namespace
}  // namespace spanring::test

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
      "INSERT INTO trace_batches (writer_id, sequence, spans) VALUES (gen_random_uuid(), 1, 1)"
      " ON CONFLICT DO NOTHING";
  static constexpr char kWriter[] =
      "INSERT INTO trace_writers (writer_id, service) VALUES (gen_random_uuid(), 's')"
      " ON CONFLICT (writer_id) DO UPDATE SET last_seen_at = now()";
};

TEST_F(Privileges, WriterWritesAndMakesPartitions) {
  for (const char* sql : {kInsert, kLedger, kWriter, "SELECT trace_ensure_partitions(20)",
                          "SELECT 1 FROM trace_batches"}) {
    EXPECT_EQ(Try("spanring_writer", sql), "") << sql;
  }
}

TEST_F(Privileges, WriterNeitherReadsNorChangesSpans) {
  for (const char* sql :
       {"SELECT 1 FROM trace_spans", "SELECT 1 FROM trace_waterfall", "DELETE FROM trace_spans",
        "UPDATE trace_spans SET status = 'failed'", "TRUNCATE trace_spans",
        "DELETE FROM trace_batches", "SELECT * FROM trace_retain(1)", "SELECT trace_grant_roles()",
        "SELECT * FROM identify_root_cause(1)", "DROP TABLE trace_spans"}) {
    EXPECT_EQ(Try("spanring_writer", sql), kDenied) << sql;
  }
}

TEST_F(Privileges, ReaderAsksEverything) {
  for (const char* from : {"trace_spans", "trace_writers", "trace_batches", "trace_waterfall",
                           "trace_spans_health", "trace_partitions", "spanring_migrations",
                           "trace_tree(1)", "trace_gaps(1)", "diagnose_execution_trace(1)",
                           "identify_root_cause(1)", "find_similar_traces(1)", "trace_limits()"}) {
    EXPECT_EQ(Try("spanring_reader", std::string("SELECT * FROM ") + from), "") << from;
  }
}

TEST_F(Privileges, ReaderChangesNothing) {
  for (const char* sql :
       {kInsert, kLedger, kWriter, "DELETE FROM trace_spans", "UPDATE trace_writers SET pid = 1",
        "SELECT trace_ensure_partitions()", "SELECT * FROM trace_retain(1)",
        "SELECT trace_grant_roles()", "CREATE TABLE trace_more (i integer)"}) {
    EXPECT_EQ(Try("spanring_reader", sql), kDenied) << sql;
  }
}

}  // namespace
}  // namespace spanring::test

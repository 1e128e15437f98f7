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
  static constexpr char kWriter[] =
      "INSERT INTO trace_writers (writer_id, service, host, pid, version, started_at,"
      " last_seen_at) VALUES (gen_random_uuid(), 's', 'h', 1, 'v', now(), now())"
      " ON CONFLICT (writer_id) DO UPDATE SET last_seen_at = now(), stopped_at = NULL";
  static constexpr char kCounts[] =
      "UPDATE trace_writers SET last_seen_at = now(), spans_started = 1, spans_persisted = 1,"
      " spans_dropped = 0, drops = '{}', stopped_at = now() WHERE writer_id = gen_random_uuid()";
};

TEST_F(Privileges, WriterWritesAndMakesPartitions) {
  // The shipper's statements, but for COPY, which needs what INSERT needs.
  for (const char* sql :
       {kInsert, kLedger, kWriter, kCounts, "SELECT trace_ensure_partitions(20)"}) {
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

TEST_F(Privileges, WriterSeesAndChangesNoMoreOfOtherWritersThanItMust) {
  EXPECT_EQ(Try("spanring_writer", "SELECT writer_id FROM trace_writers"), "");
  for (const char* sql :
       {"SELECT 1 FROM trace_batches", "UPDATE trace_batches SET spans = 0",
        "SELECT host FROM trace_writers", "UPDATE trace_writers SET service = 'other'",
        "UPDATE trace_writers SET writer_id = gen_random_uuid()", "DELETE FROM trace_writers"}) {
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
  for (const char* sql : {kInsert, kLedger, kWriter, kCounts, "DELETE FROM trace_spans",
                          "UPDATE trace_writers SET pid = 1", "SELECT trace_ensure_partitions()",
                          "SELECT * FROM trace_retain(1)", "SELECT trace_grant_roles()",
                          "CREATE TABLE trace_more (i integer)"}) {
    EXPECT_EQ(Try("spanring_reader", sql), kDenied) << sql;
  }
}

}  // namespace
}  // namespace spanring::test

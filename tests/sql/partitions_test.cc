#include <gmock/gmock.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "sql/executions.h"

namespace spanring::test {
namespace {

using ::testing::HasSubstr;

class Partitions : public testing::Test {
 protected:
  void InsertAt(const std::string& started_at) {
    database_.Run(
        "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, status)"
        " VALUES (gen_random_uuid(), gen_random_uuid(), 's', 'o', " +
        started_at + ", 'completed')");
  }
  TestDatabase database_;
};

TEST_F(Partitions, TodayAndTheNextSevenDaysExistAfterMigration) {
  EXPECT_EQ(database_.Value("SELECT string_agg(partition_name, ',' ORDER BY starts_at) ="
                            " (SELECT string_agg('trace_spans_' || to_char((now() AT TIME ZONE"
                            " 'UTC')::date + i, 'YYYYMMDD'), ',' ORDER BY i)"
                            " FROM generate_series(0, 7) AS i)"
                            " FROM trace_partitions WHERE NOT is_default"),
            "t");
  EXPECT_EQ(database_.Value("SELECT trace_ensure_partitions()"), "0");
}

TEST_F(Partitions, NoTimeIsRefused) {
  InsertAt("'-infinity'");
  InsertAt("now() + interval '100 years'");
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_spans_default"), "2");
}

TEST_F(Partitions, RowsOfANewDayMoveOutOfTheDefaultPartition) {
  InsertAt("now() + interval '9 days'");
  InsertAt("now() + interval '50 days'");
  EXPECT_EQ(database_.Value("SELECT trace_ensure_partitions(9)"), "2");
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_spans_default"), "1");
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_spans"), "2");
  EXPECT_EQ(database_.Value("SELECT count(*) FROM pg_inherits WHERE inhparent IN"
                            " (SELECT indexrelid FROM pg_index"
                            " WHERE indrelid = 'trace_spans'::regclass)"),
            "44")
      << "four indexes on each of eleven partitions";
}

TEST_F(Partitions, DaysBehindUsGetOneWhenAskedForButNotWhatNoClockMeant) {
  InsertAt("now() - interval '9 days'");
  InsertAt("now() - interval '900 days'");
  EXPECT_EQ(database_.Value("SELECT trace_ensure_days(ARRAY[(now() AT TIME ZONE 'UTC')::date - 9,"
                            " (now() AT TIME ZONE 'UTC')::date - 900, 'infinity', NULL,"
                            " (now() AT TIME ZONE 'UTC')::date - 9])"),
            "1");
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_spans_default"), "1");
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_spans"), "2");
  EXPECT_EQ(database_.Value("SELECT trace_ensure_days(NULL)"), "0");
}

TEST_F(Partitions, MaintenanceEmptiesTheDefaultPartitionDayByDay) {
  database_.Run(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, status)"
      " SELECT md5('t' || i)::uuid, md5('s' || i)::uuid, 's', 'o',"
      " now() - day * interval '1 day', 'completed'"
      " FROM (VALUES (10, 101000), (11, 101000), (12, 101000), (13, 10)) AS days (day, spans),"
      " generate_series(1, spans) AS i");
  const auto left = [&] { return database_.Value("SELECT count(*) FROM trace_spans_default"); };
  database_.Run("SELECT trace_maintain('0')");
  EXPECT_EQ(left(), "101010") << "two days at once";
  database_.Run("SELECT trace_maintain('0')");
  EXPECT_EQ(left(), "10") << "a day of a few rows gets no partition";
  EXPECT_EQ(database_.Value("SELECT sum(spans) FROM trace_rollups WHERE hours = 24"), "303010");
}

TEST_F(Partitions, BoundsAreUtcWhateverTheSessionsTimeZone) {
  database_.Run("SET timezone = 'Pacific/Auckland'; SELECT trace_ensure_partitions(8)");
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_partitions WHERE NOT is_default AND"
                            " starts_at <> date_trunc('day', starts_at, 'UTC')"),
            "0");
}

TEST_F(Partitions, ConcurrentCallersMakeEachDayOnce) {
  std::vector<std::thread> callers;
  std::vector<int> made(8);
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([this, i, &made] {
      const pg::Connection connection = database_.Connect();
      const auto result = pg::Query(connection.get(), "SELECT trace_ensure_partitions(30)");
      made[i] = result.ok() ? std::stoi(std::string(pg::Cell(result->get(), 0, 0))) : -1000;
    });
  }
  for (std::thread& caller : callers) caller.join();
  int sum = 0;
  for (const int count : made) sum += count;
  EXPECT_EQ(sum, 23);
}

TEST_F(Partitions, AReaderInTheWayPostponesANewDay) {
  const pg::Connection reader = database_.Connect();
  ASSERT_TRUE(pg::Execute(reader.get(), "BEGIN; SELECT * FROM trace_spans_default").ok());
  EXPECT_EQ(database_.Value("SELECT trace_ensure_partitions(8)"), "0");
  ASSERT_TRUE(pg::Execute(reader.get(), "COMMIT").ok());
  EXPECT_EQ(database_.Value("SELECT trace_ensure_partitions(8)"), "1");
}

TEST_F(Partitions, ADayWhoseNameIsTakenDoesNotHoldUpTheOthers) {
  const std::string ahead = "'trace_spans_' || to_char((now() AT TIME ZONE 'UTC')::date + ";
  const std::string detached = database_.Value("SELECT " + ahead + "3, 'YYYYMMDD')");
  const std::string sequence = database_.Value("SELECT " + ahead + "8, 'YYYYMMDD')");
  const std::string type = database_.Value("SELECT " + ahead + "9, 'YYYYMMDD')");
  database_.Run("ALTER TABLE trace_spans DETACH PARTITION " + detached + "; CREATE SEQUENCE " +
                sequence + "; CREATE TYPE " + type + " AS ENUM ('mine')");
  EXPECT_EQ(database_.Value("SELECT trace_ensure_partitions(10)"), "1");
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_partitions"), "9");
  InsertAt("now() + interval '3 days'");
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_spans_default"), "1");
}

TEST_F(Partitions, AbsurdArgumentsAreRefused) {
  for (const char* call : {"trace_ensure_partitions(-1)", "trace_ensure_partitions(367)",
                           "trace_ensure_partitions(NULL)", "trace_retain(0)", "trace_retain(-3)",
                           "trace_retain(NULL)", "find_similar_traces(1, -1)"}) {
    const auto result = pg::Query(database_.connection(), std::string("SELECT ") + call);
    EXPECT_THAT(std::string(result.status().message()), HasSubstr("[22023]")) << call;
  }
}

// Each query would read and compare each validated constraint of each partition (migration 009).
TEST_F(Partitions, ConstraintsHoldAndThePlannerNeedNotReadThem) {
  database_.Run(
      "ALTER TABLE trace_spans ADD CONSTRAINT of_a_user CHECK (service <> 'nobody');"
      "SELECT trace_ensure_days(ARRAY[current_date - 40])");
  EXPECT_EQ(database_.Value("SELECT string_agg(DISTINCT conname || ' ' || convalidated, ', ')"
                            " FROM pg_constraint WHERE contype = 'c' AND conrelid IN"
                            " (SELECT relid FROM pg_partition_tree('trace_spans'))"),
            "of_a_user true, trace_spans_status_check false");
  for (const char* wrong : {"'router', 'finished'", "'nobody', 'completed'"}) {
    for (const char* day : {"now() - interval '40 days'", "now()", "'1999-01-01'"}) {
      const auto inserted = pg::Query(
          database_.connection(),
          absl::StrCat("INSERT INTO trace_spans (trace_id, span_id, operation, started_at, service,"
                       " status) VALUES (gen_random_uuid(), gen_random_uuid(), 'o', ",
                       day, ", ", wrong, ")"));
      EXPECT_THAT(std::string(inserted.status().message()), HasSubstr("[23514]")) << wrong << day;
    }
  }
}

TEST_F(Partitions, RetentionDropsWholeDaysAndDeletesTheRest) {
  database_.Run(
      "CREATE TABLE old PARTITION OF trace_spans FOR VALUES"
      " FROM ('2020-01-01 00:00+00') TO ('2020-01-02 00:00+00')");
  InsertAt("'2020-01-01 12:00+00'");  // into its day
  InsertAt("'2020-06-01 12:00+00'");  // into the default partition
  InsertAt("now()");
  database_.Run(
      "SELECT trace_fold_day('2020-01-01'), trace_fold_day(now()::date);"
      "UPDATE trace_spans SET execution_id = extract(year FROM started_at);"
      "SELECT trace_fold_day('2020-01-01'), trace_fold_day(now()::date)");
  database_.Run(
      "INSERT INTO trace_batches VALUES (gen_random_uuid(), 1, now() - interval '40 days', 1),"
      " (gen_random_uuid(), 2, now() - interval '31 days', 1), (gen_random_uuid(), 3, now(), 1);"
      "INSERT INTO trace_writers (writer_id, service, last_seen_at, stopped_at) VALUES"
      " (gen_random_uuid(), 'stopped', now() - interval '40 days', now() - interval '40 days'),"
      " (gen_random_uuid(), 'killed', now() - interval '40 days', NULL),"
      " (gen_random_uuid(), 'silent', now() - interval '40 days', NULL);"
      "UPDATE trace_writers SET recovered_at = last_seen_at WHERE service = 'killed';"
      "INSERT INTO trace_open_spans (started_at, reported_at, trace_id, span_id, writer_id,"
      " service, operation) SELECT now() - days * interval '1 day', now() - days * interval '1 "
      "day',"
      " gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 's', 'o'"
      " FROM unnest(ARRAY[1, 40]) AS days;"
      "INSERT INTO trace_drops SELECT now() - interval '50 days',"
      " now() - days * interval '1 day', 1, gen_random_uuid(), 'ring_full'"
      " FROM unnest(ARRAY[1, 40, 41]) AS days");
  EXPECT_EQ(
      database_.Rows("SELECT action, object_name, rows_removed, is_estimate FROM trace_retain(30)"),
      (std::vector<std::vector<std::string>>{{"deleted", "trace_spans_default", "1", "f"},
                                             {"deleted", "trace_open_spans", "1", "f"},
                                             {"deleted", "trace_drops", "2", "f"},
                                             {"deleted", "trace_rollups", "2", "f"},
                                             {"deleted", "trace_execution_summaries", "1", "f"},
                                             {"deleted", "trace_folded_days", "1", "f"},
                                             {"deleted", "trace_batches", "1", "f"},
                                             {"deleted", "trace_writers", "2", "f"},
                                             {"dropped", "old", "0", "t"}}));
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_open_spans"), "1");
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_drops"), "1");
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_spans"), "1");
  EXPECT_EQ(database_.Value("SELECT string_agg(sequence::text, ',' ORDER BY sequence)"
                            " FROM trace_batches"),
            "2,3")
      << "the ledger is kept two days longer";
  EXPECT_EQ(database_.Value("SELECT string_agg(service, ',') FROM trace_writers"), "silent");
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_partitions"), "9");
}

TEST_F(Partitions, RetentionReadsBoundsWhateverTheSessionsDateStyle) {
  // IST is written for India and read for Israel, which is 3.5 hours later.
  for (const auto& [partition, hours] : {std::pair("ended", 1), std::pair("ends_later", -1)}) {
    const std::string end = absl::StrCat("now() - interval '30 days ", hours, " hours'");
    database_.Run(
        database_.Value(absl::StrCat("SELECT format('CREATE TABLE ", partition,
                                     " PARTITION OF trace_spans FOR VALUES FROM (%L) TO (%L)', ",
                                     end, " - interval '1 hour', ", end, ")")));
  }
  database_.Run("SET timezone = 'Asia/Kolkata'; SET datestyle = 'SQL, DMY'");
  EXPECT_EQ(database_.Value("SELECT string_agg(object_name, ',') FROM trace_retain(30)"
                            " WHERE action = 'dropped'"),
            "ended");
  EXPECT_EQ(database_.Value("SELECT trace_ensure_partitions(8)"), "1");
}

TEST_F(Partitions, RetentionKeepsAPartitionThatSomebodyReads) {
  for (const char* year : {"2019", "2020"}) {
    database_.Run(absl::StrCat("CREATE TABLE old_", year,
                               " PARTITION OF trace_spans FOR VALUES"
                               " FROM ('",
                               year, "-01-01 00:00+00') TO ('", year, "-01-02 00:00+00')"));
  }
  InsertAt("'2020-06-01 12:00+00'");
  const pg::Connection reader = database_.Connect();
  ASSERT_TRUE(pg::Execute(reader.get(), "BEGIN; SELECT * FROM old_2020").ok());
  // Should the function wait all the same, the test must not.
  database_.Run("SET statement_timeout = '20s'; UPDATE trace_maintenance SET retention_days = 30");
  using Rows = std::vector<std::vector<std::string>>;
  const std::string removed =
      " WHERE action <> 'analyzed' AND object_name <> 'partitions' AND rows_touched >= 0"
      " AND (action <> 'folded')";
  EXPECT_EQ(database_.Rows("SELECT action, object_name FROM trace_maintain()" + removed),
            (Rows{{"deleted", "trace_spans_default"},
                  {"deleted", "trace_rollups"},
                  {"deleted", "trace_folded_days"},
                  {"dropped", "old_2019"},
                  {"kept", "old_2020"}}));
  EXPECT_EQ(database_.Value("SELECT now() - last_started_at BETWEEN interval '19 hours'"
                            " AND interval '19 hours 1 minute' FROM trace_maintenance"),
            "t")
      << "it is tried again in an hour";
  ASSERT_TRUE(pg::Execute(reader.get(), "COMMIT").ok());
  EXPECT_EQ(database_.Rows("SELECT action, object_name FROM trace_retain(30)"
                           " WHERE action <> 'deleted'"),
            (Rows{{"dropped", "old_2020"}}));
}

TEST_F(Partitions, RetentionDoesNotWaitForEverAndSaysWhy) {
  InsertAt("'2020-06-01 12:00+00'");
  EXPECT_EQ(database_.Value("SELECT 'lock_timeout=30s' = ANY (proconfig) FROM pg_proc"
                            " WHERE proname = 'trace_retain'"),
            "t");
  database_.Run("ALTER FUNCTION trace_retain(integer) SET lock_timeout = '100ms'");
  const pg::Connection reader = database_.Connect();
  ASSERT_TRUE(
      pg::Execute(reader.get(), "BEGIN; SELECT * FROM trace_spans_default FOR UPDATE").ok());
  // Should the function wait all the same, the test must not.
  database_.Run("SET statement_timeout = '5s'");
  const auto result = pg::Query(database_.connection(), "SELECT * FROM trace_retain(30)");
  EXPECT_EQ(pg::SqlState(result.status()), "55P03");
  EXPECT_THAT(std::string(result.status().message()),
              HasSubstr("nothing was removed: another session held"));
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_spans_default"), "1");
}

}  // namespace
}  // namespace spanring::test

// What writers say of themselves: the functions that they call.
#include <gmock/gmock.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "sql/executions.h"

namespace spanring::test {
namespace {

using ::testing::HasSubstr;

using Table = std::vector<std::vector<std::string>>;

class Writers : public ExecutionTest {
 protected:
  static void Started() {
    (void)Database().Rows("SELECT trace_writer_started($1, 'runner', 'web1', 7, '0.1')",
                          {kWriterId});
  }
  static void Counted(const std::string& rest) { Call("trace_writer_counted", rest); }
  static void SampledOut(const std::string& rest) { Call("trace_writer_sampled_out", rest); }
  static void Recovered(const std::string& rest) { Call("trace_writer_recovered", rest); }
  static void Close(const std::string& rest) { Call("trace_close_spans", rest); }

  // "started persisted dropped drops"
  static std::string Counts() {
    return Database().Value(
        "SELECT concat_ws(' ', spans_started, spans_persisted, spans_dropped, drops)"
        " FROM trace_writers");
  }
  // "reason spans", in order of time.
  static std::string Drops() {
    return Database().Value(
        "SELECT coalesce(string_agg(concat_ws(' ', reason, spans), ', ' ORDER BY until, reason),"
        " 'none') FROM trace_drops");
  }

 private:
  static void Call(const std::string& function, const std::string& rest) {
    Database().Run(absl::StrCat("SELECT ", function, "('", kWriterId, "', ", rest, ")"));
  }
};

TEST_F(Writers, StartingAgainIsNotedInTheSameRow) {
  Started();
  Database().Run(
      "UPDATE trace_writers SET started_at = now() - interval '1 day', stopped_at = now(),"
      " last_seen_at = now() - interval '1 day', spans_started = 5");
  Started();
  EXPECT_EQ(Database().Rows("SELECT service, host, pid, version, spans_started, stopped_at,"
                            " last_seen_at - started_at >= interval '1 day' FROM trace_writers"),
            (Table{{"runner", "web1", "7", "0.1", "5", "<null>", "t"}}));
}

TEST_F(Writers, PersistedIsAddedAndTheOthersAreAbsolute) {
  Started();
  for (int i = 0; i < 2; ++i) Counted(R"(100, 250, '{"ring_full": 12, "shutdown": 3}')");
  EXPECT_EQ(Counts(), R"(250 200 15 {"shutdown": 3, "ring_full": 12})");
  EXPECT_EQ(Drops(), "ring_full 12, shutdown 3");
  // What was said earlier and comes later changes nothing.
  Counted(R"(0, 240, '{"ring_full": 2}')");
  EXPECT_EQ(Counts(), R"(250 200 15 {"shutdown": 3, "ring_full": 12})");
  Counted("1");
  Counted("1, NULL, NULL, NULL");
  Counted("NULL");
  Counted("-5");
  EXPECT_EQ(Counts(), R"(250 202 15 {"shutdown": 3, "ring_full": 12})");
  Counted(R"(0, 260, '{"ring_full": 13}')");
  EXPECT_EQ(Counts(), R"(260 202 16 {"shutdown": 3, "ring_full": 13})");
  EXPECT_EQ(Drops(), "ring_full 12, shutdown 3, ring_full 1");
}

TEST_F(Writers, WindowsOfDropsJoinWithoutGapAndOverlap) {
  Started();
  Counted(R"(0, 10, '{"ring_full": 1}')");
  Counted("1, 11");  // No drops given: the window stays open.
  Counted(R"(0, 12, '{"ring_full": 1}')");
  Counted(R"(0, 13, '{"ring_full": 4, "journal_full": 2}')");
  EXPECT_EQ(
      Database().Rows("SELECT reason, spans, since = coalesce(max(until) OVER earlier, started_at),"
                      " until > since FROM trace_drops JOIN trace_writers USING (writer_id)"
                      " WHERE reason = 'ring_full' WINDOW earlier AS ("
                      "  ORDER BY until ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
                      " ORDER BY until"),
      (Table{{"ring_full", "1", "t", "t"}, {"ring_full", "3", "f", "t"}}));
  EXPECT_EQ(Database().Value("SELECT count(DISTINCT (since, until)) FROM trace_drops"), "2");
  EXPECT_EQ(Database().Value("SELECT max(until) = max(counted_at) FROM trace_drops, trace_writers"),
            "t");
}

TEST_F(Writers, CountsWithoutDropsLeaveTheWindowOpen) {
  Started();
  const auto counted_at = [] { return Database().Value("SELECT counted_at FROM trace_writers"); };
  const std::string before = counted_at();
  Counted("1, 5");
  Counted("1, 5, '[]'");
  EXPECT_EQ(counted_at(), before);
  Counted("1, 5, '{}'");
  EXPECT_NE(counted_at(), before);
  EXPECT_EQ(Database().Value("SELECT last_seen_at = counted_at FROM trace_writers"), "t");
}

TEST_F(Writers, StoppingIsNoted) {
  Started();
  Counted("0, 5, '{}', false");
  EXPECT_EQ(Database().Value("SELECT stopped_at FROM trace_writers"), "<null>");
  Counted("0, 5, '{}', true");
  Counted("0, 5, '{}', NULL");
  EXPECT_EQ(Database().Value("SELECT stopped_at <= last_seen_at FROM trace_writers"), "t");
}

TEST_F(Writers, MalformedDropsAreIgnoredAndHarmNothing) {
  Started();
  for (const char* drops :
       {"[]", "12", "null", "\"ring_full\"", "[{\"ring_full\": 1}]", "{}", "{\"ring_full\": null}",
        "{\"ring_full\": \"12\"}", "{\"ring_full\": -1}", "{\"ring_full\": 0}",
        "{\"ring_full\": 1.5}", "{\"ring_full\": 1e300}", "{\"ring_full\": {\"a\": 1}}",
        "{\"ring_full\": [1]}", "{\"ring_full\": true}", "{\"ring_full\": 9223372036854775807}"}) {
    Counted(absl::StrCat("1, 1, '", drops, "'"));
  }
  EXPECT_EQ(Counts(), "1 16 0 {}");
  EXPECT_EQ(Drops(), "none");
  Counted(R"(1, 1, '{"ring_full": -1, "shutdown": "x", "rejected": 2, "odd \" name": 3.0}')");
  EXPECT_EQ(Counts(), R"(1 17 5 {"rejected": 2, "odd \" name": 3})");
  EXPECT_EQ(Drops(), "odd \" name 3, rejected 2");
}

TEST_F(Writers, UnknownWriterIsNoErrorAndNoRow) {
  Counted(R"(5, 5, '{"ring_full": 1}', true)");
  Recovered(R"(5, '{"ring_full": 1}')");
  Close("'{}', '{}'");
  EXPECT_EQ(Database().Value("SELECT count(*) FROM trace_writers"), "0");
  EXPECT_EQ(Drops(), "none");
}

TEST_F(Writers, ABatchInOneMessageCountsOnce) {
  Started();
  const std::string batch = absl::StrCat(
      "INSERT INTO trace_batches (writer_id, sequence, spans) VALUES ('", kWriterId, "', 1, 1);",
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at)"
      " VALUES (gen_random_uuid(), gen_random_uuid(), 's', 'o', now());",
      "SELECT trace_writer_counted('", kWriterId, "', 1, 3, '{\"ring_full\": 1}', false)");
  Database().Run(batch);
  EXPECT_EQ(pg::SqlState(pg::Execute(Database().connection(), batch)), "23505");
  EXPECT_EQ(Counts(), R"(3 1 1 {"ring_full": 1})");
  EXPECT_EQ(Database().Value("SELECT writer_id FROM trace_batches JOIN trace_spans"
                             " ON committed_at = created_at"),
            kWriterId);
}

TEST_F(Writers, SeveralConnectionsOfOneProcessAdd) {
  Started();
  std::vector<std::thread> connections;
  for (int i = 0; i < 4; ++i) {
    connections.emplace_back([i] {
      const pg::Connection connection = Database().Connect();
      for (int n = 1; n <= 50; ++n) {
        const absl::Status counted = pg::Execute(
            connection.get(), absl::StrCat("SELECT trace_writer_counted('", kWriterId, "', 1, ", n,
                                           ", '{\"ring_full\": ", 4 * n + i, "}')"));
        EXPECT_TRUE(counted.ok()) << counted;
      }
    });
  }
  for (std::thread& connection : connections) connection.join();
  EXPECT_EQ(Counts(), R"(50 200 203 {"ring_full": 203})");
  EXPECT_EQ(Database().Value("SELECT sum(spans) || ' ' || bool_and(since <= until)"
                             " FROM trace_drops"),
            "203 true");
}

TEST_F(Writers, ClosingDeletesTheWritersOwnPairsOnly) {
  for (int id = 1; id <= 4; ++id) WriteOpen(1, {.id = id, .service = "s", .operation = "o"});
  WriteOpen(2, {.id = 1, .service = "s", .operation = "o"});
  WriteOpen(1, {.id = 1, .service = "s", .operation = "other"},
            "00000000-0000-0000-0000-0000000000bb");
  const std::string trace = "'00000000-0000-0000-0000-000000000001'::uuid";
  const std::string two =
      "ARRAY['00000000-0000-0000-0000-000000000001',"
      " '00000000-0000-0000-0000-000000000003']::uuid[]";
  for (int i = 0; i < 2; ++i) {
    Close(absl::StrCat("ARRAY[", trace, ", ", trace, "], ", two));
    EXPECT_EQ(Database().Value("SELECT string_agg(concat_ws(' ', right(trace_id::text, 1),"
                               " right(span_id::text, 1), operation), ', '"
                               " ORDER BY trace_id, span_id, writer_id) FROM trace_open_spans"),
              "1 1 other, 1 2 o, 1 4 o, 2 1 o");
  }
  Close("NULL, NULL");
  Close(absl::StrCat("ARRAY[", trace, "], '{}'"));
  EXPECT_EQ(Database().Value("SELECT count(*) FROM trace_open_spans"), "4");
}

TEST_F(Writers, ClosingUsesTheIndexWhateverTheTablesSize) {
  // A connection of its own, whose plan is made while the table is empty.
  const pg::Connection connection = Database().Connect();
  const std::string close =
      "SELECT trace_close_spans('00000000-0000-0000-0000-0000000000aa',"
      " ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()])";
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(pg::Execute(connection.get(), close).ok());
  Database().Run(
      "INSERT INTO trace_open_spans (started_at, trace_id, span_id, writer_id, service, operation)"
      " SELECT now(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 's', 'o'"
      " FROM generate_series(1, 2000)");
  const auto scans = [&] {
    const auto result = pg::Query(connection.get(),
                                  "SELECT pg_stat_get_xact_numscans('trace_open_spans'::regclass)");
    EXPECT_TRUE(result.ok()) << result.status();
    return std::string(pg::Cell(result->get(), 0, 0));
  };
  ASSERT_TRUE(pg::Execute(connection.get(), "BEGIN").ok());
  const std::string before = scans();
  ASSERT_TRUE(pg::Execute(connection.get(), close).ok());
  EXPECT_EQ(scans(), before);
  ASSERT_TRUE(pg::Execute(connection.get(), "COMMIT").ok());
}

TEST_F(Writers, RecoveryAccountsForAllThatIsMissing) {
  Started();
  Database().Run("UPDATE trace_writers SET last_seen_at = now() - interval '1 hour'");
  const std::string seen = Database().Value("SELECT last_seen_at FROM trace_writers");
  Counted(R"(60, 80, '{"ring_full": 5}')");
  Database().Run("UPDATE trace_writers SET last_seen_at = '" + seen + "'");
  WriteOpen(1, {.id = 1, .service = "s", .operation = "o"});
  WriteOpen(1, {.id = 2, .service = "s", .operation = "o"}, "00000000-0000-0000-0000-0000000000bb");
  std::string recovered_at;
  for (int i = 0; i < 2; ++i) {
    Recovered(R"(100, '{"ring_full": 7}')");
    EXPECT_EQ(Counts(), R"(100 60 40 {"crash": 33, "ring_full": 7})");
    EXPECT_EQ(Drops(), "ring_full 5, crash 33, ring_full 2");
    EXPECT_EQ(Database().Value("SELECT string_agg(right(span_id::text, 1), '')"
                               " FROM trace_open_spans"),
              "2");
    EXPECT_EQ(Database().Value("SELECT last_seen_at FROM trace_writers"), seen);
    const std::string at = Database().Value("SELECT recovered_at FROM trace_writers");
    EXPECT_THAT(at, HasSubstr(":"));
    EXPECT_EQ(i == 0 ? at : recovered_at, at);
    recovered_at = at;
  }
}

// A shutdown counts what was not confirmed in time, and its commit may have taken place.
TEST_F(Writers, SampledOutIsAddedAndIsNotMissing) {
  Started();
  SampledOut("20");
  SampledOut("5");
  SampledOut("-1");
  EXPECT_EQ(Database().Value("SELECT spans_sampled_out FROM trace_writers"), "25");
  Counted("60, 80");
  Recovered("100, NULL");
  EXPECT_EQ(Counts(), R"(100 60 15 {"crash": 15})");
}

TEST_F(Writers, WhatAShutdownGaveUpAndIsThereIsNotDropped) {
  Started();
  Counted("70");
  for (int i = 0; i < 2; ++i) {
    Recovered(R"(100, '{"shutdown": 40, "ring_full": 5}')");
    EXPECT_EQ(Counts(), R"(100 70 30 {"shutdown": 25, "ring_full": 5})");
  }
  EXPECT_EQ(Drops(), "ring_full 5, shutdown 25");
}

TEST_F(Writers, RecoveryOfWhatIsCompleteOrUnknownDropsNothing) {
  Started();
  Counted("10, 10, '{}'");
  Recovered("10, '{}'");
  EXPECT_EQ(Counts(), "10 10 0 {}");
  Counted("0, 25, '{}'");
  Recovered("NULL, NULL");
  EXPECT_EQ(Counts(), "25 10 0 {}");
  Recovered("NULL, '{\"ring_full\": 2}'");
  EXPECT_EQ(Counts(), "25 10 2 {\"ring_full\": 2}");
  Recovered("20, NULL");
  EXPECT_EQ(Counts(), "25 10 15 {\"crash\": 13, \"ring_full\": 2}");
  // More came to light than was ever said to be started.
  Counted("30");
  Recovered("20, '[]'");
  EXPECT_EQ(Counts(), "25 40 15 {\"crash\": 13, \"ring_full\": 2}");
}

}  // namespace
}  // namespace spanring::test

#include <gmock/gmock.h>

#include "sql/executions.h"

namespace spanring::test {
namespace {

class Tree : public ExecutionTest {
 protected:
  static std::string Order(int execution_id) {
    return Database().Value(
        "SELECT string_agg(repeat('-', depth) || operation, ' ' ORDER BY row_order)"
        " FROM trace_tree($1)",
        {std::to_string(execution_id)});
  }
  static std::string Of(int execution_id, const std::string& operation, const std::string& column) {
    return Database().Value("SELECT " + column + " FROM trace_tree($1) WHERE operation = $2",
                            {std::to_string(execution_id), operation});
  }
  // Kind, milliseconds, operations at both ends, seconds after the first span.
  static std::vector<std::vector<std::string>> Gaps(int execution_id) {
    return Database().Rows(
        "SELECT kind, gap_ms, from_operation, to_operation, offset_ns / 1000000000"
        " FROM trace_gaps($1)",
        {std::to_string(execution_id)});
  }
};

TEST_F(Tree, DepthFirstAndSiblingsByTime) {
  Write(1, {{4, 2, "s", "d", 3, 4},
            {3, 1, "s", "c", 5, 6},
            {2, 1, "s", "b", 1, 5},
            {1, 0, "s", "a", 0, 9},
            {5, 0, "s", "e", 10, 11}});
  EXPECT_EQ(Order(1), "a -b --d -c e");
  EXPECT_EQ(Of(1, "d", "parent_row || ',' || offset_ns"), "2,3000000000");
  EXPECT_EQ(Of(1, "b", "last_row"), "3");
}

TEST_F(Tree, SelfTimeIsWhatTheUnionOfTheChildrenLeaves) {
  // Overlapping children, one beyond the parent's end, one before its start.
  Write(1, {{1, 0, "s", "a", 10, 20},
            {2, 1, "s", "b", 11, 14},
            {3, 1, "s", "c", 12, 15},
            {4, 1, "s", "d", 18, 25},
            {5, 1, "s", "e", 8, 9}});
  EXPECT_EQ(Of(1, "a", "self_time_ns"), "4000000000");
  EXPECT_EQ(Of(1, "d", "overflow_ns"), "5000000000");
}

TEST_F(Tree, OrphansAreRootsAndSaid) {
  Write(1, {{1, 0, "s", "a", 0, 9}, {2, 77, "s", "b", 1, 2}});
  EXPECT_EQ(Order(1), "a b");
  EXPECT_EQ(Of(1, "b", "is_orphan"), "t");
  EXPECT_EQ(Of(1, "a", "is_orphan"), "f");
}

TEST_F(Tree, CyclesAreCutAndEverySpanStaysOnce) {
  Write(1, {{1, 3, "s", "a", 0, 9},
            {2, 1, "s", "b", 1, 2},
            {3, 2, "s", "c", 2, 3},
            {4, 4, "s", "self", 3, 4},
            {5, 3, "s", "below", 4, 5}});
  EXPECT_EQ(Order(1), "a -b --c ---below self");
  EXPECT_EQ(Of(1, "a", "is_orphan"), "t");
}

TEST_F(Tree, DuplicateIdsKeepEveryRow) {
  Write(1, {{1, 0, "s", "a", 0, 9}, {1, 0, "s", "a2", 1, 9}, {2, 1, "s", "b", 2, 3}});
  EXPECT_EQ(Order(1), "a -b a2");
}

TEST_F(Tree, OpenSpansHaveNoSelfTimeAndCoverTheirParent) {
  Write(1, {{1, 0, "s", "a", 0, 9}, {2, 1, "s", "b", 4, kNeverEnded}});
  EXPECT_EQ(Of(1, "b", "self_time_ns IS NULL AND duration_ns IS NULL"), "t");
  EXPECT_EQ(Of(1, "a", "self_time_ns"), "4000000000");
}

TEST_F(Tree, TimesAtTheEndOfTheWorldAreHarmless) {
  Database().Run(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, completed_at,"
      " status, execution_id, duration_ns) SELECT '00000000-0000-0000-0000-000000000001',"
      " gen_random_uuid(), 's', 'o', a, b, 'completed', 1, d FROM (VALUES"
      " ('-infinity'::timestamptz, 'infinity'::timestamptz, NULL::bigint),"
      " ('4714-11-24 00:00 BC', '294276-12-31 23:59', NULL),"
      " ('infinity', 'infinity', NULL), (now(), NULL, 9223372036854775807),"
      " (now(), now() - interval '1 s', NULL)) AS extreme (a, b, d)");
  for (const char* function :
       {"trace_tree", "trace_gaps", "diagnose_execution_trace", "identify_root_cause",
        "find_similar_traces", "trace_critical_path", "trace_clock_skew", "trace_network_times"}) {
    EXPECT_NO_THROW((void)Database().Rows(std::string("SELECT * FROM ") + function + "(1)"))
        << function;
  }
  EXPECT_NO_THROW((void)Database().Rows("SELECT * FROM trace_waterfall"));
}

TEST_F(Tree, TenThousandSpansAndDepthOfAThousand) {
  Database().Run(
      "INSERT INTO trace_spans (trace_id, span_id, parent_span_id, service, operation, started_at,"
      " completed_at, status, execution_id)"
      " SELECT '00000000-0000-0000-0000-000000000001', lpad(to_hex(i), 32, '0')::uuid,"
      " CASE WHEN i > 1 THEN lpad(to_hex(CASE WHEN i <= 1000 THEN i - 1 ELSE i % 1000 + 1 END),"
      " 32, '0')::uuid END, 's' || i % 5, 'o' || i % 50, now() + i * interval '1 ms',"
      " now() + interval '1 minute', 'completed', 1 FROM generate_series(1, 10000) AS i");
  EXPECT_EQ(Database().Value("SELECT count(*) || ',' || max(depth) FROM trace_tree(1)"),
            "10000,1000");
  for (const char* function : {"trace_gaps", "trace_clock_skew", "trace_network_times",
                               "diagnose_execution_trace", "identify_root_cause"}) {
    EXPECT_NO_THROW((void)Database().Rows(std::string("SELECT * FROM ") + function + "(1)"))
        << function;
  }
}

TEST_F(Tree, ZeroLengthSpansAreKeptAndPartTheGapAroundThem) {
  Write(1, {{1, 0, "s", "a", 0, 8},
            {2, 1, "t", "instant", 3, 3},
            {3, 2, "t", "below", 3, 3},
            {4, 1, "t", "last", 8, 8},
            {5, 0, "s", "e", 9, 9},
            {6, 5, "s", "f", 9, 9}});
  EXPECT_EQ(Order(1), "a -instant --below -last e -f");
  EXPECT_EQ(Database().Value("SELECT string_agg(operation || self_time_ns / 1000000000, ' '"
                             " ORDER BY row_order) FROM trace_tree(1)"),
            "a8 instant0 below0 last0 e0 f0");
  const std::vector<std::vector<std::string>> expected = {
      {"lead", "3000", "a", "instant", "0"},
      {"between", "5000", "instant", "last", "3"},
      {"between", "1000", "a", "e", "8"}};
  EXPECT_EQ(Gaps(1), expected);
}

TEST_F(Tree, GapsNeverLeaveTheirParent) {
  // Both children lie outside: one before the parent, one after it.
  Write(1, {{1, 0, "s", "a", 10, 20},
            {2, 1, "t", "before", 2, 4},
            {3, 1, "t", "b", 12, 14},
            {4, 1, "t", "after", 23, 25}});
  EXPECT_EQ(Of(1, "a", "self_time_ns"), "8000000000");
  EXPECT_EQ(Of(1, "before", "gap_before_ns"), "0");
  // Positions are after the first span, which is `before`.
  const std::vector<std::vector<std::string>> expected = {{"lead", "2000", "a", "b", "8"},
                                                          {"between", "6000", "b", "after", "12"},
                                                          {"overflow", "5000", "after", "a", "18"}};
  EXPECT_EQ(Gaps(1), expected);
}

TEST_F(Tree, GapsOfOpenSpansCyclesAndDuplicateIds) {
  Write(1, {{1, 3, "s", "a", 0, 9},
            {2, 1, "t", "b", 1, 5},
            {3, 2, "s", "c", 2, kNeverEnded},
            {2, 1, "t", "b2", 7, 8}});
  // No time below an open span is known to be idle, and nothing overflows into one.
  const std::vector<std::vector<std::string>> expected = {{"lead", "1000", "a", "b", "0"},
                                                          {"lead", "1000", "b", "c", "1"},
                                                          {"between", "2000", "b", "b2", "5"},
                                                          {"tail", "1000", "b2", "a", "8"}};
  EXPECT_EQ(Gaps(1), expected);
}

TEST_F(Tree, OfSiblingsThatEndTogetherTheLaterOpensTheGap) {
  Write(1, {{1, 0, "s", "root", 0, 10},
            {2, 1, "s", "first", 1, 4},
            {3, 1, "s", "second", 2, 4},
            {4, 1, "s", "third", 6, 8},
            {5, 1, "s", "fourth", 7, 8}});
  const std::vector<std::vector<std::string>> expected = {
      {"lead", "1000", "root", "first", "0"},
      {"between", "2000", "second", "third", "4"},
      {"tail", "2000", "fourth", "root", "8"}};
  EXPECT_EQ(Gaps(1), expected);
}

TEST_F(Tree, GapsHaveTheirKindAndBothEnds) {
  Write(1, {{1, 0, "a", "root", 0, 20},
            {2, 1, "b", "first", 2, 5},
            {3, 1, "c", "second", 8, 12},
            {4, 3, "d", "late", 9, 14}});
  const auto rows = Database().Rows(
      "SELECT kind, gap_ms, from_operation, to_operation, between_services FROM trace_gaps(1)");
  const std::vector<std::vector<std::string>> expected = {
      {"lead", "2000", "root", "first", "t"},
      {"between", "3000", "first", "second", "t"},
      {"lead", "1000", "second", "late", "t"},
      {"tail", "8000", "second", "root", "t"},
      {"overflow", "2000", "late", "second", "t"}};
  EXPECT_EQ(rows, expected);
}

TEST_F(Tree, OneTraceMayBeAskedForByItsId) {
  Write(7, Execution2193());
  EXPECT_EQ(Database().Value("SELECT count(*) FROM trace_tree(NULL,"
                             " '00000000-0000-0000-0000-000000000007')"),
            "5");
  EXPECT_EQ(Database().Value("SELECT max(gap_ms) FROM trace_gaps(NULL,"
                             " '00000000-0000-0000-0000-000000000007')"),
            "156300");
}

// Days of UTC, also where the session's day has 23 hours.
TEST_F(Tree, SpansOfTheNextDayAreFoundToItsEnd) {
  const auto insert = [](int id, const std::string& started_at, const std::string& execution) {
    Database().Run(
        "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at,"
        " duration_ns, duration_ms, status, execution_id) VALUES"
        " (lpad('1', 32, '0')::uuid, lpad('" +
        std::to_string(id) + "', 32, '0')::uuid, 's', 'o" + std::to_string(id) + "', '" +
        started_at + "', 0, 0, 'completed', " + execution + ")");
  };
  insert(1, "2026-03-28 12:00:00+00", "1");
  Database().Run("SELECT trace_fold_day('2026-03-28')");
  insert(2, "2026-03-28 00:00:00+00", "NULL");
  insert(3, "2026-03-29 23:59:59.999999+00", "NULL");
  // Too far off on either side, as long as nobody knows of them.
  insert(4, "2026-03-27 23:59:59.999999+00", "NULL");
  insert(5, "2026-03-30 00:00:00+00", "NULL");
  for (const char* zone : {"UTC", "Europe/Berlin", "America/Los_Angeles"}) {
    EXPECT_EQ(
        Database().Value("SELECT string_agg(operation, ' ' ORDER BY row_order)"
                         " FROM set_config('TimeZone', $1, false),"
                         " LATERAL trace_tree(CASE WHEN set_config IS NULL THEN 0 ELSE 1 END)",
                         {zone}),
        "o2 o1 o3")
        << zone;
  }
}

TEST_F(Tree, OpenSpansTakeTheirPlace) {
  Write(1, {{2, 1, "s", "b", 1, 5}, {4, 3, "s", "d", 6, 7}});
  WriteOpen(1, {.id = 1, .service = "s", .operation = "a"});
  WriteOpen(1, {.id = 3, .parent = 1, .service = "s", .operation = "c", .start_s = 6});
  EXPECT_EQ(Order(1), "a -b -c --d");
  EXPECT_EQ(Of(1, "a", "status || coalesce(self_time_ns, -1)"), "started-1");
  EXPECT_EQ(Of(1, "c",
               "created_at = (SELECT min(reported_at) FROM trace_open_spans"
               " WHERE operation = 'c')"),
            "t");
}

TEST_F(Tree, ExecutionsWithNothingButOpenSpansAreFound) {
  WriteOpen(1, {.id = 1, .service = "s", .operation = "a"});
  WriteOpen(1, {.id = 2, .parent = 1, .service = "s", .operation = "b", .start_s = 1});
  EXPECT_EQ(Order(1), "a -b");
  EXPECT_EQ(Database().Value("SELECT count(*) FROM diagnose_execution_trace(1)"), "2");
}

}  // namespace
}  // namespace spanring::test

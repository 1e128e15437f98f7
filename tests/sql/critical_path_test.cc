#include <gmock/gmock.h>

#include <chrono>
#include <cstdlib>
#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "sql/executions.h"
#include "sql/span_reference.h"

namespace spanring::test {

static void PrintTo(const ReferenceSegment& segment, std::ostream* out) {
  *out << segment.root << ": " << segment.span << " [" << segment.start_us << ", " << segment.end_us
       << ")";
}

namespace {

std::int64_t Number(const std::string& text) {
  std::int64_t number = -1;
  EXPECT_TRUE(absl::SimpleAtoi(text, &number)) << text;
  return number;
}

class CriticalPath : public ExecutionTest {
 protected:
  // "operation start-end" in seconds, of all roots one after the other.
  static std::string Path(std::int64_t execution_id) {
    return Database().Value(
        "SELECT string_agg(operation || ' ' || trim_scale(offset_ns / 1e9) || '-'"
        " || trim_scale((offset_ns + length_ns) / 1e9), ', ' ORDER BY root_row, segment)"
        " FROM trace_critical_path($1)",
        {std::to_string(execution_id)});
  }

  // Nanoseconds that the path of each root has more or less than the root itself.
  static std::string Excess(std::int64_t execution_id) {
    return Database().Value(
        "SELECT sum(abs(path.ns - root.duration_ns)) FROM trace_tree($1) AS root JOIN"
        " (SELECT root_row, sum(length_ns) AS ns FROM trace_critical_path($1) GROUP BY root_row)"
        " AS path ON path.root_row = root.row_order",
        {std::to_string(execution_id)});
  }

  // Spans by their start, end and duration in nanoseconds, stored as the library stores them.
  static void WriteNanoseconds(const std::vector<std::array<std::int64_t, 4>>& spans) {
    for (const auto& [id, parent, start_ns, end_ns] : spans) {
      (void)Database().Rows(
          "INSERT INTO trace_spans (trace_id, span_id, parent_span_id, service, operation,"
          " started_at, completed_at, duration_ns, status, execution_id)"
          " SELECT '00000000-0000-0000-0000-000000000001', lpad($1, 32, '0')::uuid,"
          " lpad(nullif($2, '0'), 32, '0')::uuid, 's', 'o' || $1,"
          " 'epoch'::timestamptz + floor($3::numeric / 1000)::bigint * interval '1 us',"
          " 'epoch'::timestamptz + floor($4::numeric / 1000)::bigint * interval '1 us',"
          " $4::bigint - $3::bigint, 'completed', 1",
          {std::to_string(id), std::to_string(parent), std::to_string(start_ns),
           std::to_string(end_ns)});
    }
  }
};

TEST_F(CriticalPath, GoesBackFromTheEndToTheChildThatFinishedLast) {
  // c overlaps d, which finished later; what ended before d began is b.
  Write(1, {{1, 0, "s", "a", 0, 8},
            {2, 1, "s", "b", 1, 3},
            {3, 1, "s", "c", 2, 4.5},
            {4, 1, "s", "d", 4, 6.5}});
  EXPECT_EQ(Path(1), "a 0-1, b 1-3, a 3-4, d 4-6.5, a 6.5-8");
}

TEST_F(CriticalPath, EndingWhenTheNextBeginsIsBefore) {
  Write(1, {{1, 0, "s", "a", 0, 6}, {2, 1, "s", "b", 0, 3}, {3, 1, "s", "c", 3, 6}});
  EXPECT_EQ(Path(1), "b 0-3, c 3-6");
}

TEST_F(CriticalPath, DescendsIntoGrandchildren) {
  Write(1, {{1, 0, "s", "a", 0, 9},
            {2, 1, "s", "b", 1, 8},
            {3, 2, "s", "c", 2, 4},
            {4, 2, "s", "d", 5, 7}});
  EXPECT_EQ(Path(1), "a 0-1, b 1-2, c 2-4, b 4-5, d 5-7, b 7-8, a 8-9");
}

TEST_F(CriticalPath, ChildrenAreCutToTheirParentsOrDropped) {
  Write(1, {{1, 0, "s", "a", 10, 20},
            {2, 1, "s", "early", 5, 12},
            {3, 1, "s", "late", 18, 30},
            {4, 3, "s", "later", 19, 25},
            {5, 4, "s", "beyond", 21, 24},
            {6, 1, "s", "before", 1, 10},
            {7, 1, "s", "after", 20, 22}});
  EXPECT_EQ(Database().Value("SELECT string_agg(operation || ' ' || length_ns / 1000000000, ', '"
                             " ORDER BY segment) FROM trace_critical_path(1)"),
            "early 2, a 6, late 1, later 1");
  EXPECT_EQ(Excess(1), "0");
}

TEST_F(CriticalPath, OfChildrenThatEndTogetherTheFirstToStartCounts) {
  Write(1, {{1, 0, "s", "a", 0, 9},
            {2, 1, "s", "short", 5, 8},
            {3, 1, "s", "long", 2, 8},
            {4, 1, "s", "twin", 2, 8}});
  EXPECT_EQ(Path(1), "a 0-2, long 2-8, a 8-9");
  // Cut to their parent, these end together too.
  Write(2, {{1, 0, "s", "a", 0, 9}, {2, 1, "s", "short", 5, 12}, {3, 1, "s", "long", 2, 10}});
  EXPECT_EQ(Path(2), "a 0-2, long 2-9");
}

TEST_F(CriticalPath, ZeroLengthSpansTakeNothing) {
  Write(1, {{1, 0, "s", "a", 0, 4},
            {2, 1, "s", "instant", 2, 2},
            {3, 2, "s", "below", 2, 2},
            {4, 1, "s", "b", 1, 2},
            {5, 1, "s", "last", 4, 4}});
  EXPECT_EQ(Path(1), "a 0-1, b 1-2, a 2-4");
}

TEST_F(CriticalPath, AZeroLengthRootHasOneSegment) {
  Write(1, {{1, 0, "s", "a", 3, 3}, {2, 1, "s", "b", 3, 5}});
  EXPECT_EQ(Path(1), "a 0-0");
}

TEST_F(CriticalPath, OpenSpansLastAsLongAsTheirParents) {
  Write(1, {{1, 0, "s", "a", 0, 9}, {2, 1, "s", "b", 1, 3}, {3, 1, "s", "c", 4, kNeverEnded}});
  EXPECT_EQ(Path(1), "a 0-1, b 1-3, a 3-4, c 4-9");
}

TEST_F(CriticalPath, AnOpenRootLastsUntilTheLastThatIsKnown) {
  Write(1, {{2, 1, "s", "b", 1, 3}, {4, 3, "s", "d", 6, 7}});
  WriteOpen(1, {.id = 1, .service = "s", .operation = "a"});
  WriteOpen(1, {.id = 3, .parent = 1, .service = "s", .operation = "c", .start_s = 5});
  EXPECT_EQ(Path(1), "a 0-1, b 1-3, a 3-5, c 5-6, d 6-7");
  EXPECT_EQ(Database().Value("SELECT status FROM trace_critical_path(1) WHERE operation = 'c'"),
            "started");
}

TEST_F(CriticalPath, EachRootHasItsOwnAndTheLongestIsMarked) {
  Write(1, {{1, 0, "s", "a", 0, 3}, {2, 77, "s", "orphan", 1, 8}, {3, 2, "s", "b", 2, 4}});
  EXPECT_EQ(Path(1), "a 0-3, orphan 1-2, b 2-4, orphan 4-8");
  EXPECT_EQ(Database().Value("SELECT string_agg(segment || root_row::text || is_main_root, ' '"
                             " ORDER BY root_row, segment) FROM trace_critical_path(1)"),
            "11false 12true 22true 32true");
  EXPECT_EQ(Database().Value("SELECT DISTINCT root_span_id FROM trace_critical_path(1)"
                             " WHERE is_main_root"),
            "00000000-0000-0000-0000-000000000002");
}

TEST_F(CriticalPath, CyclesAndDuplicateIdsEnd) {
  Write(1, {{1, 3, "s", "a", 0, 9},
            {2, 1, "s", "b", 1, 8},
            {3, 2, "s", "c", 2, 7},
            {4, 4, "s", "self", 3, 4},
            {3, 2, "s", "again", 3, 6}});
  EXPECT_EQ(Path(1), "a 0-1, b 1-2, c 2-7, b 7-8, a 8-9, self 3-4");
}

TEST_F(CriticalPath, SegmentsHaveTheirTimesOnTheClock) {
  Write(1, {{1, 0, "s", "a", 1, 9}, {2, 1, "s", "b", 2, 5}});
  EXPECT_EQ(Database().Value("SELECT bool_and(path.started_at = a.started_at + path.offset_ns"
                             " * interval '1 s' / 1e9 AND path.ended_at = path.started_at"
                             " + path.length_ns * interval '1 s' / 1e9)"
                             " FROM trace_critical_path(1) AS path,"
                             " (SELECT started_at FROM trace_spans WHERE operation = 'a') AS a"),
            "t");
}

TEST_F(CriticalPath, PhasesThatShareATimestampStayOnIt) {
  // Between two microseconds: rounded to rows, 2 would seem to end after 3 began.
  WriteNanoseconds({{1, 0, 1'000'100, 1'009'950},
                    {2, 1, 1'000'200, 1'004'700},
                    {3, 1, 1'004'700, 1'009'900},
                    {4, 3, 1'004'710, 1'004'810}});
  EXPECT_EQ(Database().Value("SELECT string_agg(DISTINCT operation, ' ')"
                             " FROM trace_critical_path(1)"),
            "o1 o2 o3 o4");
  EXPECT_EQ(Excess(1), "0");
}

TEST_F(CriticalPath, SpansBelowAMicrosecondCount) {
  WriteNanoseconds({{1, 0, 1'000'000, 1'000'900}, {2, 1, 1'000'100, 1'000'450}});
  EXPECT_EQ(Database().Value("SELECT string_agg(operation || ' ' || length_ns, ', '"
                             " ORDER BY segment) FROM trace_critical_path(1)"),
            "o2 350, o1 550");
}

TEST_F(CriticalPath, ATraceMayBeAskedForByItsIdAndAnUnknownOneIsEmpty) {
  Write(7, Execution2193());
  EXPECT_EQ(Database().Value("SELECT string_agg(trace_label(service, operation), ' ' ORDER BY"
                             " segment) FROM trace_critical_path(NULL,"
                             " '00000000-0000-0000-0000-000000000007')"),
            "runner.hybrid_router_call router.inference_request router.modal_call modal.inference "
            "router.modal_call router.inference_request runner.hybrid_router_call");
  EXPECT_EQ(Database().Value("SELECT count(*) FROM trace_critical_path(404)"), "0");
}

class RandomTrees : public CriticalPath {
 protected:
  void SetUp() override {
    CriticalPath::SetUp();
    const char* given = std::getenv("SPANRING_TEST_SEED");
    seed_ = given != nullptr ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                             : std::random_device()();
    std::printf("SPANRING_TEST_SEED=%u\n", seed_);
    random_.seed(seed_);
  }
  int UpTo(int most) { return std::uniform_int_distribution<>(0, most)(random_); }

  std::uint32_t seed_ = 0;
  std::mt19937 random_;
};

TEST_F(RandomTrees, AgreeWithThePlainReference) {
  for (int execution = 1; execution <= 150; ++execution) {
    // Few moments, so that many are equal; children overlap, overflow, miss their parents, and
    // take no time at all.
    const int moments = 5 + UpTo(40);
    const int count = 1 + UpTo(24);
    std::vector<ReferenceSpan> spans;
    std::vector<Span> rows;
    for (int id = 1; id <= count; ++id) {
      ReferenceSpan span{.id = id, .parent = UpTo(12) == 0 ? 0 : UpTo(id - 1)};
      span.start_us = UpTo(moments);
      span.end_us = span.start_us + (UpTo(5) == 0 ? 0 : UpTo(moments));
      span.is_open = UpTo(14) == 0;
      spans.push_back(span);
      rows.push_back({.id = id,
                      .parent = span.parent,
                      .service = "s",
                      .operation = std::to_string(id),
                      .start_s = static_cast<double>(span.start_us) / 1e6});
      if (!span.is_open) rows.back().end_s = static_cast<double>(span.end_us) / 1e6;
    }
    Write(execution, rows);
    const SpanReference reference(spans);
    SCOPED_TRACE(absl::StrCat("seed ", seed_, ", execution ", execution));

    std::int64_t first_us = spans.front().start_us;
    for (const ReferenceSpan& span : spans) first_us = std::min(first_us, span.start_us);
    std::vector<ReferenceSegment> path;
    for (const auto& row : Database().Rows(
             "SELECT root.operation, path.operation, path.offset_ns / 1000,"
             " (path.offset_ns + path.length_ns) / 1000 FROM trace_critical_path($1) AS path"
             " JOIN trace_tree($1) AS root ON root.row_order = path.root_row"
             " ORDER BY path.root_row, path.segment",
             {std::to_string(execution)})) {
      path.push_back({static_cast<int>(Number(row[0])), static_cast<int>(Number(row[1])),
                      first_us + Number(row[2]), first_us + Number(row[3])});
    }
    EXPECT_EQ(path, reference.CriticalPath());
    EXPECT_THAT(Excess(execution), testing::AnyOf("0", "<null>"));

    std::map<int, std::int64_t> self_times;
    for (const auto& row :
         Database().Rows("SELECT operation, self_time_ns / 1000 FROM trace_tree($1)"
                         " WHERE self_time_ns IS NOT NULL",
                         {std::to_string(execution)})) {
      self_times[static_cast<int>(Number(row[0]))] = Number(row[1]);
    }
    EXPECT_EQ(self_times, reference.SelfTimes());
    if (HasFailure()) return;
  }
}

// Nanoseconds that rows cannot hold, and columns that contradict each other.
TEST_F(RandomTrees, AlwaysHaveAPathWithoutAHole) {
  for (int execution = 1; execution <= 100; ++execution) {
    SCOPED_TRACE(absl::StrCat("seed ", seed_, ", execution ", execution));
    const int moments = 1 + UpTo(20'000);
    for (int id = 1, count = 1 + UpTo(24); id <= count; ++id) {
      const int start_ns = UpTo(moments);
      const int length_ns = UpTo(UpTo(1) == 0 ? 900 : moments);
      const bool by_another_writer = UpTo(3) == 0;
      const auto or_null = [this](int number) {
        return UpTo(1) == 0 ? pg::Parameter() : pg::Parameter(std::to_string(number));
      };
      const pg::Parameter end_us = std::to_string((start_ns + length_ns) / 1000);
      const pg::Parameter duration_ns = std::to_string(length_ns);
      (void)Database().Rows(
          "INSERT INTO trace_spans (trace_id, span_id, parent_span_id, service, operation,"
          " started_at, completed_at, duration_ns, duration_ms, status, execution_id)"
          " SELECT lpad($1, 32, '0')::uuid, lpad($2, 32, '0')::uuid, lpad($3, 32, '0')::uuid, 's',"
          " 'o', 'epoch'::timestamptz + $4::bigint * interval '1 us',"
          " 'epoch'::timestamptz + $5::bigint * interval '1 us', $6, $7, $8, $1::bigint",
          {std::to_string(execution), std::to_string(id), std::to_string(UpTo(count)),
           std::to_string(start_ns / 1000),
           by_another_writer ? or_null(UpTo(moments / 1000)) : end_us,
           by_another_writer ? or_null(UpTo(moments) - 500) : duration_ns,
           by_another_writer ? or_null(UpTo(3) - 1) : pg::Parameter(),
           UpTo(9) == 0 ? "started" : "completed"});
    }
    EXPECT_EQ(Database().Value(
                  "WITH tree AS MATERIALIZED (SELECT * FROM trace_tree($1)),"
                  " path AS MATERIALIZED (SELECT *, lag(offset_ns + length_ns) OVER (PARTITION BY"
                  " root_row ORDER BY segment) AS before_ns FROM trace_critical_path($1)),"
                  " sums AS (SELECT root_row, min(offset_ns) AS start_ns, sum(length_ns) AS ns,"
                  " count(*) AS segments, min(length_ns) AS least_ns FROM path GROUP BY root_row)"
                  " SELECT (SELECT count(*) FROM tree LEFT JOIN sums ON root_row = row_order"
                  " WHERE parent_row IS NULL AND (segments IS NULL OR start_ns <> offset_ns"
                  " OR status <> 'started' AND ns <> greatest(duration_ns, 0) OR segments > 1 AND "
                  "least_ns <= 0))"
                  " + (SELECT count(*) FROM path WHERE before_ns <> offset_ns)"
                  " + (SELECT count(*) FROM path JOIN tree USING (row_order)"
                  " WHERE path.offset_ns < tree.offset_ns"
                  " OR tree.status <> 'started'"
                  " AND path.offset_ns + length_ns > tree.offset_ns + greatest(duration_ns, 0))",
                  {std::to_string(execution)}),
              "0");
    if (HasFailure()) return;
  }
}

TEST_F(CriticalPath, TenThousandSpansAndDepthOfAThousand) {
  // 1: a thousand deep, nine more below each; 2: side by side; 3: ten thousand deep.
  Database().Run(
      "INSERT INTO trace_spans (trace_id, span_id, parent_span_id, service, operation, started_at,"
      " completed_at, status, execution_id)"
      " SELECT lpad(shape::text, 32, '0')::uuid, lpad(i::text, 32, '0')::uuid,"
      " CASE WHEN i > 1 THEN lpad((CASE shape WHEN 1 THEN CASE WHEN i <= 1000 THEN i - 1"
      " ELSE i % 1000 + 1 END WHEN 2 THEN 1 ELSE i - 1 END)::text, 32, '0')::uuid END,"
      " 's' || i % 5, 'o' || i % 50, now() + i * interval '1 ms',"
      " now() + CASE WHEN shape = 2 AND i > 1 THEN (i + 1) * interval '1 ms'"
      " ELSE interval '1 minute' - i * interval '1 ms' END, 'completed', shape"
      " FROM generate_series(1, 3) AS shape, generate_series(1, 10000) AS i");
  for (const char* execution : {"1", "2", "3"}) {
    const auto before = std::chrono::steady_clock::now();
    EXPECT_EQ(Excess(Number(execution)), "0");
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - before;
    EXPECT_LT(took.count(), 20) << "linear: a fraction of a second on an idle machine";
    EXPECT_GE(Number(Database().Value("SELECT count(*) FROM trace_critical_path($1)", {execution})),
              1000);
  }
}

}  // namespace
}  // namespace spanring::test

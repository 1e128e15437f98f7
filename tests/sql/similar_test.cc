#include <gmock/gmock.h>

#include "sql/executions.h"

namespace spanring::test {
namespace {

class Similar : public ExecutionTest {};

TEST_F(Similar, TheSameScoresOneAndTheDifferentLess) {
  Write(1, Execution2193());
  Write(2, Execution2193());
  Write(3, {{1, 0, "runner", "execute_question", 0, 10}, {2, 1, "cache", "hit", 1, 2}});
  Write(4, {{1, 0, "batch", "other", 0, 10}});
  std::vector<Span> quicker = Execution2193();
  quicker[0].end_s = quicker[1].end_s = 83;
  Write(5, quicker);
  Fold();
  const auto rows =
      Database().Rows("SELECT similar_execution_id, similarity_score FROM find_similar_traces(1)");
  ASSERT_EQ(rows.size(), 3U) << "an execution without a common path is not similar at all";
  EXPECT_EQ(rows[0], (std::vector<std::string>{"2", "1.0000"}));
  EXPECT_EQ(rows[1][0], "5");
  EXPECT_EQ(rows[2][0], "3");
  EXPECT_LT(std::stod(rows[1][1]), 1);
  EXPECT_LT(std::stod(rows[2][1]), std::stod(rows[1][1]));
  EXPECT_GT(std::stod(rows[2][1]), 0);
}

TEST_F(Similar, OutcomeAndFailurePointAreSaid) {
  Write(1, {{1, 0, "runner", "execute", 0, 10}, {2, 1, "router", "route", 1, 9}});
  Write(2,
        {{1, 0, "runner", "execute", 0, 10, "failed"}, {2, 1, "router", "route", 1, 9, "timeout"}});
  Fold();
  EXPECT_EQ(Database().Rows("SELECT status, total_duration_ms, failure_point"
                            " FROM find_similar_traces(1)"),
            (std::vector<std::vector<std::string>>{{"failed", "10000", "router.route"}}));
}

TEST_F(Similar, LimitIsKeptAndUnknownExecutionHasNone) {
  for (int execution = 1; execution <= 8; ++execution) Write(execution, Execution2193());
  Fold();
  EXPECT_EQ(Database().Value("SELECT count(*) FROM find_similar_traces(4)"), "5");
  EXPECT_EQ(Database().Value("SELECT count(*) FROM find_similar_traces(4, 2)"), "2");
  EXPECT_EQ(Database().Value("SELECT string_agg(similar_execution_id::text, ',')"
                             " FROM find_similar_traces(4, 4)"),
            "3,5,2,6");
  EXPECT_EQ(Database().Value("SELECT count(*) FROM find_similar_traces(4711)"), "0");
}

TEST_F(Similar, ExecutionsWithNothingButOpenSpansAreCandidates) {
  Write(5, {{1, 0, "runner", "execute", 0, 10}});
  Fold();
  for (const int execution : {4, 6}) {
    WriteOpen(execution, {.id = 1, .service = "runner", .operation = "execute"});
  }
  EXPECT_EQ(Database().Value("SELECT string_agg(concat_ws(' ', similar_execution_id, status), ', ')"
                             " FROM find_similar_traces(5)"),
            "4 started, 6 started");
  EXPECT_EQ(Database().Value("SELECT string_agg(similar_execution_id::text, ',')"
                             " FROM find_similar_traces(4)"),
            "6,5");
}

TEST_F(Similar, OfManyTheMostAlikeAreComparedNotTheNearest) {
  Write(100, {{1, 0, "runner", "execute", 0, 10}, {2, 1, "router", "route", 1, 9}});
  for (int execution = 1; execution < 80; ++execution) {
    Write(100 + execution, {{1, 0, "batch", "collect", 0, 10}, {2, 1, "router", "route", 1, 9}});
  }
  Write(180, {{1, 0, "runner", "execute", 0, 11}, {2, 1, "router", "route", 1, 9}});
  Fold();
  EXPECT_EQ(Database().Value("SELECT string_agg(similar_execution_id::text, ',')"
                             " FROM find_similar_traces(100)"),
            "180");
}

// 30 executions in one trace of 1,000 spans would be 30,000 to compare.
TEST_F(Similar, WhereExecutionsShareALongTraceFewAreCompared) {
  Database().Run(R"sql(
      INSERT INTO trace_spans (trace_id, span_id, parent_span_id, service, operation, started_at,
          completed_at, execution_id, status)
      SELECT md5('shared')::uuid, md5('span' || i)::uuid,
          CASE WHEN i > 0 THEN md5('span' || (i - 1) / 10)::uuid END, 'runner', 'o' || i % 3,
          '2026-03-01'::timestamptz + i * interval '1 ms',
          '2026-03-01'::timestamptz + i * interval '2 ms', nullif(i % 31, 0), 'completed'
      FROM generate_series(0, 999) AS i)sql");
  Fold();
  EXPECT_EQ(Database().Value("SELECT count(*) BETWEEN 10 AND 20 FROM find_similar_traces(7, 50)"),
            "t");
}

}  // namespace
}  // namespace spanring::test

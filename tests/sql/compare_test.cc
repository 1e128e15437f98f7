#include <gmock/gmock.h>

#include "sql/executions.h"

namespace spanring::test {
namespace {

using Rows = std::vector<std::vector<std::string>>;

class Comparison : public ExecutionTest {
 protected:
  static void WriteBoth() {
    Write(1, {{1, 0, "runner", "execute", 0, 10},
              {2, 1, "router", "route", 0, 4},
              {3, 1, "router", "route", 4, 6},
              {4, 1, "cache", "hit", 6, 7}});
    Write(2, {{1, 0, "runner", "execute", 0, 20, "failed"},
              {2, 1, "router", "route", 0, 8},
              {5, 2, "modal", "inference", 1, 7, "failed", "E", "boom"}});
  }
};

TEST_F(Comparison, SpansAreMatchedByPathAndOccurrence) {
  WriteBoth();
  EXPECT_EQ(
      Database().Rows("SELECT presence, operation, occurrence, duration_a_ms, duration_b_ms,"
                      " difference_ms, ratio FROM compare_executions(1, 2) ORDER BY row_order"),
      (Rows{{"both", "execute", "1", "10000.000", "20000.000", "10000.000", "2.000"},
            {"both", "route", "1", "4000.000", "8000.000", "4000.000", "2.000"},
            {"b", "inference", "1", "<null>", "6000.000", "<null>", "<null>"},
            {"a", "route", "2", "2000.000", "<null>", "<null>", "<null>"},
            {"a", "hit", "1", "1000.000", "<null>", "<null>", "<null>"}}));
  EXPECT_EQ(Database().Rows("SELECT status_a, status_b, error_b, span_id_a IS NULL"
                            " FROM compare_executions(1, 2) WHERE operation = 'inference'"),
            (Rows{{"<null>", "failed", "E: boom", "t"}}));
}

TEST_F(Comparison, OperationsAreAddedUp) {
  WriteBoth();
  EXPECT_EQ(Database().Rows("SELECT operation, spans_a, spans_b, self_time_a_ms, self_time_b_ms,"
                            " difference_ms, failures_b FROM compare_operations(1, 2)"),
            (Rows{{"execute", "1", "1", "3000.000", "12000.000", "9000.000", "1"},
                  {"inference", "0", "1", "0.000", "6000.000", "6000.000", "1"},
                  {"route", "2", "1", "6000.000", "2000.000", "-4000.000", "0"},
                  {"hit", "1", "0", "1000.000", "0.000", "-1000.000", "0"}}));
}

TEST_F(Comparison, WithItselfOrWithNothing) {
  WriteBoth();
  EXPECT_EQ(Database().Value("SELECT string_agg(DISTINCT presence || ratio, ',')"
                             " FROM compare_executions(1, 1)"),
            "both1.000");
  EXPECT_EQ(Database().Value("SELECT string_agg(presence, '') FROM compare_executions(1, 4711)"),
            "aaaa");
  EXPECT_EQ(Database().Value("SELECT string_agg(presence, '') FROM compare_executions(4711, 1)"),
            "bbbb");
  EXPECT_EQ(Database().Value("SELECT count(*) FROM compare_executions(4711, 4712)"), "0");
}

TEST_F(Comparison, EditDistance) {
  const auto distance = [](const std::string& a, const std::string& b) {
    return Database().Value("SELECT trace_edit_distance($1::bigint[], $2::bigint[])", {a, b});
  };
  EXPECT_EQ(distance("{}", "{}"), "0");
  EXPECT_EQ(distance("{}", "{1,2}"), "2");
  EXPECT_EQ(distance("{1,2,3}", "{1,2,3}"), "0");
  EXPECT_EQ(distance("{1,2,3}", "{1,3}"), "1");
  EXPECT_EQ(distance("{1,2,3}", "{1,9,3}"), "1");
  EXPECT_EQ(distance("{1,2}", "{2,1}"), "2");
  // kitten, sitting.
  EXPECT_EQ(distance("{11,9,20,20,5,14}", "{19,9,20,20,9,14,7}"), "3");
}

}  // namespace
}  // namespace spanring::test

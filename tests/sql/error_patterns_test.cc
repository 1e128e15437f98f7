#include <gmock/gmock.h>

#include "sql/executions.h"

namespace spanring::test {
namespace {

using ::testing::HasSubstr;

class ErrorPatterns : public ExecutionTest {
 protected:
  void TearDown() override {
    Database().Run(
        "DELETE FROM trace_error_patterns WHERE NOT is_built_in;"
        " SELECT trace_maintain_error_patterns()");
  }
  static void WriteFailure(std::int64_t execution, const std::string& type,
                           const std::string& message, const std::string& status = "failed") {
    Write(execution, {{1, 0, "runner", "execute", 0, 10, "failed"},
                      {2, 1, "store", "put", 1, 9, status, type, message}});
  }
  static void Add(const std::string& values) {
    Database().Run(
        "INSERT INTO trace_error_patterns (name, applies_to, regex, root_cause_type,"
        " recommendation, priority) VALUES " +
        values);
  }
};

TEST_F(ErrorPatterns, ARowOfYoursNamesItsOwnCause) {
  WriteFailure(1, "", "write /var/log: No space left on device");
  EXPECT_EQ(RootCause(1), "UNKNOWN");
  Add("('disk full', 'message', 'no space left', 'DISK_FULL', 'make room', 100)");
  const Cause cause = Causes(1).at(0);
  EXPECT_EQ(cause.type, "DISK_FULL");
  EXPECT_EQ(cause.service, "store");
  EXPECT_EQ(cause.recommendation, "make room");
  EXPECT_THAT(cause.evidence, HasSubstr("; pattern 'disk full'"));
}

TEST_F(ErrorPatterns, ARowOfYoursGoesBeforeBuiltInOnesAndBeforeTheStatus) {
  WriteFailure(1, "ECONNREFUSED", "pool timed out", "timeout");
  EXPECT_EQ(RootCause(1), "CONNECTION_FAILURE");
  Add("('pool', 'message', 'pool timed out', 'POOL_EXHAUSTED', NULL, 100)");
  EXPECT_EQ(RootCause(1), "POOL_EXHAUSTED");
  // Of yours, the type goes before the text, then the lowest priority.
  Add("('refused', 'type', 'refused', 'LATER', NULL, 200), ('refused too', 'type', '^econn',"
      " 'SOONER', NULL, 100)");
  EXPECT_EQ(RootCause(1), "SOONER");
}

TEST_F(ErrorPatterns, ARegularExpressionThatIsNoneNeverGetsIn) {
  EXPECT_THROW(Add("('bad', 'message', 'unbalanced (', 'X', NULL, 1)"), std::exception);
  EXPECT_THROW(Add("('bad', 'code', 'x', 'X', NULL, 1)"), std::exception);
  EXPECT_THROW(Add("('bad', 'type', 'x', 'not a type', NULL, 1)"), std::exception);
  EXPECT_THROW(Database().Run("UPDATE trace_error_patterns SET regex = '['"), std::exception);
}

TEST_F(ErrorPatterns, UpgradesRestoreBuiltInRowsAndLeaveYours) {
  const std::string rows =
      "SELECT string_agg(name || regex || priority || is_built_in, ',' ORDER BY name)"
      " FROM trace_error_patterns";
  Add("('mine', 'message', 'mine', 'MINE', NULL, 1)");
  const std::string before = Database().Value(rows);
  Database().Run(
      "UPDATE trace_error_patterns SET regex = 'changed' WHERE name = 'timeout type';"
      " DELETE FROM trace_error_patterns WHERE name = 'modal type';"
      " INSERT INTO trace_error_patterns (name, applies_to, regex, root_cause_type, is_built_in)"
      " VALUES ('of an older version', 'type', 'x', 'X', true)");
  Database().Run("SELECT trace_maintain_error_patterns()");
  EXPECT_EQ(Database().Value(rows), before);
  Database().Run("SELECT trace_maintain_error_patterns()");
  EXPECT_EQ(Database().Value(rows), before);
}

TEST_F(ErrorPatterns, ABuiltInRowCanBeTakenOver) {
  Database().Run(
      "UPDATE trace_error_patterns SET is_built_in = false, regex = 'never matches this'"
      " WHERE name = 'modal message'");
  Database().Run("SELECT trace_maintain_error_patterns()");
  EXPECT_EQ(Matched("message", "modal function failed"), "<null>");
  Database().Run(
      "UPDATE trace_error_patterns SET is_built_in = true WHERE name = 'modal message';"
      " SELECT trace_maintain_error_patterns()");
  EXPECT_EQ(Matched("message", "modal function failed"), "MODAL_EXECUTION_FAILURE");
}

TEST_F(ErrorPatterns, WithoutAnyRowStatusStillTells) {
  Database().Run("DELETE FROM trace_error_patterns");
  WriteFailure(1, "ECONNREFUSED", "", "timeout");
  EXPECT_EQ(RootCause(1), "SERVICE_TIMEOUT");
  WriteFailure(2, "ECONNREFUSED", "");
  EXPECT_EQ(RootCause(2), "UNKNOWN");
}

}  // namespace
}  // namespace spanring::test

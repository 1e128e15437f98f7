// Faults of the tables: a day without a partition, a column that somebody changed or dropped.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "e2e/harness.h"
#include "support/database.h"

namespace spanring::test {
namespace {

class Table : public testing::Test {
 protected:
  // Views stand in the way of who changes a column.
  void ChangeColumns(const std::string& change) {
    database_.Run("DROP VIEW IF EXISTS trace_stored_spans CASCADE; ALTER TABLE trace_spans " +
                  change);
  }
  void RecordIn(RunningTracer& tracer, int count, std::string_view region) {
    for (int i = 0; i < count; ++i) {
      Span span = tracer->StartSpan("e2e", "step");
      span.SetExecutionContext("job", i, "model", region);
      span.Complete();
    }
  }

  const TestDatabase database_;
};

TEST_F(Table, DaysWithoutAPartitionGoToTheDefaultOne) {
  RunningTracer tracer(database_.conninfo());
  tracer.Record(10);
  ASSERT_TRUE(tracer.Flush().ok());
  database_.Run(
      "DO $$ BEGIN EXECUTE 'DROP TABLE trace_spans_' ||"
      " to_char(now() AT TIME ZONE 'UTC' + interval '2 days', 'YYYYMMDD'); END $$");
  for (const absl::Time start : {absl::UnixEpoch(), absl::UnixEpoch() - absl::Hours(24 * 400),
                                 absl::FromCivil(absl::CivilDay(2100, 2, 28), absl::UTCTimeZone()),
                                 absl::Now() + absl::Hours(48), absl::Now() - absl::Hours(48)}) {
    for (int i = 0; i < 100; ++i) {
      Span span = tracer->StartSpan("e2e", "far");
      span.SetStartTime(start);
      span.SetEndTime(start + absl::Milliseconds(5));
      span.Complete();
    }
  }
  ExpectAllArrived(database_.connection(), tracer, 510);
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_spans_default WHERE operation = 'far'"),
            "500");
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_spans WHERE duration_ms = 5"), "500");
}

// Our rows have the types that the columns had: it is for an operator to mend, and nothing is lost.
TEST_F(Table, AColumnOfAnotherTypeThatIsChangedBack) {
  RunningTracer tracer(database_.conninfo(), [](Options& o) { o.retry_max_ms = 20; });
  RecordIn(tracer, 100, "eu-west-1");
  ASSERT_TRUE(tracer.Flush().ok());
  ChangeColumns("ALTER COLUMN region TYPE integer USING NULL");
  RecordIn(tracer, 100, "eu-west-1");
  EXPECT_TRUE(Eventually([] { return LinesWith("[22P03]; ") > 0; }));
  EXPECT_EQ(LinesWith("has another type"), LinesWith("[22P03]"));
  EXPECT_TRUE(Eventually([&] { return tracer.Counted().persist_failures > 15; }))
      << "more tries than a bad row is given";
  ChangeColumns("ALTER COLUMN region TYPE text");
  ExpectAllArrived(database_.connection(), tracer, 200);
}

// A batch that is being halved holds the table as it is: a change amid would make sound rows that
// were refused before it stay refused.
TEST_F(Table, AConstraintThatIsDroppedAmidHalvingLosesNoRow) {
  RunningTracer tracer(database_.conninfo(), [](Options& o) { o.retry_max_ms = 10'000; });
  RecordIn(tracer, 100, "eu-west-1");
  ASSERT_TRUE(tracer.Flush().ok());
  database_.Run("ALTER TABLE trace_spans ADD CONSTRAINT none CHECK (region IS NULL) NOT VALID");
  RecordIn(tracer, 100, "eu-west-1");
  EXPECT_TRUE(Eventually([] { return LinesWith("[23514]") > 0; }));
  database_.Run("ALTER TABLE trace_spans DROP CONSTRAINT none");
  ExpectAllArrived(database_.connection(), tracer, 200);
}

TEST_F(Table, AColumnThatIsDroppedAndMadeAgain) {
  RunningTracer tracer(database_.conninfo());
  RecordIn(tracer, 100, "eu-west-1");
  ASSERT_TRUE(tracer.Flush().ok());
  ChangeColumns("DROP COLUMN region");
  RecordIn(tracer, 1000, "eu-west-1");
  EXPECT_TRUE(Eventually([] { return LinesWith("[42703]") > 0; }));
  EXPECT_GE(LinesWith("run: spanring migrate"), 1);
  EXPECT_EQ(tracer.Counted().journalled, 1000U);
  ChangeColumns("ADD COLUMN region text");
  ExpectAllArrived(database_.connection(), tracer, 1100);
}

TEST_F(Table, ATableThatIsRenamedAndNamedBack) {
  RunningTracer tracer(database_.conninfo());
  tracer.Record(100);
  ASSERT_TRUE(tracer.Flush().ok());
  database_.Run("ALTER TABLE trace_spans RENAME TO somewhere_else");
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([] { return LinesWith("[42P01]") > 0; }));
  database_.Run("ALTER TABLE somewhere_else RENAME TO trace_spans");
  ExpectAllArrived(database_.connection(), tracer, 1100);
}

}  // namespace
}  // namespace spanring::test

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
    database_.Run("DROP VIEW IF EXISTS trace_waterfall CASCADE; ALTER TABLE trace_spans " + change);
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

// Its values are refused as data are, and so the batch is given up in the end; until then, some ten
// tries or half a minute with the settings as they are, somebody can change the column back. Rows
// that are being tried one by one at that moment are lost, and counted.
TEST_F(Table, AColumnOfAnotherTypeThatIsChangedBack) {
  RunningTracer tracer(database_.conninfo(), [](Options& o) { o.retry_max_ms = 10'000; });
  RecordIn(tracer, 100, "eu-west-1");
  ASSERT_TRUE(tracer.Flush().ok());
  ChangeColumns("ALTER COLUMN region TYPE integer USING NULL");
  RecordIn(tracer, 100, "eu-west-1");
  EXPECT_TRUE(Eventually([] { return LinesWith("[22P03]") > 0; }));
  ChangeColumns("ALTER COLUMN region TYPE text");
  const absl::Status flushed = tracer.Flush(120);
  EXPECT_TRUE(flushed.ok() || absl::IsDataLoss(flushed)) << flushed;
  ExpectAllArrived(database_.connection(), tracer, 200 - Dropped(tracer, DropReason::kRejected));
}

// A batch that is being halved holds no lock on the table between two pieces, so the change gets in
// amid, and sound rows that were refused before it stay refused.
TEST_F(Table, AColumnThatIsChangedBackAmidHalvingLosesNoRow) {
  RunningTracer tracer(database_.conninfo(), [](Options& o) { o.retry_max_ms = 10'000; });
  RecordIn(tracer, 100, "eu-west-1");
  ASSERT_TRUE(tracer.Flush().ok());
  ChangeColumns("ALTER COLUMN region TYPE integer USING NULL");
  RecordIn(tracer, 100, "eu-west-1");
  EXPECT_TRUE(Eventually([] { return LinesWith("[22P03]") > 0; }));
  ChangeColumns("ALTER COLUMN region TYPE text");
  ExpectAllArrived(database_.connection(), tracer, 200);
}

TEST_F(Table, AColumnOfAnotherTypeForGoodIsCountedAsRejected) {
  RunningTracer tracer(database_.conninfo(), [](Options& o) { o.retry_max_ms = 20; });
  ChangeColumns("ALTER COLUMN region TYPE integer USING NULL");
  RecordIn(tracer, 100, "eu-west-1");
  EXPECT_TRUE(absl::IsDataLoss(tracer.Flush()));
  EXPECT_GE(LinesWith("[22P03]"), 1);
  EXPECT_EQ(Dropped(tracer, DropReason::kRejected), 100U);
  tracer.Record(100);  // Without a region: these are taken.
  ExpectAllArrived(database_.connection(), tracer, 100);
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

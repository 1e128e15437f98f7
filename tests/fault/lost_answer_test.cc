// Fault: the batch is committed, and the server's answer never arrives. Sent again, it must not
// arrive twice, and what was refused must stay counted as refused.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "e2e/harness.h"
#include "fault/faulty_proxy.h"

namespace spanring::test {
namespace {

class LostAnswer : public testing::Test {
 protected:
  LostAnswer() { Migrate(server_->conninfo()); }

  std::string ThroughProxy() const { return absl::StrCat(conninfo_, " ", proxy_.conninfo()); }
  pg::Connection Direct() const { return ConnectTo(conninfo_); }

  dev::TemporaryServer server_ = OwnServer();
  const std::string conninfo_ = server_->conninfo();
  FaultyProxy proxy_{server_->socket_folder() + "/.s.PGSQL.5432"};
};

TEST_F(LostAnswer, CommittedBatchIsNotSentTwice) {
  proxy_.WhenServerSays("COPY ", FaultyProxy::Fault::kCut, 5);
  RunningTracer tracer(ThroughProxy(), [](Options& o) { o.batch_rows = 100; });
  tracer.Record(1000);
  const absl::Status flushed = tracer.Flush();
  EXPECT_TRUE(flushed.ok()) << flushed;
  EXPECT_EQ(proxy_.faults_left(), 0);
  EXPECT_GE(tracer.Counted().persist_failures, 5U);
  EXPECT_TRUE(tracer.Shutdown().ok());
  EXPECT_EQ(tracer.Counted().persisted, 1000U);
  ExpectDatabaseAgrees(Direct().get(), tracer);
}

TEST_F(LostAnswer, RowsRefusedInACommittedBatchStayRefused) {
  RunSql(Direct().get(),
         "ALTER TABLE trace_spans ADD CONSTRAINT no_curses"
         " CHECK (operation <> 'curse')");
  proxy_.WhenServerSays("COMMIT", FaultyProxy::Fault::kCut, 1);
  RunningTracer tracer(ThroughProxy());
  tracer.Record(500);
  tracer.Record(3, "curse");
  tracer.Record(500);
  const absl::Status flushed = tracer.Flush();
  EXPECT_TRUE(absl::IsDataLoss(flushed)) << flushed;
  EXPECT_EQ(proxy_.faults_left(), 0);
  EXPECT_TRUE(tracer.Shutdown().ok());
  EXPECT_EQ(tracer.Counted().persisted, 1000U);
  EXPECT_EQ(Dropped(tracer, DropReason::kRejected), 3U);
  ExpectDatabaseAgrees(Direct().get(), tracer);
}

// One in ten fails, and of those that fail three are refused.
TEST_F(LostAnswer, SpansThatAreOnlySummedAreSummedAndCountedOnce) {
  RunSql(Direct().get(),
         "ALTER TABLE trace_spans ADD CONSTRAINT no_curses"
         " CHECK (operation <> 'curse')");
  proxy_.WhenServerSays("COMMIT", FaultyProxy::Fault::kCut, 3);
  RunningTracer tracer(ThroughProxy(), [](Options& o) {
    o.batch_rows = 200;
    o.sample_ratio = 0;
  });
  Tracer recorder;
  for (int i = 0; i < 1000; ++i) {
    Span span = recorder.StartSpan("fault", i % 300 == 150 ? "curse" : "step");
    if (i % 10 == 0) span.CompleteWithError("it failed", "error");
  }
  const absl::Status flushed = tracer.Flush();
  EXPECT_TRUE(absl::IsDataLoss(flushed)) << flushed;
  EXPECT_EQ(proxy_.faults_left(), 0);
  EXPECT_TRUE(tracer.Shutdown().ok());
  EXPECT_EQ(tracer.Counted().persisted, 97U);
  EXPECT_EQ(tracer.Counted().sampled_out, 900U);
  EXPECT_EQ(Dropped(tracer, DropReason::kRejected), 3U);
  ExpectDatabaseAgrees(Direct().get(), tracer);
  EXPECT_EQ(ValueOf(Direct().get(), "SELECT sum(spans) FROM trace_rollups WHERE hours = 1"), "997");
}

}  // namespace
}  // namespace spanring::test

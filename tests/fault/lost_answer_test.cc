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

}  // namespace
}  // namespace spanring::test

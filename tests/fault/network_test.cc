// Faults of the line: refused, reset, half-open, slow, late, cut at any byte.
#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "e2e/harness.h"
#include "fault/faulty_proxy.h"

namespace spanring::test {
namespace {

using Door = FaultyProxy::Door;
using Fault = FaultyProxy::Fault;
using Mode = FaultyProxy::Mode;
using std::chrono::milliseconds;

// Through a Unix door and through a TCP one.
class Network : public testing::TestWithParam<Door> {
 protected:
  Network() { Migrate(server_->conninfo()); }

  std::string ThroughProxy() { return absl::StrCat(server_->conninfo(), " ", proxy_.conninfo()); }

  // Who is cut off is given up by the server too.
  void MendTheLine() {
    proxy_.SetMode(Mode::kRefuse);
    proxy_.SetMode(Mode::kPass);
  }

  dev::TemporaryServer server_ = OwnServer();
  const pg::Connection admin_ = ConnectTo(server_->conninfo());
  FaultyProxy proxy_{server_->socket_folder() + "/.s.PGSQL.5432", GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Doors, Network, testing::Values(Door::kUnix, Door::kTcp),
                         [](const auto& door) {
                           return door.param == Door::kUnix ? "Unix" : "Tcp";
                         });

TEST_P(Network, RefusedAtTheStart) {
  proxy_.SetMode(Mode::kRefuse);
  RunningTracer tracer(ThroughProxy());
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([] { return LinesWith("check DATABASE_URL") > 0; }));
  EXPECT_EQ(tracer.Counted().persisted, 0U);
  EXPECT_EQ(tracer.Counted().journalled, 1000U);
  proxy_.SetMode(Mode::kPass);
  ExpectAllArrived(admin_.get(), tracer, 1000);
  proxy_.SetMode(Mode::kRefuse);  // Its door was closed when the tracer came.
}

TEST_P(Network, RefusedAmidAndForGood) {
  RunningTracer tracer(ThroughProxy());
  tracer.Record(1000);
  ASSERT_TRUE(tracer.Flush().ok());
  proxy_.SetMode(Mode::kRefuse);
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([] { return LinesWith("failed to persist trace span") > 0; }));
  ExpectDeadlinesKept(tracer, 1000);
  EXPECT_EQ(NumberOf(admin_.get(), "SELECT count(*) FROM trace_spans"), 1000);
}

TEST_P(Network, ResetWhileItLasts) {
  RunningTracer tracer(ThroughProxy());
  tracer.Record(1000);
  ASSERT_TRUE(tracer.Flush().ok());
  proxy_.SetMode(Mode::kReset);
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([&] { return proxy_.counts().resets >= 3; }));
  proxy_.SetMode(Mode::kPass);
  ExpectAllArrived(admin_.get(), tracer, 2000);
}

// Hits the start-up, the statements, COPY's header, rows and end.
TEST_P(Network, CutAndResetAtRandomBytes) {
  RunningTracer tracer(ThroughProxy(), [](Options& o) {
    o.batch_rows = 40;
    o.flush_interval_ms = 1;
    o.retry_max_ms = 10;
  });
  std::mt19937_64 random(Seed());
  const int rounds = std::max(50, static_cast<int>(150 * Scale()));
  std::uint64_t spans = 0;
  for (int i = 0; i < rounds; ++i) {
    proxy_.AfterClientBytes(random() % 12'000, i % 2 == 0 ? Fault::kCut : Fault::kReset);
    ASSERT_TRUE(Eventually([&] {
      tracer.Record(10);
      spans += 10;
      return proxy_.faults_left() == 0;
    })) << i;
  }
  EXPECT_GE(proxy_.counts().cuts, rounds);
  EXPECT_GE(tracer.Counted().persist_failures, 1U);
  ExpectAllArrived(admin_.get(), tracer, spans);
}

TEST_P(Network, HalfOpenWhileConnecting) {
  proxy_.SetMode(Mode::kSwallow);
  RunningTracer tracer(ThroughProxy());
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([&] { return proxy_.counts().swallowed_bytes > 0; }));
  ExpectDeadlinesKept(tracer, 1000);
  MendTheLine();
}

TEST_P(Network, HalfOpenAmidCopy) {
  RunningTracer tracer(ThroughProxy());
  tracer.Record(1);
  ASSERT_TRUE(tracer.Flush().ok());
  proxy_.AfterClientBytes(20'000, Fault::kSwallow);
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([&] { return proxy_.counts().swallowed_bytes > 0; }));
  ExpectDeadlinesKept(tracer, 1000);
  MendTheLine();
}

TEST_P(Network, HalfOpenWhileTheCommitIsAnswered) {
  RunningTracer tracer(ThroughProxy());
  tracer.Record(1);
  ASSERT_TRUE(tracer.Flush().ok());
  proxy_.WhenServerSays("COPY ", Fault::kSwallow, 1);
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([&] { return proxy_.faults_left() == 0; }));
  ExpectDeadlinesKept(tracer, 1000);  // Dropped as far as we know, and in fact committed.
  EXPECT_EQ(NumberOf(admin_.get(), "SELECT count(*) FROM trace_spans"), 1001);
  MendTheLine();
}

TEST_P(Network, HalfOpenLinesAreGivenUpAndEverySpanArrivesOnce) {
  RunningTracer tracer(ThroughProxy(), [](Options& o) {
    o.connect_timeout_ms = 500;
    o.batch_timeout_ms = 500;
  });
  proxy_.SetMode(Mode::kSwallow);
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([] { return LinesWith("no answer from the server in time") > 0; }));
  proxy_.SetMode(Mode::kPass);
  ASSERT_TRUE(tracer.Flush().ok());
  proxy_.WhenServerSays("COPY ", Fault::kSwallow, 1);
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([&] { return proxy_.faults_left() == 0; }));
  const absl::Status flushed = tracer.Flush(120);
  EXPECT_TRUE(flushed.ok()) << flushed;
  MendTheLine();
  ExpectAllArrived(admin_.get(), tracer, 2000);
}

// The server waits for the rest of a COPY, and its transaction holds the batch's key in the ledger
// until it hears that its client has gone. Until then the batch cannot be sent again.
TEST_P(Network, HalfOpenAmidCopyEndsWhenTheServerHears) {
  RunningTracer tracer(ThroughProxy(), [](Options& o) { o.batch_timeout_ms = 500; });
  tracer.Record(1);
  ASSERT_TRUE(tracer.Flush().ok());
  proxy_.AfterClientBytes(20'000, Fault::kSwallow);
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([&] { return tracer.Counted().persist_failures >= 3; }));
  EXPECT_EQ(tracer.Counted().journalled, 1000U);
  MendTheLine();
  ExpectAllArrived(admin_.get(), tracer, 1001);
}

TEST_P(Network, OneByteASecond) {
  RunningTracer tracer(ThroughProxy());
  tracer.Record(1);
  ASSERT_TRUE(tracer.Flush().ok());
  proxy_.Slow(1);
  tracer.Record(1000);
  ExpectDeadlinesKept(tracer, 1000);
}

TEST_P(Network, SlowAtTheStartAndFastLater) {
  proxy_.Slow(1);
  RunningTracer tracer(ThroughProxy(), [](Options& o) { o.connect_timeout_ms = 500; });
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([] { return LinesWith("no answer from the server in time") > 0; }));
  proxy_.Slow(0);
  ExpectAllArrived(admin_.get(), tracer, 1000);
}

TEST_P(Network, EveryChunkIsLate) {
  proxy_.Delay(milliseconds(300));
  RunningTracer tracer(ThroughProxy(), [](Options& o) { o.batch_rows = 1000; });
  tracer.Record(5000);
  ExpectAllArrived(admin_.get(), tracer, 5000);
  EXPECT_EQ(tracer.Counted().persist_failures, 0U);
}

}  // namespace
}  // namespace spanring::test

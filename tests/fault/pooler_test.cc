// Through PgBouncer in transaction mode: load from several processes, and its death amid.
#include "fault/pooler.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "e2e/harness.h"

namespace spanring::test {
namespace {

using std::chrono::milliseconds;

class PoolerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!Pooler::Available()) GTEST_SKIP() << "install pgbouncer";
    Migrate(server_->conninfo());
    pooler_.emplace(*server_);
  }
  std::string ThroughPooler() {
    return absl::StrCat(server_->conninfo(), " ", pooler_->conninfo());
  }
  // Two processes that record for `time` and deliver; `meanwhile` breaks what it likes.
  void RunLoad(milliseconds time, const std::function<void()>& meanwhile) {
    auto load = std::async(std::launch::async, [&] {
      return RunProgram("SPANRING_FAULTED_PROGRAM", ThroughPooler(),
                        {"load", std::to_string(time.count())},
                        {"SPANRING_BATCH_ROWS=200", "SPANRING_FLUSH_INTERVAL_MS=5",
                         "SPANRING_RETRY_MAX_MS=500", "SPANRING_LOG=off"});
    });
    meanwhile();
    const dev::Finished finished = load.get();
    EXPECT_EQ(finished.exit_code, 0) << finished.output;
    const pg::Connection direct = ConnectTo(server_->conninfo());
    ExpectWritersAgree(direct.get(), 2);
    EXPECT_GT(NumberOf(direct.get(), "SELECT count(*) FROM trace_spans"), 0);
  }

  dev::TemporaryServer server_ = OwnServer({}, {"synchronous_commit = on"});
  std::optional<Pooler> pooler_;
};

TEST_F(PoolerTest, TwoProcessesAtOnce) {
  RunLoad(milliseconds(1500), [] {});
}

TEST_F(PoolerTest, KilledUnderLoad) {
  std::mt19937_64 random(Seed());
  RunLoad(milliseconds(5000), [&] {
    for (int i = 0; i < 5; ++i) {
      std::this_thread::sleep_for(milliseconds(300 + random() % 500));
      pooler_->Kill();
      pooler_->Start();
    }
  });
}

TEST_F(PoolerTest, StoppedInOrderUnderLoad) {
  RunLoad(milliseconds(2000), [&] {
    std::this_thread::sleep_for(milliseconds(700));
    pooler_->Stop();
    std::this_thread::sleep_for(milliseconds(300));
    pooler_->Start();
  });
}

TEST_F(PoolerTest, TheServerBehindItIsKilledUnderLoad) {
  RunLoad(milliseconds(4000), [&] {
    for (int i = 0; i < 2; ++i) {
      std::this_thread::sleep_for(milliseconds(900));
      EXPECT_TRUE(server_->Kill().ok());
      const absl::Status started = server_->Start();
      EXPECT_TRUE(started.ok()) << started;
    }
  });
}

TEST_F(PoolerTest, ARefusedRowIsDroppedAloneThroughIt) {
  const pg::Connection direct = ConnectTo(server_->conninfo());
  RunSql(direct.get(),
         "ALTER TABLE trace_spans ADD CONSTRAINT no_curses"
         " CHECK (operation <> 'curse')");
  RunningTracer tracer(ThroughPooler());
  tracer.Record(500);
  tracer.Record(1, "curse");
  tracer.Record(500);
  EXPECT_TRUE(absl::IsDataLoss(tracer.Flush()));
  EXPECT_TRUE(tracer.Shutdown().ok());
  EXPECT_EQ(tracer.Counted().persisted, 1000U);
  ExpectDatabaseAgrees(direct.get(), tracer);
}

}  // namespace
}  // namespace spanring::test

// What used to stop the whole way: one odd row, one odd name, one partition, one call too early.
#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "e2e/harness.h"
#include "support/database.h"

namespace spanring::test {
namespace {

TEST(Refusal, ARowThatExceedsALimitOfAnIndexIsDroppedAlone) {
  const TestDatabase database;
  database.Run("CREATE INDEX ON trace_spans (error_message)");
  RunningTracer tracer(database.conninfo());
  tracer.Record(100);
  std::mt19937_64 random(1);
  std::string incompressible;
  while (incompressible.size() < 12'000) absl::StrAppend(&incompressible, absl::Hex(random()));
  tracer->StartSpan("runner", "long").CompleteWithError(incompressible, "Long");
  tracer.Record(100);
  EXPECT_TRUE(absl::IsDataLoss(tracer.Flush()));
  EXPECT_EQ(tracer.Counted().persisted, 200U);
  EXPECT_EQ(tracer.Counted().dropped_by_reason[static_cast<int>(DropReason::kRejected)], 1U);
  EXPECT_TRUE(tracer.Shutdown().ok());
  ExpectDatabaseAgrees(database.connection(), tracer);
}

TEST(Refusal, ADayThatCannotHaveItsPartitionGoesToTheDefaultOne) {
  const TestDatabase database;
  database.Run("SELECT trace_ensure_partitions()");
  const std::string today =
      database.Value("SELECT 'trace_spans_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')");
  database.Run(absl::StrCat("ALTER TABLE trace_spans DETACH PARTITION ", today));
  RunningTracer tracer(database.conninfo());
  tracer.Record(100);
  const absl::Status flushed = tracer.Flush();
  EXPECT_TRUE(flushed.ok()) << flushed;
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans_default"), "100");
}

TEST(Refusal, AServiceNameThatIsNotUtf8LosesNothing) {
  const TestDatabase database;
  RunningTracer tracer(database.conninfo(),
                       [](Options& options) { options.service_name = "caf\xe9"; });
  tracer->StartSpan("", "step").Complete();
  const absl::Status flushed = tracer.Flush();
  EXPECT_TRUE(flushed.ok()) << flushed;
  EXPECT_EQ(database.Value("SELECT service FROM trace_spans"), "caf\xef\xbf\xbd");
  EXPECT_EQ(database.Value("SELECT service FROM trace_writers"), "caf\xef\xbf\xbd");
}

TEST(Refusal, AShutdownBesideAnotherKeepsItsOwnDeadlineAndTracingStaysOff) {
  RunningTracer tracer("host=/nonexistent");
  tracer.Record(10);
  std::thread slow([&] { tracer.Shutdown(5).IgnoreError(); });
  while (tracer->SetEnabled(true).ok()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(absl::IsDeadlineExceeded(tracer->Shutdown(absl::Milliseconds(50))));
  const auto waited = std::chrono::steady_clock::now() - start;
  slow.join();
  EXPECT_FALSE(tracer->enabled());
  EXPECT_FALSE(tracer->SetEnabled(true).ok());
  EXPECT_FALSE(tracer->StartSpan("runner", "late").is_recording());
  // The slow one takes five seconds: far from what a busy machine adds to 50 ms.
  EXPECT_LT(waited, std::chrono::seconds(3));
  ExpectIdentity(tracer->GetStats());
}

}  // namespace
}  // namespace spanring::test

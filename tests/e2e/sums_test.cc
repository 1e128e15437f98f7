// The sums that batches carry are those of their spans, whatever the batches and the ways.
#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "e2e/harness.h"
#include "recovery/recover.h"
#include "support/database.h"

namespace spanring::test {
namespace {

// Executions over the last days, their spans on several threads and in no order, some failed.
void RecordExecutions(std::uint64_t seed, int thread, int spans) {
  static constexpr const char* kServices[] = {"runner", "router", "mo\"dal'", "", "\\"};
  static constexpr const char* kOperations[] = {"execute", "call, {1}", "$1; --",
                                                "\xc3\xa9t\xc3\xa9"};
  std::mt19937_64 random(seed + static_cast<std::uint64_t>(thread));
  Tracer tracer;
  const absl::Time now = absl::Now();
  for (int n = 0; n < spans; ++n) {
    const auto pick = [&](const auto& list) { return list[random() % std::size(list)]; };
    const bool is_root = random() % 4 == 0;
    const SpanContext parent{TraceId(7, random() % 100 + 1), SpanId(random() | 1)};
    Span span = is_root ? tracer.StartSpan(pick(kServices), pick(kOperations))
                        : tracer.StartSpan(parent, pick(kServices), pick(kOperations));
    if (random() % 10 != 0) {
      tracer.SetExecutionContext(span, absl::StrCat("job ", random() % 5),
                                 static_cast<std::int64_t>(random() % 200) - 10, "m", "r");
    }
    const absl::Time start = now - absl::Microseconds(random() % 200'000'000'000ULL);
    span.SetStartTime(start);
    span.SetEndTime(start +
                    absl::Nanoseconds(static_cast<std::int64_t>(random() >> (1 + random() % 60))));
    if (random() % 8 == 0) {
      tracer.CompleteSpanWithError(span, "it failed", random() % 2 == 0 ? "timeout" : "error");
    } else {
      span.Complete();
    }
  }
}

class SumsOf : public testing::TestWithParam<std::uint64_t> {};

TEST_P(SumsOf, BatchesAreThoseOfTheirSpans) {
  const TestDatabase database;
  const std::uint64_t seed = Seed();
  RunningTracer tracer(database.conninfo(), [](Options& o) {
    o.batch_rows = 300;
    o.shippers = GetParam();
    o.ring_bytes = 16 << 20;
  });
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back(
        [=] { RecordExecutions(seed, i, static_cast<int>(4000 * Scale()) + 500); });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(tracer.Flush().ok());
  EXPECT_TRUE(tracer.Shutdown().ok());
  ExpectDatabaseAgrees(database.connection(), tracer);
  ExpectSumsAgree(database.connection());
  EXPECT_EQ(database.Value("SELECT sum(spans) = (SELECT count(*) FROM trace_spans)"
                           " FROM trace_rollups WHERE hours = 1"),
            "t");
}
INSTANTIATE_TEST_SUITE_P(Shippers, SumsOf, testing::Values(1, 3));

TEST(Sums, RowsThatTheServerRefusesAreNotInThem) {
  const TestDatabase database;
  database.Run("ALTER TABLE trace_spans ADD CONSTRAINT refused CHECK (operation <> 'refused')");
  RunningTracer tracer(database.conninfo());
  Tracer recorder;
  for (int i = 0; i < 500; ++i) {
    Span span = recorder.StartSpan("runner", i % 50 == 7 ? "refused" : "execute");
    recorder.SetExecutionContext(span, "job", i / 5, "m", "r");
    span.Complete();
  }
  tracer.Flush().IgnoreError();
  EXPECT_TRUE(tracer.Shutdown().ok());
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans"), "490");
  ExpectSumsAgree(database.connection());
}

TEST(Sums, MaintenanceRunsAsTheWriterDoes) {
  const TestDatabase database;
  Options options;
  options.database_url = database.conninfo();
  recovery::Recovery upkeep(options);
  const absl::Status status = upkeep.Maintain();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(database.Value("SELECT last_started_at > now() - interval '1 minute'"
                           " FROM trace_maintenance"),
            "t");
  upkeep.Abort();
  EXPECT_FALSE(upkeep.Maintain().ok()) << "a process that ends waits for no maintenance";
}

}  // namespace
}  // namespace spanring::test

// Eight threads and a million spans each, through a real PostgreSQL.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include "e2e/harness.h"
#include "support/database.h"

namespace spanring::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int kThreads = 8;
// Looked at after so many spans: small against a ring.
constexpr std::int64_t kStride = 500;

std::int64_t SpansPerThread() { return static_cast<std::int64_t>(1'000'000 * Scale()); }

double SecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

// Records on every thread; `pause` is called on it, with what it has recorded, after each stride.
void RecordOnAllThreads(const std::function<void(std::int64_t)>& pause) {
  static constinit CallSite kSite("e2e", "e2e.load");
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&pause] {
      Tracer tracer;
      Span root = tracer.StartSpan("e2e", "e2e.thread");
      const SpanContext parent = root.context();
      for (std::int64_t n = 1; n < SpansPerThread(); ++n) {
        tracer.StartSpan(parent, kSite, {{"n", n}}).Complete();
        if (n % kStride == 0) pause(n);
      }
      root.Complete();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void PrintRates(const char* what, const Stats& stats, double recorded_s, double delivered_s) {
  std::printf(
      "%s: %llu spans recorded in %.1f s (%.0f/s); %llu persisted after %.1f s (%.0f/s); %llu "
      "dropped",
      what, static_cast<unsigned long long>(stats.started), recorded_s,
      static_cast<double>(stats.started) / recorded_s,
      static_cast<unsigned long long>(stats.persisted), delivered_s,
      static_cast<double>(stats.persisted) / delivered_s,
      static_cast<unsigned long long>(stats.dropped));
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    if (stats.dropped_by_reason[i] == 0) continue;
    std::printf(", %s %llu", DropReasonName(static_cast<DropReason>(i)).data(),
                static_cast<unsigned long long>(stats.dropped_by_reason[i]));
  }
  std::printf("\n");
}

void ExpectAllCounted(RunningTracer& tracer, PGconn* connection) {
  const Stats stats = tracer.Counted();
  EXPECT_EQ(stats.started, static_cast<std::uint64_t>(kThreads * SpansPerThread()));
  EXPECT_EQ(stats.open, 0U);
  EXPECT_EQ(stats.journalled, 0U);
  ExpectDatabaseAgrees(connection, tracer);
}

TEST(Load, AtFullSpeedWhatIsNotInTheTableIsCountedAsDropped) {
  const TestDatabase database;
  RunningTracer tracer(database.conninfo());
  const auto start = steady_clock::now();
  RecordOnAllThreads([](std::int64_t) {});
  const double recorded_s = SecondsSince(start);
  tracer.Flush(300).IgnoreError();  // DataLoss, most likely: there is nothing to hold them back.
  const double delivered_s = SecondsSince(start);
  EXPECT_TRUE(tracer.Shutdown().ok());
  PrintRates("at full speed", tracer.Counted(), recorded_s, delivered_s);
  ExpectAllCounted(tracer, database.connection());
}

TEST(Load, AtTheSpeedOfTheDatabaseEverySpanArrives) {
  const TestDatabase database;
  RunningTracer tracer(database.conninfo(), [](Options& o) { o.journal_bytes = 512ULL << 20; });
  const auto start = steady_clock::now();
  RecordOnAllThreads([&tracer](std::int64_t) {
    while (tracer->GetStats().journalled > 40'000) std::this_thread::sleep_for(milliseconds(1));
  });
  const double recorded_s = SecondsSince(start);
  EXPECT_TRUE(tracer.Flush(300).ok());
  const double delivered_s = SecondsSince(start);
  EXPECT_TRUE(tracer.Shutdown().ok());
  const Stats stats = tracer.Counted();
  PrintRates("at the database's speed", stats, recorded_s, delivered_s);
  ExpectAllCounted(tracer, database.connection());
  // A drainer that another program starves for a while drops some, by a full ring and nothing else.
  EXPECT_EQ(stats.dropped, Dropped(tracer, DropReason::kRingFull));
  if (Scale() >= 1) {
    EXPECT_LT(stats.dropped, stats.started / 10);
  }
}

TEST(Load, ServerStoppedForTenSecondsLosesNothingUncounted) {
  dev::TemporaryServer server = OwnServer();
  Migrate(server->conninfo());
  RunningTracer tracer(server->conninfo(), [](Options& o) { o.journal_bytes = 256ULL << 20; });
  const auto start = steady_clock::now();
  // Spread over 30 s, whatever the database does.
  const double spans_per_second = static_cast<double>(SpansPerThread()) / 30;
  double recorded_s = 0;
  std::thread program([&] {
    RecordOnAllThreads([&](std::int64_t n) {
      const double due = static_cast<double>(n) / spans_per_second;
      if (const double early = due - SecondsSince(start); early > 0) {
        std::this_thread::sleep_for(std::chrono::duration<double>(early));
      }
    });
    recorded_s = SecondsSince(start);
  });
  std::this_thread::sleep_for(seconds(10));
  EXPECT_TRUE(server->Stop().ok());
  std::this_thread::sleep_for(seconds(10));
  const absl::Status started = server->Start();
  EXPECT_TRUE(started.ok()) << started;
  program.join();
  tracer.Flush(300).IgnoreError();
  const double delivered_s = SecondsSince(start);
  EXPECT_TRUE(tracer.Shutdown().ok());
  PrintRates("server stopped for 10 s", tracer.Counted(), recorded_s, delivered_s);
  ExpectAllCounted(tracer, ConnectTo(server->conninfo()).get());
  const int failures = LinesWith("failed to persist trace span");
  EXPECT_GE(failures, 1);
  EXPECT_LE(failures, 3 + static_cast<int>(delivered_s / 10));  // One in ten seconds.
  EXPECT_GT(tracer.Counted().persist_failures, 1U);
}

}  // namespace
}  // namespace spanring::test

#include "spanring/tracer.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/refusing.h"
#include "spanring/internal/runtime_api.h"

namespace spanring {
namespace {

std::uint64_t Dropped(const Stats& stats, DropReason reason) {
  return stats.dropped_by_reason[static_cast<std::size_t>(reason)];
}

void ExpectBalance(const Stats& stats) {
  EXPECT_EQ(stats.started, stats.persisted + stats.journalled + stats.open + stats.dropped);
  // None has gone below zero.
  EXPECT_LE(stats.persisted, stats.started);
  EXPECT_LE(stats.journalled, stats.started);
  EXPECT_LE(stats.open, stats.started);
  EXPECT_LE(stats.dropped, stats.started);
  std::uint64_t sum = 0;
  for (const std::uint64_t n : stats.dropped_by_reason) sum += n;
  EXPECT_EQ(sum, stats.dropped);
}

// The counts go on through the life of the process: each test looks at what it added.
class TracerTest : public testing::Test {
 protected:
  void SetUp() override {
    before_ = tracer_.GetStats();
    ASSERT_TRUE(Tracer::Start(options_).ok());
  }
  void TearDown() override { tracer_.Shutdown(absl::ZeroDuration()).IgnoreError(); }
  std::uint64_t Started() const { return tracer_.GetStats().started - before_.started; }
  std::uint64_t DroppedNow() const { return tracer_.GetStats().dropped - before_.dropped; }

  Options options_ = Refusing();
  Tracer tracer_;
  Stats before_;
};

TEST_F(TracerTest, StartTwiceSaysSoAndChangesNothing) {
  EXPECT_EQ(Tracer::Start(options_).code(), absl::StatusCode::kAlreadyExists);
  Options off = options_;
  off.enabled = false;
  EXPECT_EQ(Tracer::Start(off).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(tracer_.enabled());
  tracer_.StartSpan("s", "o").Complete();
  EXPECT_EQ(Started(), 1U);
}

TEST_F(TracerTest, FlushToDiskSaysWhatIsInMemoryAlone) {
  tracer_.StartSpan("s", "o").Complete();
  EXPECT_EQ(tracer_.FlushToDisk(absl::Milliseconds(20)).code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(TracerTest, TheSeedsCallsWork) {
  Span span =
      tracer_.StartSpan(tracer_.NewTraceId(), std::nullopt, "runner", "execute", {{"attempt", 1}});
  tracer_.SetExecutionContext(span, "job", 1, "model", "region");
  Span child =
      tracer_.StartSpan(span.context().trace_id, span.context().span_id, "router", "route");
  tracer_.CompleteSpanWithError(child, "refused", "CONNECTION_REFUSED");
  Span other = tracer_.StartSpan("s", "o");
  tracer_.CompleteSpanWithError(other, absl::UnavailableError("down"));
  tracer_.CompleteSpan(span);
  EXPECT_FALSE(span.is_recording());
  EXPECT_EQ(Started(), 3U);
  EXPECT_EQ(tracer_.GetStats().open, before_.open);
}

TEST_F(TracerTest, SpansBalanceAtEveryMomentUnderFourThreads) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      static constinit CallSite site("runner", "work");
      std::vector<Span> open;
      for (int i = 0; !stop.load(std::memory_order_relaxed); ++i) {
        Span span = tracer_.StartSpan(site, {{"i", i}});
        if (i % 3 == 0) {
          open.push_back(std::move(span));
          if (open.size() > 100) open.clear();
        }
        if (i % 1000 == t) std::this_thread::yield();
      }
    });
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  std::uint64_t readings = 0;
  while (std::chrono::steady_clock::now() < end && !HasFailure()) {
    ExpectBalance(tracer_.GetStats());
    ++readings;
  }
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  ExpectBalance(tracer_.GetStats());
  EXPECT_GT(readings, 100U);
  EXPECT_GT(Started(), 1000U);
  tracer_.Shutdown(absl::Milliseconds(100)).IgnoreError();
  const Stats after = tracer_.GetStats();
  ExpectBalance(after);
  EXPECT_EQ(after.journalled, 0U);
  EXPECT_EQ(after.open, before_.open);
  EXPECT_EQ(after.persisted, 0U);
  EXPECT_EQ(after.started, after.open + after.dropped);
}

TEST_F(TracerTest, ShutdownDropsWhatItCouldNotDeliverAndSaysSo) {
  for (int i = 0; i < 100; ++i) tracer_.StartSpan("s", "o").Complete();
  const absl::Status status = tracer_.Shutdown(absl::Milliseconds(50));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  const Stats after = tracer_.GetStats();
  EXPECT_EQ(Dropped(after, DropReason::kShutdown) - Dropped(before_, DropReason::kShutdown), 100U);
  EXPECT_GT(after.persist_failures, before_.persist_failures);
  ExpectBalance(after);
}

TEST_F(TracerTest, AfterShutdownNothingIsRecordedAndCallsAreHarmless) {
  Span open = tracer_.StartSpan("s", "open");
  tracer_.Shutdown(absl::ZeroDuration()).IgnoreError();
  EXPECT_FALSE(tracer_.enabled());
  EXPECT_FALSE(tracer_.StartSpan("s", "o").is_recording());
  EXPECT_EQ(Started(), 1U);
  EXPECT_TRUE(tracer_.Shutdown(absl::Seconds(1)).ok()) << "a second call does nothing";
  EXPECT_EQ(tracer_.Flush(absl::Seconds(1)).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(tracer_.SetEnabled(true).code(), absl::StatusCode::kFailedPrecondition);
  open.SetAttribute("late", true);
  open.Complete();
  ExpectBalance(tracer_.GetStats());
  EXPECT_EQ(tracer_.GetStats().open, before_.open);
}

TEST_F(TracerTest, RestartsAfterShutdown) {
  for (int round = 0; round < 5; ++round) {
    tracer_.StartSpan("s", "o").Complete();
    tracer_.Shutdown(absl::ZeroDuration()).IgnoreError();
    ASSERT_TRUE(Tracer::Start(options_).ok());
    EXPECT_TRUE(tracer_.enabled());
  }
  EXPECT_EQ(Started(), 5U);
  std::thread([&] { tracer_.StartSpan("s", "o").Complete(); }).join();
  tracer_.Shutdown(absl::ZeroDuration()).IgnoreError();
  // And what earlier tests ended after their shutdown, which waited in a ring.
  EXPECT_EQ(DroppedNow(), 6 + before_.journalled);
}

TEST_F(TracerTest, SetEnabledSwitchesStartsOnly) {
  Span open = tracer_.StartSpan("s", "open");
  ASSERT_TRUE(tracer_.SetEnabled(false).ok());
  EXPECT_FALSE(tracer_.enabled());
  EXPECT_FALSE(tracer_.StartSpan("s", "o").is_recording());
  open.Complete();
  EXPECT_EQ(tracer_.GetStats().open, before_.open);
  ASSERT_TRUE(tracer_.SetEnabled(true).ok());
  EXPECT_TRUE(tracer_.StartSpan("s", "o").is_recording());
  EXPECT_EQ(Started(), 2U);
}

TEST_F(TracerTest, FlushKeepsItsDeadlineWhenTheDatabaseRefuses) {
  tracer_.StartSpan("s", "o").Complete();
  const auto begin = std::chrono::steady_clock::now();
  const absl::Status status = tracer_.Flush(absl::Milliseconds(200));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST_F(TracerTest, AFlushOfNothingIsOk) { EXPECT_TRUE(tracer_.Flush(absl::Seconds(60)).ok()); }

TEST_F(TracerTest, MisusesAreCounted) {
  Span span = tracer_.StartSpan("s", "o");
  span.Complete();
  span.Complete();
  Span a = tracer_.StartSpan("s", "o");
  const Span b = std::move(a);
  a.SetAttribute("k", 1);  // NOLINT(bugprone-use-after-move): this is the test.
  EXPECT_EQ(tracer_.GetStats().misuses - before_.misuses, 2U);
}

TEST_F(TracerTest, SpansOfThreadLocalDestructorsAreRecorded) {
  struct AtThreadEnd {
    Tracer tracer;
    Span held;
    ~AtThreadEnd() {
      Span last = tracer.StartSpan("s", "in a thread_local destructor");
      held.Complete();
    }
  };
  for (int i = 0; i < 20; ++i) {
    std::thread([&] {
      thread_local AtThreadEnd at_end;
      at_end.held = tracer_.StartSpan("s", "held");
    }).join();
  }
  EXPECT_EQ(Started(), 40U);
  EXPECT_EQ(tracer_.GetStats().open, before_.open);
}

TEST_F(TracerTest, TheJournalIsBoundedAndItsDropsAreCounted) {
  TearDown();
  options_.journal_bytes = 1024 * 1024;
  ASSERT_TRUE(Tracer::Start(options_).ok());
  const std::string text(1000, 'x');
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (Dropped(tracer_.GetStats(), DropReason::kJournalFull) ==
             Dropped(before_, DropReason::kJournalFull) &&
         std::chrono::steady_clock::now() < deadline) {
    for (int i = 0; i < 100; ++i) tracer_.StartSpan("s", "o", {{"text", text}}).Complete();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ExpectBalance(tracer_.GetStats());
  }
  EXPECT_GT(Dropped(tracer_.GetStats(), DropReason::kJournalFull),
            Dropped(before_, DropReason::kJournalFull));
  EXPECT_LT(tracer_.GetStats().journalled, 3000U);
}

// A server that takes the connection and never says a word.
TEST_F(TracerTest, ShutdownKeepsItsDeadlineWhenTheDatabaseIsSilent) {
  TearDown();
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(listener, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listener, 16), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  options_.database_url = "host=127.0.0.1 port=" + std::to_string(ntohs(address.sin_port));
  options_.connect_timeout_ms = 600'000;
  ASSERT_TRUE(Tracer::Start(options_).ok());
  tracer_.StartSpan("s", "o").Complete();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(tracer_.Shutdown(absl::Milliseconds(300)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  close(listener);
}

}  // namespace
}  // namespace spanring

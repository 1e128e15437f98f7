#include "flush/drainer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <semaphore>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "flush/row.h"
#include "flush/row_reader.h"
#include "ring/sampling.h"
#include "ring/this_thread.h"
#include "spanring/internal/runtime_api.h"

namespace spanring::flush {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

steady_clock::time_point Soon() { return steady_clock::now() + seconds(60); }

// A drainer on a thread of its own, without a shipper.
class Draining : public testing::Test {
 protected:
  Draining() : registry_(*new ring::Registry(1024 * 1024, 1000)) {
    registries_.push_back(&registry_);
    ring::SetRegistry(&registry_);
  }
  ~Draining() override {
    Stop();
    ring::SetRegistry(nullptr);
  }
  void Start(const DrainerOptions& options, std::uint64_t journal_bytes = 64 * 1024 * 1024) {
    journal_ = std::make_unique<Journal>(JournalOptions{.capacity_bytes = journal_bytes});
    drainer_ = std::make_unique<Drainer>(options, &registry_, journal_.get(), &counters_, [this] {
      if (wakes_.fetch_add(1) == 0 && on_first_wake_) on_first_wake_();
    });
    thread_ = std::thread([this] { drainer_->Run(); });
  }
  void Stop() {
    if (!thread_.joinable()) return;
    drainer_->Stop();
    thread_.join();
  }
  static void Spans(int count) {
    for (int i = 0; i < count; ++i) {
      internal::EndSpanCompleted(
          internal::StartSpan(TraceId(1, 2), SpanId(), "service", "operation"));
    }
  }
  static void SpansOnAThread(int count) {
    std::thread([=] { Spans(count); }).join();
  }
  static void TenSpansEachOnThreadsAtOnce() {
    std::atomic<std::size_t> ready{0};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < kThreadsAtOnce; ++t) {
      threads.emplace_back([&] {
        Spans(1);
        ready.fetch_add(1);
        while (ready.load() < kThreadsAtOnce) std::this_thread::yield();
        Spans(9);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  void WaitUntilCold(std::uint64_t producers) {
    for (const auto deadline = Soon();
         registry_.cold() < producers && steady_clock::now() < deadline;) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_GE(registry_.cold(), producers);
  }
  void Flush() {
    const std::uint64_t ticket = drainer_->RequestFlush();
    ASSERT_TRUE(drainer_->WaitForFlush(ticket, Soon()));
  }
  // The span ids in all sealed batches.
  std::vector<std::string> TakeAll() {
    std::vector<std::string> ids;
    while (Batch* batch = journal_->Take()) {
      std::string_view rest(reinterpret_cast<const char*>(batch->data.data()), batch->data.size());
      for (std::uint32_t i = 0; i < batch->rows; ++i) {
        ids.push_back(TakeRow(rest).Uuid(kSpanIdColumn));
      }
      EXPECT_TRUE(rest.empty());
      journal_->Done(batch);
    }
    return ids;
  }
  Stats Count() const {
    const Stats gone = counters_.Read();
    Stats stats = registry_.Count();
    Counters::Add(gone, stats);
    return stats;
  }

  static constexpr std::size_t kThreadsAtOnce = 60;
  ring::Registry& registry_;
  Counters counters_;
  std::atomic<int> wakes_{0};
  std::function<void()> on_first_wake_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Drainer> drainer_;
  std::thread thread_;
  // Never destroyed, for the leak checker.
  static inline auto& registries_ = *new std::vector<ring::Registry*>;
};

TEST_F(Draining, AFlushTakesAllThatWasCommittedBefore) {
  Start({.batch_rows = 100'000, .flush_interval_ms = 60'000, .service_name = "s"});
  std::set<std::string> ids;
  std::size_t expected = 0;
  for (const int count : {1, 10, 3000}) {
    SpansOnAThread(count);
    expected += static_cast<std::size_t>(count);
    Flush();
    for (const std::string& id : TakeAll()) EXPECT_TRUE(ids.insert(id).second) << "twice";
    EXPECT_EQ(ids.size(), expected);
  }
  EXPECT_GT(wakes_.load(), 0);
  EXPECT_EQ(drainer_->flushed_sequence(), journal_->next_sequence());
}

TEST_F(Draining, AFlushOfNothingIsOverAtOnceAndSealsNothing) {
  Start({.batch_rows = 10, .flush_interval_ms = 60'000, .service_name = "s"});
  Flush();
  EXPECT_EQ(journal_->Take(), nullptr);
}

// Does what it is told on a thread of its own, one thing after the other.
class Worker {
 public:
  ~Worker() {
    Do(nullptr);
    thread_.join();
  }
  void Do(std::function<void()> what) {
    what_ = std::move(what);
    told_.release();
    done_.acquire();
  }

 private:
  void Run() {
    for (bool goes_on = true; goes_on;) {
      told_.acquire();
      goes_on = what_ != nullptr;
      if (goes_on) what_();
      done_.release();
    }
  }

  std::function<void()> what_;
  std::binary_semaphore told_{0};
  std::binary_semaphore done_{0};
  std::thread thread_{[this] { Run(); }};
};

// Of each trace a call fails on one thread, then its caller ends on another; one pass sees both.
TEST_F(Draining, ACallerIsStoredThoughItsCallFailedOnAnotherThread) {
  // relaxed, here and below: no drainer runs.
  ring::g_sampling_rule.store(ring::SamplingRule(0, true), std::memory_order_relaxed);
  constexpr std::uint64_t kTraces = 3000;
  {
    Worker workers[2];
    for (std::uint64_t trace = 1; trace <= kTraces; ++trace) {
      const auto start = [&] {
        return internal::StartSpan(TraceId(1, trace), SpanId(), "service", "operation");
      };
      workers[trace % 2].Do([&] { internal::EndSpanCompleted(start()); });
      workers[trace % 2].Do([&] { internal::EndSpanWithError(start(), "it failed", "error"); });
      workers[1 - trace % 2].Do([&] { internal::EndSpanCompleted(start()); });
    }
  }
  Start({.batch_rows = 100'000, .flush_interval_ms = 60'000, .service_name = "s"});
  Flush();
  Stop();
  ring::g_sampling_rule.store(ring::SamplingRule(), std::memory_order_relaxed);
  std::uint64_t stored = 0;
  std::uint64_t summed = 0;
  while (Batch* batch = journal_->Take()) {
    std::string_view rest(reinterpret_cast<const char*>(batch->data.data()), batch->data.size());
    for (RowView row; ReadRow(&rest, &row);) ++(row.is_stored ? stored : summed);
    journal_->Done(batch);
  }
  EXPECT_EQ(stored, 2 * kTraces);
  EXPECT_EQ(summed, kTraces);
}

TEST_F(Draining, ADeadlineThatHasPassedIsNotWaitedFor) {
  Start({.batch_rows = 10, .flush_interval_ms = 60'000, .service_name = "s"});
  Stop();
  EXPECT_FALSE(drainer_->WaitForFlush(1'000'000, steady_clock::now()));
}

TEST_F(Draining, SealsByRows) {
  Start({.batch_rows = 7, .flush_interval_ms = 60'000, .service_name = "s"});
  SpansOnAThread(24);
  Flush();
  std::vector<std::uint32_t> rows;
  while (Batch* batch = journal_->Take()) {
    rows.push_back(batch->rows);
    journal_->Done(batch);
  }
  // Whenever the passes came: no batch is larger.
  std::uint32_t total = 0;
  for (const std::uint32_t n : rows) {
    EXPECT_LE(n, 7U);
    total += n;
  }
  EXPECT_EQ(total, 24U);
  EXPECT_EQ(rows.size(), 4U);
}

TEST_F(Draining, SealsByTimeWithoutAFlush) {
  Start({.batch_rows = 100'000, .flush_interval_ms = 20, .service_name = "s"});
  SpansOnAThread(5);
  std::size_t rows = 0;
  for (const auto deadline = Soon(); rows < 5 && steady_clock::now() < deadline;) {
    rows += TakeAll().size();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(rows, 5U);
}

TEST_F(Draining, TheBatchGrowsWhileTheShipperIsBusy) {
  Start({.batch_rows = 100'000, .flush_interval_ms = 1, .service_name = "s"});
  SpansOnAThread(1);
  for (const auto deadline = Soon(); journal_->waiting() == 0 && steady_clock::now() < deadline;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_EQ(journal_->waiting(), 1U);
  for (int i = 0; i < 10; ++i) {
    SpansOnAThread(1);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(journal_->waiting(), 1U);
  Flush();
  EXPECT_EQ(journal_->waiting(), 2U);
  EXPECT_EQ(TakeAll().size(), 11U);
}

TEST_F(Draining, AFullJournalDropsTheNewestAndCounts) {
  Start({.batch_rows = 100, .flush_interval_ms = 1, .service_name = "s"}, 10'000);
  SpansOnAThread(2000);
  Flush();
  const std::size_t kept = TakeAll().size();
  const Stats stats = Count();
  EXPECT_GT(kept, 10U);
  EXPECT_EQ(stats.started, 2000U);
  EXPECT_EQ(stats.dropped_by_reason[static_cast<std::size_t>(DropReason::kJournalFull)],
            2000 - kept);
  EXPECT_EQ(stats.journalled, kept) << "this test's shipper counts nothing as persisted";
  EXPECT_EQ(counters_.Undelivered(), kept);
  // With room again, spans come through again.
  SpansOnAThread(3);
  Flush();
  EXPECT_EQ(TakeAll().size(), 3U);
}

TEST_F(Draining, StopDrainsOnceMore) {
  Start({.batch_rows = 100'000, .flush_interval_ms = 60'000, .service_name = "s"});
  SpansOnAThread(123);
  Stop();
  EXPECT_EQ(TakeAll().size(), 123U);
}

TEST_F(Draining, StopIsAFlushThatCanBeWaitedFor) {
  Start({.batch_rows = 100'000, .flush_interval_ms = 60'000, .service_name = "s"});
  SpansOnAThread(5);
  drainer_->Stop();
  ASSERT_TRUE(drainer_->WaitUntilEnded(Soon()));
  EXPECT_EQ(TakeAll().size(), 5U);
  EXPECT_EQ(journal_->next_sequence(), 2U);
}

TEST_F(Draining, ThreadsThatHaveEndedLeaveTheirSpansAndNoMemory) {
  Start({.batch_rows = 100'000, .flush_interval_ms = 60'000, .service_name = "s"});
  for (std::uint64_t round = 1; round <= 3; ++round) {
    TenSpansEachOnThreadsAtOnce();
    WaitUntilCold(kThreadsAtOnce - ring::kWarmProducers);
    // One more where a thread found all others taken.
    EXPECT_LE(registry_.cold(), kThreadsAtOnce - ring::kWarmProducers + 1);
    Flush();
    EXPECT_EQ(TakeAll().size(), 10 * kThreadsAtOnce);
    EXPECT_EQ(Count().started, round * 10 * kThreadsAtOnce);
    EXPECT_EQ(Count().journalled, round * 10 * kThreadsAtOnce);
  }
}

// The drainer is held up after a pass, so that it has read none of the rings when it looks for
// memory to give back.
TEST_F(Draining, ARingIsReadToItsEndBeforeItsPagesGo) {
  std::binary_semaphore held(0);
  std::binary_semaphore go_on(0);
  on_first_wake_ = [&] {
    held.release();
    go_on.acquire();
  };
  Start({.batch_rows = 100'000, .flush_interval_ms = 60'000, .service_name = "s"});
  SpansOnAThread(1);
  drainer_->RequestFlush();
  held.acquire();
  TenSpansEachOnThreadsAtOnce();
  go_on.release();
  WaitUntilCold(kThreadsAtOnce - ring::kWarmProducers);
  Flush();
  EXPECT_EQ(TakeAll().size(), 1 + 10 * kThreadsAtOnce);
  EXPECT_EQ(Count().journalled, 1 + 10 * kThreadsAtOnce);
}

TEST_F(Draining, BusyThreadsAndManyFlushesLoseAndDoubleNothing) {
  Start({.batch_rows = 500, .flush_interval_ms = 1, .service_name = "s"});
  std::atomic<int> running{3};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        Spans(200);
        std::this_thread::yield();
      }
      running.fetch_sub(1);
    });
  }
  std::set<std::string> ids;
  std::size_t rows = 0;
  const auto collect = [&] {
    for (std::string& id : TakeAll()) {
      ++rows;
      ids.insert(std::move(id));
    }
  };
  while (running.load() > 0) {
    Flush();
    collect();
    const Stats stats = Count();
    EXPECT_EQ(stats.started, stats.journalled + stats.open + stats.dropped);
    EXPECT_LE(stats.journalled, 30'000U);
  }
  for (std::thread& thread : threads) thread.join();
  Flush();
  collect();
  EXPECT_EQ(rows, ids.size());
  EXPECT_EQ(rows + Count().dropped, 30'000U);
}

}  // namespace
}  // namespace spanring::flush

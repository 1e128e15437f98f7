// The life of threads: their first span, their end, thousands of them. Each in a process of its
// own.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <latch>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "recovery/folder_fixture.h"
#include "ring/registry.h"
#include "runtime/refusing.h"
#include "runtime/sanitizers.h"
#include "spanring/spanring.h"

namespace spanring {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

// Ends the process where `condition` fails: in a child, gtest's own assertions are not seen.
void Require(bool condition, int line) {
  if (condition) return;
  std::fprintf(stderr, "thread_life_test.cc:%d\n", line);
  _exit(100);
}
#define REQUIRE(condition) Require((condition), __LINE__)

constexpr std::uint64_t kMiB = 1024 * 1024;

std::uint64_t Dropped(const Stats& stats, DropReason reason) {
  return stats.dropped_by_reason[static_cast<std::size_t>(reason)];
}

void RequireBalance(const Stats& stats) {
  REQUIRE(stats.started == stats.persisted + stats.journalled + stats.open + stats.dropped);
  REQUIRE(stats.open <= stats.started && stats.journalled <= stats.started);
}

struct Memory {
  std::uint64_t mapped_bytes;
  std::uint64_t resident_bytes;
};

Memory MemoryNow() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  REQUIRE(file != nullptr);
  unsigned long mapped = 0;
  unsigned long resident = 0;
  REQUIRE(std::fscanf(file, "%lu %lu", &mapped, &resident) == 2);
  std::fclose(file);
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return {mapped * page, resident * page};
}

class ThreadLifeDeathTest : public testing::Test {
 protected:
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

// --- The first span ---

long PageFaultsOfThisThread() {
  rusage usage{};
  REQUIRE(getrusage(RUSAGE_THREAD, &usage) == 0);
  return usage.ru_minflt + usage.ru_majflt;
}

constinit CallSite g_site("runner", "runner.work");

void SixtyFourAtOnce(Tracer& tracer) {
  Span spans[64];
  for (Span& span : spans) span = tracer.StartSpan(g_site, {{"k", "value"}});
}

// A thread's stack takes its page faults without any span.
__attribute__((noinline)) void TouchStack() {
  volatile char stack[64 * 1024];
  for (std::size_t i = 0; i < sizeof(stack); i += 1024) stack[i] = 1;
}

// In memory of its own, or in files.
[[noreturn]] void RecordWithoutPageFaults(bool in_files) {
  Options options = Refusing();
  std::optional<recovery::TemporaryFolder> folder;
  if (in_files) options.ring_dir = folder.emplace("/dev/shm").path() + "/rings";
  options.journal_bytes = 1024 * kMiB;
  REQUIRE(Tracer::Start(options).ok());
  // The code itself is read from its file at its first use, by any thread; that of a full ring and
  // of the end of a lap too, and what the loop below calls besides.
  std::thread([] {
    Tracer tracer;
    TouchStack();
    static_cast<void>(tracer.GetStats());
    for (int i = 0; i < 1'000; ++i) SixtyFourAtOnce(tracer);
    PageFaultsOfThisThread();
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  }).join();
  // The second thread's producer is new: the first one's is held.
  Tracer tracer;
  const Span held = tracer.StartSpan(g_site);
  std::thread([&] {
    const Span second = tracer.StartSpan(g_site);
    std::thread([&] {
      std::uint64_t recorded = 0;
      TouchStack();
      tracer.StartSpan(g_site).Complete();
      const long before = PageFaultsOfThisThread();
      // More than 12 laps of the ring. A drainer that cannot keep up costs drops, never a fault.
      while (recorded < 200'000) {
        const std::uint64_t dropped = tracer.GetStats().dropped;
        for (int i = 0; i < 30; ++i) SixtyFourAtOnce(tracer);
        recorded += 30 * 64 - (tracer.GetStats().dropped - dropped);
        std::this_thread::sleep_for(std::chrono::microseconds(300));
      }
      const long faults = PageFaultsOfThisThread() - before;
      if (faults != 0) std::fprintf(stderr, "%ld page faults\n", faults);
      REQUIRE(faults == 0);
    }).join();
  }).join();
  // That faults are counted at all.
  std::thread([] {
    const long before = PageFaultsOfThisThread();
    std::vector<char> fresh(8 * kMiB, 1);
    // Volatile: what nobody looks at, the compiler need not allocate.
    const volatile char* const looked_at = fresh.data();
    REQUIRE(looked_at[4096] == 1 && PageFaultsOfThisThread() > before);
  }).join();
  REQUIRE(!in_files || folder->entries() == 1);
  folder.reset();
  _exit(0);
}

TEST_F(ThreadLifeDeathTest, AfterItsFirstSpanAThreadTakesNoPageFault) {
  if (kSanitizer) GTEST_SKIP() << "the sanitizer's own memory takes faults";
  EXPECT_EXIT(RecordWithoutPageFaults(/*in_files=*/false), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(RecordWithoutPageFaults(/*in_files=*/true), testing::ExitedWithCode(0), "");
}

[[noreturn]] void FirstSpanWithoutMemory() {
  REQUIRE(Tracer::Start(Refusing()).ok());
  std::latch limited(1);
  std::latch refused(1);
  std::latch lifted(1);
  Tracer tracer;
  std::thread thread([&] {
    limited.wait();
    for (int i = 0; i < 100; ++i) {
      Span span = tracer.StartSpan(g_site, {{"k", "v"}});
      REQUIRE(!span.is_recording());
    }
    refused.count_down();
    lifted.wait();
    for (int i = 0; i < 10; ++i) tracer.StartSpan(g_site).Complete();
  });
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_AS, &before) == 0);
  // Less than a ring is left.
  const rlimit tight{MemoryNow().mapped_bytes + kMiB / 2, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_AS, &tight) == 0);
  limited.count_down();
  refused.wait();
  Stats stats = tracer.GetStats();
  REQUIRE(setrlimit(RLIMIT_AS, &before) == 0);
  REQUIRE(stats.started == 100 && Dropped(stats, DropReason::kOutOfMemory) == 100);
  RequireBalance(stats);
  lifted.count_down();
  thread.join();
  stats = tracer.GetStats();
  REQUIRE(stats.started == 110 && Dropped(stats, DropReason::kOutOfMemory) == 100);
  REQUIRE(stats.journalled == 10);
  RequireBalance(stats);
  _exit(0);
}

TEST_F(ThreadLifeDeathTest, AThreadWithoutMemoryForItsRingCountsItsDrops) {
  if (kSanitizer) GTEST_SKIP() << "the sanitizer needs the address space";
  EXPECT_EXIT(FirstSpanWithoutMemory(), testing::ExitedWithCode(0), "");
}

// --- The end ---

[[noreturn]] void EndAfterTheirThreads() {
  REQUIRE(Tracer::Start(Refusing()).ok());
  constexpr std::size_t kThreads = 50;
  constexpr std::size_t kOpen = 20;
  Tracer tracer;
  std::vector<std::vector<Span>> open(kThreads);
  std::latch all_started(kThreads);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < kOpen; ++i) open[t].push_back(tracer.StartSpan(g_site));
      all_started.arrive_and_wait();
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(tracer.GetStats().open == kThreads * kOpen);
  // New threads go on with the producers of the old ones, or with others; and the drainer has time
  // to give back what memory it may.
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  threads.clear();
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Span mine = tracer.StartSpan(g_site);
      for (Span& span : open[t]) {
        span.SetAttribute("ended", "elsewhere");
        if (t % 2 == 0) span.Complete();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(tracer.GetStats().open == kThreads / 2 * kOpen);
  open.clear();
  const Stats stats = tracer.GetStats();
  REQUIRE(stats.started == kThreads * (kOpen + 1) && stats.open == 0 && stats.dropped == 0);
  REQUIRE(stats.journalled == stats.started);
  RequireBalance(stats);
  _exit(0);
}

TEST_F(ThreadLifeDeathTest, SpansOutliveTheirThreadsAndEndElsewhere) {
  EXPECT_EXIT(EndAfterTheirThreads(), testing::ExitedWithCode(0), "");
}

// --- Many ---

[[noreturn]] void ManyInSequence() {
  const int threads = kSanitizer ? 1000 : 10'000;
  REQUIRE(Tracer::Start(Refusing()).ok());
  Tracer tracer;
  const auto one = [&] {
    std::thread([&] {
      const Span parent = tracer.StartSpan(g_site);
      const Scope scope(parent);
      for (int i = 0; i < 2; ++i) tracer.StartSpan("s", "child").Complete();
    }).join();
  };
  for (int i = 0; i < 100; ++i) one();
  const std::uint64_t before = MemoryNow().resident_bytes;
  for (int i = 100; i < threads; ++i) one();
  const Stats stats = tracer.GetStats();
  REQUIRE(stats.started == 3 * static_cast<std::uint64_t>(threads));
  REQUIRE(stats.journalled == stats.started && stats.dropped == 0 && stats.open == 0);
  // What waits for the database, some 250 bytes a span, and a few buffers; not a ring for each.
  if (!kSanitizer) REQUIRE(MemoryNow().resident_bytes < before + 64 * kMiB);
  _exit(0);
}

TEST_F(ThreadLifeDeathTest, TenThousandThreadsInSequenceLoseNothingAndLeaveNothing) {
  EXPECT_EXIT(ManyInSequence(), testing::ExitedWithCode(0), "");
}

[[noreturn]] void ManyAtOnce() {
  constexpr std::size_t kThreads = kSanitizer ? 150 : 1000;
  const Options options = Refusing();
  REQUIRE(Tracer::Start(options).ok());
  Tracer tracer;
  std::uint64_t before = 0;
  std::uint64_t started = 0;
  for (int burst = 0; burst < 3; ++burst) {
    std::latch recording(kThreads + 1);
    std::latch measured(1);
    std::vector<std::thread> threads;
    if (before == 0) before = MemoryNow().resident_bytes;
    for (std::size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        const Span parent = tracer.StartSpan(g_site);
        const Scope scope(parent);
        recording.arrive_and_wait();
        for (int i = 0; i < 4; ++i) tracer.StartSpan("s", "child").Complete();
        measured.wait();
      });
    }
    recording.arrive_and_wait();
    const std::uint64_t at_most = MemoryNow().resident_bytes - before;
    measured.count_down();
    for (std::thread& thread : threads) thread.join();
    started += 5 * kThreads;
    const Stats stats = tracer.GetStats();
    REQUIRE(stats.started == started && stats.open == 0 && stats.dropped == 0);
    REQUIRE(stats.journalled == started);
    if (kSanitizer) continue;
    REQUIRE(at_most > kThreads * options.ring_bytes);
    // The warm producers, each with a ring and a first chunk of slots; a page or two of every
    // other; and what is not the rings': stacks, heaps, rows that wait.
    const std::uint64_t bound =
        ring::kWarmProducers * (options.ring_bytes + 64 * 1024) + kThreads * 8 * 1024 + 12 * kMiB;
    std::uint64_t after = 0;
    for (const auto deadline = steady_clock::now() + seconds(60);
         (after = MemoryNow().resident_bytes - before) > bound && steady_clock::now() < deadline;) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    std::fprintf(stderr, "resident: %lu MiB at most, %lu MiB after\n",
                 static_cast<unsigned long>(at_most / kMiB),
                 static_cast<unsigned long>(after / kMiB));
    REQUIRE(after <= bound);
  }
  tracer.Shutdown(absl::ZeroDuration()).IgnoreError();
  RequireBalance(tracer.GetStats());
  REQUIRE(tracer.GetStats().dropped == started);  // The database refuses.
  _exit(0);
}

TEST_F(ThreadLifeDeathTest, AThousandThreadsAtOnceLoseNothingAndGiveTheirMemoryBack) {
  EXPECT_EXIT(ManyAtOnce(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace spanring

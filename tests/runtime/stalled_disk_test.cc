// A disk that does not answer: the drainer waits for it, and nobody else.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "runtime/refusing.h"
#include "spanring/spanring.h"

namespace {
std::atomic<bool> g_stalled{false};
std::atomic<int> g_waiting{0};
}  // namespace

// In front of libc's.
extern "C" ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) {
  g_waiting.fetch_add(1);
  while (g_stalled.load()) usleep(1000);
  g_waiting.fetch_sub(1);
  return syscall(SYS_pwritev, fd, parts, count, offset, 0L);
}

namespace spanring {
namespace {

using Clock = std::chrono::steady_clock;

TEST(StalledDisk, HoldsUpNeitherAShutdownNorTheProgram) {
  std::string folder = testing::TempDir() + "/spanring-stalled-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  Options options = Refusing();
  options.journal_dir = folder;
  ASSERT_TRUE(Tracer::Start(options).ok());
  Tracer tracer;
  tracer.StartSpan("s", "written").Complete();
  tracer.Flush(absl::Milliseconds(500)).IgnoreError();
  g_stalled.store(true);
  tracer.StartSpan("s", "held up").Complete();
  while (g_waiting.load() == 0) usleep(1000);
  tracer.StartSpan("s", "in the ring").Complete();

  auto start = Clock::now();
  EXPECT_FALSE(tracer.Flush(absl::Milliseconds(300)).ok());
  EXPECT_FALSE(tracer.Shutdown(absl::Milliseconds(300)).ok());
  // Far below the five seconds that a drainer gets otherwise, far above what a crowded machine
  // adds.
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(3));
  EXPECT_EQ(Tracer::Start(options).code(), absl::StatusCode::kUnavailable)
      << "the last drainer has not ended";

  g_stalled.store(false);
  absl::Status again = absl::UnavailableError("");
  const auto end = Clock::now() + std::chrono::seconds(60);
  while (absl::IsUnavailable(again) && Clock::now() < end) {
    usleep(10'000);
    again = Tracer::Start(options);
  }
  EXPECT_TRUE(again.ok()) << again;
  tracer.Shutdown(absl::ZeroDuration()).IgnoreError();
  const Stats stats = tracer.GetStats();
  EXPECT_EQ(stats.started, 3U);
  EXPECT_EQ(stats.started, stats.persisted + stats.journalled + stats.open + stats.dropped);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace spanring

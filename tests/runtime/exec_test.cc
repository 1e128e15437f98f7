// Other programs started from a tracing process, while its threads record. Each test in a process
// of its own.
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "runtime/refusing.h"
#include "runtime/sanitizers.h"
#include "spanring/spanring.h"

namespace spanring {
namespace {

constexpr int kProgramIsWell = 42;

// Ends the process where `condition` fails: in a child, gtest's own assertions are not seen.
void Require(bool condition, int line) {
  if (condition) return;
  std::fprintf(stderr, "exec_test.cc:%d\n", line);
  _exit(100);
}
#define REQUIRE(condition) Require((condition), __LINE__)

// The program that the tests below start: this one again, with only this test.
TEST(ExecTarget, DISABLED_TracesOnItsOwn) {
  Tracer tracer = Tracer::FromEnvironment();
  REQUIRE(tracer.enabled());
  REQUIRE(tracer.GetStats().started == 0);
  REQUIRE(!tracer.CurrentContext().is_valid());
  for (int i = 0; i < 3; ++i) tracer.StartSpan("s", "program's").Complete();
  std::thread([&] { tracer.StartSpan("s", "program's, on a thread").Complete(); }).join();
  const Stats stats = tracer.GetStats();
  REQUIRE(stats.started == 4 && stats.open == 0 && stats.dropped == 0);
  _exit(kProgramIsWell);
}

std::string g_path;
std::vector<char*> g_arguments;

void PrepareProgram() {
  setenv("ENABLE_DB_TRACING", "true", 1);
  setenv("DATABASE_URL", "host=/nonexistent", 1);
  setenv("SPANRING_LOG", "off", 1);
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  REQUIRE(length > 0);
  g_path.assign(path, static_cast<std::size_t>(length));
  static std::string filter = "--gtest_filter=ExecTarget.*";
  static std::string disabled = "--gtest_also_run_disabled_tests";
  static std::string brief = "--gtest_brief=1";
  g_arguments = {g_path.data(), filter.data(), disabled.data(), brief.data(), nullptr};
}

pid_t ForkAndExec() {
  const pid_t child = fork();
  if (child == 0) {
    execv(g_path.c_str(), g_arguments.data());
    _exit(101);
  }
  return child;
}

// The child traces before it becomes another program: those spans are lost with it, and nobody
// else's.
pid_t ForkTraceAndExec() {
  const pid_t child = fork();
  if (child == 0) {
    Tracer tracer;
    Span open = tracer.StartSpan("s", "child's");
    tracer.StartSpan("s", "child's").Complete();
    if (tracer.GetStats().started != 2 || tracer.GetStats().open != 1) _exit(102);
    execv(g_path.c_str(), g_arguments.data());
    _exit(101);
  }
  return child;
}

pid_t VforkAndExec() {
  const pid_t child = vfork();
  if (child == 0) {
    execv(g_path.c_str(), g_arguments.data());
    _exit(101);
  }
  return child;
}

pid_t Spawn() {
  pid_t child = -1;
  if (posix_spawn(&child, g_path.c_str(), nullptr, nullptr, g_arguments.data(), environ) != 0) {
    return -1;
  }
  return child;
}

[[noreturn]] void StartPrograms(pid_t (*start)()) {
  PrepareProgram();
  REQUIRE(Tracer::Start(Refusing()).ok());
  Tracer tracer;
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> recorded{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!stop.load()) {
        tracer.StartSpan("s", "o", {{"large", std::string(1000, 'x')}}).Complete();
        std::thread([&] { tracer.StartSpan("s", "a thread's first").Complete(); }).join();
        recorded.fetch_add(2);
      }
    });
  }
  Span open = tracer.StartSpan("s", "open meanwhile");
  const Scope scope(open);
  const SpanContext context = open.context();
  for (int i = 0; i < 10; ++i) {
    const pid_t child = start();
    REQUIRE(child > 0);
    tracer.StartSpan("s", "parent's").Complete();
    recorded.fetch_add(1);
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == kProgramIsWell);
    REQUIRE(open.is_recording() && tracer.CurrentContext() == context);
  }
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  Stats stats = tracer.GetStats();
  REQUIRE(stats.started == recorded.load() + 1 && stats.open == 1);
  open.Complete();
  tracer.Shutdown(absl::ZeroDuration()).IgnoreError();
  stats = tracer.GetStats();
  REQUIRE(stats.open == 0 && stats.journalled == 0 && stats.persisted == 0);
  REQUIRE(stats.started == recorded.load() + 1 && stats.dropped == stats.started);
  _exit(0);
}

class ExecDeathTest : public testing::Test {
 protected:
  void SetUp() override {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    if (kThreadSanitizer) GTEST_SKIP() << "TSan does not follow a fork with threads";
  }
};

TEST_F(ExecDeathTest, AProgramStartedByForkAndExecTracesOnItsOwn) {
  EXPECT_EXIT(StartPrograms(ForkAndExec), testing::ExitedWithCode(0), "");
}

TEST_F(ExecDeathTest, AChildThatTracedBeforeItsExecDisturbsNobody) {
  EXPECT_EXIT(StartPrograms(ForkTraceAndExec), testing::ExitedWithCode(0), "");
}

TEST_F(ExecDeathTest, AProgramStartedByVforkAndExecTracesOnItsOwn) {
  EXPECT_EXIT(StartPrograms(VforkAndExec), testing::ExitedWithCode(0), "");
}

TEST_F(ExecDeathTest, AProgramStartedByPosixSpawnTracesOnItsOwn) {
  EXPECT_EXIT(StartPrograms(Spawn), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace spanring

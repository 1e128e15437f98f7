// Contracts C1 and C5: what a span may cost, and that off means off.
#include <dirent.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "runtime/refusing.h"
#include "runtime/sanitizers.h"
#include "spanring/spanring.h"

namespace {

// Allocations of this thread alone: the tracer's own threads may allocate. Volatile: a compiler may
// assume that malloc changes nothing which we can see.
constinit thread_local volatile std::uint64_t t_allocations = 0;

}  // namespace

#if !defined(SPANRING_TEST_TSAN) && !defined(SPANRING_TEST_ASAN)
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);

// operator new ends here too.
void* malloc(std::size_t size) {
  t_allocations = t_allocations + 1;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  t_allocations = t_allocations + 1;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
  t_allocations = t_allocations + 1;
  return __libc_realloc(memory, size);
}
}
#endif

namespace spanring {
namespace {

void Require(bool condition, int line) {
  if (condition) return;
  std::fprintf(stderr, "hot_path_test.cc:%d\n", line);
  _exit(100);
}
#define REQUIRE(condition) Require((condition), __LINE__)

constinit CallSite g_site("runner", "runner.execute_question");

// One span of every kind that the contract speaks of.
void RecordOne(Tracer& tracer, int i, const absl::Status& error) {
  Span span = tracer.StartSpan(g_site, {{"attempt", i}, {"name", "literal"}, {"share", 0.5}});
  const Scope scope(span);
  span.SetExecutionContext("job-7", 2193, "llama-3-70b", "eu-west");
  span.SetAttribute("yes", true);
  Span named = tracer.StartSpan("router", "router.route");
  named.Complete("timeout");
  Span failed = tracer.StartSpan(span.context(), g_site);
  failed.CompleteWithError("it broke", "BROKEN");
  Span status = tracer.StartSpan(TraceId(), std::nullopt, g_site);
  status.CompleteWithError(error);
  Span phase = tracer.StartSpan(g_site);
  phase.Next(g_site);
  BindContext([&] { tracer.StartSpan(g_site).Complete(); })();
  span.Complete();
  span.Complete();  // Misuse costs no more.
}

int Entries(const char* path) {
  DIR* directory = opendir(path);
  REQUIRE(directory != nullptr);
  int n = 0;
  while (readdir(directory) != nullptr) ++n;
  closedir(directory);
  return n;
}

[[noreturn]] void OffLeavesNothing() {
  unsetenv("ENABLE_DB_TRACING");
  setenv("DATABASE_URL", "postgresql://a-host-with-a-long-name.example/traces", 1);
  const int threads = Entries("/proc/self/task");
  const int files = Entries("/proc/self/fd");
  const absl::Status error = absl::FailedPreconditionError("x");
  const std::uint64_t before = t_allocations;
  Tracer tracer = Tracer::FromEnvironment();
  for (int i = 0; i < 1000; ++i) RecordOne(tracer, i, error);
  const std::uint64_t allocations = t_allocations - before;
  REQUIRE(allocations == 0);
  REQUIRE(!tracer.enabled());
  REQUIRE(Entries("/proc/self/task") == threads);
  REQUIRE(Entries("/proc/self/fd") == files);
  REQUIRE(tracer.GetStats().started == 0);
  std::exit(0);
}

class HotPathDeathTest : public testing::Test {
 protected:
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(HotPathDeathTest, OffMeansNoThreadNoFileNoAllocation) {
  EXPECT_EXIT(OffLeavesNothing(), testing::ExitedWithCode(0), "");
}

[[noreturn]] void RecordWithoutAllocating() {
  REQUIRE(Tracer::Start(Refusing()).ok());
  Tracer tracer;
  const absl::Status error = absl::FailedPreconditionError("a message that is long enough");
  for (int i = 0; i < 100; ++i) RecordOne(tracer, i, error);
  const std::uint64_t before = t_allocations;
  for (int i = 0; i < 10'000; ++i) RecordOne(tracer, i, error);
  REQUIRE(t_allocations == before);
  // That the hook counts at all. Volatile: what nobody sees, the compiler may leave out.
  std::string* volatile seen = new std::string(100, 'x');
  REQUIRE(t_allocations >= before + 2);
  delete seen;
  REQUIRE(tracer.GetStats().started == 7 * 10'100);
  _exit(0);
}

TEST_F(HotPathDeathTest, AWarmSpanAllocatesNothing) {
  if (kSanitizer) GTEST_SKIP() << "the sanitizer has the allocator";
  EXPECT_EXIT(RecordWithoutAllocating(), testing::ExitedWithCode(0), "");
}

constexpr int kNoSeccomp = 77;

// From here on this thread may write and exit; anything else kills the process.
void ForbidSystemCalls() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{sizeof(filter) / sizeof(filter[0]), filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    std::fprintf(stderr, "no seccomp here\n");
    _exit(kNoSeccomp);
  }
}

// Why the tests below cannot run here; "" when they can.
std::string NoFilterBecause() {
  if (kSanitizer) return "the sanitizer makes system calls of its own";
  const pid_t child = fork();
  if (child == 0) {
    ForbidSystemCalls();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == kNoSeccomp ? "no seccomp here" : "";
}

[[noreturn]] void RecordWithoutSystemCalls() {
  REQUIRE(Tracer::Start(Refusing()).ok());
  Tracer tracer;
  const absl::Status error = absl::FailedPreconditionError("a message that is long enough");
  for (int i = 0; i < 100; ++i) RecordOne(tracer, i, error);
  ForbidSystemCalls();
  for (int i = 0; i < 10'000; ++i) RecordOne(tracer, i, error);
  const bool good = tracer.GetStats().started == 7 * 10'100;
  _exit(good ? 0 : 101);
}

TEST_F(HotPathDeathTest, AWarmSpanMakesNoSystemCall) {
  if (const std::string why = NoFilterBecause(); !why.empty()) GTEST_SKIP() << why;
  EXPECT_EXIT(RecordWithoutSystemCalls(), testing::ExitedWithCode(0), "");
}

[[noreturn]] void OneForbiddenCall() {
  ForbidSystemCalls();
  syscall(SYS_getppid);
  _exit(0);
}

TEST_F(HotPathDeathTest, TheFilterKillsAtAnyOtherCall) {
  if (const std::string why = NoFilterBecause(); !why.empty()) GTEST_SKIP() << why;
  EXPECT_EXIT(OneForbiddenCall(), testing::KilledBySignal(SIGSYS), "");
}

}  // namespace
}  // namespace spanring

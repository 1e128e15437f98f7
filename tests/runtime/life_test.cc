// The life of a process: exit, fork, signals. Each in a process of its own.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/refusing.h"
#include "runtime/sanitizers.h"
#include "spanring/spanring.h"

namespace {
bool g_forked = false;
}  // namespace

// The stacks of the parent's threads, and what they held, are lost to a forked child.
extern "C" int __lsan_is_turned_off() { return g_forked ? 1 : 0; }

namespace spanring {
namespace {

// Ends the process where `condition` fails: in a child, gtest's own assertions are not seen.
void Require(bool condition, int line) {
  if (condition) return;
  std::fprintf(stderr, "life_test.cc:%d\n", line);
  _exit(100);
}
#define REQUIRE(condition) Require((condition), __LINE__)

bool Balances(const Stats& stats) {
  return stats.started == stats.persisted + stats.journalled + stats.open + stats.dropped &&
         stats.open <= stats.started && stats.journalled <= stats.started;
}

class LifeDeathTest : public testing::Test {
 protected:
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

struct SpansInDestructor {
  explicit SpansInDestructor(const char* name) : name_(name) {}
  ~SpansInDestructor() {
    Tracer tracer;
    Span span = tracer.StartSpan("s", name_);
    span.SetAttribute("in", "a static destructor");
    held.Complete();
  }
  const char* name_;
  Span held;
};

[[noreturn]] void SpansAtExit() {
  static SpansInDestructor before("made before the tracer");
  std::atexit([] { Tracer().StartSpan("s", "registered before the tracer").Complete(); });
  REQUIRE(Tracer::Start(Refusing()).ok());
  static SpansInDestructor after("made after the tracer");
  std::atexit([] { Tracer().StartSpan("s", "registered after the tracer").Complete(); });
  before.held = Tracer().StartSpan("s", "held");
  after.held = Tracer().StartSpan("s", "held");
  static thread_local SpansInDestructor of_thread("of the main thread");
  of_thread.held = Tracer().StartSpan("s", "held");
  std::exit(0);
}

TEST_F(LifeDeathTest, SpansInAtExitAndStaticDestructorsAreHarmless) {
  EXPECT_EXIT(SpansAtExit(), testing::ExitedWithCode(0), "");
}

[[noreturn]] void ExitWithThreadsRecording() {
  REQUIRE(Tracer::Start(Refusing()).ok());
  for (int i = 0; i < 3; ++i) {
    std::thread([] {
      for (;;) {
        Tracer().StartSpan("s", "o", {{"k", "v"}}).Complete();
        std::this_thread::yield();
      }
    }).detach();
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  std::exit(0);
}

TEST_F(LifeDeathTest, ExitWhileThreadsRecordIsHarmless) {
  EXPECT_EXIT(ExitWithThreadsRecording(), testing::ExitedWithCode(0), "");
}

[[noreturn]] void ForkWithSpansOpen() {
  REQUIRE(Tracer::Start(Refusing()).ok());
  Tracer tracer;
  Span open = tracer.StartSpan("s", "open in the parent");
  const SpanContext parents = open.context();
  for (int i = 0; i < 5; ++i) tracer.StartSpan("s", "parent's").Complete();
  const Scope scope(open);
  std::fflush(nullptr);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    g_forked = true;
    REQUIRE(tracer.GetStats().started == 0);
    open.SetAttribute("large", std::string(1000, 'x'));
    open.Complete();  // The parent's: nothing happens.
    REQUIRE(tracer.GetStats().started == 0);
    REQUIRE(tracer.CurrentContext() == parents);
    Span mine = tracer.StartSpan("s", "child's");
    REQUIRE(mine.is_recording());
    REQUIRE(mine.context().trace_id == parents.trace_id);
    REQUIRE(mine.context().span_id != parents.span_id);
    mine.Complete();
    tracer.StartSpan("s", "child's").Complete();
    std::thread([&] { tracer.StartSpan("s", "child's, on a thread").Complete(); }).join();
    const Stats stats = tracer.GetStats();
    REQUIRE(stats.started == 3 && stats.open == 0 && Balances(stats));
    std::exit(0);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  REQUIRE(tracer.GetStats().started == 6 && tracer.GetStats().open == 1);
  REQUIRE(open.is_recording());
  open.Complete();
  REQUIRE(tracer.GetStats().open == 0);
  tracer.Shutdown(absl::ZeroDuration()).IgnoreError();
  const Stats stats = tracer.GetStats();
  REQUIRE(stats.started == 6 && stats.dropped == 6 && Balances(stats));
  std::exit(0);
}

TEST_F(LifeDeathTest, ForkGivesTheChildCountsOfItsOwnAndLeavesTheParentAlone) {
  if (kThreadSanitizer) GTEST_SKIP() << "TSan does not follow a fork with threads";
  EXPECT_EXIT(ForkWithSpansOpen(), testing::ExitedWithCode(0), "");
}

[[noreturn]] void ForkUnderLoad() {
  REQUIRE(Tracer::Start(Refusing()).ok());
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!stop.load()) {
        Tracer tracer;
        Span span = tracer.StartSpan("s", "o");
        span.SetAttribute("large", std::string_view(std::string(1000, 'x')));
        span.Complete();
        std::thread([] { Tracer().StartSpan("s", "short").Complete(); }).join();
      }
    });
  }
  for (int i = 0; i < 30; ++i) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      alarm(60);  // A deadlock ends as a signal.
      Tracer tracer;
      tracer.StartSpan("s", "child's", {{"large", std::string(1000, 'x')}}).Complete();
      const Stats stats = tracer.GetStats();
      tracer.Shutdown(absl::ZeroDuration()).IgnoreError();
      _exit(stats.started == 1 && Balances(stats) ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  Tracer().Shutdown(absl::ZeroDuration()).IgnoreError();
  REQUIRE(Balances(Tracer().GetStats()));
  std::exit(0);
}

TEST_F(LifeDeathTest, ForkUnderLoadNeverDeadlocks) {
  if (kThreadSanitizer) GTEST_SKIP() << "TSan does not follow a fork with threads";
  EXPECT_EXIT(ForkUnderLoad(), testing::ExitedWithCode(0), "");
}

std::atomic<std::uint64_t> g_handled{0};

void SpanInHandler(int) {
  Tracer tracer;
  Span span = tracer.StartSpan("s", "in a handler", {{"k", "v"}});
  span.Complete();
  g_handled.fetch_add(1);
}

void MaskAlarm(int how) {
  sigset_t alarm_only;
  sigemptyset(&alarm_only);
  sigaddset(&alarm_only, SIGALRM);
  REQUIRE(pthread_sigmask(how, &alarm_only, nullptr) == 0);
}

[[noreturn]] void SignalsInterruptTheTracer() {
  struct sigaction action{};
  action.sa_handler = SpanInHandler;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  Tracer tracer;
  REQUIRE(Tracer::Start(Refusing()).ok());
  const itimerval often{{0, 50}, {0, 50}};
  REQUIRE(setitimer(ITIMER_REAL, &often, nullptr) == 0);
  std::uint64_t mine = 0;
  const std::string large(1000, 'x');
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  while (std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 1000; ++i) {
      Span span = tracer.StartSpan("s", "interrupted", {{"i", i}});
      // Now and then beyond the slot, where a lock is taken.
      if (i % 10 == 0) span.SetAttribute("large", large);
      ++mine;
    }
    // A thread's first span, where another is. TSan takes no signal on a thread that begins or
    // ends.
    MaskAlarm(kThreadSanitizer ? SIG_BLOCK : SIG_UNBLOCK);
    std::thread([&] {
      MaskAlarm(SIG_UNBLOCK);
      tracer.StartSpan("s", "first").Complete();
      ++mine;
      MaskAlarm(kThreadSanitizer ? SIG_BLOCK : SIG_UNBLOCK);
    }).join();
    MaskAlarm(SIG_UNBLOCK);
  }
  const itimerval never{};
  REQUIRE(setitimer(ITIMER_REAL, &never, nullptr) == 0);
  REQUIRE(g_handled.load() > 100);
  Stats stats = tracer.GetStats();
  REQUIRE(stats.open == 0);
  REQUIRE(stats.started == mine + g_handled.load());
  REQUIRE(Balances(stats));
  REQUIRE(stats.dropped_by_reason[static_cast<std::size_t>(DropReason::kOutOfMemory)] == 0);
  tracer.Shutdown(absl::ZeroDuration()).IgnoreError();
  stats = tracer.GetStats();
  REQUIRE(Balances(stats) && stats.journalled == 0);
  std::exit(0);
}

TEST_F(LifeDeathTest, SpansInSignalHandlersAreRecordedOrCounted) {
  EXPECT_EXIT(SignalsInterruptTheTracer(), testing::ExitedWithCode(0), "");
}

[[noreturn]] void NoDatabaseAtAll() {
  setenv("ENABLE_DB_TRACING", "true", 1);
  setenv("DATABASE_URL", "host=/nonexistent", 1);
  setenv("SPANRING_EXIT_TIMEOUT_MS", "50", 1);
  setenv("SPANRING_LOG", "off", 1);
  Tracer tracer = Tracer::FromEnvironment();
  REQUIRE(tracer.enabled());
  tracer.StartSpan("s", "o").Complete();
  std::exit(7);
}

TEST_F(LifeDeathTest, TheExitCodeOfTheHostIsItsOwn) {
  EXPECT_EXIT(NoDatabaseAtAll(), testing::ExitedWithCode(7), "");
}

[[noreturn]] void NothingToSay() {
  REQUIRE(Tracer::Start(Refusing()).ok());
  alarm(60);
  REQUIRE(Tracer().Shutdown(absl::Minutes(10)).ok());
  std::exit(0);
}

TEST_F(LifeDeathTest, ShutdownOfATracerThatDidNothingWaitsForNobody) {
  EXPECT_EXIT(NothingToSay(), testing::ExitedWithCode(0), "");
}

[[noreturn]] void SwitchWithoutStart() {
  Tracer tracer;
  REQUIRE(tracer.SetEnabled(true).code() == absl::StatusCode::kFailedPrecondition);
  REQUIRE(tracer.Flush(absl::Seconds(1)).code() == absl::StatusCode::kFailedPrecondition);
  REQUIRE(tracer.Shutdown(absl::Seconds(1)).ok());
  REQUIRE(tracer.GetStats().started == 0);
  // Shut down before it ever ran: it does not start by itself any more, but by Start.
  setenv("ENABLE_DB_TRACING", "true", 1);
  REQUIRE(!tracer.StartSpan("s", "o").is_recording());
  REQUIRE(Tracer::Start(Refusing()).ok());
  REQUIRE(tracer.StartSpan("s", "o").is_recording());
  std::exit(0);
}

TEST_F(LifeDeathTest, CallsBeforeTheStartAreHarmless) {
  EXPECT_EXIT(SwitchWithoutStart(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace spanring

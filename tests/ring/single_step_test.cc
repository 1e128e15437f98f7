// A signal at every instruction of the recording calls: the processor's trap flag raises SIGTRAP
// after each one, and the handler traces too. Whatever it does where, no span is lost uncounted,
// doubled or torn, and every slot comes back. Each point in a process of its own. x86-64 only.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <tuple>
#include <vector>

#include "ring/this_thread.h"
#include "runtime/sanitizers.h"
#include "spanring/internal/runtime_api.h"

namespace spanring::ring {
namespace {

using internal::CallSiteData;

constexpr long kTrapFlag = 0x100;
constexpr std::uint64_t kMaxOpenSpans = 64;
constexpr int kNeverReached = 50;

enum class Call { kStart, kStartNamed, kEnd, kNext };
enum class Handler { kStartsAndKeeps, kEndsAnother, kStartsAndEnds };

constinit CallSiteData g_site{"service", "operation"};
constinit CallSiteData g_next_site{"service", "next"};
const TraceId kTrace(1, 2);

// Of the child that is stepped.
volatile long g_at = 0;
volatile long g_seen = 0;
volatile bool g_fired = false;
Handler g_handler;
OpenSpan* g_kept = nullptr;     // By the handler.
OpenSpan* g_another = nullptr;  // For the handler to end.

OpenSpan* Start() { return internal::StartSpan(kTrace, SpanId(), g_site); }

void OnTrap(int, siginfo_t*, void* context) {
  const long now = g_seen;
  g_seen = now + 1;
  if (now != g_at) return;
  g_fired = true;
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~kTrapFlag;
  switch (g_handler) {
    case Handler::kStartsAndKeeps:
      g_kept = Start();
      break;
    case Handler::kEndsAnother:
      internal::EndSpanCompleted(g_another);
      g_another = nullptr;
      break;
    case Handler::kStartsAndEnds:
      if (OpenSpan* span = Start(); span != nullptr) internal::EndSpanCompleted(span);
      break;
  }
}

#if defined(__x86_64__)
inline void StepOn() { asm volatile("pushfq; orq $0x100,(%%rsp); popfq" ::: "memory", "cc"); }
inline void StepOff() { asm volatile("pushfq; andq $~0x100,(%%rsp); popfq" ::: "memory", "cc"); }
#else
inline void StepOn() {}
inline void StepOff() {}
#endif

void Require(bool condition, int line) {
  if (condition) return;
  std::fprintf(stderr, "single_step_test.cc:%d\n", line);
  _exit(100);
}
#define REQUIRE(condition) Require((condition), __LINE__)

// With one slot left, if `scarce`; the trap comes behind instruction `at` of the call.
[[noreturn]] void InChild(Call call, Handler handler, bool scarce, long at) {
  auto& registry = *new Registry(64 * 1024, kMaxOpenSpans);
  SetRegistry(&registry);
  internal::g_mode.store(internal::Mode::kOn);
  g_handler = handler;
  g_at = at;
  OpenSpan* warm = internal::NextSpan(Start(), g_next_site);  // Both sites have their numbers.
  internal::EndSpanCompleted(warm);
  std::vector<OpenSpan*> held;
  const std::size_t hold = scarce ? kMaxOpenSpans - 3 : 2;
  while (held.size() < hold) held.push_back(Start());
  g_another = Start();
  OpenSpan* victim = Start();
  OpenSpan* started = nullptr;

  struct sigaction action{};
  action.sa_sigaction = OnTrap;
  action.sa_flags = SA_SIGINFO;
  REQUIRE(sigaction(SIGTRAP, &action, nullptr) == 0);
  StepOn();
  switch (call) {
    case Call::kStart:
      started = internal::StartSpan(kTrace, SpanId(), g_site);
      break;
    case Call::kStartNamed:
      started = internal::StartSpan(kTrace, SpanId(), "service", "named");
      break;
    case Call::kEnd:
      internal::EndSpanCompleted(victim);
      victim = nullptr;
      break;
    case Call::kNext:
      victim = internal::NextSpan(victim, g_next_site);
      break;
  }
  StepOff();
  if (!g_fired) _exit(kNeverReached);

  held.insert(held.end(), {victim, started, g_kept, g_another});
  for (OpenSpan* span : held) {
    if (span != nullptr) internal::EndSpanCompleted(span);
  }
  const Stats stats = registry.Count();
  REQUIRE(stats.open == 0);
  REQUIRE(stats.started == stats.journalled + stats.dropped);
  std::uint64_t records = 0;
  for (Producer* p = registry.first(); p != nullptr; p = p->next) {
    p->ring().Refresh();
    while (const RecordHeader* record = p->ring().Peek()) {
      REQUIRE(record->status == RecordStatus::kCompleted && record->end >= record->start);
      REQUIRE(record->trace_id_high == kTrace.high() && record->trace_id_low == kTrace.low());
      ++records;
      p->ring().Advance(record);
    }
    p->ring().GiveBack();
  }
  REQUIRE(records == stats.journalled);
  // No slot is lost, and none is given twice.
  std::uint64_t slots = 0;
  while (Start() != nullptr) ++slots;
  REQUIRE(slots == kMaxOpenSpans);
  _exit(0);
}

int RunAt(Call call, Handler handler, bool scarce, long at) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    InChild(call, handler, scarce, at);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

class SingleStep : public testing::TestWithParam<std::tuple<Call, Handler, bool>> {};

TEST_P(SingleStep, ASignalAtAnyInstructionDoesNoHarm) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "no trap flag here";
#endif
  if (kSanitizer) GTEST_SKIP() << "the sanitizer's code is stepped through too";
  const auto [call, handler, scarce] = GetParam();
  long at = 0;
  for (; at < 5'000; ++at) {
    const int result = RunAt(call, handler, scarce, at);
    if (result == kNeverReached) break;
    ASSERT_EQ(result, 0) << "signal behind instruction " << at << "; above 1,000: died of a signal";
  }
  EXPECT_GT(at, 40) << "too few instructions to be true";
  EXPECT_LT(at, 5'000);
  std::cout << at << " instructions\n";
}

INSTANTIATE_TEST_SUITE_P(
    AllCalls, SingleStep,
    testing::Combine(testing::Values(Call::kStart, Call::kStartNamed, Call::kEnd, Call::kNext),
                     testing::Values(Handler::kStartsAndKeeps, Handler::kEndsAnother,
                                     Handler::kStartsAndEnds),
                     testing::Bool()));

}  // namespace
}  // namespace spanring::ring

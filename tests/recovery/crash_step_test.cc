// A process that is killed behind every instruction of the recording calls, and what its memory
// then says: each span once, whole, or not at all if it had just begun. x86-64 only.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstring>
#include <iostream>
#include <map>
#include <tuple>

#include "recovery/folder_fixture.h"
#include "recovery/writer_image.h"
#include "ring/this_thread.h"
#include "runtime/sanitizers.h"
#include "spanring/internal/runtime_api.h"

namespace spanring::recovery {
namespace {

using internal::CallSiteData;
using internal::OpenSpan;
using ring::RecordHeader;

constexpr int kNeverReached = 50;
constexpr std::uint64_t kRingBytes = 64 * 1024;

enum class Call {
  kStart,
  kStartNamed,
  kEnd,
  kEndWithItems,
  kNext,
  kNextWithItems,
  kAttribute,
  kLargeAttribute,
  kContext,
  kEndElsewhere
};

constinit CallSiteData g_site{"service", "operation"};
constinit CallSiteData g_next_site{"service", "next"};
const TraceId kTrace(1, 2);

// What the child tells: shared with the parent.
struct Told {
  std::uint64_t ended;
  std::uint64_t open;
  std::uint64_t victim;
  std::int64_t start_ticks;
};
Told* g_told = nullptr;
volatile long g_at = 0;
volatile long g_seen = 0;

void OnTrap(int, siginfo_t*, void*) {
  const long now = g_seen;
  g_seen = now + 1;
  if (now == g_at) raise(SIGKILL);
}

#if defined(__x86_64__)
inline void StepOn() { asm volatile("pushfq; orq $0x100,(%%rsp); popfq" ::: "memory", "cc"); }
inline void StepOff() { asm volatile("pushfq; andq $~0x100,(%%rsp); popfq" ::: "memory", "cc"); }
#else
inline void StepOn() {}
inline void StepOff() {}
#endif

OpenSpan* Start() { return internal::StartSpan(kTrace, SpanId(5), g_site); }

void AddItems(OpenSpan* span) {
  internal::SetExecutionContext(span, "job", 2193, "model", "region");
  internal::SetAttribute(span, "key", std::int64_t{7});
}

[[noreturn]] void InChild(const TemporaryFolder& folder, Call call, long at) {
  ring::SetRegistry(MakeRegistryIn(folder, kRingBytes, 64));
  internal::g_mode.store(internal::Mode::kOn);
  OpenSpan* ended = internal::NextSpan(Start(), g_next_site);
  g_told->ended = ended->record.span_id;
  internal::EndSpanCompleted(ended);
  OpenSpan* open = Start();
  AddItems(open);
  g_told->open = open->record.span_id;
  OpenSpan* victim = Start();
  if (call == Call::kEndWithItems || call == Call::kNextWithItems) AddItems(victim);
  g_told->victim = victim->record.span_id;
  g_told->start_ticks = victim->record.start;
  if (call == Call::kEndElsewhere) {  // This thread goes on with another producer.
    ring::t_producer = nullptr;
    internal::EndSpanCompleted(Start());
  }
  static const std::string large(1000, 'x');
  struct sigaction action{};
  action.sa_sigaction = OnTrap;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGTRAP, &action, nullptr);
  g_at = at;
  StepOn();
  switch (call) {
    case Call::kStart:
      Start();
      break;
    case Call::kStartNamed:
      internal::StartSpan(kTrace, SpanId(), "service", "named");
      break;
    case Call::kEnd:
    case Call::kEndWithItems:
    case Call::kEndElsewhere:
      internal::EndSpanCompleted(victim);
      break;
    case Call::kNext:
    case Call::kNextWithItems:
      internal::NextSpan(victim, g_next_site);
      break;
    case Call::kAttribute:
      internal::SetAttribute(victim, "key", std::string_view("value"));
      break;
    case Call::kLargeAttribute:
      internal::SetAttribute(victim, "large", std::string_view(large));
      break;
    case Call::kContext:
      internal::SetExecutionContext(victim, "job", 2193, "model", "region");
      break;
  }
  StepOff();
  _exit(kNeverReached);
}

// In the order of WriterImage; every record whole, or the test fails.
std::map<std::uint64_t, int> Found(const WriterImage& image, std::uint64_t* open_spans) {
  std::map<std::uint64_t, int> found;
  *open_spans = 0;
  image.ForEachSpan([&](const RecordHeader& record, bool was_open) {
    EXPECT_EQ(record.trace_id_high, kTrace.high());
    EXPECT_EQ(record.trace_id_low, kTrace.low());
    EXPECT_EQ(record.status,
              was_open ? ring::RecordStatus::kFailed : ring::RecordStatus::kCompleted);
    EXPECT_GT(record.start, 0);
    EXPECT_GE(record.size, sizeof(RecordHeader));
    if ((record.flags & ring::kHasExecutionId) != 0) {
      EXPECT_EQ(record.execution_id, 2193);
    }
    bool named = record.site != 0;
    ring::ItemReader items(ring::ItemsOf(&record));
    std::size_t bytes = sizeof(RecordHeader);
    while (const auto item = items.Next()) {
      EXPECT_LE(item->kind, ring::ItemKind::kLostAttributes);
      named |= item->kind == ring::ItemKind::kOperation;
      bytes += sizeof(ring::ItemHeader) + item->key.size() + item->value.size();
    }
    EXPECT_LE(record.size - bytes, 7U) << "items that cannot be read";
    EXPECT_TRUE(named);
    ++found[record.span_id];
    *open_spans += was_open ? 1 : 0;
    return true;
  });
  return found;
}

void CheckImage(const TemporaryFolder& folder, const Told& told) {
  auto image = WriterImage::Read(folder.Open().get());
  ASSERT_TRUE(image.ok()) << image.status();
  std::uint64_t open = 0;
  const std::map<std::uint64_t, int> found = Found(*image, &open);
  for (const auto& [id, times] : found) EXPECT_EQ(times, 1) << id;
  for (const std::uint64_t id : {told.ended, told.open, told.victim}) {
    EXPECT_EQ(found.count(id), 1U) << id;
  }
  const std::uint64_t started = image->Count().started;
  EXPECT_LE(found.size(), started);
  EXPECT_LE(started - found.size(), 1U) << "at most the one that was being started";
  // Had the drainer read the rings to their end before the kill, the open ones would be the same.
  std::uint64_t still_open = 0;
  image->Advance(image->Published());
  Found(*image, &still_open);
  EXPECT_EQ(still_open, open);
}

class CrashStep : public testing::TestWithParam<Call> {};

TEST_P(CrashStep, AKillBehindAnyInstructionLeavesEachSpanOnce) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "no trap flag here";
#endif
  if (kSanitizer) GTEST_SKIP() << "the sanitizer's code is stepped through too";
  g_told = static_cast<Told*>(
      mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  long at = 0;
  for (; at < 5'000; ++at) {
    const TemporaryFolder folder;
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      InChild(folder, GetParam(), at);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == kNeverReached) break;
    // Where signals are blocked, for a lock, the trap itself kills, and nothing behind it is
    // reached.
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    SCOPED_TRACE(at);
    CheckImage(folder, *g_told);
    if (HasFailure() || WTERMSIG(status) == SIGTRAP) break;
  }
  EXPECT_GT(at, 10);
  EXPECT_LT(at, 5'000);
  std::cout << at << " instructions\n";
  munmap(g_told, sizeof(Told));
}

INSTANTIATE_TEST_SUITE_P(AllCalls, CrashStep,
                         testing::Values(Call::kStart, Call::kStartNamed, Call::kEnd,
                                         Call::kEndWithItems, Call::kNext, Call::kNextWithItems,
                                         Call::kAttribute, Call::kLargeAttribute, Call::kContext,
                                         Call::kEndElsewhere));

}  // namespace
}  // namespace spanring::recovery

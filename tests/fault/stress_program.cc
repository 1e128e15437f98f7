// The traced program of the stress run: threads that record at a steady rate and write down what
// they do, a main thread that forks when it is asked to, and an end in order when it is asked to.
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "fault/stress_log.h"
#include "spanring/spanring.h"

namespace spanring::test {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constinit CallSite g_plain("", "stress.plain");
constinit CallSite g_rich("", "stress.rich");
constinit CallSite g_moved("", "stress.moved");
constinit CallSite g_long("", "stress.long");

// A store that stands where it is written: who is killed has done what comes before it. For the
// compiler only: a signal ends a thread between two instructions.
void Note(Word& word, std::uint64_t value) {
  // seq_cst, both: for the compiler only.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  word.store(value, std::memory_order_relaxed);  // relaxed: as said above.
  std::atomic_signal_fence(std::memory_order_seq_cst);
}
void Note(std::atomic<std::uint8_t>& byte, std::uint8_t value) {
  // seq_cst, both, and relaxed: as above.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  byte.store(value, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

std::uint64_t NumberOf(const char* variable) {
  const char* text = std::getenv(variable);
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

// Spans on their way from the thread that started them to the one that ends them.
class Handover {
 public:
  bool HasRoom() const {
    // acquire: pairs with the release in Take. relaxed: the giver's own.
    return given_.load(std::memory_order_relaxed) - taken_.load(std::memory_order_acquire) < kRoom;
  }
  void Give(Span span) {
    const std::uint64_t at = given_.load(std::memory_order_relaxed);  // relaxed: the giver's own.
    spans_[at % kRoom] = std::move(span);
    given_.store(at + 1, std::memory_order_release);  // release: pairs with the acquire in Take.
  }
  bool Take(Span* span) {
    const std::uint64_t at = taken_.load(std::memory_order_relaxed);  // relaxed: the taker's own.
    // acquire: pairs with the release in Give.
    if (at == given_.load(std::memory_order_acquire)) return false;
    *span = std::move(spans_[at % kRoom]);
    // release: pairs with the acquire in HasRoom.
    taken_.store(at + 1, std::memory_order_release);
    return true;
  }

 private:
  static constexpr std::uint64_t kRoom = 4096;
  alignas(64) Word given_{0};
  alignas(64) Word taken_{0};
  std::array<Span, kRoom> spans_;
};

// One thread's load.
class Recorder {
 public:
  Recorder(StressLog* log, std::size_t process, std::size_t thread, double spans_per_second)
      : log_(log),
        process_(process),
        thread_(thread),
        mine_(log->processes[process].threads[thread]),
        spans_per_tick_(spans_per_second / 1000),
        random_(process * 64 + thread + 1) {}

  Handover* handover() { return &handover_; }
  ThreadLog* log() { return &mine_; }
  // Whose spans this one ends.
  void EndsThoseOf(Recorder* other) { other_ = other; }

  void Run(const std::atomic<bool>& stop) {
    double due = 0;
    auto next = Clock::now();
    while (!stop.load(std::memory_order_relaxed)) {  // relaxed: no data comes with it.
      due += spans_per_tick_;
      for (; due >= 1; due -= 1) One();
      EndMoved();
      LongOnes();
      next += milliseconds(1);
      const auto now = Clock::now();
      // Who was held up makes up for a little of it, and forgets the rest.
      if (now - next > milliseconds(50)) next = now;
      std::this_thread::sleep_until(next);
    }
  }
  // From here on by any one thread.
  void EndMoved() {
    Span span;
    LaneLog& lane = (*other_->log())[Lane::kMoved];
    while (other_->handover()->Take(&span)) {
      Note(lane.end_begun, ++other_->moved_ended_);
      span.Complete();
      Note(lane.ended, other_->moved_ended_);
    }
  }
  void EndLong() {
    for (LongSpan& one : long_) End(one);
    long_.clear();
  }
  // So that no destructor ends them.
  void LeaveLongOpen() { static_cast<void>(new std::vector<LongSpan>(std::move(long_))); }

 private:
  struct LongSpan {
    Span span;
    std::uint64_t counter;
    Clock::time_point end;
  };

  Span Start(Lane lane, CallSite& site, std::uint64_t* counter) {
    LaneLog& log = mine_[lane];
    std::uint64_t& next = next_[static_cast<std::size_t>(lane)];
    *counter = next++;
    Note(log.start_begun, next);
    Span span = tracer_.StartSpan(LoggedId(process_, thread_, lane, *counter), std::nullopt, site);
    Note(log.started, next);
    return span;
  }

  void One() {
    ++count_;
    if (count_ % 64 == 0 && handover_.HasRoom()) {
      std::uint64_t counter = 0;
      handover_.Give(Start(Lane::kMoved, g_moved, &counter));
    } else if (count_ % 64 == 33) {
      const auto start = Clock::now();
      Short(/*rich=*/false);
      const auto took = static_cast<std::uint64_t>((Clock::now() - start).count());
      // relaxed: no data comes with it.
      const bool disturbed = log_->disturbed.load(std::memory_order_relaxed) != 0;
      log_->start_and_complete[disturbed ? 1 : 0].Add(took);
    } else {
      Short(count_ % 8 == 0);
    }
  }

  void Short(bool rich) {
    std::uint64_t counter = 0;
    Span span = Start(Lane::kShort, rich ? g_rich : g_plain, &counter);
    if (rich) Enrich(span, counter);
    LaneLog& lane = mine_[Lane::kShort];
    Note(lane.end_begun, counter + 1);
    span.Complete();
    Note(lane.ended, counter + 1);
  }

  static void Enrich(Span& span, std::uint64_t counter) {
    span.SetExecutionContext("job", static_cast<std::int64_t>(counter), "model", "region");
    span.SetAttribute("n", counter);
    span.SetAttribute("half", static_cast<double>(counter) / 2);
    if (counter % 1024 != 0) return;
    static const std::string text(3000, 'x');  // More than a slot holds.
    span.SetAttribute("text", text);
  }

  // About ten a second, each open for 1 to 10 s.
  void LongOnes() {
    const auto now = Clock::now();
    for (std::size_t i = 0; i < long_.size();) {
      if (long_[i].end > now) {
        ++i;
        continue;
      }
      End(long_[i]);
      std::swap(long_[i], long_.back());
      long_.pop_back();
    }
    if (now < next_long_ || next_[static_cast<std::size_t>(Lane::kLong)] == kLongSpans) return;
    next_long_ = now + milliseconds(100);
    std::uint64_t counter = 0;
    Span span = Start(Lane::kLong, g_long, &counter);
    if (counter % 2 == 0) Enrich(span, counter);
    long_.push_back({std::move(span), counter, now + milliseconds(1000 + random_() % 9000)});
  }

  void End(LongSpan& one) {
    Note(mine_.end_states[one.counter], 1);
    one.span.Complete();
    Note(mine_.end_states[one.counter], 2);
  }

  StressLog* const log_;
  const std::size_t process_;
  const std::size_t thread_;
  ThreadLog& mine_;
  const double spans_per_tick_;
  Tracer tracer_;
  Handover handover_;
  Recorder* other_ = this;
  std::uint64_t moved_ended_ = 0;  // Of ours, by who ends them.
  std::uint64_t count_ = 0;
  std::array<std::uint64_t, kLanes> next_{};
  std::vector<LongSpan> long_;
  Clock::time_point next_long_{};
  std::mt19937 random_;
};

// The load of one process, from its first thread to its last.
class Load {
 public:
  Load(StressLog* log, std::size_t process, std::size_t threads, double spans_per_second)
      : mine_(log->processes[process]) {
    for (std::size_t i = 0; i < threads; ++i) {
      recorders_.push_back(std::make_unique<Recorder>(
          log, process, i, spans_per_second / static_cast<double>(threads)));
    }
    for (std::size_t i = 0; i < threads; ++i) {
      recorders_[(i + 1) % threads]->EndsThoseOf(recorders_[i].get());
    }
    for (const auto& one : recorders_) threads_.emplace_back([&] { one->Run(stop_); });
  }
  void End(bool leave_open, absl::Duration deadline) {
    stop_.store(true, std::memory_order_relaxed);  // relaxed: no data comes with it.
    for (std::thread& thread : threads_) thread.join();
    for (const auto& one : recorders_) {
      one->EndMoved();
      leave_open ? one->LeaveLongOpen() : one->EndLong();
    }
    Tracer tracer;
    const absl::Status status = tracer.Shutdown(deadline);
    std::printf("shutdown: %s\n", status.ToString().c_str());
    const Stats stats = tracer.GetStats();
    std::printf("started %llu persisted %llu journalled %llu open %llu dropped %llu\n",
                static_cast<unsigned long long>(stats.started),
                static_cast<unsigned long long>(stats.persisted),
                static_cast<unsigned long long>(stats.journalled),
                static_cast<unsigned long long>(stats.open),
                static_cast<unsigned long long>(stats.dropped));
    std::fflush(stdout);
    const bool adds_up =
        stats.started == stats.persisted + stats.journalled + stats.open + stats.dropped;
    // relaxed, both: read when this process is gone.
    mine_.broken_counts.store(adds_up ? 0 : 1, std::memory_order_relaxed);
    mine_.ended_in_order.store(1, std::memory_order_relaxed);
  }

 private:
  ProcessLog& mine_;
  std::atomic<bool> stop_{false};
  std::vector<std::unique_ptr<Recorder>> recorders_;
  std::vector<std::thread> threads_;
};

// A fork's life: short, and ending in one of the ways that there are.
[[noreturn]] void LiveAsFork(StressLog* log, std::size_t parent, double spans_per_second) {
  // relaxed: a number.
  const std::size_t process = log->next_process.fetch_add(1, std::memory_order_relaxed);
  if (process >= kLogProcesses) _exit(3);
  std::mt19937 random(static_cast<unsigned>(process) * 7919);
  ProcessLog& mine = log->processes[process];
  // relaxed, both: read when this process is gone.
  mine.named_after.store(static_cast<std::uint32_t>(parent), std::memory_order_relaxed);
  mine.pid.store(getpid(), std::memory_order_relaxed);
  auto* load = new Load(log, process, 1 + random() % 2, spans_per_second);
  std::this_thread::sleep_for(milliseconds(random() % 1500));
  switch (random() % 4) {
    case 0:
      raise(SIGKILL);
      break;
    case 1:
      load->End(/*leave_open=*/true, absl::Seconds(2));
      _exit(0);
    default:
      load->End(/*leave_open=*/false, absl::Seconds(3));
      std::exit(0);
  }
  std::abort();
}

}  // namespace

int RunTracedProgram(const std::string& log_path) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGCHLD, SIG_IGN);  // Nobody waits for forks.
  StressLog* log = StressLog::Open(log_path);
  const std::size_t process = NumberOf("STRESS_PROCESS");
  const auto rate = static_cast<double>(NumberOf("STRESS_RATE"));
  ProcessLog& mine = log->processes[process];
  auto* load = new Load(log, process, NumberOf("STRESS_THREADS"), rate);
  // relaxed, all: orders by themselves.
  while (mine.command.load(std::memory_order_relaxed) == Command::kRun) {
    if (mine.forks.load(std::memory_order_relaxed) !=
        mine.forks_wanted.load(std::memory_order_relaxed)) {
      mine.forks.fetch_add(1, std::memory_order_relaxed);
      if (fork() == 0) LiveAsFork(log, process, rate / 50);
    }
    std::this_thread::sleep_for(milliseconds(2));
  }
  const bool leave_open = mine.command.load(std::memory_order_relaxed) == Command::kEndAndLeaveOpen;
  load->End(leave_open, absl::Seconds(mine.end_seconds.load(std::memory_order_relaxed)));
  return 0;
}

}  // namespace spanring::test

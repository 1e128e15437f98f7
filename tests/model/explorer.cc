#include "model/explorer.h"

#include <bit>
#include <cstdlib>
#include <utility>

namespace spanring::model {
namespace {

constexpr std::size_t kStackBytes = 128 * 1024;
constexpr std::size_t kMostSteps = 5'000;
// Instead of a thread: the explorer's own.
constexpr int kNobody = -1;

Explorer* g_current = nullptr;

std::uint32_t Bit(int thread) { return std::uint32_t{1} << thread; }

}  // namespace

Report Explore(const std::function<std::unique_ptr<Scenario>()>& make,
               const ExploreOptions& options) {
  return Explorer(make, options).Run();
}

Explorer::Explorer(const std::function<std::unique_ptr<Scenario>()>& make,
                   const ExploreOptions& options)
    : make_(make), options_(options), memory_(this) {
  for (Thread& thread : threads_) thread.stack = std::make_unique<char[]>(kStackBytes);
}

Explorer& Explorer::Current() { return *g_current; }

Report Explorer::Run() {
  g_current = this;
  do {
    RunOnce();
    if (report_.executions + report_.cut_short > options_.most_executions) {
      Fail(Violation::kUnmodelled, "more executions than allowed");
    }
  } while (report_.violation == Violation::kNone && NextPath());
  g_current = nullptr;
  return report_;
}

void Explorer::RunOnce() {
  memory_.Reset();
  current_ = kNobody;
  depth_ = 0;
  asleep_ = 0;
  cut_short_ = false;
  steps_.clear();
  weakened_seen_.assign(options_.weakened.size(), 0);

  std::unique_ptr<Scenario> scenario;
  std::vector<std::function<void()>> bodies;
  Prepare(0, [&] {
    scenario = make_();
    bodies = scenario->Threads();
  });
  SwitchTo(PickThread());
  if (report_.violation != Violation::kNone) return;
  if (bodies.size() >= threads_.size()) return Fail(Violation::kUnmodelled, "too many threads");
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    Prepare(static_cast<int>(i + 1), std::move(bodies[i]));
  }
  // Comes back when no thread can go on, or none has to.
  SwitchTo(PickThread());
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    threads_[i + 1].running = false;
    memory_.Order(static_cast<int>(i + 1), 0);
  }
  if (report_.violation != Violation::kNone) return;
  if (cut_short_) {
    ++report_.cut_short;
    return;
  }
  asleep_ = 0;
  Prepare(0, [&] { scenario->Finish(); });
  SwitchTo(PickThread());
  if (report_.violation == Violation::kNone) ++report_.executions;
}

void Explorer::Prepare(int number, std::function<void()> body) {
  Thread& thread = threads_[number];
  thread.body = std::move(body);
  thread.running = true;
  thread.next = Step();
  getcontext(&thread.context);
  thread.context.uc_stack.ss_sp = thread.stack.get();
  thread.context.uc_stack.ss_size = kStackBytes;
  thread.context.uc_link = nullptr;
  makecontext(&thread.context, FiberMain, 0);
  memory_.Order(0, number);
}

void Explorer::FiberMain() {
  Explorer& explorer = Current();
  Thread& thread = explorer.threads_[explorer.current_];
  thread.body();
  thread.running = false;
  explorer.SwitchTo(explorer.PickThread());
  std::abort();  // Nobody picks a thread that has ended.
}

void Explorer::SwitchTo(int thread) {
  if (thread == current_) return;
  const int from = current_;
  current_ = thread;
  const auto context = [this](int of) { return of == kNobody ? &main_ : &threads_[of].context; };
  swapcontext(context(from), context(thread));
}

// --- Choices -------------------------------------------------------------------------------------

bool Explorer::NextPath() {
  while (!path_.empty()) {
    Choice& last = path_.back();
    if (last.of_thread) {
      if (options_.sleep_sets) last.asleep |= Bit(last.chosen);
      last.left &= ~Bit(last.chosen);
      if (last.left != 0) {
        last.chosen = std::countr_zero(last.left);
        return true;
      }
    } else if (++last.chosen < static_cast<int>(last.left)) {
      return true;
    }
    path_.pop_back();
  }
  return false;
}

int Explorer::Choose(int count) {
  if (count == 1) return 0;
  if (depth_ == path_.size()) {
    path_.push_back({false, 0, static_cast<std::uint32_t>(count), 0});
  }
  return path_[depth_++].chosen;
}

// The thread that takes the next step; kNobody when there is none, or none whose step leads to
// anything new.
int Explorer::PickThread() {
  std::uint32_t able = 0;
  for (int i = 0; i < kMostThreads; ++i) {
    if (threads_[i].running) able |= Bit(i);
  }
  if (able == 0) return kNobody;
  if (depth_ == path_.size()) {
    const std::uint32_t left = able & ~asleep_;
    if (left == 0) {
      cut_short_ = true;
      return kNobody;
    }
    // The same thread first: the fewest switches.
    const bool same = current_ != kNobody && (left & Bit(current_)) != 0;
    const int chosen = same ? current_ : std::countr_zero(left);
    path_.push_back({true, chosen, left, asleep_});
  }
  const Choice& choice = path_[depth_++];
  asleep_ = 0;
  for (int i = 0; i < kMostThreads; ++i) {
    if ((choice.asleep & Bit(i)) != 0 &&
        !Conflict(i, threads_[i].next, choice.chosen, threads_[choice.chosen].next)) {
      asleep_ |= Bit(i);
    }
  }
  return choice.chosen;
}

// Whether the order of the two steps can matter.
bool Explorer::Conflict(int thread, const Step& step, int other_thread, const Step& other) {
  const auto is = [](Access access, const Step& s) { return s.access == access; };
  if (is(Access::kKill, step) || is(Access::kKill, other)) {
    return (is(Access::kKill, step) && static_cast<int>(step.place) == other_thread) ||
           (is(Access::kKill, other) && static_cast<int>(other.place) == thread);
  }
  if (is(Access::kStart, step) || is(Access::kStart, other)) return false;
  const auto plain = [&](const Step& s) { return is(Access::kRead, s) || is(Access::kWrite, s); };
  const auto reads = [&](const Step& s) { return is(Access::kRead, s) || is(Access::kLoad, s); };
  if (plain(step) != plain(other) || (reads(step) && reads(other))) return false;
  if (!plain(step)) return step.place == other.place;
  // By whole words, as races are looked for.
  const auto first = [](const Step& s) { return s.place / 8; };
  const auto last = [](const Step& s) { return (s.place + s.bytes - 1) / 8; };
  return first(step) <= last(other) && first(other) <= last(step);
}

// --- Steps ---------------------------------------------------------------------------------------

// Lets any thread go on; returns when it is the caller's turn.
void Explorer::Before(Step step) {
  threads_[current_].next = step;
  SwitchTo(PickThread());
  steps_.emplace_back(current_, step);
  if (steps_.size() > kMostSteps) Fail(Violation::kUnmodelled, "an execution without an end");
}

void Explorer::Note(std::uint64_t value) { steps_.back().second.value = value; }

std::memory_order Explorer::Order(int location, Access access, std::memory_order order) {
  if (order == std::memory_order_seq_cst || order == std::memory_order_consume) {
    Fail(Violation::kUnmodelled, "an order other than relaxed, acquire, release and acq_rel");
  }
  for (std::size_t i = 0; i < options_.weakened.size(); ++i) {
    const Weakening& weakened = options_.weakened[i];
    if (weakened.location != location || weakened.access != access) continue;
    if (++weakened_seen_[i] == weakened.nth || weakened.nth == 0) return std::memory_order_relaxed;
  }
  return order;
}

std::uint64_t Explorer::Load(int location, std::memory_order order) {
  Before({Access::kLoad, static_cast<std::uintptr_t>(location)});
  const std::uint64_t value =
      memory_.Load(current_, location, Order(location, Access::kLoad, order));
  Note(value);
  return value;
}

void Explorer::Store(int location, std::uint64_t value, std::memory_order order) {
  Before({Access::kStore, static_cast<std::uintptr_t>(location)});
  memory_.Store(current_, location, value, Order(location, Access::kStore, order));
  Note(value);
}

std::uint64_t Explorer::Exchange(int location, std::uint64_t value, std::memory_order order) {
  Before({Access::kUpdate, static_cast<std::uintptr_t>(location)});
  const std::uint64_t before =
      memory_.Exchange(current_, location, value, Order(location, Access::kUpdate, order));
  Note(before);
  return before;
}

std::uint64_t Explorer::FetchAdd(int location, std::uint64_t n, std::memory_order order) {
  Before({Access::kUpdate, static_cast<std::uintptr_t>(location)});
  const std::uint64_t before =
      memory_.FetchAdd(current_, location, n, Order(location, Access::kUpdate, order));
  Note(before);
  return before;
}

bool Explorer::CompareExchange(int location, std::uint64_t& expected, std::uint64_t desired,
                               std::memory_order success, std::memory_order failure, bool weak) {
  Before({Access::kCompareExchange, static_cast<std::uintptr_t>(location)});
  const bool done = memory_.CompareExchange(
      current_, location, expected, desired, Order(location, Access::kCompareExchange, success),
      Order(location, Access::kFailedCompareExchange, failure), weak);
  Note(expected);
  return done;
}

void Explorer::Read(const void* at, std::size_t bytes) {
  if (bytes == 0) return;
  Before({Access::kRead, reinterpret_cast<std::uintptr_t>(at), bytes});
  memory_.Read(current_, at, bytes);
}

void Explorer::Write(const void* at, std::size_t bytes) {
  if (bytes == 0) return;
  Before({Access::kWrite, reinterpret_cast<std::uintptr_t>(at), bytes});
  memory_.Write(current_, at, bytes);
}

void Explorer::Kill(int thread) {
  Before({Access::kKill, static_cast<std::uintptr_t>(thread)});
  threads_[thread].running = false;
  memory_.Order(thread, current_);
}

// --- Violations ----------------------------------------------------------------------------------

void Explorer::Check(bool holds, const char* what) {
  if (!holds) Fail(Violation::kCheckFailed, what);
}

// Does not return to a thread of the scenario.
void Explorer::Fail(Violation kind, const std::string& what) {
  if (report_.violation == Violation::kNone) {
    report_.violation = kind;
    report_.what = what + Schedule();
  }
  SwitchTo(kNobody);
}

std::string Explorer::Schedule() const {
  static constexpr const char* kNames[] = {"start", "load", "store", "update", "compare-exchange",
                                           "",      "read", "write", "kill"};
  std::string text;
  for (const auto& [thread, step] : steps_) {
    text += "\n  thread " + std::to_string(thread) + ": " +
            kNames[static_cast<std::size_t>(step.access)] + " ";
    if (step.access == Access::kRead || step.access == Access::kWrite) {
      text += std::to_string(step.bytes) + " bytes at ..." + std::to_string(step.place % 65536);
    } else if (step.access == Access::kKill) {
      text += "thread " + std::to_string(step.place);
    } else {
      text += "location " + std::to_string(step.place) + ": " + std::to_string(step.value);
    }
  }
  return text;
}

}  // namespace spanring::model

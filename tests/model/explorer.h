// Runs a scenario of a few threads in every way that its steps and its reads can go.
// Threads: those of the scenario are fibers of the calling thread.
// Memory: the path of choices, and what one execution keeps.
// Errors: the first violation ends the exploration and is reported with its schedule.
// Design: docs/memory-model.md#the-model
//
// Each atomic operation and each announced access to plain memory is a step. Before each step
// another thread may go on; each load may read any store that the rules leave (memory.h). The
// choices of an execution form a path in a tree, which is walked depth first: a run repeats the
// choices so far, takes the first option at every new one, and the last choice with an option left
// is changed for the next run.
//
// Two neighbouring steps of different threads that touch different places, or only read, commute:
// of the two orders one is enough. Sleep sets see to it: a thread that was tried first at a choice
// stays asleep in the later branches until a step conflicts with its own (Godefroid, LNCS 1032).
#pragma once

#include <ucontext.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/memory.h"

namespace spanring::model {

// Built anew for each execution: what the constructor does happens before the threads.
class Scenario {
 public:
  virtual ~Scenario() = default;
  // At most kMostThreads - 1; the first has number 1. They end, and what they share other than by
  // ModelSync they read only after Kill, or in Finish. They own no memory: a run may end anywhere.
  virtual std::vector<std::function<void()>> Threads() = 0;
  // After all threads, which happen before it.
  virtual void Finish() {}
};

enum class Access {
  kStart,
  kLoad,
  kStore,
  kUpdate,  // That always takes place: an exchange, an addition.
  kCompareExchange,
  kFailedCompareExchange,  // Only in a Weakening: the order of one that fails.
  kRead,
  kWrite,
  kKill,
};

// An operation whose order is to be taken as relaxed.
struct Weakening {
  int location;  // By order of construction.
  Access access;
  std::uint32_t nth = 0;  // Of this access to this location, from 1; 0: every one.
};

struct ExploreOptions {
  std::vector<Weakening> weakened = {};
  bool sleep_sets = true;
  std::uint64_t most_executions = 20'000'000;  // Beyond it the exploration fails as unmodelled.
};

struct Report {
  std::uint64_t executions = 0;  // Run to their end.
  std::uint64_t cut_short = 0;   // Given up as the same as one that was run.
  Violation violation = Violation::kNone;
  std::string what;  // And the schedule that leads to it.
};

Report Explore(const std::function<std::unique_ptr<Scenario>()>& make,
               const ExploreOptions& options = {});

class Explorer final : private MemoryHost {
 public:
  Explorer(const std::function<std::unique_ptr<Scenario>()>& make, const ExploreOptions& options);
  Report Run();

  // The one that runs the caller.
  static Explorer& Current();

  // --- What the code under test does ---
  int AddLocation(std::uint64_t initial) { return memory_.AddLocation(initial); }
  std::uint64_t Load(int location, std::memory_order order);
  void Store(int location, std::uint64_t value, std::memory_order order);
  std::uint64_t Exchange(int location, std::uint64_t value, std::memory_order order);
  std::uint64_t FetchAdd(int location, std::uint64_t n, std::memory_order order);
  bool CompareExchange(int location, std::uint64_t& expected, std::uint64_t desired,
                       std::memory_order success, std::memory_order failure, bool weak);
  void Read(const void* at, std::size_t bytes);
  void Write(const void* at, std::size_t bytes);

  // --- What a scenario does ---
  // The thread takes no further step; all it did happens before what the caller does next.
  void Kill(int thread);
  void Check(bool holds, const char* what);

 private:
  struct Step {
    Access access = Access::kStart;
    std::uintptr_t place = 0;  // The location, the address, or the thread.
    std::size_t bytes = 0;
    std::uint64_t value = 0;  // Read or stored; for the schedule.
  };
  struct Thread {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    std::function<void()> body;
    bool running = false;
    Step next;
  };
  struct Choice {
    bool of_thread;
    int chosen;
    std::uint32_t left;    // Threads not yet tried, as bits; or the number of options.
    std::uint32_t asleep;  // Threads tried before, here or above.
  };

  int Choose(int count) override;
  void Fail(Violation kind, const std::string& what) override;

  void RunOnce();
  void Prepare(int thread, std::function<void()> body);
  bool NextPath();
  void Before(Step step);
  void Note(std::uint64_t value);
  int PickThread();
  void SwitchTo(int thread);
  static void FiberMain();
  std::memory_order Order(int location, Access access, std::memory_order order);
  static bool Conflict(int thread, const Step& step, int other_thread, const Step& other);
  std::string Schedule() const;

  const std::function<std::unique_ptr<Scenario>()> make_;
  const ExploreOptions options_;
  Memory memory_;
  Report report_;

  std::vector<Choice> path_;

  // Of the execution.
  ucontext_t main_;
  std::array<Thread, kMostThreads> threads_;
  int current_ = -1;
  std::size_t depth_ = 0;  // Choices made.
  std::uint32_t asleep_ = 0;
  bool cut_short_ = false;
  std::vector<std::pair<int, Step>> steps_;
  std::vector<std::uint32_t> weakened_seen_;
};

}  // namespace spanring::model

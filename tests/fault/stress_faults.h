// The faults of the stress run: chosen at random, several at a time, each undone when it is due.
// Threads: one; what blocks is done on threads of its own.
// Memory: the destructor waits for those threads.
// Errors: what cannot be injected now (a pooler that is not there) is not counted.
// Design: docs/reliability.md#stress
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "fault/stress_world.h"

namespace spanring::test {

class Faults {
 public:
  using Clock = World::Clock;

  // `journal_failed` is called with each program whose journal cannot be written for a while. Of
  // the kinds, those whose name holds `only`.
  Faults(World* world, std::uint64_t seed, std::string only,
         std::function<void(std::size_t)> journal_failed);
  ~Faults();
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;

  // One, of a random kind.
  void Inject();
  // Undoes what is due, kills recoveries whose time has come, starts those that are due.
  void Tick(Clock::time_point now);
  // Undoes all, and waits until the server answers.
  void End();

  const std::map<std::string, int>& counts() const { return counts_; }
  int total() const;

 private:
  struct Kind {
    int weight;
    const char* name;
    bool (Faults::*inject)();
  };
  static const std::vector<Kind>& Kinds();

  bool KillProgram();
  bool EndProgram();
  bool ForkProgram();
  bool FreezeProgram();
  bool TerminateBackend();
  bool KillBackend();
  bool KillServer();
  bool FreezeServer();
  bool ResetLines();
  bool CutAmid();
  bool LoseAnswer();
  bool Swallow();
  bool Delay();
  bool Refuse();
  bool Slow();
  bool LockTable();
  bool RevokeRights();
  bool KillPooler();
  bool Reroute();
  bool CloseJournal();

  std::uint64_t Random(std::uint64_t below) { return random_() % below; }
  std::chrono::milliseconds UpTo(int ms);
  World::Seat* RunningSeat();
  FaultyProxy& AnyProxy() { return world_->proxy(Random(2)); }
  void Count(const std::string& kind);
  // `undo` false: once more, a little later.
  void Later(std::chrono::milliseconds pause, std::function<bool()> undo);
  void OnThread(std::function<void()> job);
  bool TrySql(const std::string& sql);
  void StartServer();
  void SignalServer(int signal_number, const std::vector<pid_t>& processes);
  void PlanRecovery();

  struct Job {
    std::thread thread;
    std::shared_ptr<std::atomic<bool>> done;
  };
  struct Due {
    Clock::time_point when;
    std::function<bool()> undo;
  };

  World* const world_;
  const std::string only_;
  const std::function<void(std::size_t)> journal_failed_;
  std::mt19937_64 random_;
  std::map<std::string, int> counts_;
  std::list<Due> due_;
  std::list<Job> jobs_;
  std::set<std::string> under_way_;  // Kinds that must not overlap with themselves.
  std::string detail_;               // Of the fault that is being injected.
  int recovery_plan_ = 0;
};

}  // namespace spanring::test

// What the stress run plays with: a server, two proxies and a pooler in front of it, traced
// programs, recoveries.
// Threads: one, but for the calls that say otherwise.
// Memory: all that it starts ends with it, and its folders go.
// Errors: a failure of set-up throws; what must not happen is a finding.
// Design: docs/reliability.md#stress
//
//   program --> proxy (TCP or Unix door) --> `door`, a symbolic link --> PgBouncer --> server
//                                                                   \--------------> server
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "dev/temporary_server.h"
#include "fault/faulty_proxy.h"
#include "fault/pooler.h"
#include "fault/stress_log.h"

namespace spanring::test {

struct StressOptions {
  double seconds = 300;
  double quiet_seconds = 10;
  double fault_every_seconds = 2;
  std::uint64_t spans_per_second = 200'000;
  std::uint64_t seed = 0;
  std::string spanring;  // The program.
  std::string self;      // This program.
  std::string only;      // Faults whose name holds it; all, when empty.
};

class World {
 public:
  using Clock = std::chrono::steady_clock;

  // A traced program, started anew whenever it has ended.
  struct Seat {
    std::size_t threads;
    double rate;
    pid_t pid = 0;
    std::size_t process = 0;
    Clock::time_point began{};
    Clock::time_point freeze_until{};
    bool frozen = false;
    bool killed = false;  // By us.
    bool told_to_end = false;
  };
  struct Process {
    pid_t pid;
    Clock::time_point began;
    bool killed = false;
  };

  World(const StressOptions& options, std::function<void(const std::string&)> finding);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // --- Folders ---
  const std::string& folder() const { return folder_; }
  std::string journals() const { return folder_ + "/journal"; }
  std::string rings() const { return shm_folder_ + "/rings"; }
  StressLog* log() const { return log_; }
  // Of programs, whether they live or not.
  std::vector<std::string> WriterFolders() const;
  std::vector<std::string> FilesLeft() const;
  void Say(const std::string& event);

  // --- The server ---
  dev::PrivateServer& server() { return *server_; }
  const std::string& conninfo() const { return conninfo_; }
  // Any thread: held by who stops, kills or starts the server.
  std::mutex& server_mutex() { return server_mutex_; }
  FaultyProxy& proxy(std::size_t i) { return i == 0 ? tcp_ : unix_; }
  Pooler* pooler() { return pooler_.get(); }
  void RouteThrough(bool pooler);
  bool through_pooler() const { return through_pooler_; }

  // --- Programs ---
  std::vector<Seat>& seats() { return seats_; }
  std::size_t processes() const;
  void Begin(std::size_t seat);
  // Notes who has ended, and how.
  void Reap();
  void ThawWhenDue(Clock::time_point now);
  bool Lives(std::size_t process) const;
  // True while any process of this run but the seats' does.
  std::vector<pid_t> Strays() const;

  // --- Recoveries ---
  std::vector<Process>& recoveries() { return recoveries_; }
  void BeginRecovery(bool past_proxies = false);

 private:
  pid_t Spawn(const std::vector<std::string>& arguments, std::vector<std::string> environment,
              const std::string& log);
  std::vector<std::string> Environment(std::size_t route) const;

  const StressOptions options_;
  const std::function<void(const std::string&)> finding_;
  std::string folder_;
  std::string shm_folder_;
  StressLog* log_ = nullptr;
  std::mt19937_64 random_;
  dev::TemporaryServer server_;
  std::string conninfo_;
  std::mutex server_mutex_;
  FaultyProxy tcp_;
  FaultyProxy unix_;
  std::unique_ptr<Pooler> pooler_;
  bool through_pooler_ = false;
  std::vector<Seat> seats_;
  std::vector<Process> recoveries_;
  int recoveries_begun_ = 0;
  const Clock::time_point began_ = Clock::now();
  std::mutex say_mutex_;
};

}  // namespace spanring::test

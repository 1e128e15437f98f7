// What each kind of fault of the stress run does.
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "dev/process.h"
#include "e2e/harness.h"
#include "fault/stress_faults.h"

namespace spanring::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int kLongestMs = 3000;

// Nothing can be made or removed in it: not by root either, where the file system knows how.
bool SetWritable(const std::string& folder, bool writable) {
  if (geteuid() != 0) return chmod(folder.c_str(), writable ? 0700 : 0500) == 0;
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return writable && errno == ENOENT;
  unsigned flags = 0;
  bool done = ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0;
  flags = writable ? flags & ~unsigned{FS_IMMUTABLE_FL} : flags | unsigned{FS_IMMUTABLE_FL};
  done = done && ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
  close(fd);
  return done;
}

}  // namespace

milliseconds Faults::UpTo(int ms) {
  const milliseconds time(50 + Random(static_cast<std::uint64_t>(ms)));
  absl::StrAppend(&detail_, " ", time.count(), " ms");
  return time;
}

World::Seat* Faults::RunningSeat() {
  // The small one more rarely: the other's kills leave more to recover.
  World::Seat& seat = world_->seats()[Random(3) == 0 ? 1 : 0];
  if (seat.pid == 0 || seat.told_to_end || seat.killed) return nullptr;
  absl::StrAppend(&detail_, "program ", seat.process);
  return &seat;
}

// --- Programs ---

bool Faults::KillProgram() {
  World::Seat* seat = RunningSeat();
  if (seat == nullptr) return false;
  kill(seat->pid, SIGKILL);
  seat->killed = true;
  PlanRecovery();
  return true;
}

// In turn: by the next program itself, by one recovery, by one that is killed, by two at once.
void Faults::PlanRecovery() {
  const int plan = recovery_plan_++ % 4;
  if (plan == 0) return;
  Later(milliseconds(Random(1000)), [this, plan] {
    world_->BeginRecovery();
    if (plan == 3) {
      world_->BeginRecovery();
      Count("recovery: two at once");
    }
    if (plan != 2) return true;
    // Its moments: while it reads, while it sends, while it removes files.
    const pid_t pid = world_->recoveries().back().pid;
    Later(milliseconds(5 + Random(Random(2) == 0 ? 100 : 3000)), [this, pid] {
      for (World::Process& one : world_->recoveries()) {
        if (one.pid != pid) continue;
        one.killed = true;
        kill(pid, SIGKILL);
        Count("recovery: kill -9");
        Later(milliseconds(Random(500)), [this] {
          world_->BeginRecovery();
          return true;
        });
      }
      return true;
    });
    return true;
  });
}

bool Faults::EndProgram() {
  World::Seat* seat = RunningSeat();
  if (seat == nullptr) return false;
  ProcessLog& log = world_->log()->processes[seat->process];
  // relaxed, both: read in that order by chance at worst, which the deadline's default bears.
  log.end_seconds.store(static_cast<std::uint32_t>(1 + Random(4)), std::memory_order_relaxed);
  log.command.store(Random(2) == 0 ? Command::kEnd : Command::kEndAndLeaveOpen,
                    std::memory_order_relaxed);
  seat->told_to_end = true;
  return true;
}

bool Faults::ForkProgram() {
  World::Seat* seat = RunningSeat();
  if (seat == nullptr) return false;
  // relaxed: an order by itself.
  world_->log()->processes[seat->process].forks_wanted.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool Faults::FreezeProgram() {
  World::Seat* seat = RunningSeat();
  if (seat == nullptr || seat->frozen) return false;
  kill(seat->pid, SIGSTOP);
  seat->frozen = true;
  seat->freeze_until = Clock::now() + UpTo(2000);
  return true;
}

bool Faults::CloseJournal() {
  if (under_way_.contains("journal")) return false;
  // All of them, so that a program that begins finds none; or those of the programs there are.
  std::vector<std::string> folders;
  if (Random(3) == 0) {
    folders.push_back(world_->journals());
  } else {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(world_->journals(), error)) {
      folders.push_back(entry.path().string());
    }
  }
  std::erase_if(folders, [](const std::string& folder) { return !SetWritable(folder, false); });
  if (folders.empty()) return false;
  const milliseconds time = UpTo(kLongestMs);
  absl::StrAppend(&detail_, " ", folders.size(), " folders");
  for (std::size_t i = 0; i < world_->processes(); ++i) {
    if (world_->Lives(i)) journal_failed_(i);
  }
  under_way_.insert("journal");
  Later(time, [this, folders, first = world_->processes()] {
    // Those that have begun since, whether they live or not.
    for (std::size_t i = first; i < world_->processes(); ++i) journal_failed_(i);
    for (const std::string& folder : folders) SetWritable(folder, true);
    under_way_.erase("journal");
    return true;
  });
  return true;
}

// --- Server ---

bool Faults::TrySql(const std::string& sql) {
  const auto connection = pg::Connect(world_->conninfo(), "stress faults");
  return connection.ok() && pg::Execute(connection->get(), sql).ok();
}

bool Faults::TerminateBackend() {
  OnThread([this] {
    TrySql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ="
        " 'spanring' ORDER BY random() LIMIT 1");
  });
  return true;
}

bool Faults::KillBackend() {
  const std::unique_lock lock(world_->server_mutex(), std::try_to_lock);
  if (!lock.owns_lock()) return false;
  const std::vector<pid_t> processes = dev::ChildrenOf(world_->server().pid());
  if (processes.empty()) {
    // It had just begun to recover from the last one, and that makes it end.
    StartServer();
    return false;
  }
  // Also such as write the log or the data: to the server it is the same.
  kill(processes[Random(processes.size())], SIGKILL);
  return true;
}

void Faults::StartServer() {
  for (int i = 0; i < 20; ++i) {
    if (world_->server().Start().ok() && TrySql("SELECT 1")) return;
    std::this_thread::sleep_for(milliseconds(500));
  }
}

bool Faults::KillServer() {
  if (!under_way_.insert("server").second) return false;
  const milliseconds away = UpTo(1000);
  OnThread([this, away] {
    const std::lock_guard lock(world_->server_mutex());
    world_->server().Kill().IgnoreError();
    std::this_thread::sleep_for(away);
    StartServer();
  });
  Later(away, [this] {
    under_way_.erase("server");
    return true;
  });
  return true;
}

void Faults::SignalServer(int signal_number, const std::vector<pid_t>& processes) {
  for (const pid_t pid : processes) kill(pid, signal_number);
}

bool Faults::FreezeServer() {
  if (!under_way_.insert("server").second) return false;
  const milliseconds time = UpTo(kLongestMs);
  OnThread([this, time] {
    const std::lock_guard lock(world_->server_mutex());
    const pid_t postmaster = world_->server().pid();
    if (postmaster == 0) return;
    kill(postmaster, SIGSTOP);  // First: no child comes or goes unseen.
    const std::vector<pid_t> children = dev::ChildrenOf(postmaster);
    SignalServer(SIGSTOP, children);
    std::this_thread::sleep_for(time);
    SignalServer(SIGCONT, children);
    kill(postmaster, SIGCONT);
  });
  Later(time, [this] {
    under_way_.erase("server");
    return true;
  });
  return true;
}

bool Faults::LockTable() {
  const milliseconds time = UpTo(kLongestMs);
  OnThread([this, time] {
    const auto connection = pg::Connect(world_->conninfo(), "stress faults");
    if (!connection.ok()) return;
    const auto locked = pg::Execute(connection->get(),
                                    "SET lock_timeout = '5s'; BEGIN; LOCK TABLE trace_spans IN"
                                    " ACCESS EXCLUSIVE MODE");
    if (locked.ok()) std::this_thread::sleep_for(time);
  });
  return true;
}

bool Faults::RevokeRights() {
  if (!under_way_.insert("rights").second) return false;
  OnThread([this, time = UpTo(kLongestMs)] {
    TrySql("REVOKE spanring_writer FROM traced");
    std::this_thread::sleep_for(time);
    for (int i = 0; i < 600 && !TrySql("GRANT spanring_writer TO traced"); ++i) {
      std::this_thread::sleep_for(milliseconds(100));
    }
  });
  Later(milliseconds(3500), [this] {
    under_way_.erase("rights");
    return true;
  });
  return true;
}

// --- Lines ---

bool Faults::ResetLines() {
  FaultyProxy& proxy = AnyProxy();
  proxy.SetMode(FaultyProxy::Mode::kReset);
  Later(UpTo(500), [&proxy] {
    proxy.SetMode(FaultyProxy::Mode::kPass);
    return true;
  });
  return true;
}

bool Faults::CutAmid() {
  const std::uint64_t bytes = Random(Random(2) == 0 ? 4'000 : 3'000'000);
  absl::StrAppend(&detail_, bytes);
  AnyProxy().AfterClientBytes(
      bytes, Random(2) == 0 ? FaultyProxy::Fault::kCut : FaultyProxy::Fault::kReset);
  return true;
}

// The answer to COPY comes in the message that ends the transaction, or in the one before.
bool Faults::LoseAnswer() {
  const char* const word = Random(4) == 0 ? "SELECT 1" : "COPY ";
  const int times = 1 + static_cast<int>(Random(3));
  absl::StrAppend(&detail_, word, " ", times, " times");
  AnyProxy().WhenServerSays(
      word, Random(2) == 0 ? FaultyProxy::Fault::kCut : FaultyProxy::Fault::kReset, times);
  return true;
}

bool Faults::Swallow() {
  FaultyProxy& proxy = AnyProxy();
  proxy.SetMode(FaultyProxy::Mode::kSwallow);
  Later(UpTo(kLongestMs), [&proxy] {
    proxy.SetMode(FaultyProxy::Mode::kReset);
    proxy.SetMode(FaultyProxy::Mode::kPass);
    return true;
  });
  return true;
}

bool Faults::Delay() {
  FaultyProxy& proxy = AnyProxy();
  proxy.Delay(milliseconds(20 + Random(200)));
  Later(UpTo(kLongestMs), [&proxy] {
    proxy.Delay(milliseconds(0));
    return true;
  });
  return true;
}

bool Faults::Slow() {
  FaultyProxy& proxy = AnyProxy();
  proxy.Slow(1000 + Random(1'000'000));
  Later(UpTo(kLongestMs), [&proxy] {
    proxy.Slow(0);
    return true;
  });
  return true;
}

bool Faults::Refuse() {
  FaultyProxy& proxy = AnyProxy();
  proxy.SetMode(FaultyProxy::Mode::kRefuse);
  Later(UpTo(kLongestMs), [&proxy] {
    proxy.SetMode(FaultyProxy::Mode::kPass);
    return true;
  });
  return true;
}

// --- Pooler ---

bool Faults::KillPooler() {
  if (world_->pooler() == nullptr || !world_->through_pooler()) return false;
  if (!under_way_.insert("pooler").second) return false;
  OnThread([this, away = UpTo(1000)] {
    world_->pooler()->Kill();
    std::this_thread::sleep_for(away);
    for (int i = 0; i < 20; ++i) {
      try {
        return world_->pooler()->Start();
      } catch (const std::exception& e) {
        world_->Say(e.what());
      }
    }
  });
  Later(milliseconds(2500), [this] {
    under_way_.erase("pooler");
    return true;
  });
  return true;
}

bool Faults::Reroute() {
  if (world_->pooler() == nullptr) return false;
  world_->RouteThrough(!world_->through_pooler());
  for (const std::size_t i : {0, 1}) {
    world_->proxy(i).SetMode(FaultyProxy::Mode::kReset);
    world_->proxy(i).SetMode(FaultyProxy::Mode::kPass);
  }
  return true;
}

}  // namespace spanring::test

#include "fault/stress_world.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "dev/process.h"
#include "e2e/harness.h"
#include "spanring/id.h"

namespace spanring::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

// What its commits have said must be there after a kill; that of the machine is not our subject.
dev::TemporaryServer NewServer() {
  return OwnServer({}, {"synchronous_commit = on", "full_page_writes = on",
                        "checkpoint_timeout = 30s", "max_wal_size = 512MB"});
}

std::string NewFolder(std::string pattern) {
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make " + pattern);
  return pattern;
}

std::string ServerSocket(const dev::PrivateServer& server) {
  return server.socket_folder() + "/.s.PGSQL.5432";
}

std::string HowItEnded(int status) {
  if (WIFSIGNALED(status)) return absl::StrCat("signal ", WTERMSIG(status));
  return absl::StrCat("status ", WEXITSTATUS(status));
}

}  // namespace

World::World(const StressOptions& options, std::function<void(const std::string&)> finding)
    : options_(options),
      finding_(std::move(finding)),
      folder_(NewFolder(fs::temp_directory_path().string() + "/spanring-stress-XXXXXX")),
      shm_folder_(NewFolder("/dev/shm/spanring-stress-XXXXXX")),
      log_(StressLog::Create(shm_folder_ + "/log")),
      random_(options.seed ^ 1),
      server_(NewServer()),
      conninfo_(server_->conninfo()),
      tcp_(folder_ + "/door", FaultyProxy::Door::kTcp),
      unix_(folder_ + "/door", FaultyProxy::Door::kUnix) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // So that the forks of programs that die are ours to wait for.
  Migrate(conninfo_);
  RunSql(ConnectTo(conninfo_).get(), "CREATE ROLE traced LOGIN IN ROLE spanring_writer");
  if (Pooler::Available()) pooler_ = std::make_unique<Pooler>(*server_);
  RouteThrough(false);
  fs::create_directory(folder_ + "/logs");
  // One that nearly fills the database, and a small one that must not suffer from it.
  const auto rate = static_cast<double>(options.spans_per_second);
  seats_ = {{.threads = 4, .rate = rate * 0.9}, {.threads = 2, .rate = rate * 0.1}};
}

World::~World() {
  for (Seat& seat : seats_) {
    if (seat.pid != 0) kill(seat.pid, SIGKILL);
  }
  for (const Process& recovery : recoveries_) kill(recovery.pid, SIGKILL);
  for (const pid_t pid : Strays()) kill(pid, SIGKILL);
  std::error_code error;
  fs::remove_all(shm_folder_, error);
  fs::remove_all(folder_, error);
}

void World::Say(const std::string& event) {
  const std::lock_guard lock(say_mutex_);
  const std::chrono::duration<double> at = Clock::now() - began_;
  char time[32];
  std::snprintf(time, sizeof(time), "%9.3f ", at.count());
  std::ofstream(folder_ + "/events", std::ios::app) << time << event << "\n";
}

std::vector<std::string> World::WriterFolders() const {
  std::vector<std::string> names;
  for (const std::string& root : {journals(), rings()}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(root, error)) {
      names.push_back(entry.path().filename().string());
    }
  }
  return names;
}

std::vector<std::string> World::FilesLeft() const {
  std::vector<std::string> files;
  for (const std::string& root : {journals(), rings()}) {
    std::error_code error;
    for (const auto& entry : fs::recursive_directory_iterator(root, error)) {
      files.push_back(entry.path().string());
    }
  }
  return files;
}

void World::RouteThrough(bool pooler) {
  const std::string socket = pooler ? pooler_->socket() : ServerSocket(*server_);
  const std::string fresh = folder_ + "/door.new";
  std::error_code error;
  fs::remove(fresh, error);
  fs::create_symlink(socket, fresh);
  fs::rename(fresh, folder_ + "/door");
  through_pooler_ = pooler;
}

std::size_t World::processes() const {
  // relaxed: a number.
  return std::min<std::size_t>(log_->next_process.load(std::memory_order_relaxed), kLogProcesses);
}

std::vector<std::string> World::Environment(std::size_t route) const {
  const FaultyProxy& proxy = route == 0 ? tcp_ : unix_;
  const std::string conninfo =
      route > 1 ? conninfo_ : absl::StrCat(conninfo_, " ", proxy.conninfo(), " user=traced");
  return {"PATH=/usr/bin:/bin",
          "HOME=" + folder_,
          "ENABLE_DB_TRACING=true",
          "DATABASE_URL=" + conninfo,
          "SPANRING_RING_DIR=" + rings(),
          "SPANRING_JOURNAL_DIR=" + journals(),
          "SPANRING_LOG=info",
          "SPANRING_CONNECT_TIMEOUT_MS=3000",
          "SPANRING_BATCH_TIMEOUT_MS=10000",
          "SPANRING_RETRY_MAX_MS=500",
          "SPANRING_OPEN_SPAN_MS=500"};
}

pid_t World::Spawn(const std::vector<std::string>& arguments, std::vector<std::string> environment,
                   const std::string& log) {
  std::vector<char*> argv;
  std::vector<char*> envp;
  for (const std::string& one : arguments) argv.push_back(const_cast<char*>(one.c_str()));
  for (const std::string& one : environment) envp.push_back(const_cast<char*>(one.c_str()));
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error(absl::StrCat(argv[0], ": ", std::strerror(error)));
  return pid;
}

void World::Begin(std::size_t number) {
  Seat& seat = seats_[number];
  // relaxed: a number.
  const std::size_t process = log_->next_process.fetch_add(1, std::memory_order_relaxed);
  if (process >= kLogProcesses) throw std::runtime_error("too many processes");
  const auto one_of = [&](std::initializer_list<int> choices) {
    return choices.begin()[random_() % choices.size()];
  };
  std::vector<std::string> environment = Environment(number);
  const bool heavy = number == 0;
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, std::string>>{
           {"OTEL_SERVICE_NAME", absl::StrCat("stress-", process)},
           {"STRESS_PROCESS", absl::StrCat(process)},
           {"STRESS_THREADS", absl::StrCat(seat.threads)},
           {"STRESS_RATE", absl::StrCat(static_cast<std::uint64_t>(seat.rate))},
           // What a killed one leaves must not be more than the database takes until the next.
           {"SPANRING_JOURNAL_BYTES", absl::StrCat((heavy ? one_of({4, 16, 48}) : 256) << 20)},
           {"SPANRING_JOURNAL_FULL", heavy && one_of({0, 0, 1}) == 1 ? "oldest" : "newest"},
           {"SPANRING_SHIPPERS", absl::StrCat(one_of({1, 1, 2, 3}))},
           {"SPANRING_BATCH_ROWS", absl::StrCat(one_of({500, 3000, 10000, 10000}))},
           {"SPANRING_FLUSH_INTERVAL_MS", absl::StrCat(one_of({5, 100, 500}))}}) {
    environment.push_back(absl::StrCat(name, "=", value));
  }
  ProcessLog& log = log_->processes[process];
  // relaxed: read by ourselves, and by the program that is started after it.
  log.named_after.store(static_cast<std::uint32_t>(process), std::memory_order_relaxed);
  const std::string file = absl::StrCat(folder_, "/logs/program-", process);
  seat.pid = Spawn({options_.self, "--child", shm_folder_ + "/log"}, environment, file);
  log.pid.store(seat.pid, std::memory_order_relaxed);  // relaxed: as above.
  seat.process = process;
  seat.began = Clock::now();
  seat.frozen = seat.killed = seat.told_to_end = false;
  std::string words;
  for (std::size_t i = environment.size() - 5; i < environment.size(); ++i) {
    absl::StrAppend(&words, " ", environment[i]);
  }
  Say(absl::StrCat("program ", process, " begins as pid ", seat.pid, words));
}

void World::Reap() {
  for (Seat& seat : seats_) {
    int status = 0;
    if (seat.pid == 0 || waitpid(seat.pid, &status, WNOHANG) != seat.pid) continue;
    Say(absl::StrCat("program ", seat.process, " has ended: ", HowItEnded(status)));
    const bool expected = seat.killed || (seat.told_to_end && status == 0);
    if (!expected) {
      finding_(absl::StrCat("program ", seat.process, " ended by itself: ", HowItEnded(status)));
    }
    seat.pid = 0;
  }
  for (std::size_t i = 0; i < recoveries_.size();) {
    int status = 0;
    const Process& one = recoveries_[i];
    if (waitpid(one.pid, &status, WNOHANG) != one.pid) {
      ++i;
      continue;
    }
    Say(absl::StrCat("recovery ", one.pid, " has ended: ", HowItEnded(status)));
    if (WIFSIGNALED(status) && !one.killed) {
      finding_(absl::StrCat("a recovery crashed: ", HowItEnded(status)));
    }
    recoveries_.erase(recoveries_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  // Forks whose program has died.
  for (std::size_t process = 0; process < processes(); ++process) {
    const ProcessLog& log = log_->processes[process];
    // relaxed, both: numbers.
    if (log.named_after.load(std::memory_order_relaxed) == process) continue;
    if (const int pid = log.pid.load(std::memory_order_relaxed); pid > 0) {
      waitpid(pid, nullptr, WNOHANG);
    }
  }
}

void World::ThawWhenDue(Clock::time_point now) {
  for (Seat& seat : seats_) {
    if (!seat.frozen || now < seat.freeze_until) continue;
    if (seat.pid != 0) kill(seat.pid, SIGCONT);
    seat.frozen = false;
  }
}

bool World::Lives(std::size_t process) const {
  const int pid =
      log_->processes[process].pid.load(std::memory_order_relaxed);  // relaxed: a number.
  if (pid <= 0 || !dev::ProcessAlive(pid)) return false;
  const auto words = dev::CommandLineOf(pid);  // The number may be another's by now.
  return words.size() == 3 && words[2] == shm_folder_ + "/log";
}

std::vector<pid_t> World::Strays() const {
  std::vector<pid_t> strays;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const int pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0 || pid == getpid() || !dev::ProcessAlive(pid)) continue;
    const auto words = dev::CommandLineOf(pid);
    if (words.size() == 3 && words[2] == shm_folder_ + "/log") strays.push_back(pid);
  }
  return strays;
}

void World::BeginRecovery(bool past_proxies) {
  const std::size_t route = past_proxies ? 2 : random_() % 2;
  const std::string file = absl::StrCat(folder_, "/logs/recovery-", ++recoveries_begun_);
  const pid_t pid =
      Spawn({options_.spanring, "recover", "--all", "--json"}, Environment(route), file);
  Say(absl::StrCat("recovery ", recoveries_begun_, " begins as pid ", pid));
  recoveries_.push_back({pid, Clock::now()});
}

}  // namespace spanring::test

// Random faults upon programs that trace all they can, and an account of every span at the end.
#include <signal.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <string_view>
#include <thread>

#include "absl/strings/str_cat.h"
#include "fault/stress_account.h"
#include "fault/stress_faults.h"
#include "fault/stress_world.h"

namespace spanring::test {
namespace {

namespace fs = std::filesystem;
using Clock = World::Clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kLeastFreeBytes = std::uint64_t{20} << 30;
constexpr seconds kHarvestEvery{5};
constexpr seconds kOrphansWait{12};  // For the next program, before a recovery is started for them.

std::atomic<bool> g_interrupted{false};

class Stress {
 public:
  explicit Stress(const StressOptions& options)
      : options_(options),
        world_(options, [this](const std::string& what) { Find(what); }),
        accounts_(world_.log(), world_.conninfo(), [this](const std::string& what) { Find(what); }),
        faults_(&world_, options.seed, options.only,
                [this](std::size_t process) {
                  const std::lock_guard lock(accounts_mutex_);
                  accounts_.ExpectLossBy(process);
                }),
        random_(options.seed ^ 2) {}

  // The exit status.
  int Run();

 private:
  void Find(const std::string& what);
  void Step(bool inject);
  void RunFor(double seconds, bool inject);
  void KeepHarvesting();
  void MindOrphans(Clock::time_point now);
  void SayProgress();
  bool HasRoom();
  void EndPrograms();
  void RecoverAll();
  void HarvestAll();
  void Settle();
  void Print();

  const StressOptions options_;
  std::mutex findings_mutex_;
  std::vector<std::string> findings_;
  World world_;
  std::mutex accounts_mutex_;
  Accounts accounts_;
  Faults faults_;
  std::mt19937_64 random_;
  const Clock::time_point began_ = Clock::now();
  Clock::time_point next_fault_{};
  Clock::time_point next_progress_{};
  Clock::time_point orphans_since_{};
  Clock::time_point next_look_{};
  std::atomic<bool> harvesting_{true};
  std::atomic<std::uint64_t> harvested_{0};
  Account account_;
  std::int64_t open_rows_ = 0;
  std::size_t files_left_ = 0;
  std::size_t strays_ = 0;
};

void Stress::Find(const std::string& what) {
  world_.Say("WRONG: " + what);
  const std::lock_guard lock(findings_mutex_);
  findings_.push_back(what);
  std::printf("WRONG: %s\n", what.c_str());
  std::fflush(stdout);
}

void Stress::Step(bool inject) {
  const auto now = Clock::now();
  world_.Reap();
  world_.ThawWhenDue(now);
  faults_.Tick(now);
  for (std::size_t i = 0; i < world_.seats().size(); ++i) {
    if (world_.seats()[i].pid == 0 && random_() % 8 == 0) world_.Begin(i);
  }
  MindOrphans(now);
  if (inject && now >= next_fault_) {
    faults_.Inject();
    std::exponential_distribution<double> pause(1 / options_.fault_every_seconds);
    next_fault_ = now + std::chrono::duration_cast<Clock::duration>(
                            std::chrono::duration<double>(pause(random_)));
  }
  if (now >= next_progress_) SayProgress();
  std::this_thread::sleep_for(milliseconds(20));
}

void Stress::RunFor(double length, bool inject) {
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(length));
  // relaxed: no data comes with it.
  while (Clock::now() < end && !g_interrupted.load(std::memory_order_relaxed) && HasRoom()) {
    Step(inject);
  }
}

bool Stress::HasRoom() {
  struct statvfs disk{};
  if (statvfs(world_.folder().c_str(), &disk) != 0 ||
      std::uint64_t{disk.f_bavail} * disk.f_frsize >= kLeastFreeBytes) {
    return true;
  }
  std::printf("ended early: less than 20 GB are free\n");
  g_interrupted.store(true, std::memory_order_relaxed);  // relaxed: no data comes with it.
  return false;
}

void Stress::KeepHarvesting() {
  auto next = Clock::now() + kHarvestEvery;
  while (harvesting_.load(std::memory_order_relaxed)) {  // relaxed: no data comes with it.
    std::this_thread::sleep_for(milliseconds(50));
    if (Clock::now() < next) continue;
    const std::lock_guard lock(accounts_mutex_);
    std::uint64_t rows = 0;
    if (!accounts_.Harvest(&rows)) world_.Say("no harvest: " + accounts_.failure());
    harvested_.store(accounts_.harvested(), std::memory_order_relaxed);  // relaxed: a number.
    next = Clock::now() + kHarvestEvery;
  }
}

// The next program looks for them itself, once; whatever hinders it, they must not pile up.
void Stress::MindOrphans(Clock::time_point now) {
  if (now < next_look_) return;
  next_look_ = now + seconds(1);
  std::size_t living = 0;
  for (std::size_t i = 0; i < world_.processes(); ++i) living += world_.Lives(i) ? 2 : 0;
  if (world_.WriterFolders().size() <= living) orphans_since_ = now;
  if (now - orphans_since_ < kOrphansWait || !world_.recoveries().empty()) return;
  orphans_since_ = now;
  world_.BeginRecovery();
}

void Stress::SayProgress() {
  const auto now = Clock::now();
  next_progress_ = now + seconds(10);
  std::uint64_t offered = 0;
  for (std::size_t i = 0; i < world_.processes(); ++i) {
    for (const ThreadLog& thread : world_.log()->processes[i].threads) {
      for (const LaneLog& lane : thread.lanes) {
        offered += lane.start_begun.load(std::memory_order_relaxed);  // relaxed: a number.
      }
    }
  }
  const std::chrono::duration<double> passed = now - began_;
  std::printf("%5.0f s: %llu spans offered, %llu in the database so far, %d faults\n",
              passed.count(), static_cast<unsigned long long>(offered),
              static_cast<unsigned long long>(harvested_.load(std::memory_order_relaxed)),
              faults_.total());  // relaxed, above: a number.
  std::fflush(stdout);
}

void Stress::EndPrograms() {
  for (World::Seat& seat : world_.seats()) {
    if (seat.pid == 0) continue;
    if (seat.frozen) kill(seat.pid, SIGCONT);
    ProcessLog& log = world_.log()->processes[seat.process];
    if (!seat.told_to_end) {
      // relaxed, both: as in Faults::EndProgram.
      log.end_seconds.store(120, std::memory_order_relaxed);
      log.command.store(Command::kEnd, std::memory_order_relaxed);
    }
    seat.told_to_end = true;
  }
  const auto deadline = Clock::now() + seconds(180);
  const auto any = [&] {
    for (const World::Seat& seat : world_.seats()) {
      if (seat.pid != 0) return true;
    }
    return !world_.recoveries().empty() || !world_.Strays().empty();
  };
  while (any() && Clock::now() < deadline) {
    world_.Reap();
    if (Clock::now() >= next_progress_) SayProgress();
    std::this_thread::sleep_for(milliseconds(50));
  }
  for (const World::Seat& seat : world_.seats()) {
    if (seat.pid != 0) Find(absl::StrCat("program ", seat.process, " does not end"));
  }
  if (const auto strays = world_.Strays(); !strays.empty()) {
    Find(absl::StrCat(strays.size(), " processes do not end, among them ", strays[0]));
  }
}

void Stress::RecoverAll() {
  const auto deadline = Clock::now() + seconds(120);
  do {
    world_.BeginRecovery(/*past_proxies=*/true);
    while (!world_.recoveries().empty() && Clock::now() < deadline) {
      world_.Reap();
      std::this_thread::sleep_for(milliseconds(20));
    }
  } while (!world_.WriterFolders().empty() && Clock::now() < deadline);
}

void Stress::HarvestAll() {
  const auto deadline = Clock::now() + seconds(120);
  std::uint64_t rows = 1;
  while (Clock::now() < deadline) {
    if (accounts_.Harvest(&rows) && rows == 0) return;
  }
  Find("the last rows could not be read");
}

void Stress::Settle() {
  for (std::size_t i = 0; i < world_.processes(); ++i) {
    Account one;
    if (!accounts_.Check(i, &one)) Find(absl::StrCat("process ", i, " could not be checked"));
    account_.Add(one);
  }
  const auto files = world_.FilesLeft();
  files_left_ = files.size();
  if (!files.empty()) Find(absl::StrCat(files.size(), " files are left, among them ", files[0]));
  if (!accounts_.Number("SELECT count(*) FROM trace_open_spans", &open_rows_) || open_rows_ != 0) {
    Find(absl::StrCat(open_rows_, " rows are left in trace_open_spans"));
  }
  strays_ = world_.Strays().size();
}

void Stress::Print() {
  const auto line = [](const std::string& name, std::uint64_t number) {
    std::printf("  %-36s %12llu\n", name.c_str(), static_cast<unsigned long long>(number));
  };
  std::printf("\nspans\n");
  line("offered", account_.offered);
  line("started", account_.started);
  line("found", account_.found);
  line("  of those as open, of the dead", account_.found_open);
  line("doubled", account_.doubled);
  line("missing without count", account_.missing);
  line("counted as dropped, and found", account_.overcount);
  for (const auto& [reason, spans] : account_.drops) line("dropped: " + reason, spans);
  std::printf("left at the end\n");
  line("rows in trace_open_spans", static_cast<std::uint64_t>(open_rows_));
  line("files", files_left_);
  line("processes", strays_);
  std::printf("faults\n");
  for (const auto& [kind, count] : faults_.counts()) {
    line(kind, static_cast<std::uint64_t>(count));
  }
  line("in all", static_cast<std::uint64_t>(faults_.total()));
  line("traced processes", world_.processes());
  std::printf("start and complete, ns                   undisturbed  under faults\n");
  const auto& times = world_.log()->start_and_complete;
  for (const auto& [name, rank] : std::initializer_list<std::pair<const char*, double>>{
           {"median", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {"worst", 0.9999999}}) {
    std::printf("  %-36s %12llu %13llu\n", name,
                static_cast<unsigned long long>(times[0].Quantile(rank)),
                static_cast<unsigned long long>(times[1].Quantile(rank)));
  }
  std::printf("%s: %zu findings; seed %llu\n", findings_.empty() ? "PASSED" : "FAILED",
              findings_.size(), static_cast<unsigned long long>(options_.seed));
  std::fflush(stdout);
}

int Stress::Run() {
  {
    const std::lock_guard lock(accounts_mutex_);
    accounts_.Prepare();
  }
  struct Harvester {  // Also when an exception ends the run.
    Stress* stress;
    std::thread thread{[this] { stress->KeepHarvesting(); }};
    void End() {
      stress->harvesting_.store(false,
                                std::memory_order_relaxed);  // relaxed: no data comes with it.
      if (thread.joinable()) thread.join();
    }
    ~Harvester() { End(); }
  } harvester{this};
  RunFor(options_.quiet_seconds, /*inject=*/false);
  // relaxed: no data comes with it.
  world_.log()->disturbed.store(1, std::memory_order_relaxed);
  RunFor(options_.seconds, /*inject=*/true);
  world_.Say("the faults end");
  faults_.End();
  harvester.End();
  EndPrograms();
  RecoverAll();
  HarvestAll();
  Settle();
  Print();
  if (!findings_.empty()) {
    const std::string kept = absl::StrCat("/tmp/spanring-stress-failed-", options_.seed);
    std::error_code error;
    fs::remove_all(kept, error);
    fs::create_directories(kept, error);
    fs::copy(world_.folder() + "/logs", kept + "/logs", fs::copy_options::recursive, error);
    fs::copy(world_.folder() + "/events", kept + "/events", error);
    fs::copy(world_.server().log_path(), kept + "/server.log", error);
    std::printf("logs: %s\n", kept.c_str());
  }
  return findings_.empty() ? 0 : 1;
}

double NumberBehind(int argc, char** argv, std::string_view name, double value) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (argv[i] == name) value = std::strtod(argv[i + 1], nullptr);
  }
  return value;
}

StressOptions ReadOptions(int argc, char** argv) {
  StressOptions options;
  const auto number = [&](std::string_view name, double value) {
    return NumberBehind(argc, argv, name, value);
  };
  options.seconds = number("--seconds", 60 * number("--minutes", 5));
  options.quiet_seconds = number("--quiet", options.quiet_seconds);
  options.fault_every_seconds = number("--every", options.fault_every_seconds);
  options.spans_per_second = static_cast<std::uint64_t>(number("--rate", 200'000));
  const char* seed = std::getenv("SPANRING_TEST_SEED");
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string_view(argv[i]) == "--seed") seed = argv[i + 1];
    if (std::string_view(argv[i]) == "--only") options.only = argv[i + 1];
  }
  options.seed =
      seed != nullptr && *seed != '\0' ? std::strtoull(seed, nullptr, 10) : std::random_device()();
  options.self = fs::read_symlink("/proc/self/exe").string();
  const char* spanring = std::getenv("SPANRING_PROGRAM");
  options.spanring =
      spanring != nullptr
          ? spanring
          : (fs::path(options.self).parent_path() / "../../src/cli/spanring").string();
  return options;
}

int Main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--child") return RunTracedProgram(argv[2]);
  const StressOptions options = ReadOptions(argc, argv);
  std::printf("SPANRING_TEST_SEED=%llu\n", static_cast<unsigned long long>(options.seed));
  std::fflush(stdout);
  for (const int signal_number : {SIGINT, SIGTERM}) {
    // relaxed: no data comes with it.
    signal(signal_number, [](int) { g_interrupted.store(true, std::memory_order_relaxed); });
  }
  signal(SIGPIPE, SIG_IGN);
  try {
    return Stress(options).Run();
  } catch (const std::exception& e) {
    std::printf("FAILED: %s\n", e.what());
    return 1;
  }
}

}  // namespace
}  // namespace spanring::test

int main(int argc, char** argv) { return spanring::test::Main(argc, argv); }

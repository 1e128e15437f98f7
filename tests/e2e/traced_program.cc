// A program for process_test: traced by its environment, and ending, or forking, in the ways that
// the first argument names. Its spans bear the names of who recorded them.
#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string_view>
#include <thread>
#include <vector>

#include "spanring/spanring.h"

namespace {

spanring::Tracer tracer;

void Record(int count, std::string_view operation) {
  for (int i = 0; i < count; ++i) tracer.StartSpan("program", operation).Complete();
}

int EntriesOf(const char* folder) {
  int entries = 0;
  if (DIR* dir = opendir(folder); dir != nullptr) {
    while (const dirent* entry = readdir(dir)) entries += entry->d_name[0] == '.' ? 0 : 1;
    closedir(dir);
  }
  return entries;
}

void RecordLate() { Record(10, "atexit"); }

struct RecordsWhenDestroyed {
  explicit RecordsWhenDestroyed(std::string_view name) : operation(name) {}
  ~RecordsWhenDestroyed() { Record(10, operation); }
  std::string_view operation;
};

// Ends as most programs do: without a word to the tracer.
int EndNormally() {
  Record(500, "main");
  std::atexit(RecordLate);  // Before the tracer's own handler, which came first.
  std::thread([] {
    const thread_local RecordsWhenDestroyed at_thread_exit("thread_local");
    Record(90, at_thread_exit.operation);
  }).join();
  return 0;
}

// After the tracer's handler: such spans are lost, and nothing else happens.
const RecordsWhenDestroyed at_static_destruction("static");

int Wait(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) return 1;
  return WEXITSTATUS(status);
}

int ForkOnce() {
  Record(300, "parent");
  spanring::Span held = tracer.StartSpan("program", "held");
  const pid_t child = fork();
  if (child == 0) {
    held.Complete();  // The parent's: nothing here.
    Record(200, "child");
    std::exit(0);
  }
  Record(100, "parent");
  held.Complete();
  return Wait(child);
}

// Forks again and again while other threads record.
int ForkUnderLoad() {
  constexpr int kForks = 20;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&stop] {
      while (!stop) {
        Record(10, "parent");
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
  }
  int failures = 0;
  for (int i = 0; i < kForks; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      Record(50, "child");
      _exit(tracer.Flush(absl::Seconds(60)).ok() ? 0 : 1);
    }
    failures += Wait(child) == 0 ? 0 : 1;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  return failures + (tracer.Shutdown(absl::Seconds(60)).ok() ? 0 : 1);
}

// Forks while the parent's batches are on their way, at moments that the seed chooses.
int ForkWhileFlushing(std::uint64_t seed) {
  constexpr int kForks = 50;
  std::mt19937_64 random(seed);
  std::atomic<bool> stop{false};
  std::thread flushing([&stop] {
    while (!stop) {
      Record(500, "parent");
      tracer.Flush(absl::Seconds(60)).IgnoreError();
    }
  });
  std::vector<pid_t> children;
  for (int i = 0; i < kForks; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    const pid_t child = fork();
    if (child == 0) {
      alarm(120);  // Ends a child that hangs.
      Record(60, "child");
      const bool flushed = tracer.Flush(absl::Seconds(60)).ok();
      Record(40, "child");
      _exit(flushed && tracer.Shutdown(absl::Seconds(60)).ok() ? 0 : 1);
    }
    children.push_back(child);
  }
  int failures = 0;
  for (const pid_t child : children) failures += Wait(child) == 0 ? 0 : 1;
  stop = true;
  flushing.join();
  return failures + (tracer.Shutdown(absl::Seconds(60)).ok() ? 0 : 1);
}

// The tracer's first span, and with it its start, while another thread forks.
int ForkWhileStarting() {
  std::thread first([] { Record(1, "parent"); });
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);  // Ends a child that hangs.
    Record(1, "child");
    _exit(0);
  }
  first.join();
  _exit(Wait(child));
}

// With tracing off: no thread, no descriptor.
int CountThreadsAndFiles() {
  const int files = EntriesOf("/proc/self/fd");
  Record(1000, "off");
  std::printf("threads %d, files %d, spans %llu\n", EntriesOf("/proc/self/task"),
              EntriesOf("/proc/self/fd") - files,
              static_cast<unsigned long long>(tracer.GetStats().started));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "end") return EndNormally();
  if (mode == "fork") return ForkOnce();
  if (mode == "fork-under-load") return ForkUnderLoad();
  if (mode == "fork-while-flushing" && argc > 2) {
    return ForkWhileFlushing(std::strtoull(argv[2], nullptr, 10));
  }
  if (mode == "fork-while-starting") return ForkWhileStarting();
  if (mode == "off") return CountThreadsAndFiles();
  return 2;
}

// A program for the fault tests: traced by its environment, it does what the first argument names,
// and ends with 0 when every span of it has arrived.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "spanring/spanring.h"

namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

spanring::Tracer tracer;

void Record(int count, std::string_view operation) {
  for (int i = 0; i < count; ++i) tracer.StartSpan("program", operation).Complete();
}

bool Deliver() {
  const absl::Status flushed = tracer.Flush(absl::Seconds(120));
  if (!flushed.ok()) std::printf("%s\n", flushed.ToString().c_str());
  return flushed.ok();
}

// Each in a process of its own, all at once.
int Fork(int processes, const std::function<void()>& body) {
  std::vector<pid_t> children;
  for (int i = 0; i < processes; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      body();
      const bool delivered = Deliver();
      std::fflush(stdout);
      _exit(delivered && tracer.Shutdown(absl::Seconds(60)).ok() ? 0 : 1);
    }
    children.push_back(child);
  }
  int failures = 0;
  for (const pid_t child : children) {
    int status = 0;
    failures += waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
  }
  return failures;
}

void RecordFor(milliseconds time) {
  for (const auto end = Steady::now() + time; Steady::now() < end;) {
    Record(20, "load");
    std::this_thread::sleep_for(milliseconds(1));
  }
}

class ShiftedClock {
 public:
  ShiftedClock() {
    const int fd = open(std::getenv("SHIFTED_CLOCK_FILE"), O_RDWR | O_CLOEXEC);
    void* page = mmap(nullptr, sizeof(*shift_), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page == MAP_FAILED) std::abort();
    shift_ = static_cast<std::atomic<std::int64_t>*>(page);
  }
  // relaxed: a number by itself.
  void ShiftTo(std::int64_t seconds) {
    shift_->store(seconds * 1'000'000'000, std::memory_order_relaxed);
  }

 private:
  std::atomic<std::int64_t>* shift_;
};

// One span is open across the step, and says how long it was at least; more come right after it,
// and one when the tracer must have seen it.
bool Step(ShiftedClock& clock, const std::string& name, std::int64_t seconds) {
  spanring::Span across = tracer.StartSpan("program", "across." + name);
  const auto start = Steady::now();
  std::this_thread::sleep_for(milliseconds(10));
  clock.ShiftTo(seconds);
  std::this_thread::sleep_for(milliseconds(10));
  const std::chrono::nanoseconds passed = Steady::now() - start;
  across.SetAttribute("at_least_ns", static_cast<std::int64_t>(passed.count()));
  across.Complete();
  Record(200, "after." + name);
  bool delivered = Deliver();
  std::this_thread::sleep_for(milliseconds(1000));
  Record(1, "settled." + name);
  delivered &= Deliver();  // Before the next step, which would move it too.
  return delivered;
}

int StepTheClock() {
  constexpr std::int64_t kDay = 86'400;
  const std::int64_t now = std::time(nullptr);
  ShiftedClock clock;
  Record(200, "before");
  bool delivered = Deliver();
  delivered &= Step(clock, "hour_back", -3600);
  delivered &= Step(clock, "year_forward", 365 * kDay);
  delivered &= Step(clock, "1970", kDay / 2 - now);
  delivered &= Step(clock, "2100", 47'500 * kDay - now);
  delivered &= Step(clock, "1960", -3'500 * kDay - now);
  delivered &= Step(clock, "home", 0);
  return delivered && tracer.Shutdown(absl::Seconds(60)).ok() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  const int number = argc > 2 ? std::atoi(argv[2]) : 0;
  if (mode == "crowd") return Fork(number, [] { Record(1, "crowd"); });
  if (mode == "load") return Fork(2, [number] { RecordFor(milliseconds(number)); });
  if (mode == "clock") return StepTheClock();
  return 2;
}

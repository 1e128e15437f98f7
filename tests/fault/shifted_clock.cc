// To be preloaded: adds to the time of day the nanoseconds that stand in the file which
// SHIFTED_CLOCK_FILE names, as they are at that moment. The monotonic clocks are left alone.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::atomic<std::int64_t>* g_shift = nullptr;

__attribute__((constructor)) void MapTheFile() {
  const char* path = std::getenv("SHIFTED_CLOCK_FILE");
  const int fd = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  void* page = mmap(nullptr, sizeof(*g_shift), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (page != MAP_FAILED) g_shift = static_cast<std::atomic<std::int64_t>*>(page);
}

bool IsTimeOfDay(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

int ReadShifted(clockid_t clock, timespec* now) noexcept {
  // Not the next clock_gettime: it may be asked for before the loader can tell which that is.
  const long status = syscall(SYS_clock_gettime, clock, now);
  if (status != 0 || g_shift == nullptr || !IsTimeOfDay(clock)) return static_cast<int>(status);
  // relaxed: a number by itself.
  std::int64_t shift = g_shift->load(std::memory_order_relaxed) + now->tv_nsec;
  std::int64_t seconds = shift / kSecond;
  shift %= kSecond;
  if (shift < 0) {
    shift += kSecond;
    --seconds;
  }
  now->tv_sec += seconds;
  now->tv_nsec = shift;
  return 0;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept { return ReadShifted(clock, now); }

int gettimeofday(timeval* now, void* /*zone*/) noexcept {
  timespec time{};
  const int status = ReadShifted(CLOCK_REALTIME, &time);
  now->tv_sec = time.tv_sec;
  now->tv_usec = time.tv_nsec / 1000;
  return status;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  ReadShifted(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"

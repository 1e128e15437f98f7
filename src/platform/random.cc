#include "platform/random.h"

#include <sys/random.h>
#include <unistd.h>

#include "platform/clock.h"

namespace spanring::platform {

std::uint64_t RandomSeed() noexcept {
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed)) return seed;
  // Early boot or a filter on system calls: what differs between processes and moments has to do.
  seed = static_cast<std::uint64_t>(ClockNanoseconds(CLOCK_REALTIME));
  seed = Mix(seed) ^ (static_cast<std::uint64_t>(getpid()) << 32) ^ Ticks();
  return Mix(seed ^ reinterpret_cast<std::uintptr_t>(&seed));
}

}  // namespace spanring::platform

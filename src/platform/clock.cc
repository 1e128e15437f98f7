#include "platform/clock.h"

#include <limits>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace spanring::platform {
namespace {

struct Reading {
  std::uint64_t ticks;
  std::int64_t ns;
};

// The tightest of a few readings: a reading that was interrupted is wide, and thrown away.
Reading ReadTogether(clockid_t clock) noexcept {
  Reading best{};
  std::uint64_t best_width = std::numeric_limits<std::uint64_t>::max();
  for (int i = 0; i < 8; ++i) {
    const std::uint64_t before = Ticks();
    const std::int64_t ns = ClockNanoseconds(clock);
    const std::uint64_t width = Ticks() - before;
    if (width < best_width) {
      best_width = width;
      best = {before + width / 2, ns};
    }
  }
  return best;
}

bool DetectInvariantCounter() noexcept {
#if defined(__x86_64__)
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  // Intel SDM vol. 2, CPUID 80000007H: EDX bit 8 is the invariant TSC; AMD's APM says the same.
  return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) != 0 && (edx & (1U << 8)) != 0;
#else
  return true;
#endif
}

__attribute__((constructor(101))) void SetInvariantCounter() {
  g_has_invariant_counter = DetectInvariantCounter();
}

}  // namespace

bool g_has_invariant_counter = false;

std::uint64_t TicksOfTheKernel() noexcept {
  return static_cast<std::uint64_t>(ClockNanoseconds(CLOCK_MONOTONIC));
}

TickCalibration::TickCalibration() {
  const Reading first = ReadTogether(CLOCK_MONOTONIC);
  first_ticks_ = first.ticks;
  first_monotonic_ns_ = first.ns;
  while (ClockNanoseconds(CLOCK_MONOTONIC) - first.ns < 1'000'000) {
  }
  Recalibrate();
}

void TickCalibration::Recalibrate() noexcept {
  const Reading monotonic = ReadTogether(CLOCK_MONOTONIC);
  const auto ticks = static_cast<std::int64_t>(monotonic.ticks - first_ticks_);
  if (ticks > 0) {
    const auto ns = static_cast<__int128>(monotonic.ns - first_monotonic_ns_);
    ns_per_tick_q32_ = static_cast<std::int64_t>((ns << 32) / ticks);
  }
  const Reading real = ReadTogether(CLOCK_REALTIME);
  anchor_ticks_ = real.ticks;
  anchor_unix_ns_ = real.ns;
}

}  // namespace spanring::platform

// Ticks: the cheapest monotonic count this machine has, and what turns it into Unix time.
// Threads: Ticks() from any thread; a TickCalibration belongs to one thread.
// Memory: no allocation.
// Errors: none; without an invariant counter, ticks are CLOCK_MONOTONIC nanoseconds.
// Design: docs/architecture.md#time
#pragma once

#include <time.h>

#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace spanring::platform {

// Nanoseconds of one of the kernel's clocks.
inline std::int64_t ClockNanoseconds(clockid_t clock) noexcept {
  timespec now;
  clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// True when the processor's counter runs at one rate in every power state, on every core. Set once,
// before the constructors of static objects run.
extern bool g_has_invariant_counter;

// Where there is no such counter: CLOCK_MONOTONIC.
std::uint64_t TicksOfTheKernel() noexcept;

// Monotonic within a thread. The counter read is not serialised against the code around it: at the
// scale of a few nanoseconds it may happen a little early or late.
inline std::uint64_t Ticks() noexcept {
#if defined(__x86_64__)
  if (g_has_invariant_counter) [[likely]]
    return __rdtsc();
#elif defined(__aarch64__)
  std::uint64_t ticks;
  asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#endif
  return TicksOfTheKernel();
}

// Maps ticks to Unix time by a line through the last reading of both clocks. The slope is measured
// over the longest time available, so it gets better as the process runs; the anchor follows
// CLOCK_REALTIME, and with it NTP and an administrator's steps.
class TickCalibration {
 public:
  // Spends about a millisecond measuring a first slope.
  TickCalibration();

  // Reads both clocks again. Cheap; meant for about once a second.
  void Recalibrate() noexcept;

  std::int64_t UnixNanoseconds(std::uint64_t ticks) const noexcept {
    // Unsigned: ticks that are none, from a damaged record, may give any time but no overflow.
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(anchor_unix_ns_) +
                                     static_cast<std::uint64_t>(ToNanoseconds(
                                         static_cast<std::int64_t>(ticks - anchor_ticks_))));
  }
  std::int64_t ToNanoseconds(std::int64_t ticks) const noexcept {
    return static_cast<std::int64_t>((static_cast<__int128>(ticks) * ns_per_tick_q32_) >> 32);
  }

 private:
  std::uint64_t first_ticks_;
  std::int64_t first_monotonic_ns_;
  std::uint64_t anchor_ticks_;
  std::int64_t anchor_unix_ns_;
  std::int64_t ns_per_tick_q32_;  // Nanoseconds per tick, times 2^32.
};

}  // namespace spanring::platform

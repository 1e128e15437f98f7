// Ticks: the cheapest monotonic count this machine has, and what turns it into Unix time.
// Threads: Ticks() from any thread; a TickCalibration belongs to one thread.
// Memory: no allocation.
// Errors: none; without an invariant counter, ticks are CLOCK_MONOTONIC nanoseconds.
// Design: docs/architecture.md#time
#pragma once

#include <time.h>

#include <array>
#include <cstdint>
#include <limits>

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

inline bool HasCounter() noexcept {
#if defined(__x86_64__)
  return g_has_invariant_counter;
#elif defined(__aarch64__)
  return true;
#else
  return false;
#endif
}

// Requires HasCounter(). The read is not serialised against the code around it: at the scale of a
// few nanoseconds it may happen a little early or late.
inline std::uint64_t CounterTicks() noexcept {
#if defined(__x86_64__)
  return __rdtsc();
#elif defined(__aarch64__)
  std::uint64_t ticks;
  asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
  return 0;
#endif
}

// Without a counter: CLOCK_MONOTONIC.
std::uint64_t KernelTicks() noexcept;

// Monotonic within a thread.
inline std::uint64_t Ticks() noexcept {
  if (HasCounter()) [[likely]]
    return CounterTicks();
  return KernelTicks();
}

// What a calibration reads: this machine's ticks and clocks, or a test's.
class Clocks {
 public:
  virtual std::uint64_t Ticks() noexcept = 0;
  virtual std::int64_t Nanoseconds(clockid_t clock) noexcept = 0;

 protected:
  ~Clocks() = default;
};

Clocks& SystemClocks() noexcept;

// Ticks to time, as last measured: what another process needs to read ours.
struct TickLine {
  std::uint64_t ticks;
  std::int64_t unix_ns;
  std::int64_t monotonic_ns;
  std::int64_t ns_per_tick_q32;  // Times 2^32.
};

// Maps ticks to time by a line through the last two readings of CLOCK_MONOTONIC, its anchors. Both
// CLOCK_REALTIME and durations follow from it: one by an offset that is read anew each time, so
// that starts follow an administrator's step and durations do not; the other by the line's rate,
// which is that of CLOCK_MONOTONIC and so follows NTP.
//
// Anchors are kept, the sparser the older, for spans that are open for long: what lies before the
// line is interpolated between its neighbours. An anchor's level is the number of trailing zeros of
// its own number, and each level keeps its last eight: neighbours are at most an eighth of their
// age apart, or next to each other. The first one stays for good. With two a level it would look
// so:
//
//   number  0                     64          80          88  92  96  97 98 99 100
//   time  ──┼── … ────────────────┼───────────┼───────────┼───┼───┼───┼──┼──┼──┼───► the line
//
// How far a mapped time may be off (docs/architecture.md#time says it for users):
//
//   steady rate                                 two widths of a reading, some 50 ns each
//   the rate changed                            + 0.25 µs per ppm, for two intervals
//   ... while a span was open                   + 0.03 µs per ppm and second of age
//   the span is older than the calibration      + 1 µs per ppm and second of age
//
// NTP changes the rate by 500 ppm at the very most, and in the long run by less than 0.1. When
// ticks jump, after a suspension or a move of a virtual machine, old anchors are forgotten: what is
// older than the jump is extrapolated.
class TickCalibration {
 public:
  // Spends about a millisecond measuring a first rate. `clocks` must outlive the calibration.
  explicit TickCalibration(Clocks& clocks = SystemClocks()) noexcept;

  // That of another process, or of a reader's; never to be recalibrated.
  explicit TickCalibration(const TickLine& line) noexcept;
  TickLine line() const noexcept {
    return {anchor_.ticks, UnixNanoseconds(anchor_.ticks), anchor_.ns, ns_per_tick_q32_};
  }

  // Reads the clocks again if it is time: a millisecond after the start, then at intervals that
  // double, up to a quarter of a second. Costs one reading of a clock when it is not.
  void RecalibrateWhenDue() noexcept;
  // Reads them now, in a microsecond or two: a step of CLOCK_REALTIME is followed at once, the rate
  // only when it is time. Changes nothing if the thread lost its processor amid every attempt.
  void Recalibrate() noexcept;

  // Between recalibrations, never goes back as `ticks` go on, but for ticks that are none, as from
  // a damaged record: they give some time.
  std::int64_t UnixNanoseconds(std::uint64_t ticks) const noexcept {
    return Add(MonotonicNanoseconds(ticks), unix_minus_monotonic_ns_);
  }
  // Negative when `to` is before `from`.
  std::int64_t DurationNanoseconds(std::uint64_t from, std::uint64_t to) const noexcept {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(MonotonicNanoseconds(to)) -
                                     static_cast<std::uint64_t>(MonotonicNanoseconds(from)));
  }

 private:
  struct Anchor {
    std::uint64_t ticks;
    std::int64_t ns;  // CLOCK_MONOTONIC.
  };

  // Unsigned: ticks that are none may give any time but no overflow.
  static std::int64_t Add(std::int64_t a, std::int64_t b) noexcept {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  }
  std::int64_t OnLineThrough(const Anchor& anchor, std::uint64_t ticks) const noexcept {
    const auto distance = static_cast<std::int64_t>(ticks - anchor.ticks);
    return Add(anchor.ns, static_cast<std::int64_t>(
                              (static_cast<__int128>(distance) * ns_per_tick_q32_) >> 32));
  }
  std::int64_t MonotonicNanoseconds(std::uint64_t ticks) const noexcept {
    if (ticks < line_from_ticks_) [[unlikely]]
      return BeforeLine(ticks);
    return OnLineThrough(anchor_, ticks);
  }
  std::int64_t BeforeLine(std::uint64_t ticks) const noexcept;
  void Append(const Anchor& next) noexcept;
  void ForgetOldAnchors() noexcept;

  Clocks& clocks_;
  Anchor anchor_;                     // The last one.
  std::int64_t ns_per_tick_q32_ = 0;  // Times 2^32.
  std::uint64_t line_from_ticks_ = 0;
  std::int64_t unix_minus_monotonic_ns_ = 0;

  std::int64_t interval_ns_ = 0;
  std::uint64_t widest_ticks_ = std::numeric_limits<std::uint64_t>::max();
  bool take_any_rate_ = true;  // However far from the former one.

  static constexpr std::size_t kAnchorsALevel = 8;
  Anchor first_;
  std::array<std::array<Anchor, kAnchorsALevel>, 32> anchors_;
  std::uint32_t next_number_ = 0;
};

}  // namespace spanring::platform

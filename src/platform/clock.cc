#include "platform/clock.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <limits>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace spanring::platform {
namespace {

// The rate is measured between two anchors, each off by half a reading's width. Extended by as much
// as it was measured over it is off by a width, whatever the interval: so a short interval costs no
// precision, and follows a change of the rate sooner.
constexpr std::int64_t kShortestIntervalNs = 1'000'000;
constexpr std::int64_t kLongestIntervalNs = 250'000'000;
// No adjustment changes the kernel's rate by more at once (adjtimex(2): tick, a tenth). What does
// is a counter that went on while the machine was suspended and CLOCK_MONOTONIC stood still.
constexpr std::int64_t kMostChangeOfRate = 8;  // One in so many.

struct Reading {
  std::uint64_t ticks;
  std::int64_t ns;
  std::uint64_t width_ticks;
};

// The tightest of a few readings: a reading that was interrupted is wide, and thrown away.
Reading ReadTogether(Clocks& clocks, clockid_t clock) noexcept {
  Reading best{0, 0, std::numeric_limits<std::uint64_t>::max()};
  for (int i = 0; i < 8; ++i) {
    const std::uint64_t before = clocks.Ticks();
    const std::int64_t ns = clocks.Nanoseconds(clock);
    const std::uint64_t width = clocks.Ticks() - before;
    if (width < best.width_ticks) best = {before + width / 2, ns, width};
  }
  return best;
}

class SystemClocksImpl final : public Clocks {
 public:
  std::uint64_t Ticks() noexcept override { return platform::Ticks(); }
  std::int64_t Nanoseconds(clockid_t clock) noexcept override { return ClockNanoseconds(clock); }
};

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

std::uint64_t KernelTicks() noexcept {
  return static_cast<std::uint64_t>(ClockNanoseconds(CLOCK_MONOTONIC));
}

Clocks& SystemClocks() noexcept {
  static constinit SystemClocksImpl clocks;
  return clocks;
}

TickCalibration::TickCalibration(Clocks& clocks) noexcept : clocks_(clocks) {
  const Reading first = ReadTogether(clocks_, CLOCK_MONOTONIC);
  anchor_ = {first.ticks, first.ns};
  ForgetOldAnchors();
  while (clocks_.Nanoseconds(CLOCK_MONOTONIC) - first.ns < kShortestIntervalNs) {
  }
  Recalibrate();
}

TickCalibration::TickCalibration(const TickLine& line) noexcept
    : clocks_(SystemClocks()),
      anchor_{line.ticks, line.monotonic_ns},
      ns_per_tick_q32_(line.ns_per_tick_q32),
      unix_minus_monotonic_ns_(
          static_cast<std::int64_t>(static_cast<std::uint64_t>(line.unix_ns) -
                                    static_cast<std::uint64_t>(line.monotonic_ns))) {
  ForgetOldAnchors();
}

void TickCalibration::RecalibrateWhenDue() noexcept {
  if (clocks_.Nanoseconds(CLOCK_MONOTONIC) - anchor_.ns >= interval_ns_) Recalibrate();
}

void TickCalibration::Recalibrate() noexcept {
  const Reading monotonic = ReadTogether(clocks_, CLOCK_MONOTONIC);
  const Reading real = ReadTogether(clocks_, CLOCK_REALTIME);
  const std::uint64_t width = std::max(monotonic.width_ticks, real.width_ticks);
  if (width > widest_ticks_) {
    // The line is better. But readings may have become slow for good: each refusal widens the gate.
    widest_ticks_ *= 2;
    return;
  }
  // A slow counter may stand still during a whole reading.
  widest_ticks_ = 4 * (width + 1);
  // Before its time a reading would measure a worse rate than the one there is.
  if (monotonic.ns - anchor_.ns >= interval_ns_) Append({monotonic.ticks, monotonic.ns});
  unix_minus_monotonic_ns_ = real.ns - MonotonicNanoseconds(real.ticks);
}

void TickCalibration::Append(const Anchor& next) noexcept {
  const Anchor last = anchor_;
  anchor_ = next;
  // A machine that was suspended may have cut its counter's power: ticks start anew.
  if (next.ticks <= last.ticks) return ForgetOldAnchors();
  const std::int64_t ns = next.ns - last.ns;
  const auto rate_q32 =
      static_cast<std::int64_t>((static_cast<__int128>(ns) << 32) / (next.ticks - last.ticks));
  const std::int64_t change_q32 = std::abs(rate_q32 - ns_per_tick_q32_);
  // After a suspension the former rate holds. One that is measured twice is a new one: a virtual
  // machine has moved to another host.
  if (change_q32 > ns_per_tick_q32_ / kMostChangeOfRate && !take_any_rate_) {
    return ForgetOldAnchors();
  }
  take_any_rate_ = false;
  ns_per_tick_q32_ = rate_q32;
  line_from_ticks_ = last.ticks;
  interval_ns_ = std::clamp(2 * ns, kShortestIntervalNs, kLongestIntervalNs);
  const auto level = static_cast<std::size_t>(std::countr_zero(next_number_));
  // Numbers of one level follow each other at twice its power of two.
  anchors_[level][(std::uint64_t{next_number_} >> (level + 1)) % kAnchorsALevel] = next;
  // After 2^32 intervals, 34 years.
  if (++next_number_ == 0) ForgetOldAnchors();
}

void TickCalibration::ForgetOldAnchors() noexcept {
  first_ = anchor_;
  for (auto& level : anchors_) level.fill(anchor_);
  next_number_ = 1;
  line_from_ticks_ = anchor_.ticks;
  interval_ns_ = kShortestIntervalNs;
  take_any_rate_ = true;
}

std::int64_t TickCalibration::BeforeLine(std::uint64_t ticks) const noexcept {
  if (ticks < first_.ticks) return OnLineThrough(first_, ticks);
  // Its neighbours. The line's own start is among the anchors, so one comes after `ticks`.
  const Anchor* before = &first_;
  const Anchor* after = &anchor_;
  const auto levels = static_cast<std::size_t>(std::bit_width(next_number_));
  for (std::size_t level = 0; level < levels; ++level) {
    for (const Anchor& anchor : anchors_[level]) {
      if (anchor.ticks <= ticks) {
        if (anchor.ticks > before->ticks) before = &anchor;
      } else if (anchor.ticks < after->ticks) {
        after = &anchor;
      }
    }
  }
  return before->ns +
         static_cast<std::int64_t>(static_cast<__int128>(ticks - before->ticks) *
                                   (after->ns - before->ns) / (after->ticks - before->ticks));
}

}  // namespace spanring::platform

// A machine's counter and clocks, whose time passes only by being read and by being told to.
// Threads: one. Memory: none. Errors: none.
// Design: docs/architecture.md#time
#pragma once

#include <cstdint>
#include <random>

#include "platform/clock.h"

namespace spanring::platform {

// A moment, as all of a machine's clocks show it.
struct Moment {
  std::uint64_t ticks;
  std::int64_t monotonic_ns;
  std::int64_t real_ns;
};

class FakeClocks final : public Clocks {
 public:
  explicit FakeClocks(std::int64_t hz) : hz_(hz) {}

  std::uint64_t Ticks() noexcept override {
    PassPs(5'000);
    const std::uint64_t ticks = Now().ticks;
    PassPs(5'000);
    return ticks;
  }
  // As a rule 20 to 40 ns, and not quite in the middle.
  std::int64_t Nanoseconds(clockid_t clock) noexcept override {
    PassPs(5'000 + jitter_ps_(random_));
    Interrupt();
    const Moment now = Now();
    PassPs(15'000 + jitter_ps_(random_));
    Interrupt();
    return clock == CLOCK_REALTIME ? now.real_ns : now.monotonic_ns;
  }
  // The most that a reading between two of the counter takes when nothing interferes, and the
  // counter's own resolution.
  std::int64_t width_ns() const { return 50 + (1'000'000'000 + hz_ - 1) / hz_; }

  Moment Now() const {
    const auto monotonic_ns = static_cast<std::int64_t>(monotonic_as_ / 1'000'000'000);
    return {static_cast<std::uint64_t>(counter_ticks_e12_ / 1'000'000'000'000), monotonic_ns,
            monotonic_ns + real_offset_ns_};
  }
  void Pass(std::int64_t ns) { PassPs(static_cast<__int128>(ns) * 1000); }
  void Suspend(std::int64_t ns, bool counter_goes_on) {
    if (counter_goes_on) counter_ticks_e12_ += static_cast<__int128>(ns) * 1000 * hz_;
    real_offset_ns_ += ns;
  }
  void StepRealTime(std::int64_t ns) { real_offset_ns_ += ns; }
  void SetRate(std::int64_t ppm) { ppm_ = ppm; }
  void SetFrequency(std::int64_t hz) { hz_ = hz; }
  void SetCounter(std::uint64_t ticks) {
    counter_ticks_e12_ = static_cast<__int128>(ticks) * 1'000'000'000'000;
  }
  // Each reading of a clock loses the processor with this probability, before or after.
  void SetInterruptions(int percent, std::int64_t least_ns, std::int64_t most_ns) {
    interrupted_percent_ = percent;
    interruption_ns_ = std::uniform_int_distribution<std::int64_t>(least_ns, most_ns);
  }

 private:
  void PassPs(__int128 ps) {
    counter_ticks_e12_ += ps * hz_;
    monotonic_as_ += ps * (1'000'000 + ppm_);
  }
  void Interrupt() {
    if (std::uniform_int_distribution(0, 199)(random_) < interrupted_percent_) {
      Pass(interruption_ns_(random_));
    }
  }

  std::int64_t hz_;
  std::int64_t ppm_ = 0;
  // Exact: a tick times 10^12, and 10^-18 seconds.
  __int128 counter_ticks_e12_ = static_cast<__int128>(1'000'000'000) * 1'000'000'000'000;
  __int128 monotonic_as_ = static_cast<__int128>(5) * 1'000'000'000'000'000'000;
  std::int64_t real_offset_ns_ = 1'700'000'000'000'000'000;
  std::uniform_int_distribution<std::int64_t> jitter_ps_{0, 10'000};
  int interrupted_percent_ = 0;
  std::uniform_int_distribution<std::int64_t> interruption_ns_;
  std::mt19937_64 random_{1};
};

}  // namespace spanring::platform

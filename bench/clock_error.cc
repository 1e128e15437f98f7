// How far the time of a tick is from CLOCK_REALTIME, read together, while the program runs.
//
//   clock_error --seconds 60 --json clock_error.json
//
// Samples every millisecond and recalibrates as the drainer does, at each pass. Of a few readings
// the tightest one counts; the clock was read somewhere within it, so that an error is known to
// half its width. Wide ones, where the thread lost its processor, say nothing and are left out.
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "platform/clock.h"

namespace spanring::platform {
namespace {

constexpr std::chrono::milliseconds kPause{1};
// In widths of the usual reading.
constexpr std::int64_t kWidestSample = 2;

struct Settings {
  std::int64_t seconds = 60;
  std::string json;
};

struct Sample {
  std::uint64_t ticks;
  std::int64_t real_ns;
  std::int64_t error_ns;
  std::int64_t width_ns;
};

Sample TakeSample(const TickCalibration& calibration) {
  Sample best{};
  std::uint64_t best_width = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t best_before = 0;
  for (int i = 0; i < 8; ++i) {
    const std::uint64_t before = Ticks();
    const std::int64_t real_ns = ClockNanoseconds(CLOCK_REALTIME);
    const std::uint64_t width = Ticks() - before;
    if (width >= best_width) continue;
    best_width = width;
    best_before = before;
    best.ticks = before + width / 2;
    best.real_ns = real_ns;
  }
  best.error_ns = calibration.UnixNanoseconds(best.ticks) - best.real_ns;
  best.width_ns = calibration.DurationNanoseconds(best_before, best_before + best_width);
  return best;
}

struct Distribution {
  explicit Distribution(std::vector<std::int64_t> values) : sorted(std::move(values)) {
    std::sort(sorted.begin(), sorted.end());
  }
  std::int64_t At(double share) const {
    return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
  }
  std::vector<std::int64_t> sorted;
};

constexpr std::array<std::pair<const char*, double>, 6> kShares{
    {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99_9", 0.999}, {"p99_99", 0.9999}, {"max", 1}}};

struct Report {
  std::int64_t seconds;
  std::size_t samples;
  std::size_t left_out;
  bool invariant_counter;
  double counter_mhz;
  Distribution error_ns;
  Distribution width_ns;
  std::int64_t old_start_error_ns;
  std::int64_t old_duration_error_ns;
};

Report Measure(const Settings& settings) {
  TickCalibration calibration;
  std::vector<Sample> samples;
  const Sample first = TakeSample(calibration);
  const std::int64_t first_monotonic_ns = ClockNanoseconds(CLOCK_MONOTONIC);
  const std::uint64_t first_ticks = Ticks();
  const std::int64_t end_ns = first_monotonic_ns + settings.seconds * 1'000'000'000;
  while (ClockNanoseconds(CLOCK_MONOTONIC) < end_ns) {
    std::this_thread::sleep_for(kPause);
    // Before the recalibration: the line is as long as it gets.
    samples.push_back(TakeSample(calibration));
    calibration.RecalibrateWhenDue();
  }
  const std::int64_t last_monotonic_ns = ClockNanoseconds(CLOCK_MONOTONIC);
  const std::uint64_t last_ticks = Ticks();

  std::vector<std::int64_t> widths;
  for (const Sample& sample : samples) widths.push_back(sample.width_ns);
  Distribution width_ns(std::move(widths));
  std::vector<std::int64_t> errors;
  for (const Sample& sample : samples) {
    if (sample.width_ns <= kWidestSample * width_ns.At(0.5)) {
      errors.push_back(std::abs(sample.error_ns));
    }
  }
  const std::int64_t ran_ns = last_monotonic_ns - first_monotonic_ns;
  return {
      .seconds = settings.seconds,
      .samples = errors.size(),
      .left_out = samples.size() - errors.size(),
      .invariant_counter = g_has_invariant_counter,
      .counter_mhz =
          static_cast<double>(last_ticks - first_ticks) * 1e3 / static_cast<double>(ran_ns),
      .error_ns = Distribution(std::move(errors)),
      .width_ns = std::move(width_ns),
      .old_start_error_ns = calibration.UnixNanoseconds(first.ticks) - first.real_ns,
      .old_duration_error_ns = calibration.DurationNanoseconds(first_ticks, last_ticks) - ran_ns};
}

void PrintText(const Report& report) {
  std::printf("%lld s, %zu samples, %zu left out; counter: %.6f MHz, %s\n",
              static_cast<long long>(report.seconds), report.samples, report.left_out,
              report.counter_mhz,
              report.invariant_counter ? "invariant" : "none, CLOCK_MONOTONIC instead");
  std::printf("%-24s", "ns");
  for (const auto& [name, share] : kShares) std::printf("%9s", name);
  const auto print = [](const char* what, const Distribution& distribution) {
    std::printf("\n%-24s", what);
    for (const auto& [name, share] : kShares) {
      std::printf("%9lld", static_cast<long long>(distribution.At(share)));
    }
  };
  print("error", report.error_ns);
  print("width of a reading", report.width_ns);
  std::printf("\na start %lld s old is off by %lld ns, the duration since by %lld ns\n",
              static_cast<long long>(report.seconds),
              static_cast<long long>(report.old_start_error_ns),
              static_cast<long long>(report.old_duration_error_ns));
}

void WriteJson(const Report& report, std::ostream& out) {
  const auto write = [&](const char* what, const Distribution& distribution) {
    out << "  \"" << what << "\": {";
    for (const char* separator = ""; const auto& [name, share] : kShares) {
      out << separator << '"' << name << "\": " << distribution.At(share);
      separator = ", ";
    }
    out << "},\n";
  };
  out << "{\n  \"seconds\": " << report.seconds << ",\n  \"samples\": " << report.samples
      << ",\n  \"left_out\": " << report.left_out
      << ",\n  \"invariant_counter\": " << (report.invariant_counter ? "true" : "false")
      << ",\n  \"counter_mhz\": " << std::to_string(report.counter_mhz) << ",\n  \"compiler\": \""
      << __VERSION__ << "\",\n";
  write("error_ns", report.error_ns);
  write("reading_width_ns", report.width_ns);
  out << "  \"old_start_error_ns\": " << report.old_start_error_ns
      << ",\n  \"old_duration_error_ns\": " << report.old_duration_error_ns << "\n}\n";
}

bool Parse(int argc, char** argv, Settings& settings) {
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) return false;
    const std::string_view name = argv[i];
    const std::string_view value = argv[i + 1];
    if (name == "--json") {
      settings.json = value;
    } else if (name == "--seconds") {
      const auto [end, error] =
          std::from_chars(value.data(), value.data() + value.size(), settings.seconds);
      if (error != std::errc() || end != value.data() + value.size()) return false;
      if (settings.seconds < 1 || settings.seconds > 86'400) return false;
    } else {
      return false;
    }
  }
  return true;
}

int Main(int argc, char** argv) {
  Settings settings;
  if (!Parse(argc, argv, settings)) {
    std::fprintf(stderr, "usage: clock_error [--seconds N] [--json FILE]\n");
    return 2;
  }
  const Report report = Measure(settings);
  PrintText(report);
  if (settings.json.empty()) return 0;
  std::ofstream out(settings.json);
  WriteJson(report, out);
  out.close();
  if (!out) {
    std::fprintf(stderr, "clock_error: cannot write %s\n", settings.json.c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace spanring::platform

int main(int argc, char** argv) { return spanring::platform::Main(argc, argv); }

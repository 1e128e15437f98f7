#include "cli/render/units.h"

#include <cstdio>
#include <limits>

namespace spanring::cli {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::string Print(const char* format, double value) {
  char buffer[48];
  std::snprintf(buffer, sizeof(buffer), format, value);
  return buffer;
}

std::string PrintPair(const char* format, std::int64_t large, std::int64_t small) {
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), format, static_cast<long long>(large),
                static_cast<long long>(small));
  return buffer;
}

}  // namespace

std::string FormatDuration(std::int64_t duration_ns) {
  if (duration_ns < 0) {
    if (duration_ns == std::numeric_limits<std::int64_t>::min()) ++duration_ns;
    std::string negative = FormatDuration(-duration_ns);
    return negative.insert(0, 1, '-');
  }
  // Each limit lies where rounding would show the next unit's 1: never "1000.0 ms".
  const double ns = static_cast<double>(duration_ns);
  if (ns < 999.5) return Print("%.0f ns", ns);
  if (ns < 999'950) return Print("%.1f µs", ns / 1e3);
  if (ns < 999'950'000) return Print("%.1f ms", ns / 1e6);
  if (ns < 599.95e9) return Print("%.1f s", ns / 1e9);
  const std::int64_t seconds = duration_ns / kSecond + (duration_ns % kSecond >= kSecond / 2);
  if (seconds < 7200) return PrintPair("%lld min %02lld s", seconds / 60, seconds % 60);
  const std::int64_t minutes = (seconds + 30) / 60;
  if (minutes < 48 * 60) return PrintPair("%lld h %02lld min", minutes / 60, minutes % 60);
  const std::int64_t hours = (minutes + 30) / 60;
  return PrintPair("%lld d %02lld h", hours / 24, hours % 24);
}

std::string FormatCount(std::int64_t count) {
  std::string digits = std::to_string(count);
  const std::size_t first = digits[0] == '-' ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

}  // namespace spanring::cli

#include "base/log.h"

#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <exception>

namespace spanring::base {
namespace {

// relaxed, all three: a line around the moment of a change may go either way.
std::atomic<LogSink> g_sink{nullptr};
std::atomic<bool> g_errors{true};
std::atomic<bool> g_info{false};

void Write(LogLevel level, std::string_view line) noexcept {
  if (const LogSink sink = g_sink.load(std::memory_order_relaxed); sink != nullptr) {
    try {
      sink(level, line);
    } catch (...) {  // The host's function must not end the tracer's thread.
    }
    return;
  }
  static constexpr std::string_view kPrefix = "spanring: ";
  static constexpr std::string_view kEnd = "\n";
  const auto part = [](std::string_view text) {
    return iovec{const_cast<char*>(text.data()), text.size()};
  };
  const iovec parts[] = {part(kPrefix), part(line), part(kEnd)};
  [[maybe_unused]] const auto written = writev(STDERR_FILENO, parts, 3);
}

}  // namespace

void ConfigureLog(const Options& options) noexcept {
  g_sink.store(options.log_sink, std::memory_order_relaxed);
  g_errors.store(options.log_errors, std::memory_order_relaxed);
  g_info.store(options.log_info, std::memory_order_relaxed);
}

void LogError(std::string_view line) noexcept {
  if (g_errors.load(std::memory_order_relaxed)) Write(LogLevel::kError, line);
}

void LogInfo(std::string_view line) noexcept {
  if (g_info.load(std::memory_order_relaxed)) Write(LogLevel::kInfo, line);
}

}  // namespace spanring::base

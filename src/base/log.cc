#include "base/log.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <exception>

#include "base/utf8.h"

namespace spanring::base {
namespace {

// relaxed, everywhere: a line around the moment of a change may go either way.
std::atomic<LogSink> g_sink{nullptr};
std::atomic<bool> g_errors{true};
std::atomic<bool> g_info{false};

// A line of at most this size goes into a pipe in one piece, or not at all (PIPE_BUF, POSIX).
constexpr std::size_t kMostLineBytes = 4096 - 16;

// Writes to standard error without ever waiting for its reader, and without a signal when there is
// none: the host must not stop or die because of a line of ours.
void WriteToStandardError(std::string_view line) noexcept {
  pollfd writable{STDERR_FILENO, POLLOUT, 0};
  if (poll(&writable, 1, 0) <= 0 || (writable.revents & POLLOUT) == 0) return;
  sigset_t broken_pipe;
  sigset_t pending;
  sigset_t before;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &broken_pipe, &before);
  static constexpr std::string_view kPrefix = "spanring: ";
  static constexpr std::string_view kEnd = "\n";
  const auto part = [](std::string_view text) {
    return iovec{const_cast<char*>(text.data()), text.size()};
  };
  const iovec parts[] = {part(kPrefix), part(base::Truncate(line, kMostLineBytes)), part(kEnd)};
  [[maybe_unused]] const auto written = writev(STDERR_FILENO, parts, 3);
  if (sigismember(&pending, SIGPIPE) == 0) {
    const timespec now{};
    while (sigtimedwait(&broken_pipe, nullptr, &now) > 0) {  // Ours, if any.
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Write(LogLevel level, std::string_view line) noexcept {
  // relaxed: as said at g_sink.
  if (const LogSink sink = g_sink.load(std::memory_order_relaxed); sink != nullptr) {
    try {
      sink(level, line);
    } catch (...) {  // The host's function must not end the tracer's thread.
    }
    return;
  }
  WriteToStandardError(line);
}

}  // namespace

void ConfigureLog(const Options& options) noexcept {
  // relaxed: as said at g_sink.
  g_sink.store(options.log_sink, std::memory_order_relaxed);
  g_errors.store(options.log_errors, std::memory_order_relaxed);
  g_info.store(options.log_info, std::memory_order_relaxed);
}

void LogError(std::string_view line) noexcept {
  // relaxed: as said at g_sink; below too.
  if (g_errors.load(std::memory_order_relaxed)) Write(LogLevel::kError, line);
}

void LogInfo(std::string_view line) noexcept {
  if (g_info.load(std::memory_order_relaxed)) Write(LogLevel::kInfo, line);
}

}  // namespace spanring::base

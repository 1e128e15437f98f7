// The process-wide calls of spanring/internal/runtime_api.h: decide, start, stop, fork and exit.
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "base/log.h"
#include "platform/fork_fds.h"
#include "platform/signals.h"
#include "ring/this_thread.h"
#include "runtime/runtime.h"
#include "runtime/settings.h"
#include "spanring/internal/runtime_api.h"

namespace spanring::internal {
namespace {

using runtime::Runtime;

// Held while the tracer starts (a few milliseconds) and by fork, so that a child never inherits it
// locked; never while waiting for the database.
constinit std::mutex g_life_mutex;
// Never freed.
constinit std::atomic<Runtime*> g_runtime{nullptr};
// What the tracer was last started with, for the child of a fork. Under g_life_mutex; a pointer, so
// that no destructor runs at exit.
Options* g_options = nullptr;

// acquire: pairs with the release in StartLocked: whoever sees the pointer sees the runtime whole.
Runtime* CurrentRuntime() noexcept { return g_runtime.load(std::memory_order_acquire); }

void SetMode(Mode mode) noexcept {
  // relaxed: as said at g_mode.
  g_mode.store(mode, std::memory_order_relaxed);
}
// relaxed: as said at g_mode.
Mode GetMode() noexcept { return g_mode.load(std::memory_order_relaxed); }

void BeforeFork() { g_life_mutex.lock(); }
void InParent() { g_life_mutex.unlock(); }
void InChild() {
  // Everything of the parent's runtime stays as it is, unreachable: its threads do not exist here,
  // and its locks may be held by them. The next span starts a runtime of the child's own.
  // relaxed: this is the child's only thread.
  g_runtime.store(nullptr, std::memory_order_relaxed);
  ring::ForgetAfterFork();
  platform::CloseAfterFork();
  if (GetMode() == Mode::kOn) SetMode(Mode::kUndecided);
  g_life_mutex.unlock();
}

void AtExit() {
  absl::Duration timeout;
  Runtime* runtime = nullptr;
  {
    const platform::SignalBlock no_signals;
    const std::lock_guard lock(g_life_mutex);
    runtime = CurrentRuntime();
    if (runtime == nullptr) return;
    timeout = absl::Milliseconds(g_options->exit_timeout_ms);
  }
  Shutdown(timeout).IgnoreError();  // The log has said what could not be delivered.
  runtime->LeaveAtExit();
}

// May be called again: the handler that was registered last runs first, and the others do nothing.
void WatchExit() { std::atexit(AtExit); }

// When the program is loaded, before another thread can be: a fork that began without these hooks
// while a thread was inside the first start would leave the child a lock that nobody opens.
__attribute__((constructor)) void WatchForks() { pthread_atfork(BeforeFork, InParent, InChild); }

void WatchExitOnce() {
  static const bool installed = [] {
    WatchExit();
    return true;
  }();
  static_cast<void>(installed);
}

// Requires g_life_mutex.
absl::Status StartLocked(const Options& wanted) {
  Runtime* runtime = CurrentRuntime();
  if (runtime != nullptr && runtime->running()) {
    return absl::AlreadyExistsError("the tracer is running; Shutdown it first");
  }
  // Off means off: not even an exit hook or a copy of the options is left behind.
  if (!wanted.enabled) {
    SetMode(Mode::kOff);
    return absl::OkStatus();
  }
  WatchExitOnce();
  const Options options = runtime::Clamp(wanted);
  delete std::exchange(g_options, new Options(options));
  if (runtime == nullptr) {
    runtime = new Runtime(options, WatchExit);
    ring::SetRegistry(runtime->registry());
    // release: pairs with the acquire in CurrentRuntime.
    g_runtime.store(runtime, std::memory_order_release);
  }
  const absl::Status status = runtime->Start(options);
  if (status.ok()) {
    SetMode(Mode::kOn);
  } else if (!absl::IsAlreadyExists(status)) {
    SetMode(Mode::kOff);
  }
  return status;
}

}  // namespace

bool DecideFromEnvironment() noexcept {
  if (GetMode() != Mode::kUndecided) return GetMode() == Mode::kOn;
  const platform::SignalBlock no_signals;
  try {
    const std::lock_guard lock(g_life_mutex);
    const char* const word = std::getenv("ENABLE_DB_TRACING");
    if (GetMode() == Mode::kUndecided && g_options == nullptr &&
        (word == nullptr || *word == '\0')) {
      // Off means off: not even the other settings are read.
      SetMode(Mode::kOff);
    }
    if (GetMode() == Mode::kUndecided) {
      const absl::Status status =
          StartLocked(g_options != nullptr ? Options(*g_options) : Options::FromEnvironment());
      if (!status.ok()) base::LogError(std::string("tracing is off: ") + status.ToString());
    }
  } catch (...) {  // No memory, not even for the options.
    SetMode(Mode::kOff);
  }
  return GetMode() == Mode::kOn;
}

absl::Status Start(const Options& options) {
  const platform::SignalBlock no_signals;
  try {
    const std::lock_guard lock(g_life_mutex);
    return StartLocked(options);
  } catch (const std::exception& e) {
    return absl::ResourceExhaustedError(e.what());
  }
}

absl::Status SetEnabled(bool enabled) {
  const platform::SignalBlock no_signals;
  const std::lock_guard lock(g_life_mutex);
  Runtime* runtime = CurrentRuntime();
  if (runtime == nullptr || !runtime->running()) {
    return absl::FailedPreconditionError("the tracer is not running; Start it first");
  }
  SetMode(enabled ? Mode::kOn : Mode::kOff);
  return absl::OkStatus();
}

absl::Status Flush(absl::Duration timeout) {
  Runtime* runtime = CurrentRuntime();
  if (runtime == nullptr) return absl::FailedPreconditionError("tracing is off");
  return runtime->Flush(timeout);
}

absl::Status FlushToDisk(absl::Duration timeout) {
  Runtime* runtime = CurrentRuntime();
  if (runtime == nullptr) return absl::FailedPreconditionError("tracing is off");
  return runtime->FlushToDisk(timeout);
}

absl::Status Shutdown(absl::Duration timeout) {
  Runtime* runtime = nullptr;
  {
    const platform::SignalBlock no_signals;
    const std::lock_guard lock(g_life_mutex);
    runtime = CurrentRuntime();
    if (runtime != nullptr) runtime->BeginShutdown();
    // Under the lock, so that SetEnabled comes before it or fails. Without a runtime it means that
    // none starts by itself any more.
    SetMode(Mode::kOff);
  }
  return runtime == nullptr ? absl::OkStatus() : runtime->Shutdown(timeout);
}

Stats GetStats() noexcept {
  Runtime* runtime = CurrentRuntime();
  return runtime == nullptr ? Stats() : runtime->GetStats();
}

}  // namespace spanring::internal

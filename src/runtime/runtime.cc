#include "runtime/runtime.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "ring/this_thread.h"
#include "spanring/internal/runtime_api.h"

namespace spanring::runtime {
namespace {

using Clock = std::chrono::steady_clock;

Clock::time_point DeadlineAfter(absl::Duration timeout) {
  // A century is as good as for ever, and does not overflow the clock.
  timeout = std::clamp(timeout, absl::ZeroDuration(), absl::Hours(24 * 365 * 100));
  return Clock::now() + absl::ToChronoNanoseconds(timeout);
}

// A detached thread that gets none of the host's signals and ends without ending the host.
void StartThread(const char* name, std::function<void()> body) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([name, body = std::move(body)] {
      pthread_setname_np(pthread_self(), name);
      try {
        body();
      } catch (const std::exception& e) {
        base::LogError(absl::StrCat("tracing stops: ", e.what()));
        // relaxed: as said at g_mode.
        internal::g_mode.store(internal::Mode::kOff, std::memory_order_relaxed);
      }
    }).detach();
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

Runtime::Way::Way(const Options& options, Runtime* runtime)
    : journal(options.journal_bytes, runtime->next_sequence_),
      shipper(
          options, runtime->writer_id_, &journal, &runtime->counters_,
          [runtime] { return runtime->GetStats(); }, runtime->watch_exit_),
      drainer({options.batch_rows, options.flush_interval_ms, options.service_name},
              &runtime->registry_, &journal, &runtime->counters_, [this] { shipper.Notify(); }) {}

Runtime::Runtime(const Options& options, void (*watch_exit)())
    : writer_id_(internal::NewTraceId()),
      watch_exit_(watch_exit),
      registry_(std::bit_ceil(options.ring_bytes), options.max_open_spans) {}

bool Runtime::LastHasEnded() {
  if (last_ == nullptr) return true;
  if (!last_->drainer.WaitUntilEnded(Clock::now())) return false;
  next_sequence_ = last_->journal.next_sequence();
  last_.reset();
  return true;
}

absl::Status Runtime::Start(const Options& options) {
  // Never waited for: the caller holds up forks and first spans meanwhile.
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return absl::UnavailableError("a Shutdown is under way; try again");
  if (running()) return absl::AlreadyExistsError("the tracer is running; Shutdown it first");
  if (!LastHasEnded()) {
    return absl::UnavailableError("the drainer of the last run has not ended; try again");
  }
  base::ConfigureLog(options);
  try {
    auto way = std::make_shared<Way>(options, this);
    StartThread("spanring-drain", [way] { way->drainer.Run(); });
    last_ = way;
    try {
      StartThread("spanring-ship", [way] { way->shipper.Run(); });
    } catch (...) {
      way->drainer.Stop();
      throw;
    }
    const std::lock_guard way_lock(way_mutex_);
    way_ = std::move(way);
  } catch (const std::exception& e) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot start the tracer's threads: ", e.what()));
  }
  // release: pairs with the acquire in running().
  running_.store(true, std::memory_order_release);
  return absl::OkStatus();
}

absl::Status Runtime::Flush(absl::Duration timeout) {
  std::shared_ptr<Way> way;
  {
    const std::lock_guard lock(way_mutex_);
    way = way_;
  }
  if (way == nullptr) return absl::FailedPreconditionError("tracing is off");
  const auto deadline = DeadlineAfter(timeout);
  const std::uint64_t dropped_before = GetStats().dropped;
  const std::uint64_t ticket = way->drainer.RequestFlush();
  if (!way->drainer.WaitForFlush(ticket, deadline) ||
      !way->shipper.WaitUntilDone(way->drainer.flushed_sequence(), deadline)) {
    return absl::DeadlineExceededError(
        absl::StrCat(GetStats().journalled, " spans are not in the database yet"));
  }
  const std::uint64_t dropped = GetStats().dropped - dropped_before;
  if (dropped > 0) return absl::DataLossError(absl::StrCat(dropped, " spans were dropped"));
  return absl::OkStatus();
}

absl::Status Runtime::Shutdown(absl::Duration timeout) {
  const auto deadline = DeadlineAfter(timeout);
  const std::unique_lock lock(mutex_, deadline);
  if (!lock.owns_lock()) return absl::DeadlineExceededError("another Shutdown is under way");
  std::shared_ptr<Way> way;
  {
    const std::lock_guard way_lock(way_mutex_);
    way = way_;
  }
  if (way == nullptr) return absl::OkStatus();
  way->drainer.Stop();
  // The drainer waits for nobody, so a deadline of zero is no reason to leave the rings unread.
  way->drainer.WaitUntilEnded(std::max(deadline, Clock::now() + std::chrono::seconds(5)));
  way->shipper.Finish();
  const bool delivered = way->shipper.WaitUntilEnded(deadline);
  if (!delivered) {
    way->shipper.Abort();
    // Long enough for a thread that is not stuck.
    way->shipper.WaitUntilEnded(Clock::now() + std::chrono::milliseconds(200));
    way->shipper.GiveUp();
  }
  {
    const std::lock_guard way_lock(way_mutex_);
    way_.reset();
  }
  const std::uint64_t undelivered = counters_.Undelivered();
  counters_.CountDropped(DropReason::kShutdown, undelivered);
  static_cast<void>(LastHasEnded());  // Frees the journal now, if it can be.
  if (undelivered > 0) {
    base::LogError(absl::StrCat("failed to persist trace span: ", undelivered,
                                " spans were not delivered before the deadline of the shutdown"));
    return absl::DeadlineExceededError(absl::StrCat(undelivered, " spans were dropped"));
  }
  if (!delivered) return absl::DeadlineExceededError("the last counts were not stored");
  return absl::OkStatus();
}

Stats Runtime::GetStats() const noexcept {
  // In this order: a span that has left the journal has been in a ring, and is not counted as less.
  const Stats gone = counters_.Read();
  Stats stats = registry_.Count();
  flush::Counters::Add(gone, stats);
  return stats;
}

}  // namespace spanring::runtime

#include "runtime/runtime.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "ring/sampling.h"
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
    : journal({.capacity_bytes = options.journal_bytes,
               .next_sequence = runtime->next_sequence_,
               .drop_oldest = options.journal_drops_oldest,
               .shippers = static_cast<int>(options.shippers),
               .writer = runtime->writer_id_,
               .open_folder = runtime->JournalOpener(options),
               .control = runtime->control_}),
      drainer(
          {.batch_rows = options.batch_rows,
           .flush_interval_ms = options.flush_interval_ms,
           .service_name = options.service_name,
           .open_span_ms = options.open_span_ms,
           .slow_span_ms = options.slow_span_ms,
           .writer = runtime->writer_id_,
           .control = runtime->control_},
          runtime->registry_, &journal, &runtime->counters_,
          [this] {
            for (const auto& shipper : shippers) shipper->Notify();
          },
          std::move(runtime->reported_)),
      recovery(options) {
  for (std::uint64_t i = 0; i < options.shippers; ++i) {
    shippers.push_back(
        std::make_unique<pg::Shipper>(options, runtime->PartsOfShipper(this, options, i == 0)));
  }
}

pg::ShipperParts Runtime::PartsOfShipper(Way* way, const Options& options, bool is_first) {
  pg::ShipperParts parts{.writer = writer_id_,
                         .journal = &way->journal,
                         .counters = &counters_,
                         .stats =
                             [this] {
                               TellOfMemory();
                               return GetStats();
                             },
                         .first_connect = {},
                         .look_around = {},
                         .delivery = &way->delivery,
                         .is_first = is_first};
  if (is_first) {
    parts.first_connect = watch_exit_;
    parts.look_around = [this, options] { LookAround(options); };
  }
  return parts;
}

Runtime::Runtime(const Options& options, void (*watch_exit)())
    : writer_id_(internal::NewTraceId()),
      watch_exit_(watch_exit),
      owner_{SPANRING_VERSION, options.service_name, pg::TargetOf(options.database_url),
             static_cast<std::uint64_t>(getpid())} {
  base::ConfigureLog(options);
  MakeRegistry(options);
}

// In files, or, where that cannot be, in memory: then a crash takes with it what is there.
void Runtime::MakeRegistry(const Options& options) {
  const std::uint64_t ring_bytes = std::bit_ceil(options.ring_bytes);
  const std::string root = recovery::RootsOf(options).rings;
  if (!root.empty()) {
    auto folder = recovery::MakeFolder(root, writer_id_, owner_);
    if (folder.ok()) {
      ring_folder_ = std::move(*folder);
      platform::Fd fd(fcntl(ring_folder_.fd.get(), F_DUPFD_CLOEXEC, 0));
      registry_ = new ring::Registry(ring_bytes, options.max_open_spans, std::move(fd));
      control_ = registry_->MakeControl();
      if (control_ == nullptr) {
        recovery::RemoveFiles(ring_folder_);
        ring_folder_ = {};
        delete registry_;
        registry_ = nullptr;
        folder = absl::UnavailableError(absl::StrCat("no room in ", root));
      }
    }
    if (!folder.ok()) {
      base::LogError(absl::StrCat("rings are in memory, and lost if the process is killed: ",
                                  folder.status().message()));
    }
  }
  if (registry_ == nullptr) {
    registry_ = new ring::Registry(ring_bytes, options.max_open_spans);
    return;
  }
  control_->writer_high = writer_id_.high();
  control_->writer_low = writer_id_.low();
  control_->pid = owner_.pid;
  control_->batch_rows = options.batch_rows;
  control_->service_bytes = std::min(options.service_name.size(), control_->service.size());
  options.service_name.copy(control_->service.data(), control_->service_bytes);
  counters_.MirrorIn(control_);
  registry_->PublishControl();
}

std::function<absl::StatusOr<int>()> Runtime::JournalOpener(const Options& options) {
  const std::string root = recovery::RootsOf(options).journal;
  if (root.empty()) return {};
  return [this, root]() -> absl::StatusOr<int> {
    if (!journal_folder_.fd) {
      // Each of the two says that there is the other: who finds one alone must know whether spans
      // are missing. Before there is a segment.
      recovery::Owner owner = owner_;
      if (ring_folder_.fd) owner.partner = recovery::Place::Of(ring_folder_.root_path);
      auto folder = recovery::MakeFolder(root, writer_id_, owner);
      if (!folder.ok()) return folder.status();
      if (ring_folder_.fd) {
        const absl::Status added = recovery::AddPartner(ring_folder_, recovery::Place::Of(root));
        if (!added.ok() && !absl::IsNotFound(added)) {
          recovery::RemoveFiles(*folder);
          return added;
        }
      }
      journal_folder_ = std::move(*folder);
    }
    return journal_folder_.fd.get();
  };
}

// By a shipper: a thread that starts its first span has no time for the host's log.
void Runtime::TellOfMemory() {
  if (!registry_->memory().has_overflowed()) return;
  // relaxed: who comes first says it.
  if (told_of_memory_.exchange(true, std::memory_order_relaxed)) return;
  base::LogError(absl::StrCat(ring_folder_.root_path,
                              " has no room for all rings: what finds none is in memory, and lost "
                              "if the process is killed"));
}

// What dead processes left, and once a day the database's maintenance, on a thread of its own while
// there is something to do.
void Runtime::LookAround(const Options& options) {
  const std::shared_ptr<Way> way = CurrentWay();
  if (way == nullptr) return;
  {
    const std::lock_guard lock(way->mutex);
    if (std::exchange(way->in_upkeep, true)) return;
  }
  // Whoever lets go of it last says that it is over.
  const std::shared_ptr<void> upkeep(nullptr, [way](void*) {
    const std::lock_guard lock(way->mutex);
    way->in_upkeep = false;
    way->changed.notify_all();
  });
  const bool has_orphans = recovery::AnyOrphan(recovery::RootsOf(options));
  const bool maintains = MaintenanceIsDue(*way);
  if (!has_orphans && !maintains) return;
  // Whatever fails here, our own spans go on.
  const auto say = [](const std::exception& e) {
    base::LogError(absl::StrCat("upkeep of the database failed: ", e.what()));
  };
  try {
    StartThread("spanring-upkeep", [way, upkeep, has_orphans, maintains, say] {
      try {
        if (has_orphans) RecoverOthers(*way);
        if (maintains) Maintain(*way);
      } catch (const std::exception& e) {
        say(e);
      }
    });
  } catch (const std::exception& e) {
    say(e);
  }
}

// Once this process has run for a while, then daily, and only while spans arrive: the database may
// sleep. The database itself sees to it that of many processes one does the work.
bool Runtime::MaintenanceIsDue(Way& way) {
  const std::uint64_t persisted = GetStats().persisted;
  if (std::exchange(way.persisted_seen, persisted) == persisted) return false;
  if (Clock::now() < way.maintenance_due) return false;
  way.maintenance_due = Clock::now() + std::chrono::hours(24);
  return true;
}

void Runtime::Maintain(Way& way) {
  const absl::Status status = way.recovery.Maintain();
  if (!status.ok() && !absl::IsCancelled(status)) {
    base::LogError(
        absl::StrCat("trace_maintain() failed, and is tried again tomorrow: ", status.message()));
  }
}

void Runtime::RecoverOthers(Way& way) {
  std::uint64_t spans = 0;
  for (const recovery::Recovered& one : way.recovery.Run()) {
    spans += one.from_journal + one.from_rings + one.were_open;
    // What is left alone is found again every minute.
    const bool is_news = !absl::IsFailedPrecondition(one.status) ||
                         way.left_alone.insert(one.writer.ToUuid()).second;
    if (!one.status.ok() && !absl::IsCancelled(one.status) && is_news) {
      base::LogError(absl::StrCat("cannot recover what process ", one.owner.pid, " (",
                                  one.owner.service, ") left: ", one.status.message()));
    }
  }
  if (spans > 0) {
    base::LogInfo(absl::StrCat(spans, " spans of processes that had died were recovered"));
  }
}

void Runtime::LeaveAtExit() noexcept {
  if (control_ != nullptr) {
    // relaxed: as said at ControlData.
    control_->left_in_order.store(1, std::memory_order_relaxed);
  }
  // A drainer that is still under way is held up by the disk, which would hold us up too.
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || !LastHasEnded()) return;
  const Stats stats = GetStats();
  // acquire: pairs with the release in Shutdown.
  if (stats.journalled == 0 && stats.open == 0 &&
      (stats.started == 0 || counts_stored_.load(std::memory_order_acquire))) {
    // Still open, and locked: threads may go on.
    recovery::RemoveFiles(ring_folder_);
    recovery::RemoveFiles(journal_folder_);
  }
}

bool Runtime::LastHasEnded() {
  if (last_ == nullptr) return true;
  if (!last_->drainer.WaitUntilEnded(Clock::now())) return false;
  next_sequence_ = last_->journal.next_sequence();
  reported_ = last_->drainer.TakeReported();
  last_.reset();
  return true;
}

// A folder is for one database. Requires mutex_, and that no drainer runs.
absl::Status Runtime::GoTo(const std::string& target) {
  if (target == owner_.target) return absl::OkStatus();
  if (journal_folder_.fd) {
    const auto names = platform::NamesIn(journal_folder_.fd.get());
    if (!names.ok()) return names.status();
    for (const std::string& name : *names) {
      if (flush::SequenceOf(name) == 0) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("spans for ", owner_.target,
                       " still wait in the journal; Start towards it, "
                       "and Flush, before this process traces to ",
                       target));
    }
  }
  owner_.target = target;
  for (const recovery::Folder* folder : {&ring_folder_, &journal_folder_}) {
    if (!folder->fd) continue;
    recovery::Owner owner = recovery::ReadOwner(*folder);
    owner.target = target;
    if (absl::Status status = recovery::WriteOwner(*folder, owner); !status.ok()) return status;
  }
  return absl::OkStatus();
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
  if (absl::Status status = GoTo(pg::TargetOf(options.database_url)); !status.ok()) return status;
  const ring::SamplingRule sampling(options.sample_ratio, options.sample_by_parent);
  // relaxed, both: as said at g_sampling_rule, and at ControlData.
  ring::g_sampling_rule.store(sampling, std::memory_order_relaxed);
  if (control_ != nullptr) control_->sampling.store(sampling, std::memory_order_relaxed);
  try {
    auto way = std::make_shared<Way>(options, this);
    StartThread("spanring-drain", [way] { way->drainer.Run(); });
    last_ = way;
    try {
      for (const auto& shipper : way->shippers) {
        StartThread("spanring-ship", [way, &shipper = *shipper] { shipper.Run(); });
      }
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

std::shared_ptr<Runtime::Way> Runtime::CurrentWay() {
  const std::lock_guard lock(way_mutex_);
  return way_;
}

absl::Status Runtime::LostSince(std::uint64_t dropped_before) const {
  const std::uint64_t dropped = GetStats().dropped - dropped_before;
  if (dropped > 0) return absl::DataLossError(absl::StrCat(dropped, " spans were dropped"));
  return absl::OkStatus();
}

absl::Status Runtime::Flush(absl::Duration timeout) {
  const std::shared_ptr<Way> way = CurrentWay();
  if (way == nullptr) return absl::FailedPreconditionError("tracing is off");
  const auto deadline = DeadlineAfter(timeout);
  const std::uint64_t dropped_before = GetStats().dropped;
  const std::uint64_t ticket = way->drainer.RequestFlush();
  if (!way->drainer.WaitForFlush(ticket, deadline) ||
      !way->journal.WaitUntilDone(way->drainer.flushed_sequence(), deadline)) {
    return absl::DeadlineExceededError(
        absl::StrCat(GetStats().journalled, " spans are not in the database yet"));
  }
  return LostSince(dropped_before);
}

absl::Status Runtime::FlushToDisk(absl::Duration timeout) {
  const std::shared_ptr<Way> way = CurrentWay();
  if (way == nullptr) return absl::FailedPreconditionError("tracing is off");
  const auto deadline = DeadlineAfter(timeout);
  const std::uint64_t dropped_before = GetStats().dropped;
  const std::uint64_t ticket = way->drainer.RequestFlush();
  if (!way->drainer.WaitForFlush(ticket, deadline)) {
    return absl::DeadlineExceededError(
        absl::StrCat(GetStats().journalled, " spans are not on disk yet"));
  }
  // Spans that ended later may be between ring and disk just now.
  while (true) {
    const std::uint64_t undelivered = counters_.Undelivered();
    const std::uint64_t on_disk = way->journal.rows_on_disk();
    if (on_disk >= undelivered) return LostSince(dropped_before);
    if (Clock::now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat(undelivered - on_disk, " spans are in memory alone"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

absl::Status Runtime::Shutdown(absl::Duration timeout) {
  const auto deadline = DeadlineAfter(timeout);
  const std::unique_lock lock(mutex_, deadline);
  if (!lock.owns_lock()) return absl::DeadlineExceededError("another Shutdown is under way");
  const std::shared_ptr<Way> way = CurrentWay();
  if (way == nullptr) return absl::OkStatus();
  way->drainer.Stop();
  WaitForDrainer(*way, deadline);
  way->recovery.Abort();
  const bool delivered = WaitForShippers(*way, deadline);
  if (!delivered) StopShippers(*way);
  // release: pairs with the acquire in LeaveAtExit.
  counts_stored_.store(delivered && way->shippers[0]->last_counts_stored(),
                       std::memory_order_release);
  {
    std::unique_lock way_lock(way->mutex);
    way->changed.wait_for(way_lock, std::chrono::milliseconds(200),
                          [&] { return !way->in_upkeep; });
  }
  {
    const std::lock_guard way_lock(way_mutex_);
    way_.reset();
  }
  const absl::Status status = Undelivered(*way, delivered);
  static_cast<void>(LastHasEnded());  // Frees the journal now, if it can be.
  return status;
}

// The drainer waits for nobody but the disk, so a deadline of zero is no reason to leave the rings
// unread; a disk that has stalled is one.
void Runtime::WaitForDrainer(Way& way, pg::Deadline deadline) {
  constexpr std::int64_t kStalledNs = 100'000'000;
  const auto last = std::max(deadline, Clock::now() + std::chrono::seconds(5));
  while (!way.drainer.WaitUntilEnded(Clock::now() + std::chrono::milliseconds(20))) {
    const auto now = Clock::now();
    if (now >= last || (now >= deadline && way.journal.DiskWaitNs() > kStalledNs)) return;
  }
}

// The first comes last: it stores the counts when the others are done.
bool Runtime::WaitForShippers(Way& way, pg::Deadline deadline) {
  for (std::size_t i = way.shippers.size(); i-- > 0;) {
    way.shippers[i]->Finish();
    if (!way.shippers[i]->WaitUntilEnded(deadline)) return false;
  }
  return true;
}

void Runtime::StopShippers(Way& way) {
  for (const auto& shipper : way.shippers) shipper->Abort();
  // Long enough for threads that are not stuck.
  const auto soon = Clock::now() + std::chrono::milliseconds(200);
  for (const auto& shipper : way.shippers) {
    shipper->WaitUntilEnded(soon);
    shipper->GiveUp();
  }
}

absl::Status Runtime::Undelivered(Way& way, bool delivered) {
  const std::uint64_t undelivered = counters_.Undelivered();
  const std::uint64_t on_disk = std::min(undelivered, way.journal.rows_on_disk());
  const std::uint64_t lost = undelivered - on_disk;
  counters_.CountDropped(DropReason::kShutdown, lost);
  if (lost > 0) {
    base::LogError(absl::StrCat("failed to persist trace span: ", lost,
                                " spans were not delivered before the deadline of the shutdown"));
    return absl::DeadlineExceededError(absl::StrCat(lost, " spans were dropped"));
  }
  if (on_disk > 0) {
    const std::string message = absl::StrCat(
        on_disk,
        " spans stay in the journal until a process of this user for that database, or "
        "`spanring recover`, delivers them");
    base::LogError(message);
    return absl::DeadlineExceededError(message);
  }
  if (!delivered) return absl::DeadlineExceededError("the last counts were not stored");
  return absl::OkStatus();
}

Stats Runtime::GetStats() const noexcept {
  // In this order: a span that has left the journal has been in a ring, and is not counted as less.
  const Stats gone = counters_.Read();
  Stats stats = registry_->Count();
  flush::Counters::Add(gone, stats);
  return stats;
}

}  // namespace spanring::runtime

// The process's tracer: rings, drainer, journal and shipper put together, and their life.
// Threads: any.
// Memory: made on first use, never destroyed: a span may still end in the last destructor.
// Errors: absl::Status, as said in spanring/tracer.h.
// Design: docs/architecture.md#life
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "flush/counters.h"
#include "flush/drainer.h"
#include "flush/journal.h"
#include "pg/shipper.h"
#include "recovery/folders.h"
#include "recovery/recover.h"
#include "ring/registry.h"
#include "spanring/options.h"
#include "spanring/stats.h"

namespace spanring::runtime {

class Runtime {
 public:
  // `watch_exit` is called after the first try to connect: what libpq brought with it, such as
  // OpenSSL, then has its exit handlers behind the one that `watch_exit` registers.
  Runtime(const Options& options, void (*watch_exit)());

  // Starts the threads, with these options. Once more after Shutdown. Unavailable while a Shutdown
  // is under way, or its last thread has not ended: try again.
  absl::Status Start(const Options& options);
  absl::Status Flush(absl::Duration timeout);
  absl::Status FlushToDisk(absl::Duration timeout);
  // From now on running() is false and no start of a span is expected.
  // release: pairs with the acquire in running().
  void BeginShutdown() noexcept { running_.store(false, std::memory_order_release); }
  absl::Status Shutdown(absl::Duration timeout);
  Stats GetStats() const noexcept;
  // acquire: pairs with the releases in Start and BeginShutdown.
  bool running() const noexcept { return running_.load(std::memory_order_acquire); }
  ring::Registry* registry() noexcept { return registry_; }
  // The process exits: its folders go with it, unless something is left in them for the next.
  void LeaveAtExit() noexcept;

 private:
  // True when no drainer reads the rings. Requires mutex_.
  bool LastHasEnded();

  // What one Start makes. A part whose thread cannot be stopped in time is left to it.
  struct Way {
    Way(const Options& options, Runtime* runtime);
    flush::Journal journal;
    pg::Delivery delivery;
    std::vector<std::unique_ptr<pg::Shipper>> shippers;
    flush::Drainer drainer;
    recovery::Recovery recovery;
    std::mutex mutex;
    std::condition_variable changed;
    bool in_upkeep = false;            // Under mutex.
    std::set<std::string> left_alone;  // Writers; of the thread that looks after them.
    // The first shipper's thread: since when the database's maintenance is due, and how many spans
    // it had when that was last asked.
    std::chrono::steady_clock::time_point maintenance_due =
        std::chrono::steady_clock::now() + std::chrono::minutes(1);
    std::uint64_t persisted_seen = 0;
  };
  pg::ShipperParts PartsOfShipper(Way* way, const Options& options, bool is_first);
  void MakeRegistry(const Options& options);
  std::function<absl::StatusOr<int>()> JournalOpener(const Options& options);
  void LookAround(const Options& options);
  bool MaintenanceIsDue(Way& way);
  static void RecoverOthers(Way& way);
  static void Maintain(Way& way);
  absl::Status GoTo(const std::string& target);
  static void WaitForDrainer(Way& way, pg::Deadline deadline);
  void TellOfMemory();
  static bool WaitForShippers(Way& way, pg::Deadline deadline);
  static void StopShippers(Way& way);
  std::shared_ptr<Way> CurrentWay();
  absl::Status LostSince(std::uint64_t dropped_before) const;
  absl::Status Undelivered(Way& way, bool delivered);

  const TraceId writer_id_;
  void (*const watch_exit_)();
  recovery::Owner owner_;
  recovery::Folder ring_folder_;
  recovery::Folder journal_folder_;  // The drainer's, of which there is one at a time.
  ring::ControlData* control_ = nullptr;
  ring::Registry* registry_ = nullptr;
  flush::Counters counters_;
  std::atomic<bool> running_{false};
  std::atomic<bool> told_of_memory_{false};
  // All that the database is to know of this process it knows; else the files stay for who
  // recovers.
  std::atomic<bool> counts_stored_{false};

  std::timed_mutex mutex_;     // Serialises Start and Shutdown.
  std::shared_ptr<Way> last_;  // The newest, until its drainer has ended. Under mutex_.
  std::shared_ptr<Way> way_;   // Under way_mutex_. Shared with its threads.
  std::mutex way_mutex_;
  std::uint64_t next_sequence_ = 1;  // Under mutex_, as the next.
  flush::ReportedSpans reported_;
};

}  // namespace spanring::runtime

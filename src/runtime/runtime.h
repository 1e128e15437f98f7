// The process's tracer: rings, drainer, journal and shipper put together, and their life.
// Threads: any.
// Memory: made on first use, never destroyed: a span may still end in the last destructor.
// Errors: absl::Status, as said in spanring/tracer.h.
// Design: docs/architecture.md#life
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "flush/counters.h"
#include "flush/drainer.h"
#include "flush/journal.h"
#include "pg/shipper.h"
#include "ring/registry.h"
#include "spanring/options.h"
#include "spanring/stats.h"

namespace spanring::runtime {

class Runtime {
 public:
  explicit Runtime(const Options& options);

  // Starts the threads, with these options. Once more after Shutdown.
  absl::Status Start(const Options& options);
  absl::Status Flush(absl::Duration timeout);
  absl::Status Shutdown(absl::Duration timeout);
  Stats GetStats() const noexcept;
  bool running() const noexcept { return running_.load(std::memory_order_acquire); }
  ring::Registry* registry() noexcept { return &registry_; }

 private:
  // What one Start makes. A part whose thread cannot be stopped in time is left to it.
  struct Way {
    Way(const Options& options, Runtime* runtime);
    flush::Journal journal;
    pg::Shipper shipper;
    flush::Drainer drainer;
  };

  const TraceId writer_id_;
  ring::Registry registry_;
  flush::Counters counters_;
  std::atomic<bool> running_{false};

  std::mutex mutex_;          // Serialises Start and Shutdown.
  std::shared_ptr<Way> way_;  // Under way_mutex_. Shared with its threads.
  std::mutex way_mutex_;
  std::uint64_t next_sequence_ = 1;  // Under mutex_.
};

}  // namespace spanring::runtime

// The flusher's second half: takes batches from the journal to the database, each exactly once.
// Threads: Run on a thread of its own; the rest from any thread.
// Memory: the batch in hand.
// Errors: logged, rate-limited, and counted; a batch stays in hand until it is persisted, refused
// row
//   by row, or the process ends.
// Design: docs/architecture.md#shipper
//
// One batch is one transaction: its row in the ledger (trace_batches), COPY, the writer's counters.
// When the answer to a commit is lost the batch is sent again; if it had been committed the
// ledger's unique key refuses it, and that is the answer.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <random>
#include <string>

#include "flush/counters.h"
#include "flush/journal.h"
#include "pg/batch_sender.h"
#include "pg/delivery.h"
#include "pg/session.h"
#include "pg/wake.h"
#include "spanring/id.h"
#include "spanring/options.h"
#include "spanring/stats.h"

namespace spanring::pg {

struct ShipperParts {
  TraceId writer;
  flush::Journal* journal;
  flush::Counters* counters;
  // The process's counts as they are now.
  std::function<Stats()> stats;
  // Called once, after the first try to connect.
  std::function<void()> first_connect;
  // Called when connected, and then now and then, while batches may wait.
  std::function<void()> look_around;
  // What all shippers of the process say in its log.
  Delivery* delivery;
  // One of a process's shippers is the first: it stores the counts, and takes the batches whose
  // order matters. The others help.
  bool is_first = true;
};

class Shipper {
 public:
  Shipper(const Options& options, ShipperParts parts);
  ~Shipper() { delete batch_; }
  Shipper(const Shipper&) = delete;
  Shipper& operator=(const Shipper&) = delete;

  void Run();

  // A batch was sealed.
  void Notify() noexcept { wake_.Signal(); }
  // Ends Run when the journal is empty and the writer's last counts are stored.
  void Finish() noexcept;
  // Ends Run as soon as it can.
  void Abort() noexcept;

  // Waits until Run has ended; false when `deadline` came first.
  bool WaitUntilEnded(Deadline deadline);
  // The writer's last counts are in the database. When it has ended.
  // acquire: pairs with the releases in LastWords.
  bool last_counts_stored() const noexcept {
    return last_counts_stored_.load(std::memory_order_acquire);
  }
  // From now on no batch changes a count: the caller counts what was not confirmed.
  void GiveUp();

 private:
  using Clock = std::chrono::steady_clock;

  bool Idle();
  bool MayTake();
  bool Connect();
  void GiveBack();
  void Ship();
  bool LoadBatch();
  Failure Prepare();
  Failure StoreCounts(bool stopped);
  void CountsStored();
  bool CountsChanged();
  bool LastWords();
  void LookAroundWhenDue();
  void TellDrops(const Stats& stats);
  std::string CountsStatement(std::uint64_t persisted_now, std::uint64_t rejected_now,
                              bool stopped);
  void GiveUpBatch();
  void Settle(const BatchSender::Result& result);
  void Report(const Failure& failure);
  void BackOff();
  void WaitFor(std::chrono::milliseconds pause);

  const Options options_;
  const std::string writer_id_;
  ShipperParts parts_;
  Wake wake_;
  std::atomic<bool> finish_{false};
  std::atomic<bool> abort_{false};
  std::atomic<bool> last_counts_stored_{false};

  // The shipper's thread.
  Session session_;
  BatchSender sender_;
  flush::Batch* batch_ = nullptr;  // In hand.
  int tries_ = 0;                  // Of the batch in hand that the server answered with an error.
  int failures_in_a_row_ = 0;
  Clock::time_point last_use_{};
  Clock::time_point prepared_{};
  Clock::time_point looked_around_{};
  Clock::time_point drops_told_at_{};
  std::uint64_t drops_told_ = 0;
  std::uint64_t dropped_sent_ = 0;  // By the last statement of our counts ...
  std::uint64_t started_sent_ = 0;
  std::uint64_t dropped_stored_ = 0;  // ... and by the last that was committed.
  std::uint64_t started_stored_ = 0;
  Clock::time_point counts_stored_{};
  std::minstd_rand random_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;     // Under mutex_.
  bool given_up_ = false;  // Under mutex_.
};

}  // namespace spanring::pg

// What has left the rings and is not yet in the database: batches of rows, ready for COPY, in
// memory and, where there is a folder, on disk.
// Threads: said per group of members; batches travel over lock-free queues.
// Memory: bounded by `capacity_bytes` of rows; emptied batches are used again.
// Errors: a full journal refuses rows, and the caller counts them. What cannot be written to disk
//   stays in memory, which is said once.
// Design: docs/reliability.md#journal
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "concurrentqueue/concurrentqueue.h"
#include "flush/row_reader.h"
#include "flush/segment.h"
#include "ring/control.h"

namespace spanring::flush {

// Rows in PostgreSQL's binary COPY format, without the header and the trailer of the stream.
struct Batch {
  std::uint64_t sequence = 0;  // Unique within the writer: the ledger's key.
  std::uint32_t rows = 0;
  std::int64_t opened_ns = 0;  // CLOCK_MONOTONIC at its first row.
  std::vector<std::uint8_t> data;
  std::uint64_t bytes = 0;  // Of the rows, also while `data` is empty and they are on disk.

  // Of trace_open_spans: rows to add, and spans that are there no more.
  std::uint32_t open_rows = 0;
  std::vector<std::uint8_t> open_data;
  std::vector<SpanKey> closed;

  std::uint32_t rows_on_disk = 0;  // In the segment, also when no more could be written.
  bool on_disk = false;            // All rows are in the segment ...
  bool in_memory = true;           // ... and all are in `data`.

  bool IsEmpty() const noexcept { return rows == 0 && open_rows == 0 && closed.empty(); }
  // Its transaction must not overtake that of an earlier such batch.
  bool IsOrdered() const noexcept { return open_rows > 0 || !closed.empty(); }
};

struct JournalOptions {
  std::uint64_t capacity_bytes = 64 * 1024 * 1024;
  std::uint64_t next_sequence = 1;
  bool drop_oldest = false;
  int shippers = 1;
  TraceId writer = {};
  // Opens the writer's own folder, which stays open, and returns its descriptor. Called by the
  // drainer, on which a slow disk may keep it waiting, and again after a failure. None: memory
  // only.
  std::function<absl::StatusOr<int>()> open_folder = {};
  ring::ControlData* control = nullptr;  // Learns the sequences.
};

class Journal {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  explicit Journal(const JournalOptions& options);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // --- The drainer ---

  // Before all else: takes what an earlier journal of this process left in the folder.
  void Begin();
  // The batch that takes rows now, or nullptr when the journal is full. May throw std::bad_alloc.
  Batch* Open();
  // The same for what takes no room: spans that are open no more.
  Batch* OpenForClosed();
  // Rows were added to the open batch.
  void CountAppended(std::size_t bytes) noexcept;
  // What was added since the last Commit goes to disk, with the rings' positions behind it.
  void Commit(const std::vector<RingPosition>& positions) noexcept;
  // It stays in memory alone: there is none for the positions.
  void CommitInMemoryAlone() noexcept;
  // Hands the open batch, which is committed, to the shippers; nothing when it is empty. May throw
  // std::bad_alloc.
  void Seal();
  // A sealed batch to drop: the oldest of those that no other depends on, or else the oldest.
  Batch* TakeOldest() noexcept;
  const Batch* open() const noexcept { return open_; }
  // The sequence that the next batch will have.
  std::uint64_t next_sequence() const noexcept { return next_sequence_; }
  bool drop_oldest() const noexcept { return options_.drop_oldest; }

  // --- The shippers ---

  // The oldest sealed batch, or nullptr. `first`: for the one shipper that takes ordered ones too;
  // the others help while batches queue.
  Batch* Take(bool first = true) noexcept;
  // Batches queue while all shippers that were there have one in hand.
  bool NeedsHelp() const noexcept { return waiting() >= 2; }
  // Takes it back, for another shipper. False: no memory to remember it by.
  bool GiveBack(Batch* batch) noexcept;
  // Brings its rows into memory. Unavailable: try again. DataLoss: some are damaged; `rows` says
  // how many are left.
  absl::Status Load(Batch* batch);
  // Its rows are in the database, or dropped and counted. May be called by the drainer too.
  void Done(Batch* batch) noexcept;
  // The same for a batch that nobody shall find on disk later. False: it cannot be removed from
  // there, and goes back among those that wait.
  bool Discard(Batch* batch) noexcept;
  // This shipper takes no more. Its last batch, if any, stays with it.
  void ShipperEnded() noexcept;

  // --- Any thread ---

  // Sealed batches that no shipper is done with. relaxed, both: a little old is as good.
  std::uint64_t waiting() const noexcept { return waiting_.load(std::memory_order_relaxed); }
  std::uint64_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }
  // Waits until every batch below `sequence` is done with; false when `deadline` came first.
  bool WaitUntilDone(std::uint64_t sequence, Deadline deadline);
  // Rows that are safe on disk, and not done with.
  std::uint64_t rows_on_disk();
  // How long the drainer has been waiting for the disk; 0 when it is not.
  std::int64_t DiskWaitNs() const noexcept;

 private:
  // acquire: pairs with the release in OpenFolder. -1: there is none yet.
  int folder() const noexcept { return folder_.load(std::memory_order_acquire); }
  class DiskWait;
  bool OpenFolder();
  bool HasRoom() const noexcept;
  void OpenSegment();
  void CountBytes() noexcept;
  void DiskFailed(const absl::Status& status) noexcept;
  void Enqueue(Batch* batch);

  const JournalOptions options_;
  std::atomic<int> folder_{-1};
  // relaxed, all: budgets, not orders.
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> bytes_in_memory_{0};
  std::atomic<std::uint64_t> waiting_{0};
  // CLOCK_MONOTONIC when the drainer turned to the disk; 0: it has not.
  std::atomic<std::int64_t> disk_since_ns_{0};
  moodycamel::ConcurrentQueue<Batch*> sealed_;
  moodycamel::ConcurrentQueue<Batch*> ordered_;
  moodycamel::ConcurrentQueue<Batch*> emptied_;

  // The drainer's.
  std::uint64_t next_sequence_;
  Batch* open_ = nullptr;
  std::optional<SegmentWriter> segment_;  // Of the open batch, while all its rows are in it.
  std::uint64_t uncounted_bytes_ = 0;     // Appended since the last Commit, which counts them.
  std::size_t committed_bytes_ = 0;       // Of the open batch.
  std::uint32_t committed_rows_ = 0;
  std::int64_t try_disk_again_ns_ = 0;
  bool disk_failed_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Under mutex_: the rows on disk of each batch that is sealed and not done with.
  std::map<std::uint64_t, std::uint32_t> outstanding_;
  int shippers_;
};

}  // namespace spanring::flush

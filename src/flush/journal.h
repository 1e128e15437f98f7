// What has left the rings and is not yet in the database: batches of rows, ready for COPY.
// Threads: said per group of members; batches travel over lock-free queues.
// Memory: bounded by `capacity_bytes` of rows; emptied batches are used again.
// Errors: a full journal refuses rows, and the caller counts them.
// Design: docs/architecture.md#journal
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "concurrentqueue/concurrentqueue.h"

namespace spanring::flush {

// Rows in PostgreSQL's binary COPY format, without the header and the trailer of the stream.
struct Batch {
  std::uint64_t sequence = 0;  // Unique within the writer: the ledger's key.
  std::uint32_t rows = 0;
  std::int64_t opened_ns = 0;  // CLOCK_MONOTONIC at its first row.
  std::vector<std::uint8_t> data;
};

class Journal {
 public:
  // `next_sequence` goes on where an earlier journal of the same writer stopped.
  Journal(std::uint64_t capacity_bytes, std::uint64_t next_sequence)
      : capacity_bytes_(capacity_bytes), next_sequence_(next_sequence) {}
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // --- The drainer ---

  // The batch that takes rows now, or nullptr when the journal is full. May throw std::bad_alloc.
  Batch* Open();
  // Rows were added to the open batch.
  void CountAppended(std::size_t bytes) noexcept {
    // relaxed, here and below: a budget, not an order.
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
  }
  // Hands the open batch to the shippers; nothing when it has no rows. May throw std::bad_alloc.
  void Seal();
  const Batch* open() const noexcept { return open_; }
  // The sequence that the next sealed batch will have.
  std::uint64_t next_sequence() const noexcept { return next_sequence_; }

  // --- The shippers ---

  // The oldest sealed batch, or nullptr.
  Batch* Take() noexcept;
  // Its rows are in the database, or dropped and counted.
  void Done(Batch* batch) noexcept;

  // --- Any thread ---

  // Sealed batches that no shipper is done with. relaxed, both: a little old is as good.
  std::uint64_t waiting() const noexcept { return waiting_.load(std::memory_order_relaxed); }
  std::uint64_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }

 private:
  const std::uint64_t capacity_bytes_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> waiting_{0};
  moodycamel::ConcurrentQueue<Batch*> sealed_;
  moodycamel::ConcurrentQueue<Batch*> emptied_;

  // The drainer's.
  std::uint64_t next_sequence_;
  Batch* open_ = nullptr;
};

}  // namespace spanring::flush

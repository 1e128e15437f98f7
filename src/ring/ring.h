// A ring of variable-length records between one producer and one consumer.
// Threads: Reserve and Commit by the producer; Refresh, Peek, Advance, GiveBack by the consumer.
// Memory: the caller's; a ring never allocates.
// Errors: a full ring refuses; a record is in whole or not at all.
// Design: docs/architecture.md#rings
//
//                consumed_                     published_ == write_
//                    v                             v
//   | free           | record | record | record    | free           |      one lap = capacity bytes
//
// Positions count bytes since the ring began and never wrap (2^64 bytes last for centuries); a
// record lies at position % capacity, in one piece: what is left of a lap that is too short for the
// next record is skipped, marked by a header with status kFree.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>

#include "platform/memory.h"
#include "ring/record.h"
#include "ring/sync.h"

namespace spanring::ring {

// Two lines are fetched together by the prefetchers of current x86 processors, and some pull more.
inline constexpr std::size_t kNoSharing = 256;

template <typename Sync>
class BasicRing {
 public:
  // `buffer` has `capacity` bytes, a power of two of at least 4 KiB, aligned to 64.
  BasicRing(std::uint8_t* buffer, std::uint64_t capacity) noexcept
      : buffer_(buffer),
        mask_(capacity - 1),
        limit_(capacity),
        consumers_buffer_(buffer),
        consumers_mask_(capacity - 1) {}
  BasicRing(const BasicRing&) = delete;
  BasicRing& operator=(const BasicRing&) = delete;

  // Room for a record of `size` bytes (a multiple of 8), or nullptr when the ring is full. Followed
  // by Commit before the next Reserve. One of capacity() / 2 always fits into an empty ring.
  std::uint8_t* Reserve(std::uint64_t size) noexcept {
    std::uint8_t* at = TryReserve(size);
    if (at != nullptr) [[likely]]
      return at;
    return MakeRoom(size) ? At(write_) : nullptr;
  }
  // The same from the room that is known of: nullptr may also mean that Reserve must look.
  std::uint8_t* TryReserve(std::uint64_t size) noexcept {
    // limit_ is the nearer of two ends, the free space's and the lap's: one comparison for both.
    if (limit_ - write_ < size) [[unlikely]]
      return nullptr;
    return At(write_);
  }

  // Asks for the cache lines that are written next, as many as a record of `size` bytes takes. The
  // consumer has read them since the last lap: got back only when they are written, they would cost
  // more than all else.
  void FetchAhead(std::uint64_t size) const noexcept {
    for (std::uint64_t at = 0; at < size; at += 64)
      platform::FetchToWrite(At(write_ + kAhead + at));
  }

  // Hands the reserved record to the consumer.
  void Commit(std::uint64_t size) noexcept {
    write_ += size;
    // release: pairs with the acquire in Refresh, so the consumer sees the whole record.
    published_.store(write_, std::memory_order_release);
  }

  // Learns of the records committed so far: those that Peek will show.
  void Refresh() noexcept {
    // acquire: pairs with the release in Commit and in SkipTo.
    seen_ = published_.load(std::memory_order_acquire);
  }

  // The next record that Refresh learnt of, or nullptr. It stays until GiveBack.
  const RecordHeader* Peek() noexcept {
    while (read_ != seen_) {
      const auto* record =
          reinterpret_cast<const RecordHeader*>(consumers_buffer_ + (read_ & consumers_mask_));
      Sync::WillRead(record, kRecordStart);
      if (record->status != RecordStatus::kFree) return record;
      read_ += record->size;
    }
    return nullptr;
  }

  // Goes past the record that Peek returned. Its space is given back by GiveBack.
  void Advance(const RecordHeader* record) noexcept { read_ += record->size; }

  // Gives the space of all records that Advance went past to the producer.
  void GiveBack() noexcept {
    // release: pairs with the acquire in MakeRoom, so the producer writes after our last read.
    consumed_.store(read_, std::memory_order_release);
  }

  // For a reader of the memory when its process is gone.
  const void* published_address() const noexcept { return &published_; }
  const void* consumed_address() const noexcept { return &consumed_; }
  // How far Advance has gone, and whether GiveBack has not.
  std::uint64_t read() const noexcept { return read_; }
  bool IsAhead() const noexcept {
    // relaxed: the consumer's own.
    return read_ != consumed_.load(std::memory_order_relaxed);
  }

  std::uint64_t capacity() const noexcept { return mask_ + 1; }
  // Largest record that always fits into an empty ring.
  std::uint64_t max_record_bytes() const noexcept { return capacity() / 2; }

 private:
  // Far enough for the lines to arrive in time, near enough for them to stay.
  static constexpr std::uint64_t kAhead = 1024;

  // Size, status and flags: all that a record must have, and padding has.
  static constexpr std::size_t kRecordStart = 8;

  __attribute__((returns_nonnull)) std::uint8_t* At(std::uint64_t position) const noexcept {
    return buffer_ + (position & mask_);
  }

  // Refreshes limit_ from the consumer's position and, where the record does not fit into the rest
  // of the lap, starts the next lap. False when there is no room.
  __attribute__((noinline, cold)) bool MakeRoom(std::uint64_t size) noexcept {
    // acquire: pairs with the release in GiveBack. A stale value is harmless: it only makes the
    // ring look fuller than it is.
    const std::uint64_t free_end = consumed_.load(std::memory_order_acquire) + capacity();
    std::uint64_t lap_end = (write_ | mask_) + 1;
    if (lap_end - write_ < size) {
      if (free_end < lap_end + size) return false;
      SkipTo(lap_end);
      lap_end += capacity();
    }
    limit_ = free_end < lap_end ? free_end : lap_end;
    return limit_ - write_ >= size;
  }

  // The rest of the lap becomes a record of its own, which is none.
  void SkipTo(std::uint64_t lap_end) noexcept {
    RecordHeader padding{};
    padding.size = static_cast<std::uint32_t>(lap_end - write_);
    padding.status = RecordStatus::kFree;
    Sync::WillWrite(At(write_), kRecordStart);
    std::memcpy(At(write_), &padding, kRecordStart);
    write_ = lap_end;
    // release: pairs with the acquire in Refresh, as in Commit.
    published_.store(write_, std::memory_order_release);
  }

  // The producer's: one cache line, with what is set once and which the consumer has again.
  alignas(kNoSharing) std::uint8_t* const buffer_;
  const std::uint64_t mask_;  // capacity() - 1.
  std::uint64_t write_ = 0;
  std::uint64_t limit_;

  // Written by the producer, read by the consumer when it has read all it knew of.
  alignas(kNoSharing) typename Sync::template Atomic<std::uint64_t> published_{0};

  // The consumer's.
  alignas(kNoSharing) const std::uint8_t* const consumers_buffer_;
  const std::uint64_t consumers_mask_;
  std::uint64_t read_ = 0;
  std::uint64_t seen_ = 0;

  // Written by the consumer once a pass, read by the producer when its limit is reached.
  alignas(kNoSharing) typename Sync::template Atomic<std::uint64_t> consumed_{0};
};

using Ring = BasicRing<StdSync>;

}  // namespace spanring::ring

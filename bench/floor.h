// The floor: two readings of the processor's counter and a record of 128 bytes, what a span with
// identity takes in other tracers, released into a ring; no identity, no parent, no open span. Its
// consumer looks every 200 us and does not even read the records. Floor64 writes 64 bytes, as many
// as a plain span takes here. Threads: Record by one thread. Memory: the ring, touched up front.
// Errors: full = counted. Design: docs/performance.md
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <thread>

#include "platform/clock.h"

namespace spanring::bench {

inline constexpr std::size_t kFloorRecordBytes = 128;

template <std::size_t kRecordBytes>
class BasicFloorRing {
 public:
  explicit BasicFloorRing(std::uint64_t bytes, bool huge_pages = false) : bytes_(bytes) {
    // Room for the alignment that a huge page needs.
    mapped_bytes_ = bytes + kHugePage;
    mapped_ =
        mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const auto at = reinterpret_cast<std::uintptr_t>(mapped_);
    buffer_ = reinterpret_cast<std::uint8_t*>((at + kHugePage - 1) & ~(kHugePage - 1));
    if (huge_pages) madvise(buffer_, bytes, MADV_HUGEPAGE);
    std::memset(buffer_, 1, bytes);
    consumer_ = std::thread([this] {
      // relaxed: a stale value costs one more round.
      while (!stop_.load(std::memory_order_relaxed)) {
        // acquire, release: pair with those in Record.
        head_.store(tail_.load(std::memory_order_acquire), std::memory_order_release);
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
    });
  }
  ~BasicFloorRing() {
    stop_.store(true, std::memory_order_relaxed);  // relaxed: as above.
    consumer_.join();
    munmap(mapped_, mapped_bytes_);
  }
  BasicFloorRing(const BasicFloorRing&) = delete;
  BasicFloorRing& operator=(const BasicFloorRing&) = delete;

  // `now` reads a clock, twice.
  template <typename Now>
  void Record(Now now) {
    const std::uint64_t start = now();
    if (write_ - seen_ + kRecordBytes > bytes_) {
      seen_ = head_.load(std::memory_order_acquire);  // acquire: pairs with the consumer's release.
      if (write_ - seen_ + kRecordBytes > bytes_) {
        ++drops_;
        return;
      }
    }
    std::uint8_t* to = buffer_ + (write_ & (bytes_ - 1));
    std::memcpy(to + 16, kContents, kRecordBytes - 16);
    const std::uint64_t end = now();
    std::memcpy(to, &start, 8);
    std::memcpy(to + 8, &end, 8);
    write_ += kRecordBytes;
    tail_.store(write_, std::memory_order_release);  // release: pairs with the consumer's acquire.
  }
  void Record() {
    Record([] { return platform::Ticks(); });
  }
  std::uint64_t drops() const { return drops_; }

 private:
  static constexpr std::uintptr_t kHugePage = std::uintptr_t{2} << 20;
  static constexpr std::uint8_t kContents[kRecordBytes] = {1, 2, 3};

  const std::uint64_t bytes_;
  void* mapped_;
  std::size_t mapped_bytes_;
  std::uint8_t* buffer_;
  std::thread consumer_;
  std::atomic<bool> stop_{false};
  alignas(256) std::uint64_t write_ = 0;
  std::uint64_t seen_ = 0;
  std::uint64_t drops_ = 0;
  alignas(256) std::atomic<std::uint64_t> tail_{0};
  alignas(256) std::atomic<std::uint64_t> head_{0};
};

using FloorRing = BasicFloorRing<kFloorRecordBytes>;
using Floor64Ring = BasicFloorRing<64>;

}  // namespace spanring::bench

// What a reader must know of a process that has been killed, besides its rings and its open spans.
// Threads: said per group of members.
// Memory: in the writer's memory: a file, where there are files.
// Errors: a name that finds no room is refused; its spans then carry it themselves.
// Design: docs/reliability.md#files
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "platform/clock.h"
#include "ring/call_sites.h"
#include "ring/sampling.h"
#include "ring/writer_memory.h"
#include "spanring/id.h"

namespace spanring::ring {

inline constexpr std::size_t kDropReasonRoom = 32;
inline constexpr std::size_t kNameBytes = 224 * 1024;

// Behind the PageHeader of the file `control`. A change of it is a change of kPageVersion.
struct ControlData {
  // Set before the file is whole.
  std::uint64_t writer_high;
  std::uint64_t writer_low;
  std::uint64_t pid;
  std::uint64_t batch_rows;
  std::uint64_t service_bytes;
  std::array<char, 256> service;

  // Set by each start. relaxed: read when the process is gone.
  std::atomic<SamplingRule> sampling;

  // The drainer's. relaxed, all: a reader comes when the drainer is gone, and what it then finds is
  // a state that was, each number by itself; the line of time is there twice, the last whole one
  // named by `line`.
  std::atomic<std::uint64_t> next_sequence;
  std::atomic<std::int64_t> alive_unix_ns;   // The last look at the rings.
  std::atomic<std::uint64_t> left_in_order;  // The process ended by itself.
  std::atomic<std::uint64_t> line;
  std::array<platform::TickLine, 2> lines;

  // Of spans that were dropped behind the rings.
  std::array<std::atomic<std::uint64_t>, kDropReasonRoom> dropped;

  // The names of call sites by their number: two lengths, and the texts; 0: none. Added to by any
  // thread.
  std::atomic<std::uint64_t> names_used;
  std::array<std::atomic<std::uint32_t>, kMaxCallSites> name_offsets;
  std::array<char, kNameBytes> names;

  // Before a span can have the number. False: no room.
  bool AddNames(std::uint16_t number, const CallSiteNames& names_of_site) noexcept;
  void SetLine(const platform::TickLine& now) noexcept {
    // relaxed: as said above.
    const std::uint64_t next = line.load(std::memory_order_relaxed) + 1;
    lines[next % 2] = now;
    // release: the line is whole before it is named.
    line.store(next, std::memory_order_release);
  }
};

}  // namespace spanring::ring

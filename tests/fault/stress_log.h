// What the traced programs of the stress run write down of their spans, in memory that outlives
// them: whoever is killed at any instruction leaves behind which spans it had started and ended.
// Threads: each word has one writer at a time, but for the histograms and `next_process`.
// Memory: one shared mapping of a sparse file, which the run removes.
// Errors: a failure to map it throws.
// Design: docs/reliability.md#stress
//
// A span's trace id says who started it as the how manieth: the log need not hold ids.
//
//   high  "STRS" (32) | process (16) | thread (8) | lane (8)        low  counter, from 0
//
// Around each call stand two stores, so that for each lane:
//
//   counter < started       was started, and must be found or be counted as dropped
//   < start_begun           was perhaps started (the one at which the thread was killed)
//   < ended                 was ended, and must not be found as open
//   < end_begun             was perhaps ended
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <string>

#include "spanring/id.h"

namespace spanring::test {

inline constexpr std::size_t kLogThreads = 4;
inline constexpr std::size_t kLogProcesses = 8192;
inline constexpr std::size_t kLongSpans = 8192;  // Of one thread.

enum class Lane : std::uint8_t {
  kShort,  // Start and end in turn on one thread.
  kMoved,  // Ended on another thread, in the order of their starts.
  kLong,   // Open for seconds, ended in any order: `end_states` in place of the counters.
};
inline constexpr std::size_t kLanes = 3;

using Word = std::atomic<std::uint64_t>;

struct alignas(64) LaneLog {
  Word start_begun;
  Word started;
  alignas(64) Word end_begun;
  Word ended;
};

struct ThreadLog {
  std::array<LaneLog, kLanes> lanes;
  // Of long spans: 0 open, 1 perhaps ended, 2 ended.
  std::array<std::atomic<std::uint8_t>, kLongSpans> end_states;

  LaneLog& operator[](Lane lane) { return lanes[static_cast<std::size_t>(lane)]; }
};

enum class Command : std::uint32_t { kRun, kEnd, kEndAndLeaveOpen };

struct ProcessLog {
  std::atomic<std::int32_t> pid;
  std::atomic<std::uint32_t> named_after;  // The process whose service name it has: its own, or
                                           // that of the one that it was forked from.
  std::atomic<Command> command;
  std::atomic<std::uint32_t> end_seconds;     // The deadline of the Shutdown.
  std::atomic<std::uint32_t> forks_wanted;    // So far.
  std::atomic<std::uint32_t> forks;           // So far.
  std::atomic<std::uint32_t> ended_in_order;  // 1: Shutdown has returned.
  std::atomic<std::uint32_t> broken_counts;   // 1: its own counts did not add up then.
  std::array<ThreadLog, kLogThreads> threads;
};

// Nanoseconds, in buckets of a sixteenth of their power of two.
struct Histogram {
  static constexpr std::size_t kBuckets = 64 * 16;
  std::array<Word, kBuckets> counts;

  static std::size_t BucketOf(std::uint64_t ns) noexcept {
    if (ns < 16) return ns;
    const auto power = static_cast<std::size_t>(std::bit_width(ns) - 1);
    return power * 16 + ((ns >> (power - 4)) & 15);
  }
  static std::uint64_t LowestOf(std::size_t bucket) noexcept {
    if (bucket < 64) return bucket & 15;
    return (16 + (bucket & 15)) << (bucket / 16 - 4);
  }
  // relaxed: a count.
  void Add(std::uint64_t ns) noexcept {
    counts[BucketOf(ns)].fetch_add(1, std::memory_order_relaxed);
  }
  std::uint64_t Total() const noexcept;
  // The lower end of the bucket of that rank, from 0 to 1.
  std::uint64_t Quantile(double rank) const noexcept;
};

struct StressLog {
  std::atomic<std::uint32_t> next_process;
  std::atomic<std::uint32_t> disturbed;         // 1: faults are injected now.
  std::array<Histogram, 2> start_and_complete;  // By `disturbed`.
  std::array<ProcessLog, kLogProcesses> processes;

  // The calls below map the file; it stays mapped.
  static StressLog* Create(const std::string& path);
  static StressLog* Open(const std::string& path);
};

inline constexpr std::uint64_t kLogMark = 0x5354'5253;

inline TraceId LoggedId(std::size_t process, std::size_t thread, Lane lane, std::uint64_t counter) {
  return TraceId(kLogMark << 32 | std::uint64_t{process} << 16 | std::uint64_t{thread} << 8 |
                     static_cast<std::uint64_t>(lane),
                 counter);
}

// The traced program itself; returns its exit status.
int RunTracedProgram(const std::string& log_path);

}  // namespace spanring::test

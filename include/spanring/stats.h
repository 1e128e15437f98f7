// What became of the spans of this process.
// Threads: values; any thread.
// Memory: no allocation.
// Errors: none.
// Design: docs/architecture.md#accounting
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "spanring/config.h"

namespace spanring {

// Why a span did not reach the database. Stored by name: never rename, never renumber.
enum class DropReason : std::uint8_t {
  kRingFull = 0,        // The thread's ring had no room: the flusher could not keep up.
  kOpenSpanLimit = 1,   // More spans open at once in a thread than SPANRING_MAX_OPEN_SPANS.
  kJournalFull = 2,     // The database was away for longer than the journal could hold.
  kRejected = 3,        // The database refused this very row.
  kShutdown = 4,        // Not delivered when the process ended.
  kReentrant = 5,       // Started or ended in a signal handler that interrupted the tracer.
  kOutOfMemory = 6,     // No memory for a ring, for an open span or for its row.
  kCrash = 7,           // Nowhere to be found when the process had been killed.
  kJournalDamaged = 8,  // What the disk gave back is not what was written.
};
inline constexpr std::size_t kDropReasonCount = 9;

// "ring_full", "open_span_limit", ...: the keys of trace_writers.drops.
constexpr std::string_view DropReasonName(DropReason reason) {
  constexpr std::array<std::string_view, kDropReasonCount> kNames = {
      "ring_full", "open_span_limit", "journal_full", "rejected",       "shutdown",
      "reentrant", "out_of_memory",   "crash",        "journal_damaged"};
  return kNames[static_cast<std::size_t>(reason)];
}

// started = persisted + sampled_out + journalled + open + dropped, at every moment.
struct Stats {
  std::uint64_t started = 0;
  std::uint64_t persisted = 0;   // Committed in the database.
  std::uint64_t journalled = 0;  // Ended, and on their way: in a ring or in the journal.
  std::uint64_t open = 0;        // Started and not yet ended.
  std::uint64_t dropped = 0;     // The sum of dropped_by_reason.
  std::array<std::uint64_t, kDropReasonCount> dropped_by_reason{};  // Indexed by DropReason.

  std::uint64_t misuses = 0;             // Calls on a span that had ended or was moved from.
  std::uint64_t dropped_attributes = 0;  // Attributes that did not fit their span.
  std::uint64_t persist_failures = 0;    // Tries to reach or to write the database that failed.

  // In the database's sums only (SPANRING_SAMPLE_RATIO): the trace is not sampled, and the span
  // neither failed nor took long.
  std::uint64_t sampled_out = 0;
};

}  // namespace spanring

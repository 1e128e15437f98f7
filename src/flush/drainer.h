// The flusher's first half: empties all rings in turn into the journal.
// Threads: Run on a thread of its own; the rest from any thread.
// Memory: the journal's.
// Errors: a row that finds no room or no memory is dropped and counted.
// Design: docs/architecture.md#drainer
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "flush/counters.h"
#include "flush/journal.h"
#include "flush/row_encoder.h"
#include "flush/sampler.h"
#include "platform/clock.h"
#include "ring/registry.h"

namespace spanring::flush {

struct DrainerOptions {
  std::uint64_t batch_rows;
  std::uint64_t flush_interval_ms;
  std::string service_name = {};
  std::uint64_t open_span_ms = 0;  // Spans open for longer are reported; 0: none is.
  std::uint64_t slow_span_ms = 120'000;
  TraceId writer = {};
  ring::ControlData* control = nullptr;  // Learns the time and how to read ticks.
};

// Spans that trace_open_spans holds, or will when the open batch is stored; by span id.
struct ReportedSpan {
  TraceId trace_id;
  std::uint64_t last_look;  // Number of the last that saw it open.
};
using ReportedSpans = std::unordered_map<std::uint64_t, ReportedSpan>;

class Drainer {
 public:
  // `wake_shipper` is called after a batch was sealed.
  Drainer(const DrainerOptions& options, ring::Registry* registry, Journal* journal,
          Counters* counters, std::function<void()> wake_shipper, ReportedSpans reported = {});
  Drainer(const Drainer&) = delete;
  Drainer& operator=(const Drainer&) = delete;

  // Drains until Stop, then once more.
  void Run();
  // One look at all rings: takes what was committed before it into the journal, and says how many
  // spans that were. Run's step, for its thread alone.
  std::uint64_t Pass();
  void Stop();

  // Starts a pass that takes every record committed before this call, and seals. Returns its
  // ticket.
  std::uint64_t RequestFlush();
  // Waits until that pass is over; false when `deadline` came first.
  bool WaitForFlush(std::uint64_t ticket, std::chrono::steady_clock::time_point deadline);
  // Waits until Run is over, and neither rings nor journal are touched any more; false when
  // `deadline` came first.
  bool WaitUntilEnded(std::chrono::steady_clock::time_point deadline);
  // When it has ended, for the next.
  ReportedSpans TakeReported() { return std::move(reported_); }
  // Every batch with a lower sequence was sealed by a pass that is over.
  std::uint64_t flushed_sequence();

 private:
  // A ring, and when the span ended that comes next out of it.
  struct Head {
    std::int64_t end;
    std::uint64_t taken;
    ring::Ring* ring;
    bool operator<(const Head& other) const noexcept { return end > other.end; }
  };
  std::uint64_t DrainRound(ring::Producer* newest);
  bool ListHeads(ring::Producer* newest);
  std::uint64_t DrainInOrder();
  std::uint64_t DrainSome(ring::Ring& ring, std::uint64_t most, std::int64_t last_end);
  void Commit();
  void TellTime();
  // Some of the pages that ended threads and long spans left behind. False: there were none.
  bool GiveBackMemory(bool idle);
  void Keep(const ring::RecordHeader* record);
  void Encode(const ring::RecordHeader& record, std::vector<std::uint8_t>& out);
  bool SealIsDue() const;
  bool DropOldest();
  bool BatchIsFull() const;
  void Seal();
  void LookAtOpenSpans();
  void ReportOpenSpan(const ring::OpenSpan* slot);
  void LookForTheLastTime();
  void Look();
  template <typename Which>
  void Unreport(Which which);
  void Sleep(std::chrono::microseconds pause);

  const DrainerOptions options_;
  ring::Registry* const registry_;
  Journal* const journal_;
  Counters* const counters_;
  const std::function<void()> wake_shipper_;

  // The drainer's thread.
  RowEncoder encoder_;
  Sampler sampler_;
  platform::TickCalibration clock_;
  bool refused_ = false;  // The journal was full in this pass.
  // Since the last Commit, which counts them.
  std::uint64_t refused_spans_ = 0;
  std::uint64_t spans_without_memory_ = 0;
  std::vector<RingPosition> positions_;
  std::vector<Head> heads_;  // A heap, the earliest first.
  ReportedSpans reported_;
  std::uint64_t looks_ = 0;
  std::int64_t next_look_ns_ = 0;  // CLOCK_MONOTONIC.
  std::vector<std::uint8_t> open_record_;

  std::mutex mutex_;
  std::condition_variable wake_;  // For the drainer's thread.
  std::condition_variable done_;  // For those who wait for a flush.
  bool stopping_ = false;         // Under mutex_, as all below.
  bool ended_ = false;
  std::uint64_t requested_ = 0;
  std::uint64_t finished_ = 0;
  std::uint64_t flushed_sequence_ = 0;
};

}  // namespace spanring::flush

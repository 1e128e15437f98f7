#include "flush/drainer.h"

#include <algorithm>
#include <new>

#include "base/log.h"

namespace spanring::flush {
namespace {

using std::chrono::microseconds;

// A busy program is looked at often enough that its rings never fill; an idle one costs next to
// nothing: the next look comes after an eighth of the time without spans.
constexpr microseconds kShortestPause{200};
constexpr microseconds kLongestPause{100'000};
constexpr int kIdleShare = 8;
// A batch is sealed above this size even when it has few rows.
constexpr std::size_t kBatchBytes = 8 * 1024 * 1024;
// From one ring in a row; then its space is given back, and the others get their turn.
constexpr std::uint64_t kRecordsInARow = 1024;

}  // namespace

Drainer::Drainer(const DrainerOptions& options, ring::Registry* registry, Journal* journal,
                 Counters* counters, std::function<void()> wake_shipper)
    : options_(options),
      registry_(registry),
      journal_(journal),
      counters_(counters),
      wake_shipper_(std::move(wake_shipper)),
      encoder_(options.service_name) {}

void Drainer::Run() {
  struct End {  // Also when an exception ends the thread.
    Drainer* drainer;
    ~End() {
      const std::lock_guard lock(drainer->mutex_);
      drainer->ended_ = true;
      drainer->done_.notify_all();
    }
  } end{this};
  microseconds idle{0};
  for (;;) {
    std::uint64_t requested = 0;
    bool stopping = false;
    {
      const std::lock_guard lock(mutex_);
      requested = requested_;
      stopping = stopping_;
    }
    const std::uint64_t drained = Pass();
    {
      std::unique_lock lock(mutex_);
      if (requested > finished_ || stopping) {
        lock.unlock();
        Seal();
        lock.lock();
        finished_ = requested;
        flushed_sequence_ = journal_->next_sequence();
        done_.notify_all();
      }
      if (stopping) return;
    }
    if (SealIsDue()) Seal();
    if (GiveBackMemory(drained == 0) || drained > 0) idle = microseconds{0};
    const microseconds pause = std::clamp(idle / kIdleShare, kShortestPause, kLongestPause);
    Sleep(pause);
    idle += pause;
  }
}

void Drainer::Stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  wake_.notify_one();
}

bool Drainer::WaitUntilEnded(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return done_.wait_until(lock, deadline, [&] { return ended_; });
}

std::uint64_t Drainer::RequestFlush() {
  const std::lock_guard lock(mutex_);
  wake_.notify_one();
  return ++requested_;
}

bool Drainer::WaitForFlush(std::uint64_t ticket, std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return done_.wait_until(lock, deadline, [&] { return finished_ >= ticket || ended_; }) &&
         finished_ >= ticket;
}

std::uint64_t Drainer::flushed_sequence() {
  const std::lock_guard lock(mutex_);
  return flushed_sequence_;
}

void Drainer::Sleep(microseconds pause) {
  std::unique_lock lock(mutex_);
  // The clock of wait_for is the monotonic one: a step of the wall clock neither hurries nor stops
  // us.
  wake_.wait_for(lock, pause, [&] { return stopping_ || requested_ > finished_; });
}

std::uint64_t Drainer::Pass() {
  clock_.RecalibrateWhenDue();
  refused_ = false;
  // What was committed before this moment is what the pass takes: it ends, however busy the
  // program.
  ring::Producer* const newest = registry_->first();
  for (ring::Producer* p = newest; p != nullptr; p = p->next) p->ring().Refresh();
  std::uint64_t total = 0;
  std::uint64_t in_this_round = 0;
  do {
    in_this_round = 0;
    for (ring::Producer* p = newest; p != nullptr; p = p->next)
      in_this_round += DrainSome(p->ring());
    total += in_this_round;
  } while (in_this_round > 0);
  return total;
}

std::uint64_t Drainer::DrainSome(ring::Ring& ring) {
  std::uint64_t drained = 0;
  while (const ring::RecordHeader* record = ring.Peek()) {
    Keep(record);
    ring.Advance(record);
    if (++drained == kRecordsInARow) break;
  }
  counters_->CountDrained(drained);
  ring.GiveBack();
  return drained;
}

bool Drainer::GiveBackMemory(bool idle) {
  // While spans come, these blocks may be wanted again at once.
  if (idle && registry_->extensions().GiveBackSurplus()) return true;
  // One in a pass: it costs up to a millisecond, and rings that fill must not wait.
  ring::Producer* const producer = registry_->TakeSurplus();
  if (producer == nullptr) return false;
  // Its thread has ended: what is in the ring now is the last.
  producer->ring().Refresh();
  while (DrainSome(producer->ring()) > 0) {
  }
  producer->GiveUpPages();
  registry_->ReturnCold(producer);
  return true;
}

void Drainer::Keep(const ring::RecordHeader* record) {
  try {
    Batch* batch = refused_ ? nullptr : journal_->Open();
    if (batch == nullptr) {
      refused_ = true;
      return counters_->CountDropped(DropReason::kJournalFull, 1);
    }
    const std::size_t before = batch->data.size();
    encoder_.Append(*record, clock_, batch->data);
    ++batch->rows;
    journal_->CountAppended(batch->data.size() - before);
    if (batch->rows >= options_.batch_rows || batch->data.size() >= kBatchBytes) Seal();
  } catch (const std::bad_alloc&) {
    counters_->CountDropped(DropReason::kOutOfMemory, 1);
  }
}

bool Drainer::SealIsDue() const {
  const Batch* open = journal_->open();
  if (open == nullptr || open->rows == 0) return false;
  // While the shipper is busy the batch had better grow.
  if (journal_->waiting() > 0) return false;
  const std::int64_t age = platform::ClockNanoseconds(CLOCK_MONOTONIC) - open->opened_ns;
  return age >= static_cast<std::int64_t>(options_.flush_interval_ms) * 1'000'000;
}

void Drainer::Seal() {
  try {
    journal_->Seal();
    wake_shipper_();
  } catch (const std::bad_alloc&) {
    base::LogError("no memory to pass a batch on; it is tried again");
  }
}

}  // namespace spanring::flush

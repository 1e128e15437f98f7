#include "flush/drainer.h"

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

#include "base/log.h"
#include "ring/open_spans.h"
#include "ring/sampling.h"

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
// Between two looks at the open spans; longer where a look takes long: a fiftieth of the time.
constexpr std::int64_t kLookEveryNs = 250'000'000;
constexpr std::int64_t kLookShare = 50;
// From one ring in a row; then its space is given back, and the others get their turn.
constexpr std::uint64_t kRecordsInARow = 1024;

constexpr std::int64_t kAnyEnd = std::numeric_limits<std::int64_t>::max();
// In ticks. An end that was given says nothing of when it was: the span goes with its ring.
std::int64_t EndOf(const ring::RecordHeader& record) noexcept {
  return (record.flags & ring::kEndIsUnixNs) != 0 ? std::numeric_limits<std::int64_t>::min()
                                                  : record.end;
}

}  // namespace

Drainer::Drainer(const DrainerOptions& options, ring::Registry* registry, Journal* journal,
                 Counters* counters, std::function<void()> wake_shipper, ReportedSpans reported)
    : options_(options),
      registry_(registry),
      journal_(journal),
      counters_(counters),
      wake_shipper_(std::move(wake_shipper)),
      encoder_(options.service_name),
      sampler_(options.slow_span_ms),
      reported_(std::move(reported)) {
  // They were seen by looks of another count.
  for (auto& [span_id, span] : reported_) span.last_look = 0;
  // Before there is a span: a process may be killed before the first pass.
  TellTime();
}

void Drainer::Run() {
  struct End {  // Also when an exception ends the thread.
    Drainer* drainer;
    ~End() {
      const std::lock_guard lock(drainer->mutex_);
      drainer->ended_ = true;
      drainer->done_.notify_all();
    }
  } end{this};
  journal_->Begin();
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
        if (stopping) LookForTheLastTime();
        Seal();
        lock.lock();
        finished_ = requested;
        flushed_sequence_ = journal_->next_sequence();
        done_.notify_all();
      }
      if (stopping) return;
    }
    LookAtOpenSpans();
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
  TellTime();
  refused_ = false;
  // What was committed before this moment is what the pass takes: it ends, however busy the
  // program.
  ring::Producer* const newest = registry_->first();
  for (ring::Producer* p = newest; p != nullptr; p = p->next) p->ring().Refresh();
  std::uint64_t total = 0;
  std::uint64_t in_this_round = 0;
  do {
    in_this_round = DrainRound(newest);
    Commit();
    total += in_this_round;
  } while (in_this_round > 0);
  return total;
}

// For who reads the rings when this process was killed.
void Drainer::TellTime() {
  if (options_.control == nullptr) return;
  // relaxed: as said at ControlData.
  options_.control->alive_unix_ns.store(clock_.UnixNanoseconds(platform::Ticks()),
                                        std::memory_order_relaxed);
  options_.control->SetLine(clock_.line());
}

std::uint64_t Drainer::DrainRound(ring::Producer* newest) {
  const bool may_leave_out = sampler_.IsInUse() || !ring::CurrentSampling().SamplesAll();
  if (may_leave_out && ListHeads(newest)) return DrainInOrder();
  std::uint64_t drained = 0;
  for (ring::Producer* p = newest; p != nullptr; p = p->next) {
    drained += DrainSome(p->ring(), kRecordsInARow, kAnyEnd);
  }
  return drained;
}

// False: no memory.
bool Drainer::ListHeads(ring::Producer* newest) {
  heads_.clear();
  try {
    for (ring::Producer* p = newest; p != nullptr; p = p->next) {
      const ring::RecordHeader* record = p->ring().Peek();
      if (record != nullptr) heads_.push_back({EndOf(*record), 0, &p->ring()});
    }
  } catch (const std::bad_alloc&) {
    return false;
  }
  std::make_heap(heads_.begin(), heads_.end());
  return true;
}

// The spans of all threads as they ended, until one ring has given its share: a call that failed is
// seen before its callers, whichever threads they ended on.
std::uint64_t Drainer::DrainInOrder() {
  std::uint64_t drained = 0;
  while (!heads_.empty()) {
    std::pop_heap(heads_.begin(), heads_.end());
    Head head = heads_.back();
    heads_.pop_back();
    const std::uint64_t taken = DrainSome(*head.ring, kRecordsInARow - head.taken,
                                          heads_.empty() ? kAnyEnd : heads_.front().end);
    drained += taken;
    head.taken += taken;
    if (head.taken == kRecordsInARow) break;
    const ring::RecordHeader* record = head.ring->Peek();
    if (record == nullptr) continue;
    head.end = EndOf(*record);
    heads_.push_back(head);  // There is room: it came from there.
    std::push_heap(heads_.begin(), heads_.end());
  }
  return drained;
}

// At most so many, and none that ended later.
std::uint64_t Drainer::DrainSome(ring::Ring& ring, std::uint64_t most, std::int64_t last_end) {
  std::uint64_t drained = 0;
  while (const ring::RecordHeader* record = ring.Peek()) {
    if (EndOf(*record) > last_end) break;
    Keep(record);
    ring.Advance(record);
    ++drained;
    if (BatchIsFull()) Seal();
    if (drained == most) break;
  }
  counters_->CountDrained(drained);
  return drained;
}

// The rows so far are in the journal, so the rings need not hold their records any more.
void Drainer::Commit() {
  positions_.clear();
  try {
    for (ring::Producer* p = registry_->first(); p != nullptr; p = p->next) {
      if (p->ring().IsAhead()) positions_.push_back({p->number(), p->ring().read()});
    }
    journal_->Commit(positions_);
  } catch (const std::bad_alloc&) {
    journal_->CommitInMemoryAlone();
  }
  for (ring::Producer* p = registry_->first(); p != nullptr; p = p->next) {
    if (p->ring().IsAhead()) p->ring().GiveBack();
  }
  // Now that no recovery finds them any more: who is killed before has not counted what is found.
  for (const auto& [reason, spans] :
       {std::pair{DropReason::kJournalFull, &refused_spans_},
        std::pair{DropReason::kOutOfMemory, &spans_without_memory_}}) {
    if (*spans > 0) counters_->CountDropped(reason, std::exchange(*spans, 0));
  }
}

bool Drainer::GiveBackMemory(bool idle) {
  // While spans come, these blocks may be wanted again at once.
  if (idle && registry_->extensions().GiveBackSurplus()) return true;
  // One in a pass: it costs up to a millisecond, and rings that fill must not wait.
  ring::Producer* const producer = registry_->TakeSurplus();
  if (producer == nullptr) return false;
  // Its thread has ended: what is in the ring now is the last.
  producer->ring().Refresh();
  // With what ended before it on other threads.
  if (producer->ring().Peek() != nullptr) Pass();
  Commit();
  producer->GiveUpPages();
  registry_->ReturnCold(producer);
  return true;
}

void Drainer::Keep(const ring::RecordHeader* record) {
  try {
    Batch* batch = refused_ ? nullptr : journal_->Open();
    while (batch == nullptr && !refused_ && journal_->drop_oldest() && DropOldest()) {
      batch = journal_->Open();
    }
    if (batch == nullptr) {
      refused_ = true;
      ++refused_spans_;
      return;
    }
    const std::size_t before = batch->data.size();
    Encode(*record, batch->data);
    ++batch->rows;
    journal_->CountAppended(batch->data.size() - before);
    if (!reported_.empty() && reported_.erase(record->span_id) > 0) {
      batch->closed.push_back(
          {TraceId(record->trace_id_high, record->trace_id_low), SpanId(record->span_id)});
    }
  } catch (const std::bad_alloc&) {
    ++spans_without_memory_;
  }
}

void Drainer::Encode(const ring::RecordHeader& record, std::vector<std::uint8_t>& out) {
  const bool is_sampled = ring::CurrentSampling().Samples(record);
  if (is_sampled || sampler_.Stores(encoder_.Look(record, clock_))) {
    encoder_.Append(record, clock_, out, is_sampled);
  } else {
    encoder_.AppendUnstored(record, clock_, out);
  }
}

// The spans that it would have closed are open no more, dropped or not: a later batch says so.
bool Drainer::DropOldest() {
  Batch* oldest = journal_->TakeOldest();
  if (oldest == nullptr) return false;
  const std::uint32_t rows = oldest->rows;
  const std::vector<SpanKey> closed = std::move(oldest->closed);
  const bool discarded = journal_->Discard(oldest);
  if (discarded) counters_->CountDropped(DropReason::kJournalFull, rows);
  // May throw std::bad_alloc: after the batch is settled.
  if (!closed.empty()) {
    std::vector<SpanKey>& later = journal_->OpenForClosed()->closed;
    later.insert(later.end(), closed.begin(), closed.end());
  }
  return discarded;
}

bool Drainer::BatchIsFull() const {
  const Batch* open = journal_->open();
  return open != nullptr && (open->rows >= options_.batch_rows || open->bytes >= kBatchBytes);
}

bool Drainer::SealIsDue() const {
  const Batch* open = journal_->open();
  if (open == nullptr || open->IsEmpty()) return false;
  // While the shipper is busy the batch had better grow.
  if (journal_->waiting() > 0) return false;
  const std::int64_t age = platform::ClockNanoseconds(CLOCK_MONOTONIC) - open->opened_ns;
  return age >= static_cast<std::int64_t>(options_.flush_interval_ms) * 1'000'000;
}

void Drainer::Seal() {
  Commit();
  try {
    journal_->Seal();
    wake_shipper_();
  } catch (const std::bad_alloc&) {
    base::LogError("no memory to pass a batch on; it is tried again");
  }
}

// Spans that have been open for long are worth a row of their own: they may never end.
void Drainer::LookAtOpenSpans() {
  const std::int64_t begin = platform::ClockNanoseconds(CLOCK_MONOTONIC);
  if (options_.open_span_ms == 0 || begin < next_look_ns_) return;
  Look();
  // A span that ended with a full ring comes by no record. Two looks: one may be on its way.
  Unreport([this](const ReportedSpan& span) { return looks_ - span.last_look >= 2; });
  const std::int64_t end = platform::ClockNanoseconds(CLOCK_MONOTONIC);
  next_look_ns_ = end + std::max(kLookEveryNs, kLookShare * (end - begin));
}

// What is not open any more gets no second look; and where there are no files, nobody could take
// the rows of the others back later.
void Drainer::LookForTheLastTime() {
  if (options_.open_span_ms == 0) return;
  Look();
  const bool all = options_.control == nullptr;
  Unreport([&](const ReportedSpan& span) { return all || span.last_look != looks_; });
}

void Drainer::Look() {
  ++looks_;
  const std::uint64_t ticks = platform::Ticks();
  const std::int64_t unix_ns = clock_.UnixNanoseconds(ticks);
  const std::int64_t long_ns = static_cast<std::int64_t>(options_.open_span_ms) * 1'000'000;
  for (ring::Producer* p = registry_->first(); p != nullptr; p = p->next) {
    p->ForEachSlot([&](const ring::OpenSpan* slot) {
      ring::OpenLook look;
      if (!ring::LookAtOpenSpan(slot, &look)) return;
      const auto reported = reported_.find(look.span_id);
      if (reported != reported_.end()) {
        reported->second.last_look = looks_;
        return;
      }
      const auto start_ticks = static_cast<std::uint64_t>(look.start);
      const std::int64_t age = look.start_is_unix_ns
                                   ? unix_ns - look.start
                                   : clock_.DurationNanoseconds(start_ticks, ticks);
      if (age >= long_ns) ReportOpenSpan(slot);
    });
  }
}

void Drainer::ReportOpenSpan(const ring::OpenSpan* slot) {
  try {
    if (!ring::CopyOpenSpan(slot, &open_record_)) return;  // Perhaps at the next look.
    Batch* batch = journal_->Open();
    if (batch == nullptr) return;
    const auto& record = *reinterpret_cast<const ring::RecordHeader*>(open_record_.data());
    const TraceId trace_id(record.trace_id_high, record.trace_id_low);
    reported_.emplace(record.span_id, ReportedSpan{trace_id, looks_});
    encoder_.AppendOpen(record, clock_, options_.writer, batch->open_data);
    ++batch->open_rows;
  } catch (const std::bad_alloc&) {  // Perhaps at the next look.
  }
}

// Takes the rows of those spans out of trace_open_spans.
template <typename Which>
void Drainer::Unreport(Which which) {
  for (auto it = reported_.begin(); it != reported_.end();) {
    if (!which(it->second)) {
      ++it;
      continue;
    }
    try {
      journal_->OpenForClosed()->closed.push_back({it->second.trace_id, SpanId(it->first)});
    } catch (const std::bad_alloc&) {
      return;
    }
    it = reported_.erase(it);
  }
}

}  // namespace spanring::flush

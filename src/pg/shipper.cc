#include "pg/shipper.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/utf8.h"
#include "platform/random.h"

namespace spanring::pg {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kFirstPause{100};
constexpr seconds kTellDropsEvery{60};
// For directories of processes that have died.
constexpr seconds kLookAroundEvery{60};
constexpr std::chrono::hours kPrepareEvery{12};
constexpr seconds kStoreDropsEvery{1};
// After so long without a batch, one that only helped gives its connection back.
constexpr seconds kHelperIdle{5};

std::string Text(std::string_view view) { return std::string(view); }

}  // namespace

Shipper::Shipper(const Options& options, ShipperParts parts)
    : options_(options),
      writer_id_(parts.writer.ToUuid()),
      parts_(std::move(parts)),
      session_(&wake_, &abort_),
      sender_(
          &session_, parts_.writer, options_.batch_timeout_ms,
          [this](std::uint64_t persisted, std::uint64_t rejected) {
            return CountsStatement(persisted, rejected, /*stopped=*/false);
          },
          [this](const Failure& failure) { Report(failure); }),
      random_(static_cast<std::uint32_t>(platform::RandomSeed())) {
  // What an earlier run of this process counted is no news.
  const Stats earlier = parts_.stats();
  started_stored_ = earlier.started;
  dropped_stored_ = earlier.dropped;
  drops_told_ = earlier.dropped;
}

void Shipper::Run() {
  // Also when an exception ends the thread: whoever waits for it must not wait for ever.
  struct End {
    Shipper* shipper;
    ~End() {
      shipper->session_.Close();
      shipper->parts_.journal->ShipperEnded();
      const std::lock_guard lock(shipper->mutex_);
      shipper->ended_ = true;
      shipper->changed_.notify_all();
    }
  } end{this};
  for (;;) {
    // acquire: pairs with the release in Abort.
    if (abort_.load(std::memory_order_acquire)) break;
    if (parts_.is_first) parts_.delivery->SetConnected(session_.connected());
    if (batch_ == nullptr && MayTake()) batch_ = parts_.journal->Take(parts_.is_first);
    if (batch_ == nullptr) {
      if (!Idle()) break;
    } else if (session_.connected() || Connect()) {
      Ship();
      LookAroundWhenDue();
    }
  }
}

// Who only helps has a connection before it has a batch, and after the first has one: where the
// server allows no second one, the first takes all.
bool Shipper::MayTake() {
  if (parts_.is_first || session_.connected()) return true;
  // acquire: pairs with the release in Finish.
  return !finish_.load(std::memory_order_acquire) && parts_.journal->NeedsHelp() &&
         parts_.delivery->IsConnected() && Connect();
}

void Shipper::Finish() noexcept {
  // release: pairs with the acquire in Idle: batches sealed before it are seen.
  finish_.store(true, std::memory_order_release);
  wake_.Signal();
}

void Shipper::Abort() noexcept {
  // release: pairs with the acquires in Run, Idle, BackOff and Session::Wait.
  abort_.store(true, std::memory_order_release);
  wake_.Signal();
}

bool Shipper::WaitUntilEnded(Deadline deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline, [&] { return ended_; });
}

void Shipper::GiveUp() {
  const std::lock_guard lock(mutex_);
  given_up_ = true;
}

// No batch is waiting. False when the shipper is to end.
bool Shipper::Idle() {
  const auto now = Clock::now();
  // acquire: pairs with the release in Finish.
  if (finish_.load(std::memory_order_acquire)) {
    if (!parts_.is_first && !session_.connected()) return false;
    // A batch may have been sealed just before the flag was set.
    if ((batch_ = parts_.journal->Take(parts_.is_first)) != nullptr) return true;
    return parts_.is_first && LastWords();
  }
  // Drops must become visible even when all spans are dropped.
  const bool drops_unknown = parts_.is_first && parts_.stats().dropped != dropped_stored_;
  if (drops_unknown && now - counts_stored_ >= kStoreDropsEvery) {
    if (session_.connected() || Connect()) {
      if (Failure failure = StoreCounts(/*stopped=*/false); !failure.ok()) {
        Report(failure);
        BackOff();
      }
    }
    return true;
  }
  const milliseconds idle =
      std::min(milliseconds(options_.idle_disconnect_ms),
               parts_.is_first ? milliseconds::max() : milliseconds(kHelperIdle));
  if (session_.connected() && now - last_use_ >= idle) session_.Close();
  LookAroundWhenDue();
  milliseconds pause = kLookAroundEvery;
  if (drops_unknown) pause = kStoreDropsEvery;
  if (session_.connected()) {
    pause = std::min(
        pause, std::chrono::duration_cast<milliseconds>(last_use_ + idle - now) + milliseconds(1));
  }
  WaitFor(pause);
  return true;
}

// The last counts, unless this process never had anything to say. True: once more.
bool Shipper::LastWords() {
  if (!session_.connected() && !CountsChanged()) {
    // release: pairs with the acquire in last_counts_stored, here and below.
    last_counts_stored_.store(true, std::memory_order_release);
    return false;
  }
  if (!session_.connected() && !Connect()) {
    // Tried again until the deadline. acquire: pairs with the release in Abort.
    return !abort_.load(std::memory_order_acquire);
  }
  Failure failure = StoreCounts(/*stopped=*/true);
  if (failure.kind == FailureKind::kConnection && Connect()) {
    failure = StoreCounts(/*stopped=*/true);
  }
  if (!failure.ok()) Report(failure);
  // release: as above.
  last_counts_stored_.store(failure.ok(), std::memory_order_release);
  return false;
}

void Shipper::LookAroundWhenDue() {
  if (!parts_.is_first) return;
  const auto now = Clock::now();
  const Stats stats = parts_.stats();
  if (stats.dropped > drops_told_ && now - drops_told_at_ >= kTellDropsEvery) TellDrops(stats);
  if (!parts_.look_around || now - looked_around_ < kLookAroundEvery) return;
  looked_around_ = now;
  parts_.look_around();
}

// One line a minute at most.
void Shipper::TellDrops(const Stats& stats) {
  std::string reasons;
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    if (stats.dropped_by_reason[i] == 0) continue;
    absl::StrAppend(&reasons, reasons.empty() ? "" : ", ",
                    Text(DropReasonName(static_cast<DropReason>(i))), " ",
                    stats.dropped_by_reason[i]);
  }
  base::LogError(
      absl::StrCat(stats.dropped - drops_told_, " spans were dropped; in all so far: ", reasons));
  drops_told_ = stats.dropped;
  drops_told_at_ = Clock::now();
}

bool Shipper::Connect() {
  Failure failure = session_.Connect(options_.database_url,
                                     Clock::now() + milliseconds(options_.connect_timeout_ms));
  if (parts_.first_connect) std::exchange(parts_.first_connect, nullptr)();
  if (failure.ok()) failure = Prepare();
  if (failure.ok()) {
    last_use_ = Clock::now();
    return true;
  }
  session_.Close();
  if (failure.kind == FailureKind::kStopped) return false;
  // The first says what is wrong; where only we find no connection, nothing is.
  if (parts_.is_first) {
    Report(failure);
  } else {
    GiveBack();
  }
  BackOff();
  return false;
}

// The batch in hand, to whoever has a connection.
void Shipper::GiveBack() {
  const std::lock_guard lock(mutex_);
  if (batch_ == nullptr || given_up_ || !sender_.MayForget()) return;
  if (!parts_.journal->GiveBack(batch_)) return;
  batch_ = nullptr;
  tries_ = 0;
}

// Once a connection: who we are, and the partitions of the days to come.
Failure Shipper::Prepare() {
  Failure failure = sender_.Introduce(options_.service_name, static_cast<std::uint64_t>(getpid()),
                                      SPANRING_VERSION);
  if (!failure.ok()) return failure;
  prepared_ = Clock::now();
  failure = sender_.Run("SELECT trace_ensure_partitions()");
  if (failure.ok() || !session_.connected()) return failure;
  // A day without a partition is no reason to stop: its spans go to the default one.
  Report(failure);
  return {};
}

// False: not now.
bool Shipper::LoadBatch() {
  const std::uint32_t rows = batch_->rows;
  const absl::Status loaded = parts_.journal->Load(batch_);
  if (loaded.ok()) return true;
  Report({FailureKind::kServer, std::string(loaded.message()), ""});
  if (absl::IsUnavailable(loaded)) {
    BackOff();
    return false;
  }
  const std::lock_guard lock(mutex_);
  if (!given_up_) {
    parts_.counters->CountDropped(DropReason::kJournalDamaged, rows - batch_->rows);
  }
  return true;
}

void Shipper::Ship() {
  const auto now = Clock::now();
  // A server that closed an idle connection is no failure: connect again, at once.
  if (now - last_use_ > seconds(1) && session_.LooksStale()) {
    session_.Close();
    return;
  }
  if (!LoadBatch()) return;
  BatchSender::Result result;
  if (now - prepared_ >= kPrepareEvery) result.failure = Prepare();
  if (result.failure.ok()) result = sender_.Send(*batch_, tries_);
  last_use_ = Clock::now();
  if (result.settled()) {
    if (result.failure.ok()) CountsStored();
    return Settle(result);
  }
  if (result.failure.kind == FailureKind::kStopped) return;
  Report(result.failure);
  if (result.failure.kind == FailureKind::kBadRow && ++tries_ >= MostTries(batch_->rows)) {
    return GiveUpBatch();
  }
  BackOff();
}

// Its rows are refused for good.
void Shipper::GiveUpBatch() {
  if (!batch_->closed.empty()) {
    if (const Failure failure = sender_.Close(*batch_); !failure.ok()) Report(failure);
  }
  const std::lock_guard lock(mutex_);
  if (given_up_) return;
  const std::uint32_t rows = batch_->rows;
  // What cannot be removed from disk would be found by a recovery: it is tried on.
  if (parts_.journal->Discard(std::exchange(batch_, nullptr))) {
    parts_.counters->CountDropped(DropReason::kRejected, rows);
  }
  tries_ = 0;
}

// The counts of the last statement are committed.
void Shipper::CountsStored() {
  dropped_stored_ = dropped_sent_;
  started_stored_ = started_sent_;
}

Failure Shipper::StoreCounts(bool stopped) {
  Failure failure = sender_.Run(CountsStatement(0, 0, stopped));
  if (failure.ok()) CountsStored();
  last_use_ = Clock::now();
  counts_stored_ = last_use_;
  return failure;
}

bool Shipper::CountsChanged() {
  const Stats stats = parts_.stats();
  return stats.dropped != dropped_stored_ || stats.started != started_stored_;
}

// What is persisted is added, once with each batch; the rest are the process's counts so far. All
// that is spliced in are numbers and names of our own.
std::string Shipper::CountsStatement(std::uint64_t persisted_now, std::uint64_t rejected_now,
                                     bool stopped) {
  const std::string call =
      absl::StrCat("SELECT trace_writer_counted('", writer_id_, "', ", persisted_now);
  if (!parts_.is_first) return call + ")";
  Stats stats = parts_.stats();
  stats.dropped_by_reason[static_cast<std::size_t>(DropReason::kRejected)] += rejected_now;
  stats.dropped += rejected_now;
  dropped_sent_ = stats.dropped;
  started_sent_ = stats.started;
  return absl::StrCat(call, ", ", stats.started, ", ", DropsLiteral(stats), ", ",
                      stopped ? "true" : "false", ")");
}

void Shipper::Settle(const BatchSender::Result& result) {
  const std::lock_guard lock(mutex_);
  // Counted by who gave up, or sent once more by the next journal; the batch goes with us.
  if (given_up_) return;
  parts_.counters->CountPersisted(result.persisted);
  parts_.counters->CountSampledOut(result.sampled_out);
  if (result.rejected > 0) {
    parts_.counters->CountDropped(DropReason::kRejected, result.rejected);
  }
  // Before Done, which lets a Flush return.
  parts_.delivery->Succeeded();
  parts_.journal->Done(std::exchange(batch_, nullptr));
  tries_ = 0;
  failures_in_a_row_ = 0;
}

void Shipper::Report(const Failure& failure) {
  parts_.counters->CountFailure();
  parts_.delivery->Failed(failure, parts_.stats());
}

// Doubling pauses with jitter, so that many writers do not come back at the same moment.
void Shipper::BackOff() {
  const int doublings = std::min(failures_in_a_row_++, 20);
  const std::int64_t pause = std::min<std::int64_t>(
      kFirstPause.count() << doublings, static_cast<std::int64_t>(options_.retry_max_ms));
  std::uniform_int_distribution<std::int64_t> jitter(pause / 2, pause);
  const auto until = Clock::now() + milliseconds(jitter(random_));
  // acquire: pairs with the release in Abort.
  while (!abort_.load(std::memory_order_acquire) && Clock::now() < until) {
    WaitFor(std::chrono::duration_cast<milliseconds>(until - Clock::now()) + milliseconds(1));
  }
}

void Shipper::WaitFor(milliseconds pause) {
  pollfd fd{wake_.fd(), POLLIN, 0};
  const auto timeout = std::clamp<std::int64_t>(pause.count(), 0, wake_.MostWaitMs());
  if (poll(&fd, 1, static_cast<int>(timeout)) > 0) wake_.Clear();
}

}  // namespace spanring::pg

#include "pg/shipper.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/utf8.h"
#include "flush/row_encoder.h"
#include "platform/random.h"

namespace spanring::pg {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kFirstPause{100};
constexpr seconds kReportEvery{10};
constexpr std::chrono::hours kPrepareEvery{12};
constexpr seconds kStoreDropsEvery{1};
// A batch that the server refuses as a whole this often is given up: it would hold up all the rest.
// Of many rows it is hardly the rows' fault, and an operator may mend the table; of one it may be.
constexpr int kMostTries = 10;
constexpr int kMostTriesOfOneRow = 3;

std::string HostName() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? base::Sanitized(name.data()) : "";
}

std::string CopyStatement() {
  return absl::StrCat("COPY trace_spans (", std::string(flush::kRowColumns),
                      ") FROM STDIN (FORMAT binary)");
}

// What an operator can do about it.
std::string_view Advice(const Failure& failure) {
  const std::string_view state = failure.sqlstate;
  if (state == "42P01" || state == "42703" || state == "42883" || state == "3F000") {
    return "; run: spanring migrate";
  }
  if (state == "42501") return "; grant the role spanring_writer";
  if (state == "25006") return "; the server is read-only: is it a standby?";
  if (state == "53100") return "; the server's disk is full: spanring retain --days N";
  if (failure.kind == FailureKind::kConnection) return "; check DATABASE_URL: spanring doctor";
  return "";
}

std::string Text(std::string_view view) { return std::string(view); }

}  // namespace

Shipper::Shipper(const Options& options, const TraceId& writer_id, flush::Journal* journal,
                 flush::Counters* counters, std::function<Stats()> stats,
                 std::function<void()> first_connect)
    : options_(options),
      writer_id_(writer_id.ToUuid()),
      journal_(journal),
      counters_(counters),
      stats_(std::move(stats)),
      first_connect_(std::move(first_connect)),
      session_(&wake_, &abort_),
      random_(static_cast<std::uint32_t>(platform::RandomSeed())),
      done_below_(journal->next_sequence()) {
  // What an earlier run of this process counted is no news.
  const Stats earlier = stats_();
  started_stored_ = earlier.started;
  dropped_stored_ = earlier.dropped;
}

void Shipper::Run() {
  // Also when an exception ends the thread: whoever waits for it must not wait for ever.
  struct End {
    Shipper* shipper;
    ~End() {
      shipper->session_.Close();
      const std::lock_guard lock(shipper->mutex_);
      shipper->ended_ = true;
      shipper->changed_.notify_all();
    }
  } end{this};
  for (;;) {
    // acquire: pairs with the release in Abort.
    if (abort_.load(std::memory_order_acquire)) break;
    if (batch_ == nullptr) batch_ = journal_->Take();
    if (batch_ == nullptr) {
      if (!Idle()) break;
    } else if (session_.connected() || Connect()) {
      Ship();
    }
  }
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

bool Shipper::WaitUntilDone(std::uint64_t sequence, Deadline deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline, [&] { return done_below_ >= sequence || ended_; }) &&
         done_below_ >= sequence;
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
    // A batch may have been sealed just before the flag was set.
    if ((batch_ = journal_->Take()) != nullptr) return true;
    // The last counts, unless this process never had anything to say.
    if (session_.connected() || CountsChanged()) {
      if (session_.connected() || Connect()) {
        Failure failure = StoreCounts(/*stopped=*/true);
        if (failure.kind == FailureKind::kConnection && Connect()) {
          failure = StoreCounts(/*stopped=*/true);
        }
        if (!failure.ok()) Report(failure);
      } else {
        // Tried again until the deadline. acquire: pairs with the release in Abort.
        return !abort_.load(std::memory_order_acquire);
      }
    }
    return false;
  }
  // Drops must become visible even when all spans are dropped.
  const Stats stats = stats_();
  if (stats.dropped != dropped_stored_ && now - counts_stored_ >= kStoreDropsEvery) {
    if (session_.connected() || Connect()) {
      if (Failure failure = StoreCounts(/*stopped=*/false); !failure.ok()) {
        Report(failure);
        BackOff();
      }
    }
    return true;
  }
  const milliseconds idle(options_.idle_disconnect_ms);
  if (session_.connected() && now - last_use_ >= idle) session_.Close();
  if (stats.dropped != dropped_stored_) {
    WaitFor(kStoreDropsEvery);
  } else if (session_.connected()) {
    WaitFor(std::chrono::duration_cast<milliseconds>(last_use_ + idle - now) + milliseconds(1));
  } else {
    WaitFor(std::chrono::minutes(10));
  }
  return true;
}

bool Shipper::Connect() {
  Failure failure = session_.Connect(options_.database_url,
                                     Clock::now() + milliseconds(options_.connect_timeout_ms));
  if (first_connect_) std::exchange(first_connect_, nullptr)();
  if (failure.ok()) failure = Prepare();
  if (failure.ok()) {
    last_use_ = Clock::now();
    return true;
  }
  session_.Close();
  if (failure.kind == FailureKind::kStopped) return false;
  Report(failure);
  BackOff();
  return false;
}

// Once a connection: who we are, and the partitions of the days to come.
Failure Shipper::Prepare() {
  Failure failure = session_.Run(
      "SELECT trace_writer_started($1::uuid, $2::text, $3::text, $4::integer, $5::text)",
      {writer_id_, options_.service_name, HostName(), absl::StrCat(getpid()), SPANRING_VERSION},
      BatchDeadline());
  if (!failure.ok()) return failure;
  prepared_ = Clock::now();
  failure = session_.Run("SELECT trace_ensure_partitions()", {}, BatchDeadline());
  if (failure.ok() || !session_.connected()) return failure;
  // A day without a partition is no reason to stop: its spans go to the default one.
  Report(failure);
  return {};
}

void Shipper::Ship() {
  const auto now = Clock::now();
  // A server that closed an idle connection is no failure: connect again, at once.
  if (now - last_use_ > seconds(1) && session_.LooksStale()) {
    session_.Close();
    return;
  }
  Failure failure;
  if (now - prepared_ >= kPrepareEvery) failure = Prepare();
  if (failure.ok()) failure = SendBatch(*batch_);
  const std::uint64_t persisted = batch_->rows;
  if (failure.kind == FailureKind::kBadRow) failure = SendInPieces(*batch_);
  last_use_ = Clock::now();
  switch (failure.kind) {
    case FailureKind::kNone:
      CountsStored();
      return Settle(persisted, 0);
    case FailureKind::kAlreadyThere:
      return Settle(persisted - refused_in_doubt_, refused_in_doubt_);
    case FailureKind::kStopped:
      return;
    case FailureKind::kBadRow:
      Report(failure);
      if (++tries_ >= (batch_->rows == 1 ? kMostTriesOfOneRow : kMostTries)) {
        return Settle(0, persisted);
      }
      return BackOff();
    case FailureKind::kConnection:
    case FailureKind::kServer:
      Report(failure);
      return BackOff();
  }
}

Failure Shipper::SendBatch(const flush::Batch& batch) {
  const std::string sql =
      absl::StrCat("SET LOCAL statement_timeout = ", options_.batch_timeout_ms, ";",
                   "INSERT INTO trace_batches (writer_id, sequence, spans) VALUES ('", writer_id_,
                   "', ", batch.sequence, ", ", batch.rows, ");", CopyStatement(), ";",
                   WriterUpdate(batch.rows, 0, /*stopped=*/false));
  return session_.Send(sql, {reinterpret_cast<const char*>(batch.data.data()), batch.data.size()},
                       BatchDeadline());
}

// The server refused some row of the batch: halve it until that row stands alone, all in the one
// transaction that the ledger guards. When no row at all is taken it is not the rows' fault.
Failure Shipper::SendInPieces(const flush::Batch& batch) {
  const auto send = [&](const std::string& sql) { return session_.Send(sql, {}, BatchDeadline()); };
  Failure failure =
      send(absl::StrCat("BEGIN; INSERT INTO trace_batches (writer_id, sequence, spans) VALUES ('",
                        writer_id_, "', ", batch.sequence, ", ", batch.rows, ")"));
  std::uint64_t refused = 0;
  if (failure.ok()) {
    failure = SendPiece({reinterpret_cast<const char*>(batch.data.data()), batch.data.size()},
                        batch.rows, &refused);
  }
  if (failure.ok() && refused == batch.rows) {
    failure = {FailureKind::kBadRow, "the server refused every row of a batch", ""};
  }
  if (failure.ok()) {
    refused_in_doubt_ = refused;
    failure = send(WriterUpdate(batch.rows - refused, refused, /*stopped=*/false) + "; COMMIT");
  }
  if (!failure.ok()) {
    if (session_.connected()) {
      if (Failure undone = send("ROLLBACK"); !undone.ok()) session_.Close();
    }
    return failure;
  }
  CountsStored();
  Settle(batch.rows - refused, refused);
  return {FailureKind::kStopped, "", ""};  // Nothing left to do with it.
}

Failure Shipper::SendPiece(std::string_view rows, std::uint32_t count, std::uint64_t* refused) {
  Failure failure = session_.Send(
      "SAVEPOINT piece; " + CopyStatement() + "; RELEASE SAVEPOINT piece", rows, BatchDeadline());
  if (failure.kind != FailureKind::kBadRow) return failure;
  const std::string message = failure.message;
  failure =
      session_.Send("ROLLBACK TO SAVEPOINT piece; RELEASE SAVEPOINT piece", {}, BatchDeadline());
  if (!failure.ok()) return failure;
  if (count == 1) {
    ++*refused;
    if (*refused == 1) {
      Report({FailureKind::kBadRow, absl::StrCat("the server refused a row: ", message), ""});
    }
    return {};
  }
  std::size_t half = 0;
  for (std::uint32_t i = 0; i < count / 2; ++i) half += flush::RowLength(rows.substr(half));
  failure = SendPiece(rows.substr(0, half), count / 2, refused);
  if (!failure.ok()) return failure;
  return SendPiece(rows.substr(half), count - count / 2, refused);
}

// The counts of the last WriterUpdate are committed.
void Shipper::CountsStored() {
  dropped_stored_ = dropped_sent_;
  started_stored_ = started_sent_;
}

Failure Shipper::StoreCounts(bool stopped) {
  Failure failure = session_.Send(WriterUpdate(0, 0, stopped), {}, BatchDeadline());
  if (failure.ok()) CountsStored();
  last_use_ = Clock::now();
  counts_stored_ = last_use_;
  return failure;
}

bool Shipper::CountsChanged() {
  const Stats stats = stats_();
  return stats.dropped != dropped_stored_ || stats.started != started_stored_;
}

// What is persisted is added, in the transaction that the ledger guards; the others are absolute,
// so that storing them twice does no harm. Last in its transaction, since it locks our row in
// trace_writers. All that is spliced in are numbers and names of our own.
std::string Shipper::WriterUpdate(std::uint64_t persisted_now, std::uint64_t rejected_now,
                                  bool stopped) {
  Stats stats = stats_();
  stats.dropped_by_reason[static_cast<std::size_t>(DropReason::kRejected)] += rejected_now;
  stats.dropped += rejected_now;
  std::string drops = "{";
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    if (stats.dropped_by_reason[i] == 0) continue;
    absl::StrAppend(&drops, drops.size() > 1 ? ", " : "", "\"",
                    Text(DropReasonName(static_cast<DropReason>(i))),
                    "\": ", stats.dropped_by_reason[i]);
  }
  drops += "}";
  dropped_sent_ = stats.dropped;
  started_sent_ = stats.started;
  return absl::StrCat("SELECT trace_writer_counted('", writer_id_, "', ", persisted_now, ", ",
                      stats.started, ", '", drops, "', ", stopped ? "true" : "false", ")");
}

void Shipper::Settle(std::uint64_t persisted, std::uint64_t rejected) {
  const std::lock_guard lock(mutex_);
  if (given_up_) return;  // Counted by who gave up; the batch goes with us.
  counters_->CountPersisted(persisted);
  if (rejected > 0) counters_->CountDropped(DropReason::kRejected, rejected);
  const std::uint64_t sequence = batch_->sequence;
  journal_->Done(batch_);
  batch_ = nullptr;
  tries_ = 0;
  refused_in_doubt_ = 0;
  failures_in_a_row_ = 0;
  if (was_down_) {
    was_down_ = false;
    base::LogInfo("the database takes trace spans again");
  }
  done_below_ = sequence + 1;
  changed_.notify_all();
}

void Shipper::Report(const Failure& failure) {
  counters_->CountFailure();
  ++failures_unreported_;
  const auto now = Clock::now();
  if (last_report_ != Clock::time_point{} && now - last_report_ < kReportEvery) return;
  last_report_ = now;
  was_down_ = true;
  const Stats stats = stats_();
  base::LogError(absl::StrCat(
      "failed to persist trace span: ", failure.message, "; ", stats.journalled, " spans wait, ",
      stats.dropped, " dropped", Text(Advice(failure)),
      failures_unreported_ > 1 ? absl::StrCat(" (", failures_unreported_, " failures)") : ""));
  failures_unreported_ = 0;
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

Deadline Shipper::BatchDeadline() const {
  return Clock::now() + milliseconds(options_.batch_timeout_ms);
}

}  // namespace spanring::pg

#include "otlp/store.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "import/ids.h"
#include "pg/batch_sender.h"
#include "pg/wake.h"
#include "spanring/stats.h"

namespace spanring::otlp {
namespace {

constexpr char kService[] = "spanring serve";
constexpr char kRole[] = "spanring_writer";
constexpr std::uint64_t kCloseTimeoutMs = 2'000;
// Also what takes longer than statement_timeout.
constexpr char kCancelled[] = "57014";
// A connection that had died before it was used again says so at once.
constexpr std::chrono::seconds kAtOnce{1};
// More than wait to be sent again.
constexpr std::size_t kMostDoubts = 1000;
// Partitions that one request makes: nobody else stores spans meanwhile. What is of further days
// goes to the default partition.
constexpr std::size_t kMostDays = 8;

// No two processes have it: by the process and by when it began.
TraceId NewWriter() {
  const std::int64_t now_ns = std::chrono::system_clock::now().time_since_epoch().count();
  const std::string who = absl::StrCat(getpid(), " ", now_ns, " ",
                                       std::chrono::steady_clock::now().time_since_epoch().count());
  return importer::ContentIdOf(who, kService);
}

}  // namespace

// A connection, and what is known about the server behind it.
class Store::Line {
 public:
  Line(const StoreOptions* options, const TraceId& writer)
      : options_(*options), writer_(writer), session_(&wake_, &stop_) {}

  pg::Session& session() { return session_; }

  void Abort() {
    // release: pairs with the acquire in Session::Wait.
    stop_.store(true, std::memory_order_release);
    wake_.Signal();
  }

  // Connects unless it is connected; says who writes; makes the partitions of these days.
  pg::Failure Prepare(const importer::Days& days, pg::Deadline until) {
    if (session_.connected() && session_.LooksStale()) session_.Close();
    if (!session_.connected()) {
      introduced_ = false;
      pg::Failure failure = session_.Connect(
          options_.conninfo,
          std::min(until, std::chrono::steady_clock::now() +
                              std::chrono::milliseconds(options_.connect_timeout_ms)));
      if (!failure.ok()) return failure;
    }
    pg::BatchSender sender = Sender(writer_, until, nullptr, nullptr);
    if (!introduced_) {
      pg::Failure failure =
          sender.Introduce(kService, static_cast<std::uint64_t>(getpid()), options_.version);
      if (!failure.ok()) return failure;
      introduced_ = true;
    }
    days_.NoteAll(days, kMostDays);
    const std::string statement = days_.Statement();
    if (statement.empty()) return {};
    pg::Failure failure = sender.Run(statement);
    if (failure.kind == pg::FailureKind::kConnection) return failure;
    // Whatever else it was: the default partition takes them.
    days_.Made();
    return {};
  }

  pg::BatchSender Sender(const TraceId& writer, pg::Deadline until,
                         pg::BatchSender::CountsStatement counts,
                         std::function<void(const pg::Failure&)> report) {
    return {&session_,
            writer,
            options_.batch_timeout_ms,
            std::move(counts),
            std::move(report),
            options_.as_writer ? kRole : "",
            until};
  }

 private:
  const StoreOptions& options_;
  const TraceId writer_;
  pg::Wake wake_;
  std::atomic<bool> stop_{false};
  pg::Session session_;
  bool introduced_ = false;
  importer::Days days_;
};

Store::Store(StoreOptions options) : options_(std::move(options)), writer_(NewWriter()) {
  for (std::size_t i = 0; i < options_.connections; ++i) {
    lines_.push_back(std::make_unique<Line>(&options_, writer_));
    free_.push_back(lines_.back().get());
  }
}

Store::~Store() = default;

Store::Line* Store::Take() {
  const std::scoped_lock lock(mutex_);
  if (free_.empty()) return nullptr;
  Line* line = free_.back();  // The last that was used: its connection is the warmest.
  free_.pop_back();
  return line;
}

void Store::Give(Line* line) {
  const std::scoped_lock lock(mutex_);
  free_.push_back(line);
}

absl::Status Store::Paused() {
  const std::scoped_lock lock(mutex_);
  if (std::chrono::steady_clock::now() >= paused_until_) return absl::OkStatus();
  return absl::UnavailableError(why_paused_);
}

void Store::Pause(const pg::Failure& failure) {
  const std::scoped_lock lock(mutex_);
  paused_until_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(options_.pause_ms);
  why_paused_ = failure.message;
}

absl::StatusOr<Stored> Store::Send(const Rows& rows) {
  if (absl::Status status = Paused(); !status.ok()) return status;
  Line* line = Take();
  if (line == nullptr) return absl::UnavailableError("too many requests at once");
  // Also when memory runs out in between.
  const auto give = [this](Line* taken) { Give(taken); };
  const std::unique_ptr<Line, decltype(give)> guard(line, give);
  return SendOn(line, rows);
}

// What was started and rejected is absolute, so that an answer that is lost does no harm. Of
// batches under way at the same time each knows only itself, and the next one says the sum.
std::string Store::Counts(std::uint64_t persisted, std::uint64_t started, std::uint64_t rejected,
                          bool is_last) {
  const std::scoped_lock lock(mutex_);
  Stats stats;
  stats.dropped_by_reason[static_cast<std::size_t>(DropReason::kRejected)] = rejected_ + rejected;
  return absl::StrCat("SELECT trace_writer_counted('", writer_.ToUuid(), "', ", persisted, ", ",
                      started_ + started, ", ", pg::DropsLiteral(stats), ", ",
                      is_last ? "true" : "false", ")");
}

void Store::Settle(std::uint64_t started, std::uint64_t rejected) {
  const std::scoped_lock lock(mutex_);
  started_ += started;
  rejected_ += rejected;
}

bool Store::TakeDoubt(const TraceId& content) {
  const std::scoped_lock lock(mutex_);
  const auto found = std::find(in_doubt_.begin(), in_doubt_.end(), content);
  if (found == in_doubt_.end()) return false;
  in_doubt_.erase(found);
  return true;
}

void Store::KeepDoubt(const TraceId& content) {
  const std::scoped_lock lock(mutex_);
  in_doubt_.push_back(content);
  if (in_doubt_.size() > kMostDoubts) in_doubt_.pop_front();
}

absl::StatusOr<Stored> Store::SendOn(Line* line, const Rows& rows) {
  Stored stored;
  const auto began = std::chrono::steady_clock::now();
  const pg::Deadline until = began + std::chrono::milliseconds(options_.batch_timeout_ms);
  pg::BatchSender sender = line->Sender(
      rows.content, until,
      [&](std::uint64_t persisted, std::uint64_t rejected) {
        return Counts(persisted, persisted + rejected, rejected, /*is_last=*/false);
      },
      [&](const pg::Failure& failure) {
        if (stored.first_rejection.empty()) stored.first_rejection = failure.message;
      });
  bool in_doubt = TakeDoubt(rows.content);  // As a try below may be.
  for (bool is_first = true;; is_first = false) {
    const bool was_open = line->session().connected();
    pg::Failure failure = line->Prepare(rows.days, until);
    if (failure.ok()) {
      const pg::BatchSender::Result result = sender.Send(rows.batch);
      if (result.settled()) {
        stored.was_there = result.failure.kind == pg::FailureKind::kAlreadyThere && !in_doubt;
        if (stored.was_there) return stored;
        stored.spans = result.persisted;
        stored.rejected = result.rejected;
        Settle(result.persisted + result.rejected, result.rejected);
        return stored;
      }
      if (result.failure.kind == pg::FailureKind::kBadRow) {
        // Not one of them was taken: whoever sent them would only send them again.
        stored.rejected = rows.batch.rows;
        Settle(stored.rejected, stored.rejected);
        static_cast<void>(sender.Run(Counts(0, 0, 0, /*is_last=*/false)));
        return stored;
      }
      failure = result.failure;
      in_doubt = in_doubt || failure.kind == pg::FailureKind::kConnection;
    }
    // The server was restarted since, say: once anew.
    const bool is_lost = failure.kind == pg::FailureKind::kConnection;
    const bool is_soon = std::chrono::steady_clock::now() - began < kAtOnce;
    if (is_first && is_lost && was_open && is_soon) continue;
    // What waits for a lock is told by the server or by our own clock, whichever comes first.
    if (is_lost || failure.sqlstate == kCancelled) Pause(failure);
    if (in_doubt) KeepDoubt(rows.content);
    return absl::UnavailableError(failure.message);
  }
}

void Store::Abort() {
  for (const auto& line : lines_) line->Abort();
}

void Store::Close() {
  const std::string sql =
      absl::StrCat(options_.as_writer ? absl::StrCat("SET LOCAL ROLE ", kRole, "; ") : "",
                   Counts(0, 0, 0, /*is_last=*/true));
  while (Line* line = Take()) {
    if (!line->session().connected()) continue;
    const pg::Failure failure = line->session().Send(
        sql, {}, std::chrono::steady_clock::now() + std::chrono::milliseconds(kCloseTimeoutMs));
    if (failure.ok()) return;
  }
}

}  // namespace spanring::otlp

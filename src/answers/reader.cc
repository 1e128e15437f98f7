#include "answers/reader.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"

namespace spanring::answers {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

absl::StatusOr<pg::Result> Reader::Ask(const std::string& sql,
                                       const std::vector<pg::Parameter>& parameters) {
  // relaxed: numbers for people.
  asked_.fetch_add(1, std::memory_order_relaxed);
  absl::StatusOr<pg::Result> result = absl::UnavailableError("not asked");
  // A connection that was kept may have died unseen: once more, on another one.
  bool is_fresh = false;
  for (bool again = true; again; again = absl::IsUnavailable(result.status()) && !is_fresh) {
    absl::StatusOr<pg::Connection> connection = Take(&is_fresh);
    if (!connection.ok()) {
      result = connection.status();
      break;
    }
    result = AskOn(connection->get(), sql, parameters);
    if (pg::IsStuck(connection->get())) connection->reset();
    GiveBack(*std::move(connection));
  }
  // relaxed: numbers for people.
  if (!result.ok()) failed_.fetch_add(1, std::memory_order_relaxed);
  return result;
}

absl::StatusOr<std::string> Reader::AskText(const std::string& sql,
                                            const std::vector<pg::Parameter>& parameters) {
  const absl::StatusOr<pg::Result> result = Ask(sql, parameters);
  if (!result.ok()) return result.status();
  if (PQntuples(result->get()) == 0 || PQgetisnull(result->get(), 0, 0) == 1) {
    return absl::NotFoundError("there is none");
  }
  return std::string(pg::Cell(result->get(), 0, 0));
}

// relaxed: numbers for people.
std::uint64_t Reader::asked() const { return asked_.load(std::memory_order_relaxed); }
// relaxed: numbers for people.
std::uint64_t Reader::failed() const { return failed_.load(std::memory_order_relaxed); }

absl::StatusOr<pg::Connection> Reader::Take(bool* is_fresh) {
  {
    std::unique_lock lock(mutex_);
    const bool is_free = is_free_.wait_for(lock, options_.wait_time,
                                           [this] { return taken_ < options_.connections; });
    if (!is_free) {
      return absl::UnavailableError("all connections to the database are busy: try again");
    }
    ++taken_;
    *is_fresh = idle_.empty();
    if (!idle_.empty()) {
      pg::Connection connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
  }
  absl::StatusOr<pg::Connection> connection =
      pg::Connect(options_.conninfo, options_.application_name);
  if (!connection.ok()) GiveBack(nullptr);
  return connection;
}

void Reader::GiveBack(pg::Connection connection) {
  const std::scoped_lock lock(mutex_);
  --taken_;
  if (connection != nullptr) {
    idle_.push_back(std::move(connection));
  } else {
    // One died: the server has gone away, most likely, and the others are no better.
    idle_.clear();
  }
  is_free_.notify_one();
}

absl::StatusOr<pg::Result> Reader::AskOn(PGconn* connection, const std::string& sql,
                                         const std::vector<pg::Parameter>& parameters) {
  // The server's own time limit says nothing when the server does not: stopped, or behind a network
  // that drops packets. Here is one of ours behind it, or a worker would wait for ever.
  const auto soon = [this] { return Clock::now() + options_.answer_time; };
  const auto time_ms = options_.statement_time.count();
  const absl::Status status =
      pg::Execute(connection,
                  absl::StrCat("BEGIN READ ONLY; SET LOCAL statement_timeout = ", time_ms,
                               "; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'",
                               options_.as_reader ? "; SET LOCAL ROLE spanring_reader" : ""),
                  soon());
  if (absl::IsDeadlineExceeded(status)) return absl::UnavailableError(status.message());
  if (!status.ok()) return status;
  absl::StatusOr<pg::Result> result =
      pg::Query(connection, sql, parameters, soon() + options_.statement_time);
  // Should that fail, the connection is gone, which Ask sees.
  if (!pg::IsStuck(connection)) (void)pg::Execute(connection, "ROLLBACK", soon());
  const bool is_late =
      absl::IsDeadlineExceeded(result.status()) || pg::SqlState(result.status()) == "57014";
  if (is_late) {
    return absl::DeadlineExceededError(
        absl::StrCat("the database took longer than ", time_ms / 1000, " s"));
  }
  return result;
}

}  // namespace spanring::answers

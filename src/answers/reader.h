// Asks the database without being able to change it: each question is one statement in a read-only
// transaction with a time limit, on one of a few connections.
// Threads: any; a question waits for a free connection.
// Memory: connections are kept; a result belongs to the caller.
// Errors: Unavailable = no connection, or none free in time; DeadlineExceeded = the statement took
//   too long, or the database fell silent; NotFound = the answer is NULL; Internal carries the
//   SQLSTATE. No message holds a password.
// Design: docs/web.md
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pg/client.h"

namespace spanring::answers {

struct ReaderOptions {
  std::string conninfo;  // for libpq; may hold a password
  std::string application_name = "spanring";
  bool as_reader = false;  // takes the role spanring_reader for each question
  std::size_t connections = 8;
  std::chrono::milliseconds statement_time{15'000};
  std::chrono::milliseconds wait_time{5'000};  // for a free connection
  // To say what needs no time; behind statement_time, to say that it is over.
  std::chrono::milliseconds answer_time{5'000};
};

class Reader {
 public:
  explicit Reader(ReaderOptions options) : options_(std::move(options)) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // One statement with bound parameters. Behind a pooler in transaction mode too: nothing is left
  // in the session.
  [[nodiscard]] absl::StatusOr<pg::Result> Ask(const std::string& sql,
                                               const std::vector<pg::Parameter>& parameters = {});

  // The first cell of the first row. NotFound: no row, or NULL.
  [[nodiscard]] absl::StatusOr<std::string> AskText(
      const std::string& sql, const std::vector<pg::Parameter>& parameters = {});

  // Questions asked, and those that failed, since the beginning.
  [[nodiscard]] std::uint64_t asked() const;
  [[nodiscard]] std::uint64_t failed() const;

 private:
  absl::StatusOr<pg::Connection> Take(bool* is_fresh);
  void GiveBack(pg::Connection connection);
  absl::StatusOr<pg::Result> AskOn(PGconn* connection, const std::string& sql,
                                   const std::vector<pg::Parameter>& parameters);

  const ReaderOptions options_;
  std::mutex mutex_;
  std::condition_variable is_free_;
  std::vector<pg::Connection> idle_;  // guarded by mutex_, as is the next
  std::size_t taken_ = 0;
  std::atomic<std::uint64_t> asked_ = 0;
  std::atomic<std::uint64_t> failed_ = 0;
};

}  // namespace spanring::answers

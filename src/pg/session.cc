#include "pg/session.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "platform/fork_fds.h"

namespace spanring::pg {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// The signature, no flags, no header extension, and the end of the stream.
// https://www.postgresql.org/docs/15/sql-copy.html#id-1.9.3.55.9.4
constexpr std::string_view kCopyHeader("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
constexpr std::string_view kCopyTrailer("\377\377", 2);

// Small enough that an error of the server is seen soon, large enough to cost few messages.
constexpr std::size_t kChunkBytes = 64 * 1024;

int PollTimeout(Deadline deadline, int most_ms) {
  const auto left =
      std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now()).count() + 1;
  return static_cast<int>(std::clamp<long long>(left, 0, most_ms));
}

FailureKind KindOf(std::string_view sqlstate, std::string_view constraint) {
  if (sqlstate == "23505" && constraint == "trace_batches_pkey") return FailureKind::kAlreadyThere;
  // Our rows have the columns' types, so it is a column that has changed: for an operator to mend.
  if (sqlstate == "22P03") return FailureKind::kServer;
  const std::string_view sqlclass = sqlstate.substr(0, 2);
  // Data exceptions, constraints, a limit that a value exceeds, a check option, an exception that
  // somebody's trigger raised: of these very rows.
  for (const std::string_view of_rows : {"22", "23", "44", "54", "P0"}) {
    if (sqlclass == of_rows) return FailureKind::kBadRow;
  }
  return FailureKind::kServer;
}

}  // namespace

void Session::RememberSocket() {
  const int fd = PQsocket(connection_.get());
  if (fd == remembered_) return;
  platform::ForgetForFork(remembered_);
  platform::RememberForFork(fd);
  remembered_ = fd;
}

Failure Session::Connect(const std::string& conninfo, Deadline deadline) {
  if (const std::string_view fault = FaultOf(conninfo); !fault.empty()) {
    return {FailureKind::kServer, std::string(fault), ""};
  }
  // The entry `dbname` may be a whole connection string or URL. What stands before it are defaults:
  // a peer that is gone without a word is noticed within a minute or so. What follows overrides it.
  // Names and options that a pooler refuses are not among them.
  const char* const keywords[] = {"keepalives_idle",
                                  "keepalives_interval",
                                  "keepalives_count",
                                  "dbname",
                                  "client_encoding",
                                  "fallback_application_name",
                                  nullptr};
  const char* const values[] = {"30", "10", "3", conninfo.c_str(), "UTF8", "spanring", nullptr};
  connection_.reset(PQconnectStartParams(keywords, values, /*expand_dbname=*/1));
  if (connection_ == nullptr) {
    return {FailureKind::kConnection, "libpq has no memory for a connection", ""};
  }
  PQsetNoticeProcessor(connection_.get(), [](void*, const char*) {}, nullptr);
  if (PQstatus(connection_.get()) == CONNECTION_BAD) return Lost("");
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (next != PGRES_POLLING_OK) {
    RememberSocket();
    const Failure wait = Wait(next == PGRES_POLLING_WRITING ? POLLOUT : POLLIN, deadline);
    if (!wait.ok()) {
      Close();
      return wait;
    }
    next = PQconnectPoll(connection_.get());
    if (next == PGRES_POLLING_FAILED) return Lost("");
  }
  PQsetnonblocking(connection_.get(), 1);
  RememberSocket();
  return {};
}

void Session::Close() {
  platform::ForgetForFork(std::exchange(remembered_, -1));
  connection_.reset();
}

bool Session::LooksStale() {
  pollfd fd{PQsocket(connection_.get()), POLLIN, 0};
  // Its last words are read first, and the end of the stream behind them by the next turn.
  while (poll(&fd, 1, 0) > 0) {
    if (PQconsumeInput(connection_.get()) == 0) return true;
    if (PQstatus(connection_.get()) != CONNECTION_OK) return true;
  }
  return false;
}

Failure Session::Run(const char* sql, const std::vector<Parameter>& parameters, Deadline deadline) {
  std::vector<const char*> values;
  for (const Parameter& parameter : parameters) {
    values.push_back(parameter ? parameter->c_str() : nullptr);
  }
  if (PQsendQueryParams(connection_.get(), sql, static_cast<int>(values.size()), nullptr,
                        values.data(), nullptr, nullptr, 0) == 0) {
    return Lost("");
  }
  return Finish({}, deadline);
}

Failure Session::Send(const std::string& sql, const std::vector<std::string_view>& rows,
                      Deadline deadline) {
  if (PQsendQuery(connection_.get(), sql.c_str()) == 0) return Lost("");
  return Finish(rows, deadline);
}

Failure Session::Finish(const std::vector<std::string_view>& rows, Deadline deadline) {
  Failure first;
  std::size_t copies = 0;
  for (;;) {
    if (Failure flushed = FlushOut(deadline); !flushed.ok()) return flushed;
    while (PQisBusy(connection_.get()) != 0) {
      if (Failure waited = Wait(POLLIN, deadline); !waited.ok()) return waited;
      if (PQconsumeInput(connection_.get()) == 0) return Lost("");
    }
    const Result result(PQgetResult(connection_.get()));
    if (result == nullptr) break;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_COPY_IN) {
      const std::string_view next = copies < rows.size() ? rows[copies++] : std::string_view();
      if (Failure copied = CopyRows(next, deadline); !copied.ok()) return copied;
    } else if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && first.ok()) {
      first = FromResult(result.get());
    }
  }
  if (PQstatus(connection_.get()) != CONNECTION_OK) {
    return Lost(first.message);
  }
  return first;
}

Failure Session::CopyRows(std::string_view rows, Deadline deadline) {
  const auto put = [&](std::string_view bytes) -> Failure {
    for (;;) {
      const int taken =
          PQputCopyData(connection_.get(), bytes.data(), static_cast<int>(bytes.size()));
      if (taken > 0) return {};
      if (taken < 0) return Lost("");
      if (Failure waited = Wait(POLLOUT | POLLIN, deadline); !waited.ok()) return waited;
    }
  };
  if (Failure failure = put(kCopyHeader); !failure.ok()) return failure;
  while (!rows.empty()) {
    const std::string_view chunk = rows.substr(0, kChunkBytes);
    rows.remove_prefix(chunk.size());
    if (Failure failure = put(chunk); !failure.ok()) return failure;
    // So that the send buffer holds a chunk or two, not the whole batch once more.
    if (Failure failure = FlushOut(deadline); !failure.ok()) return failure;
  }
  if (Failure failure = put(kCopyTrailer); !failure.ok()) return failure;
  while (true) {
    const int ended = PQputCopyEnd(connection_.get(), nullptr);
    if (ended > 0) return {};
    if (ended < 0) return Lost("");
    if (Failure waited = Wait(POLLOUT | POLLIN, deadline); !waited.ok()) return waited;
  }
}

Failure Session::FlushOut(Deadline deadline) {
  for (;;) {
    const int left = PQflush(connection_.get());
    if (left == 0) return {};
    if (left < 0) return Lost("");
    if (Failure waited = Wait(POLLOUT | POLLIN, deadline); !waited.ok()) return waited;
    // The server may have something to say before it reads on; libpq's docs ask for this order.
    if (PQconsumeInput(connection_.get()) == 0) return Lost("");
  }
}

// Waits for the socket. Whatever ends the wait without it also ends the connection: a statement may
// be half sent, and the ledger tells later whether it was committed.
Failure Session::Wait(short events, Deadline deadline) {
  for (;;) {
    // acquire: pairs with the release in Shipper::Abort.
    if (stop_->load(std::memory_order_acquire)) {
      Close();
      return {FailureKind::kStopped, "shutting down", ""};
    }
    if (steady_clock::now() >= deadline) {
      Close();
      return {FailureKind::kConnection, "no answer from the server in time", ""};
    }
    pollfd fds[] = {{PQsocket(connection_.get()), events, 0}, {wake_->fd(), POLLIN, 0}};
    const int ready = poll(fds, 2, PollTimeout(deadline, wake_->MostWaitMs()));
    if (ready > 0 && fds[0].revents != 0) return {};
    if (ready > 0 && fds[1].revents != 0) wake_->Clear();
  }
}

Failure Session::Lost(std::string_view what) {
  std::string message(what);
  if (message.empty()) message = OneLine(PQerrorMessage(connection_.get()));
  if (message.empty()) message = "connection lost";
  Close();
  return {FailureKind::kConnection, std::move(message), ""};
}

Failure Session::FromResult(const PGresult* result) {
  const auto field = [&](int code) -> std::string_view {
    const char* text = PQresultErrorField(result, code);
    return text == nullptr ? std::string_view() : text;
  };
  const std::string_view sqlstate = field(PG_DIAG_SQLSTATE);
  if (sqlstate.empty()) {
    return {FailureKind::kConnection, OneLine(PQresultErrorMessage(result)), ""};
  }
  // Only the primary message: a detail may quote rows.
  std::string message = OneLine(field(PG_DIAG_MESSAGE_PRIMARY));
  return {KindOf(sqlstate, field(PG_DIAG_CONSTRAINT_NAME)),
          absl::StrCat(message, " [", std::string(sqlstate), "]"), std::string(sqlstate)};
}

}  // namespace spanring::pg

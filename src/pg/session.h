// One connection of the shipper: libpq without a call that waits for the server unbounded.
// Threads: one.
// Memory: libpq's, and one batch in its send buffer.
// Errors: Failure says what to do next, not only what happened.
// Design: docs/architecture.md#shipper
#pragma once

#include <libpq-fe.h>

#include <atomic>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "pg/handles.h"
#include "pg/wake.h"

namespace spanring::pg {

// What went wrong, by what the shipper can do about it.
enum class FailureKind {
  kNone,
  kAlreadyThere,  // The ledger has this batch: it is persisted.
  kBadRow,        // The data were refused: split the batch.
  kConnection,    // The connection is gone, or never came: connect again.
  kServer,        // The server refused for a reason that may pass, or that an operator must mend.
  kStopped,       // The process is shutting down.
};

struct Failure {
  FailureKind kind = FailureKind::kNone;
  std::string message;  // One line, with the SQLSTATE where there is one, and without a password.
  std::string sqlstate;

  bool ok() const { return kind == FailureKind::kNone; }
};

class Session {
 public:
  // Waits end early when `stop` is set and `wake` signalled.
  Session(Wake* wake, const std::atomic<bool>* stop) : wake_(wake), stop_(stop) {}
  ~Session() { Close(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Failure Connect(const std::string& conninfo, Deadline deadline);
  void Close();
  bool connected() const { return connection_ != nullptr; }
  // True when the server has closed the connection, or said goodbye, while nobody asked.
  bool LooksStale();

  // One statement with bound parameters; rows, if any, are thrown away.
  Failure Run(const char* sql, const std::vector<Parameter>& parameters, Deadline deadline);
  // Any number of statements as one simple-Query message. Each COPY ... FROM STDIN (FORMAT binary)
  // among them is fed with the next of `rows`.
  Failure Send(const std::string& sql, const std::vector<std::string_view>& rows,
               Deadline deadline);

 private:
  Failure Finish(const std::vector<std::string_view>& rows, Deadline deadline);
  Failure CopyRows(std::string_view rows, Deadline deadline);
  Failure FlushOut(Deadline deadline);
  Failure Wait(short events, Deadline deadline);
  Failure Lost(std::string_view what);
  Failure FromResult(const PGresult* result);

  Wake* const wake_;
  const std::atomic<bool>* const stop_;
  // A forked child closes its copy of the socket, without a word to the server.
  void RememberSocket();

  Connection connection_;
  int remembered_ = -1;
};

}  // namespace spanring::pg

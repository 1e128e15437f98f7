// Synchronous libpq calls for the programs and the tests. The flusher has its own, non-blocking
// way. Threads: a connection belongs to one thread at a time. Memory: handles are owned; a Result
// owns its rows. Errors: absl::Status; Unavailable = no connection, try again; everything else
// carries SQLSTATE. Design: docs/architecture.md
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pg/handles.h"

namespace spanring::pg {

// Opens a connection with UTF-8 as its encoding. An empty `conninfo` takes libpq's PG* variables.
// Unless it or PGCONNECT_TIMEOUT says otherwise, each address has 10 s to answer.
// Returns Unavailable with libpq's reason on one line; the password is never part of it.
[[nodiscard]] absl::StatusOr<Connection> Connect(const std::string& conninfo,
                                                 const std::string& application_name);

// Runs one statement with bound parameters and returns its rows in text form.
// On failure: Unavailable when the connection is gone, else Internal whose message ends with the
// SQLSTATE in brackets, as in `relation "trace_spans" does not exist [42P01]`.
// DeadlineExceeded: no answer until `deadline`. What was asked may still be under way; the
// connection IsStuck and good for nothing but to be closed.
[[nodiscard]] absl::StatusOr<Result> Query(PGconn* connection, const std::string& sql,
                                           const std::vector<Parameter>& parameters = {},
                                           Deadline deadline = Deadline::max());

// Runs any number of statements separated by semicolons, as one implicit transaction.
[[nodiscard]] absl::Status Execute(PGconn* connection, const std::string& sql,
                                   Deadline deadline = Deadline::max());

// The answer to what a PQsend... function asked, the first failure where there are several; null
// where it did not come until `deadline`, or nothing could be sent.
[[nodiscard]] Result Await(PGconn* connection, Deadline deadline);

// True where an answer was given up, or the connection is gone.
[[nodiscard]] bool IsStuck(const PGconn* connection);

// The SQLSTATE at the end of a message made by Query or Execute, or "".
[[nodiscard]] std::string_view SqlState(const absl::Status& status);

// A cell as text; SQL NULL is "".
[[nodiscard]] std::string_view Cell(const PGresult* result, int row, int column);

}  // namespace spanring::pg

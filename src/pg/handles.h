// Owned libpq handles, and libpq's words on one line.
// Threads: a connection and its results belong to one thread at a time.
// Memory: released with their owner.
// Errors: none.
// Design: docs/architecture.md
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace spanring::pg {

struct ConnectionCloser {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using Connection = std::unique_ptr<PGconn, ConnectionCloser>;

struct ResultClearer {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ResultClearer>;

// A text parameter of a query, or NULL.
using Parameter = std::optional<std::string>;

// When to wait no longer.
using Deadline = std::chrono::steady_clock::time_point;

// What is wrong with a connection string or URL, "" when nothing is that can be told without a
// server. Never a part of it: a password with an unescaped character lands anywhere when libpq
// reads it, and then in libpq's own messages.
[[nodiscard]] std::string_view FaultOf(const std::string& conninfo);

// The database that a connection string names, without who connects and how: "host:port/name",
// behind "service@" where a service file has a word in it.
[[nodiscard]] std::string TargetOf(const std::string& conninfo);

// libpq's messages span lines and end in one; logs and terminals want a single line.
[[nodiscard]] std::string OneLine(std::string_view message);

}  // namespace spanring::pg

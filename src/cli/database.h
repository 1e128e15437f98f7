// Which database a command talks to, and how its failures are told without giving secrets away.
// Threads: a connection belongs to one thread.
// Memory: handles are owned.
// Errors: absl::Status with what to do; no message ever holds a password or a connection string.
// Design: docs/architecture.md
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/context.h"
#include "pg/client.h"

namespace spanring::cli {

// On the private server, for whoever names none.
inline constexpr char kDevDatabase[] = "spanring";

struct Target {
  std::string conninfo;   // for libpq; may hold a password: never print it
  std::string source;     // "--database", "DATABASE_URL", "PG* variables", "the dev server"
  std::string described;  // `database "x" on host:port as user`, safe to print
  std::string missing;    // What to do where nobody listens there; mostly empty.
};

// --database, else DATABASE_URL, else libpq's PG* variables, else the dev server in the state
// folder when it runs. A plain name in --database is a database of the dev server, if that runs
// and PGHOST is not set. InvalidArgument when it cannot be parsed, FailedPrecondition when there
// is none.
[[nodiscard]] absl::StatusOr<Target> Resolve(const Context& context);

// Connects; a note on stderr says when the dev server was taken without being asked for.
[[nodiscard]] absl::StatusOr<pg::Connection> Connect(const Target& target);

// Turns a query's failure into what to do: a missing table means `spanring migrate`.
[[nodiscard]] absl::Status Explain(const Context& context, const Target& target,
                                   const absl::Status& status);

// A connection with its target, for commands that ask one or two questions.
class Session {
 public:
  [[nodiscard]] static absl::StatusOr<Session> Open(const Context& context);

  [[nodiscard]] absl::StatusOr<pg::Result> Query(
      const std::string& sql, const std::vector<pg::Parameter>& parameters = {}) const;

  // Runs `sql`, one row with one column of JSON, and prints it.
  [[nodiscard]] absl::StatusOr<int> PrintJson(
      const std::string& sql, const std::vector<pg::Parameter>& parameters = {}) const;

  [[nodiscard]] PGconn* connection() const { return connection_.get(); }
  [[nodiscard]] const Target& target() const { return target_; }

 private:
  Session(const Context& context, Target target, pg::Connection connection)
      : context_(&context), target_(std::move(target)), connection_(std::move(connection)) {}

  const Context* context_;
  Target target_;
  pg::Connection connection_;
};

// A cell by its column's name; "" when NULL or when there is no such column.
[[nodiscard]] std::string Field(const pg::Result& result, int row, const char* column);
[[nodiscard]] bool IsNull(const pg::Result& result, int row, const char* column);

}  // namespace spanring::cli

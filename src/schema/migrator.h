// Brings a database's Spanring schema up to this program's, takes it down, or says where it stands.
// Threads: a connection belongs to one thread; any number of processes may migrate at once.
// Memory: results are owned by the caller.
// Errors: absl::Status; FailedPrecondition = the operator must act, and the message says how.
// Design: docs/architecture.md
#pragma once

#include <libpq-fe.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace spanring::schema {

struct MigrationState {
  int version = 0;
  std::string name;
  bool applied = false;
  std::string applied_at;  // as the server prints a timestamptz; empty when pending
};

struct SchemaStatus {
  // Every migration known to the program or the database, by version.
  std::vector<MigrationState> migrations;
  // The views and functions are exactly this program's.
  bool objects_current = false;
  int newest_in_database = 0;  // 0 when nothing was applied
  int newest_in_program = 0;

  [[nodiscard]] bool DatabaseIsNewer() const { return newest_in_database > newest_in_program; }
  [[nodiscard]] bool IsCurrent() const {
    return objects_current && newest_in_database == newest_in_program;
  }
};

struct MigrateReport {
  std::vector<std::string> applied;  // "001_set_aside_earlier_table", in the order of execution
  bool objects_applied = false;      // views and functions were created, replaced or dropped
  std::vector<std::string> notices;  // what an operator should know: rows adopted, roles skipped
};

// Everything lies in the schema that comes first in the connection's search_path. The connection
// must not be inside a transaction; each call runs one of its own, holding no session state, so a
// pooler in transaction mode is fine.

// Reads only; a database without any of it yields a list of pending migrations.
[[nodiscard]] absl::StatusOr<SchemaStatus> Status(PGconn* connection);

// Applies what is pending, all of it or nothing. On a current database it takes no lock that a
// reader or writer could notice. FailedPrecondition when the database is newer than the program,
// when an applied migration's text differs, or when a foreign table is in the way.
[[nodiscard]] absl::StatusOr<MigrateReport> Up(PGconn* connection);

// Takes back every migration above `to_version`, newest first, and drops the views and functions;
// Up creates them again. The two group roles stay, since other databases may use them.
// FailedPrecondition unless `allow_data_loss`, when any migration would be taken back.
[[nodiscard]] absl::StatusOr<MigrateReport> Down(PGconn* connection, int to_version,
                                                 bool allow_data_loss);

}  // namespace spanring::schema

// Where this machine keeps the programs of a PostgreSQL server (postgres, initdb).
// Threads: stateless.
// Memory: returned by value.
// Errors: absl::Status; FailedPrecondition with the package to install.
// Design: docs/operations.md
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace spanring::dev {

struct ServerPrograms {
  std::string directory;  // holds postgres and initdb
  int major = 0;          // 15
};

// The programs to use. `major` 0 takes the first of: SPANRING_PG_BINDIR, `pg_config --bindir`,
// /usr/lib/postgresql/*/bin from the newest down, PATH. Any other value asks for that major
// version: a data folder can only be opened by the version that made it.
[[nodiscard]] absl::StatusOr<ServerPrograms> FindServerPrograms(int major = 0);

// "postgres (PostgreSQL) 15.13 (Debian ...)" -> 15; 0 when it is not such a line.
[[nodiscard]] int ParseServerMajor(const std::string& version_line);

}  // namespace spanring::dev

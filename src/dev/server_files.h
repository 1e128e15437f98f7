// The folders and files of a private server: where they lie, who may enter, what they say.
// Threads: stateless.
// Memory: returned by value.
// Errors: absl::Status; FailedPrecondition names the path and what to do.
// Design: docs/operations.md
//
// BASE is STATE/postgres; when root's server user cannot pass through STATE (a fresh clone under
// /root), /var/lib/spanring/HASH, else /tmp/spanring-HASH, HASH being that of STATE's path.
//   BASE/            0711 root (0700 for anybody else): only we can put files here
//   BASE/data/       0700 server user: what initdb makes
//   BASE/socket/     0700 server user: the way in; who cannot enter cannot connect
//   BASE/server.log  BASE/postgresql.conf  BASE/pg_hba.conf  BASE/local.conf (yours, if you make
//   it)
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dev/process.h"

namespace spanring::dev {

// sun_path holds 108 bytes with its NUL; the server appends "/.s.PGSQL.5432".
inline constexpr std::size_t kMaxSocketFolderBytes = 107 - 14;

struct ServerOptions {
  // False turns fsync off: for tests, whose data need not survive a crash of the machine.
  bool durable = true;
  std::vector<std::string> hba_lines;  // in front of ours in pg_hba.conf
  std::vector<std::string> settings;   // `name = value` lines behind ours in postgresql.conf
};

// What postmaster.pid says.
struct PostmasterFile {
  pid_t pid = 0;
  std::string socket_folder;
};

// 16 hexadecimal digits that stay the same for a path.
[[nodiscard]] std::string PathHash(std::string_view path);

// The base of a state folder that has been used before, else the first choice; changes nothing.
[[nodiscard]] std::string ExistingBase(const std::string& state_dir);

// The base for a new server, made with the rights above; `identity` will be able to reach it.
[[nodiscard]] absl::StatusOr<std::string> MakeBase(const std::string& state_dir,
                                                   const Identity& identity);

// A folder for the socket, short enough, 0700 and owned by `identity`; made when it is missing.
[[nodiscard]] absl::StatusOr<std::string> MakeSocketFolder(const std::string& base,
                                                           const Identity& identity);

// Makes `path` a folder with this mode and owner. An existing one must already be the owner's own
// and closed to others as `mode` says: a folder that somebody else put there is refused.
[[nodiscard]] absl::Status MakeOwnedFolder(const std::string& path, mode_t mode, uid_t uid,
                                           gid_t gid);

[[nodiscard]] absl::Status WriteConfiguration(const std::string& base,
                                              const std::string& socket_folder,
                                              const ServerOptions& options);

[[nodiscard]] PostmasterFile ReadPostmasterFile(const std::string& data_folder);

// The last `max_lines` lines behind byte `offset`, joined by " | ".
[[nodiscard]] std::string TailOfLog(const std::string& path, std::size_t offset, int max_lines);

[[nodiscard]] std::size_t FileBytes(const std::string& path);

}  // namespace spanring::dev

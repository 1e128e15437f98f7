// Child processes of the private server: as which user, run to the end, or left running detached.
// Threads: stateless; between fork and exec only async-signal-safe calls are made.
// Memory: everything is returned by value; captured output is bounded by kMaxCapturedBytes.
// Errors: absl::Status; FailedPrecondition when a program or a user cannot be had.
// Design: docs/operations.md
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace spanring::dev {

inline constexpr std::size_t kMaxCapturedBytes = 64 * 1024;

// The user a child runs as. `switch_user` is false when that is who we are already.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string name;
  bool switch_user = false;
};

// PostgreSQL refuses to run as root: root gets `postgres`, else `nobody`; anybody else themselves.
[[nodiscard]] absl::StatusOr<Identity> ServerIdentity();

// The user with this id, as seen from the caller.
[[nodiscard]] Identity IdentityOf(uid_t uid, gid_t gid);

struct Command {
  std::vector<std::string> arguments;    // arguments[0] is the program's absolute path
  std::vector<std::string> environment;  // NAME=value; nothing else is passed on
  std::string working_directory = "/";
};

struct Finished {
  int exit_code = 0;   // 128 + signal when it was killed
  std::string output;  // stdout and stderr, the last kMaxCapturedBytes of them
};

// Runs a command to its end with /dev/null as its input.
[[nodiscard]] absl::StatusOr<Finished> Run(const Command& command, const Identity& identity);

// Starts a command in a session of its own that outlives the caller: no descriptor of ours is left
// open in it, its output is appended to `log_path`, its parent is init. Returns its process id.
[[nodiscard]] absl::StatusOr<pid_t> SpawnDetached(const Command& command, const Identity& identity,
                                                  const std::string& log_path);

// True when `identity` may pass through `directory`, tried as that user.
[[nodiscard]] bool CanTraverse(const Identity& identity, const std::string& directory);

// A zombie counts as gone: in a container nobody may ever collect it.
[[nodiscard]] bool ProcessAlive(pid_t pid);

[[nodiscard]] std::vector<std::string> CommandLineOf(pid_t pid);

[[nodiscard]] std::vector<pid_t> ChildrenOf(pid_t pid);

// True when a process has `folder` as its working directory, as every process of a server has.
[[nodiscard]] bool AnyProcessIn(const std::string& folder);

}  // namespace spanring::dev

// A private PostgreSQL in a state folder: made, started, stopped and found again by any process.
// Threads: one object belongs to one thread at a time; any number of processes may use one folder.
// Memory: plain values; the server itself outlives the object and the process.
// Errors: absl::Status in one line that says what to do; a failed start carries the log's tail.
// Design: docs/operations.md
//
// It listens on a Unix socket only, in a folder that its owner and root alone can enter. Called by
// root the server runs as `postgres` (else `nobody`), never as root.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dev/process.h"
#include "dev/server_files.h"

namespace spanring::dev {

class PrivateServer {
 public:
  static constexpr std::chrono::milliseconds kStartDeadline{60'000};
  static constexpr std::chrono::milliseconds kStopDeadline{20'000};
  static constexpr char kSuperuser[] = "spanring";

  // Looks at the folder; makes, changes and starts nothing. The folder need not exist.
  [[nodiscard]] static absl::StatusOr<PrivateServer> Open(const std::string& state_dir,
                                                          ServerOptions options = {});

  // Makes the server's data where there are none, starts it and waits until it answers. One that
  // runs is left alone. A postmaster.pid left by a crash or a reboot is no hindrance.
  // DeadlineExceeded: it was started and does not answer yet. FailedPrecondition: with the log.
  [[nodiscard]] absl::Status Start(std::chrono::milliseconds deadline = kStartDeadline);

  // Ends the server in order, and at the deadline by force, which is safe too (it recovers at the
  // next start). OK when none runs.
  [[nodiscard]] absl::Status Stop(std::chrono::milliseconds deadline = kStopDeadline);

  [[nodiscard]] absl::Status Restart(std::chrono::milliseconds deadline = kStartDeadline);

  // SIGKILL to the postmaster and all of its processes at once: a crash, for tests.
  [[nodiscard]] absl::Status Kill();

  // The postmaster lives. It may still be starting up, or stopped by a signal: see answers().
  [[nodiscard]] bool running() const { return pid() != 0; }
  [[nodiscard]] bool answers() const;

  // The postmaster's process id, 0 when none runs.
  [[nodiscard]] pid_t pid() const;

  // How to connect, for libpq: "host='...' port=5432 user='spanring' dbname='...'".
  [[nodiscard]] std::string conninfo(std::string_view database = "postgres") const;

  // The same as a URL, for DATABASE_URL.
  [[nodiscard]] std::string url(std::string_view database = "postgres") const;

  // Makes a database unless there is one of that name.
  [[nodiscard]] absl::Status EnsureDatabase(const std::string& name) const;

  // Drops a database with everybody in it, and makes it anew.
  [[nodiscard]] absl::Status RecreateDatabase(const std::string& name) const;

  [[nodiscard]] const std::string& state_dir() const { return state_dir_; }
  [[nodiscard]] std::string data_folder() const { return base_ + "/data"; }
  [[nodiscard]] std::string socket_folder() const;
  [[nodiscard]] std::string log_path() const { return base_ + "/server.log"; }

  // Why the data are not in the state folder, in one line; "" when they are.
  [[nodiscard]] std::string relocation_notice() const;

  // Stops the server and removes its data and sockets. The state folder itself stays.
  [[nodiscard]] absl::Status Remove();

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] absl::Status Prepare();
  [[nodiscard]] absl::Status InitData();
  [[nodiscard]] absl::Status Launch(Clock::time_point deadline, bool* try_again);
  [[nodiscard]] absl::Status WaitUntilReady(pid_t started, std::size_t log_offset,
                                            Clock::time_point deadline, bool* try_again) const;
  [[nodiscard]] absl::Status StopLocked(std::chrono::milliseconds deadline);
  [[nodiscard]] absl::Status UnderLock(
      std::chrono::milliseconds deadline,
      absl::Status (PrivateServer::*step)(std::chrono::milliseconds));
  [[nodiscard]] absl::Status StartLocked(std::chrono::milliseconds deadline);
  void RemoveForeignPidFile() const;

  std::string state_dir_;
  ServerOptions options_;
  Identity identity_;
  std::string base_;
  std::string socket_folder_;  // "" until Prepare; a running server's own word comes first
};

}  // namespace spanring::dev

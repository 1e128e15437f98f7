// A private PostgreSQL for tests: its own folder under TMPDIR, gone with the object.
// Threads: as PrivateServer.
// Memory: move-only; the destructor kills the server and removes its folder.
// Errors: absl::Status from Create; the destructor keeps silent.
// Design: docs/operations.md
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "dev/private_server.h"

namespace spanring::dev {

class TemporaryServer {
 public:
  // Started and answering, not durable unless asked. Folders that tests left behind when they were
  // killed (their lock is free) are removed on the way, their servers with them.
  [[nodiscard]] static absl::StatusOr<TemporaryServer> Create(
      ServerOptions options = {.durable = false, .hba_lines = {}, .settings = {}});

  ~TemporaryServer();
  TemporaryServer(TemporaryServer&& other) noexcept;
  TemporaryServer& operator=(TemporaryServer&&) = delete;

  PrivateServer* operator->() { return &server_; }
  PrivateServer& operator*() { return server_; }

 private:
  TemporaryServer(PrivateServer server, int lock_fd)
      : server_(std::move(server)), lock_fd_(lock_fd) {}

  PrivateServer server_;
  int lock_fd_;  // held while the owner lives; -1 when moved from
};

}  // namespace spanring::dev

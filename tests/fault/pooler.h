// A PgBouncer in transaction mode in front of a server, on a Unix socket in a folder of its own.
// Threads: one.
// Memory: the destructor kills it and removes its folder.
// Errors: a failure of set-up throws.
// Design: docs/reliability.md
#pragma once

#include <sys/types.h>

#include <string>

#include "dev/private_server.h"
#include "fault/fixture.h"

namespace spanring::test {

class Pooler {
 public:
  // False when this machine has none.
  static bool Available() { return !FindProgram("pgbouncer").empty(); }

  // Started, and answering.
  explicit Pooler(const dev::PrivateServer& server);
  ~Pooler() { Kill(); }
  Pooler(const Pooler&) = delete;
  Pooler& operator=(const Pooler&) = delete;

  void Start();
  // In order, but without waiting for its clients.
  void Stop();
  void Kill();

  // How to connect, for libpq: it overrides what a conninfo in front of it says.
  std::string conninfo() const { return "host='" + folder_.path() + "' port=5432"; }
  std::string socket() const { return folder_ / ".s.PGSQL.5432"; }
  std::string log_path() const { return folder_ / "log"; }

 private:
  void End(int signal_number);

  const ServerFolder folder_{"pooler"};
  pid_t pid_ = 0;
};

}  // namespace spanring::test

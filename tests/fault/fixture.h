// What the fault fixtures share: programs of this machine, and folders that the server's user owns.
// Threads: stateless; a folder belongs to one thread.
// Memory: a folder goes with its object.
// Errors: a failure of set-up throws.
// Design: docs/reliability.md
#pragma once

#include <string>
#include <vector>

#include "dev/process.h"

namespace spanring::test {

// The absolute path of a program, looked for in PATH and the folders of system programs; "" when
// this machine has none.
std::string FindProgram(const std::string& name);

// Who runs servers: PostgreSQL and PgBouncer refuse to be root.
dev::Identity ServerUser();

// A temporary folder that belongs to ServerUser() and is closed to all others but root.
class ServerFolder {
 public:
  explicit ServerFolder(const std::string& purpose);
  ~ServerFolder();
  ServerFolder(const ServerFolder&) = delete;
  ServerFolder& operator=(const ServerFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  // Writes a file of 0600 that belongs to ServerUser().
  void Write(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
};

// Runs a command as ServerUser() in `folder`; what it says is the failure when it fails.
void RunIn(const ServerFolder& folder, const std::vector<std::string>& arguments);

}  // namespace spanring::test

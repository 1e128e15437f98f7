#include "fault/pooler.h"

#include <libpq-fe.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

#include "absl/strings/str_cat.h"

namespace spanring::test {
namespace {

// Who may enter the folder may connect, as with the server itself. A server that comes back is
// tried again after a second, not after fifteen.
constexpr char kSettings[] = R"([pgbouncer]
listen_addr =
listen_port = 5432
unix_socket_mode = 0700
auth_type = any
pool_mode = transaction
default_pool_size = 4
server_login_retry = 1
)";

}  // namespace

Pooler::Pooler(const dev::PrivateServer& server) {
  folder_.Write("pgbouncer.ini",
                absl::StrCat(kSettings, "unix_socket_dir = ", folder_.path(),
                             "\n[databases]\n* = host=", server.socket_folder(),
                             " port=5432 user=", dev::PrivateServer::kSuperuser, "\n"));
  Start();
}

void Pooler::Start() {
  const auto started =
      dev::SpawnDetached({.arguments = {FindProgram("pgbouncer"), folder_ / "pgbouncer.ini"},
                          .environment = {"PATH=/usr/bin:/bin", "LC_ALL=C", "HOME=/"},
                          .working_directory = folder_.path()},
                         ServerUser(), log_path());
  if (!started.ok()) throw std::runtime_error(started.status().ToString());
  pid_ = *started;
  const std::string to_itself = conninfo() + " dbname=pgbouncer user=nobody connect_timeout=2";
  for (int i = 0; i < 1000 && dev::ProcessAlive(pid_); ++i) {
    if (PQping(to_itself.c_str()) == PQPING_OK) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  std::ifstream log(log_path());
  throw std::runtime_error("pgbouncer does not answer: " +
                           std::string((std::istreambuf_iterator<char>(log)), {}));
}

void Pooler::Stop() { End(SIGTERM); }
void Pooler::Kill() { End(SIGKILL); }

void Pooler::End(int signal_number) {
  if (pid_ == 0) return;
  kill(pid_, signal_number);
  for (int i = 0; i < 1000 && dev::ProcessAlive(pid_); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (dev::ProcessAlive(pid_)) kill(pid_, SIGKILL);
  pid_ = 0;
}

}  // namespace spanring::test

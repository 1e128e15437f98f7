#include "dev/private_server.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "dev/server_programs.h"
#include "pg/client.h"

namespace spanring::dev {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds kPoll{15};

class FolderLock {
 public:
  explicit FolderLock(int fd) : fd_(fd) {}
  ~FolderLock() { close(fd_); }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_;
};

std::string ConninfoValue(std::string_view value) {
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  return quoted + "'";
}

std::string PercentEncoded(std::string_view value) {
  std::string encoded;
  for (const char c : value) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '/';
    char hex[4];
    std::snprintf(hex, sizeof(hex), "%%%02X", static_cast<unsigned char>(c));
    encoded += plain ? std::string(1, c) : std::string(hex);
  }
  return encoded;
}

std::string QuotedIdentifier(const std::string& name) {
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

// Only a postmaster on exactly these data counts: after a reboot its number may be anybody's.
bool IsPostmasterOf(pid_t pid, const std::string& data_folder) {
  if (!ProcessAlive(pid)) return false;
  const std::vector<std::string> arguments = CommandLineOf(pid);
  return !arguments.empty() && arguments[0].ends_with("/postgres") &&
         std::find(arguments.begin(), arguments.end(), data_folder) != arguments.end();
}

std::vector<std::string> ServerEnvironment() {
  return {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=/"};
}

int MajorOfData(const std::string& data_folder) {
  std::ifstream file(data_folder + "/PG_VERSION");
  int major = 0;
  file >> major;
  return major;
}

}  // namespace

absl::StatusOr<PrivateServer> PrivateServer::Open(const std::string& state_dir,
                                                  ServerOptions options) {
  std::error_code error;
  const fs::path absolute = fs::weakly_canonical(fs::absolute(state_dir), error);
  if (state_dir.empty() || error) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot use the state folder '", state_dir, "': choose another with --state"));
  }
  PrivateServer server;
  server.state_dir_ = absolute.string();
  while (server.state_dir_.size() > 1 && server.state_dir_.back() == '/') {
    server.state_dir_.pop_back();
  }
  server.options_ = std::move(options);
  server.base_ = ExistingBase(server.state_dir_);
  struct stat info;
  if (stat(server.data_folder().c_str(), &info) == 0 && info.st_uid != 0) {
    server.identity_ = IdentityOf(info.st_uid, info.st_gid);  // whoever's the data are
    return server;
  }
  absl::StatusOr<Identity> identity = ServerIdentity();
  if (!identity.ok()) return identity.status();
  server.identity_ = *identity;
  return server;
}

pid_t PrivateServer::pid() const {
  const PostmasterFile file = ReadPostmasterFile(data_folder());
  return file.pid > 0 && IsPostmasterOf(file.pid, data_folder()) ? file.pid : 0;
}

bool PrivateServer::answers() const {
  return running() && PQping((conninfo() + " connect_timeout=2").c_str()) == PQPING_OK;
}

std::string PrivateServer::socket_folder() const {
  const PostmasterFile file = ReadPostmasterFile(data_folder());
  return file.socket_folder.empty() ? socket_folder_ : file.socket_folder;
}

std::string PrivateServer::conninfo(std::string_view database) const {
  return absl::StrCat("host=", ConninfoValue(socket_folder()), " port=5432 user=", kSuperuser,
                      " dbname=", ConninfoValue(database));
}

std::string PrivateServer::url(std::string_view database) const {
  return absl::StrCat("postgresql://", kSuperuser, "@/", PercentEncoded(database),
                      "?host=", PercentEncoded(socket_folder()));
}

std::string PrivateServer::relocation_notice() const {
  if (base_ == state_dir_ + "/postgres") return "";
  return absl::StrCat("the database's files are in ", base_, ", since its user `", identity_.name,
                      "` cannot pass through ", state_dir_);
}

absl::Status PrivateServer::UnderLock(milliseconds deadline,
                                      absl::Status (PrivateServer::*step)(milliseconds)) {
  const Clock::time_point end = Clock::now() + deadline;
  std::error_code error;
  if (fs::create_directories(state_dir_, error)) {
    chmod(state_dir_.c_str(), identity_.switch_user ? 0711 : 0700);
  }
  const std::string path = state_dir_ + "/postgres.lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot write into ", state_dir_, ": ", std::strerror(errno),
                     ": make it yours, or choose another folder with --state"));
  }
  const FolderLock lock(fd);
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (Clock::now() >= end) {
      return absl::DeadlineExceededError(absl::StrCat(
          "another process is starting or stopping the server in ", state_dir_, ": try again"));
    }
    std::this_thread::sleep_for(kPoll);
  }
  base_ = ExistingBase(state_dir_);  // whoever held the lock may have made it
  return (this->*step)(
      std::max(milliseconds(1), std::chrono::duration_cast<milliseconds>(end - Clock::now())));
}

absl::Status PrivateServer::Start(milliseconds deadline) {
  return UnderLock(deadline, &PrivateServer::StartLocked);
}

absl::Status PrivateServer::Stop(milliseconds deadline) {
  if (!running()) return absl::OkStatus();
  return UnderLock(deadline, &PrivateServer::StopLocked);
}

absl::Status PrivateServer::Restart(milliseconds deadline) {
  if (absl::Status status = Stop(deadline); !status.ok()) return status;
  return Start(deadline);
}

absl::Status PrivateServer::StartLocked(milliseconds deadline) {
  const Clock::time_point end = Clock::now() + deadline;
  if (running()) {
    if (answers()) return absl::OkStatus();
    // A cleaner of /tmp or the end of a login session took the socket away: nobody can get in.
    const bool lost = access((socket_folder() + "/.s.PGSQL.5432").c_str(), F_OK) != 0 &&
                      !ReadPostmasterFile(data_folder()).socket_folder.empty();
    bool ignored = false;
    if (!lost) return WaitUntilReady(pid(), FileBytes(log_path()), end, &ignored);
    if (absl::Status status = StopLocked(kStopDeadline); !status.ok()) return status;
  }
  if (absl::Status status = Prepare(); !status.ok()) return status;
  for (;;) {
    bool try_again = false;
    absl::Status status = Launch(end, &try_again);
    if (!try_again || Clock::now() >= end) return status;
    std::this_thread::sleep_for(milliseconds(200));
  }
}

absl::Status PrivateServer::Prepare() {
  struct stat info;
  if (stat(data_folder().c_str(), &info) == 0) {
    if (geteuid() != 0 && info.st_uid != geteuid()) {
      return absl::FailedPreconditionError(
          absl::StrCat(data_folder(), " belongs to user ", identity_.name,
                       ": call as root, or choose another folder with --state"));
    }
  } else {
    absl::StatusOr<std::string> base = MakeBase(state_dir_, identity_);
    if (!base.ok()) return base.status();
    base_ = *base;
    if (absl::Status status = InitData(); !status.ok()) return status;
  }
  absl::StatusOr<std::string> folder = MakeSocketFolder(base_, identity_);
  if (!folder.ok()) return folder.status();
  socket_folder_ = *folder;
  return WriteConfiguration(base_, socket_folder_, options_);
}

absl::Status PrivateServer::InitData() {
  absl::StatusOr<ServerPrograms> programs = FindServerPrograms();
  if (!programs.ok()) return programs.status();
  // Renamed when complete: a half-made folder of an interrupted start is never taken for data.
  const std::string fresh = base_ + "/data.new";
  std::string output;
  for (const char* locale : {"--locale=C.UTF-8", "--locale=C"}) {
    std::error_code error;
    fs::remove_all(fresh, error);
    absl::Status status = MakeOwnedFolder(fresh, 0700, identity_.uid, identity_.gid);
    if (!status.ok()) return status;
    Command command{.arguments = {programs->directory + "/initdb", "-D", fresh, "-U", kSuperuser,
                                  "-E", "UTF8", "--auth=trust", locale},
                    .environment = ServerEnvironment(),
                    .working_directory = fresh};
    if (!options_.durable) command.arguments.push_back("--no-sync");
    absl::StatusOr<Finished> finished = Run(command, identity_);
    if (!finished.ok()) return finished.status();
    if (finished->exit_code == 0) {
      if (rename(fresh.c_str(), data_folder().c_str()) == 0) return absl::OkStatus();
      return absl::FailedPreconditionError(
          absl::StrCat("cannot rename ", fresh, ": ", std::strerror(errno)));
    }
    output = pg::OneLine(finished->output.substr(
        finished->output.size() - std::min<std::size_t>(finished->output.size(), 400)));
  }
  return absl::FailedPreconditionError(
      absl::StrCat("initdb failed in ", base_, ": check space and rights there: ", output));
}

// PostgreSQL itself sees through a postmaster.pid whose process is gone. What it cannot tell from a
// running server is that number given, since a reboot, to another process of the same user, or a
// zombie that nobody collects. As long as any process works in the data folder, the file stays.
void PrivateServer::RemoveForeignPidFile() const {
  const PostmasterFile file = ReadPostmasterFile(data_folder());
  if (file.pid <= 0 || running() || AnyProcessIn(data_folder())) return;
  unlink((data_folder() + "/postmaster.pid").c_str());
  if (!file.socket_folder.empty()) {
    unlink((file.socket_folder + "/.s.PGSQL.5432.lock").c_str());
  }
}

absl::Status PrivateServer::Launch(Clock::time_point deadline, bool* try_again) {
  absl::StatusOr<ServerPrograms> programs = FindServerPrograms(MajorOfData(data_folder()));
  if (!programs.ok()) return programs.status();
  RemoveForeignPidFile();
  if (FileBytes(log_path()) > 4 * 1024 * 1024) {
    [[maybe_unused]] const int ignored = rename(log_path().c_str(), (log_path() + ".1").c_str());
  }
  const std::size_t log_offset = FileBytes(log_path());
  const Command command{.arguments = {programs->directory + "/postgres", "-D", data_folder(), "-c",
                                      "config_file=" + base_ + "/postgresql.conf", "-c",
                                      "hba_file=" + base_ + "/pg_hba.conf"},
                        .environment = ServerEnvironment(),
                        .working_directory = data_folder()};
  absl::StatusOr<pid_t> started = SpawnDetached(command, identity_, log_path());
  if (!started.ok()) return started.status();
  return WaitUntilReady(*started, log_offset, deadline, try_again);
}

absl::Status PrivateServer::WaitUntilReady(pid_t started, std::size_t log_offset,
                                           Clock::time_point deadline, bool* try_again) const {
  while (Clock::now() < deadline) {
    // Its own word, so that a server of another folder is never taken for it.
    if (pid() == started && answers()) return absl::OkStatus();
    if (!ProcessAlive(started)) {
      const std::string tail = TailOfLog(log_path(), log_offset, 4);
      // The last processes of a killed server let go of its memory within moments.
      *try_again = tail.find("shared memory block") != std::string::npos ||
                   tail.find("already exists") != std::string::npos;
      return absl::FailedPreconditionError(
          absl::StrCat("the private PostgreSQL did not start; see ", log_path(), ": ", tail));
    }
    std::this_thread::sleep_for(kPoll);
  }
  return absl::DeadlineExceededError(absl::StrCat("the private PostgreSQL (process ", started,
                                                  ") does not answer in time; see ", log_path(),
                                                  ": ", TailOfLog(log_path(), log_offset, 2)));
}

absl::Status PrivateServer::StopLocked(milliseconds deadline) {
  const pid_t postmaster = pid();
  if (postmaster == 0) return absl::OkStatus();
  const auto wait_for_end = [postmaster](milliseconds patience) {
    const Clock::time_point end = Clock::now() + patience;
    while (ProcessAlive(postmaster) && Clock::now() < end) std::this_thread::sleep_for(kPoll);
    return !ProcessAlive(postmaster);
  };
  if (kill(postmaster, SIGINT) != 0 && errno == EPERM) {
    return absl::FailedPreconditionError(absl::StrCat("the server is process ", postmaster,
                                                      " of user ", identity_.name,
                                                      ": call as that user or as root"));
  }
  kill(postmaster, SIGCONT);  // one that was stopped would never see the signal
  if (wait_for_end(deadline)) return absl::OkStatus();
  kill(postmaster, SIGQUIT);
  if (wait_for_end(milliseconds(5000))) return absl::OkStatus();
  return Kill();
}

absl::Status PrivateServer::Kill() {
  const pid_t postmaster = pid();
  if (postmaster == 0) return absl::OkStatus();
  const std::vector<pid_t> children = ChildrenOf(postmaster);
  if (kill(postmaster, SIGKILL) != 0 && errno != ESRCH) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot kill process ", postmaster, ": ", std::strerror(errno)));
  }
  for (const pid_t child : children) kill(child, SIGKILL);
  const auto gone = [](pid_t process) { return !ProcessAlive(process); };
  for (int i = 0; i < 1000; ++i) {
    if (gone(postmaster) && std::all_of(children.begin(), children.end(), gone)) {
      return absl::OkStatus();
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
  return absl::DeadlineExceededError(absl::StrCat("process ", postmaster, " does not die"));
}

absl::Status PrivateServer::EnsureDatabase(const std::string& name) const {
  absl::StatusOr<pg::Connection> connection = pg::Connect(conninfo(), "spanring dev");
  if (!connection.ok()) return connection.status();
  absl::Status status = pg::Execute(connection->get(), "CREATE DATABASE " + QuotedIdentifier(name));
  // 42P04: it is there; 23505: another process made it at this moment.
  if (pg::SqlState(status) == "42P04" || pg::SqlState(status) == "23505") return absl::OkStatus();
  return status;
}

absl::Status PrivateServer::RecreateDatabase(const std::string& name) const {
  absl::StatusOr<pg::Connection> connection = pg::Connect(conninfo(), "spanring dev");
  if (!connection.ok()) return connection.status();
  absl::Status status = pg::Execute(
      connection->get(),
      absl::StrCat("DROP DATABASE IF EXISTS ", QuotedIdentifier(name), " WITH (FORCE)"));
  if (!status.ok()) return status;
  return pg::Execute(connection->get(), "CREATE DATABASE " + QuotedIdentifier(name));
}

absl::Status PrivateServer::Remove() {
  const std::string folder = socket_folder();
  if (absl::Status status = Stop(milliseconds(5000)); !status.ok()) return status;
  std::error_code error;
  if (!folder.empty()) fs::remove_all(folder, error);
  fs::remove_all(base_, error);
  if (!error) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("cannot remove ", base_, ": ", error.message()));
}

}  // namespace spanring::dev

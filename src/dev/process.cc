#include "dev/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace spanring::dev {
namespace {

// What the child reports over a close-on-exec pipe: nothing at all when exec succeeded.
struct ChildReport {
  pid_t pid = 0;  // of the program, sent before exec
  int error = 0;  // errno of the step that failed, or 0
  char step[24] = {};
};

struct Prepared {
  explicit Prepared(const Command& command) {
    for (const std::string& argument : command.arguments) argv.push_back(argument.c_str());
    for (const std::string& variable : command.environment) envp.push_back(variable.c_str());
    argv.push_back(nullptr);
    envp.push_back(nullptr);
  }
  std::vector<const char*> argv;
  std::vector<const char*> envp;
};

[[noreturn]] void FailChild(int report_fd, const char* step) {
  ChildReport report;
  report.pid = getpid();
  report.error = errno;
  std::strncpy(report.step, step, sizeof(report.step) - 1);
  [[maybe_unused]] const ssize_t written = write(report_fd, &report, sizeof(report));
  _exit(127);
}

// Gives up every right that `identity` does not have. Group first: later there is no right to.
bool BecomeUser(const Identity& identity) {
  if (!identity.switch_user) return true;
  return setgroups(1, &identity.gid) == 0 &&
         setresgid(identity.gid, identity.gid, identity.gid) == 0 &&
         setresuid(identity.uid, identity.uid, identity.uid) == 0;
}

void ResetSignals() {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) sigaction(number, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Runs in the child: only async-signal-safe calls from here to execve.
[[noreturn]] void ExecChild(const Prepared& prepared, const Identity& identity,
                            const char* working_directory, int output_fd, int report_fd) {
  ResetSignals();
  if (!BecomeUser(identity)) FailChild(report_fd, "change user");
  if (chdir(working_directory) != 0) FailChild(report_fd, "chdir");
  const int null_fd = open("/dev/null", O_RDONLY);
  if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
      dup2(output_fd, STDERR_FILENO) < 0) {
    FailChild(report_fd, "redirect");
  }
  umask(077);
  // Descriptors without FD_CLOEXEC that some library left open must not reach the program.
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  execve(prepared.argv[0], const_cast<char* const*>(prepared.argv.data()),
         const_cast<char* const*>(prepared.envp.data()));
  FailChild(report_fd, "exec");
}

absl::Status ErrnoStatus(std::string_view what, int error) {
  return absl::FailedPreconditionError(absl::StrCat(std::string(what), ": ", std::strerror(error)));
}

int WaitForExit(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string ReadAll(int fd) {
  std::string output;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    output.append(buffer, static_cast<std::size_t>(got));
    if (output.size() > 2 * kMaxCapturedBytes) output.erase(0, output.size() - kMaxCapturedBytes);
  }
  return output;
}

absl::Status StartFailure(const Command& command, const std::string& report_bytes) {
  ChildReport report;
  if (report_bytes.size() < sizeof(report)) return absl::OkStatus();
  std::memcpy(&report, report_bytes.data() + report_bytes.size() - sizeof(report), sizeof(report));
  if (report.error == 0) return absl::OkStatus();
  return ErrnoStatus(absl::StrCat("cannot start ", command.arguments[0], " (", report.step, ")"),
                     report.error);
}

// "pid (comm) S ppid ...": comm may hold spaces and parentheses, so look for the last one.
bool ReadStat(pid_t pid, char* state, pid_t* parent) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const std::size_t end = text.rfind(')');
  if (end == std::string::npos || end + 4 >= text.size()) return false;
  *state = text[end + 2];
  *parent = static_cast<pid_t>(std::strtol(text.c_str() + end + 4, nullptr, 10));
  return true;
}

std::vector<pid_t> AllProcesses() {
  std::vector<pid_t> processes;
  DIR* directory = opendir("/proc");
  if (directory == nullptr) return processes;
  while (const dirent* entry = readdir(directory)) {
    const pid_t pid = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
    if (pid > 0) processes.push_back(pid);
  }
  closedir(directory);
  return processes;
}

}  // namespace

Identity IdentityOf(uid_t uid, gid_t gid) {
  const passwd* entry = getpwuid(uid);
  return {.uid = uid,
          .gid = gid,
          .name = entry != nullptr ? entry->pw_name : absl::StrCat("user ", uid),
          .switch_user = uid != geteuid()};
}

absl::StatusOr<Identity> ServerIdentity() {
  if (geteuid() != 0) return IdentityOf(geteuid(), getegid());
  for (const char* name : {"postgres", "nobody"}) {
    const passwd* entry = getpwnam(name);
    if (entry != nullptr && entry->pw_uid != 0) return IdentityOf(entry->pw_uid, entry->pw_gid);
  }
  return absl::FailedPreconditionError(
      "PostgreSQL does not run as root and there is no user `postgres`: "
      "apt-get install postgresql, or call as another user");
}

absl::StatusOr<Finished> Run(const Command& command, const Identity& identity) {
  int output[2];
  int report[2];
  if (pipe2(output, O_CLOEXEC) != 0) return ErrnoStatus("pipe", errno);
  if (pipe2(report, O_CLOEXEC) != 0) {
    close(output[0]);
    close(output[1]);
    return ErrnoStatus("pipe", errno);
  }
  const Prepared prepared(command);
  const pid_t pid = fork();
  if (pid == 0) {
    ExecChild(prepared, identity, command.working_directory.c_str(), output[1], report[1]);
  }
  const int fork_error = errno;
  close(output[1]);
  close(report[1]);
  Finished finished;
  std::string report_bytes;
  if (pid > 0) {
    finished.output = ReadAll(output[0]);
    report_bytes = ReadAll(report[0]);
    finished.exit_code = WaitForExit(pid);
  }
  close(output[0]);
  close(report[0]);
  if (pid < 0) return ErrnoStatus("fork", fork_error);
  if (absl::Status status = StartFailure(command, report_bytes); !status.ok()) return status;
  return finished;
}

absl::StatusOr<pid_t> SpawnDetached(const Command& command, const Identity& identity,
                                    const std::string& log_path) {
  const int log_fd =
      open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (log_fd < 0) return ErrnoStatus(absl::StrCat("cannot write ", log_path), errno);
  if (identity.switch_user && fchown(log_fd, identity.uid, identity.gid) != 0) {
    close(log_fd);
    return ErrnoStatus(absl::StrCat("cannot give ", log_path, " to ", identity.name), errno);
  }
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) {
    close(log_fd);
    return ErrnoStatus("pipe", errno);
  }
  const Prepared prepared(command);
  const pid_t middle = fork();
  if (middle == 0) {
    // Twice: the program becomes init's child, so it is never our zombie, and leads no session
    // that a terminal could end.
    if (setsid() < 0) FailChild(report[1], "setsid");
    const pid_t program = fork();
    if (program < 0) FailChild(report[1], "fork");
    if (program > 0) _exit(0);
    ChildReport started;
    started.pid = getpid();
    [[maybe_unused]] const ssize_t written = write(report[1], &started, sizeof(started));
    ExecChild(prepared, identity, command.working_directory.c_str(), log_fd, report[1]);
  }
  const int fork_error = errno;
  close(report[1]);
  close(log_fd);
  std::string report_bytes;
  if (middle > 0) {
    report_bytes = ReadAll(report[0]);
    WaitForExit(middle);
  }
  close(report[0]);
  if (middle < 0) return ErrnoStatus("fork", fork_error);
  if (absl::Status status = StartFailure(command, report_bytes); !status.ok()) return status;
  if (report_bytes.size() < sizeof(ChildReport)) {
    return absl::InternalError(absl::StrCat("cannot start ", command.arguments[0]));
  }
  ChildReport started;
  std::memcpy(&started, report_bytes.data(), sizeof(started));
  return started.pid;
}

bool CanTraverse(const Identity& identity, const std::string& directory) {
  if (!identity.switch_user) return access(directory.c_str(), X_OK) == 0;
  const pid_t pid = fork();
  if (pid == 0) _exit(BecomeUser(identity) && access(directory.c_str(), X_OK) == 0 ? 0 : 1);
  return pid > 0 && WaitForExit(pid) == 0;
}

bool ProcessAlive(pid_t pid) {
  if (pid <= 0) return false;
  if (kill(pid, 0) != 0 && errno == ESRCH) return false;
  char state = '?';
  pid_t parent = 0;
  return !ReadStat(pid, &state, &parent) || (state != 'Z' && state != 'X');
}

std::vector<std::string> CommandLineOf(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/cmdline"), std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(file, argument, '\0');) arguments.push_back(argument);
  return arguments;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  for (const pid_t candidate : AllProcesses()) {
    char state = '?';
    pid_t parent = 0;
    if (ReadStat(candidate, &state, &parent) && parent == pid) children.push_back(candidate);
  }
  return children;
}

bool AnyProcessIn(const std::string& folder) {
  const std::vector<pid_t> processes = AllProcesses();
  return std::any_of(processes.begin(), processes.end(), [&folder](pid_t candidate) {
    std::error_code error;
    const std::filesystem::path where =
        std::filesystem::read_symlink(absl::StrCat("/proc/", candidate, "/cwd"), error);
    return !error && where == folder;
  });
}

}  // namespace spanring::dev

#include "dev/server_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace spanring::dev {
namespace {

namespace fs = std::filesystem;

constexpr char kVarLibFolder[] = "/var/lib/spanring";

bool Exists(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

std::vector<std::string> BaseCandidates(const std::string& state_dir) {
  const std::string hash = PathHash(state_dir);
  return {state_dir + "/postgres", absl::StrCat(kVarLibFolder, "/", hash),
          absl::StrCat("/tmp/spanring-", hash)};
}

std::vector<std::string> SocketCandidates(const std::string& base, const Identity& identity) {
  const std::string name = absl::StrCat("/spanring-", PathHash(base));
  std::vector<std::string> candidates = {base + "/socket"};
  if (geteuid() == 0) {
    candidates.push_back("/run" + name);
  } else if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime && runtime[0] == '/') {
    candidates.push_back(runtime + name);
  }
  candidates.push_back(absl::StrCat("/tmp", name, "-", identity.uid));
  return candidates;
}

absl::Status WriteFile(const std::string& path, const std::string& text, mode_t mode) {
  const std::string temporary = path + ".new";
  unlink(temporary.c_str());
  const int fd =
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  bool written = fd >= 0 && fchmod(fd, mode) == 0 &&
                 write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  if (fd >= 0) close(fd);
  if (written && rename(temporary.c_str(), path.c_str()) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("cannot write ", path, ": ", std::strerror(error)));
}

constexpr char kSettings[] =
    R"(# Written at every start; put your own settings into local.conf beside this file.
# The way in is a Unix socket in a folder that only its owner (and root) can enter.
listen_addresses = ''
unix_socket_permissions = 0700
port = 5432
max_connections = 100
shared_buffers = 128MB
max_wal_size = 2GB
checkpoint_timeout = 15min
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
log_checkpoints = off
password_encryption = scram-sha-256
lc_messages = 'C'
)";

// Its shared memory lies among its data, and goes with them when it is killed.
constexpr char kNotDurable[] = R"(dynamic_shared_memory_type = mmap
fsync = off
full_page_writes = off
synchronous_commit = off
)";

std::string Quoted(std::string_view value) {
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') quoted.push_back(c);
    quoted.push_back(c);
  }
  return quoted + "'";
}

}  // namespace

std::string PathHash(std::string_view path) {
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a: stable from release to release
  for (const char c : path) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

std::string ExistingBase(const std::string& state_dir) {
  const std::vector<std::string> candidates = BaseCandidates(state_dir);
  for (const std::string& base : candidates) {
    struct stat info;
    // Under /tmp anybody can make a folder of that name: only root's own counts, as in MakeBase.
    if (&base != &candidates.front() && (lstat(base.c_str(), &info) != 0 || info.st_uid != 0)) {
      continue;
    }
    if (Exists(base + "/data")) return base;
  }
  return candidates.front();
}

absl::Status MakeOwnedFolder(const std::string& path, mode_t mode, uid_t uid, gid_t gid) {
  if (mkdir(path.c_str(), 0700) == 0) {
    if ((geteuid() == uid || lchown(path.c_str(), uid, gid) == 0) &&
        chmod(path.c_str(), mode) == 0) {
      return absl::OkStatus();
    }
  } else if (errno == EEXIST) {
    struct stat info;
    if (lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == uid &&
        (info.st_mode & 0777 & ~mode) == 0) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is there already and not a private folder of user ", uid,
                     ": remove it, or choose another --state"));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "cannot make ", path, ": ", std::strerror(errno), ": choose another folder with --state"));
}

absl::StatusOr<std::string> MakeBase(const std::string& state_dir, const Identity& identity) {
  std::error_code error;
  const bool made = fs::create_directories(state_dir, error);
  if (error) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot make ", state_dir, ": ", error.message(), ": choose another folder with --state"));
  }
  // What lies in it has rights of its own; the server's user must only be able to pass through.
  if (made) chmod(state_dir.c_str(), identity.switch_user ? 0711 : 0700);
  const std::vector<std::string> candidates = BaseCandidates(state_dir);
  const mode_t mode = identity.switch_user ? 0711 : 0700;
  if (CanTraverse(identity, state_dir)) {
    absl::Status status = MakeOwnedFolder(candidates[0], mode, geteuid(), getegid());
    if (!status.ok()) return status;
    return candidates[0];
  }
  absl::Status status = MakeOwnedFolder(kVarLibFolder, 0711, geteuid(), getegid());
  if (status.ok()) status = MakeOwnedFolder(candidates[1], mode, geteuid(), getegid());
  if (status.ok() && CanTraverse(identity, candidates[1])) return candidates[1];
  status = MakeOwnedFolder(candidates[2], mode, geteuid(), getegid());
  if (!status.ok()) return status;
  return candidates[2];
}

absl::StatusOr<std::string> MakeSocketFolder(const std::string& base, const Identity& identity) {
  absl::Status status;
  for (const std::string& folder : SocketCandidates(base, identity)) {
    if (folder.size() > kMaxSocketFolderBytes) continue;
    status = MakeOwnedFolder(folder, 0700, identity.uid, identity.gid);
    if (status.ok() && CanTraverse(identity, folder)) return folder;
  }
  if (!status.ok()) return status;
  return absl::FailedPreconditionError(
      absl::StrCat(base, " is too long a path for a socket: choose a shorter --state"));
}

absl::Status WriteConfiguration(const std::string& base, const std::string& socket_folder,
                                const ServerOptions& options) {
  std::string settings = kSettings;
  absl::StrAppend(&settings, "unix_socket_directories = ", Quoted(socket_folder), "\n");
  if (!options.durable) settings += kNotDurable;
  for (const std::string& line : options.settings) absl::StrAppend(&settings, line, "\n");
  if (Exists(base + "/local.conf")) settings += "include 'local.conf'\n";
  std::string hba;
  for (const std::string& line : options.hba_lines) absl::StrAppend(&hba, line, "\n");
  hba +=
      "# Who can enter the socket's folder (0700) is who may connect; nothing else listens.\n"
      "local all all trust\n";
  absl::Status status = WriteFile(base + "/postgresql.conf", settings, 0644);
  if (status.ok()) status = WriteFile(base + "/pg_hba.conf", hba, 0644);
  return status;
}

PostmasterFile ReadPostmasterFile(const std::string& data_folder) {
  // pid, data folder, start time, port, socket folder, ...: src/include/utils/pidfile.h
  std::ifstream file(data_folder + "/postmaster.pid");
  std::vector<std::string> lines;
  for (std::string line; lines.size() < 5 && std::getline(file, line);) lines.push_back(line);
  PostmasterFile result;
  if (!lines.empty()) result.pid = static_cast<pid_t>(std::strtol(lines[0].c_str(), nullptr, 10));
  if (lines.size() == 5) result.socket_folder = lines[4];
  return result;
}

std::string TailOfLog(const std::string& path, std::size_t offset, int max_lines) {
  std::ifstream file(path);
  file.seekg(static_cast<std::streamoff>(offset));
  std::deque<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(line);
    if (lines.size() > static_cast<std::size_t>(max_lines)) lines.pop_front();
  }
  std::string tail;
  for (const std::string& line : lines) absl::StrAppend(&tail, tail.empty() ? "" : " | ", line);
  return tail;
}

std::size_t FileBytes(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 ? static_cast<std::size_t>(info.st_size) : 0;
}

}  // namespace spanring::dev

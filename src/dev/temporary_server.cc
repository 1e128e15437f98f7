#include "dev/temporary_server.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace spanring::dev {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "spanring-test-";

std::string TemporaryFolder() {
  const char* folder = std::getenv("TMPDIR");
  return folder != nullptr && folder[0] == '/' ? folder : "/tmp";
}

// The lock's descriptor, or -1 when another process holds it.
int LockOwner(const std::string& folder) {
  const std::string path = folder + "/owner.lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

void RemoveServer(PrivateServer& server) {
  [[maybe_unused]] const absl::Status killed = server.Kill();
  [[maybe_unused]] const absl::Status removed = server.Remove();
  std::error_code error;
  fs::remove_all(server.state_dir(), error);
}

// A test that was killed could not tidy up. Only our own folders, whose lock nobody holds, and not
// those of the last minute: between mkdtemp and its lock a folder looks abandoned.
void RemoveAbandoned() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(TemporaryFolder(), error)) {
    const std::string path = entry.path().string();
    struct stat info;
    if (!entry.path().filename().string().starts_with(kPrefix) || lstat(path.c_str(), &info) != 0 ||
        !S_ISDIR(info.st_mode) || info.st_uid != geteuid() || info.st_mtime + 60 > time(nullptr)) {
      continue;
    }
    const int fd = LockOwner(path);
    if (fd < 0) continue;
    if (absl::StatusOr<PrivateServer> server = PrivateServer::Open(path); server.ok()) {
      RemoveServer(*server);
    }
    close(fd);
  }
}

}  // namespace

absl::StatusOr<TemporaryServer> TemporaryServer::Create(ServerOptions options) {
  RemoveAbandoned();
  std::string folder = absl::StrCat(TemporaryFolder(), "/", kPrefix, "XXXXXX");
  if (mkdtemp(folder.data()) == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot make ", folder, ": ", std::strerror(errno), ": set TMPDIR"));
  }
  if (geteuid() == 0) chmod(folder.c_str(), 0711);
  const int lock_fd = LockOwner(folder);
  absl::StatusOr<PrivateServer> server = PrivateServer::Open(folder, std::move(options));
  if (!server.ok()) return server.status();
  TemporaryServer owner(*std::move(server), lock_fd);
  if (absl::Status status = owner->Start(); !status.ok()) return status;
  return owner;
}

TemporaryServer::TemporaryServer(TemporaryServer&& other) noexcept
    : server_(std::move(other.server_)), lock_fd_(std::exchange(other.lock_fd_, -1)) {}

TemporaryServer::~TemporaryServer() {
  if (lock_fd_ < 0) return;
  RemoveServer(server_);
  close(lock_fd_);
}

}  // namespace spanring::dev

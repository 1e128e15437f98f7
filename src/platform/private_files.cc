#include "platform/private_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "platform/fork_fds.h"

namespace spanring::platform {
namespace {

absl::Status Failed(const char* what, const std::string& path, int error) {
  const std::string message = absl::StrCat(what, " ", path, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case ELOOP:
    case ENOTDIR:
      return absl::FailedPreconditionError(absl::StrCat(message, " (a symbolic link?)"));
    case EEXIST:
      return absl::AlreadyExistsError(message);
    default:
      return absl::UnavailableError(message);
  }
}

// Nobody else's, and closed to all others.
absl::Status CheckOwner(int fd, const std::string& path, mode_t type) {
  struct stat status{};
  if (fstat(fd, &status) != 0) return Failed("cannot look at", path, errno);
  if ((status.st_mode & S_IFMT) != type) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not what it should be"));
  }
  if (status.st_uid != geteuid()) {
    return absl::FailedPreconditionError(absl::StrCat(path, " belongs to another user"));
  }
  if ((status.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is open to other users; chmod go= it"));
  }
  if (type == S_IFREG && status.st_nlink != 1) {
    return absl::FailedPreconditionError(absl::StrCat(path, " has another name"));
  }
  return absl::OkStatus();
}

// Where anybody may make a folder, as in /var/tmp, somebody may have made ours: then it, and what
// is in it, would be theirs to replace.
absl::Status CheckMadeByUs(const std::string& parent, const std::string& path) {
  struct stat above{};
  struct stat status{};
  if (stat(parent.c_str(), &above) != 0 || (above.st_mode & S_IWOTH) == 0) return absl::OkStatus();
  if (lstat(path.c_str(), &status) != 0) return absl::OkStatus();  // Opening it will say so.
  if (S_ISLNK(status.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is a symbolic link"));
  }
  if (status.st_uid != geteuid() && status.st_uid != 0) {
    return absl::FailedPreconditionError(absl::StrCat(path, " belongs to another user"));
  }
  // What is sticky again is checked one folder further down.
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (status.st_mode & S_ISVTX) == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " can be written by others; chmod go-w it"));
  }
  return absl::OkStatus();
}

absl::Status MakeParents(const std::string& path) {
  std::string parent = "/";
  for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    const std::string folder = path.substr(0, at);
    mkdir(folder.c_str(), 0700);
    if (absl::Status status = CheckMadeByUs(parent, folder); !status.ok()) return status;
    parent = folder;
  }
  return absl::OkStatus();
}

}  // namespace

Fd::Fd(int fd) noexcept : fd_(fd) { RememberForFork(fd); }

void Fd::Close() noexcept {
  if (fd_ < 0) return;
  ForgetForFork(fd_);
  close(std::exchange(fd_, -1));
}

absl::StatusOr<Fd> OpenFolder(const std::string& path) {
  if (absl::Status status = MakeParents(path); !status.ok()) return status;
  return OpenFolderAt(AT_FDCWD, path, /*create=*/true);
}

absl::StatusOr<Fd> OpenFolderAt(int folder, const std::string& name, bool create) {
  if (create && mkdirat(folder, name.c_str(), 0700) != 0 && errno != EEXIST) {
    return Failed("cannot make", name, errno);
  }
  Fd fd(openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return Failed("cannot open", name, errno);
  if (absl::Status status = CheckOwner(fd.get(), name, S_IFDIR); !status.ok()) return status;
  return fd;
}

absl::StatusOr<Fd> OpenFileAt(int folder, const std::string& name, bool create) {
  // O_NONBLOCK: what turns out to be a pipe must not make us wait.
  const int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (create ? O_CREAT | O_EXCL : 0);
  Fd fd(openat(folder, name.c_str(), flags, 0600));
  if (!fd) return Failed(create ? "cannot make" : "cannot open", name, errno);
  if (absl::Status status = CheckOwner(fd.get(), name, S_IFREG); !status.ok()) return status;
  return fd;
}

absl::StatusOr<bool> TryLock(const Fd& file) {
  if (flock(file.get(), LOCK_EX | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  return Failed("cannot lock", "a file", errno);
}

absl::StatusOr<std::vector<std::string>> NamesIn(int folder) {
  // A description of its own: reading moves its position.
  const int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (again < 0) return Failed("cannot list", "a folder", errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(again), closedir);
  if (stream == nullptr) {
    close(again);
    return absl::UnavailableError("cannot list a folder");
  }
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::vector<std::uint8_t>> ReadFile(const Fd& file, std::size_t most) {
  struct stat status{};
  if (fstat(file.get(), &status) != 0) return Failed("cannot look at", "a file", errno);
  if (status.st_size < 0 || static_cast<std::uint64_t>(status.st_size) > most) {
    return absl::DataLossError("a file is longer than it can be");
  }
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(status.st_size));
  std::size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t got =
        pread(file.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed("cannot read", "a file", errno);
    if (got == 0) break;
    at += static_cast<std::size_t>(got);
  }
  bytes.resize(at);
  return bytes;
}

absl::Status WriteFile(const Fd& file, const void* data, std::size_t size, std::uint64_t offset) {
  if (!MayWriteFileOf(offset + size)) return Failed("cannot write", "a file", EFBIG);
  const auto* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = pwrite(file.get(), at, size, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return Failed("cannot write", "a file", written == 0 ? EIO : errno);
    at += written;
    size -= static_cast<std::size_t>(written);
    offset += static_cast<std::uint64_t>(written);
  }
  return absl::OkStatus();
}

void RemoveFolder(int parent, const std::string& name) noexcept {
  try {
    const auto folder = OpenFolderAt(parent, name, /*create=*/false);
    if (!folder.ok()) return;
    if (const auto names = NamesIn(folder->get()); names.ok()) {
      // The lock last: who finds it gone finds all gone.
      for (const std::string& file : *names) {
        if (file != "lock") unlinkat(folder->get(), file.c_str(), 0);
      }
    }
    unlinkat(folder->get(), "lock", 0);
    unlinkat(parent, name.c_str(), AT_REMOVEDIR);
  } catch (...) {  // No memory: it stays, for who comes next.
  }
}

bool MayWriteFileOf(std::uint64_t bytes) noexcept {
  rlimit limit{};
  return getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
         bytes <= limit.rlim_cur;
}

}  // namespace spanring::platform

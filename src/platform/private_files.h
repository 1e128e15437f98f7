// Folders and files that nobody else may read, replace or redirect.
// Threads: any; an Fd belongs to one thread at a time.
// Memory: an Fd closes its descriptor.
// Errors: absl::Status; FailedPrecondition: somebody else could touch it, and it is refused.
// Design: docs/reliability.md#files
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace spanring::platform {

// A descriptor, not inherited by exec, and closed in a forked child.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept;
  ~Fd() { Close(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      Close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  void Close() noexcept;

 private:
  int fd_ = -1;
};

// Makes the folder (0700), and those above it, where there is none. The last part of the path must
// not be a symbolic link, must belong to this user, and be closed to all others. So must, but for
// reading, a folder above it that lies where anybody may make one.
[[nodiscard]] absl::StatusOr<Fd> OpenFolder(const std::string& path);
// The same for a folder in a folder; made only if `create`. NotFound: there is none.
[[nodiscard]] absl::StatusOr<Fd> OpenFolderAt(int folder, const std::string& name, bool create);
// A regular file (0600) with one name, of this user alone. `create`: it must not be there yet.
[[nodiscard]] absl::StatusOr<Fd> OpenFileAt(int folder, const std::string& name, bool create);

// Locks the file for this process, and its threads, until the last copy of `file` is closed. False:
// somebody else has it. Never waits.
[[nodiscard]] absl::StatusOr<bool> TryLock(const Fd& file);

// Its names, without "." and "..".
[[nodiscard]] absl::StatusOr<std::vector<std::string>> NamesIn(int folder);
// All of a file, which is no longer than `most` bytes.
[[nodiscard]] absl::StatusOr<std::vector<std::uint8_t>> ReadFile(const Fd& file, std::size_t most);
[[nodiscard]] absl::Status WriteFile(const Fd& file, const void* data, std::size_t size,
                                     std::uint64_t offset);
// Removes the files in it, and the folder itself. Not found is as good.
void RemoveFolder(int parent, const std::string& name) noexcept;

// False when the process may not make a file so long: writing it would raise SIGXFSZ.
bool MayWriteFileOf(std::uint64_t bytes) noexcept;

}  // namespace spanring::platform

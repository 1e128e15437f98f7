#include "platform/fork_fds.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <optional>

namespace spanring::platform {
namespace {

// relaxed, all: an entry belongs to the thread that opened it; the child reads them
// when it has one thread.
struct Entry {
  std::atomic<int> fd{-1};
  std::atomic<dev_t> device{0};
  std::atomic<ino_t> inode{0};
};
constinit std::array<Entry, 32> g_entries;

struct Identity {
  dev_t of_device;
  ino_t of_inode;
  bool operator==(const Identity&) const = default;
};

std::optional<Identity> Identify(int fd) noexcept {
  struct stat status{};
  if (fd < 0 || fstat(fd, &status) != 0) return std::nullopt;
  return Identity{status.st_dev, status.st_ino};
}

}  // namespace

void RememberForFork(int fd) noexcept {
  const auto identity = Identify(fd);
  if (!identity) return;
  ForgetForFork(fd);
  for (Entry& entry : g_entries) {
    int none = -1;
    // relaxed, all: as said at Entry.
    if (!entry.fd.compare_exchange_strong(none, fd, std::memory_order_relaxed)) continue;
    entry.device.store(identity->of_device, std::memory_order_relaxed);
    entry.inode.store(identity->of_inode, std::memory_order_relaxed);
    return;
  }
}

void ForgetForFork(int fd) noexcept {
  if (fd < 0) return;
  for (Entry& entry : g_entries) {
    int expected = fd;
    // relaxed: as said at Entry.
    entry.fd.compare_exchange_strong(expected, -1, std::memory_order_relaxed);
  }
}

void CloseAfterFork() noexcept {
  for (Entry& entry : g_entries) {
    // relaxed, all: as said at Entry.
    const int closed = entry.fd.exchange(-1, std::memory_order_relaxed);
    const Identity then{entry.device.load(std::memory_order_relaxed),
                        entry.inode.load(std::memory_order_relaxed)};
    if (Identify(closed) == then) close(closed);
  }
}

}  // namespace spanring::platform

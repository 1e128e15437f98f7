#include "platform/fork_fds.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>

namespace spanring::platform {
namespace {

// relaxed, all in this file: an entry belongs to the thread that opened it; the child reads them
// when it has one thread.
struct Entry {
  std::atomic<int> fd{-1};
  std::atomic<dev_t> device{0};
  std::atomic<ino_t> inode{0};
};
constinit std::array<Entry, 32> g_entries;

bool Identify(int fd, dev_t* device, ino_t* inode) noexcept {
  struct stat status{};
  if (fstat(fd, &status) != 0) return false;
  *device = status.st_dev;
  *inode = status.st_ino;
  return true;
}

}  // namespace

void RememberForFork(int fd) noexcept {
  dev_t device = 0;
  ino_t inode = 0;
  if (fd < 0 || !Identify(fd, &device, &inode)) return;
  ForgetForFork(fd);
  for (Entry& entry : g_entries) {
    int none = -1;
    if (!entry.fd.compare_exchange_strong(none, fd, std::memory_order_relaxed)) continue;
    entry.device.store(device, std::memory_order_relaxed);
    entry.inode.store(inode, std::memory_order_relaxed);
    return;
  }
}

void ForgetForFork(int fd) noexcept {
  for (Entry& entry : g_entries) {
    int expected = fd;
    if (fd >= 0) entry.fd.compare_exchange_strong(expected, -1, std::memory_order_relaxed);
  }
}

void CloseAfterFork() noexcept {
  for (Entry& entry : g_entries) {
    const int fd = entry.fd.exchange(-1, std::memory_order_relaxed);
    dev_t device = 0;
    ino_t inode = 0;
    if (fd >= 0 && Identify(fd, &device, &inode) &&
        device == entry.device.load(std::memory_order_relaxed) &&
        inode == entry.inode.load(std::memory_order_relaxed)) {
      close(fd);
    }
  }
}

}  // namespace spanring::platform

#include "platform/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "platform/private_files.h"

namespace spanring::platform {

void* MapPages(std::size_t bytes, bool prefault) noexcept {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | (prefault ? MAP_POPULATE : MAP_NORESERVE);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

void UnmapPages(void* memory, std::size_t bytes) noexcept { munmap(memory, bytes); }

void DropPages(void* memory, std::size_t bytes) noexcept {
  // Of the system's size: on some ARM machines 64 KiB.
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t first = (begin + page - 1) & ~(page - 1);
  const std::uintptr_t end = (begin + bytes) & ~(page - 1);
  if (first >= end) return;
  void* const pages = reinterpret_cast<void*>(first);
  // Of a file: a hole in it. Refused for memory without a file.
  if (madvise(pages, end - first, MADV_REMOVE) != 0) madvise(pages, end - first, MADV_DONTNEED);
}

bool PopulatePages(void* memory, std::size_t bytes) noexcept {
  constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, Linux 5.14; not in older headers.
  if (madvise(memory, bytes, kPopulateWrite) == 0) return true;
  // An older kernel, or no room in the file: touching its pages would raise SIGBUS.
  return mmap(memory, bytes, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0) != MAP_FAILED;
}

void* MapFile(int folder, const char* name, std::size_t bytes) noexcept {
  struct statvfs space{};
  if (!MayWriteFileOf(bytes) || fstatvfs(folder, &space) != 0 ||
      std::uint64_t{space.f_bavail} * space.f_frsize < 2 * std::uint64_t{bytes}) {
    return nullptr;
  }
  const int fd = openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return nullptr;
  void* memory = MAP_FAILED;
  // The room is taken now: a page that finds none later would raise SIGBUS.
  if (fallocate(fd, 0, 0, static_cast<off_t>(bytes)) == 0) {
    memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  }
  close(fd);
  if (memory != MAP_FAILED) return memory;
  unlinkat(folder, name, 0);
  return nullptr;
}

bool MapFileInto(int folder, const char* name, std::size_t bytes, void* memory) noexcept {
  void* const file = MapFile(folder, name, bytes);
  if (file == nullptr) return false;
  if (mremap(file, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, memory) != MAP_FAILED) return true;
  munmap(file, bytes);
  unlinkat(folder, name, 0);
  // A kernel without memory may have unmapped the place already.
  mmap(memory, bytes, PROT_READ | PROT_WRITE,
       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0);
  return false;
}

void MakePrivate(void* memory, std::size_t bytes, bool keep) noexcept {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  if (!keep) {
    mmap(memory, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, -1, 0);
    return;
  }
  void* copy = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (copy == MAP_FAILED) return;
  std::memcpy(copy, memory, bytes);
  if (mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, memory) == MAP_FAILED) {
    munmap(copy, bytes);
  }
}

}  // namespace spanring::platform

#include "fault/stress_log.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>

namespace spanring::test {
namespace {

StressLog* Map(const std::string& path, bool create) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0), 0600);
  if (fd < 0) throw std::runtime_error("cannot open " + path);
  void* memory = MAP_FAILED;
  if (!create || ftruncate(fd, sizeof(StressLog)) == 0) {
    memory = mmap(nullptr, sizeof(StressLog), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  close(fd);
  if (memory == MAP_FAILED) throw std::runtime_error("cannot map " + path);
  return static_cast<StressLog*>(memory);  // Zeros are what its words start with.
}

}  // namespace

StressLog* StressLog::Create(const std::string& path) { return Map(path, true); }
StressLog* StressLog::Open(const std::string& path) { return Map(path, false); }

std::uint64_t Histogram::Total() const noexcept {
  std::uint64_t total = 0;
  // relaxed: as in Add.
  for (const Word& count : counts) total += count.load(std::memory_order_relaxed);
  return total;
}

std::uint64_t Histogram::Quantile(double rank) const noexcept {
  const auto wanted = static_cast<std::uint64_t>(rank * static_cast<double>(Total()));
  std::uint64_t passed = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    passed += counts[i].load(std::memory_order_relaxed);  // relaxed: as in Add.
    if (passed > wanted) return LowestOf(i);
  }
  return 0;
}

}  // namespace spanring::test

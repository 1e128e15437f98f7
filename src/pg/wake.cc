#include "pg/wake.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace spanring::pg {

Wake::Wake() noexcept : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

Wake::~Wake() {
  if (fd_ >= 0) close(fd_);
}

void Wake::Signal() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(fd_, &one, sizeof(one));
}

void Wake::Clear() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = read(fd_, &count, sizeof(count));
}

}  // namespace spanring::pg

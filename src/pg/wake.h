// Wakes a thread that waits in poll(2).
// Threads: Signal from any; the rest by the thread that waits.
// Memory: one file descriptor.
// Errors: without a descriptor nobody is woken, and waits are cut to MostWaitMs().
// Design: docs/architecture.md#shipper
#pragma once

namespace spanring::pg {

class Wake {
 public:
  Wake() noexcept;
  ~Wake();
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;

  void Signal() noexcept;
  // Takes the signals so far back.
  void Clear() noexcept;
  int fd() const noexcept { return fd_; }
  // How long a wait may last that hopes to be woken.
  int MostWaitMs() const noexcept { return fd_ >= 0 ? 600'000 : 100; }

 private:
  int fd_;
};

}  // namespace spanring::pg

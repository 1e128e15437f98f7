// Wakes a thread that waits in poll(2).
// Threads: Signal from any, also where the waiting thread does not exist yet; the rest by the
// waiter. Memory: one file descriptor. Errors: without a descriptor, waits end by their timeout.
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

 private:
  int fd_;
};

}  // namespace spanring::pg

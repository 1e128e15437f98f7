// What the shippers of a process share: whether the first of them has a connection, and what the
// log says of a database that takes no spans, one line however many of them meet the same trouble,
// and one when it is over. Threads: any. Memory: the last message. Errors: none. Design:
// docs/architecture.md#shipper
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

#include "pg/session.h"
#include "spanring/stats.h"

namespace spanring::pg {

class Delivery {
 public:
  // `now`: the process's counts.
  void Failed(const Failure& failure, const Stats& now);
  // A batch arrived.
  void Succeeded();

  // Of the first shipper, which the others do not come before.
  void SetConnected(bool connected);
  bool IsConnected();

 private:
  using Clock = std::chrono::steady_clock;

  std::mutex mutex_;  // Guards all below.
  Clock::time_point last_report_{};
  std::string last_message_;
  std::uint64_t unreported_ = 0;
  bool was_told_ = false;
  bool is_connected_ = false;
};

}  // namespace spanring::pg

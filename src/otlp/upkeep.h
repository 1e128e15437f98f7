// Calls trace_maintain() where spans arrive and no traced program may run that would: once the
// process has run for a while, then daily. Threads: one of its own, which the destructor joins.
// Memory: a connection while it is at work.
// Errors: said in one line, and tried again a day later.
// Design: docs/web.md#spans-of-others
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "pg/session.h"
#include "pg/wake.h"

namespace spanring::otlp {

struct UpkeepOptions {
  std::string conninfo;
  bool as_writer = false;                  // With the rights of spanring_writer alone.
  std::chrono::milliseconds look{60'000};  // Between two looks whether there is something to do.
  std::chrono::milliseconds every{24 * 3'600'000};
};

class Upkeep {
 public:
  // `stored`: how many spans so far. Where none came since, the database may sleep. Both are called
  // on the thread.
  Upkeep(UpkeepOptions options, std::function<std::uint64_t()> stored,
         std::function<void(const std::string&)> say);
  ~Upkeep();
  Upkeep(const Upkeep&) = delete;
  Upkeep& operator=(const Upkeep&) = delete;

 private:
  void Run();
  pg::Failure Maintain();

  const UpkeepOptions options_;
  const std::function<std::uint64_t()> stored_;
  const std::function<void(const std::string&)> say_;

  pg::Wake wake_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_stopping_ = false;  // Guarded by mutex_.
  std::thread thread_;        // Last: it uses all of the above.
};

}  // namespace spanring::otlp

// A tracer whose database refuses at once, for tests and benchmarks without a database.
// Threads: any. Memory: none. Errors: none.
// Design: docs/architecture.md#life
#pragma once

#include "spanring/options.h"

namespace spanring {

inline Options Refusing() {
  Options options;
  options.enabled = true;
  options.database_url = "host=/nonexistent";
  options.ring_dir = "off";
  options.journal_dir = "off";
  options.flush_interval_ms = 5;
  options.retry_max_ms = 50;
  options.exit_timeout_ms = 100;
  options.log_errors = false;
  return options;
}

}  // namespace spanring

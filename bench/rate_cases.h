// One repetition of one case of rate.cc, in a process of its own: it loads rows and says how long
// it took.
// Threads: one call in a process.
// Memory: all rows of a repetition, encoded.
// Errors: a case that cannot run throws std::runtime_error.
// Design: docs/performance.md#end-to-end-rate
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace spanring::bench {

struct RateCase {
  std::string kind;        // "encode", "raw", "whole" or "earlier"
  std::string conninfo;    // Of the connections other than the tracer's, which has its own.
  std::string rows_file;   // "raw": rows as the journal holds them, without header and trailer.
  std::string table;       // "earlier": trace_spans, or the table of an earlier program.
  std::uint64_t rows = 0;  // In the timed part; some more warm up.
  std::uint64_t batch_rows = 0;  // "raw": of a transaction; "whole": as SPANRING_BATCH_ROWS.
  pid_t server = 0;              // The postmaster.
};

// {"seconds", "client_cpu_s", "server_cpu_s", "others_cpus", "warm_up_rows", ...}; {} for "encode".
nlohmann::ordered_json RunRateCase(const RateCase& input);

}  // namespace spanring::bench

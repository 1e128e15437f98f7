// `spanring serve` under many clients at once.
// Threads: as many as clients, ended before it returns.
// Memory: a number per request.
// Errors: std::runtime_error, which ends the benchmark.
// Design: docs/performance.md
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace spanring::bench {

struct Crowd {
  int connections = 100;
  int seconds = 60;
  std::uint64_t executions = 0;  // asked about: 1 to so many
  std::uint64_t seed = 0;
};

// Each client asks, one request after another, for a random execution: its trace, its diagnosis,
// its root cause, the newest 50. Requests, failures, requests a second, and ms from the first byte
// sent to the last received.
[[nodiscard]] nlohmann::ordered_json ServeCrowd(const std::string& conninfo, const Crowd& crowd);

}  // namespace spanring::bench

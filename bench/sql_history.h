// Weeks of traced executions, made in the database itself: runner, router and Modal function, five
// spans an execution, four in a hundred of them failed, timed out or waited for the network.
// Threads: one call; it uses several connections by itself.
// Memory: none that grows; the rows never leave the server.
// Errors: std::runtime_error. Says on stderr how far it is.
// Design: docs/performance.md#questions-at-20-million-spans
#pragma once

#include <cstdint>
#include <string>

namespace spanring::bench {

inline constexpr std::uint64_t kSpansOfExecution = 5;

struct History {
  std::uint64_t executions = 0;  // Ids 1 to this, in order of time.
  int days = 0;                  // Up to the last full hour.
};

// Fills trace_spans and its sums, in a schema that is empty.
void MakeHistory(const std::string& conninfo, const History& history);

}  // namespace spanring::bench

// Runs the program `spanring` as a user would, and keeps what it printed.
// Threads: one call at a time.
// Memory: returned by value.
// Errors: a failed start is exit code 127.
// Design: docs/architecture.md
#pragma once

#include <string>
#include <vector>

namespace spanring::cli {

struct Outcome {
  int exit_code = 127;
  std::string out;
  std::string err;
  long most_memory_kib = 0;  // Resident, at most.
};

// `environment` (NAME=value) is added to a bare one: PATH, HOME=/nonexistent, LANG=C.UTF-8.
// `input`: the file that standard input is.
[[nodiscard]] Outcome RunProgram(const std::vector<std::string>& arguments,
                                 const std::vector<std::string>& environment,
                                 const std::string& input = "/dev/null");

// Starts it with its output thrown away; the process id, or -1.
[[nodiscard]] int StartProgram(const std::vector<std::string>& arguments,
                               const std::vector<std::string>& environment);

}  // namespace spanring::cli

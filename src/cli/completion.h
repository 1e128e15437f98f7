// What a shell needs to complete the program's command line, made of the parser itself.
// Threads: a pure function.
// Memory: returned by value.
// Errors: InvalidArgument for another shell.
// Design: docs/operations.md#completion
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}

namespace spanring::cli {

// `shell` is bash, zsh or fish.
[[nodiscard]] absl::StatusOr<std::string> CompletionFor(const std::string& shell,
                                                        const CLI::App& app);

}  // namespace spanring::cli
